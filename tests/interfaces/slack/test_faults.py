"""Slack that fails, repeats, forges, goes deaf and is left in the middle: nothing is lost, nothing is said twice."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tests.channels.desk import Desk, able, calls, says

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import ModelRequest, TextDelta
from portal.testing.slack_server import SlackFault, SlackServer

from .conftest import FAST, Slack, open_slack


@pytest.mark.parametrize("fault", [SlackFault.RATELIMITED, SlackFault.DROPPED, SlackFault.SERVER_ERROR, SlackFault.CUT])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.startStream", "chat.stopStream", "chat.update"])
async def test_a_call_that_fails_is_made_good(slack: Slack, method: str, fault: SlackFault) -> None:
    slack.server.fail(method, fault)
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    place: tuple[str, str] = ("C1", "")
    if method in ("chat.startStream", "chat.stopStream"):
        place = ("C1", slack.server.mention("U1", "C1", "count"))
    else:
        slack.server.direct("U1", "count")
        place = (slack.room, "")
    await slack.until(lambda: slack.spoken(*place))
    gate.set()
    await slack.heard("One two.", room=place[0], thread=place[1])
    slack.server.direct("U1", "and after that")
    await slack.until(lambda: slack.spoken()[-1:] == ["and after that"])
    assert slack.server.called(method)[0].fault is fault


async def test_messages_come_at_the_pace_of_each_room(slack: Slack) -> None:
    slack.server.post_interval = 1
    for number in range(3):
        slack.server.direct("U1", str(number))
    slack.server.mention("U1", "C1", "elsewhere")
    await slack.heard("0", "1", "2")
    assert slack.spoken("C1")


class SlowBackend(ScriptedBackend):
    """Answers word by word."""

    async def stream(self, request: ModelRequest):  # type: ignore[no-untyped-def, override]
        async for event in super().stream(request):
            await asyncio.sleep(0.02)
            yield event


async def test_edits_of_an_answer_that_grows_leave_room_for_its_end(tmp_path: Path, server: SlackServer) -> None:
    text = [f"word{number} " for number in range(100)]
    backend = SlowBackend(models=["tiny"], default=lambda request: [TextDelta(word) for word in text])
    async with open_slack(tmp_path, server, backend=backend) as slack:
        server.limited = True
        for user in ("U1", "U2"):
            await slack.link(user)
            server.direct(user, "Go on")
        for user in ("U1", "U2"):
            await slack.heard("".join(text).strip(), room=server.world.direct(user).id)
        assert 2 < len(server.called("chat.update")) < 10
        assert not [call for call in server.calls if call.error]


async def test_what_comes_twice_or_in_disorder_is_answered_once(slack: Slack) -> None:
    slack.server.repeat = 3
    slack.server.mention("U1", "C1", "once")
    await slack.until(lambda: slack.spoken("C1") == ["once"])
    slack.server.withholding = True
    slack.server.direct("U1", "one")
    slack.server.direct("U1", "two")
    slack.server.release(reverse=True)
    await slack.until(lambda: set(slack.spoken()) == {"one", "two"})
    await slack.until(lambda: all(one.acked for one in slack.server.deliveries))
    assert len(slack.backend.requests) == 3


async def test_a_redelivery_after_a_restart_is_known(tmp_path: Path, server: SlackServer) -> None:
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        server.direct("U1", "once")
        await slack.heard("once")
    async with open_slack(tmp_path, server) as slack:
        await server.wait(lambda: server.sockets)
        assert await server.again(server.deliveries[0]) == 200
        server.direct("U1", "twice")
        await slack.heard("once", "twice")


async def test_what_was_written_meanwhile_is_answered_after_a_start(tmp_path: Path, server: SlackServer) -> None:
    server.retry_delays = ()
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        ask = server.mention("U1", "C1", "before")
        await slack.heard("before", room="C1", thread=ask)
    server.say("U1", "C1", "in the thread", thread=ask)
    server.direct("U1", "in private")
    other = server.mention("U1", "C1", "in the channel")
    server.say("U1", "C1", "for people only")
    async with open_slack(tmp_path, server) as slack:
        await slack.heard("in private")
        await slack.heard("in the channel", room="C1", thread=other)
        await slack.heard("before", "in the thread", room="C1", thread=ask)
        assert len(slack.backend.requests) == 3


async def test_what_was_asked_before_much_else_was_written_is_answered_too(tmp_path: Path, server: SlackServer) -> None:
    server.retry_delays = ()
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        ask = server.mention("U1", "C1", "before")
        await slack.heard("before", room="C1", thread=ask)
        theirs = server.say("U1", "C1", "a thread among people")
    other = server.mention("U1", "C1", "in the channel")
    for number in range(250):
        server.say("U1", "C1", f"for people only: {number}", thread=theirs)
        server.say("U1", "C1", f"for people only: {number}")
    server.mention("U1", "C1", "at the end", thread=theirs)
    async with open_slack(tmp_path, server, backend=ScriptedBackend(models=["tiny"], default=echo)) as slack:
        await slack.heard("in the channel", room="C1", thread=other)
        await slack.heard("at the end", room="C1", thread=theirs)


async def test_a_connection_that_slack_renews_is_made_before_the_old_one_ends(slack: Slack) -> None:
    await slack.server.disconnect("warning", close=False)
    await slack.until(lambda: slack.server.opened == 2)
    assert len(slack.server.sockets) == 2
    slack.server.direct("U1", "hello")
    await slack.heard("hello")
    slack.server.cut()
    await slack.until(lambda: slack.server.opened == 3)
    slack.server.direct("U1", "again")
    await slack.heard("hello", "again")


async def test_a_room_that_cannot_be_looked_into_holds_up_no_other(tmp_path: Path, server: SlackServer) -> None:
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        server.direct("U1", "before")
        await slack.heard("before")
    server.retry_delays = ()
    server.mention("U1", "C1", "meanwhile")
    server.fail("conversations.history", SlackFault.ERROR, error="channel_not_found")  # of the direct message
    async with open_slack(tmp_path, server) as slack:
        await slack.until(lambda: slack.spoken("C1") == ["meanwhile"])
        assert server.opened == 2, "one connection of each Portal"


@pytest.mark.parametrize("where", ["private", "thread"])
async def test_a_slack_that_withholds_is_found_out(tmp_path: Path, server: SlackServer, where: str) -> None:
    limits = replace(FAST, silence=1.0)
    async with open_slack(tmp_path, server, limits=limits, probe=0.0, late=0.2) as slack:
        await slack.link()
        ask = server.mention("U1", "C1", "before")
        await slack.heard("before", room="C1", thread=ask)
        server.withholding = True
        if where == "private":
            server.direct("U1", "are you there?")
            await slack.heard("are you there?")
        else:
            server.say("U1", "C1", "are you there?", thread=ask)
            await slack.heard("before", "are you there?", room="C1", thread=ask)
        (status,) = slack.portal.portal.channels.status()
        assert status["repairs"] >= 1
        assert server.opened >= 2


async def test_a_slack_that_says_nothing_at_all_is_left(tmp_path: Path, server: SlackServer) -> None:
    async with open_slack(tmp_path, server, limits=replace(FAST, silence=0.5)) as slack:
        await slack.link()
        server.mute = True
        await slack.until(lambda: server.opened >= 2)
        server.mute = False
        server.direct("U1", "hello")
        await slack.heard("hello")


async def test_a_token_that_is_not_taken_is_told(tmp_path: Path, server: SlackServer) -> None:
    server.revoked = True
    async with open_slack(tmp_path, server, by_http=True) as slack:
        channels = slack.portal.portal.channels
        await slack.until(lambda: bool(server.calls))
        async with asyncio.timeout(30):
            while channels.status()[0]["state"] != "refused":
                await asyncio.sleep(0.01)
        assert "token_revoked" in channels.status()[0]["detail"]


@pytest.mark.parametrize("reason", ["revoked", "missing"])
async def test_a_token_that_is_revoked_later_is_told(tmp_path: Path, server: SlackServer, reason: str) -> None:
    """Its socket stays open. That some rooms cannot be looked into is no reason to hear nothing more."""
    async with open_slack(tmp_path, server, limits=replace(FAST, silence=1.0), probe=0.0) as slack:
        await slack.link()
        server.direct("U1", "hello")
        await slack.heard("hello")
        looked = len(server.called("conversations.history"))
        if reason == "missing":
            assert server.scopes is not None
            server.scopes.discard("channels:history")
            server.scopes.discard("im:history")
        else:
            server.revoked = True
        channels = slack.portal.portal.channels
        if reason == "missing":
            await slack.until(lambda: len(server.called("conversations.history")) > looked + 1)
            server.direct("U1", "still there?")
            await slack.heard("hello", "still there?")
            assert channels.status()[0]["state"] == "up"
            return
        async with asyncio.timeout(30):
            while channels.status()[0]["state"] != "refused":
                await asyncio.sleep(0.01)
        assert "token_revoked" in channels.status()[0]["detail"]


async def test_a_deleted_or_archived_room_holds_nothing_up(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(gate, TextDelta("too late"))
    slack.server.mention("U1", "C1", "count")
    await slack.until(lambda: all(one.acked for one in slack.server.deliveries))
    slack.server.world.rooms["C1"].archived = True
    gate.set()
    slack.server.direct("U1", "hello")
    await slack.heard("hello")


async def test_a_message_that_people_deleted_is_no_trouble(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    slack.server.direct("U1", "count")
    await slack.until(lambda: slack.spoken())
    slack.server.delete(slack.room, slack.server.world.messages(slack.room)[-1]["ts"])
    gate.set()
    slack.server.direct("U1", "hello")
    await slack.until(lambda: slack.spoken()[-1:] == ["hello"])


@pytest.mark.parametrize("mode", ["direct", "thread"])
async def test_an_answer_cut_off_by_a_crash_is_completed_in_place(
    tmp_path: Path, server: SlackServer, mode: str
) -> None:
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        slack.backend.script(TextDelta("Half"), asyncio.Event())
        ask = server.direct("U1", "go") if mode == "direct" else server.mention("U1", "C1", "go")
        place = (slack.room, "") if mode == "direct" else ("C1", ask)
        await slack.until(lambda: slack.spoken(*place) == ["Half"])
        for method in ("chat.update", "chat.stopStream", "chat.postMessage"):
            server.fail(method, SlackFault.TIMEOUT, times=1000)
    server._failures.clear()
    async with open_slack(tmp_path, server) as slack:
        await slack.until(lambda: slack.spoken(*place)[0].startswith("Half\n") and not slack.streaming())
        assert len(slack.spoken(*place)) == 1


async def test_a_file_whose_reply_was_lost_is_not_sent_again(tmp_path: Path, server: SlackServer) -> None:
    desk = Desk()
    async with open_slack(tmp_path, server, backend=able(), toolsets=desk.toolsets()) as slack:
        await slack.link()
        slack.backend.script(*calls(("draw", {})))
        slack.backend.script(*says("Here it is."))
        server.fail("files.completeUploadExternal", SlackFault.NO_REPLY)
        server.direct("U1", "draw")
        await slack.until(lambda: [one for one in server.called("files.completeUploadExternal") if one.done])
    async with open_slack(tmp_path, server, backend=able(), toolsets=desk.toolsets()) as slack:
        slack.backend.script(*says("Fine."))
        server.direct("U1", "thanks")
        await slack.until(lambda: "Fine." in slack.spoken())
        assert len([one for one in server.world.messages(slack.room) if one.get("files")]) == 1
        assert len(server.called("files.completeUploadExternal")) == 1


@pytest.mark.parametrize("fault", [SlackFault.SERVER_ERROR, SlackFault.RATELIMITED, SlackFault.TIMEOUT])
async def test_a_reply_in_a_thread_that_slack_does_not_tell_of_is_not_lost(
    tmp_path: Path, server: SlackServer, fault: SlackFault
) -> None:
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        ask = server.mention("U1", "C1", "one")
        await slack.heard("one", room="C1", thread=ask)
    server.retry_delays = (0.1, 0.5, 1, 1, 1)
    looked = len(server.called("conversations.replies"))
    async with open_slack(tmp_path, server) as slack:  # which does not know the thread any more
        await slack.until(lambda: len(server.called("conversations.replies")) > looked)  # it has caught up
        server.fail("conversations.replies", fault)
        server.say("U1", "C1", "two", thread=ask)
        await slack.heard("one", "two", room="C1", thread=ask)
