"""Whoever is not the owner finds nothing, whatever they call: every method of every store is walked."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import pytest

from portal.core import ports, tool_ports
from portal.core.records import Page
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.open import Storage
from portal.testing.records import (
    OWNER,
    STRANGER,
    answered,
    approval,
    audit,
    call_item,
    conversation,
    credential,
    decision,
    file,
    folder,
    output,
    request_item,
    response,
    said,
    usage,
    workspace,
)


@dataclass(frozen=True)
class Things:
    """One of everything, all of OWNER."""

    conversation: str
    deleted: str
    response: str
    item: str
    folder: str
    file: str
    credential: str
    approval: str
    allowed: str
    hash: str
    grant: str


async def pieces() -> AsyncIterator[bytes]:
    yield b"private"


@pytest.fixture
async def things(storage: Storage) -> Things:
    shelf, talk, deleted, turn, upload, key = (
        folder(),
        conversation(title="private"),
        conversation(),
        response(),
        file(),
        credential(),
    )
    await storage.folders.save(shelf)
    await storage.conversations.create(replace(talk, folder_id=shelf.id))
    await storage.conversations.create(deleted)
    await storage.conversations.delete(OWNER, [deleted.id])
    await storage.turn_log.begin(replace(turn, conversation_id=talk.id), [said("private", item_id="msg_private")])
    await storage.turn_log.append(turn.id, output(turn.id, answered("private too")))
    await storage.files.create(upload, pieces())
    await storage.users.add_credential(key, "hash")
    storage.usage.record(usage())
    await storage.workspaces.save(workspace())
    await storage.audit.record(audit())
    asked, allowed = (approval(response_id=turn.id, extents=("once", "arguments")) for _ in range(2))
    items = [output(turn.id, request_item(one), position=place) for place, one in enumerate((asked, allowed), start=1)]
    await storage.call_log.ask(items, [asked, allowed])
    await storage.approvals.decide(OWNER, {allowed.id: decision(extent="arguments")})
    (grant,) = await storage.grants.list(OWNER)
    return Things(
        conversation=talk.id,
        deleted=deleted.id,
        response=turn.id,
        item="msg_private",
        folder=shelf.id,
        file=upload.id,
        credential=key.id,
        approval=asked.id,
        allowed=allowed.id,
        hash=allowed.arguments_hash,
        grant=grant.id,
    )


async def use(storage: Storage, things: Things) -> None:
    """A stranger's call under an approval that is not theirs."""
    theirs = response(owner=S)
    await storage.turn_log.begin(theirs, [])
    call = output(theirs.id, call_item(), last_seq=-1)
    await storage.call_log.begin(call, approval_id=things.allowed, arguments_hash=things.hash)


async def read(content: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in content])


Call = Callable[[Storage, Things], Awaitable[object]]
S = STRANGER

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
    "Grants.remove": [lambda s, t: s.grants.remove(S, t.grant)],
    "Users.revoke": [lambda s, t: s.users.revoke(S, t.credential)],
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
    "Users.credentials": [lambda s, t: s.users.credentials(S, "key")],
    "Approvals.of_response": [lambda s, t: s.approvals.of_response(S, t.response)],
    "Approvals.list": [
        lambda s, t: s.approvals.list(S),
        lambda s, t: s.approvals.list(S, status="pending"),
    ],
    "Approvals.supersede": [lambda s, t: s.approvals.supersede(S, t.response)],
    "Grants.list": [lambda s, t: s.grants.list(S)],
    "Audit.list": [lambda s, t: s.audit.list(S)],
    "UsageLog.summary": [lambda s, t: s.usage.summary(S, 0)],
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
    "UsageLog.record": "makes something new",
    "UsageLog.begun": "counts, whoever calls",
    "SavedWorkspaces.all": "the server's, at start",
    "SavedWorkspaces.save": "makes something new, under a name of its owner's",
    "CallLog.ask": "the agent's, for the response it began",
    "Approvals.expire": "the server's, now and then",
    "Approvals.continuable": "the server's, now and then",
    "Audit.record": "adds something new",
    "KeyValues.get": "the server's own",
    "KeyValues.set": "the server's own",
}


def test_every_method_is_walked() -> None:
    stores: Sequence[type] = (
        ports.TurnLog,
        ports.Responses,
        ports.Conversations,
        ports.Folders,
        ports.Files,
        ports.Users,
        ports.UsageLog,
        ports.SavedWorkspaces,
        ports.KeyValues,
        tool_ports.CallLog,
        tool_ports.Approvals,
        tool_ports.Grants,
        tool_ports.Audit,
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


async def everything(storage: Storage) -> list[object]:
    """What OWNER has."""
    await storage.usage.summary(OWNER, 0)
    tables = ("conversations", "items", "folders", "files", "file_chunks", "credentials", "usage_log", "approvals")
    more = ("responses", "approval_rounds", "grants", "audit")
    found = [await storage.database.fetch(f"SELECT * FROM {table} ORDER BY 1") for table in (*tables, *more)]
    return [[row for row in rows if row.get("owner") != S] for rows in found]
