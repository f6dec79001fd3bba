"""Whoever is not the owner finds nothing, whatever they call: every method of every store is walked."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
from tests.contract.belongings import VECTOR, Things, everything, one_of_everything

from portal.core import (
    backlog,
    channel_stores,
    collections,
    consumption,
    exchange,
    journal,
    key_values,
    media,
    memories,
    passages,
    people,
    ports,
    schedules,
    sharing,
    tool_ports,
)
from portal.core.channels import Place
from portal.core.collections import NewDocument
from portal.core.memories import Wanted
from portal.core.passages import Within
from portal.core.records import ConversationRecord, Page, ResponseRecord
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import (
    STRANGER,
    call_item,
    conversation,
    decision,
    folder,
    imported,
    memory,
    output,
    passage,
    passkey,
    response,
    said,
    schedule,
    share,
    source,
    used,
    user,
)


@pytest.fixture
async def things(storage: Storage) -> Things:
    return await one_of_everything(storage)


async def use(storage: Storage, things: Things) -> None:
    """A stranger's call under an approval that is not theirs."""
    theirs = response(owner=S)
    await storage.turn_log.begin(theirs, [])
    call = output(theirs.id, call_item(), last_seq=-1)
    await storage.call_log.begin(call, approval_id=things.allowed, arguments_hash=things.hash)


async def take(storage: Storage, theirs: ConversationRecord, *turns: ResponseRecord) -> None:
    """Something of a stranger's that comes in under ids that are in use."""
    await storage.imports.add(mine := imported(owner=S))
    came = [exchange.Arriving(response=one, inputs=[], outputs=[]) for one in turns]
    await storage.arrivals.take(mine.id, theirs, came, owner=S)


async def take_all(storage: Storage, theirs: ConversationRecord, *turns: ResponseRecord) -> None:
    """The same among several."""
    await storage.imports.add(mine := imported(owner=S))
    came = [exchange.Arriving(response=one, inputs=[], outputs=[]) for one in turns]
    await storage.arrivals.take_all(mine.id, [(conversation(owner=S), []), (theirs, came)], owner=S)


async def nothing_spent(storage: Storage) -> bool:
    return await storage.spending.spent("person", S, 0) != (0, 0)


async def read(content: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in content])


Call = Callable[[Storage, Things], Awaitable[object]]
S = STRANGER
PLACE = Place(channel="test", chat="c1")
THEIRS = Within(owner=S, space="documents")


async def taken(storage: Storage) -> int:
    usage = await storage.files.usage(S)
    return usage.files + usage.bytes


REFUSED: dict[str, list[Call]] = {
    "TurnLog.begin": [
        lambda s, t: s.turn_log.begin(response(owner=S, conversation_id=t.conversation), []),
        lambda s, t: s.turn_log.begin(response(owner=S, previous_id=t.response), []),
    ],
    "TurnLog.finish": [lambda s, t: s.turn_log.finish(response(id=t.response, owner=S, status="failed"))],
    "Responses.get": [lambda s, t: s.responses.get(S, t.response)],
    "Responses.window": [lambda s, t: s.responses.window(S, t.response)],
    "Responses.item": [lambda s, t: s.responses.item(S, t.item)],
    "Responses.feedback": [lambda s, t: s.responses.feedback(S, t.response, 1)],
    "Responses.delete": [lambda s, t: s.responses.delete(S, t.response)],
    "Traces.get": [lambda s, t: s.traces.get(S, t.response)],
    "Conversations.create": [lambda s, t: s.conversations.create(conversation(owner=S, folder_id=t.folder))],
    "Conversations.get": [lambda s, t: s.conversations.get(S, t.conversation)],
    "Conversations.turns": [
        lambda s, t: s.conversations.turns(S, t.conversation),
        lambda s, t: s.conversations.turns(S, t.conversation, before=t.response),
    ],
    "Conversations.update": [
        lambda s, t: s.conversations.update(S, t.conversation, {}),
        lambda s, t: s.conversations.update(S, t.conversation, {"title": "stolen"}),
        lambda s, t: s.conversations.update(S, t.conversation, {"head": t.response}),
        lambda s, t: s.conversations.update(S, t.conversation, {"folder_id": t.folder}),
    ],
    "Conversations.entitle": [lambda s, t: s.conversations.entitle(S, t.conversation, "stolen", "model")],
    "Conversations.move": [lambda s, t: s.conversations.move(S, [t.conversation], None)],
    "Conversations.add_items": [lambda s, t: s.conversations.add_items(S, t.conversation, [said("x")])],
    "Conversations.delete_item": [lambda s, t: s.conversations.delete_item(S, t.conversation, t.item)],
    "Folders.get": [lambda s, t: s.folders.get(S, t.folder)],
    "Folders.save": [lambda s, t: s.folders.save(folder(id=t.folder, owner=S, name="stolen"))],
    "Folders.delete": [lambda s, t: s.folders.delete(S, t.folder)],
    "Files.get": [lambda s, t: s.files.get(S, t.file)],
    "Files.content": [lambda s, t: read(s.files.content(S, t.file))],
    "Files.delete": [lambda s, t: s.files.delete(S, t.file)],
    "Files.list": [lambda s, t: s.files.list(S, after=t.file)],
    "SavedWorkspaces.delete": [lambda s, t: s.workspaces.delete(S, "mine")],
    "CallLog.begin": [use],
    "Approvals.get": [lambda s, t: s.approvals.get(S, t.approval)],
    "Approvals.decide": [lambda s, t: s.approvals.decide(S, {t.approval: decision()})],
    "Approvals.conclude": [lambda s, t: s.approvals.conclude(S, t.approval)],
    "Grants.remove": [lambda s, t: s.grants.remove(S, t.grant)],
    "Passages.replace": [
        lambda s, t: s.passages.replace(S, "documents", t.document, [passage("stolen", id=t.passage, owner=S)]),
    ],
    "Collections.get": [lambda s, t: s.collections.get(S, t.collection)],
    "Collections.list": [lambda s, t: s.collections.list(S, after=t.collection)],
    "Collections.change": [lambda s, t: s.collections.change(S, t.collection, {"name": "stolen"})],
    "Collections.delete": [
        lambda s, t: s.collections.delete(S, t.collection),
        lambda s, t: s.collections.delete(S, t.collection, files=True),
    ],
    "Documents.add": [lambda s, t: s.documents.add(S, t.collection, [NewDocument(file_id=t.file)])],
    "Documents.get": [lambda s, t: s.documents.get(S, t.collection, t.file)],
    "Documents.list": [lambda s, t: s.documents.list(S, t.collection)],
    "Documents.describe": [lambda s, t: s.documents.describe(S, t.collection, t.file, {"a": 1})],
    "Documents.again": [lambda s, t: s.documents.again(S, t.collection)],
    "Documents.moved": [lambda s, t: s.documents.moved(S, t.read, place="/x", filename="x", modified=1)],
    "Documents.remove": [lambda s, t: s.documents.remove(S, t.collection, t.file)],
    "Batches.get": [lambda s, t: s.batches.get(S, t.collection, t.batch)],
    "Batches.cancel": [lambda s, t: s.batches.cancel(S, t.collection, t.batch)],
    "Sources.add": [lambda s, t: s.sources.add(source(t.collection, owner=S, place="/x"))],
    "Sources.list": [lambda s, t: s.sources.list(S, t.collection)],
    "Sources.remove": [
        lambda s, t: s.sources.remove(S, t.source, documents=False),
        lambda s, t: s.sources.remove(S, t.source, documents=True),
    ],
    "People.save": [lambda s, t: s.people.save(user(id="user_none", name="stolen"))],
    "People.remove": [lambda s, t: s.people.remove("user_none", None), lambda s, t: s.people.remove("user_none", S)],
    "Shares.save": [lambda s, t: s.shares.save(share(t.conversation, owner=S), "stolen")],
    "Shares.remove": [lambda s, t: s.shares.remove(S, t.conversation)],
    "Passkeys.remove": [lambda s, t: s.passkeys.remove(S, t.passkey)],
    "Identities.add": [lambda s, t: s.identities.add("https://id.example", "alice", S)],
    "Passwords.set": [lambda s, t: s.passwords.set("user_none", "hash")],
    "Users.revoke": [lambda s, t: s.users.revoke(S, t.credential)],
    "Memories.save": [
        lambda s, t: s.memories.save(memory("stolen", owner=S), supersedes=[t.memory]),
        lambda s, t: s.memories.save(memory("stolen", owner=S, id=t.memory)),
        lambda s, t: s.memories.save(memory("x", owner=S, id=t.memory), before=memory("private", id=t.memory)),
    ],
    "Memories.history": [lambda s, t: s.memories.history(S, t.memory)],
    "Schedules.save": [
        lambda s, t: s.schedules.save(schedule(id=t.schedule, owner=S)),
        lambda s, t: s.schedules.save(schedule(id=t.schedule, owner=S), before=schedule(id=t.schedule, owner=S)),
    ],
    "Schedules.get": [lambda s, t: s.schedules.get(S, t.schedule)],
    "Schedules.delete": [lambda s, t: s.schedules.delete(S, t.schedule)],
    "ScheduleRuns.list": [lambda s, t: s.runs.list(S, t.schedule)],
    "Links.remove": [lambda s, t: s.links.remove(S, t.link)],
    "Imports.save": [lambda s, t: s.imports.save(imported(id=t.imported, owner=S))],
    "Imports.get": [lambda s, t: s.imports.get(S, t.imported)],
    "Imports.delete": [lambda s, t: s.imports.delete(S, t.imported)],
    "Arrivals.take": [
        lambda s, t: s.arrivals.take(t.imported, conversation(owner=S), [], owner=S),
        lambda s, t: take(s, conversation(id=t.conversation, owner=S)),
        lambda s, t: take(s, conversation(owner=S), response(id=t.response, owner=S)),
    ],
    "Arrivals.take_all": [
        lambda s, t: s.arrivals.take_all(t.imported, [(conversation(owner=S), [])], owner=S),
        lambda s, t: take_all(s, conversation(id=t.conversation, owner=S)),
        lambda s, t: take_all(s, conversation(owner=S), response(id=t.response, owner=S)),
    ],
    "MediaJobs.get": [lambda s, t: s.media_jobs.get(S, t.media_job)],
    "MediaJobs.cancel": [lambda s, t: s.media_jobs.cancel(S, t.media_job, 1)],
    "MediaJobs.delete": [lambda s, t: s.media_jobs.delete(S, t.media_job)],
}

EMPTY: dict[str, list[Call]] = {
    "Responses.recent": [lambda s, t: s.responses.recent(S, 10)],
    "Conversations.list": [
        lambda s, t: s.conversations.list(S),
        lambda s, t: s.conversations.list(S, folder_id=t.folder),
        lambda s, t: s.conversations.list(S, query="private"),
    ],
    "Conversations.delete": [lambda s, t: s.conversations.delete(S, [t.conversation])],
    "Conversations.restore": [lambda s, t: s.conversations.restore(S, [t.deleted])],
    "Folders.list": [lambda s, t: s.folders.list(S)],
    "Files.list": [lambda s, t: s.files.list(S)],
    "Shares.of": [lambda s, t: s.shares.of(S, t.conversation)],
    "Passkeys.list": [lambda s, t: s.passkeys.list(S)],
    "Passkeys.used": [lambda s, t: s.passkeys.used(passkey(id=t.passkey, owner=S), 7)],
    "Users.revoke_others": [lambda s, t: s.users.revoke_others(S, t.credential)],
    "Passwords.of": [lambda s, t: s.passwords.of("user_none")],
    "Files.usage": [lambda s, t: taken(s)],
    "Users.credentials": [lambda s, t: s.users.credentials(S, "key")],
    "Approvals.of_response": [lambda s, t: s.approvals.of_response(S, t.response)],
    "Approvals.list": [
        lambda s, t: s.approvals.list(S),
        lambda s, t: s.approvals.list(S, status="pending"),
    ],
    "Approvals.supersede": [lambda s, t: s.approvals.supersede(S, t.response)],
    "Grants.list": [lambda s, t: s.grants.list(S)],
    "Audit.list": [lambda s, t: s.audit.list(S)],
    "Passages.describe": [lambda s, t: s.passages.describe(S, t.document, {"secret": 2})],
    "Passages.drop": [
        lambda s, t: s.passages.drop(S, "documents"),
        lambda s, t: s.passages.drop(S, "documents", document=t.document),
        lambda s, t: s.passages.drop(S, "documents", group="vs_1"),
    ],
    "Passages.get": [lambda s, t: s.passages.get(S, [t.passage])],
    "Passages.of": [lambda s, t: s.passages.of(S, t.document)],
    "Passages.words": [lambda s, t: s.passages.words(THEIRS, "private", 10)],
    "Passages.nearest": [lambda s, t: s.passages.nearest(THEIRS, "e", VECTOR, 10)],
    "Passages.cosines": [lambda s, t: s.passages.cosines(S, "e", VECTOR, [t.passage])],
    "Passages.vectors": [lambda s, t: s.passages.vectors(S, "e", [t.passage])],
    "Collections.list": [lambda s, t: s.collections.list(S)],
    "Collections.of_conversation": [lambda s, t: s.collections.of_conversation(S, t.conversation)],
    "Documents.find": [
        lambda s, t: s.documents.find(S, ids=[t.read]),
        lambda s, t: s.documents.find(S, file_id=t.file),
        lambda s, t: s.documents.find(S, source_id=t.source),
    ],
    "Documents.same": [lambda s, t: s.documents.same(S, t.collection, t.file)],
    "Sources.list": [lambda s, t: s.sources.list(S)],
    "Sources.removed": [lambda s, t: s.sources.removed(S, t.source)],
    "Sources.looked": [lambda s, t: s.sources.looked(source(t.collection, id=t.source, owner=S, error="stolen"))],
    "Schedules.list": [lambda s, t: s.schedules.list(S)],
    "ScheduleRuns.newest": [lambda s, t: s.runs.newest(S)],
    "Spending.spent": [lambda s, t: nothing_spent(s)],
    "Consumption.report": [lambda s, t: used(s, S)],
    "Memories.get": [lambda s, t: s.memories.get(S, [t.memory])],
    "Memories.list": [lambda s, t: s.memories.list(S, Wanted()), lambda s, t: s.memories.list(S, Wanted(status=None))],
    "Memories.forget": [lambda s, t: s.memories.forget(S, [t.memory]), lambda s, t: s.memories.forget(S, None)],
    "Links.list": [lambda s, t: s.links.list(S)],
    "Imports.list": [lambda s, t: s.imports.list(S)],
    "Departures.conversations": [lambda s, t: s.departures.conversations(S)],
    "Departures.order": [
        lambda s, t: s.departures.order(S, t.conversation),
        lambda s, t: s.departures.order(S, None),
    ],
    "Departures.turns": [lambda s, t: s.departures.turns(S, [t.response])],
    "MediaJobs.list": [lambda s, t: s.media_jobs.list(S), lambda s, t: s.media_jobs.list(S, call_id="mcp_1")],
    "Chats.get": [lambda s, t: s.chats.get(S, PLACE)],
    "Chats.list": [lambda s, t: s.chats.list(S)],
    "Chats.of_conversation": [lambda s, t: s.chats.of_conversation(S, t.conversation)],
}

OWNERLESS = {
    "TurnLog.flush": "the agent's, for the response it began",
    "TurnLog.append": "the agent's, for the response it began",
    "TurnLog.recover": "the server's, at start",
    "Conversations.purge": "the server's, now and then",
    "Files.create": "makes something new",
    "Users.owner": "the installation's own",
    "Users.get": "by the id of whoever was admitted",
    "Users.set_preferences": "by the id of whoever was admitted",
    "Users.add_credential": "makes something new",
    "Users.find_credential": "by its secret",
    "Users.take_link": "by its secret",
    "Users.touch": "by the credential that was admitted",
    "People.list": "those who run this installation see who is here",
    "People.add": "makes something new",
    "Passwords.find": "by what somebody signs in with, before they are anybody",
    "Shares.by_token": "by its secret",
    "Passkeys.add": "makes something new",
    "Passkeys.get": "by what a device answers with, before they are anybody",
    "Passkeys.any": "says of nobody in particular whether there is one",
    "Identities.find": "by what an identity provider says, before they are anybody",
    "Identities.with_login": "by what an identity provider says, before they are anybody",
    "Passwords.any": "says of nobody in particular whether there is one",
    "UsageLog.record": "makes something new",
    "UsageLog.begun": "counts, whoever calls",
    "Traces.of_anybody": "those who run this installation see what took how long",
    "Traces.list": "those who run this installation see what took how long",
    "SavedWorkspaces.all": "the server's, at start",
    "SavedWorkspaces.save": "makes something new, under a name of its owner's",
    "CallLog.ask": "the agent's, for the response it began",
    "Approvals.expire": "the server's, now and then",
    "Approvals.continuable": "the server's, now and then",
    "Audit.record": "adds something new",
    "Audit.whole": "those who run this installation see who did what",
    "Audit.verify": "those who run this installation check it",
    "Passages.unembedded": "the server's, in the background",
    "Passages.embed": "the server's, in the background",
    "Passages.embedders": "the server's own",
    "Passages.forget_embedder": "the server's own",
    "Collections.create": "makes something new",
    "Collections.first": "makes something new, or finds the owner's own",
    "Sources.due": "the server's, now and then",
    "ReadingQueue.claim": "the server's: workers read everybody's documents",
    "ReadingQueue.renew": "a worker's, for the document it claimed",
    "ReadingQueue.twin": "a worker's, for the document it claimed",
    "ReadingQueue.complete": "a worker's, for the document it claimed",
    "ReadingQueue.fail": "a worker's, for the document it claimed",
    "ReadingQueue.release": "the server's, at start",
    "Schedules.by_token": "by its secret",
    "ScheduleRuns.sent": "a webhook's, found by its secret",
    "RunQueue.due": "the server's: it runs everybody's schedules",
    "RunQueue.next_after": "the server's own",
    "RunQueue.add": "makes something new, for a schedule that was found for its owner or is due",
    "RunQueue.add_hooked": "makes something new, for a webhook that was found by its secret",
    "RunQueue.claim": "the server's: it runs everybody's schedules",
    "RunQueue.change": "the server's, for the run it claimed",
    "RunQueue.permit": "the server's, for the run it claimed",
    "RunQueue.among": "the server's own",
    "RunQueue.followed": "the server's, for a run it follows",
    "RunQueue.prune": "the server's, for the schedule whose run ended",
    "DeliveryQueue.take": "the server's: it delivers everybody's answers",
    "DeliveryQueue.settle": "the server's, for the delivery it took",
    "DeliveryQueue.refused": "the server's, for what a channel did not take",
    "DeliveryQueue.interrupted": "the server's, at start",
    "KeyValues.get": "the server's own",
    "KeyValues.set": "the server's own",
    "KeyValues.change": "the server's own",
    "Chats.move": "the server's, for a chat whose platform says so",
    "Links.of": "by an account that its platform verified",
    "Links.settle": "by an account that its platform verified",
    "Pairing.offer": "makes something new",
    "Pairing.redeem": "by its secret",
    "Pairing.request": "makes something new, for those who have no owner yet",
    "Pairing.pending": "those who run this installation see who wants to be let in",
    "Pairing.decide": "those who run this installation let somebody in, as themselves",
    "Chats.save": "makes something new, or replaces the owner's own",
    "Inbox.accept": "by an event that its platform verified",
    "Inbox.open": "the server's, at start",
    "Inbox.finish": "a channel's, for what it accepted",
    "Inbox.of_message": "a channel's, for what it accepted",
    "Inbox.newest": "the server's, at start",
    "Outbox.add": "adds something new",
    "Outbox.open": "the server's, at start",
    "Outbox.messages": "a channel's, for what it delivers",
    "Outbox.keep": "a channel's, for what it delivers",
    "Outbox.withdraw": "a channel's, for what it delivers",
    "Outbox.finish": "a channel's, for what it delivers",
    "Outbox.of_response": "a channel's, which checks whose it is",
    "Outbox.of_message": "a channel's, by a message of its own",
    "Outbox.of_approval": "a channel's, which reads the approval as the delivery's owner",
    "Outbox.followed": "the server's, at start",
    "MediaJobs.add": "makes something new",
    "Imports.add": "makes something new",
    "Imports.open": "the server's, at start",
    "MediaQueue.claim": "the server's: it does everybody's jobs",
    "MediaQueue.change": "the server's, for the job it claimed",
    "MediaQueue.release": "the server's, at start",
    "Backlog.waiting": "counts, whosever it is, for those who run this installation",
    "Notes.add": "the server's, of what happened to it",
    "Notes.list": "those who run this installation see what happened to it",
}


def test_every_method_is_walked() -> None:
    stores: Sequence[type] = (
        ports.TurnLog,
        ports.Responses,
        ports.Conversations,
        ports.Folders,
        ports.Files,
        ports.Users,
        people.People,
        people.Passwords,
        people.Passkeys,
        people.Identities,
        sharing.Shares,
        ports.UsageLog,
        ports.Spending,
        ports.Traces,
        ports.SavedWorkspaces,
        key_values.KeyValues,
        tool_ports.CallLog,
        tool_ports.Approvals,
        tool_ports.Grants,
        tool_ports.Audit,
        memories.Memories,
        passages.Passages,
        collections.Collections,
        collections.Documents,
        collections.Batches,
        collections.Sources,
        collections.ReadingQueue,
        schedules.Schedules,
        schedules.ScheduleRuns,
        schedules.RunQueue,
        schedules.DeliveryQueue,
        channel_stores.Links,
        channel_stores.Pairing,
        channel_stores.Chats,
        channel_stores.Inbox,
        channel_stores.Outbox,
        media.MediaJobs,
        media.MediaQueue,
        exchange.Imports,
        exchange.Arrivals,
        exchange.Departures,
        consumption.Consumption,
        backlog.Backlog,
        journal.Notes,
    )
    methods = {
        f"{store.__name__}.{name}"
        for store in stores
        for name, member in vars(store).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert methods == REFUSED.keys() | EMPTY.keys() | OWNERLESS.keys()


@pytest.mark.parametrize(
    "call", [pytest.param(c, id=f"{n}-{i}") for n, cs in REFUSED.items() for i, c in enumerate(cs)]
)
async def test_a_stranger_is_told_there_is_no_such_thing(storage: Storage, things: Things, call: Call) -> None:
    before = await everything(storage)
    with pytest.raises((NotFound, BadRequest, Conflict)):
        await call(storage, things)
    assert await everything(storage) == before


@pytest.mark.parametrize("call", [pytest.param(c, id=f"{n}-{i}") for n, cs in EMPTY.items() for i, c in enumerate(cs)])
async def test_a_stranger_sees_empty_lists(storage: Storage, things: Things, call: Call) -> None:
    before = await everything(storage)
    found = await call(storage, things)
    assert not (found.data if isinstance(found, Page) else found)
    assert await everything(storage) == before
