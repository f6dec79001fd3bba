"""SIGKILL while a real `portal up` talks with Telegram: nothing is lost, and only what nobody can know is repeated."""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portal.channels import words as words_of_portal
from portal.core.channels import Surroundings
from portal.interfaces.telegram import create
from portal.settings.telegram import TelegramSettings
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal
from portal.testing.telegram_media import TelegramCall
from portal.testing.telegram_people import words
from portal.testing.telegram_server import TelegramFault, TelegramPerson, TelegramServer

REPEATED = "Sent again"
SETTINGS = """
[discovery]
enabled = false
[turns]
titles = false
[channels]
model = "tiny"
[telegram]
token = "{token}"
api_base = "{url}"
drafts = {drafts}
"""
MOST = 50
"""Random kills, in the long form."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Server:
    """A Portal in a process of its own, that can be killed and started again."""

    def __init__(self, folder: Path, model: OpenAIServer) -> None:
        self._folder = folder
        self.model = model
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._folder.with_name("errors.txt").open("ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "portal", "up", "--unannounced", "--port", "0"),
                *("--data-dir", str(self._folder), "--backend", f"openai_compatible={self.model.url}/v1"),
                cwd=self._folder,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
            )

    async def kill(self) -> None:
        assert self.process is not None
        assert self.process.returncode is None, "portal up ended"
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def room(folder: Path, *, drafts: bool = True) -> AsyncIterator[tuple[Server, TelegramServer, TelegramPerson]]:
    """A linked person before a Portal that is about to start."""
    async with TelegramServer(limits=False) as telegram, OpenAIServer(models=["tiny"]) as model:
        alice = telegram.person("Alice")
        data = folder / "data"
        given = TelegramSettings.model_validate({"token": telegram.token, "api_base": telegram.url})
        channel = create(given, Surroundings(name="telegram"))
        async with open_test_portal(data, channels=[channel]) as portal:
            code, _ = await portal.portal.channels.linking.offer(portal.owner)
            alice.write(f"/link {code}")
            await alice.reads("You are linked")
        await channel.aclose()
        settings = SETTINGS.format(token=telegram.token, url=telegram.url, drafts=str(drafts).lower())
        (data / "portal.toml").write_text(settings, encoding="utf-8")
        server = Server(data, model)
        await server.start()
        try:
            yield server, telegram, alice
        finally:
            await server.kill()


async def until(condition: Callable[[], object]) -> None:
    """On a busy machine a start takes its time."""
    async with asyncio.timeout(240):
        while not condition():
            await asyncio.sleep(0.02)


def said(alice: TelegramPerson, text: str) -> list[str]:
    return [words(message) for message in alice.sees() if text in words(message)]


def about(text: str) -> Callable[[TelegramCall], bool]:
    return lambda call: text in str(call.given.get("text"))


async def test_killed_after_a_message_was_taken_and_before_that_was_known(tmp_path: Path) -> None:
    async with room(tmp_path) as (server, telegram, alice):
        for text in ("Hello there", "/help"):
            shown = "Hello there" if text != "/help" else "/model"
            telegram.fail(
                "sendMessage",
                TelegramFault(reply="held", when=about(shown)),
            )
            alice.write(text)
            await until(lambda shown=shown: said(alice, shown))
            await server.kill()
            await server.start()
            await until(lambda shown=shown: any(REPEATED in one for one in said(alice, shown)))
            assert [REPEATED in one for one in said(alice, shown)] == [False, True]
        alice.write("And on")
        await until(lambda: said(alice, "And on"))
        assert len(said(alice, "And on")) == 1


async def test_killed_in_an_edit_nothing_is_repeated(tmp_path: Path) -> None:
    async with room(tmp_path, drafts=False) as (server, telegram, alice):
        gate = asyncio.Event()
        server.model.script(Answer(text=["One", " two", " three"], gate=gate, after=2))
        telegram.fail("editMessageText", TelegramFault(reply="held"))
        alice.write("Count")
        await until(lambda: said(alice, "One"))
        gate.set()
        await until(lambda: telegram.called("editMessageText"))  # so the message before it is known to be there
        await server.kill()
        await server.start()
        alice.write("Next")
        await until(lambda: said(alice, "Next"))
        assert not said(alice, REPEATED)
        assert len(said(alice, "One")) == 1


@pytest.mark.timeout(7200)
async def test_killed_at_random_moments(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seed = time.time_ns()
    rolled, rounds = random.Random(seed), min(request.config.getoption("--kill-rounds"), MOST)
    async with room(tmp_path) as (server, telegram, alice):
        for number in range(rounds):
            polls, alone = telegram.updates.polls, len(telegram.calls)
            await until(lambda polls=polls: telegram.updates.polls > polls)
            alice.write(f"Question {number} of many")
            if rolled.random() < 0.7:
                await until(lambda alone=alone: len(telegram.calls) > alone)
            await asyncio.sleep(rolled.random() * 0.3)
            await server.kill()
            await server.start()
        alice.write("The last question")
        await until(lambda: said(alice, "The last question"))
        repeated = said(alice, REPEATED)
        answers = [words(one) for one in alice.sees() if REPEATED not in words(one)][1:]
        # a repeat is of what was shown already, or of what was about to be sent when Portal was killed
        assert len(answers) <= rounds + 1 <= len(answers) + len(repeated), f"seed {seed}"
        whole = [one for one in answers if one.startswith("Question")]
        assert len(whole) == len(set(whole)), f"seed {seed}"
        assert len(repeated) <= rounds
        failed = words_of_portal.FAILED.partition("{")[0]
        assert not [one for one in answers if one.startswith(failed)], f"seed {seed}"
