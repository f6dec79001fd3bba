"""Ollama's own Python client, with and without asyncio, against Portal over each kind of server."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import ollama
import pytest
from tests.interfaces.ollama.conftest import HI, asked

from portal.backends import embedded
from portal.backends.scripted import echo
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.portal import open_test_portal
from portal.testing.scripted_engine import ScriptedEngine, echo_job

pytestmark = pytest.mark.asyncio(loop_scope="module")

TINY, INSIDE = Path(__file__).parents[2] / "fixtures" / "tinymodel", "portal-tiny-q8_0"
MODELS = ["qwen3:8b", "tiny", "gpt", "gpt:latest", "script", "second/tiny:latest", "auto", "auto:latest"]


def weather(city: str) -> str:
    """The weather.

    Args:
      city: where
    """
    return f"sunny in {city}"


async def collect(parts: Any, seen: list[bool | None]) -> None:
    async for part in parts:
        seen.append(part.done)  # noqa: PERF401 (what came before a failure counts)


@pytest.fixture
def backend(backend: Any) -> Any:
    backend.default = echo
    return backend


@pytest.mark.parametrize("model", MODELS)
async def test_chat_and_generate(anyone: ollama.AsyncClient, model: str) -> None:
    whole = await anyone.chat(model, messages=HI)
    assert (whole.message.content, whole.done, whole.done_reason) == ("hi there", True, "stop")
    assert whole.total_duration is not None
    assert whole.eval_count == 2
    parts = [part async for part in await anyone.chat(model, messages=HI, stream=True)]
    assert "".join(part.message.content or "" for part in parts) == "hi there"
    assert [part.done for part in parts] == [False, False, True]
    made = await anyone.generate(model, prompt="one two", options={"temperature": 0})
    assert made.response == "one two"
    pieces = [part.response async for part in await anyone.generate(model, prompt="one two", stream=True)]
    assert pieces == ["one", " two", ""]


@pytest.mark.parametrize("model", ["qwen3:8b", "gpt", "auto"])
async def test_thinking_tools_and_pictures(
    anyone: ollama.AsyncClient, server: Any, openai_server: Any, model: str
) -> None:
    answer = Answer(thinking=["hm"], text=["a"], tool_calls=[ToolCall(name="weather", arguments={"city": "Rome"})])
    server.script(answer)
    openai_server.script(answer)
    pictured = [{"role": "user", "content": "look", "images": [b"\x89PNG\r\n"]}]
    first = await anyone.chat(model, messages=pictured, tools=[weather], think=True)
    assert first.message.thinking == "hm"
    assert first.message.tool_calls
    (call,) = first.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("weather", {"city": "Rome"})
    result = {"role": "tool", "tool_name": "weather", "content": weather(**call.function.arguments)}
    second = await anyone.chat(model, messages=[*pictured, first.message, result])
    assert second.message.content == "sunny in Rome"
    told = (asked(openai_server, "/v1/chat/completions") if model == "gpt" else asked(server, "/api/chat"))[-1].body
    assert [message["role"] for message in told["messages"]] == ["user", "assistant", "tool"]
    picture = base64.b64encode(b"\x89PNG\r\n").decode()
    assert picture in str(told["messages"][0])
    if model == "gpt":
        assert told["messages"][2]["tool_call_id"] == told["messages"][1]["tool_calls"][0]["id"]


async def test_structured_output_and_logprobs(anyone: ollama.AsyncClient, server: Any, openai_server: Any) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    for model in ("qwen3:8b", "gpt", "auto"):
        made = await anyone.chat(model, messages=HI, format=schema, logprobs=True, top_logprobs=2)
        assert made.logprobs
        assert len(made.logprobs[0].top_logprobs or ()) == 2
    assert asked(server, "/api/chat")[0].body["format"] == schema
    assert asked(server, "/api/chat")[1].body["format"] == schema


async def test_embeddings(anyone: ollama.AsyncClient) -> None:
    for model in ("nomic", "text-embedding", "script-embed"):
        made = await anyone.embed(model, input=["a", "b"])
        assert len(made.embeddings) == 2
        assert len((await anyone.embeddings(model, prompt="a")).embedding) == len(made.embeddings[0])


async def test_models_and_their_life(client: ollama.AsyncClient, anyone: ollama.AsyncClient, tmp_path: Any) -> None:
    listed = [model.model for model in (await anyone.list()).models]
    assert listed[0] == "auto:latest"
    for name in listed:
        shown = await anyone.show(str(name))
        assert shown.modelinfo
        assert shown.details
    progress = [part async for part in await client.pull("new", stream=True)]
    assert progress[-1].status == "success"
    assert (await client.copy("new", "newer")).status == "success"
    (tmp_path / "m.gguf").write_bytes(b"GGUF" * 100_000)
    digest = await client.create_blob(tmp_path / "m.gguf")
    made = await client.create(model="made", files={"m.gguf": digest})
    assert made.status == "success"
    assert [part.status async for part in await client.create(model="mario", from_="newer", stream=True)][
        -1
    ] == "success"
    assert (await client.push("made")).status == "success"
    assert (await client.delete("made")).status == "success"
    assert (await client.delete("newer")).status == "success"
    after = [model.model for model in (await anyone.list()).models]
    assert {"new:latest", "mario:latest"} <= set(after)
    assert not {"made:latest", "newer:latest"} & set(after)
    await anyone.generate("mario", keep_alive="5m")
    assert (await anyone.ps()).models[0].name == "mario:latest"
    with pytest.raises(ollama.ResponseError) as refused:
        await anyone.delete("mario")
    assert refused.value.status_code == 401


async def test_failures(anyone: ollama.AsyncClient, server: Any, openai_server: Any) -> None:
    with pytest.raises(ollama.ResponseError, match="Did you mean 'qwen3:8b'") as unknown:
        await anyone.chat("qwen4:8b", messages=HI)
    assert unknown.value.status_code == 404
    for model, stand_in in (("qwen3:8b", server), ("gpt", openai_server), ("auto", server)):
        stand_in.script(Answer(text=["a", "b"], fault=Fault.CUT, after=2))
        seen: list[bool | None] = []
        with pytest.raises(ollama.ResponseError, match="broke off"):
            await collect(await anyone.chat(model, messages=HI, stream=True), seen)
        assert True not in seen
        stand_in.script(Answer(status=409, error="boom"))
        with pytest.raises(ollama.ResponseError, match="boom"):
            await anyone.chat(model, messages=HI)


async def test_the_engine_inside_portal(tmp_path: Path) -> None:
    engine = embedded.Embedded(embedded.Config(folder=TINY), engine=ScriptedEngine(default=echo_job))
    async with open_test_portal(tmp_path / "data", backends=[engine]) as portal:
        client = ollama.AsyncClient(host=portal.url)
        assert f"{INSIDE}:latest" in [one.model for one in (await client.list()).models]
        for model in (INSIDE, f"{INSIDE}:latest"):
            whole = await client.chat(model, messages=HI)
            assert (whole.message.content, whole.done, whole.done_reason) == ("hi there", True, "stop")
            parts = [part async for part in await client.chat(model, messages=HI, stream=True)]
            assert ("".join(part.message.content or "" for part in parts), parts[-1].done) == ("hi there", True)
            assert (await client.generate(model, prompt="one two")).response == "one two"
        assert "completion" in ((await client.show(INSIDE)).capabilities or ())
        await portal.portal.models.refresh()
        assert [one.model for one in (await client.ps()).models if one.model != "portal-guide:latest"] == [
            f"{INSIDE}:latest"
        ]


async def test_without_asyncio(portal: Any, server: Any) -> None:
    def script() -> list[object]:
        client = ollama.Client(host=portal.url, headers=portal.headers)
        streamed = client.chat("auto", messages=HI, stream=True)
        return [
            client.chat("qwen3:8b", messages=HI).message.content,
            "".join(part.message.content or "" for part in streamed),
            client.generate("gpt", prompt="one two").response,
            len(client.embed("nomic", input="a").embeddings),
            client.list().models[0].model,
            [part.status for part in client.pull("new", stream=True)][-1],
            client.delete("new").status,
        ]

    got = await asyncio.to_thread(script)
    assert got == ["hi there", "hi there", "one two", 1, "auto:latest", "success", "success"]


async def test_the_key_of_another_service(portal: Any) -> None:
    """Ollama's clients send whatever OLLAMA_API_KEY holds."""
    foreign = ollama.AsyncClient(host=portal.url, headers={"Authorization": "Bearer of another service"})
    assert (await foreign.list()).models
    with pytest.raises(ollama.ResponseError, match="administrator"):
        await foreign.pull("new")
