"""Requests that are none, in the words of Ollama's form."""

import pytest
import pytest_asyncio
from tests.interfaces.ollama.conftest import HI, SERVED, asked, refused

from portal.backends.ollama import Config, Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.testing.ollama_server import OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    async with OllamaServer(models=SERVED) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory, server):
    async with OpenAIServer(models=["gpt"]) as other:
        backends = [Ollama(Config(url=server.url)), OpenAICompatible(OpenAIConfig(url=other.url))]
        async with open_test_portal(tmp_path_factory.mktemp("portal"), backends=backends) as running:
            yield running


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings"])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "missing request body"),
        (b"  ", "missing request body"),
        (b"{", "could not parse"),
        (b"\xff", "could not parse"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"{}", "model is required"),
        (b'{"model": ""}', "model is required"),
        (b'{"model": null}', "model is required"),
        (b'{"model": 5}', "model must be a string"),
        (b'{"model": ["a"]}', "model must be a string"),
    ],
)
async def test_bodies_that_are_none(api, path, body, words):
    assert words in refused(await api.post(path, content=body), 400)


@pytest.mark.parametrize("model", ["qwen3:8b", "gpt", "auto"])
@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("/api/chat", {"messages": "hi"}, "'messages'"),
        ("/api/chat", {"messages": ["hi"]}, "'messages[0]'"),
        ("/api/chat", {"messages": [{"content": "hi"}]}, "'messages[0].role'"),
        ("/api/chat", {"messages": [{"role": "user", "content": ["hi"]}]}, "'messages[0].content'"),
        ("/api/chat", {"messages": [{"role": "user", "images": "x"}]}, "'messages[0].images'"),
        ("/api/chat", {"messages": HI, "stream": "no"}, "'stream'"),
        ("/api/chat", {"messages": HI, "tools": {}}, "'tools'"),
        ("/api/chat", {"messages": HI, "options": []}, "'options'"),
        ("/api/chat", {"messages": HI, "think": 1}, "'think"),
        ("/api/chat", {"messages": HI, "keep_alive": []}, "'keep_alive"),
        ("/api/chat", {"messages": HI, "top_logprobs": 21}, "'top_logprobs'"),
        ("/api/generate", {"prompt": ["hi"]}, "'prompt'"),
        ("/api/generate", {"prompt": "x", "raw": "yes"}, "'raw'"),
        ("/api/generate", {"prompt": "x", "context": ["a"]}, "'context[0]'"),
        ("/api/generate", {"prompt": "x", "images": {}}, "'images'"),
    ],
)
async def test_wrong_types(api, server, model, path, fields, words):
    before = len(asked(server, path))
    assert words in refused(await api.post(path, json={"model": model, **fields}), 400)
    assert len(asked(server, path)) == before


async def test_roles_that_are_none(api):
    message = {"role": "robot", "content": "hi"}
    assert "robot" in refused(await api.post("/api/chat", json={"model": "gpt", "messages": [message]}), 400)
    assert "robot" in refused(await api.post("/api/chat", json={"model": "qwen3:8b", "messages": [message]}), 400)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/api/chat", {"messages": HI}),
        ("/api/chat", {"messages": []}),
        ("/api/chat", {}),
        ("/api/generate", {"prompt": "x"}),
        ("/api/generate", {}),
        ("/api/embed", {"input": "x"}),
        ("/api/embeddings", {"prompt": "x"}),
        ("/api/show", {}),
    ],
)
async def test_a_model_that_is_not_there(api, path, fields):
    words = refused(await api.post(path, json={"model": "qwen3:80b", **fields}), 404)
    assert words == "model 'qwen3:80b' not found. Did you mean 'qwen3:8b'?"
    assert refused(await api.post(path, json={"model": "~~", **fields}), 404) == "model '~~' not found"
