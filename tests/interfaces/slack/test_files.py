"""Files in and out of Slack, and what a tool needs to be allowed."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from tests.channels.desk import Desk, able, calls, says

from portal.channels import words
from portal.testing.slack_server import SlackFault, SlackServer

from .conftest import Slack, open_slack


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def slack(tmp_path: Path, server: SlackServer, desk: Desk) -> AsyncIterator[Slack]:
    async with open_slack(tmp_path, server, backend=able(), toolsets=desk.toolsets()) as opened:
        await opened.link()
        yield opened


async def test_a_file_comes_in_with_its_words(slack: Slack) -> None:
    slack.backend.script(*says("It says hello."))
    slack.server.upload("U1", slack.room, "note.txt", b"hello from a file", text="what is in it?")
    await slack.heard("It says hello.")
    assert "hello from a file" in str(slack.backend.requests[-1].messages[-1]["content"])


async def test_a_file_that_does_not_come_is_told(slack: Slack) -> None:
    slack.backend.script(*says("There is nothing."))
    slack.server.fail("files.info", SlackFault.ERROR, error="file_not_found")
    slack.server.upload("U1", slack.room, "note.txt", b"hello", text="what is in it?")
    await slack.until(lambda: any("note.txt" in said for said in slack.spoken()))


async def test_a_chart_comes_back(slack: Slack) -> None:
    slack.backend.script(*calls(("draw", {})))
    slack.backend.script(*says("Here it is."))
    ask = slack.server.mention("U1", "C1", "draw")
    await slack.until(lambda: any(one.get("files") for one in slack.server.world.messages("C1", ask)))
    (shared,) = [one for one in slack.server.world.messages("C1", ask) if one.get("files")]
    assert slack.server.world.contents[shared["files"][0]["id"]] == b"PNG"
    assert shared["files"][0]["title"] == "chart.png"
    await slack.until(lambda: "Here it is." in slack.spoken("C1", ask))


async def test_a_tool_is_allowed_by_its_button_and_vanishes_from_the_page(slack: Slack, desk: Desk) -> None:
    slack.backend.script(*calls(("write_note", {"text": "milk"})))
    ask = slack.server.mention("U1", "C1", "note milk")
    await slack.until(lambda: any("Allow write_note" in said for said in slack.spoken("C1", ask)))
    question = slack.server.world.messages("C1", ask)[-1]
    async with aiohttp.ClientSession(slack.portal.url, headers=slack.portal.headers) as page:
        async with page.get("/portal/v1/approvals?status=pending") as answer:
            assert len((await answer.json())["data"]) == 1
        slack.backend.script(*says("Noted."))
        pressed = await slack.server.press("U1", "C1", question["ts"], "Allow")
        assert pressed.acked
        await slack.until(lambda: "Noted." in slack.spoken("C1", ask))
        async with page.get("/portal/v1/approvals?status=pending") as answer:
            assert (await answer.json())["data"] == []
    assert desk.done == ["milk"]
    assert words.DECIDED["used"].format(tool="write_note") in slack.spoken("C1", ask)


async def test_a_tool_is_refused_in_the_home_tab(slack: Slack, desk: Desk) -> None:
    slack.backend.script(*calls(("write_note", {"text": "milk"})))
    slack.server.direct("U1", "note milk")
    await slack.until(lambda: any("Allow write_note" in said for said in slack.spoken()))
    slack.server.open_home("U1")
    await slack.until(lambda: "Allow write_note" in str(slack.server.world.homes.get("U1")))
    slack.backend.script(*says("All right."))
    assert (await slack.server.press_at_home("U1", "Deny")).acked
    await slack.until(lambda: "All right." in slack.spoken())
    await slack.until(lambda: "Allow write_note" not in str(slack.server.world.homes["U1"]))
    assert desk.done == []


async def test_a_question_in_a_thread_is_answered_by_writing_there(slack: Slack) -> None:
    slack.backend.script(*calls(("ask_user", {"question": "Which colour?"})))
    ask = slack.server.mention("U1", "C1", "paint it")
    await slack.until(lambda: any("Which colour?" in said for said in slack.spoken("C1", ask)))
    slack.backend.script(*says("Blue it is."))
    slack.server.say("U1", "C1", "blue", thread=ask)
    await slack.until(lambda: "Blue it is." in slack.spoken("C1", ask))
