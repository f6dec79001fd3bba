"""No credential of Portal's reaches a model server, whichever door a call comes in by and however it brings it."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from portal.backends import ollama, openai_compatible
from portal.core.ports import Backend
from portal.testing.model_server import ModelServer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOKEN = "the-token-of-the-ollama-door"
ABLE = ("completion", "tools", "embedding")
HI = {"messages": [{"role": "user", "content": "hi"}]}
OPENAI: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", HI),
    ("/v1/chat/completions", {**HI, "stream": True}),
    ("/v1/chat/completions", {**HI, "store": True}),
    ("/v1/completions", {"prompt": "hi"}),
    ("/v1/responses", {"input": "hi"}),
    ("/v1/embeddings", {"input": "hi"}),
    ("/v1/rerank", {"query": "hi", "documents": ["hi"]}),
    ("/v1/messages", {**HI, "max_tokens": 20}),
    ("/v1/messages", {**HI, "max_tokens": 20, "stream": True}),
    ("/v1/messages/count_tokens", HI),
]
OLLAMA: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/api/chat", HI),
    ("POST", "/api/chat", {**HI, "stream": False}),
    ("POST", "/api/generate", {"prompt": "hi"}),
    ("POST", "/api/embed", {"input": "hi"}),
    ("POST", "/api/embeddings", {"prompt": "hi"}),
    ("POST", "/api/show", {}),
    ("GET", "/api/tags", None),
    ("GET", "/api/ps", None),
    ("GET", "/api/version", None),
    ("POST", "/api/copy", {"source": "able", "destination": "other"}),
    ("POST", "/api/create", {"model": "made", "from": "able"}),
    ("POST", "/api/pull", {"model": "able"}),
    ("POST", "/api/push", {"model": "able"}),
    ("DELETE", "/api/delete", {"model": "other"}),
    ("HEAD", "/api/blobs/sha256:00", None),
    ("GET", "/api/experimental", None),
    ("POST", "/api/experimental", {"x": 1}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[dict[str, ModelServer]]:
    models = [OllamaModel(name="able", capabilities=ABLE)]
    listed = ["hosted", "text-embedding", "bge-reranker"]
    async with OllamaServer(models=models) as one, OpenAIServer(models=listed, api_key="the-servers-own") as two:
        yield {"able": one, "hosted": two}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["", TOKEN], ids=["keys", "token"])
async def portal(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, servers: dict[str, ModelServer]
) -> AsyncIterator[TestPortal]:
    backends: list[Backend] = [
        ollama.Ollama(ollama.Config(url=servers["able"].url)),
        openai_compatible.OpenAICompatible(
            openai_compatible.Config(url=servers["hosted"].url, api_key="the-servers-own")
        ),
    ]
    settings = {"ollama": {"token": request.param}} if request.param else {}
    folder = tmp_path_factory.mktemp("portal") / "data"
    async with open_test_portal(folder, backends=backends, settings=settings) as running:
        yield running


def brought(portal: TestPortal) -> list[dict[str, str]]:
    """Each way to bring a key."""
    return [{"Authorization": f"Bearer {portal.key}"}, {"x-api-key": portal.key}]


def check(servers: dict[str, ModelServer], *secrets: str) -> None:
    for server in servers.values():
        for request in server.requests:
            for secret in secrets:
                assert secret not in f"{request.path} {request.headers} {request.raw!r}", request.path
            wanted = "Bearer the-servers-own" if isinstance(server, OpenAIServer) else None
            assert request.headers.get("Authorization") == wanted
            assert not {"x-api-key", "cookie"} & {name.lower() for name in request.headers}


@pytest.mark.parametrize("model", ["able", "hosted", "auto"])
async def test_openais_and_anthropics_doors(portal: TestPortal, servers: dict[str, ModelServer], model: str) -> None:
    special = {"/v1/embeddings": "text-embedding", "/v1/rerank": "bge-reranker"}
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as client:
        for headers in brought(portal):
            for path, body in OPENAI:
                named = special.get(path, model) if model == "hosted" else model
                answer = await client.post(path, json={"model": named, **body}, headers=headers)
                assert answer.status_code not in (401, 403), (path, answer.text)
    assert sum(len(server.requests) for server in servers.values()) > 10
    check(servers, portal.key)


async def test_ollamas_door(portal: TestPortal, servers: dict[str, ModelServer]) -> None:
    secrets = [TOKEN] if portal.portal.settings.ollama.token else [portal.key]
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as client:
        for secret in secrets:
            headers = {"Authorization": f"Bearer {secret}", "x-api-key": secret, "Cookie": f"portal={secret}"}
            for method, path, body in OLLAMA:
                sent = None if body is None else {"model": "able", **body}
                answer = await client.request(method, path, json=sent, headers=headers)
                assert answer.status_code not in (401, 403), (path, answer.text)
    asked = {request.path for request in servers["able"].requests}
    assert {path for _, path, _ in OLLAMA} - asked == set()
    check(servers, portal.key, TOKEN)
