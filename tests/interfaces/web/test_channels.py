"""Channels over the API: how they are, who is linked, codes, requests, chats, and what platforms post."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend, echo
from portal.channels import words
from portal.core.channels import Desk, HookReply, HookRequest, Limits, Message, Place, Sender
from portal.errors import Unauthenticated
from portal.testing.channel import ALICE, PlatformState, TestChannel
from portal.testing.portal import TestPortal, open_test_portal

from .conftest import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "/portal/v1/channels"


class PostedChannel(TestChannel):
    """Its platform posts. It implements Hooked and Invites as well."""

    desk: Desk

    async def run(self, desk: Desk) -> None:
        """See Channel."""
        self.desk = desk
        await super().run(desk)

    async def receive(self, request: HookRequest) -> HookReply:
        """See Hooked."""
        if request.headers.get("x-secret") != "right":
            raise Unauthenticated("The secret is wrong.")
        text, place = request.body.decode(), Place(channel=self.name, chat=request.query["chat"])
        new = await self.desk.accept(Message(event_id=text, id=text, text=text, place=place, sender=ALICE))
        return HookReply(status=200 if new else 208, body=b"{}")

    def invitation(self, code: str) -> str:
        """See Invites."""
        return f"https://chat.example/?start={code}"


@pytest.fixture(scope="module")
def platform() -> PlatformState:
    return PlatformState()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory, platform: PlatformState) -> AsyncIterator[TestPortal]:
    channel = PostedChannel(platform, limits=Limits(interval=0.01, per_second=10_000, typing=0))
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=[backend], channels=[channel]) as running:
        yield running


async def post(portal: TestPortal, text: str, chat: str = "c1", secret: str = "right") -> int:
    async with aiohttp.ClientSession() as client:
        url, headers = f"{portal.url}/channels/test?chat={chat}", {"X-Secret": secret}
        async with client.post(url, data=text, headers=headers) as answer:
            return answer.status


async def code_of(me: Door) -> Mapping[str, Any]:
    made: Mapping[str, Any] = await me("POST", f"{ALL}/codes", status=201)
    return made


async def test_from_a_code_to_a_chat_and_back(me: Door, portal: TestPortal, platform: PlatformState) -> None:
    assert (await me("GET", "/portal/v1/me"))["channels"] == ["test"]
    assert (await me("GET", f"{ALL}/links"))["data"] == []
    made = await code_of(me)
    assert made["invitations"] == [{"channel": "test", "url": f"https://chat.example/?start={made['code']}"}]
    assert await post(portal, f"/start {made['code']}") == 200
    await platform.until(lambda: platform.texts("c1") == [words.LINKED])
    (link,) = (await me("GET", f"{ALL}/links"))["data"]
    assert (link["channel"], link["sender"], link["name"], link["direct"]) == ("test", "alice", "Alice", True)
    assert await post(portal, "Hello") == 200
    assert await post(portal, "Hello") == 208
    await platform.until(lambda: platform.texts("c1") == [words.LINKED, "Hello"])
    (conversation,) = (await me("GET", "/portal/v1/conversations"))["data"]
    assert conversation["door"] == "test"
    (chat,) = (await me("GET", f"{ALL}/chats"))["data"]
    assert (chat["target"], chat["conversation_id"], chat["mode"]) == ("test:c1", conversation["id"], "mentioned")
    changed = await me("PATCH", f"{ALL}/chats", {"target": "test:c1", "mode": "always", "model": "tiny"})
    assert (changed["mode"], changed["model"]) == ("always", "tiny")
    await me("PATCH", f"{ALL}/chats", {"target": "test:c9"}, 404)
    assert (await me("GET", f"{ALL}/targets"))["data"] == [{"target": "test", "title": "Alice, direct"}]
    other = await me("POST", "/portal/v1/conversations", {"title": "Plans"}, 201)
    await me("POST", f"{ALL}/continue", {"conversation_id": other["id"], "target": "test"})
    moved = words.MOVED.format(title="Plans", last="").strip()
    await platform.until(lambda: platform.texts("c1")[-1].strip() == moved)
    await me("POST", f"{ALL}/continue", {"conversation_id": other["id"], "target": "fax"}, 404)
    await me("DELETE", f"{ALL}/links/{link['id']}")
    await me("DELETE", f"{ALL}/links/{link['id']}", status=404)


async def test_the_owner_lets_people_in(me: Door, stranger: Door, portal: TestPortal, platform: PlatformState) -> None:
    platform.deliver(
        Message(
            event_id="b1", id="b1", text="Hi", sender=Sender(id="bob", name="Bob"), place=Place(channel="", chat="c2")
        )
    )
    await platform.until(lambda: platform.texts("c2") == [words.STRANGER])
    (asked,) = (await me("GET", f"{ALL}/pairings"))["data"]
    assert (asked["channel"], asked["sender"], asked["name"], asked["status"]) == ("test", "bob", "Bob", "pending")
    await stranger("GET", f"{ALL}/pairings", status=403)
    await stranger("POST", f"{ALL}/pairings/{asked['id']}", {"approve": True}, 403)
    done = await me("POST", f"{ALL}/pairings/{asked['id']}", {"approve": True})
    assert done["status"] == "approved"
    assert (await me("GET", f"{ALL}/pairings"))["data"] == []


async def test_what_is_posted_is_verified(portal: TestPortal) -> None:
    assert await post(portal, "forged", secret="wrong") == 401
    async with aiohttp.ClientSession() as client, client.post(f"{portal.url}/channels/fax", data="x") as answer:
        assert answer.status == 404


async def test_health_and_metrics_tell_of_channels(me: Door, portal: TestPortal) -> None:
    (shown,) = (await me("GET", ALL))["data"]
    assert (shown["name"], shown["state"], shown["repairs"]) == ("test", "up", 0)
    async with aiohttp.ClientSession(headers=portal.headers) as client:
        async with client.get(f"{portal.url}/health") as answer:
            assert await answer.json() == {"status": "ok", "channels": {"test": "up"}}
        async with client.get(f"{portal.url}/metrics") as answer:
            assert 'portal_channel_up{channel="test"} 1' in await answer.text()
