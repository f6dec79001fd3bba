"""A model server that repeats what it was sent: its key is the owner's, and nobody who asks is told of it."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.model_server import Answer, ModelServer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "sk-of-the-owner-0123456789abcdef"
SAID = f'Unknown header in {{"Authorization": "Bearer {KEY}"}} of eve.adams@mail.example'
PLAIN = b"0123456789abcdef0123"  # nothing but its name says that this is a key
JSON, EVENTS = {"Content-Type": "application/json"}, {"Content-Type": "text/event-stream"}
QUOTED = SAID.replace('"', '\\"').encode()
ANSWERS = {
    "refused": Answer(status=400, error=SAID),
    "refused with the headers": Answer(
        status=400, frames=[b'{"error": {"message": "no"}, "headers": {"api-key": "%b"}}' % PLAIN], headers=JSON
    ),
    "failed": Answer(status=500, error=SAID),
    "failed with success": Answer(frames=[b'{"error": {"message": "%b"}}' % QUOTED], headers=JSON),
    "failed at once": Answer(frames=[b'data: {"error": {"message": "%b"}}\n\n' % QUOTED], headers=EVENTS),
    "nonsense": Answer(frames=[b"Authorization: Bearer %b" % KEY.encode()], headers=JSON),
}
HI = {"messages": [{"role": "user", "content": "hi"}]}
DOORS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", HI),
    ("/v1/chat/completions", {**HI, "stream": True}),
    ("/v1/responses", {"input": "hi"}),
    ("/v1/responses", {"input": "hi", "stream": True}),
    ("/v1/messages", {**HI, "max_tokens": 9}),
    ("/v1/completions", {"prompt": "hi"}),
    ("/api/chat", HI),
    ("/api/chat", {**HI, "stream": False}),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[dict[str, ModelServer]]:
    able = [OllamaModel(name="able", capabilities=("completion", "tools"))]
    async with OllamaServer(models=able) as one, OpenAIServer(models=["hosted"], api_key=KEY) as two:
        yield {"able": one, "hosted": two}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(
    tmp_path_factory: pytest.TempPathFactory, servers: dict[str, ModelServer]
) -> AsyncIterator[TestPortal]:
    backends = [
        Ollama(OllamaConfig(url=servers["able"].url, api_key=KEY)),
        OpenAICompatible(Config(url=servers["hosted"].url, api_key=KEY)),
    ]
    settings = {"faults": {"retries": 0, "breaker_failures": 0}, "turns": {"titles": False}}
    folder = tmp_path_factory.mktemp("portal")
    async with open_test_portal(folder, backends=backends, settings=settings) as running:
        yield running


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("model", ["able", "hosted"])
async def test_no_door_tells_it(portal: TestPortal, servers: dict[str, ModelServer], model: str, case: str) -> None:
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        for path, body in DOORS:
            servers[model].script(ANSWERS[case])
            async with client.post(path, json={"model": model, **body}) as answer:
                told = await answer.text()
            assert "error" in told, (path, told)
            assert KEY[8:] not in told, (path, told)
            assert PLAIN.decode() not in told, (path, told)
            assert "adams" not in told, (path, told)
        for kept in ("/portal/v1/turns?sort=failed&limit=200", "/portal/v1/activity/events?limit=200"):
            async with client.get(kept) as answer:
                told = await answer.text()
            assert KEY[8:] not in told
