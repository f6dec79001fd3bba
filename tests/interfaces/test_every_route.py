"""Whoever is not the owner reaches nothing by any route: all that the application serves are walked with another
person's ids, by a member and by an admin. A route that is new fails here until it has a case."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from starlette.routing import Route, WebSocketRoute
from tests.contract.belongings import Things, everything, one_of_everything
from tests.interfaces.mcp.clients import client_of

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.media import ENDED
from portal.interfaces.application import routes_of
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import OWNER, STRANGER, user

pytestmark = pytest.mark.asyncio(loop_scope="module")
ADMIN = "user_admin"
HI = [{"role": "user", "content": "hi"}]
SAME = {"name": "stolen", "input": "hi", "model": "tiny"}

OURS = {
    "name": "mine",
    "model": "tiny",
    "page_id": "security",
    "number": "1",
    "pull_id": "pull_none",
    "pairing_id": "pair_none",
    "token": "none",
    "prompt": "none",
    "digest": "sha256:0",
    "rest": "none",
    "path": "app.js",
    "view": "c/none",
    "user_id": OWNER,
}
"""Parameters that name nothing of one person's alone, and somebody."""
THEIRS = {
    "response_id": "response",
    "conversation_id": "conversation",
    "item_id": "item",
    "folder_id": "folder",
    "file_id": "file",
    "vector_store_id": "collection",
    "collection_id": "collection",
    "batch_id": "batch",
    "source_id": "source",
    "passage_id": "passage",
    "credential_id": "credential",
    "approval_id": "approval",
    "grant_id": "grant",
    "memory_id": "memory",
    "schedule": "schedule",
    "link_id": "link",
    "passkey_id": "passkey",
    "job_id": "media_job",
    "import_id": "imported",
}
"""Parameters that are ids of somebody's things, and which."""

MANAGES = "/portal/v1/users"
LOOKS = "/portal/v1/responses/{response_id}/trace"
"""What an admin is told of anybody's turn: how long what took, and no word of it."""
SKIPPED = {
    "POST /portal/v1/embedded/install": "installs software; nobody's data",
    "POST /portal/v1/pulls": "fetches a model; nobody's data",
    "GET /portal/v1/events": "never ends; what it tells goes through the bus by owner, which its own tests say",
    "POST /portal/v1/mcp/reload": "reads the settings anew; nobody's data",
    "POST /portal/v1/config/reload": "reads the settings anew; nobody's data",
}


PUBLISHED = {"/portal/v1/manual/{page_id}", "/{view}", "/static/{path}"}
"""Everybody's to read, whatever words are in it."""


def bodies(t: Things) -> dict[str, Any]:
    """What is sent to each route that changes something, with the ids of the other person wherever one fits."""
    turn = {"model": "tiny", "input": "hi"}
    chat = {"model": "tiny", "messages": HI}
    fields = {"name": "stolen", "instructions": "", "model": None, "file_ids": [t.file]}
    approve = {"decision": "approve", "extent": "once"}
    return {
        "POST /v1/messages": {**chat, "max_tokens": 1},
        "POST /v1/messages/count_tokens": chat,
        "POST /v1/chat/completions": chat,
        "POST /v1/completions": {"model": "tiny", "prompt": "hi"},
        "POST /v1/embeddings": {"model": "tiny", "input": "hi"},
        "POST /v1/rerank": {"model": "auto", "query": "hi", "documents": ["a"]},
        "POST /v1/responses": [
            {**turn, "previous_response_id": t.response},
            {**turn, "conversation": t.conversation},
            {**turn, "input": [{"type": "item_reference", "id": t.item}]},
            {**turn, "input": [{"role": "user", "content": [{"type": "input_file", "file_id": t.file}]}]},
            {**turn, "tools": [{"type": "file_search", "vector_store_ids": [t.collection]}]},
        ],
        "POST /v1/responses/compact": {**turn, "previous_response_id": t.response},
        "DELETE /v1/responses/{response_id}": None,
        "POST /v1/responses/{response_id}/cancel": None,
        "POST /v1/conversations": {"items": []},
        "POST /v1/conversations/{conversation_id}": {"metadata": {"a": "b"}},
        "DELETE /v1/conversations/{conversation_id}": None,
        "POST /v1/conversations/{conversation_id}/items": {"items": [{"role": "user", "content": "hi"}]},
        "DELETE /v1/conversations/{conversation_id}/items/{item_id}": None,
        "POST /v1/files": {},
        "DELETE /v1/files/{file_id}": None,
        "POST /v1/vector_stores": {"name": "x", "file_ids": [t.file]},
        "POST /v1/vector_stores/{vector_store_id}": {"name": "stolen"},
        "DELETE /v1/vector_stores/{vector_store_id}": None,
        "POST /v1/vector_stores/{vector_store_id}/search": {"query": "private"},
        "POST /v1/vector_stores/{vector_store_id}/files": {"file_id": t.file},
        "POST /v1/vector_stores/{vector_store_id}/files/{file_id}": {"attributes": {"a": "b"}},
        "DELETE /v1/vector_stores/{vector_store_id}/files/{file_id}": None,
        "POST /v1/vector_stores/{vector_store_id}/file_batches": {"file_ids": [t.file]},
        "POST /v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": None,
        "POST /portal/v1/conversations/delete": {"ids": [t.conversation]},
        "POST /portal/v1/conversations/restore": {"ids": [t.deleted]},
        "POST /portal/v1/conversations/move": {"ids": [t.conversation], "folder_id": t.folder},
        "POST /portal/v1/conversations": {"title": "x", "folder_id": t.folder},
        "PATCH /portal/v1/conversations/{conversation_id}": {"title": "stolen"},
        "POST /portal/v1/conversations/{conversation_id}/share": {},
        "DELETE /portal/v1/conversations/{conversation_id}/share": None,
        "PUT /portal/v1/responses/{response_id}/feedback": {"rating": 1},
        "POST /portal/v1/folders": fields,
        "PUT /portal/v1/folders/{folder_id}": fields,
        "DELETE /portal/v1/folders/{folder_id}": None,
        "POST /portal/v1/models/refresh": {},
        "POST /portal/v1/backups": {},
        "POST /portal/v1/backends": {"kind": "none", "url": "http://127.0.0.1:9"},
        "DELETE /portal/v1/backends/{name}": None,
        "PUT /portal/v1/workspaces/{name}": {"title": "theirs"},
        "DELETE /portal/v1/workspaces/{name}": None,
        "POST /portal/v1/workspaces/{name}/test": {"prompt": "hi"},
        "POST /portal/v1/personas/import": {"content": "[]"},
        "POST /portal/v1/knowledge/search": {"query": "private", "collections": [t.collection]},
        "PUT /portal/v1/embedder": {"model": "none"},
        "POST /portal/v1/knowledge/{collection_id}/documents": {"file_ids": [t.file]},
        "POST /portal/v1/knowledge/{collection_id}/retry": {},
        "POST /portal/v1/knowledge/{collection_id}/sources": {"place": "https://example.com/"},
        "DELETE /portal/v1/knowledge/{collection_id}": None,
        "DELETE /portal/v1/knowledge/sources/{source_id}": None,
        "POST /portal/v1/knowledge/look": {},
        "DELETE /portal/v1/pulls/{pull_id}": None,
        "POST /portal/v1/mcp/servers": {"name": "x", "url": "https://example.com/"},
        "POST /portal/v1/mcp/servers/import": {"content": "{}", "dry_run": True},
        "DELETE /portal/v1/mcp/servers/{name}": None,
        "POST /portal/v1/mcp/servers/{name}/test": {},
        "POST /portal/v1/mcp/servers/{name}/sign-in": {},
        "POST /portal/v1/mcp/servers/{name}/prompts/{prompt}": {"arguments": {}},
        "POST /api/dry-run": {"model": "tiny", "messages": HI},
        "POST /portal/v1/route": {"model": "tiny", "messages": HI},
        "PATCH /portal/v1/me": {"name": "Mallory"},
        "PUT /portal/v1/preferences": {"a": 1},
        "POST /portal/v1/sign-out": {},
        "POST /portal/v1/keys": {"name": "another"},
        "DELETE /portal/v1/sessions/{credential_id}": None,
        "DELETE /portal/v1/keys/{credential_id}": None,
        "POST /portal/v1/links": {},
        "POST /portal/v1/approvals/{approval_id}": approve,
        "DELETE /portal/v1/grants/{grant_id}": None,
        "POST /portal/v1/memories": {"text": "Mallory likes tea"},
        "DELETE /portal/v1/memories": None,
        "POST /portal/v1/memories/merge": {"ids": [t.memory, t.memory], "text": "stolen"},
        "PATCH /portal/v1/memories/settings": {"enabled": True},
        "POST /portal/v1/memories/import": {"content": "- x"},
        "PATCH /portal/v1/memories/{memory_id}": {"text": "stolen"},
        "DELETE /portal/v1/memories/{memory_id}": None,
        "POST /portal/v1/memories/{memory_id}/accept": {},
        "POST /portal/v1/memories/{memory_id}/reject": {},
        "POST /portal/v1/schedules": {"when": "every day at 8:00", "prompt": "hi", "conversation_id": t.conversation},
        "POST /portal/v1/schedules/preview": {"when": "every day at 8:00", "zone": "UTC"},
        "PATCH /portal/v1/schedules/{schedule}": {"paused": True},
        "DELETE /portal/v1/schedules/{schedule}": None,
        "POST /portal/v1/schedules/{schedule}/run": {},
        "POST /portal/v1/schedules/{schedule}/token": {},
        "POST /hooks/{token}": {},
        "POST /portal/v1/skills": {"file_id": t.file},
        "POST /portal/v1/skills/look": {"file_id": t.file},
        "DELETE /portal/v1/skills/{name}": None,
        "DELETE /portal/v1/channels/links/{link_id}": None,
        "POST /portal/v1/channels/codes": {},
        "POST /portal/v1/channels/pairings/{pairing_id}": {"approve": True},
        "PATCH /portal/v1/channels/chats": {"target": "test:c1", "mode": "always"},
        "POST /portal/v1/channels/continue": {"conversation_id": t.conversation, "target": "test:c1"},
        "POST /channels/{name}": {},
        "POST /api/chat": chat,
        "POST /api/generate": {"model": "tiny", "prompt": "hi"},
        "POST /api/embed": {"model": "tiny", "input": "hi"},
        "POST /api/embeddings": {"model": "tiny", "prompt": "hi"},
        "POST /api/show": {"model": "tiny"},
        "POST /api/pull": {"model": "none"},
        "POST /api/push": {"model": "none"},
        "DELETE /api/delete": {"model": "none"},
        "POST /api/copy": {"source": "none", "destination": "none2"},
        "POST /api/create": {"model": "none"},
        "POST /api/blobs/{digest}": None,
        "POST /oauth/register": {"redirect_uris": ["https://app.example/back"]},
        "POST /oauth/authorize": {},
        "POST /oauth/token": {},
        "POST /oauth/revoke": {},
        "POST /sign-in/password": {"login": "nobody", "password": "wrong"},
        "POST /sign-in/passkey/options": {},
        "POST /sign-in/passkey": {"token": "none", "credential": {"id": t.passkey}},
        "PUT /portal/v1/me/password": {"password": "correct horse"},
        "POST /portal/v1/me/sign-out-everywhere": {},
        "POST /portal/v1/me/passkeys/options": {},
        "POST /portal/v1/me/passkeys": {"token": "none", "credential": {"id": t.passkey}},
        "DELETE /portal/v1/me/passkeys/{passkey_id}": None,
        "POST /portal/v1/users": {"name": "X", "role": "admin"},
        "PATCH /portal/v1/users/{user_id}": {"suspended": True},
        "DELETE /portal/v1/users/{user_id}": None,
        "POST /portal/v1/users/{user_id}/invitation": {},
        "POST /v1/audio/transcriptions": {},
        "POST /v1/audio/translations": {},
        "POST /v1/audio/speech": {"model": "none", "input": "hi", "voice": "alloy"},
        "POST /v1/images/generations": {"prompt": "hi"},
        "POST /v1/images/edits": {"prompt": "hi", "image": t.file},
        "POST /v1/images/variations": {"image": t.file},
        "POST /portal/v1/media/jobs": {"kind": "image", "values": {"prompt": "hi"}, "pictures": {"image": t.file}},
        "POST /portal/v1/media/jobs/{job_id}/cancel": {},
        "DELETE /portal/v1/media/jobs/{job_id}": None,
        "POST /portal/v1/imports": [],
        "POST /portal/v1/imports/{import_id}/start": {},
        "DELETE /portal/v1/imports/{import_id}": None,
        "PUT /portal/v1/log": {"level": "info"},
        "POST /mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        "DELETE /mcp": None,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    still = {"schedules": {"enabled": False}}  # what is OWNER's must change by nothing that runs by itself
    async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=[backend], settings=still) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def things(portal: TestPortal) -> Things:
    people = portal.portal.storage.people
    for one in (user(id=OWNER), user(id=STRANGER, name="Mallory"), user(id=ADMIN, name="Adam", role="admin")):
        await people.add(one)
    found = await one_of_everything(portal.portal.storage)
    while (await portal.portal.storage.documents.find(OWNER, ids=[found.read]))[0].status == "in_progress":
        await asyncio.sleep(0.01)  # a worker reads it, and what is OWNER's must not change by that later
    while (await portal.portal.storage.media_jobs.get(OWNER, found.media_job)).status not in ENDED:
        await asyncio.sleep(0.01)  # so does the worker of media, which has no engine for it
    return found


def routes(portal: TestPortal) -> Iterator[tuple[str, str]]:
    """Method and path of all of HTTP."""
    for route in routes_of(portal.portal.asgi):
        if not isinstance(route, WebSocketRoute):
            assert isinstance(route, Route)
            for method in sorted((route.methods or {"GET"}) - {"HEAD"}):
                yield method, re.sub(r"\{(\w+):path\}", r"{\1}", route.path)


def filled(path: str, t: Things) -> str:
    """With the ids of the other person's things."""
    known = {**OURS, **{name: asdict(t)[field] for name, field in THEIRS.items()}}
    if path.startswith(("/portal/v1/workspaces", "/sign-in")):
        known["name"] = "mine"
    return re.sub(r"\{(\w+)\}", lambda found: known[found[1]], path)


async def test_every_route_has_a_case(portal: TestPortal, things: Things) -> None:
    walked = {f"{method} {path}" for method, path in routes(portal)}
    unsafe = {one for one in walked if not one.startswith("GET ")}
    assert unsafe == (bodies(things).keys() | SKIPPED.keys()) & unsafe | bodies(things).keys()
    assert SKIPPED.keys() <= walked
    for _, path in routes(portal):
        filled(path, things)
    sockets = [route.path for route in routes_of(portal.portal.asgi) if isinstance(route, WebSocketRoute)]
    assert sockets == ["/v1/responses"]


@pytest.mark.parametrize("who", [STRANGER, ADMIN])
async def test_nobody_reaches_what_is_anothers(portal: TestPortal, things: Things, who: str) -> None:
    storage = portal.portal.storage
    before = await mine(portal, who)
    wrong: list[tuple[str, int, str]] = []
    for method, path in routes(portal):
        case = f"{method} {path}"
        if case in SKIPPED or (who == ADMIN and path.startswith(MANAGES)):
            continue
        sent = bodies(things).get(case)
        for body in sent if isinstance(sent, list) else [sent]:
            _, key = await portal.portal.credentials.create_key(who, case[:90])
            headers = {"Authorization": f"Bearer {key}", "Accept": "*/*"}
            async with (
                aiohttp.ClientSession(portal.url, headers=headers) as client,
                client.request(method, filled(path, things), json=body, allow_redirects=False) as answer,
            ):
                told = (await answer.read()).decode("utf-8", "replace")
            private = any(f"{{{name}}}" in path for name in THEIRS) or case == "POST /v1/responses"
            leaks = "private" in told.replace(things.item, "") and path not in PUBLISHED
            private = private and not (who == ADMIN and path == LOOKS)
            if answer.status == 500 or leaks or (private and answer.status < 400):
                wrong.append((case, answer.status, told[:200]))
            for one in await storage.users.credentials(who, "key"):
                await portal.portal.credentials.revoke(who, one.id)
    assert not wrong, "\n".join(map(str, wrong))
    after = await mine(portal, who)
    assert [(a, b) for a, b in zip(before, after, strict=True) if a != b] == []


async def mine(portal: TestPortal, who: str) -> list[list[Any]]:
    """All that is OWNER's."""
    found: list[Any] = await everything(portal.portal.storage)
    return [[row for row in rows if row.get("owner") == OWNER] for rows in found]


async def test_a_socket_reaches_nothing_of_another(portal: TestPortal, things: Things) -> None:
    _, key = await portal.portal.credentials.create_key(STRANGER, "socket")
    async with (
        aiohttp.ClientSession(portal.url, headers={"Authorization": f"Bearer {key}"}) as client,
        client.ws_connect("/v1/responses") as socket,
    ):
        for field, value in (("previous_response_id", things.response), ("conversation", things.conversation)):
            await socket.send_json({"type": "response.create", "model": "tiny", "input": "hi", field: value})
            told = await socket.receive_json()
            assert told["type"] == "error"
            assert "private" not in str(told)


async def test_a_client_of_tools_reaches_nothing_of_another(portal: TestPortal, things: Things) -> None:
    storage = portal.portal.storage
    before = await mine(portal, STRANGER)
    _, key = await portal.portal.credentials.create_key(STRANGER, "tools")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ask", {"text": "hi", "conversation": things.conversation}),
        ("read_conversation", {"conversation": things.conversation}),
        ("list_conversations", {"query": "private"}),
        ("get_result", {"id": things.response}),
        ("recall_memories", {"query": "private"}),
        ("forget_memory", {"memory_id": things.memory}),
        ("search_knowledge", {"query": "private"}),
        ("add_document", {"file_id": things.file, "collection": things.collection}),
    ]
    async with client_of(portal, key=key) as client:
        for name, arguments in calls:
            told = await client.call_tool(name, arguments)
            assert "private" not in told.model_dump_json().replace(things.item, ""), name
    for one in await storage.users.credentials(STRANGER, "key"):
        await portal.portal.credentials.revoke(STRANGER, one.id)
    assert await mine(portal, STRANGER) == before
