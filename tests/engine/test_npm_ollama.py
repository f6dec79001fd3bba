"""The stand-in of Ollama, seen by Ollama's own JavaScript client."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.testing.model_server import Answer, ToolCall
from portal.testing.ollama_server import OllamaModel, OllamaServer

pytestmark = pytest.mark.slow

SCRIPT = """
import {Ollama} from "ollama";
const client = new Ollama({host: process.argv[1]});
const messages = [{role: "user", content: "hi there"}];
const out = {};
out.models = (await client.list()).models.map((model) => model.name);
out.capabilities = (await client.show({model: "able"})).capabilities;
out.whole = (await client.chat({model: "able", messages})).message.content;
out.pieces = [];
for await (const part of await client.chat({model: "able", messages, stream: true, think: true})) {
    out.pieces.push(part.message);
}
out.vectors = (await client.embed({model: "able", input: ["a", "b"]})).embeddings.length;
out.generated = (await client.generate({model: "able", prompt: "one two"})).response;
try { await client.chat({model: "none", messages}); } catch (error) { out.error = error.message; }
console.log(JSON.stringify(out));
"""


async def test_the_javascript_client(node_with: Callable[[str], str]) -> None:
    node = node_with("ollama")
    model = OllamaModel(name="able:latest", capabilities=("completion", "tools", "thinking"))
    async with OllamaServer(models=[model]) as server:
        server.script(
            Answer(text=["hi"]),
            Answer(thinking=["hm"], text=["a"], tool_calls=[ToolCall(name="f", arguments={"x": 1})]),
        )
        process = await asyncio.create_subprocess_exec(
            node,
            "--input-type=module",
            "-e",
            SCRIPT,
            server.url,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent,
        )
        output, _ = await process.communicate()
    seen: dict[str, Any] = json.loads(output)
    assert seen["models"] == ["able:latest"]
    assert seen["capabilities"] == ["completion", "tools", "thinking"]
    assert seen["whole"] == "hi"
    assert seen["pieces"][0]["thinking"] == "hm"
    assert seen["pieces"][2]["tool_calls"][0]["function"]["arguments"] == {"x": 1}
    assert seen["vectors"] == 2
    assert seen["generated"] == "one two"
    assert seen["error"] == "model 'none' not found"
