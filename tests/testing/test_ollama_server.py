"""The stand-in of Ollama, seen by Ollama's own Python client."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import ollama
import pytest

from portal.testing.model_server import Answer, Fault, ToolCall, cut_at_stop
from portal.testing.ollama_server import OllamaModel, OllamaServer

HI: list[Any] = [{"role": "user", "content": "hi there"}]
PIXEL = b"\x89PNG"


@pytest.fixture
async def server() -> AsyncIterator[OllamaServer]:
    models = [
        OllamaModel(name="able:latest", capabilities=("completion", "tools", "vision", "thinking")),
        OllamaModel(name="plain:7b", capabilities=("completion",)),
        OllamaModel(name="embedder:latest", capabilities=("embedding",)),
    ]
    async with OllamaServer(models=models) as made:
        yield made


@pytest.fixture
def client(server: OllamaServer) -> ollama.AsyncClient:
    return ollama.AsyncClient(host=server.url)


async def test_list_show_ps(server: OllamaServer, client: ollama.AsyncClient) -> None:
    assert [model.model for model in (await client.list()).models] == ["able:latest", "plain:7b", "embedder:latest"]
    shown = await client.show("able")
    assert shown.capabilities == ["completion", "tools", "vision", "thinking"]
    assert shown.modelinfo
    assert shown.modelinfo["llama.context_length"] == 8192
    assert (await client.ps()).models == []
    await client.chat("able", messages=HI, options={"num_ctx": 2048})
    (running,) = (await client.ps()).models
    assert (running.model, running.context_length) == ("able:latest", 2048)


async def test_chat_whole_and_in_pieces(server: OllamaServer, client: ollama.AsyncClient) -> None:
    whole = await client.chat("able", messages=HI)
    assert whole.message.content == "hi there"
    assert (whole.done, whole.done_reason, whole.eval_count) == (True, "stop", 2)
    server.script(Answer(thinking=["hm"], text=["a", "b"], tool_calls=[ToolCall(name="f", arguments={"x": 1})]))
    parts = [part async for part in await client.chat("able", messages=HI, stream=True, think=True)]
    assert "".join(part.message.thinking or "" for part in parts) == "hm"
    assert "".join(part.message.content or "" for part in parts) == "ab"
    (call,) = [call for part in parts for call in part.message.tool_calls or ()]
    assert call.function.arguments == {"x": 1}
    server.script(Answer(thinking=["h", "m"], text=["a"], tool_calls=[ToolCall(name="f", arguments={}, id="c")]))
    joined = await client.chat("able", messages=HI, think="low")
    assert (joined.message.thinking, joined.message.content) == ("hm", "a")
    assert joined.message.tool_calls


async def test_generate_embed_and_logprobs(server: OllamaServer, client: ollama.AsyncClient) -> None:
    made = await client.generate("able", prompt="one two", logprobs=True, top_logprobs=2)
    assert made.response == "one two"
    assert made.logprobs
    assert made.logprobs[0].top_logprobs
    many = await client.generate("able", prompt="one", logprobs=True, top_logprobs=10**12)
    assert many.logprobs
    assert len(many.logprobs[0].top_logprobs or ()) == 20
    assert [part.response async for part in await client.generate("able", prompt="a b", stream=True)] == ["a", " b", ""]
    vectors = (await client.embed("embedder", input=["a", "b"])).embeddings
    assert len(vectors) == 2
    assert list((await client.embed("embedder", input="a", dimensions=4)).embeddings[0]) != []
    assert len((await client.embeddings("embedder", prompt="a")).embedding) == 16


async def test_stop_and_num_predict(client: ollama.AsyncClient) -> None:
    cut = await client.chat("able", messages=HI, options={"stop": ["th"]})
    assert cut.message.content == "hi "
    short = await client.chat("able", messages=HI, options={"num_predict": 1})
    assert (short.message.content, short.done_reason) == ("hi", "length")


async def test_what_does_not_fit_is_cut_without_a_word(server: OllamaServer, client: ollama.AsyncClient) -> None:
    messages = [{"role": "user", "content": "word " * 30} for _ in range(4)]
    made = await client.chat("able", messages=messages, options={"num_ctx": 64})
    assert server.truncated == [2]
    assert made.prompt_eval_count == 60


async def test_loading_and_unloading(server: OllamaServer, client: ollama.AsyncClient) -> None:
    server.loading.clear()
    async with asyncio.TaskGroup() as group:
        call = group.create_task(client.chat("able", messages=HI))
        await server.wait_requests(1)
        assert not call.done()
        server.loading.set()
    assert (await client.generate("plain:7b")).done_reason == "load"
    assert set(server.loaded) == {"able:latest", "plain:7b"}
    assert (await client.generate("able", keep_alive=0)).done_reason == "unload"
    assert set(server.loaded) == {"plain:7b"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ({"model": "none"}, 404, "model 'none' not found"),
        ({"model": "plain:7b", "think": True}, 400, "does not support thinking"),
        ({"model": "plain:7b", "tools": [{"type": "function", "function": {"name": "f"}}]}, 400, "not support tools"),
        ({"model": "embedder"}, 400, "does not support chat"),
        ({"model": "able", "options": {"temperature": "hot"}}, 400, "must be of type float32"),
        ({"model": "able", "options": {"num_ctx": 1.5}}, 400, "must be of type int"),
        ({"model": "able", "options": {"stop": "x"}}, 400, "must be of type array"),
    ],
)
async def test_refusals(client: ollama.AsyncClient, arguments: dict[str, Any], status: int, words: str) -> None:
    with pytest.raises(ollama.ResponseError, match=words) as caught:
        await client.chat(messages=HI, **arguments)
    assert caught.value.status_code == status


async def test_failures_of_show_and_embed(client: ollama.AsyncClient) -> None:
    for call in (client.show("none"), client.embed("none", input="x"), client.embeddings("none", prompt="x")):
        with pytest.raises(ollama.ResponseError, match="not found"):
            await call


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/chat", b"", "missing request body"),
        ("/api/chat", b"{", "invalid character"),
        ("/api/chat", b"[]", "cannot unmarshal array"),
        ("/api/chat", b"{}", "model is required"),
        ("/api/chat", b'{"model": 1}', "ChatRequest.model"),
        ("/api/chat", b'{"model": "able", "top_logprobs": true}', "ChatRequest.top_logprobs"),
        ("/api/chat", b'{"model": "able", "format": "xml"}', "invalid format"),
        ("/api/chat", b'{"model": "able", "think": "very"}', "invalid think value"),
        ("/api/chat", b'{"model": "able", "messages": [1]}', "messages.role"),
        ("/api/chat", b'{"model": "able", "messages": [{"role": "robot"}]}', "invalid role"),
        ("/api/chat", b'{"model": "able", "messages": [{"role": "user", "content": []}]}', "messages.content"),
        ("/api/chat", b'{"model": "able", "messages": [{"role": "user", "images": ["%%"]}]}', "illegal base64"),
        ("/api/generate", b'{"model": "able", "images": [1]}', "illegal base64"),
        ("/api/embed", b'{"model": "able", "input": 1}', "invalid input type"),
        ("/api/embed", b"", "missing request body"),
        ("/api/embeddings", b"", "invalid input type"),
        ("/api/show", b"", "missing request body"),
    ],
)
async def test_raw_refusals(server: OllamaServer, path: str, body: bytes, words: str) -> None:
    async with aiohttp.ClientSession() as session, session.post(server.url + path, data=body) as answer:
        assert answer.status == 400
        assert words in (await answer.json())["error"]


async def test_tool_arguments_must_be_an_object(server: OllamaServer) -> None:
    call = {"function": {"name": "f", "arguments": "{}"}}
    body = {"model": "able", "messages": [{"role": "assistant", "content": "", "tool_calls": [call]}]}
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/api/chat", json=body) as answer:
        assert "ToolCallFunctionArguments" in (await answer.json())["error"]


async def test_the_framing_is_one_object_a_line(server: OllamaServer) -> None:
    body = {"model": "able", "messages": HI}
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{server.url}/api/chat", json=body) as answer:
            assert answer.headers["Content-Type"] == "application/x-ndjson"
            lines = (await answer.read()).split(b"\n")
        async with session.get(f"{server.url}/") as root:
            assert await root.text() == "Ollama is running"
        async with session.get(f"{server.url}/api/version") as version:
            assert set(await version.json()) == {"version"}
    assert lines.pop() == b""
    assert [json.loads(line)["done"] for line in lines] == [False, False, True]


async def test_faults_are_what_they_say(server: OllamaServer, client: ollama.AsyncClient) -> None:
    server.script(
        Answer(text=["a", "b"], fault=Fault.ERROR, after=1, error="out of memory"),
        Answer(status=503, error="busy"),
    )
    with pytest.raises(ollama.ResponseError, match="out of memory"):
        [part async for part in await client.chat("able", messages=HI, stream=True)]
    with pytest.raises(ollama.ResponseError, match="busy"):
        await client.chat("able", messages=HI)


def test_cutting_at_a_stop() -> None:
    assert cut_at_stop(["ab", "cd", "ef"], ["de"]) == ["ab", "c"]
    assert cut_at_stop(["ab", "cd"], ["ab"]) == []
    assert cut_at_stop(["ab"], ["x"]) == ["ab"]


BLOB = b"GGUF"
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()


async def test_a_models_life(server: OllamaServer, client: ollama.AsyncClient) -> None:
    server.library["new:latest"] = OllamaModel(name="new:latest")
    parts = [part async for part in await client.pull("new", stream=True)]
    assert [part.completed for part in parts if part.completed] == [187500, 375000, 562500, 750000]
    assert (await client.copy("new", "other:1b")).status == "success"
    assert (await client.push("other:1b")).status == "success"
    assert (await client.create("made", from_="new")).status == "success"
    assert (await client.delete("new")).status == "success"
    assert {"other:1b", "made:latest"} <= server.models.keys()
    assert server.pushed == ["other:1b"]


async def test_files_of_models(server: OllamaServer, client: ollama.AsyncClient) -> None:
    async with aiohttp.ClientSession(server.url) as session:
        for status in (201, 200):
            async with session.post(f"/api/blobs/{DIGEST}", data=BLOB) as answer:
                assert answer.status == status
        for digest, status in ((DIGEST, 200), ("sha256:0", 404)):
            async with session.head(f"/api/blobs/{digest}") as answer:
                assert answer.status == status
    assert (await client.create("made", files={"m.gguf": DIGEST})).status == "success"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/api/pull", b"", 400, "missing request body"),
        ("POST", "/api/push", b"[]", 400, "cannot unmarshal"),
        ("DELETE", "/api/delete", b"{}", 400, "invalid model name"),
        ("POST", "/api/pull", b'{"model": "x", "stream": 1}', 400, "stream of type bool"),
        ("POST", "/api/pull", b'{"model": "ghost", "stream": false}', 500, "file does not exist"),
        ("POST", "/api/push", b'{"model": "ghost", "stream": false}', 500, "file does not exist"),
        ("DELETE", "/api/delete", b'{"model": "ghost"}', 404, "model 'ghost' not found"),
        ("POST", "/api/copy", b"", 400, "missing request body"),
        ("POST", "/api/copy", b'{"source": "able"}', 400, 'destination "" is invalid'),
        ("POST", "/api/copy", b'{"source": "ghost", "destination": "x"}', 404, 'model "ghost" not found'),
        ("POST", "/api/create", b"", 400, "missing request body"),
        ("POST", "/api/create", b'{"model": "x"}', 400, "neither 'from' or 'files'"),
        ("POST", "/api/create", b'{"model": "x", "from": "ghost"}', 404, "model 'ghost' not found"),
        ("POST", "/api/create", b'{"model": "x", "files": {"m": "sha256:0"}}', 500, "does not exist"),
        ("POST", "/api/blobs/md5:0", b"x", 400, "invalid digest format"),
        ("POST", f"/api/blobs/{DIGEST}", b"x", 400, "digest mismatch"),
    ],
)
async def test_refusals_about_models(
    server: OllamaServer, method: str, path: str, body: bytes, status: int, words: str
) -> None:
    async with aiohttp.ClientSession(server.url) as session, session.request(method, path, data=body) as answer:
        assert answer.status == status
        assert words in (await answer.json())["error"]


async def test_progress_can_fail(server: OllamaServer, client: ollama.AsyncClient) -> None:
    server.library["new:latest"] = OllamaModel(name="new:latest")
    server.script(Answer(status=503, error="busy"), Answer(fault=Fault.ERROR, after=2, error="disk full"))
    with pytest.raises(ollama.ResponseError, match="busy"):
        await client.pull("new")
    with pytest.raises(ollama.ResponseError, match="disk full"):
        [part async for part in await client.pull("new", stream=True)]
    assert "new:latest" not in server.models
