"""The stand-in of Slack's Web API, seen by Slack's own Python client."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from portal.testing.slack_server import SlackFault, SlackServer
from portal.testing.slack_server_world import BOT, BOT_USER, TEAM


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer(post_interval=0) as made:
        made.world.add_channel("C1", "U1", "U2")
        yield made


@pytest.fixture
def client(server: SlackServer) -> AsyncWebClient:
    return AsyncWebClient(token=server.bot_token, base_url=server.api, timeout=5, retry_handlers=[])


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(label: str = "Go", **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": label, **more}


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_who_one_is_and_who_is_refused(server: SlackServer, client: AsyncWebClient) -> None:
    me = await client.auth_test()
    assert (me["user_id"], me["bot_id"], me["team_id"]) == (BOT_USER, BOT, TEAM)
    assert await error_of(AsyncWebClient(base_url=server.api).auth_test()) == "not_authed"
    assert await error_of(AsyncWebClient(token="xoxb-no", base_url=server.api).auth_test()) == "invalid_auth"
    assert await error_of(client.apps_connections_open(app_token=server.bot_token)) == "not_allowed_token_type"
    assert await error_of(AsyncWebClient(token=server.app_token, base_url=server.api).auth_test()) == (
        "not_allowed_token_type"
    )
    assert await error_of(client.api_call("users.everything")) == "unknown_method"
    server.revoked = True
    assert await error_of(client.auth_test()) == "token_revoked"


async def test_a_message_is_posted_changed_and_deleted(server: SlackServer, client: AsyncWebClient) -> None:
    metadata = {"event_type": "portal", "event_payload": {"nonce": "n1"}}
    sent = await client.chat_postMessage(channel="C1", text="hello", metadata=metadata)
    ts = sent["ts"]
    plain = (await client.conversations_history(channel="C1"))["messages"]
    assert "metadata" not in plain[0]
    await client.chat_update(channel="C1", ts=ts, text="better", blocks=[section("*better*")])
    (kept,) = (await client.conversations_history(channel="C1", include_all_metadata=True))["messages"]
    assert (kept["metadata"], kept["text"], kept["bot_id"]) == (metadata, "better", BOT)
    assert server.world.spoken("C1") == ["*better*"]
    await client.chat_delete(channel="C1", ts=ts)
    assert server.world.messages("C1") == []
    assert await error_of(client.chat_update(channel="C1", ts=ts, text="x")) == "message_not_found"
    assert await error_of(client.chat_delete(channel="C1", ts=ts)) == "message_not_found"
    theirs = server.say("U1", "C1", "mine")
    assert await error_of(client.chat_update(channel="C1", ts=theirs, text="x")) == "cant_update_message"
    assert await error_of(client.chat_delete(channel="C1", ts=theirs)) == "cant_delete_message"


async def test_where_one_may_write(server: SlackServer, client: AsyncWebClient) -> None:
    for room, members, kind in (("C2", ["U1"], "channel"), ("G1", ["U1"], "group")):
        server.world.add_channel(room, *members, kind=kind, bot=False)
    old = server.world.add_channel("C3", "U1")
    errors = {"C2": "not_in_channel", "G1": "channel_not_found", "C9": "channel_not_found"}
    for room, error in errors.items():
        assert await error_of(client.chat_postMessage(channel=room, text="x")) == error
    ts = (await client.chat_postMessage(channel="C3", text="x"))["ts"]
    old.archived = True
    assert await error_of(client.chat_postMessage(channel="C3", text="x")) == "is_archived"
    assert await error_of(client.chat_update(channel="C3", ts=ts, text="x")) == "is_inactive"
    old.deleted = True
    assert await error_of(client.chat_postMessage(channel="C3", text="x")) == "channel_not_found"
    assert await error_of(client.conversations_history(channel="C2")) == "not_in_channel"
    sent = await client.chat_postMessage(channel="U1", text="in private")
    opened = await client.conversations_open(users="U1")
    assert sent["channel"] == opened["channel"]["id"]
    assert (await client.conversations_info(channel=sent["channel"]))["channel"]["is_im"]
    assert await error_of(client.conversations_open(users="U404")) == "user_not_found"
    assert await error_of(client.chat_postMessage(channel="C1", text="x", thread_ts="1.2")) == "thread_not_found"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "  "}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"markdown_text": "x", "text": "y"}, "markdown_text_conflict"),
        ({"blocks": [section("x")] * 51, "text": "x"}, "invalid_blocks"),
        ({"blocks": [section("x" * 3001)], "text": "x"}, "invalid_blocks"),
        ({"blocks": [section("")], "text": "x"}, "invalid_blocks"),
        ({"blocks": [{"type": "section"}], "text": "x"}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x" * 2001}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "section", "fields": [{"type": "mrkdwn", "text": "x"}] * 11}]}, "invalid_blocks"),
        ({"blocks": [{**section("x"), "accessory": button("x" * 76)}]}, "invalid_blocks"),
        ({"blocks": [{"type": "markdown", "text": "x" * 12_001}], "text": "x"}, "invalid_blocks"),
        ({"blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2, "text": "x"}, "msg_blocks_too_long"),
        ({"blocks": [section("x" * 2_900)] * 5, "text": "x"}, "msg_blocks_too_long"),
        ({"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]}, "invalid_blocks"),
        ({"blocks": [{"type": "context", "elements": []}]}, "invalid_blocks"),
        (
            {"blocks": [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x", "emoji": True}]}]},
            "invalid_blocks",
        ),
        ({"blocks": [{"type": "actions", "elements": [button(), button()]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [button(value="x" * 2001)]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [button(style="blue")]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [{**button(), "action_id": "x" * 256}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": ["x"]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "actions", "elements": [{"type": "slider"}]}]}, "invalid_blocks"),
        ({"blocks": [{"type": "image", "alt_text": "x"}]}, "invalid_blocks"),
        ({"blocks": [{"type": "table"}]}, "invalid_blocks"),
        ({"blocks": [{**section("x"), "block_id": "a"}] * 2}, "invalid_blocks"),
        ({"blocks": [{**section("x"), "block_id": "a" * 256}]}, "invalid_blocks"),
        ({"blocks": ["x"]}, "invalid_blocks_format"),
        ({"blocks": "[{"}, "invalid_blocks_format"),
        ({"text": "x", "metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"text": "x", "metadata": {"event_type": 1, "event_payload": {}}}, "invalid_metadata_schema"),
        ({"text": "x", "metadata": {"event_type": "x", "event_payload": {"x": "x" * 8000}}}, "metadata_too_large"),
        ({"text": {"x": 1}}, "invalid_arguments"),
    ],
)
async def test_what_a_message_may_not_be(client: AsyncWebClient, content: dict[str, Any], error: str) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.api_call("chat.postMessage", json={"channel": "C1", **content})
    assert caught.value.response["error"] == error


async def test_an_update_takes_less_text(server: SlackServer, client: AsyncWebClient) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="x"))["ts"]
    assert await error_of(client.chat_update(channel="C1", ts=ts, text="x" * 4001)) == "msg_too_long"
    blocks = [{"type": "markdown", "text": "x" * 12_000}]
    await client.chat_update(channel="C1", ts=ts, text="x", blocks=blocks)
    assert server.world.spoken("C1") == ["x" * 12_000]


async def test_a_stream_grows_and_stops(server: SlackServer, client: AsyncWebClient) -> None:
    ask = server.mention("U1", "C1", "tell")
    stream = await client.chat_stream(
        channel="C1", thread_ts=ask, recipient_team_id=TEAM, recipient_user_id="U1", buffer_size=1
    )
    await stream.append(markdown_text="one ")
    await stream.append(markdown_text="two")
    assert server.world.spoken("C1", ask) == ["one two"]
    assert stream.ts
    assert await error_of(client.chat_update(channel="C1", ts=stream.ts, text="x")) == "streaming_state_conflict"
    metadata = {"event_type": "portal", "event_payload": {"nonce": "n"}}
    await stream.stop(markdown_text=".", blocks=[{"type": "divider"}], metadata=metadata)
    replies = await client.conversations_replies(channel="C1", ts=ask, include_all_metadata=True)
    assert [one["text"] for one in replies["messages"]] == [f"<@{BOT_USER}> tell", "one two."]
    assert replies["messages"][1]["metadata"] == metadata
    again = client.chat_appendStream(channel="C1", ts=stream.ts, markdown_text="x")
    assert await error_of(again) == "message_not_in_streaming_state"
    await client.chat_update(channel="C1", ts=stream.ts, text="changed")
    assert server.world.spoken("C1", ask) == ["changed"]


async def test_what_a_stream_may_not_be(server: SlackServer, client: AsyncWebClient) -> None:
    ask = server.mention("U1", "C1", "tell")
    who = {"recipient_team_id": TEAM, "recipient_user_id": "U1"}
    start = client.chat_startStream
    assert await error_of(start(channel="C1", thread_ts=ask)) == "missing_recipient_team_id"
    assert await error_of(start(channel="C1", thread_ts=ask, recipient_team_id=TEAM)) == "missing_recipient_user_id"
    assert await error_of(start(channel="C1", thread_ts=ask, recipient_team_id=TEAM, recipient_user_id="U9")) == (
        "user_not_found"
    )
    assert await error_of(start(channel="C1", thread_ts=ask, markdown_text="x" * 12_001, **who)) == "msg_too_long"
    assert await error_of(start(channel="C1", thread_ts=ask, chunks=[{"type": "odd"}], **who)) == "invalid_chunks"
    private = server.direct("U1", "hi")
    room = server.world.direct("U1").id
    with pytest.raises(SlackApiError):
        await client.api_call("chat.startStream", json={"channel": room})
    ts = (await start(channel=room, thread_ts=private, markdown_text="x" * 12_000))["ts"]
    assert await error_of(client.chat_appendStream(channel=room, ts=ts)) == "no_text"
    assert await error_of(client.chat_appendStream(channel=room, ts=ts, markdown_text="y")) == "msg_too_long"
    assert await error_of(client.chat_appendStream(channel=room, ts=private, markdown_text="y")) == (
        "message_not_owned_by_app"
    )
    steps = [
        {"type": "task_update", "id": "1", "title": "t", "status": "pending"},
        {"type": "plan_update", "title": "t"},
        {"type": "blocks", "blocks": [{"type": "divider"}]},
    ]
    await client.api_call("chat.appendStream", json={"channel": room, "ts": ts, "chunks": steps})
    both = {"channel": room, "ts": ts, "markdown_text": "x", "chunks": []}
    with pytest.raises(SlackApiError):
        await client.api_call("chat.appendStream", json=both)


async def test_history_is_paged_and_bounded(server: SlackServer, client: AsyncWebClient) -> None:
    said = [server.say("U1", "C1", str(number)) for number in range(5)]
    server.say("U2", "C1", "in a thread", thread=said[0])
    page = await client.conversations_history(channel="C1", limit=3)
    assert [one["text"] for one in page["messages"]] == ["4", "3", "2"]
    rest = await client.conversations_history(channel="C1", limit=3, cursor=page["response_metadata"]["next_cursor"])
    assert [one["text"] for one in rest["messages"]] == ["1", "0"]
    assert rest["messages"][-1]["latest_reply"]
    newer = await client.conversations_history(channel="C1", oldest=said[3])
    assert [one["text"] for one in newer["messages"]] == ["4"]
    newer = await client.conversations_history(channel="C1", oldest=said[3], inclusive=True)
    assert [one["text"] for one in newer["messages"]] == ["4", "3"]
    assert await error_of(client.conversations_history(channel="C1", limit=5000)) == "invalid_limit"
    assert await error_of(client.conversations_history(channel="C1", cursor="x")) == "invalid_cursor"
    assert await error_of(client.conversations_replies(channel="C1", ts="1.1")) == "thread_not_found"
    server.world.direct("U1")
    rooms = await client.users_conversations(types="public_channel,im", exclude_archived=True)
    assert {one["id"] for one in rooms["channels"]} == {"C1", server.world.direct("U1").id}
    assert await error_of(client.users_conversations(types="odd")) == "invalid_types"
    assert (await client.users_info(user="U1"))["user"]["real_name"] == "U1"
    assert await error_of(client.users_info(user="U9")) == "user_not_found"


async def test_files_go_both_ways(server: SlackServer, client: AsyncWebClient) -> None:
    await client.files_upload_v2(channel="C1", filename="a.txt", content="hello", initial_comment="look")
    (shared,) = server.world.messages("C1")
    assert (shared["text"], shared["files"][0]["name"], shared["subtype"]) == ("look", "a.txt", "file_share")
    file = shared["files"][0]["id"]
    assert server.world.contents[file] == b"hello"
    shares = (await client.files_info(file=file))["file"]["shares"]
    assert shares["public"]["C1"][0]["ts"] == shared["ts"]
    server.upload("U1", "C1", "b.pdf", b"%PDF", text=f"<@{BOT_USER}> read it")
    theirs = server.world.messages("C1")[-1]["files"][0]
    async with aiohttp.ClientSession() as session:
        bearer = {"Authorization": f"Bearer {server.bot_token}"}
        async with session.get(theirs["url_private_download"], headers=bearer) as answer:
            assert await answer.read() == b"%PDF"
        async with session.get(theirs["url_private_download"]) as answer:
            assert "Sign in" in await answer.text()
        async with session.get(f"{server.url}/files-pri/T-F9/download/x", headers=bearer) as answer:
            assert answer.status == 404
        async with session.post(f"{server.url}/upload/v1/F9", data=b"x") as answer:
            assert answer.status == 400
    assert await error_of(client.files_info(file="F9")) == "file_not_found"
    assert await error_of(client.files_getUploadURLExternal(filename="x", length=0)) == "invalid_arguments"
    assert await error_of(client.files_getUploadURLExternal(filename="x", length=2**31)) == (
        "file_upload_size_restricted"
    )
    assert await error_of(client.files_completeUploadExternal(files=[{"id": "F9", "title": "x"}])) == "file_not_found"


async def test_reactions_home_and_assistant(server: SlackServer, client: AsyncWebClient) -> None:
    ts = server.say("U1", "C1", "x")
    await client.reactions_add(channel="C1", timestamp=ts, name="eyes")
    assert await error_of(client.reactions_add(channel="C1", timestamp=ts, name="eyes")) == "already_reacted"
    assert await error_of(client.reactions_add(channel="C1", timestamp="1.1", name="eyes")) == "message_not_found"
    await client.views_publish(user_id="U1", view={"type": "home", "blocks": [section("x")]})
    assert server.world.homes["U1"]["blocks"] == [section("x")]
    home = {"type": "home", "blocks": [{"type": "markdown", "text": "x"}]}
    assert await error_of(client.views_publish(user_id="U1", view=home)) == "invalid_blocks"
    assert await error_of(client.views_publish(user_id="U1", view={"type": "modal"})) == "invalid_arguments"
    assert await error_of(client.views_publish(user_id="U9", view=home)) == "user_not_found"
    large = {"type": "home", "blocks": [], "private_metadata": "x" * 3001}
    assert await error_of(client.views_publish(user_id="U1", view=large)) == "invalid_arguments"
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "x"}, "blocks": [section("x")]}
    await client.views_open(trigger_id="1", view=modal)
    assert len(server.world.modals) == 1
    room, thread = server.open_assistant("U1")
    prompts = [{"title": "Plan", "message": "Plan my day"}]
    await client.assistant_threads_setSuggestedPrompts(channel_id=room, thread_ts=thread, prompts=prompts)
    await client.assistant_threads_setStatus(channel_id=room, thread_ts=thread, status="is thinking")
    await client.assistant_threads_setTitle(channel_id=room, thread_ts=thread, title="Day")
    assert server.world.prompts[room, thread] == prompts
    assert server.world.statuses == [(room, thread, "is thinking")]
    assert server.world.titles[room, thread] == "Day"
    wrong = client.assistant_threads_setStatus(channel_id=room, thread_ts="1.1", status="")
    assert await error_of(wrong) == "invalid_thread_ts"
    for bad in ([], [{"title": "x"}]):
        wrong = client.assistant_threads_setSuggestedPrompts(channel_id=room, thread_ts=thread, prompts=bad)
        assert await error_of(wrong) == "invalid_arguments"
    await client.chat_postEphemeral(channel="C1", user="U1", text="psst")
    assert server.world.ephemerals[0]["text"] == "psst"
    assert await error_of(client.chat_postEphemeral(channel="C1", user="U9", text="x")) == "user_not_in_channel"


async def test_too_many_calls_are_told_when_to_come_again(client: AsyncWebClient, server: SlackServer) -> None:
    server.post_interval = 60
    await client.chat_postMessage(channel="C1", text="1")
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C1", text="2")
    assert caught.value.response.status_code == 429
    assert 0 < int(caught.value.response.headers["Retry-After"]) <= 60
    server.world.add_channel("C2", "U1")
    await client.chat_postMessage(channel="C2", text="elsewhere")
    for _ in range(50):
        await client.conversations_info(channel="C1")
    assert await error_of(client.conversations_info(channel="C1")) == "ratelimited"
    server.limited = False
    await client.conversations_info(channel="C1")


async def test_every_fault_is_what_it_says(server: SlackServer, client: AsyncWebClient) -> None:
    say = client.chat_postMessage
    server.fail("chat.postMessage", SlackFault.RATELIMITED, retry_after=7)
    with pytest.raises(SlackApiError) as caught:
        await say(channel="C1", text="1")
    assert caught.value.response.headers["Retry-After"] == "7"
    server.fail("chat.postMessage", SlackFault.ERROR, error="restricted_action", after=1)
    await say(channel="C1", text="fine")
    assert await error_of(say(channel="C1", text="2")) == "restricted_action"
    server.fail("chat.postMessage", SlackFault.SERVER_ERROR, times=2)
    for _ in range(2):
        with pytest.raises(SlackApiError):
            await say(channel="C1", text="3")
    server.fail("chat.postMessage", SlackFault.DROPPED)
    with pytest.raises(aiohttp.ClientError):
        await say(channel="C1", text="4")
    server.fail("chat.postMessage", SlackFault.CUT)
    with pytest.raises(aiohttp.ClientError):
        await say(channel="C1", text="5")
    client.timeout = 1
    for fault in (SlackFault.TIMEOUT, SlackFault.NO_REPLY):
        server.fail("chat.postMessage", fault)
        with pytest.raises(TimeoutError):
            await say(channel="C1", text=fault.name)
    assert server.world.spoken("C1") == ["fine", "5", "NO_REPLY"]
    assert [call.done for call in server.called("chat.postMessage")] == [
        False, True, False, False, False, False, True, False, True,
    ]  # fmt: skip


async def test_an_installed_app_may_do_what_its_manifest_says(server: SlackServer, client: AsyncWebClient) -> None:
    manifest = {
        "features": {},
        "oauth_config": {"scopes": {"bot": ["chat:write"]}},
        "settings": {"event_subscriptions": {"bot_events": ["app_mention", "app_home_opened"]}},
    }
    server.install(manifest)
    await client.chat_postMessage(channel="C1", text="x")
    with pytest.raises(SlackApiError) as caught:
        await client.conversations_history(channel="C1")
    assert caught.value.response["needed"] == "channels:history"
    server.mention("U1", "C1", "hi")
    server.open_home("U1")
    assert [one.event["type"] for one in server.deliveries] == ["app_mention"]
    opening = client.apps_connections_open(app_token=server.app_token)
    assert await error_of(opening) == "socket_mode_not_enabled"


async def test_waiting_ends(server: SlackServer) -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError):
        await server.wait(lambda: False, 0.01)
    server.spawn(asyncio.sleep(3600))
    assert time.monotonic() - before < 30
