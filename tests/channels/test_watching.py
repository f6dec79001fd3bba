"""The watchdog: connected is not enough, what is wrong is told, and it mends itself."""

from pathlib import Path

import pytest

from portal.core.channels import Limits
from portal.errors import ChannelError, ChannelRefused, ChannelTaken, RateLimited
from portal.testing.channel import PlatformState, TestChannel

from .conftest import Chat, open_chat

QUICK = Limits(interval=0.01, per_second=10_000, typing=0, silence=0.2)


def state(chat: Chat) -> str:
    (one,) = chat.portal.portal.channels.status()
    return str(one["state"])


async def until(chat: Chat, wanted: str) -> dict[str, object]:
    """Until the channel is said to be so."""
    with chat.portal.portal.bus.subscribe(None) as news:
        while state(chat) != wanted:
            await news.get()
    return dict(chat.portal.portal.channels.status()[0])


async def test_a_channel_that_hears_nothing_is_connected_anew(tmp_path: Path) -> None:
    platform = PlatformState()
    channel = TestChannel(platform, limits=QUICK)
    async with open_chat(tmp_path, platform, channel=channel) as chat:
        await chat.link()
        await until(chat, "up")
        channel.silent = True
        chat.write("One")
        told = await until(chat, "deaf")
        assert "Nothing was heard" in str(told["detail"])
        channel.silent = False
        await chat.until("One")
        assert state(chat) == "up"
        assert channel.runs > 1


class ProbedChannel(TestChannel):
    """Can tell that it is deaf. It implements Probes as well."""

    trouble: Exception | None = None

    async def probe(self) -> None:
        """See Probes."""
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble


async def test_a_channel_that_finds_itself_deaf_is_connected_anew(tmp_path: Path) -> None:
    platform = PlatformState()
    channel = ProbedChannel(platform, limits=QUICK)
    async with open_chat(tmp_path, platform, channel=channel) as chat:
        await until(chat, "up")
        channel.trouble = ChannelError("There are 7 messages that never came.")
        assert (await until(chat, "deaf"))["detail"] == "There are 7 messages that never came."
        assert (await until(chat, "up"))["repairs"] == 1
        channel.trouble = RateLimited("Later.")
        channel.trouble = RuntimeError("boom")
        assert "unexpectedly" in str((await until(chat, "down"))["detail"])
        await until(chat, "up")
        channel.trouble = ChannelTaken("Another Portal polls this bot.")
        await until(chat, "taken")


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (ChannelRefused("The token is wrong."), "refused"),
        (ChannelTaken("Another program polls."), "taken"),
        (ChannelError("No route."), "down"),
        (RuntimeError("boom"), "down"),
    ],
)
async def test_a_channel_that_cannot_connect_says_why(
    tmp_path: Path, error: Exception, wanted: str, caplog: pytest.LogCaptureFixture
) -> None:
    platform = PlatformState()
    platform.fail = lambda call, chat: error if call == "run" else None
    async with open_chat(tmp_path, platform) as chat:
        told = await until(chat, wanted)
        assert told["detail"]
        assert wanted in " ".join(chat.portal.portal.channels.health())
        assert f"the channel test is {wanted}" in caplog.text


class EndingChannel(TestChannel):
    """Its connection ends at once, the first time."""

    async def run(self, desk: object) -> None:  # type: ignore[override]
        """See Channel."""
        if not self.runs:
            self.runs += 1
            return
        await super().run(desk)  # type: ignore[arg-type]


async def test_a_connection_that_ends_is_made_again(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform, channel=EndingChannel(platform)) as chat:
        assert (await until(chat, "down"))["detail"] == "The connection ended."
        await until(chat, "up")
