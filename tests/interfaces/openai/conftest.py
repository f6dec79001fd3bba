import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo
from portal.storage.database import Statement
from portal.testing.openresponses import OpenResponses
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used

_SPEC = OpenResponses(Path(__file__).parents[2] / "specs" / "openresponses" / "openapi-2026-04-24.json")

ALL = frozenset({"chat", "completion", "tools", "vision"})
MODELS = (
    ModelInfo(id="tiny", backend="", capabilities=ALL, context_window=4096, created=1_700_000_000),
    ModelInfo(id="vendor/big:7b", backend="", capabilities=ALL, parameters=7_000_000_000, family="big"),
    ModelInfo(id="embedder", backend="", capabilities=frozenset({"embeddings"})),
)


@pytest.fixture(scope="session")
def spec() -> OpenResponses:
    return _SPEC


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(models=MODELS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    """One server for a file of tests; each brings its own backend."""
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data") as started:
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


class Api:
    """A plain HTTP client of Portal; holds every answer of the Responses API against its specification."""

    def __init__(self, client: httpx.AsyncClient, spec: OpenResponses) -> None:
        self.client = client
        self.spec = spec

    async def post(self, path: str, body: object = None, **more: Any) -> httpx.Response:
        return await self.client.post(path, json=body, **more)

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query)

    async def respond(self, body: dict[str, Any], **query: Any) -> dict[str, Any]:
        """A whole response, request and answer checked."""
        self.spec.check("CreateResponseBody", body)
        answer = await self.client.post("/v1/responses", json=body, params=query)
        assert answer.status_code == 200, answer.text
        made: dict[str, Any] = answer.json()
        self.spec.check("ResponseResource", made)
        return made

    async def stream(self, body: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
        """The events of a streamed response, request and events checked."""
        self.spec.check("CreateResponseBody", body)
        answer = await self.client.post("/v1/responses", json={**body, "stream": True}, params=query)
        assert answer.status_code == 200, answer.text
        events = sse(answer.text)
        self.spec.check_stream(events, whole=bool(query.get("portal_events")))
        return events


@pytest_asyncio.fixture(loop_scope="module")
async def api(portal: TestPortal, spec: OpenResponses) -> AsyncIterator[Api]:
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as client:
        yield Api(client, spec)


def sse(text: str) -> list[dict[str, Any]]:
    """The events of a Responses stream; each frame has `event:` and `data:` lines that agree, `[DONE]` is the last."""
    frames = [frame for frame in text.split("\n\n") if frame and not frame.startswith(":")]
    assert frames[-1] == "data: [DONE]"
    events = []
    for frame in frames[:-1]:
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


def chat_chunks(text: str, *, done: bool = True) -> list[dict[str, Any]]:
    """The chunks of a chat stream; `[DONE]` ends it, and nothing else does."""
    frames = [frame for frame in text.split("\n\n") if frame]
    assert (frames[-1] == "data: [DONE]") is done
    return [json.loads(frame.removeprefix("data: ")) for frame in (frames[:-1] if done else frames)]


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error object of a refusal in OpenAI's form."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    error: dict[str, Any] = body["error"]
    return error


async def usage_rows(portal: TestPortal) -> Sequence[Mapping[str, Any]]:
    """What the usage log holds, oldest first; what waits is written first."""
    storage = portal.portal.storage
    await used(storage, portal.owner)
    sql = "SELECT * FROM usage_log WHERE owner = :owner ORDER BY created_at, id"
    return await storage.database.fetch(sql, owner=portal.owner)
