"""A workspace with tools, asked through doors that know nothing of turns."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import TextDelta, ToolCallDelta
from portal.core.tool_ports import Toolset
from portal.core.tools import ToolSpec
from portal.knowledge.minilm import MiniLM
from portal.testing.portal import TestPortal, open_test_portal
from portal.tools.function import Functions, tool

ANSWER = "It is sunny in Paris."


@tool(risk="read")
async def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"sunny in {city}"


@tool(risk="write")
async def set_weather(city: str) -> str:
    """Change the weather of a city."""
    raise AssertionError("nobody was asked")


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[tuple[TestPortal, ScriptedBackend]]:
    backend = ScriptedBackend(models=["tiny"])
    toolsets = [Functions("weather", [get_weather, set_weather])]
    async with open_test_portal(data_dir, backends=[backend], toolsets=toolsets) as portal:
        yield portal, backend


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[TestPortal, ScriptedBackend]]:
    async with opened(tmp_path) as made:
        yield made


async def test_a_small_model_judges_a_request_once(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["judge", "tiny"], default=echo)
    toolsets = [Functions("weather", [get_weather])]
    chosen = {"classifier": {"enabled": True, "model": "judge"}, "default_model": "tiny"}
    async with open_test_portal(tmp_path, backends=[backend], toolsets=toolsets, settings=chosen) as portal:
        client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key)
        await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "table"}])

    assert [one.model for one in backend.requests] == ["judge", "tiny"]


def script(backend: ScriptedBackend, name: str = "get_weather") -> None:
    backend.script(ToolCallDelta(0, "c1", name, json.dumps({"city": "Paris"})))
    backend.script(TextDelta("It is sunny "), TextDelta("in Paris."))


def said_by_tools(backend: ScriptedBackend) -> list[Any]:
    return [one["content"] for one in backend.requests[-1].messages if one["role"] == "tool"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("store", [False, True])
async def test_chat_completions(both: tuple[TestPortal, ScriptedBackend], stream: bool, store: bool) -> None:
    portal, backend = both
    script(backend)
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key)
    asked: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Paris?"}]

    if stream:
        chunks = await client.chat.completions.create(model="auto", messages=asked, stream=True, store=store)
        seen = [chunk.choices[0] async for chunk in chunks]
        text, reason = "".join(one.delta.content or "" for one in seen), seen[-1].finish_reason
        assert not any(one.delta.tool_calls for one in seen)
    else:
        whole = await client.chat.completions.create(model="auto", messages=asked, store=store)
        text, reason = whole.choices[0].message.content or "", whole.choices[0].finish_reason
        assert (whole.model, whole.choices[0].message.tool_calls) == ("tiny", None)

    assert (text, reason) == (ANSWER, "stop")
    assert said_by_tools(backend) == ["sunny in Paris"]
    kept = (await portal.portal.storage.responses.recent(portal.owner, 9)) if store else []
    assert len(kept) == store


@pytest.mark.parametrize("stream", [False, True])
async def test_ollamas_chat(both: tuple[TestPortal, ScriptedBackend], stream: bool) -> None:
    portal, backend = both
    script(backend)
    client = ollama.AsyncClient(host=portal.url, headers=portal.headers)
    asked = [{"role": "user", "content": "Weather in Paris?"}]

    if stream:
        parts = [part async for part in await client.chat(model="auto:latest", messages=asked, stream=True)]
        assert "".join(part.message.content or "" for part in parts) == ANSWER
    else:
        answer = await client.chat(model="auto", messages=asked)
        assert answer.message.content == ANSWER
    assert said_by_tools(backend) == ["sunny in Paris"]


@pytest.mark.parametrize("stream", [False, True])
async def test_anthropics_messages(both: tuple[TestPortal, ScriptedBackend], stream: bool) -> None:
    portal, backend = both
    script(backend)
    client = anthropic.AsyncAnthropic(base_url=portal.url, api_key=portal.key)
    asked: Any = {"model": "auto", "max_tokens": 99, "messages": [{"role": "user", "content": "Weather in Paris?"}]}

    if stream:
        async with client.messages.stream(**asked) as events:
            answer = await events.get_final_message()
    else:
        answer = await client.messages.create(**asked)

    assert [block.type for block in answer.content] == ["text"]
    assert getattr(answer.content[0], "text", "") == ANSWER
    assert said_by_tools(backend) == ["sunny in Paris"]


async def test_nobody_can_be_asked_there(both: tuple[TestPortal, ScriptedBackend]) -> None:
    portal, backend = both
    script(backend, "set_weather")
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key)

    await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Make it rain"}])

    assert [one["function"]["name"] for one in backend.requests[0].parameters["tools"]] == ["get_weather"]  # type: ignore[attr-defined]
    assert said_by_tools(backend) == ["There is no tool 'set_weather'. There are: get_weather."]


async def test_chores_beside_a_conversation_get_no_tools(both: tuple[TestPortal, ScriptedBackend]) -> None:
    portal, backend = both
    backend.answer("A title")
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key)
    task = "### Task:\nGenerate a concise title for the chat history."

    await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": task}])

    assert "tools" not in backend.requests[0].parameters


async def test_a_program_without_a_key_gets_a_model_and_no_tools(both: tuple[TestPortal, ScriptedBackend]) -> None:
    portal, backend = both
    backend.answer("ok")
    client = ollama.AsyncClient(host=portal.url)

    await client.chat(model="auto", messages=[{"role": "user", "content": "Weather in Paris?"}])

    assert "tools" not in backend.requests[0].parameters


@pytest.mark.parametrize("model", ["tiny", "auto"])
async def test_a_client_with_tools_of_its_own_and_a_plain_model_get_none_of_portals(
    both: tuple[TestPortal, ScriptedBackend], model: str
) -> None:
    portal, backend = both
    backend.answer("ok")
    mine = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}

    async with httpx.AsyncClient(headers=portal.headers) as client:
        more = {"tools": [mine]} if model == "auto" else {}
        await client.post(f"{portal.url}/v1/chat/completions", json=body | more)

    assert backend.requests[-1].parameters.get("tools") == (more.get("tools") or None)


async def test_the_dry_run_names_the_tools(both: tuple[TestPortal, ScriptedBackend]) -> None:
    portal, _ = both
    async with httpx.AsyncClient(headers=portal.headers) as client:
        asked = {"model": "auto", "messages": [{"role": "user", "content": "Weather in Paris?"}]}
        told = (await client.post(f"{portal.url}/api/dry-run", json=asked)).json()

    assert told["tools"] == ["get_weather", "set_weather"]


@pytest.mark.parametrize(
    ("path", "body", "sign", "ping"),
    [
        ("/v1/chat/completions", {}, b'"content":""', b": keep-alive"),
        ("/api/chat", {}, b'"content":""', b'"content":""'),
        ("/v1/messages", {"max_tokens": 99}, b"message_start", b"event: ping"),
    ],
)
async def test_a_client_hears_something_while_tools_run(
    tmp_path: Path, path: str, body: dict[str, Any], sign: bytes, ping: bytes
) -> None:
    gate = asyncio.Event()

    @tool(risk="read")
    async def get_weather(city: str) -> str:
        """Tell the weather of a city."""
        await gate.wait()
        return f"sunny in {city}"

    backend = ScriptedBackend(models=["tiny"])
    script(backend)
    asked = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Weather in Paris?"}], **body}
    async with (
        open_test_portal(
            tmp_path,
            backends=[backend],
            toolsets=[Functions("weather", [get_weather])],
            settings={"server": {"keep_alive": 0.1}},
        ) as portal,
        httpx.AsyncClient(headers=portal.headers, timeout=20) as client,
        client.stream("POST", portal.url + path, json=asked) as answer,
    ):
        heard, pieces = b"", answer.aiter_raw()
        async for piece in pieces:
            heard += piece
            if sign in heard and heard.replace(sign, b"", 1).count(ping) >= 2:
                break
        assert answer.headers["x-portal-model"] == "tiny"
        gate.set()
        async for piece in pieces:
            heard += piece

    assert b"in Paris." in heard
    assert all(json.loads(line) for line in heard.splitlines() if line.startswith(b"{"))


class Many(Toolset):
    name = "many"

    def tools(self) -> list[ToolSpec]:
        dull = [ToolSpec(name=f"invoice_{at}", description="Pay it.", risk="read", toolset="many") for at in range(9)]
        return [*dull, ToolSpec(name="forecast", description="Rain and sun to come.", risk="read", toolset="many")]

    async def aclose(self) -> None:
        """Nothing to release."""


async def test_a_tool_is_chosen_by_what_it_means_where_there_is_an_embedder(tmp_path: Path) -> None:
    asked = {"model": "auto", "messages": [{"role": "user", "content": "do I need an umbrella tomorrow"}]}
    backend = ScriptedBackend(models=["tiny"])
    async with (
        open_test_portal(tmp_path, backends=[backend], toolsets=[Many()], embedder=MiniLM()) as portal,
        httpx.AsyncClient(headers=portal.headers, base_url=portal.url, timeout=20) as client,
    ):
        while "forecast" not in (told := (await client.post("/api/dry-run", json=asked)).json())["tools"]:
            assert told["tools"] == ["find_tools"]

    assert told["tools"] == ["forecast", "find_tools"]
