"""Telegram with three real servers: one polls, and whatever becomes of it every message is answered once."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.test_processes import leader

from portal.testing.cluster import Cluster
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres import PostgresServer
from portal.testing.telegram_people import words
from portal.testing.telegram_server import TelegramPerson, TelegramServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REPEATED = "Sent again"
SETTINGS = """
[channels]
model = "tiny"
[telegram]
token = "{token}"
api_base = "{url}"
drafts = false
"""


@dataclass
class Room:
    cluster: Cluster
    alice: TelegramPerson

    def answers(self, text: str) -> list[str]:
        return [words(message) for message in self.alice.sees() if text in words(message)]

    async def answered(self, text: str, seconds: float = 120) -> None:
        async with asyncio.timeout(seconds):
            while not self.answers(text):
                await asyncio.sleep(0.05)

    async def leader(self, but: int = -1) -> int:
        """Who has it, once somebody does."""
        while True:
            for number, one in enumerate(self.cluster.servers):
                if number != but and one.process.returncode is None:
                    found = await leader(self.cluster, number)
                    if found not in (-1, but):
                        return found
                    break
            await asyncio.sleep(0.1)


@pytest.fixture
async def room(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Room]:
    async with TelegramServer(limits=False) as telegram, OpenAIServer(models=["tiny"]) as models:
        settings = SETTINGS.format(token=telegram.token, url=telegram.url)
        opening = Cluster.opened(
            tmp_path, database=postgres.database(), backend=models.url, settings=settings, balanced=False
        )
        async with opening as cluster:
            alice = telegram.person("Alice")
            path = "/portal/v1/channels/codes"
            async with cluster.servers[2].client() as api, api.post(path, json={}) as answer:
                code = (await answer.json())["code"]
            alice.write(f"/link {code}")
            await alice.reads("You are linked")
            yield Room(cluster, alice)


async def test_the_one_that_polls_is_killed_again_and_again(room: Room) -> None:
    chooser = random.Random(7)
    texts = [f"Question number {n}." for n in range(12)]
    for number, text in enumerate(texts):
        room.alice.write(text)
        await asyncio.sleep(chooser.uniform(0, 0.6))
        if number % 4 == 3:
            at = await room.leader()
            room.cluster.servers[at].process.kill()
            await room.cluster.servers[at].process.wait()
            await room.leader(but=at)
            room.cluster.servers[at] = await room.cluster.start(at)
    for text in texts:
        await room.answered(text)
    for text in texts:
        whole = [one for one in room.answers(text) if REPEATED not in one]
        assert len(whole) <= 1, "only what nobody can know is repeated, and says so"


async def test_the_one_that_polls_stands_still_for_half_a_minute(room: Room) -> None:
    room.alice.write("Before it stands still.")
    await room.answered("Before it stands still.")
    at = await room.leader()
    room.cluster.servers[at].pause()
    stopped = time.monotonic()
    room.alice.write("While it stands still.")
    await room.answered("While it stands still.")
    await asyncio.sleep(max(0, 30 - (time.monotonic() - stopped)))
    room.cluster.servers[at].resume()
    room.alice.write("After it stood still.")
    await room.answered("After it stood still.")
    await asyncio.sleep(3)
    for text in ("Before it stands still.", "While it stands still.", "After it stood still."):
        assert len(room.answers(text)) == 1
