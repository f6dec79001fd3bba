"""SIGKILL while real servers talk with Telegram: nothing is lost, and only what nobody can know is repeated."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.e2e.standing import Opening, Standing

from portal.channels import words as words_of_portal
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.telegram_media import TelegramCall
from portal.testing.telegram_people import words
from portal.testing.telegram_server import TelegramFault, TelegramPerson, TelegramServer

REPEATED = "Sent again"
SETTINGS = """
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


@dataclass
class Room:
    """A linked person before servers that poll Telegram."""

    servers: Standing
    telegram: TelegramServer
    alice: TelegramPerson
    model: OpenAIServer

    async def kill(self) -> None:
        """And have it go on, at whatever moment it is ready."""
        await self.servers.kill()
        await self.servers.again(ready=False)


@asynccontextmanager
async def room_of(standing: Opening, *, drafts: bool = True) -> AsyncIterator[Room]:
    async with TelegramServer(limits=False) as telegram, OpenAIServer(models=["tiny"]) as model:
        alice = telegram.person("Alice")
        settings = SETTINGS.format(token=telegram.token, url=telegram.url, drafts=str(drafts).lower())
        async with standing(backend=f"{model.url}/v1", settings=settings) as servers:
            async with servers.client() as api, api.post("/portal/v1/channels/codes", json={}) as answer:
                alice.write(f"/link {(await answer.json())['code']}")
            await alice.reads("You are linked")
            yield Room(servers, telegram, alice, model)


async def until(condition: Callable[[], object]) -> None:
    """On a busy machine a start takes its time."""
    async with asyncio.timeout(240):
        while not condition():
            await asyncio.sleep(0.02)


def said(alice: TelegramPerson, text: str) -> list[str]:
    return [words(message) for message in alice.sees() if text in words(message)]


def about(text: str) -> Callable[[TelegramCall], bool]:
    return lambda call: text in str(call.given.get("text"))


async def test_killed_after_a_message_was_taken_and_before_that_was_known(standing: Opening) -> None:
    async with room_of(standing) as room:
        alice = room.alice
        for text in ("Hello there", "/help"):
            shown = "Hello there" if text != "/help" else "/model"
            room.telegram.fail(
                "sendMessage",
                TelegramFault(reply="held", when=about(shown)),
            )
            alice.write(text)
            await until(lambda shown=shown: said(alice, shown))
            await room.kill()
            await until(lambda shown=shown: any(REPEATED in one for one in said(alice, shown)))
            assert [REPEATED in one for one in said(alice, shown)] == [False, True]
        alice.write("And on")
        await until(lambda: said(alice, "And on"))
        assert len(said(alice, "And on")) == 1


async def test_killed_after_a_file_was_taken_and_before_that_was_known(standing: Opening) -> None:
    async with room_of(standing) as room:
        alice = room.alice
        room.model.script(Answer(text=["```python\n", "answer = 42\n" * 500, "```\n"]))
        room.telegram.fail("sendDocument", TelegramFault(reply="held"))
        alice.write("Write it")

        def files() -> list[str]:
            return [words(one) for one in alice.sees() if "document" in one]

        await until(files)
        await room.kill()
        await until(lambda: len(files()) == 2)
        alice.write("And on")
        await until(lambda: said(alice, "And on"))
        assert [REPEATED in one for one in files()] == [False, True]
        assert not [one for one in alice.sees() if REPEATED in words(one) and "document" not in one]


async def test_killed_in_an_edit_nothing_is_repeated(standing: Opening) -> None:
    async with room_of(standing, drafts=False) as room:
        alice, gate = room.alice, asyncio.Event()
        room.model.script(Answer(text=["One", " two", " three"], gate=gate, after=2))
        room.telegram.fail("editMessageText", TelegramFault(reply="held"))
        alice.write("Count")
        await until(lambda: said(alice, "One"))
        gate.set()
        await until(lambda: room.telegram.called("editMessageText"))  # so the message before it is known to be there
        await room.kill()
        alice.write("Next")
        await until(lambda: said(alice, "Next"))
        assert not said(alice, REPEATED)
        assert len(said(alice, "One")) == 1


@pytest.mark.timeout(7200)
async def test_killed_at_random_moments(standing: Opening, request: pytest.FixtureRequest) -> None:
    seed = time.time_ns()
    rolled = random.Random(seed)
    async with room_of(standing) as room:
        telegram, alice = room.telegram, room.alice
        rounds = room.servers.rounds(min(request.config.getoption("--kill-rounds") // 2, MOST))
        for number in range(rounds):
            polls, alone = telegram.updates.polls, len(telegram.calls)
            await until(lambda polls=polls: telegram.updates.polls > polls)
            alice.write(f"Question {number} of many")
            if rolled.random() < 0.7:
                await until(lambda alone=alone: len(telegram.calls) > alone)
            await asyncio.sleep(rolled.random() * 0.3)
            await room.kill()
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
