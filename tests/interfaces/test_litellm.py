"""LiteLLM as a client of a running Portal: over OpenAI's, Anthropic's and Ollama's API, over each kind of server."""

import json
import sys
from pathlib import Path

import pytest
from tests.interfaces.openai.test_npm import run

from portal.backends import embedded, ollama, openai_compatible
from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, ToolCallDelta
from portal.extras import installer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal
from portal.testing.scripted_engine import ScriptedEngine

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel"
CLIENT = Path(__file__).with_name("litellm_client.py")
PACKAGE = "litellm==1.110.2"
OFFLINE = "LITELLM_LOCAL_MODEL_COST_MAP=True"
"""It would ask the network for prices."""

ABLE = frozenset({"chat", "completion", "tools"})
SCRIPTED = (
    ModelInfo(id="calls", backend="", capabilities=ABLE, context_window=4096),
    ModelInfo(id="vectors", backend="", capabilities=frozenset({"embeddings"})),
)
HELLO = ["Hello", "stop"]


def weather(request):
    return [ToolCallDelta(0, "call_1", "weather", '{"city": "Oslo"}')] if request.parameters.get("tools") else ["?"]


async def installed(folder):
    """LiteLLM in a folder of its own: it wants versions of packages that the other tests do not have."""
    install = installer()
    assert install is not None
    await run(*install, "--quiet", "--target", str(folder / "packages"), PACKAGE, cwd=folder)
    return folder / "packages"


@pytest.mark.timeout(300)
async def test_every_door(tmp_path):
    engine = ScriptedEngine(default=lambda job: ["Hel", "lo"])
    scripted = ScriptedBackend(models=SCRIPTED)
    scripted.default = weather
    async with (
        OllamaServer(models=[OllamaModel(name="qwen3:8b")]) as one,
        OpenAIServer(models=["hosted"], usage=True) as two,
    ):
        for server in (one, two):
            for _ in range(6):
                server.answer("Hel", "lo")
        backends = [
            ollama.Ollama(ollama.Config(url=one.url)),
            openai_compatible.OpenAICompatible(openai_compatible.Config(url=two.url)),
            embedded.Embedded(embedded.Config(folder=TINY), engine=engine),
            scripted,
        ]
        async with open_test_portal(tmp_path / "data", backends=backends) as portal:
            models = ["qwen3:8b", "hosted", "portal-tiny-q8_0"]
            packages = await installed(tmp_path)
            asking = ["env", OFFLINE, f"PYTHONPATH={packages}", sys.executable, CLIENT]
            said = await run(*asking, portal.url, portal.key, *models, cwd=tmp_path)
    got = json.loads(said.splitlines()[-1])
    assert got.pop("vectors") == 2
    assert got.keys() == {"openai", "anthropic", "ollama_chat"}
    for door, seen in got.items():
        for model in models:
            assert seen[model] == [HELLO, HELLO], (door, model)
        assert seen["tools"] == ["weather", {"city": "Oslo"}], door
        assert seen["unknown"] == 404, door
        assert seen["key"] == (None if door == "ollama_chat" else 401), door  # this machine may use Ollama's API
