"""What rarely happens between Portal and Slack."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from portal.core.channels import Attachment, Button, HookRequest, Outgoing, OutgoingFile, Place
from portal.core.model import TextDelta
from portal.errors import (
    ChannelError,
    ChannelGone,
    ChannelRefused,
    ChannelRejected,
    ChannelUncertain,
    RateLimited,
)
from portal.interfaces.slack import events
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.events import Me
from portal.interfaces.slack.saying import Saying
from portal.interfaces.slack.socket import Socket
from portal.testing.slack_server import SlackFault, SlackServer
from portal.testing.slack_server_world import BOT, BOT_USER, TEAM

from .conftest import Slack, channel, open_slack

ME = Me(user=BOT_USER, bot=BOT, team=TEAM)
HERE = Place(channel="slack", chat="C1", direct=False)


@pytest.fixture
async def api(server: SlackServer) -> AsyncIterator[SlackApi]:
    made = SlackApi(token=server.bot_token, base=server.api.rstrip("/"), timeout=1)
    yield made
    await made.aclose()


def text_file(content: bytes = b"x", name: str = "a.txt") -> Outgoing:
    async def read() -> AsyncIterator[bytes]:
        yield content

    return Outgoing(
        file=OutgoingFile(kind="file", name=name, content_type="text/plain", size=len(content), content=read)
    )


@pytest.mark.parametrize(
    ("word", "error"),
    [
        ("invalid_auth", ChannelRefused),
        ("missing_scope", ChannelRefused),
        ("channel_not_found", ChannelGone),
        ("is_archived", ChannelGone),
        ("invalid_blocks", ChannelRejected),
        ("fatal_error", ChannelUncertain),
        ("ratelimited", RateLimited),
    ],
)
async def test_each_error_is_what_it_means(
    server: SlackServer, api: SlackApi, word: str, error: type[Exception]
) -> None:
    server.fail("chat.postMessage", SlackFault.ERROR, error=word)
    with pytest.raises(error):
        await api.call("chat.postMessage", channel="C1", text="x")


async def test_what_is_limited_is_not_called_before_its_time(server: SlackServer, api: SlackApi) -> None:
    server.fail("chat.update", SlackFault.RATELIMITED, retry_after=60)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await api.call("chat.update", channel="C1", ts="1.1", text="x")
        assert 50 < (caught.value.retry_after or 0) <= 60
    assert len(server.called("chat.update")) == 1


async def test_without_an_answer_reading_was_harmless_and_writing_is_not_known(
    server: SlackServer, api: SlackApi
) -> None:
    server.fail("auth.test", SlackFault.TIMEOUT)
    with pytest.raises(ChannelError) as caught:
        await api.look("auth.test")
    assert type(caught.value) is ChannelError
    server.fail("chat.postMessage", SlackFault.NO_REPLY)
    with pytest.raises(ChannelUncertain):
        await api.call("chat.postMessage", channel="C1", text="x")
    await server.stop()
    with pytest.raises(ChannelError) as caught:
        await api.call("chat.postMessage", channel="C1", text="x")
    assert type(caught.value) is ChannelError


async def test_a_needed_scope_is_named(server: SlackServer, api: SlackApi) -> None:
    assert server.scopes is not None
    server.scopes.discard("users:read")
    with pytest.raises(ChannelRefused, match="users:read"):
        await api.look("users.info", user="U1")


async def test_files_that_do_not_go_or_come(server: SlackServer, api: SlackApi) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"more than it said"

    with pytest.raises(ChannelError, match="did not take"):
        await api.upload(f"{server.url}/upload/v1/F9", content(), 17)
    with pytest.raises(ChannelError, match="did not get"):
        await api.upload("http://127.0.0.1:1/", content(), 17)
    server.upload("U1", "C1", "a.txt", b"0123456789")
    url = server.world.messages("C1")[0]["files"][0]["url_private_download"]
    with pytest.raises(ChannelRejected, match="too large"):
        _ = [chunk async for chunk in api.download(url, 5)]
    api.token = "xoxb-other"
    with pytest.raises(ChannelRejected, match="files:read"):
        _ = [chunk async for chunk in api.download(url, 50)]
    with pytest.raises(ChannelError, match="did not come"):
        _ = [chunk async for chunk in api.download("http://127.0.0.1:1/", 50)]


async def test_the_token_goes_to_slack_alone(server: SlackServer) -> None:
    made = channel(server)
    server.upload("U1", "C1", "a.txt", b"hello")
    file = server.world.messages("C1")[0]["files"][0]
    attachment = Attachment(ref=file["id"], kind="file", name="a.txt")
    assert b"".join([chunk async for chunk in made.fetch(attachment)]) == b"hello"
    server.world.files[file["id"]]["url_private_download"] = "https://elsewhere.example/a.txt"
    with pytest.raises(ChannelRejected, match="not kept by Slack"):
        _ = [chunk async for chunk in made.fetch(attachment)]
    await made.aclose()


async def test_a_file_that_slack_shows_late_has_an_id_of_its_own(server: SlackServer, api: SlackApi) -> None:
    saying = Saying(api=api)
    sent = await saying.send(HERE, text_file(), "n1")
    assert sent == server.world.messages("C1")[-1]["ts"]
    server.fail("files.info", SlackFault.ERROR, error="file_not_found")
    sent = await saying.send(HERE, text_file(), "n2")
    assert sent.startswith("file:")
    with pytest.raises(ChannelRejected):
        await saying.edit(HERE, sent, Outgoing(text="x"))


async def test_a_stream_that_ended_by_itself_is_completed(server: SlackServer, api: SlackApi) -> None:
    saying = Saying(api=api)
    saying.team = TEAM
    ask = server.mention("U1", "C1", "hi")
    place = Place(channel="slack", chat="C1", thread=ask, direct=False)
    assert not saying.streams(place)
    saying.asked_by(place, "U1")
    assert saying.streams(place)
    ts = await saying.begin(place, "One ", "n1")
    await saying.append(place, ts, "two")
    server.world.rooms["C1"].streaming.clear()
    with pytest.raises(ChannelRejected):
        await saying.append(place, ts, "three")
    buttons = [[Button(action="approve", value="a", label="Allow"), Button(action="deny", value="a", label="Deny")]]
    await saying.end(place, ts, Outgoing(text="One two three", buttons=buttons))
    assert server.world.spoken("C1", ask) == ["One two three"]
    server.fail("chat.stopStream", SlackFault.ERROR, error="not_in_channel")
    with pytest.raises(ChannelGone):
        await saying.end(place, ts, Outgoing(text="x"))
    server.fail("chat.stopStream", SlackFault.ERROR, error="message_not_found")
    with pytest.raises(ChannelRejected):
        await saying.end(place, ts, Outgoing(text="x"))
    for number in range(2_100):
        saying.asked_by(Place(channel="slack", chat="C1", thread=str(number)), "U1")
    assert not saying.streams(place)


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.startStream", "files.completeUploadExternal"])
async def test_what_has_no_reply_is_found_by_its_mark(server: SlackServer, method: str) -> None:
    made = channel(server, api=SlackApi(token=server.bot_token, base=server.api, timeout=1))
    ask = server.mention("U1", "C1", "hi")
    place = Place(channel="slack", chat="C1", thread=ask, direct=False)
    made._saying.asked_by(place, "U1")
    await made._who()
    server.fail(method, SlackFault.NO_REPLY)
    calls: dict[str, Callable[[], Any]] = {
        "chat.startStream": lambda: made.begin(place, "One", "dlv_1:0"),
        "chat.postMessage": lambda: made.send(place, Outgoing(text="One"), "dlv_1:0"),
        "files.completeUploadExternal": lambda: made.send(place, text_file(), "dlv_1:0"),
    }
    with pytest.raises(ChannelUncertain):
        await calls[method]()
    assert await made.find(place, "dlv_1:0", 0) == server.world.messages("C1", ask)[-1]["ts"]
    assert await made.find(place, "dlv_1:1", 0) is None
    await made.aclose()


async def test_a_long_history_is_looked_through(server: SlackServer) -> None:
    made = channel(server)
    sent = await made.send(HERE, Outgoing(text="One"), "n1")
    for number in range(250):
        server.say("U1", "C1", str(number))
    assert await made.find(HERE, "n1", 0) == sent
    await made.aclose()


async def test_before_it_is_connected_nothing_is_taken(server: SlackServer) -> None:
    made = channel(server, by_http=True)
    with pytest.raises(ChannelError):
        await made.receive(HookRequest(headers={}, body=b""))
    with pytest.raises(ChannelError):
        await made._accept(None)
    await made.typing(Place(channel="slack", chat="C1"), "")
    await made.probe()
    assert server.calls == []


async def test_what_slack_cannot_do_beside_the_messages_is_no_trouble(slack: Slack) -> None:
    for method in ("users.info", "conversations.info", "conversations.replies"):
        slack.server.fail(method, SlackFault.SERVER_ERROR, times=3)
    slack.server.fail("assistant.threads.setStatus", SlackFault.ERROR, error="invalid_thread_ts", times=3)
    slack.server.fail("views.publish", SlackFault.SERVER_ERROR)
    slack.server.open_home("U1")
    ask = slack.server.mention("U1", "C1", "hello")
    await slack.heard("hello", room="C1", thread=ask)
    await slack.until(lambda: slack.server.called("views.publish"))
    slack.server.fail("conversations.open", SlackFault.SERVER_ERROR)
    refused = await slack.server.command("U1", "C1", "/portal", "help")
    assert refused.refused
    assert (await slack.server.command("U1", "C1", "/portal", "/help")).acked


async def test_catching_up_waits_where_slack_says_so(tmp_path: Path, server: SlackServer) -> None:
    async with open_slack(tmp_path, server) as slack:
        await slack.link()
        server.direct("U1", "before")
        await slack.heard("before")
    server.retry_delays = ()
    server.direct("U1", "meanwhile")
    server.fail("users.conversations", SlackFault.RATELIMITED)
    server.fail("conversations.history", SlackFault.RATELIMITED)
    async with open_slack(tmp_path, server) as slack:
        await slack.heard("before", "meanwhile")


async def test_socket_mode_that_is_switched_off_is_told(slack: Slack) -> None:
    await slack.server.disconnect("link_disabled")
    channels = slack.portal.portal.channels
    async with asyncio.timeout(30):
        while channels.status()[0]["state"] != "refused":
            await asyncio.sleep(0.01)


async def talk(
    server: SlackServer, handle: Callable[[web.WebSocketResponse], Any], **more: Any
) -> BaseException | None:
    """What comes of a connection to a server that behaves like this."""

    async def speak(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        await handle(socket)
        return socket

    site = web.Application()
    site.router.add_get("/", speak)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = SlackApi(token=server.bot_token, base=server.api)
    server.ticket = lambda url: f"ws://127.0.0.1:{runner.addresses[0][1]}/"  # type: ignore[method-assign]

    async def take(kind: str, payload: Any) -> Any:
        return None

    socket = Socket(api=api, token=server.app_token, take=take, alive=lambda: None, **more)
    try:
        async with asyncio.TaskGroup() as group:
            await socket.run(group, lambda: None)
    except BaseExceptionGroup as errors:
        return errors.exceptions[0]
    finally:
        await api.aclose()
        await runner.cleanup()
    return None


async def test_a_connection_that_is_none(server: SlackServer) -> None:
    async def odd(socket: web.WebSocketResponse) -> None:
        await socket.ping()
        await socket.send_str("<html>")

    async def off(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"type": "disconnect", "reason": "link_disabled"})

    async def full(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"type": "disconnect", "reason": "too_many_websockets"})

    assert "cannot be heard" in str(await talk(server, odd))
    assert isinstance(await talk(server, off), ChannelRefused)
    error = await talk(server, full)
    assert type(error) is ChannelError


async def test_a_quiet_connection_is_pinged_and_what_cannot_be_dealt_with_is_not_acknowledged(
    server: SlackServer,
) -> None:
    got: list[Any] = []

    async def quiet(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"type": "hello"})
        await socket.send_json({"envelope_id": "e1", "type": "events_api", "payload": {}})
        await socket.send_json({"type": "odd"})
        got.append(await socket.receive())
        await socket.close()

    assert "lost" in str(await talk(server, quiet, ping=0.05))
    assert got[0].type.name == "PING"


async def test_what_is_no_message_of_a_person() -> None:
    base = {"channel": "C1", "ts": "1.1", "user": "U1", "text": "x"}
    for event in (
        {**base, "subtype": "channel_join"},
        {**base, "bot_id": "B2"},
        {**base, "user": BOT_USER},
        {**base, "user": "USLACKBOT"},
        {"channel": "C1", "subtype": "message_changed", "message": {**base, "bot_id": "B2", "edited": {"ts": "1"}}},
        {"channel": "C1", "subtype": "message_changed", "message": base, "previous_message": base},
    ):
        assert events.message(event, ME, "slack") is None
    action: dict[str, Any] = {"actions": [{"action_id": "x"}], "user": {"id": "U1"}}
    assert events.press(action, "slack", "") is None
    voice = {"id": "F1", "mimetype": "audio/webm", "subtype": "slack_audio", "name": "a.webm"}
    assert events.attachment(voice).voice
    kinds = {"image/png": "image", "image/svg+xml": "file", "video/mp4": "video", "application/pdf": "file"}
    assert {kind: events.attachment({"id": "F", "mimetype": kind}).kind for kind in kinds} == kinds
    odd = {"event_id": "Ev1", "event": {"type": "reaction_added", "reaction": "eyes", "item": {}}}
    assert events.reaction(odd, ME, "slack") is None


async def test_a_stop_button_is_for_those_who_are_linked(slack: Slack) -> None:
    slack.backend.script(TextDelta("Half"), asyncio.Event())
    ask = slack.server.mention("U1", "C1", "go on for ever")
    await slack.until(lambda: slack.spoken("C1", ask) == ["Half"])
    (message,) = slack.server.world.messages("C1", ask)[1:]
    assert (await slack.server.press("U2", "C1", message["ts"], "Stop")).acked
    assert slack.backend.cancelled == 0
    await slack.server.press("U1", "C1", message["ts"], "Stop")
    await slack.until(lambda: slack.backend.cancelled == 1)
