"""How the stand-in of Slack reaches an app, seen by slack-sdk's Socket Mode client and by slack-bolt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from portal.testing.slack_server import SlackServer
from portal.testing.slack_server_world import BOT, BOT_USER


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer(post_interval=0) as made:
        made.world.add_channel("C1", "U1")
        yield made


@asynccontextmanager
async def connected(server: SlackServer, *, acking: bool = True) -> AsyncIterator[list[Any]]:
    """slack-sdk's client; what it got."""
    web_client = AsyncWebClient(token=server.bot_token, base_url=server.api)
    client = SocketModeClient(app_token=server.app_token, web_client=web_client, ping_interval=1)
    got: list[Any] = []

    async def take(_: Any, request: Any) -> None:
        got.append(request)
        if acking:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    client.socket_mode_request_listeners.append(take)
    await client.connect()
    await server.wait(lambda: server.sockets)
    try:
        yield got
    finally:
        await client.close()


async def test_events_come_over_a_socket_and_are_acknowledged(server: SlackServer) -> None:
    async with connected(server) as got:
        server.mention("U1", "C1", "hello")
        await server.wait(lambda: all(one.acked for one in server.deliveries))
    kinds = sorted(request.payload["event"]["type"] for request in got)
    assert kinds == ["app_mention", "message"]
    assert {request.type for request in got} == {"events_api"}
    assert got[0].payload["event_id"] != got[1].payload["event_id"]


async def test_what_is_not_acknowledged_comes_again(server: SlackServer) -> None:
    server.retry_delays = (0,)
    async with connected(server, acking=False) as got:
        server.say("U1", "C1", "hello")
        await server.wait(lambda: len(server.deliveries[0].refused) == 2)
    assert [request.retry_attempt for request in got] == [0, 1]
    assert got[0].payload == got[1].payload


async def test_an_event_that_finds_nobody_is_tried_again(server: SlackServer) -> None:
    server.retry_delays = (0, 0, 0)
    server.say("U1", "C1", "hello")
    await server.wait(lambda: len(server.deliveries[0].refused) == 4)
    assert not server.deliveries[0].acked


async def test_events_are_withheld_repeated_and_reordered(server: SlackServer) -> None:
    async with connected(server) as got:
        server.withholding = True
        server.say("U1", "C1", "one")
        server.say("U1", "C1", "two")
        assert len(server.withheld) == 2
        server.repeat = 2
        server.release(reverse=True)
        await server.wait(lambda: all(one.acked for one in server.deliveries))
        server.say("U1", "C1", "three")
        await server.wait(lambda: len(got) == 4 or server.deliveries[-1].attempts == 2)
        await server.wait(lambda: server.deliveries[-1].acked)
    assert [request.payload["event"]["text"] for request in got[:2]] == ["two", "one"]


async def test_several_connections_share_the_events(server: SlackServer) -> None:
    async with connected(server) as first, connected(server) as second:
        assert len(server.sockets) == 2
        for number in range(4):
            server.say("U1", "C1", str(number))
        await server.wait(lambda: all(one.acked for one in server.deliveries))
    assert len(first) == len(second) == 2


async def test_a_connection_that_ends_is_made_anew(server: SlackServer) -> None:
    async with connected(server):
        await server.disconnect("warning", close=False)
        await server.wait(lambda: server.opened == 2)
        await server.disconnect()
        await server.wait(lambda: server.opened >= 3)
        await server.wait(lambda: len(server.sockets) == 1)
        server.cut()
        await server.wait(lambda: server.opened >= 4)


async def test_a_mute_server_says_nothing_at_all(server: SlackServer) -> None:
    opened = AsyncWebClient(base_url=server.api)
    url = (await opened.apps_connections_open(app_token=server.app_token))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url, autoping=False) as socket:
        assert (await socket.receive_json())["type"] == "hello"
        server.mute = True
        await socket.ping(b"x")
        server.say("U1", "C1", "x")
        await server.wait(lambda: server.deliveries[0].refused)
        async with session.get(url.replace("ws", "http", 1)) as used:
            assert used.status == 401


async def test_there_are_at_most_ten_connections(server: SlackServer) -> None:
    opened = AsyncWebClient(base_url=server.api)
    async with aiohttp.ClientSession() as session:
        sockets, first = [], []
        for _ in range(11):
            url = (await opened.apps_connections_open(app_token=server.app_token))["url"]
            sockets.append(await session.ws_connect(url))
            first.append(await sockets[-1].receive_json())
    assert [one["type"] for one in first] == ["hello"] * 10 + ["disconnect"]
    assert first[-1]["reason"] == "too_many_websockets"


def bolt(server: SlackServer) -> tuple[AsyncApp, list[Any]]:
    """An app of slack-bolt, and what came to it."""
    got: list[Any] = []

    async def authorize(**_: Any) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=None, team_id="T0001", bot_id=BOT, bot_user_id=BOT_USER, bot_token=server.bot_token
        )

    client = AsyncWebClient(token=server.bot_token, base_url=server.api)
    app = AsyncApp(
        client=client, signing_secret=server.signing_secret, authorize=authorize, process_before_response=True
    )

    async def take(body: dict[str, Any]) -> None:
        got.append(body)

    async def say(body: dict[str, Any], say: Any) -> None:
        got.append(body)
        await say("hello there")

    async def pressed(ack: Any, body: dict[str, Any], respond: Any) -> None:
        got.append(body)
        await ack()
        if "response_url" in body:
            await respond("pressed", replace_original=False)

    async def asked(ack: Any, body: dict[str, Any]) -> None:
        got.append(body)
        await ack("asked")

    app.event("app_mention")(say)
    app.event("message")(take)
    app.event("app_home_opened")(take)
    app.event("reaction_added")(take)
    app.event("assistant_thread_started")(take)
    app.action("Go")(pressed)
    app.command("/portal")(asked)
    return app, got


@asynccontextmanager
async def bolt_over_http(server: SlackServer) -> AsyncIterator[list[Any]]:
    app, got = bolt(server)
    from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request

    async def take(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    site = web.Application()
    site.router.add_post("/slack", take)
    runner = web.AppRunner(site)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.events_url = server.actions_url = server.commands_url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
    try:
        yield got
    finally:
        await runner.cleanup()


async def everything(server: SlackServer, got: list[Any]) -> None:
    """What people do, and what came of it."""
    room = server.world.direct("U1").id
    server.mention("U1", "C1", "hello")
    await server.wait(lambda: server.world.spoken("C1") == ["hello there"])
    blocks = [
        {
            "type": "actions",
            "elements": [
                {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "Go", "value": "1"}
            ],
        }
    ]
    client = AsyncWebClient(token=server.bot_token, base_url=server.api)
    ts = (await client.chat_postMessage(channel="C1", text="x", blocks=blocks))["ts"]
    pressed = await server.press("U1", "C1", ts, "Go")
    assert pressed.acked
    assert server.responses[0]["text"] == "pressed"
    asked = await server.command("U1", "C1", "/portal", "status")
    assert asked.acked
    assert "asked" in str(asked.answer)
    assert (await server.command("U1", "C1", "/other")).refused
    server.open_home("U1")
    server.open_assistant("U1")
    server.react("U1", "C1", ts, "+1")
    server.direct("U1", "psst")
    await server.wait(lambda: sum(one.acked for one in server.deliveries if one.way == "events_api") >= 6)
    await client.views_publish(user_id="U1", view={"type": "home", "blocks": blocks})
    assert (await server.press_at_home("U1", "Go")).acked
    kinds = {body["event"]["type"] for body in got if "event" in body}
    assert kinds == {"app_mention", "message", "app_home_opened", "assistant_thread_started", "reaction_added"}
    assert any(body.get("channel_id") == "C1" for body in got)
    assert room in {body["event"].get("channel") for body in got if "event" in body}


@asynccontextmanager
async def bolt_over_a_socket(server: SlackServer) -> AsyncIterator[list[Any]]:
    app, got = bolt(server)
    handler = AsyncSocketModeHandler(app, server.app_token)
    handler.client.web_client = app.client
    await handler.connect_async()
    try:
        await server.wait(lambda: server.sockets)
        yield got
    finally:
        await handler.close_async()


async def test_bolt_over_socket_mode(server: SlackServer) -> None:
    async with bolt_over_a_socket(server) as got:
        await everything(server, got)


async def test_bolt_over_http(server: SlackServer) -> None:
    async with bolt_over_http(server) as got:
        assert await server.verify_url(server.events_url)
        await everything(server, got)
        event = next(one for one in server.deliveries if one.way == "events_api")
        assert await server.again(event) == 200
        forged = server.signed("x", secret="other")
        assert await server.again(event, **forged) == 401
        old = server.signed("{}", moment=1_700_000_000)
        assert await server.again(event, **old) == 401


async def test_a_response_address_is_used_up(server: SlackServer) -> None:
    async with bolt_over_a_socket(server):
        asked = await server.command("U1", "C1", "/portal", "x")
        statuses = []
        async with aiohttp.ClientSession() as session:
            for _ in range(6):
                async with session.post(asked.payload["response_url"], json={"text": "x"}) as answer:
                    statuses.append(answer.status)
    assert statuses == [200] * 5 + [404]


async def test_people_edit_delete_and_take_back(server: SlackServer) -> None:
    async with connected(server) as got:
        ts = server.say("U1", "C1", "tpyo")
        server.edit("C1", ts, "typo")
        server.react("U1", "C1", ts, "+1")
        server.unreact("U1", "C1", ts, "+1")
        server.delete("C1", ts)
        server.uninstall()
        await server.wait(lambda: all(one.acked for one in server.deliveries))
        server.world.add_channel("C2", "U1", bot=False)
        server.say("U1", "C2", "not for the app")
    assert len(server.deliveries) == len(got) == 6
    kinds = [one.event.get("subtype", one.event["type"]) for one in server.deliveries]
    assert kinds == [
        "message", "message_changed", "reaction_added", "reaction_removed", "message_deleted", "app_uninstalled",
    ]  # fmt: skip
    assert server.deliveries[1].event["message"]["text"] == "typo"
