"""The official `ollama` package of npm against a running Portal, over each kind of server."""

import json
import shutil
from pathlib import Path

import pytest
from tests.interfaces.openai.test_npm import run

from portal.backends import embedded
from portal.backends.scripted import echo
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.scripted_engine import ScriptedEngine, echo_job

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

PACKAGE = "ollama@0.6.3"
TINY, INSIDE = Path(__file__).parents[2] / "fixtures" / "tinymodel", "portal-tiny-q8_0"
MODELS = ["qwen3:8b", "gpt", "script", INSIDE, "auto"]
CALL = ToolCall(name="f", arguments={"x": 1}, id="c1")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.timeout(300)
async def test_a_script(portal, server, openai_server, backend, tmp_path):
    backend.default = echo
    engine = ScriptedEngine(default=echo_job)
    portal.portal.models.add(embedded.Embedded(embedded.Config(folder=TINY, name="inside"), engine=engine))
    await portal.portal.models.refresh()
    openai_server.script(
        *(Answer(text=["hi ", "there"]) for _ in range(2)),
        Answer(text=["one ", "two"]),
        Answer(thinking=["hm"], text=["a"]),
        Answer(tool_calls=[CALL]),
        Answer(text=["a", "b"], fault=Fault.CUT, after=2),
    )
    shutil.copy(Path(__file__).with_name("client.mjs"), tmp_path)
    await run("npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(tmp_path), PACKAGE, cwd=tmp_path)
    got = json.loads(await run("node", "client.mjs", portal.url, portal.key, *MODELS, cwd=tmp_path))
    assert {"auto:latest", "qwen3:8b", "gpt:latest", "script:latest"} <= set(got.pop("models"))
    assert "broke off" in got.pop("broken")
    assert {"qwen3:8b", "script-embed:latest", "portal-guide:latest"} <= set(got.pop("running"))
    assert got == {
        "version": "0.13.0",
        "chat": dict.fromkeys(MODELS, "hi there"),
        "streamed": {model: ["hi there", True, model] for model in MODELS},
        "generated": dict.fromkeys(MODELS, "one two"),
        "shown": dict.fromkeys(MODELS, True),
        "thinking": "hm",
        "calls": [{"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"x": 1}}}],
        "vectors": 2,
        "vector": 1,
        "pulled": "success",
        "copied": "success",
        "created": "success",
        "pushed": "success",
        "deleted": "success",
        "after": ["new:latest", "newer:latest"],
        "unknown": [404, "model 'qwen4:8b' not found. Did you mean 'qwen3:8b'?"],
        "refused": 401,
        "first": "hi",
    }
