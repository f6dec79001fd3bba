"""Talking to Portal in Slack: in private, in channels and threads, in the Assistant pane."""

import asyncio

from portal.channels import words
from portal.core.model import TextDelta
from portal.testing.slack_server import SlackFault
from portal.testing.slack_server_world import BOT_USER

from .conftest import Slack


async def test_a_direct_message_is_answered_where_it_was_written(slack: Slack) -> None:
    slack.server.direct("U1", "hello &lt;you&gt;")
    await slack.heard("hello <you>")
    conversations = (await slack.portal.portal.storage.conversations.list(slack.portal.owner)).data
    assert len(conversations) == 1
    await slack.until(lambda: all(one.acked for one in slack.server.deliveries))


async def test_a_stranger_is_refused_and_linked_by_a_code(slack: Slack) -> None:
    slack.server.world.add_person("U2", "Eve")
    room = slack.server.world.direct("U2").id
    slack.server.direct("U2", "hi")
    stranger = words.STRANGER.replace("`/link", "`/portal link")
    await slack.heard(stranger, room=room)
    (asked,) = await slack.portal.portal.channels.pairing.pending()
    assert asked.sender.name == "Eve"
    code, _ = await slack.portal.portal.channels.linking.offer(slack.portal.owner)
    told = await slack.server.command("U2", room, "/portal", f"link {code}")
    assert told.acked
    await slack.heard(stranger, words.LINKED, room=room)


async def test_a_mention_is_streamed_into_its_thread(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    ask = slack.server.mention("U1", "C1", "count")
    await slack.until(lambda: [said.strip() for said in slack.spoken("C1", ask)] == ["One"])
    assert slack.streaming()
    gate.set()
    await slack.heard("One two.", room="C1", thread=ask)
    (asked,) = slack.backend.requests
    assert asked.messages[-1]["content"] == "count"
    (start,) = slack.server.called("chat.startStream")
    assert (start.args["recipient_user_id"], start.args["thread_ts"]) == ("U1", ask)
    assert not slack.server.world.messages("C1", ask)[-1]["blocks"][1:]  # no stop button any more


async def test_a_stream_that_says_all_before_the_answer_is_over_is_ended(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(TextDelta("All of it."), gate)
    ask = slack.server.mention("U1", "C1", "say it")
    await slack.until(lambda: slack.spoken("C1", ask) == ["All of it."])
    assert slack.streaming()
    gate.set()
    await slack.heard("All of it.", room="C1", thread=ask)


async def test_in_a_thread_of_its_own_portal_answers_without_being_named(slack: Slack) -> None:
    ask = slack.server.mention("U1", "C1", "one")
    await slack.heard("one", room="C1", thread=ask)
    slack.server.say("U1", "C1", "two", thread=ask)
    await slack.heard("one", "two", room="C1", thread=ask)
    other = slack.server.say("U1", "C1", "for people only")
    slack.server.say("U1", "C1", "still for people", thread=other)
    slack.server.direct("U1", "after that")
    await slack.heard("after that")
    assert slack.spoken("C1", other) == []
    assert len(slack.backend.requests) == 3


async def test_portal_joins_a_thread_when_it_is_named_there(slack: Slack) -> None:
    root = slack.server.say("U2", "C1", "what do you think?")
    slack.server.mention("U1", "C1", "help us", thread=root)
    await slack.heard("help us", room="C1", thread=root)


async def test_the_assistant_pane_suggests_and_shows_a_status_and_a_title(slack: Slack) -> None:
    room, thread = slack.server.open_assistant("U1")
    await slack.until(lambda: len(slack.server.world.prompts.get((room, thread), ())) == 3)
    gate, more = asyncio.Event(), asyncio.Event()
    slack.backend.script(gate, TextDelta("Fi"), more, TextDelta("ne."))
    slack.server.direct("U1", "plan my day", thread=thread)
    await slack.until(lambda: slack.server.world.statuses)
    gate.set()
    await slack.until(slack.streaming)
    more.set()
    await slack.heard("New Assistant Thread", "Fine.", room=room, thread=thread)
    await slack.until(lambda: slack.server.world.titles.get((room, thread)) == "plan my day")


async def test_an_edited_message_is_answered_anew(slack: Slack) -> None:
    ts = slack.server.direct("U1", "tpyo")
    await slack.heard("tpyo")
    slack.server.edit(slack.room, ts, "typo")
    await slack.until(lambda: slack.spoken()[-1] == "typo")
    before = len(slack.backend.requests)
    slack.server.edit(slack.room, ts, "typo")
    slack.server.direct("U1", "next")
    await slack.until(lambda: slack.spoken()[-1] == "next")
    assert len(slack.backend.requests) == before + 1


async def test_an_answer_is_stopped_by_its_button(slack: Slack) -> None:
    slack.backend.script(TextDelta("Half"), asyncio.Event())
    ask = slack.server.mention("U1", "C1", "go on for ever")
    await slack.until(lambda: slack.spoken("C1", ask) == ["Half"])
    (message,) = slack.server.world.messages("C1", ask)[1:]
    await slack.server.press("U1", "C1", message["ts"], "Stop")
    await slack.until(lambda: not slack.streaming() and words.WAS_STOPPED in slack.spoken("C1", ask)[0])
    assert slack.backend.cancelled == 1


async def test_an_answer_that_is_edited_is_stopped_by_its_button_or_a_word(slack: Slack) -> None:
    slack.backend.script(TextDelta("Half"), asyncio.Event())
    slack.server.direct("U1", "go on for ever")
    await slack.until(lambda: slack.spoken() == ["Half"])
    (message,) = slack.server.world.messages(slack.room)[1:]
    await slack.server.press("U1", slack.room, message["ts"], "Stop")
    await slack.until(lambda: words.WAS_STOPPED in slack.spoken()[0])
    slack.backend.script(TextDelta("Again"), asyncio.Event())
    slack.server.direct("U1", "again")
    await slack.until(lambda: "Again" in slack.spoken())
    slack.server.direct("U1", "stop")
    await slack.until(lambda: slack.backend.cancelled == 2)


async def test_a_question_by_slash_command_in_a_channel_is_answered_in_private(slack: Slack) -> None:
    told = await slack.server.command("U1", "C1", "/portal", "what is one and one?")
    assert "direct message" in str(told.answer)
    await slack.heard("what is one and one?")
    assert slack.spoken("C1") == []
    helped = await slack.server.command("U1", slack.room, "/portal")
    assert helped.acked
    await slack.until(lambda: words.HELP in slack.spoken()[-1])
    assert "`/portal new`" in slack.spoken()[-1]
    assert "`/new`" not in slack.spoken()[-1]


async def test_where_streams_are_limited_answers_are_edited(slack: Slack) -> None:
    slack.server.fail("chat.startStream", SlackFault.RATELIMITED, retry_after=60)
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    ask = slack.server.mention("U1", "C1", "count")
    await slack.until(lambda: slack.server.called("chat.postMessage"))
    gate.set()
    await slack.heard("One two.", room="C1", thread=ask)


async def test_where_streams_are_refused_answers_are_edited(slack: Slack) -> None:
    slack.server.fail("chat.startStream", SlackFault.ERROR, error="channel_type_not_supported")
    slack.backend.script(TextDelta("One "), TextDelta("two."))
    ask = slack.server.mention("U1", "C1", "count")
    await slack.heard("One two.", room="C1", thread=ask)


async def test_an_answer_that_slack_does_not_take_comes_without_markup(slack: Slack) -> None:
    slack.server.fail("chat.postMessage", SlackFault.ERROR, error="invalid_blocks")
    slack.server.direct("U1", "**bold**")
    await slack.heard("**bold**")


async def test_a_thumb_is_feedback(slack: Slack) -> None:
    slack.server.direct("U1", "hello")
    await slack.heard("hello")
    answer = slack.server.world.messages(slack.room)[-1]
    slack.server.react("U1", slack.room, answer["ts"], "+1")
    slack.server.react("U1", slack.room, answer["ts"], "eyes")
    slack.server.unreact("U1", slack.room, answer["ts"], "+1")
    await slack.until(lambda: all(one.acked for one in slack.server.deliveries))
    assert slack.portal.portal.channels.status()[0]["events"] == 3


async def test_the_home_tab_shows_how_portal_is(slack: Slack) -> None:
    slack.server.open_home("U1")
    slack.server.open_home("U2", tab="messages")
    await slack.until(lambda: "U1" in slack.server.world.homes)
    assert words.ALIVE in str(slack.server.world.homes["U1"])
    assert "U2" not in slack.server.world.homes


async def test_long_answers_come_in_several_messages(slack: Slack) -> None:
    text = "\n\n".join(f"Paragraph {number} " + "word " * 150 for number in range(40))
    slack.backend.script(TextDelta(text))
    ask = slack.server.mention("U1", "C1", "write a lot")
    await slack.until(lambda: len(slack.spoken("C1", ask)) >= 3 and not slack.streaming())
    await slack.until(lambda: "Paragraph 39" in slack.spoken("C1", ask)[-1])
    assert all(len(part) <= 12_000 for part in slack.spoken("C1", ask))
    assert BOT_USER not in "".join(slack.spoken("C1", ask))
