"""Questions and chats among several servers: decided anywhere, carried out once, shown by the one with the channels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.channels.conftest import LIMITS
from tests.channels.desk import Desk, able, calls, says
from tests.cluster.conftest import Server, opened

from portal.core.approvals import Decision
from portal.core.channels import Content, HookReply, HookRequest, Message, Place
from portal.errors import Conflict, NotFound, Unauthenticated
from portal.testing.channel import ALICE, PlatformState, TestChannel


class HookedChannel(TestChannel):
    """One to which its platform posts."""

    async def receive(self, request: HookRequest) -> HookReply:
        if request.body == b"forged":
            raise Unauthenticated("This is not from the platform.")
        if request.body == b"nonsense":
            raise LookupError("a field that is not there")
        return HookReply(body=b"taken: " + request.body, content_type="text/plain")


@dataclass
class House:
    servers: list[Server]
    desk: Desk
    platform: PlatformState
    stack: AsyncExitStack

    @property
    def owner(self) -> str:
        return self.servers[0].test.owner


@pytest.fixture
async def house(database: str, tmp_path: Path) -> AsyncIterator[House]:
    """Two servers with the same tools and the same chat platform; the first has the duty, and may be ended."""
    desk, platform = Desk(), PlatformState()
    async with AsyncExitStack() as stack, AsyncExitStack() as first:
        made = House([], desk, platform, first)
        for name, place in (("a", first), ("b", stack)):
            channel = HookedChannel(platform, limits=LIMITS)
            opening = opened(tmp_path / name, database, model=able(), toolsets=desk.toolsets(), channels=[channel])
            made.servers.append(await place.enter_async_context(opening))
        linking = made.servers[0].test.portal.channels.linking
        code, _ = await linking.offer(made.owner)
        await linking.redeem(Place(channel="test", chat="c1"), ALICE, code)
        yield made


def write(house: House, text: str) -> None:
    number = house.platform.next_id()
    place = Place(channel="test", chat="c1")
    house.platform.deliver(Message(event_id=f"e{number}", place=place, sender=ALICE, id=f"m{number}", text=text))


async def asked(house: House) -> str:
    """A question in the chat, by the server that holds the channel; its id."""
    house.servers[0].model.script(*calls(("write_note", {"text": "milk"})))
    write(house, "Note it")
    await house.platform.until(lambda: any("Allow write_note" in text for text in house.platform.texts("c1")))
    (record,) = (await house.servers[1].test.portal.storage.approvals.list(house.owner, status="pending")).data
    return record.id


async def test_a_question_is_decided_on_another_server(house: House) -> None:
    question = await asked(house)
    second = house.servers[1]
    second.model.script(*says("Noted."))
    run = await second.test.portal.agent.decide(
        house.owner, {question: Decision(approve=True, by=house.owner, door="web")}
    )
    assert run is not None
    assert (await run.ended())["status"] == "completed"
    assert house.desk.done == ["milk"]
    await house.platform.until(lambda: house.platform.texts("c1")[-1] == "Noted.")


async def test_of_two_servers_that_decide_one_goes_on(house: House) -> None:
    question = await asked(house)
    for one in house.servers:
        one.model.script(*says("Noted."))

    async def decide(server: Server) -> bool:
        try:
            decision = Decision(approve=True, by=house.owner, door="web")
            run = await server.test.portal.agent.decide(house.owner, {question: decision})
        except Conflict:
            return False
        assert run is not None
        await run.ended()
        return True

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(decide(one)) for one in house.servers]
    assert sorted(one.result() for one in tries) == [False, True]
    assert house.desk.done == ["milk"]


async def test_the_one_with_the_channels_sends_what_others_store(house: House) -> None:
    channels = house.servers[1].test.portal.channels
    await channels.deliver(house.owner, "test", Content(text="From the other one."))
    await house.platform.until(lambda: house.platform.texts("c1")[-1:] == ["From the other one."])
    assert [one["name"] for one in channels.status()] == ["test"]
    assert await channels.targets(house.owner) == await house.servers[0].test.portal.channels.targets(house.owner)


async def test_what_a_platform_posts_reaches_the_one_with_the_channels(house: House) -> None:
    channels = house.servers[1].test.portal.channels
    reply = await channels.receive("test", HookRequest(headers={"x": "y"}, body=b"news"))
    assert (reply.status, reply.body, reply.content_type) == (200, b"taken: news", "text/plain")
    with pytest.raises(Unauthenticated):
        await channels.receive("test", HookRequest(headers={}, body=b"forged"))
    with pytest.raises(NotFound):
        await channels.receive("nowhere", HookRequest(headers={}, body=b""))


async def test_another_server_takes_the_channels_over(house: House) -> None:
    second = house.servers[1]
    await house.stack.aclose()
    second.model.script(*says("Here as well."))
    write(house, "Are you there?")
    await house.platform.until(lambda: house.platform.texts("c1")[-1:] == ["Here as well."])


async def test_a_post_that_the_channel_cannot_take_ends_no_server(house: House) -> None:
    first, second = house.servers
    for server in (second, first):
        async with server.api.post("/channels/test", data=b"nonsense") as answer:
            assert answer.status == 502
    async with second.api.post("/channels/test", data=b"news") as answer:
        assert await answer.text() == "taken: news"
