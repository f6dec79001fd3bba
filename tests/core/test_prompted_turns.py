"""Tools for a model whose server knows none, over real sockets: told in the prompt, and once a call could not be read
held to a schema in the way of that server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.core.ports import Backend
from portal.testing.model_server import Answer, ModelServer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal
from portal.tools.function import Functions, tool

LISTED = {"id": "plain", "owned_by": "organization_owner"}
LM_STUDIO = {"data": [{"id": "plain", "object": "model", "type": "llm", "state": "loaded", "capabilities": []}]}


@tool(risk="read")
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"sunny in {city}"


@asynccontextmanager
async def serving(kind: str) -> AsyncIterator[tuple[ModelServer, Backend]]:
    if kind == "ollama":
        async with OllamaServer(models=[OllamaModel(name="plain:latest", capabilities=("completion",))]) as ollama:
            yield ollama, Ollama(OllamaConfig(url=ollama.url))
    else:
        async with OpenAIServer(models=[LISTED], lm_studio=LM_STUDIO) as server:
            yield server, OpenAICompatible(Config(url=server.url))


def schema_of(body: dict[str, Any]) -> Any:
    """What holds the answer of a request to a schema."""
    wanted = body.get("format") or (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    return wanted and [sorted(one["properties"]) for one in wanted["anyOf"]]


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_a_call_that_cannot_be_read_is_made_again_within_a_schema(tmp_path: Path, kind: str) -> None:
    async with (
        serving(kind) as (server, backend),
        open_test_portal(tmp_path, backends=[backend], toolsets=[Functions("sky", [get_weather])]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        server.script(
            Answer(text=["<tool_call>", '{"name": "get_weather", "arguments": {"place": 7}}', "</tool_call>"]),
            Answer(text=['{"name": "get_weather", ', '"arguments": {"city": "Oslo"}}']),
            Answer(text=["It is ", "sunny in Oslo."]),
        )
        answer = await client.post("/v1/responses", json={"model": "auto", "input": "What is the weather in Oslo?"})
        missed, called, said = (await answer.json())["output"]
    assert missed["error"].startswith("arguments: ")
    assert (called["arguments"], called["output"]) == ('{"city": "Oslo"}', "sunny in Oslo")
    assert said["content"][0]["text"] == "It is sunny in Oslo."
    asked = [one.body for one in server.requests if (one.body or {}).get("messages")]
    assert [schema_of(body) for body in asked] == [None, [["answer"], ["arguments", "name"]], None]
    assert all("tools" not in body for body in asked)
    assert "get_weather: Tell the weather in a city." in asked[0]["messages"][0]["content"]
    assert "sunny in Oslo" in asked[2]["messages"][-1]["content"]


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_an_answer_within_the_schema_is_text(tmp_path: Path, kind: str) -> None:
    async with (
        serving(kind) as (server, backend),
        open_test_portal(tmp_path, backends=[backend], toolsets=[Functions("sky", [get_weather])]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        server.script(
            Answer(text=['<tool_call>{"name": "get_whether", "arguments": {}}</tool_call>']),
            Answer(text=['{"answer": "I do', ' not know."}']),
        )
        answer = await client.post("/v1/responses", json={"model": "auto", "input": "What is the weather in Oslo?"})
        missed, said = (await answer.json())["output"]
    assert missed["error"] == "There is no tool 'get_whether'. There are: get_weather."
    assert said["content"][0]["text"] == "I do not know."


async def test_tools_that_a_server_refuses_are_told_in_the_prompt(tmp_path: Path) -> None:
    older = OllamaModel(name="plain:latest", capabilities=None)  # from before Ollama told what models can do
    async with (
        OllamaServer(models=[older]) as server,
        open_test_portal(
            tmp_path,
            backends=[Ollama(OllamaConfig(url=server.url))],
            toolsets=[Functions("sky", [get_weather])],
        ) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        server.script(
            Answer(status=400, error="registry.ollama.ai/library/plain:latest does not support tools"),
            Answer(text=['<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>']),
            Answer(text=["It is sunny."]),
            Answer(status=400, error="the tool of thought is blunt"),
        )
        answer = await client.post("/v1/responses", json={"model": "auto", "input": "What is the weather in Oslo?"})
        called, said = (await answer.json())["output"]
        refused = await client.post("/v1/responses", json={"model": "plain:latest", "input": "Hello"})
    assert (called["output"], said["content"][0]["text"]) == ("sunny in Oslo", "It is sunny.")
    assert refused.status == 400
    asked = [one.body for one in server.requests if (one.body or {}).get("messages")]
    assert ["tools" in body for body in asked] == [True, False, False, False]
