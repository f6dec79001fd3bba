"""Channels and their threads in Slack: answered as the owner says, gone on with where a thread begins."""

import asyncio
from pathlib import Path

import aiohttp

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.core.model import TextDelta
from portal.testing.slack_server import SlackServer

from .conftest import Slack, open_slack

ALL = "/portal/v1/channels"


async def test_a_channel_is_always_answered_where_the_owner_says_so(slack: Slack) -> None:
    ask = slack.server.mention("U1", "C1", "one")
    await slack.heard("one", room="C1", thread=ask)
    async with aiohttp.ClientSession(slack.portal.url, headers=slack.portal.headers) as page:
        (chat,) = (await (await page.get(f"{ALL}/chats")).json())["data"]
        assert (chat["target"], chat["room"], chat["mode"]) == (f"slack:C1/{ask}", "slack:C1", "mentioned")
        for mode in ("always", "mentioned"):
            async with page.patch(f"{ALL}/chats", json={"target": "slack:C1", "mode": mode}) as answer:
                assert (await answer.json())["mode"] == mode
            asked = slack.server.say("U1", "C1", f"nobody is named: {mode}")
            if mode == "always":
                await slack.heard(f"nobody is named: {mode}", room="C1", thread=asked)
    slack.server.direct("U1", "after that")
    await slack.heard("after that")
    assert len(slack.backend.requests) == 3


async def test_a_conversation_of_the_page_goes_on_in_a_thread(slack: Slack) -> None:
    async with aiohttp.ClientSession(slack.portal.url, headers=slack.portal.headers) as page:
        async with page.post("/portal/v1/conversations", json={"title": "Plans"}) as answer:
            plans = (await answer.json())["id"]
        body = {"model": "tiny", "input": "from the page", "conversation": plans}
        async with page.post("/v1/responses", json=body) as answer:
            assert (await answer.json())["status"] == "completed"
        await page.post(f"{ALL}/continue", json={"conversation_id": plans, "target": "slack"})
        moved = words.MOVED.format(title="Plans", last="from the page")
        await slack.heard(moved)
        root = slack.server.world.messages(slack.room)[-1]["ts"]
        slack.server.direct("U1", "from the thread", thread=root)
        await slack.heard(moved, "from the thread", thread=root)
        said = [one["content"] for one in slack.backend.requests[-1].messages if one["role"] == "user"]
        assert said == ["from the page", "from the thread"]
        async with page.get(f"/portal/v1/conversations/{plans}/turns") as answer:
            assert len((await answer.json())["data"]) == 2


async def test_the_model_chosen_by_command_answers_the_threads_to_come(tmp_path: Path, server: SlackServer) -> None:
    backend = ScriptedBackend(models=["tiny", "large"], default=echo)
    async with open_slack(tmp_path, server, backend=backend) as slack:
        await slack.link()
        await server.command("U1", slack.room, "/portal", "model large")
        await slack.heard(words.CHOSEN.format(name="large"))
        _, thread = server.open_assistant("U1")
        server.direct("U1", "hello", thread=thread)
        await slack.until(lambda: backend.requests)
        assert backend.requests[-1].model == "large"
        ask = server.mention("U1", "C1", "/model tiny")
        await slack.heard(words.CHOSEN.format(name="tiny"), room="C1", thread=ask)
        server.say("U1", "C1", "and here?", thread=ask)
        await slack.until(lambda: len(backend.requests) == 2)
        assert backend.requests[-1].model == "tiny"


async def test_a_thread_that_is_begun_anew_while_an_answer_is_written_stays_new(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    ask = slack.server.mention("U1", "C1", "count")
    await slack.until(lambda: [said.strip() for said in slack.spoken("C1", ask)] == ["One"])
    slack.server.mention("U1", "C1", "/new", thread=ask)
    slack.server.say("U1", "C1", "and now?", thread=ask)
    await slack.until(lambda: all(one.acked for one in slack.server.deliveries))
    gate.set()
    await slack.heard("One two.", words.NEW, "and now?", room="C1", thread=ask)
    assert [one["content"] for one in slack.backend.requests[-1].messages if one["role"] == "user"] == ["and now?"]
