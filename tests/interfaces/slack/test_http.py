"""Slack that posts to Portal: signed, in time, once."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from portal.core.clock import micros, seconds
from portal.core.model import TextDelta
from portal.interfaces.slack.manifest import manifest
from portal.testing.portal import open_test_portal
from portal.testing.slack_server import SlackServer

from .conftest import Slack, open_slack


@pytest.fixture
async def slack(tmp_path: Path, server: SlackServer) -> AsyncIterator[Slack]:
    server.install(manifest("https://portal.example/channels/slack"))
    async with open_slack(tmp_path, server, by_http=True, signing_secret=server.signing_secret) as opened:
        await opened.link()
        server.events_url = server.actions_url = server.commands_url = f"{opened.portal.url}/channels/slack"
        channels = opened.portal.portal.channels
        async with asyncio.timeout(30):
            while channels.status()[0]["state"] != "up":
                await asyncio.sleep(0.01)
        yield opened


async def test_the_address_is_verified_and_events_come(slack: Slack) -> None:
    assert await slack.server.verify_url(slack.server.events_url)
    slack.server.direct("U1", "hello")
    await slack.heard("hello")
    asked = await slack.server.command("U1", "C1", "/portal", "one more")
    assert "direct message" in str(asked.answer)
    await slack.heard("hello", "one more")
    assert slack.server.opened == 0


async def test_an_answer_takes_its_time_and_the_acknowledgement_does_not(slack: Slack) -> None:
    gate = asyncio.Event()
    slack.backend.script(TextDelta("One "), gate, TextDelta("two."))
    slack.server.direct("U1", "count")
    await slack.until(lambda: slack.server.deliveries[0].acked and slack.spoken())
    (message,) = slack.server.world.messages(slack.room)[1:]
    assert (await slack.server.press("U1", slack.room, message["ts"], "Stop")).acked
    gate.set()


async def test_forgeries_and_replays_are_refused(slack: Slack) -> None:
    slack.server.direct("U1", "hello")
    await slack.heard("hello")
    event = slack.server.deliveries[0]
    payload = json.dumps({**event.payload, "event": {**event.event, "ts": "1.2", "text": "forged"}})
    old = seconds(micros()) - 600
    async with aiohttp.ClientSession() as session:
        for headers in (
            slack.server.signed(payload, secret="guessed"),
            slack.server.signed(payload, moment=old),
            slack.server.signed("something else"),
            {"X-Slack-Request-Timestamp": "soon", "X-Slack-Signature": "v0=1"},
            {"X-Slack-Request-Timestamp": str(old + 600), "X-Slack-Signature": "v0=é"},
            {},
        ):
            sent = {"Content-Type": "application/json", **headers}
            async with session.post(slack.server.events_url, data=payload, headers=sent) as answer:
                assert answer.status == 401
    assert await slack.server.again(event) == 200
    slack.server.direct("U1", "after that")
    await slack.heard("hello", "after that")
    assert len(slack.backend.requests) == 2


async def test_what_is_answered_unseen_elsewhere_is_signed_here_too(slack: Slack) -> None:
    event = {"type": "app_mention", "channel": "C1", "user": "U1", "ts": "1.2", "text": "forged"}
    forged = {"type": "event_callback", "ssl_check": "1", "event_id": "Ev0", "event": event}
    async with aiohttp.ClientSession() as session:
        for body in (forged, {"type": "url_verification", "challenge": "x"}):
            async with session.post(slack.server.events_url, json=body) as answer:
                assert answer.status == 401
        async with session.post(slack.server.events_url, data={"ssl_check": "1"}) as answer:
            assert answer.status == 401
        body = json.dumps({"type": "event_callback"})
        sent = {"Content-Type": "application/json", **slack.server.signed(body)}
        async with session.post(slack.server.events_url, data=body, headers=sent) as answer:
            assert answer.status < 500


async def test_in_socket_mode_nothing_is_received_over_http(tmp_path: Path, server: SlackServer) -> None:
    async with open_slack(tmp_path, server) as slack, aiohttp.ClientSession() as session:
        for secret in ("", "socket mode has none"):
            body = json.dumps({"type": "url_verification", "challenge": "x"})
            headers = {"Content-Type": "application/json", **server.signed(body, secret=secret)}
            async with session.post(f"{slack.portal.url}/channels/slack", data=body, headers=headers) as answer:
                assert answer.status == 404


async def test_settings_open_it(tmp_path: Path, server: SlackServer) -> None:
    given = {"bot_token": server.bot_token, "app_token": server.app_token, "api_base": server.api}
    async with open_test_portal(tmp_path, channels=None, settings={"slack": given}) as portal:
        await server.wait(lambda: server.sockets)
        (status,) = portal.portal.channels.status()
        assert (status["name"], status["kind"]) == ("slack", "slack")


async def test_settings_that_lack_something_say_so(tmp_path: Path, server: SlackServer) -> None:
    settings = {"slack": {"bot_token": server.bot_token}, "channels": {"public_url": "https://portal.example"}}
    async with open_test_portal(tmp_path, channels=None, settings=settings) as portal:
        (status,) = portal.portal.channels.status()
        assert status["state"] == "broken"
        assert "slack.app_token" in status["detail"]


def test_the_manifest_in_the_manual_is_the_one() -> None:
    kept = json.loads((Path(__file__).parents[3] / "docs/slack-manifest.json").read_text(encoding="utf-8"))
    assert kept == manifest()
    posted = manifest("https://portal.example/channels/slack")
    assert posted["settings"]["event_subscriptions"]["request_url"] == "https://portal.example/channels/slack"
    assert not posted["settings"]["socket_mode_enabled"]
