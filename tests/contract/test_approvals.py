"""The ports Approvals, Grants and Audit: questions decided once, what they allow, and who did what."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from portal.core.approvals import ApprovalRecord, Decision, arguments_hash
from portal.core.clock import micros
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.approvals import SUPERSEDED
from portal.storage.open import Storage
from portal.testing.records import (
    HOUR,
    OWNER,
    STRANGER,
    approval,
    audit,
    conversation,
    decision,
    output,
    request_item,
    response,
)

YES, NO = decision(), decision(approve=False, answer="not today")


async def asked(storage: Storage, count: int = 1, conversation_id: str | None = None, **fields: object) -> list[str]:
    """The ids of questions of one response."""
    turn = response(conversation_id=conversation_id)
    await storage.turn_log.begin(turn, [])
    made = [approval(response_id=turn.id, conversation_id=conversation_id, **fields) for _ in range(count)]
    await ask(storage, made)
    return [record.id for record in made]


async def ask(storage: Storage, records: Sequence[ApprovalRecord]) -> None:
    items = [
        output(record.response_id, request_item(record), position=place, first_seq=10 + 2 * place, last_seq=11, cuts=())
        for place, record in enumerate(records)
    ]
    await storage.call_log.ask(items, records)


async def status(storage: Storage, approval_id: str) -> str:
    return (await storage.approvals.get(OWNER, approval_id)).status


async def test_a_question_is_kept_as_it_was_asked(storage: Storage) -> None:
    turn = response()
    await storage.turn_log.begin(turn, [])
    first = approval(response_id=turn.id, workspace="auto-coding", extents=("once", "folder"), scope="/srv/notes")
    second = approval(response_id=turn.id, question=True, arguments={"question": "Which?"}, risk="read")
    await ask(storage, [first, second])
    assert await storage.approvals.get(OWNER, first.id) == first
    assert await storage.approvals.of_response(OWNER, turn.id) == [first, second]
    items = (await storage.responses.get(OWNER, turn.id)).items
    assert [stored.item for stored in items] == [request_item(first), request_item(second)]
    with pytest.raises(NotFound):
        await storage.approvals.get(OWNER, "mcpr_none")


async def test_decisions_count_down_to_none(storage: Storage) -> None:
    first, second, third = await asked(storage, 3)
    assert await storage.approvals.decide(OWNER, {first: YES}) == 2
    assert await storage.approvals.decide(OWNER, {second: NO, third: YES}) == 0
    decided = await storage.approvals.get(OWNER, second)
    assert (decided.status, decided.answer, decided.decided_by) == ("denied", "not today", OWNER)
    assert decided.decided_at
    assert decided.decided_at >= decided.created_at
    assert await status(storage, first) == await status(storage, third) == "approved"


async def test_edited_arguments_are_what_is_approved(storage: Storage) -> None:
    (asked_for,) = await asked(storage, extents=("once", "arguments", "folder"), scope="/srv/notes")
    edited = {"path": "notes/b.txt", "text": "hello"}
    with pytest.raises(BadRequest):  # the folder was that of the other arguments
        await storage.approvals.decide(OWNER, {asked_for: decision(arguments=edited, extent="folder")})
    await storage.approvals.decide(OWNER, {asked_for: decision(arguments=edited, extent="arguments")})
    decided = await storage.approvals.get(OWNER, asked_for)
    assert decided.arguments == edited
    assert decided.arguments_hash == arguments_hash("write_file", edited)
    (grant,) = await storage.grants.list(OWNER)
    assert (grant.tool, grant.extent, grant.value) == ("write_file", "arguments", decided.arguments_hash)
    assert grant.toolset == decided.toolset


@pytest.mark.parametrize("deciders", [2, 20])
async def test_of_racing_deciders_of_one_question_one_is_heard(storage: Storage, deciders: int) -> None:
    (question,) = await asked(storage, extents=("once", "arguments"))

    async def decide(number: int) -> int | None:
        said = decision(approve=number % 2 == 0, extent="arguments", answer=str(number))
        try:
            return await storage.approvals.decide(OWNER, {question: said})
        except Conflict:
            return None

    heard = [answer for answer in await at_once(decide, deciders) if answer is not None]
    assert heard == [0]
    decided = await storage.approvals.get(OWNER, question)
    approved = int(decided.answer) % 2 == 0
    assert decided.status == ("approved" if approved else "denied")
    assert len(await storage.grants.list(OWNER)) == int(approved)


async def test_of_racing_deciders_of_one_round_one_gets_the_last(storage: Storage) -> None:
    questions = await asked(storage, 20)

    async def decide(number: int) -> int | None:
        return await storage.approvals.decide(OWNER, {questions[number]: YES})

    assert sorted(left for left in await at_once(decide, 20) if left is not None) == list(range(20))


async def at_once(decide: Callable[[int], Awaitable[int | None]], count: int) -> list[int | None]:
    async def one(number: int) -> int | None:
        return await decide(number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in range(count)]
    return [task.result() for task in tasks]


async def test_decisions_are_all_or_none(storage: Storage) -> None:
    first, second = await asked(storage, 2, extents=("once", "arguments"))
    (other,) = await asked(storage)
    await storage.approvals.decide(OWNER, {second: NO})
    always = decision(extent="arguments")
    for wrong, error in (
        ({first: always, second: always}, Conflict),
        ({first: always, other: always}, BadRequest),
        ({first: always, "mcpr_none": always}, NotFound),
        ({first: decision(extent="folder")}, BadRequest),
        ({first: decision(extent="conversation")}, BadRequest),
        ({}, BadRequest),
    ):
        with pytest.raises(error):
            await storage.approvals.decide(OWNER, wrong)
    assert await status(storage, first) == "pending"
    assert await storage.grants.list(OWNER) == []
    assert await storage.approvals.decide(OWNER, {first: YES}) == 0


@pytest.mark.parametrize("extents", [("once", "folder"), ("once", "conversation")])
async def test_an_extent_without_a_place_is_refused(storage: Storage, extents: tuple[str, ...]) -> None:
    (question,) = await asked(storage, extents=extents)
    with pytest.raises(BadRequest):
        await storage.approvals.decide(OWNER, {question: decision(extent=extents[-1])})


async def test_grants_are_added_once_and_can_be_taken_back(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    extents = ("once", "conversation", "arguments", "domain")
    kinds = ("conversation", "arguments", "domain", "domain")
    questions = await asked(storage, 4, talk.id, extents=extents, scope="example.org")
    said: dict[str, Decision] = {q: decision(extent=kind) for q, kind in zip(questions, kinds, strict=True)}
    await storage.approvals.decide(OWNER, said)
    grants = await storage.grants.list(OWNER)
    hashed = (await storage.approvals.get(OWNER, questions[0])).arguments_hash
    values = {"conversation": talk.id, "arguments": hashed, "domain": "example.org"}
    assert {grant.extent: grant.value for grant in grants} == values
    assert len(grants) == 3
    await storage.grants.remove(OWNER, grants[0].id)
    with pytest.raises(NotFound):
        await storage.grants.remove(OWNER, grants[0].id)
    assert await storage.grants.list(OWNER) == grants[1:]


async def test_a_no_grants_nothing(storage: Storage) -> None:
    (question,) = await asked(storage, extents=("once", "arguments"))
    await storage.approvals.decide(OWNER, {question: replace(NO, extent="arguments")})
    assert await storage.grants.list(OWNER) == []


async def test_a_deleted_conversation_takes_its_questions_and_grants_along(storage: Storage) -> None:
    talk = conversation()
    await storage.conversations.create(talk)
    first, second = await asked(storage, 2, talk.id, extents=("once", "conversation"))
    await storage.approvals.decide(OWNER, {first: decision(extent="conversation")})
    await storage.conversations.delete(OWNER, [talk.id])
    assert (await storage.approvals.list(OWNER)).data == []
    assert await storage.grants.list(OWNER) == []
    await storage.conversations.restore(OWNER, [talk.id])
    assert [record.id for record in (await storage.approvals.list(OWNER)).data] == [second, first]
    assert len(await storage.grants.list(OWNER)) == 1
    await storage.conversations.delete(OWNER, [talk.id])
    await storage.conversations.purge(micros() + HOUR)
    with pytest.raises(NotFound):
        await storage.approvals.get(OWNER, second)


async def test_lists_are_paged_and_by_status(storage: Storage) -> None:
    questions = await asked(storage, 5)
    await storage.approvals.decide(OWNER, {questions[0]: YES, questions[3]: NO})
    found: list[str] = []
    cursor = None
    while True:
        page = await storage.approvals.list(OWNER, limit=2, cursor=cursor)
        found += [record.id for record in page.data]
        cursor = page.next
        if cursor is None:
            break
    assert found == questions[::-1]
    pending = await storage.approvals.list(OWNER, status="pending", limit=2)
    assert [record.id for record in pending.data] == [questions[4], questions[2]]
    rest = await storage.approvals.list(OWNER, status="pending", cursor=pending.next)
    assert [record.id for record in rest.data] == [questions[1]]
    assert rest.next is None
    with pytest.raises(BadRequest):
        await storage.approvals.list(OWNER, status="denied", cursor=pending.next)


async def test_a_superseded_question_counts_as_no(storage: Storage) -> None:
    first, second = await asked(storage, 2)
    await storage.approvals.decide(OWNER, {first: YES})
    response_id = (await storage.approvals.get(OWNER, first)).response_id
    await storage.approvals.supersede(OWNER, response_id)
    late = await storage.approvals.get(OWNER, second)
    assert (late.status, late.answer) == ("denied", SUPERSEDED)
    assert late.decided_by is None
    assert await status(storage, first) == "approved"
    with pytest.raises(Conflict):
        await storage.approvals.decide(OWNER, {second: YES})


async def test_a_question_expires(storage: Storage) -> None:
    now = micros()
    first, second, third = await asked(storage, 3, expires_at=now + HOUR)
    (other,) = await asked(storage, expires_at=now + 3 * HOUR)
    await storage.approvals.decide(OWNER, {first: YES})
    assert await storage.approvals.expire(now) == []
    expired = await storage.approvals.expire(now + 2 * HOUR)
    assert {record.id for record in expired} == {second, third}
    assert {record.status for record in expired} == {"expired"}
    assert await storage.approvals.expire(now + 2 * HOUR) == []
    assert [await status(storage, one) for one in (first, other)] == ["approved", "pending"]


async def test_no_one_decides_after_the_time(storage: Storage) -> None:
    (late,) = await asked(storage, expires_at=micros() - 1)
    with pytest.raises(Conflict) as refused:
        await storage.approvals.decide(OWNER, {late: YES})
    assert refused.value.code == "approval_decided"
    assert [record.id for record in await storage.approvals.expire(micros())] == [late]


async def test_expired_questions_do_not_hold_up_a_round(storage: Storage) -> None:
    turn, now = response(), micros()
    await storage.turn_log.begin(turn, [])
    short, long = approval(response_id=turn.id, expires_at=now - 1), approval(response_id=turn.id)
    await ask(storage, [short, long])
    await storage.approvals.expire(now)
    assert await storage.approvals.decide(OWNER, {long.id: YES}) == 0


async def test_decided_rounds_wait_until_a_turn_follows(storage: Storage) -> None:
    talk, gone = conversation(), conversation()
    for one in (talk, gone):
        await storage.conversations.create(one)
    (first, second), (open_one,), (late,) = [await asked(storage, count, talk.id) for count in (2, 1, 1)]
    (hidden,), (superseded,) = await asked(storage, 1, gone.id), await asked(storage)
    (expired,) = await asked(storage, expires_at=micros() + HOUR)
    await storage.approvals.decide(OWNER, {first: YES})
    assert await storage.approvals.continuable(micros() + 1) == []
    before = micros()
    for said in ({second: NO}, {hidden: YES}):
        await storage.approvals.decide(OWNER, said)
    await storage.approvals.supersede(OWNER, (await storage.approvals.get(OWNER, superseded)).response_id)
    await storage.approvals.expire(micros() + 2 * HOUR)
    await storage.conversations.delete(OWNER, [gone.id])
    waiting = (await storage.approvals.get(OWNER, first)).response_id
    ((owner, found, decided_at),) = await storage.approvals.continuable(micros() + 1)
    assert (owner, found) == (OWNER, waiting)
    assert before <= decided_at <= micros()
    assert await storage.approvals.continuable(before) == []
    assert [await status(storage, one) for one in (open_one, late, expired)] == ["expired"] * 3

    following = response(previous_id=waiting)
    await storage.turn_log.begin(following, [])
    assert await storage.approvals.continuable(micros() + 1) == []
    await storage.responses.delete(OWNER, following.id)
    assert await storage.approvals.continuable(micros() + 1) == []


async def test_an_aside_is_no_part_of_a_round(storage: Storage) -> None:
    turn, now = response(), micros()
    await storage.turn_log.begin(turn, [])
    yes, no, unheard, left = (
        approval(response_id=turn.id, call_id="mcp_1", expires_at=end) for end in (now + HOUR,) * 3 + (now - 1,)
    )
    for aside in (yes, no, unheard, left):
        await storage.call_log.ask([], [aside])
    assert await storage.approvals.get(OWNER, yes.id) == yes
    assert await storage.approvals.of_response(OWNER, turn.id) == []
    for aside, said in ((yes, YES), (no, NO)):
        assert await storage.approvals.decide(OWNER, {aside.id: said}) == 0
        with pytest.raises(Conflict):
            await storage.approvals.decide(OWNER, {aside.id: said})
    ended = [await storage.approvals.conclude(OWNER, one.id) for one in (yes, no, unheard)]
    assert [one.status for one in ended] == ["used", "denied", "expired"]
    assert ended[0].decided_at == (await storage.approvals.get(OWNER, yes.id)).decided_at
    assert ended[2].decided_at
    assert [one.id for one in await storage.approvals.expire(now)] == [left.id]
    assert await storage.approvals.continuable(micros() + 1) == []

    waiting = approval(response_id=turn.id)
    await ask(storage, [waiting])
    with pytest.raises(NotFound):
        await storage.approvals.conclude(OWNER, waiting.id)
    assert await storage.approvals.decide(OWNER, {waiting.id: YES}) == 0
    assert [one[:2] for one in await storage.approvals.continuable(micros() + 1)] == [(OWNER, turn.id)]


async def test_the_audit_only_grows(storage: Storage) -> None:
    entries = [audit(at=100 + number // 2, detail={"number": number, "text": "ä"}) for number in range(5)]
    for entry in [*entries, audit(owner=STRANGER)]:
        await storage.audit.record(entry)
    first = await storage.audit.list(OWNER, limit=3)
    assert first.data == entries[:1:-1]
    rest = await storage.audit.list(OWNER, limit=3, cursor=first.next)
    assert rest.data == entries[1::-1]
    assert rest.next is None
    with pytest.raises(Conflict):
        await storage.audit.record(entries[0])
    with pytest.raises(BadRequest):
        await storage.audit.list(STRANGER, cursor=first.next)
    newest = await storage.audit.whole(limit=2)
    assert [one.owner for one in newest.data] == [STRANGER, OWNER]
    assert (await storage.audit.whole(limit=9, cursor=newest.next)).data == entries[3::-1]
