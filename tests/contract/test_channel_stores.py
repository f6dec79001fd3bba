"""The Links, Pairing, Chats, Inbox and Outbox ports."""

import asyncio
from dataclasses import replace

import pytest

from portal.core.channel_stores import LinkRecord, PairingRecord, Sent, new_delivery
from portal.core.channels import Button, Content, Place, Press, Reaction, Sender
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.errors import Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import (
    OWNER,
    STRANGER,
    approval,
    arrival,
    chat,
    conversation,
    link,
    output,
    request_item,
    response,
)

PLACE = Place(channel="test", chat="c1")
HOUR = 3_600_000_000


async def offered(storage: Storage, code: str, owner: str = OWNER) -> None:
    await storage.pairing.offer(owner, code, micros() + HOUR, micros())


def pairing(sender: str = "bob", **fields: object) -> PairingRecord:
    place = Place(channel="test", chat="c2", title="Bob")
    made = PairingRecord(id=new_id("pair"), place=place, sender=Sender(id=sender, name="Bob"), created_at=micros())
    return replace(made, **fields)  # type: ignore[arg-type]


async def test_a_code_links_once(storage: Storage) -> None:
    await offered(storage, "a")
    wanted = link(owner="")
    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(storage.pairing.redeem("a", wanted, micros())) for _ in range(5)]
    made = [one.result() for one in tries if one.result() is not None]
    assert made == [replace(wanted, owner=OWNER)]
    assert await storage.links.of("test", "alice") == made[0]
    assert await storage.links.list(OWNER) == made
    assert await storage.links.of("test", "bob") is None
    assert await storage.links.of("other", "alice") is None


async def test_a_code_that_is_old_links_nobody(storage: Storage) -> None:
    await offered(storage, "a")
    assert await storage.pairing.redeem("a", link(), micros() + 2 * HOUR) is None
    assert await storage.pairing.redeem("b", link(), micros()) is None


async def test_linking_anew_takes_the_place_of_the_old_link(storage: Storage) -> None:
    for code, owner in (("a", OWNER), ("b", STRANGER)):
        await offered(storage, code, owner)
        await storage.pairing.redeem(code, link(), micros())
    assert await storage.links.list(OWNER) == []
    (now,) = await storage.links.list(STRANGER)
    await storage.links.settle(now.id, "c9")
    assert await storage.links.of("test", "alice") == replace(now, chat="c9")
    await storage.links.remove(STRANGER, now.id)
    assert await storage.links.of("test", "alice") is None


async def test_requests_are_kept_once_and_decided_once(storage: Storage) -> None:
    asked = pairing()
    assert await storage.pairing.request(asked)
    assert not await storage.pairing.request(pairing())
    assert await storage.pairing.pending() == [asked]
    decided = await storage.pairing.decide(OWNER, asked.id, True, "link_1", 5)
    assert decided == replace(asked, status="approved")
    assert await storage.links.of("test", "bob") == LinkRecord(
        id="link_1", owner=OWNER, channel="test", sender=asked.sender, chat="c2", created_at=5
    )
    with pytest.raises(NotFound):
        await storage.pairing.decide(OWNER, asked.id, True, "link_2", 5)


async def test_a_refused_request_is_not_asked_again(storage: Storage) -> None:
    asked = pairing("eve", place=Place(channel="test", chat="g1", direct=False))
    await storage.pairing.request(asked)
    assert (await storage.pairing.decide(OWNER, asked.id, False, "link_1", 5)).status == "refused"
    assert not await storage.pairing.request(pairing("eve"))
    assert await storage.pairing.pending() == []
    assert await storage.links.of("test", "eve") is None


async def test_chats_by_owner(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    first = chat(conversation_id=talk.id, changed_at=1)
    group = chat(place=Place(channel="test", chat="g1", thread="7", direct=False, title="Us"), mode="always")
    theirs = chat(owner=STRANGER, place=PLACE, model="tiny")
    for one in (first, group, theirs):
        await storage.chats.save(one)
    assert await storage.chats.get(OWNER, PLACE) == first
    assert await storage.chats.get(STRANGER, PLACE) == theirs
    assert await storage.chats.get(OWNER, replace(PLACE, thread="7")) is None
    assert await storage.chats.list(OWNER) == [group, first]
    room = replace(group, place=replace(group.place, thread=""), mode="mentioned", changed_at=0)
    await storage.chats.save(room)
    assert await storage.chats.list(OWNER) == [replace(group, mode="mentioned"), first, room]
    assert await storage.chats.of_conversation(OWNER, talk.id) == [first]
    await storage.chats.save(replace(first, model="tiny", changed_at=2))
    assert await storage.chats.get(OWNER, PLACE) == replace(first, model="tiny", changed_at=2)


async def test_a_chat_that_gets_another_id_goes_on_there_for_everybody(storage: Storage) -> None:
    room = Place(channel="test", chat="g1", direct=False, title="Us")
    mine, theirs = chat(place=room, model="tiny", changed_at=1), chat(owner=STRANGER, place=room, changed_at=1)
    other = chat(place=replace(room, chat="g11"), changed_at=1)
    for one in (mine, theirs, other, chat(place=replace(room, chat="g2"), changed_at=2)):
        await storage.chats.save(one)
    there = replace(room, chat="g2")
    for _ in range(2):
        await storage.chats.move("test", "g1", "g2")
        assert await storage.chats.get(OWNER, there) == replace(mine, place=there)
        assert await storage.chats.get(STRANGER, there) == replace(theirs, place=there)
        assert await storage.chats.get(OWNER, room) is None
        assert await storage.chats.get(OWNER, other.place) == other


async def test_two_changes_of_a_chat_at_once_are_both_kept(storage: Storage) -> None:
    talk, other = conversation(), conversation()
    for one in (talk, other):
        await storage.conversations.create(one)
    before = chat(changed_at=1)
    await storage.chats.save(replace(before, model="tiny", changed_at=2), before=before)
    await storage.chats.save(replace(before, mode="always"), before=before)
    now = replace(before, model="tiny", mode="always", changed_at=2)
    assert await storage.chats.get(OWNER, PLACE) == now
    moved = replace(now, conversation_id=talk.id, model="")
    await storage.chats.save(moved, before=now)
    with pytest.raises(Conflict) as refused:
        await storage.chats.save(replace(now, conversation_id=other.id), before=now, still=True)
    assert refused.value.code == "chat_moved"
    assert await storage.chats.get(OWNER, PLACE) == moved
    await storage.chats.save(replace(moved, conversation_id=other.id), before=moved, still=True)
    assert await storage.chats.get(OWNER, PLACE) == replace(moved, conversation_id=other.id)


async def test_an_event_arrives_once(storage: Storage) -> None:
    message = arrival()
    async with asyncio.TaskGroup() as group:
        again = [replace(message, id=new_id("arr")) for _ in range(4)]
        tries = [group.create_task(storage.inbox.accept(one)) for one in (message, *again)]
    assert sum(one.result() for one in tries) == 1
    assert [one.event for one in await storage.inbox.open("test")] == [message.event]
    assert await storage.inbox.newest("test") == message.received_at
    assert await storage.inbox.newest("other") == 0


async def test_every_kind_of_event_comes_back(storage: Storage) -> None:
    place, sender = replace(PLACE, direct=False), Sender(id="bob")
    press = Press(event_id="p1", place=place, sender=sender, message_id="9", data="stop:resp_1")
    reaction = Reaction(event_id="r1", place=place, sender=sender, message_id="9", rating=-1)
    arrivals = [arrival(), arrival(event=press), arrival(event=reaction)]
    for one in arrivals:
        await storage.inbox.accept(one)
    assert await storage.inbox.open("test") == arrivals


async def test_what_is_dealt_with_is_so_once_with_what_is_to_be_sent(storage: Storage) -> None:
    message = arrival()
    await storage.inbox.accept(message)
    content = Content(text="Hi", files=("file_1",), buttons=((Button(action="stop", value="x", label="Stop"),),))
    first, second = (new_delivery(OWNER, PLACE, content=content) for _ in range(2))
    assert await storage.inbox.finish(message.id, [first])
    assert not await storage.inbox.finish(message.id, [second])
    assert await storage.inbox.open("test") == []
    assert await storage.outbox.open("test") == [first]
    edit = arrival()
    await storage.inbox.accept(edit)
    found = await storage.inbox.of_message(PLACE, "m1", edit.id)
    assert found == replace(message, done=True)
    assert await storage.inbox.of_message(PLACE, "m1", message.id) is None


async def test_a_delivery_and_its_messages(storage: Storage) -> None:
    delivery = new_delivery(OWNER, PLACE, content=Content(text="Hi"), key="k")
    assert await storage.outbox.add(delivery)
    assert not await storage.outbox.add(new_delivery(OWNER, PLACE, key="k"))
    sent = Sent(delivery_id=delivery.id, position=0, began_at=5)
    lost = replace(sent, position=1)
    for one in (sent, lost):
        await storage.outbox.keep(PLACE, one)
    await storage.outbox.withdraw(lost)
    await storage.outbox.keep(PLACE, replace(sent, platform_id="99"))
    assert await storage.outbox.messages(delivery.id) == [replace(sent, platform_id="99")]
    assert await storage.outbox.of_message(PLACE, "99") == delivery
    assert await storage.outbox.of_message(replace(PLACE, chat="c2"), "99") is None
    await storage.outbox.finish(delivery.id)
    assert await storage.outbox.open("test") == []


async def test_answers_their_questions_and_what_follows(storage: Storage) -> None:
    turn = response()
    await storage.turn_log.begin(turn, [])
    asked = approval(response_id=turn.id)
    await storage.call_log.ask([output(turn.id, request_item(asked))], [asked])
    delivery = new_delivery(OWNER, PLACE, response_id=turn.id)
    await storage.outbox.add(delivery)
    assert not await storage.outbox.add(new_delivery(OWNER, PLACE, response_id=turn.id))
    assert await storage.outbox.of_response("test", turn.id) == delivery
    assert await storage.outbox.of_response("other", turn.id) is None
    assert await storage.outbox.of_approval("test", asked.id) == delivery
    assert await storage.outbox.of_approval("test", "mcpr_none") is None
    assert await storage.outbox.followed("test") == []
    after = response(previous_id=turn.id)
    await storage.turn_log.begin(after, [])
    assert await storage.outbox.followed("test") == [(delivery, after.id)]
    await storage.outbox.add(new_delivery(OWNER, PLACE, response_id=after.id))
    assert await storage.outbox.followed("test") == []


async def test_what_was_dealt_with_is_forgotten_in_time(storage: Storage) -> None:
    done, still = arrival(), arrival()
    for one in (done, still):
        await storage.inbox.accept(one)
    sent, waiting = new_delivery(OWNER, PLACE), new_delivery(OWNER, PLACE)
    await storage.inbox.finish(done.id, [sent, waiting])
    await storage.outbox.keep(PLACE, Sent(delivery_id=sent.id, position=0, platform_id="9", began_at=1))
    await storage.outbox.finish(sent.id)
    await storage.sweep()
    assert not await storage.inbox.accept(replace(done, id=new_id("arr")))
    later = micros() + 100 * 24 * HOUR
    await storage.inbox.sweep(later)
    await storage.outbox.sweep(later)
    assert await storage.outbox.of_message(PLACE, "9") is None
    assert await storage.outbox.open("test") == [waiting]
    assert await storage.inbox.open("test") == [still]
    assert await storage.inbox.accept(replace(done, id=new_id("arr")))
