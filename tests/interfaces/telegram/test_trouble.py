"""What goes wrong between Portal and Telegram, and what people see of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from portal.core.channels import Attachment, Button, Content, HookRequest, Outgoing, OutgoingFile, Place
from portal.core.model import TextDelta
from portal.errors import ChannelError, ChannelGone, ChannelRejected, ChannelUncertain, RateLimited, Unauthenticated
from portal.testing.telegram_people import words
from portal.testing.telegram_server import TelegramFault, TelegramServer, Withheld

from .conftest import Room, made_channel, open_room, until

REPEATED = "Sent again"
pytestmark = pytest.mark.timeout(200)


def about(text: str, **fault: Any) -> TelegramFault:
    """A fault of the one call that says this."""
    return TelegramFault(when=lambda call: text in str(call.given.get("text")), **fault)


async def test_a_limit_holds_up_one_chat_alone(room: Room) -> None:
    bob = room.telegram.person("Bob")
    await room.link(bob)
    room.telegram.fail("sendMessage", about("Hello", status=429, retry_after=2))
    room.alice.write("Hello")
    await room.telegram.until(lambda: any("Too Many" in call.refused for call in room.telegram.calls))
    bob.write("Me first")
    await bob.reads("Me first")
    assert not any("Hello" in words(message) for message in room.alice.sees())
    await room.alice.reads("Hello")


async def test_the_pace_that_telegram_asks_for_is_kept(tmp_path: Path) -> None:
    async with TelegramServer() as telegram:
        channel = made_channel(telegram)
        channel.limits = replace(channel.limits, interval=1.0, per_second=25.0)
        async with open_room(tmp_path, telegram, channel=channel) as room:
            group = telegram.group("Team", room.alice)
            for count in range(2):
                room.alice.write(f"@portal_test_bot {count} in the group", chat=group)
                room.alice.write(f"{count} alone")
            for count in range(2):
                await room.alice.reads(f"{count} in the group", chat=group)
                await room.alice.reads(f"{count} alone")
        assert telegram.limits is not None
        assert telegram.limits.refused == 0


async def test_who_blocked_the_bot_is_let_be(room: Room) -> None:
    room.backend.script(TextDelta("Never"), gate := asyncio.Event(), TextDelta(" read"))
    room.alice.write("Hello")
    await until(lambda: room.backend.requests)
    room.alice.block()
    gate.set()
    bob = room.telegram.person("Bob")
    await room.link(bob)
    await until(lambda: any("blocked" in call.refused for call in room.telegram.calls))
    bob.write("Still there?")
    await bob.reads("Still there?")
    room.alice.unblock()
    room.alice.write("Back again")
    await room.alice.reads("Back again")


async def test_what_is_told_twice_is_done_once_also_after_a_restart(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram) as room:
        alice = room.alice
        alice.write("First")
        await alice.reads("First")
        telegram.updates.repeat(1)
        alice.write("Second")
        await alice.reads("Second")
        assert len(room.backend.requests) == 2
    telegram.updates.repeat(3)
    async with open_room(tmp_path, telegram, alice=alice) as room:
        alice.write("Third")
        alice.write("Fourth")
        telegram.updates.reverse = True
        await alice.reads("Third")
        await alice.reads("Fourth")
        assert len(room.backend.requests) == 2
    assert [words(one) for one in alice.sees() if words(one) == "First"] == ["First"]


@pytest.mark.parametrize("reply", ["lost", "none"])
async def test_a_call_of_unknown_fate_is_made_once_more_and_says_so(
    tmp_path: Path, telegram: TelegramServer, reply: Any
) -> None:
    async with open_room(tmp_path, telegram) as room:
        telegram.fail("sendMessage", about("Hello", reply="dropped" if reply == "none" else "lost"))
        room.alice.write("Hello")
        again = await room.alice.reads(REPEATED)
        assert "Hello" in words(again)
        said = [one for one in room.alice.sees() if "Hello" in words(one)]
        assert len(said) == (2 if reply == "lost" else 1)


async def test_a_message_under_way_is_waited_for_when_portal_stops(tmp_path: Path, telegram: TelegramServer) -> None:
    gate = asyncio.Event()
    async with open_room(tmp_path, telegram) as room:
        alice = room.alice
        telegram.fail("sendMessage", replace(about("Hello"), gate=gate))
        alice.write("Hello")
        await alice.reads("Hello")
        asyncio.get_running_loop().call_later(0.2, gate.set)
    async with open_room(tmp_path, telegram, alice=alice):
        alice.write("And on")
        await alice.reads("And on")
    assert [words(one) for one in alice.sees() if "Hello" in words(one)] == ["Hello"]


async def test_errors_of_telegrams_are_tried_again(room: Room) -> None:
    room.telegram.fail("sendMessage", about("Hello", status=500))
    room.telegram.fail("getUpdates", TelegramFault(status=502), TelegramFault(status=429, retry_after=1))
    room.alice.write("Hello")
    await room.alice.reads("Hello")
    room.alice.write("And on")
    await room.alice.reads("And on")
    room.alice.write("And further")
    await room.alice.reads("And further")
    assert [words(one) for one in room.alice.sees() if "Hello" in words(one)] == ["Hello"]


async def test_a_telegram_that_cannot_be_reached_is_waited_for(room: Room) -> None:
    await room.telegram.stop()
    await until(lambda: room.portal.portal.channels.status()[0]["state"] == "down")
    channels = room.portal.portal.channels
    await channels.deliver(room.portal.owner, "telegram", Content(text="News"))
    await room.telegram.start()
    await room.alice.reads("News")
    room.alice.write("Hello")
    await room.alice.reads("Hello")
    assert not any(REPEATED in words(one) for one in room.alice.sees())


async def test_of_two_programs_with_one_bot_this_one_stands_back(room: Room) -> None:
    room.telegram.fail("getUpdates", TelegramFault(status=409))
    room.alice.write("Hello")
    await until(lambda: room.portal.portal.channels.status()[0]["state"] == "taken")
    assert "only one bot instance" in str((await room.state())["detail"])
    await room.portal.portal.channels.deliver(room.portal.owner, "telegram", Content(text="I can still write"))
    await room.alice.reads("I can still write")


async def test_of_two_portals_with_one_bot_one_goes_on(tmp_path: Path, telegram: TelegramServer) -> None:
    async with (
        open_room(tmp_path / "one", telegram) as first,
        open_room(tmp_path / "two", telegram, alice=first.alice) as second,
    ):

        def states() -> list[str]:
            return sorted(str(one.portal.portal.channels.status()[0]["state"]) for one in (first, second))

        await until(lambda: states() == ["taken", "up"])
        first.alice.write("/start")
        await first.alice.reads(lambda message: "Hello!" in words(message))
        assert states() == ["taken", "up"]


async def test_a_wrong_token_is_told(tmp_path: Path, telegram: TelegramServer) -> None:
    channel = made_channel(telegram, token="1:" + "x" * 30)
    alice = telegram.person("Alice")
    async with open_room(tmp_path, telegram, channel=channel, alice=alice) as room:
        await until(lambda: room.portal.portal.channels.status()[0]["state"] == "refused")


@pytest.mark.parametrize("withheld", list(Withheld))
async def test_a_deaf_connection_is_made_anew(tmp_path: Path, telegram: TelegramServer, withheld: Withheld) -> None:
    async with open_room(tmp_path, telegram, silence=3, poll=1) as room:
        telegram.updates.withheld = withheld
        room.alice.write("Does anybody hear me?")
        await until(lambda: room.portal.portal.channels.status()[0]["repairs"])
        telegram.updates.withheld = None
        telegram.updates.wake()
        await room.alice.reads("Does anybody hear me?")


async def test_html_that_telegram_cannot_read_after_all_is_sent_as_text(room: Room) -> None:
    refused = "Bad Request: can't parse entities: Unsupported start tag"
    room.telegram.fail("sendMessage", about("Hello", status=400, description=refused))
    room.alice.write("Hello **you**")
    answer = await room.alice.reads("Hello you")
    assert "entities" not in answer


async def test_a_message_that_is_gone_is_not_edited(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram, drafts=False) as room:
        room.backend.script(TextDelta("One"), gate := asyncio.Event(), TextDelta(" two"))
        room.alice.write("Count")
        room.alice.delete(await room.alice.reads("One"))
        gate.set()
        room.alice.write("Next")
        await room.alice.reads("Next")


@pytest.mark.parametrize(
    ("status", "words_of_telegram"),
    [(400, "Bad Request: TEXTDRAFT_PEER_INVALID"), (404, "Not Found: method not found")],
)
async def test_where_drafts_are_refused_an_answer_is_edited_as_it_grows(
    room: Room, status: int, words_of_telegram: str
) -> None:
    room.telegram.fail("sendMessageDraft", TelegramFault(status=status, description=words_of_telegram))
    gates = [asyncio.Event(), asyncio.Event()]
    for gate in gates:
        room.backend.script(TextDelta("One"), gate, TextDelta(" two"))
        asked = room.alice.write("Count")
        growing = await room.alice.reads("One", after=asked)
        gate.set()
        await room.alice.reads(lambda message: words(message) == "One two", after=asked)
        assert growing["message_id"] == room.alice.sees()[-1]["message_id"]
    assert len([one for one in room.telegram.calls if one.method == "sendMessageDraft"]) == 1


async def test_a_look_at_what_waits_that_fails_breaks_no_connection(tmp_path: Path, telegram: TelegramServer) -> None:
    async with open_room(tmp_path, telegram, silence=3, poll=1) as room:
        telegram.fail("getWebhookInfo", TelegramFault(status=500), TelegramFault(reply="dropped"))
        await until(lambda: len([one for one in telegram.calls if one.method == "getWebhookInfo"]) > 2)
        room.alice.write("Hello")
        await room.alice.reads("Hello")
        assert ((await room.state())["state"], (await room.state())["repairs"]) == ("up", 0)


async def test_what_the_port_promises_of_errors(telegram: TelegramServer) -> None:
    channel, alice = made_channel(telegram), telegram.person("Alice")
    place = Place(channel="telegram", chat=str(alice.id))
    message = await channel.send(place, Outgoing(text="one"), "n")
    await channel.edit(place, message, Outgoing(text="one"))
    wrong = Outgoing(text="x", buttons=[[Button(action="choose", value="v" * 70, label="x")]])
    with pytest.raises(ChannelRejected, match="BUTTON_DATA_INVALID"):
        await channel.send(place, wrong, "n")
    with pytest.raises(ChannelRejected, match="message to edit not found"):
        await channel.edit(place, "999", Outgoing(text="two"))
    with pytest.raises(ChannelGone, match="chat not found"):
        await channel.send(replace(place, chat="5"), Outgoing(text="x"), "n")
    with pytest.raises(ChannelGone, match="message thread not found"):
        await channel.send(replace(place, thread="77"), Outgoing(text="x"), "n")
    with pytest.raises(ChannelRejected):
        [chunk async for chunk in channel.fetch(Attachment(ref="none", kind="file", name="x"))]
    for fault in (
        TelegramFault(reply="lost"),
        TelegramFault(status=502),
        TelegramFault(status=504, description="Gateway Timeout"),
    ):
        telegram.fail("sendMessage", fault)
        with pytest.raises(ChannelUncertain):
            await channel.send(place, Outgoing(text="x"), "n")
    group = replace(place, chat=str(telegram.group("Team").id), direct=False)
    await channel.send(group, Outgoing(text="x"), "n")
    with pytest.raises(RateLimited) as caught:
        await channel.send(group, Outgoing(text="y"), "n")
    assert caught.value.retry_after
    await channel.aclose()


async def test_what_the_port_promises_of_files(telegram: TelegramServer) -> None:
    channel, alice = made_channel(telegram), telegram.person("Alice")
    place = Place(channel="telegram", chat=str(alice.id))

    async def content() -> AsyncIterator[bytes]:
        yield b"words"

    file = OutgoingFile(kind="file", name="w.txt", content_type="text/plain", size=5, content=content)
    await channel.send(place, Outgoing(file=file, text="**a caption**"), "n")
    (sent,) = alice.sees()
    assert sent["caption"] == "a caption"
    telegram.fail("sendDocument", TelegramFault(status=413, description="Request Entity Too Large"))
    with pytest.raises(ChannelRejected, match="too large"):
        await channel.send(place, Outgoing(file=file), "n")
    attachment = Attachment(ref=sent["document"]["file_id"], kind="file", name="w.txt")
    assert [chunk async for chunk in channel.fetch(attachment)] == [b"words"]
    telegram.fail("file", TelegramFault(status=500))
    with pytest.raises(ChannelError) as caught:
        [chunk async for chunk in channel.fetch(attachment)]
    assert telegram.token not in str(caught.value)
    await channel.aclose()


async def test_an_address_where_no_bot_api_is(telegram: TelegramServer) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text="<!doctype html>", content_type="text/html")

    app = web.Application()
    app.router.add_post("/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    channel = made_channel(telegram, api_base=f"http://127.0.0.1:{runner.addresses[0][1]}/")
    with pytest.raises(ChannelUncertain, match="no Bot API"):
        await channel.send(Place(channel="telegram", chat="1"), Outgoing(text="x"), "n")
    await channel.aclose()
    await runner.cleanup()


# ---------------------------------------------------------------------- webhook


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A public address before a Portal; where it leads is put into the list."""
    leads: list[str] = []

    async def passed(request: web.Request) -> web.Response:
        async with (
            aiohttp.ClientSession() as session,
            session.post(leads[0] + request.path, data=await request.read(), headers=request.headers) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())

    app = web.Application()
    app.router.add_post("/{path:.*}", passed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", leads
    finally:
        await runner.cleanup()


async def test_telegram_posts_what_happens(tmp_path: Path, telegram: TelegramServer) -> None:
    async with proxy() as (public, leads):
        channel = made_channel(telegram, public_url=f"{public}/channels/telegram")
        alice = telegram.person("Alice")
        async with open_room(tmp_path, telegram, channel=channel, alice=alice) as room:
            leads.append(room.portal.url)
            await until(lambda: room.portal.portal.channels.invitations("x"))
            await room.link(alice)
            alice.write("Hello")
            telegram.updates.repeat(1)
            await alice.reads("Hello")
            assert telegram.updates.polls == 0
            async with (
                aiohttp.ClientSession(headers={"X-Telegram-Bot-Api-Secret-Token": "guessed"}) as session,
                session.post(f"{public}/channels/telegram", json={"update_id": 1}) as answer,
            ):
                assert answer.status == 401
        assert len(room.backend.requests) == 1


async def test_polls_go_on_where_they_are_wanted_and_take_the_place_of_a_webhook(
    tmp_path: Path, telegram: TelegramServer
) -> None:
    telegram.updates.set_webhook({"url": "https://portal.example/old"}, drop=False)
    async with open_room(tmp_path, telegram, public_url="https://portal.example/channels/telegram", webhook=False):
        assert telegram.updates.polls > 0
        assert telegram.updates.webhook == {}


async def test_a_forged_post_is_refused(tmp_path: Path, telegram: TelegramServer) -> None:
    channel = made_channel(telegram, public_url="https://portal.example/channels/telegram")
    with pytest.raises(Unauthenticated):
        await channel.receive(HookRequest(headers={}, body=b"{}"))
    headers = {"x-telegram-bot-api-secret-token": channel._secret}
    assert (await channel.receive(HookRequest(headers=headers, body=b"{}"))).status == 503
    alice = telegram.person("Alice")
    async with open_room(tmp_path, telegram, channel=channel, alice=alice) as room:
        await until(lambda: room.portal.portal.channels.status()[0]["state"] == "up")
        assert telegram.updates.webhook["url"] == "https://portal.example/channels/telegram"
        assert telegram.updates.webhook["secret_token"] == channel._secret
        assert (await channel.receive(HookRequest(headers=headers, body=b"{"))).status == 400
        for odd in ("[]", '{"update_id": 1}', '{"update_id": 2, "message": {"from": {"id": 1}}}'):
            assert (await channel.receive(HookRequest(headers=headers, body=odd.encode()))).status == 200
        code, _ = await room.portal.portal.channels.linking.offer(room.portal.owner)
        alice.write(f"/link {code}")
        (update,) = telegram.updates.pending
        for _ in range(2):
            await channel.receive(HookRequest(headers=headers, body=json.dumps(update).encode()))
        await alice.reads("You are linked")
        assert room.portal.portal.channels.status()[0]["events"] == 1


async def test_a_webhook_that_does_not_deliver_is_noticed(tmp_path: Path, telegram: TelegramServer) -> None:
    channel = made_channel(telegram, public_url="https://portal.example/channels/telegram", silence=2)
    telegram.updates.withheld = Withheld.EMPTY
    alice = telegram.person("Alice")
    async with open_room(tmp_path, telegram, channel=channel, alice=alice) as room:
        await until(lambda: room.portal.portal.channels.status()[0]["state"] == "up")
        alice.write("Hello?")
        await until(lambda: room.portal.portal.channels.status()[0]["repairs"])
        telegram.updates.pending.clear()
        await until(lambda: room.portal.portal.channels.status()[0]["state"] == "up")
        telegram.updates.webhook = {}
        await until(lambda: telegram.updates.webhook.get("url"))
