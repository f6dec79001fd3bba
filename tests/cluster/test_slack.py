"""Slack with three real servers: one holds its socket, and another has it soon where that one is killed or stands
still."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cluster.test_processes import leader

from portal.channels import words
from portal.interfaces.slack.manifest import manifest
from portal.testing.cluster import Cluster
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres import PostgresServer
from portal.testing.slack_server import SlackServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = """
[channels]
model = "tiny"
[slack]
bot_token = "{server.bot_token}"
app_token = "{server.app_token}"
api_base = "{server.api}"
"""


@dataclass
class Room:
    cluster: Cluster
    slack: SlackServer
    place: str

    async def answered(self, text: str) -> None:
        """Slack sends once more after a minute what was not acknowledged within three seconds, twice."""
        await self.slack.wait(lambda: self.said(text), 120)

    def said(self, text: str) -> list[str]:
        return [one for one in self.slack.world.spoken(self.place) if text in one]

    async def holder(self) -> int:
        """Who has the socket, once somebody does."""
        while (found := await leader(self.cluster, 0)) == -1:
            await asyncio.sleep(0.1)
        return found

    async def taken(self, opened: int) -> None:
        """There were more connections than so many; Slack's side of one that stands still may be there or not."""
        await self.slack.wait(lambda: self.slack.opened > opened, 60)


@pytest.fixture
async def room(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[Room]:
    async with SlackServer() as slack, OpenAIServer(models=["tiny"]) as models:
        slack.install(manifest())
        slack.limited = False
        place = slack.world.direct("U1").id
        opening = Cluster.opened(
            tmp_path,
            database=postgres.database(),
            backend=models.url,
            settings=SETTINGS.format(server=slack),
            balanced=False,
        )
        async with opening as cluster:
            await slack.wait(lambda: slack.sockets, 60)
            async with cluster.servers[2].client() as api, api.post("/portal/v1/channels/codes", json={}) as answer:
                code = (await answer.json())["code"]
            await slack.command("U1", place, "/portal", f"link {code}")
            await slack.wait(lambda: slack.world.spoken(place) == [words.LINKED], 60)
            yield Room(cluster, slack, place)


async def test_the_one_that_holds_the_socket_is_killed(room: Room) -> None:
    room.slack.direct("U1", "Before it is killed.")
    await room.answered("Before it is killed.")
    opened = room.slack.opened
    process = room.cluster.servers[await room.holder()].process
    process.kill()
    await process.wait()
    await room.slack.wait(lambda: not room.slack.sockets, 60)
    room.slack.direct("U1", "While nobody holds it.")
    await room.taken(opened)
    await room.answered("While nobody holds it.")
    assert len(room.said("While nobody holds it.")) == 1


async def test_the_one_that_holds_the_socket_stands_still(room: Room) -> None:
    room.slack.direct("U1", "Before it stands still.")
    await room.answered("Before it stands still.")
    opened = room.slack.opened
    at = await room.holder()
    room.cluster.servers[at].pause()
    await room.taken(opened)
    room.cluster.servers[at].resume()
    while await leader(room.cluster, at) in (at, -1):
        await asyncio.sleep(0.2)
    room.slack.direct("U1", "After it stood still.")
    await room.answered("After it stood still.")
    await asyncio.sleep(3)
    for text in ("Before it stands still.", "After it stood still."):
        assert len(room.said(text)) == 1
