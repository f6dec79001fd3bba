import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anthropic
import httpx
import pytest
import pytest_asyncio
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo
from portal.storage.database import Statement
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used

EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
ABLE = frozenset({"chat", "completion", "tools", "vision"})
MODELS = (
    ModelInfo(id="tiny", backend="", capabilities=ABLE, context_window=4096, created=1_700_000_000),
    ModelInfo(id="vendor/thinker:7b", backend="", capabilities=ABLE | {"thinking"}, parameters=7_000_000_000),
)
ALIASES = {"claude-*": "auto-coding", "claude-haiku": "tiny", "gone-*": "tinny", "brief-*": "brief"}
WORKSPACES = {"brief": {"instructions": "Be brief.", "prefer": ["tiny"]}}


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(models=MODELS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    """One server for a file of tests; each brings its own backend."""
    settings = {"anthropic": {"aliases": ALIASES}, "server": {"max_body": 2**20}, "workspaces": WORKSPACES}
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", settings=settings) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def portal(running: TestPortal, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    """The server with this test's backend, its usage log empty."""
    storage, models = running.portal.storage, running.portal.models
    await used(storage, running.owner)
    await storage.database.batch([Statement("DELETE FROM usage_log", {})])
    models.add(backend)
    await models.refresh()
    yield running
    await models.remove(backend.name)


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal: TestPortal) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=portal.url, api_key=portal.key, max_retries=0) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def plain(portal: TestPortal) -> AsyncIterator[httpx.AsyncClient]:
    """A client that takes every answer as it is."""
    headers = {"x-api-key": portal.key, "anthropic-version": "2023-06-01"}
    async with httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=20) as made:
        yield made


def asked(text: str = "Hi", **more: Any) -> dict[str, Any]:
    """A request's body."""
    return {"model": "tiny", "max_tokens": 100, "messages": [{"role": "user", "content": text}], **more}


def sse(text: str) -> list[dict[str, Any]]:
    """The events of a stream: named as their data says, each but pings and errors one that the SDK knows."""
    assert text.endswith("\n\n")
    events = []
    for frame in text.removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        if event["type"] not in ("ping", "error"):
            EVENTS.validate_python(event, strict=True)
        events.append(event)
    return events


def error_of(answer: httpx.Response, status: int, *, numbered: bool = True) -> dict[str, Any]:
    """The error object of a refusal in Anthropic's form; not `numbered` where it came before the door."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert body["request_id"] == (answer.headers["request-id"] if numbered else None)
    assert body["error"].keys() == {"type", "message"}
    error: dict[str, Any] = body["error"]
    return error


async def usage_rows(portal: TestPortal) -> Sequence[Mapping[str, Any]]:
    """What the usage log holds, oldest first; what waits is written first."""
    storage = portal.portal.storage
    await used(storage, portal.owner)
    sql = "SELECT * FROM usage_log WHERE owner = :owner ORDER BY created_at, id"
    return await storage.database.fetch(sql, owner=portal.owner)
