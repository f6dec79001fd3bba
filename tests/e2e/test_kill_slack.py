"""SIGKILL where Slack carried a call out and its reply did not come, and at random moments: nothing lost or doubled."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from portal.channels import words
from portal.interfaces.slack.manifest import manifest
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.slack_server import SlackFault, SlackServer

from .test_kill import client, started

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """
[discovery]
enabled = false
[turns]
titles = false
[channels]
model = "tiny"
[slack]
bot_token = "{server.bot_token}"
app_token = "{server.app_token}"
api_base = "{server.api}"
"""
PIECES = [f"word{number} " for number in range(8)]


@asynccontextmanager
async def slack_and_model(folder: Path) -> AsyncIterator[tuple[SlackServer, OpenAIServer]]:
    async with SlackServer() as server, OpenAIServer() as model:
        server.install(manifest())
        server.limited = False
        server.retry_delays = (1, 1, 2, 2, 5, 5, 10, 10)
        server.world.add_channel("C1", "U1")
        server.world.direct("U1")
        folder.mkdir()
        (folder / "portal.toml").write_text(SETTINGS.format(server=server), encoding="utf-8")
        yield server, model


async def linked(folder: Path, server: SlackServer, model: OpenAIServer) -> asyncio.subprocess.Process:
    process, file = await started(folder, model.url)
    await server.wait(lambda: server.sockets, 60)
    async with client(file) as api, api.post("/portal/v1/channels/codes") as answer:
        code = (await answer.json())["code"]
    room = server.world.direct("U1").id
    await server.command("U1", room, "/portal", f"link {code}")
    await server.wait(lambda: server.world.spoken(room) == [words.LINKED], 60)
    return process


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()


def whole(said: str) -> bool:
    """An answer with its end, or one that says that it has none."""
    return said.strip() == "".join(PIECES).strip() or words.INTERRUPTED in said


@pytest.mark.parametrize(
    ("method", "threaded"),
    [
        ("chat.postMessage", False),
        ("chat.update", False),
        ("chat.startStream", True),
        ("chat.appendStream", True),
        ("chat.stopStream", True),
        ("chat.update", True),
    ],
)
async def test_killed_before_the_reply_arrives(tmp_path: Path, method: str, threaded: bool) -> None:
    folder = tmp_path / "data"
    async with slack_and_model(folder) as (server, model):
        process = await linked(folder, server, model)
        try:
            server.fail(method, SlackFault.NO_REPLY)
            model.script(Answer(text=PIECES, pace=0.5))
            room = server.world.direct("U1").id
            ask = server.mention("U1", "C1", "go") if threaded else server.direct("U1", "go")
            place = ("C1", ask) if threaded else (room, "")
            before = 0 if threaded else 1
            await server.wait(lambda: any(one.done and one.fault for one in server.called(method)), 60)
            await kill(process)
            process, _ = await started(folder, model.url)
            await server.wait(
                lambda: len(server.world.spoken(*place)) > before and whole(server.world.spoken(*place)[-1]), 120
            )
            model.answer("after", " that")
            server.say("U1", place[0], "more", thread=place[1] or None)
            await server.wait(lambda: "after that" in server.world.spoken(*place), 120)
            said = server.world.spoken(*place)[before:]
            assert [whole(said[0]), *said[1:]] == [True, "after that"]
            await server.wait(lambda: not server.world.rooms["C1"].streaming, 60)
        finally:
            await kill(process)


@pytest.mark.timeout(7200)
async def test_killed_at_random_moments(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    rounds = min(request.config.getoption("--kill-rounds") // 2, 50)
    folder, chooser = tmp_path / "data", random.Random(7)
    async with slack_and_model(folder) as (server, model):
        process = await linked(folder, server, model)
        asked: list[tuple[str, str]] = []
        try:
            for _ in range(rounds):
                model.script(*[Answer(text=PIECES, pace=0.3)] * 2)
                asked.append(("C1", server.mention("U1", "C1", "go")))
                server.direct("U1", "go")
                await asyncio.sleep(chooser.uniform(0, 5))
                await kill(process)
                process, _ = await started(folder, model.url)
            room = server.world.direct("U1").id
            everything = [*asked, (room, "")]

            def over() -> bool:
                said = [one for place in everything for one in server.world.spoken(*place) if one != words.LINKED]
                return len(said) >= 2 * rounds and all(whole(one) or one == "go" for one in said)

            await server.wait(over, 300 + 10 * rounds)
            assert [len(server.world.spoken(*place)) for place in asked] == [1] * rounds
            assert len(server.world.spoken(room)) == rounds + 1
            assert words.REPEATED not in str([server.world.spoken(*place) for place in everything])
        finally:
            await kill(process)
