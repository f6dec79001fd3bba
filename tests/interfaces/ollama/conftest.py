from collections.abc import AsyncIterator
from typing import Any

import httpx
import ollama
import orjson
import pytest
import pytest_asyncio

from portal.backends.ollama import Config, Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo
from portal.storage.database import Statement
from portal.testing.model_server import ModelServer, Received
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import used

ABLE = ("completion", "tools", "vision", "thinking")
SERVED = (
    OllamaModel(name="qwen3:8b", capabilities=ABLE, context_length=16384, parameter_count=8_200_000_000),
    OllamaModel(name="tiny:latest", capabilities=ABLE),
    OllamaModel(name="nomic:latest", capabilities=("embedding",), family="nomic-bert"),
)
SCRIPTED = (
    ModelInfo(id="script", backend="", capabilities=frozenset({"chat", "completion", "tools"}), context_window=4096),
    ModelInfo(id="script-embed", backend="", capabilities=frozenset({"embeddings"}), loaded=True),
)
HI: list[Any] = [{"role": "user", "content": "hi there"}]


@pytest_asyncio.fixture(loop_scope="module")
async def server() -> AsyncIterator[OllamaServer]:
    async with OllamaServer(models=SERVED) as running:
        running.library["new:latest"] = OllamaModel(name="new:latest")
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def second() -> AsyncIterator[OllamaServer]:
    """Another Ollama server; it has one model that the first one has, too."""
    async with OllamaServer(models=[OllamaModel(), OllamaModel(name="only:1b")]) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def openai_server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(models=["gpt", "text-embedding"], extra=["top_k"], usage=True) as running:
        yield running


@pytest.fixture
def backend() -> ScriptedBackend:
    return ScriptedBackend(models=SCRIPTED)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestPortal]:
    """One Portal for a file of tests; each brings its own model servers."""
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data") as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def portal(
    running: TestPortal,
    server: OllamaServer,
    second: OllamaServer,
    openai_server: OpenAIServer,
    backend: ScriptedBackend,
) -> AsyncIterator[TestPortal]:
    """That Portal with this test's model servers, its usage log empty."""
    backends = [
        Ollama(Config(url=server.url)),
        Ollama(Config(url=second.url, name="second")),
        OpenAICompatible(OpenAIConfig(url=openai_server.url, name="compatible")),
        backend,
    ]
    storage, models = running.portal.storage, running.portal.models
    await used(storage, running.owner)
    await storage.database.batch([Statement("DELETE FROM usage_log", {})])
    for each in backends:
        models.add(each, source="settings")
    await models.refresh()
    yield running
    for each in backends:
        await models.remove(each.name)


@pytest_asyncio.fixture(loop_scope="module")
async def api(portal: TestPortal) -> AsyncIterator[httpx.AsyncClient]:
    """A plain client with a key."""
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def client(portal: TestPortal) -> AsyncIterator[ollama.AsyncClient]:
    """Ollama's own client with a key."""
    yield ollama.AsyncClient(host=portal.url, headers=portal.headers)


@pytest_asyncio.fixture(loop_scope="module")
async def anyone(portal: TestPortal) -> AsyncIterator[ollama.AsyncClient]:
    """Ollama's own client as programs of this machine use it: without a key."""
    yield ollama.AsyncClient(host=portal.url)


def asked(server: ModelServer, path: str) -> list[Received]:
    """What a server received at a path."""
    return [request for request in server.requests if request.path == path]


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a stream, each on a line of its own."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.content.endswith(b"\n")
    return [orjson.loads(line) for line in answer.content.splitlines()]


def refused(answer: httpx.Response, status: int) -> str:
    """What a refusal in Ollama's form says."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error"}
    assert isinstance(body["error"], str)
    assert body["error"]
    return str(body["error"])
