"""The speed of models, measured in real calls through every door, as the page is told it."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.backends.ollama import Config, Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.testing.model_server import Answer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

WORDS = [f"word{number} " for number in range(400)]
CHAT = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("model", "path", "body", "seen"),
    [
        ("tiny:latest", "/v1/chat/completions", {**CHAT, "stream": True}, True),  # converted
        ("relayed", "/v1/chat/completions", {**CHAT, "stream": True}, True),
        ("relayed", "/v1/responses", {"input": "Hello"}, True),  # the agent streams from the server in any case
        ("relayed", "/v1/chat/completions", CHAT, False),
    ],
)
async def test_a_call_shows_how_fast_a_model_is(
    tmp_path: Path, model: str, path: str, body: dict[str, Any], seen: bool
) -> None:
    async with OllamaServer(models=[OllamaModel()]) as ollama, OpenAIServer(models=["relayed"]) as openai:
        backends = [Ollama(Config(url=ollama.url)), OpenAICompatible(OpenAIConfig(url=openai.url))]
        for server in (ollama, openai):
            server.script(*[Answer(text=WORDS)] * 20)
        async with open_test_portal(tmp_path, backends=backends) as up, aiohttp.ClientSession(up.url) as client:

            async def speed() -> Any:
                async with client.get("/portal/v1/models", headers=up.headers) as answer:
                    listed = (await answer.json())["data"]
                return next(row["speed_seen"] for row in listed if row["id"] == model)

            assert await speed() is None
            for _ in range(20):  # an answer that was there within a millisecond tells nothing
                async with client.post(path, json={"model": model, **body}, headers=up.headers) as answer:
                    assert answer.status == 200
                    await answer.read()
                if told := await speed():
                    break
    assert (told is not None) is seen
    assert told is None or told["tokens_per_second"] > 0


async def test_the_data_folder_may_hold_families_of_ones_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "families.toml").write_text('[tiny]\ncontext = 1234\ncan = ["vision"]\n', encoding="utf-8")
    async with OpenAIServer(models=["tiny"]) as server, AsyncExitStack() as stack:
        backend = OpenAICompatible(OpenAIConfig(url=server.url))
        up = await stack.enter_async_context(open_test_portal(data, backends=[backend]))
        info = up.portal.models.find("tiny")[1]
    assert (info.context_window, "vision" in info.capabilities) == (1234, True)
