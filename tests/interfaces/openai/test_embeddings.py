import asyncio
import base64
import struct

import httpx
import pytest
from tests.interfaces.openai.conftest import MODELS, error_of, usage_rows

from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.scripted import ScriptedBackend
from portal.core.model import Embeddings
from portal.errors import BackendTimeout
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def embed(api, **more):
    return await api.post("/v1/embeddings", {"model": "embedder", "input": "Hi", **more})


async def test_numbers(api, backend, portal):
    answer = await embed(api, input=["Hi", "there"])
    made = answer.json()
    assert [row["index"] for row in made["data"]] == [0, 1]
    assert len(made["data"][0]["embedding"]) == 8
    assert made["data"][0]["embedding"] != made["data"][1]["embedding"]
    assert made["model"] == answer.headers["x-portal-model"] == "embedder"
    assert made["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert backend.embedded == [("Hi", "there")]
    (row,) = await usage_rows(portal)
    assert (row["door"], row["input_tokens"], row["output_tokens"], row["status"]) == ("embeddings", 3, 0, "completed")


async def test_base64(api):
    numbers = (await embed(api, dimensions=5)).json()["data"][0]["embedding"]
    text = (await embed(api, dimensions=5, encoding_format="base64")).json()["data"][0]["embedding"]
    assert struct.unpack("<5f", base64.b64decode(text)) == pytest.approx(numbers, rel=1e-6)


async def test_what_only_model_servers_know_reaches_them(tmp_path):
    body = {"input": "Hi", "user": "me", "input_type": "query", "encoding_format": "base64", "dimensions": 4}
    model = OllamaModel(name="b", capabilities=["embedding"])
    async with OpenAIServer(models=["embed-a"], extra=["input_type"]) as openai, OllamaServer(models=[model]) as ol:
        backends = [OpenAICompatible(OpenAIConfig(url=openai.url)), Ollama(OllamaConfig(url=ol.url))]
        async with (
            open_test_portal(tmp_path / "data", backends=backends) as portal,
            httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
        ):
            for name in ("embed-a", "b"):
                answer = await client.post("/v1/embeddings", json={**body, "model": name})
                assert answer.status_code == 200, answer.text
                assert len(base64.b64decode(answer.json()["data"][0]["embedding"])) == 4 * 4
        at_openai = next(one.body for one in openai.requests if one.path == "/v1/embeddings")
        at_ollama = next(one.body for one in ol.requests if one.path == "/api/embed")
    assert at_openai == {**body, "model": "embed-a", "input": ["Hi"], "encoding_format": "float"}
    known = {"user": "me", "input_type": "query", "dimensions": 4}
    assert {name: at_ollama.get(name) for name in known} == known


async def test_auto_is_a_model_that_can(api):
    assert (await embed(api, model="auto")).json()["model"] == "embedder"


@pytest.mark.parametrize(
    ("more", "status", "param"),
    [
        ({"input": None}, 400, "input"),
        ({"input": []}, 400, "input"),
        ({"input": {}}, 400, "input"),
        ({"input": ""}, 400, "input[0]"),
        ({"input": [None]}, 400, "input[0]"),
        ({"input": [1, 2]}, 400, "input"),
        ({"input": [[1, 2]]}, 400, "input"),
        ({"input": ["x"] * 2049}, 400, "input"),
        ({"dimensions": 0}, 400, "dimensions"),
        ({"encoding_format": "hex"}, 400, "encoding_format"),
        ({"model": "embeder"}, 404, "model"),
    ],
)
async def test_what_is_wrong_is_named(api, more, status, param):
    assert error_of(await embed(api, **more), status)["param"] == param


async def test_a_backend_that_fails(api, backend, portal):
    backend.failure = BackendTimeout("Too slow.")
    assert error_of(await embed(api), 504)["code"] == "backend_timeout"
    assert [row["status"] for row in await usage_rows(portal)] == ["failed"]


async def test_a_backend_that_cannot(api):
    error = error_of(await embed(api, model="portal-guide"), 400)
    assert error["code"] == "unsupported_model"


class Slow(ScriptedBackend):
    """Never gets to an answer, and counts for itself."""

    def __init__(self):
        super().__init__(name="slow", models=MODELS)
        self.asked, self.stopped = asyncio.Event(), asyncio.Event()

    async def embed(self, model, texts, dimensions=None, more=None):
        if texts[0] == "quick":
            return Embeddings([[1.0]], 1, estimated=True)
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()


class TestSlowly:
    @pytest.fixture
    def backend(self):
        return Slow()

    async def test_a_client_that_leaves_stops_it(self, api, backend, portal):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(embed(api))
            await backend.asked.wait()
            asking.cancel()
        await backend.stopped.wait()
        assert [row["status"] for row in await usage_rows(portal)] == ["cancelled"]

    async def test_an_estimate_says_so(self, api):
        assert (await embed(api, input="quick")).json()["usage"]["portal:estimated"] is True
