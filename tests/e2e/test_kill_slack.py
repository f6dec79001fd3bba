"""SIGKILL where Slack carried a call out and its reply did not come, and at random moments: nothing lost or doubled."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.e2e.standing import Opening, Standing

from portal.channels import words
from portal.interfaces.slack.manifest import manifest
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.slack_server import SlackFault, SlackServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = """
[channels]
model = "tiny"
[slack]
bot_token = "{server.bot_token}"
app_token = "{server.app_token}"
api_base = "{server.api}"
"""
PIECES = [f"word{number} " for number in range(8)]


@asynccontextmanager
async def room_of(standing: Opening) -> AsyncIterator[tuple[Standing, SlackServer, OpenAIServer]]:
    """Servers that hold Slack's socket, and a linked person."""
    async with SlackServer() as slack, OpenAIServer() as model:
        slack.install(manifest())
        slack.limited = False
        slack.retry_delays = (1, 1, 2, 2, 5, 5, 10, 10)
        slack.world.add_channel("C1", "U1")
        room = slack.world.direct("U1").id
        async with standing(backend=model.url, settings=SETTINGS.format(server=slack)) as servers:
            await slack.wait(lambda: slack.sockets, 60)
            async with servers.client() as api, api.post("/portal/v1/channels/codes", json={}) as answer:
                code = (await answer.json())["code"]
            await slack.command("U1", room, "/portal", f"link {code}")
            await slack.wait(lambda: slack.world.spoken(room) == [words.LINKED], 60)
            yield servers, slack, model


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
async def test_killed_before_the_reply_arrives(standing: Opening, method: str, threaded: bool) -> None:
    async with room_of(standing) as (servers, slack, model):
        slack.fail(method, SlackFault.NO_REPLY)
        model.script(Answer(text=PIECES, pace=0.5))
        room = slack.world.direct("U1").id
        ask = slack.mention("U1", "C1", "go") if threaded else slack.direct("U1", "go")
        place = ("C1", ask) if threaded else (room, "")
        before = 0 if threaded else 1
        await slack.wait(lambda: any(one.done and one.fault for one in slack.called(method)), 60)
        await servers.kill()
        await servers.again()
        await slack.wait(
            lambda: len(slack.world.spoken(*place)) > before and whole(slack.world.spoken(*place)[-1]), 120
        )
        model.answer("after", " that")
        slack.say("U1", place[0], "more", thread=place[1] or None)
        await slack.wait(lambda: "after that" in slack.world.spoken(*place), 120)
        said = slack.world.spoken(*place)[before:]
        assert [whole(said[0]), *said[1:]] == [True, "after that"]
        await slack.wait(lambda: not slack.world.rooms["C1"].streaming, 60)


async def test_killed_after_a_file_was_taken_and_before_that_was_known(standing: Opening) -> None:
    async with room_of(standing) as (servers, slack, model):
        slack.fail("files.completeUploadExternal", SlackFault.NO_REPLY)
        model.script(Answer(text=["```python\n", "answer = 42\n" * 1500, "```\n"]))
        ask = slack.mention("U1", "C1", "write it")
        await slack.wait(lambda: any(one.done for one in slack.called("files.completeUploadExternal")), 60)
        await servers.kill()
        await servers.again()
        model.answer("after", " that")
        slack.say("U1", "C1", "more", thread=ask)
        await slack.wait(lambda: "after that" in slack.world.spoken("C1", ask), 120)
        files = [one for one in slack.world.messages("C1", ask) if one.get("files")]
        assert len(files) == len(slack.called("files.completeUploadExternal")) == 1


@pytest.mark.timeout(7200)
async def test_killed_at_random_moments(standing: Opening, request: pytest.FixtureRequest) -> None:
    chooser = random.Random(7)
    async with room_of(standing) as (servers, slack, model):
        rounds = servers.rounds(min(request.config.getoption("--kill-rounds") // 2, 50))
        asked: list[tuple[str, str]] = []
        for _ in range(rounds):
            model.script(*[Answer(text=PIECES, pace=0.3)] * 2)
            asked.append(("C1", slack.mention("U1", "C1", "go")))
            slack.direct("U1", "go")
            await asyncio.sleep(chooser.uniform(0, 5))
            await servers.kill()
            await servers.again()
        room = slack.world.direct("U1").id
        everything = [*asked, (room, "")]

        def over() -> bool:
            said = [one for place in everything for one in slack.world.spoken(*place) if one != words.LINKED]
            return len(said) >= 2 * rounds and all(whole(one) or one == "go" for one in said)

        await slack.wait(over, 300 + 10 * rounds)
        assert [len(slack.world.spoken(*place)) for place in asked] == [1] * rounds
        assert len(slack.world.spoken(room)) == rounds + 1
        assert words.REPEATED not in str([slack.world.spoken(*place) for place in everything])
