"""A memory made in one chat is used, corrected and forgotten in another, and outlives a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from portal.backends.scripted import ScriptedBackend, echo
from portal.interfaces.slack.manifest import manifest
from portal.testing.portal import open_test_portal
from portal.testing.slack_server import SlackServer
from portal.testing.telegram_people import TelegramPerson
from portal.testing.telegram_server import TelegramServer

from .slack.conftest import Slack
from .slack.conftest import channel as slack_channel
from .telegram.conftest import Room, made_channel, until

GREEN, RED = "My bicycle is green", "My bicycle is red"


class Chats:
    """A person's two chats with one Portal."""

    def __init__(self, slack: Slack, room: Room) -> None:
        self._slack, self._room = slack, room

    async def link(self) -> None:
        await self._slack.link()
        await until(lambda: self._room.portal.portal.channels.invitations("x"))
        await self._room.link(self._room.alice)

    async def telegram(self, text: str) -> str:
        """Say something there; all that the model was told with it."""
        self._room.alice.write(text)
        await self._room.alice.reads(text)
        return self._told(text)

    async def slack(self, text: str) -> str:
        before = len(self._slack.spoken())
        self._slack.server.direct("U1", text)
        await self._slack.until(lambda: self._slack.spoken()[before:] == [text] and not self._slack.streaming())
        return self._told(text)

    def _told(self, text: str) -> str:
        asked = self._room.backend.requests[-1].messages
        assert asked[-1]["content"] == text
        return str(asked[0]["content"])

    async def memories(self, **wanted: str) -> list[str]:
        query = "&".join(f"{name}={value}" for name, value in wanted.items())
        return [one["text"] for one in (await self._room.api(f"/portal/v1/memories?{query}"))["data"]]


@asynccontextmanager
async def chats(
    folder: Path, slack: SlackServer, telegram: TelegramServer, alice: TelegramPerson
) -> AsyncIterator[Chats]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    there, here = slack_channel(slack), made_channel(telegram)
    async with open_test_portal(folder, backends=[backend], channels=[there, here]) as portal:
        opened = Slack(slack, portal, backend)
        await opened.until(lambda: slack.sockets)
        yield Chats(opened, Room(portal, telegram, here, backend, alice))
    await there.aclose()


async def test_two_chats_and_a_restart(tmp_path: Path) -> None:
    async with SlackServer(post_interval=0) as slack, TelegramServer(limits=False) as telegram:
        slack.install(manifest())
        slack.limited = False
        slack.world.direct("U1")
        alice = telegram.person("Alice")
        async with chats(tmp_path, slack, telegram, alice) as first:
            await first.link()
            assert "saved to your memory" in await first.telegram("Remember that my bicycle is green")
            assert GREEN in await first.slack("Which colour has my bicycle?")
        async with chats(tmp_path, slack, telegram, alice) as second:
            assert GREEN in await second.telegram("Say again: which colour has my bicycle?")
            assert f'in place of "{GREEN}"' in await second.slack("Remember that my bicycle is red")
            told = await second.telegram("And which colour has my bicycle now?")
            assert (RED in told, GREEN in told) == (True, False)
            assert (await second.memories(), await second.memories(status="superseded")) == ([RED], [GREEN])
            assert "has just been deleted" in await second.telegram("Forget that my bicycle is red")
        async with chats(tmp_path, slack, telegram, alice) as third:
            told = await third.slack("Which colour has the bicycle of mine?")
            assert (RED in told, GREEN in told) == (False, False)
            assert (await third.memories(), await third.memories(status="superseded")) == ([], [])
