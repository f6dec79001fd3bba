"""Plain models of an Ollama server: the client's bytes there, and the server's back."""

import asyncio
import json

import httpx
import orjson
import pytest
from tests.interfaces.ollama.conftest import HI, asked, lines, refused
from tests.interfaces.openai.conftest import usage_rows

from portal.backends.ollama import Config, Ollama
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = {"model": "qwen3:8b", "messages": HI}
FILLED = {**CHAT, "options": {"num_ctx": 2048, "temperature": 0.1}, "keep_alive": "5m"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", FILLED),
        ("/api/chat", {**FILLED, "think": "low", "format": "json", "tools": [], "stream": False}),
        ("/api/chat", {**FILLED, "model": "tiny", "frobnicate": {"any": ["thing"]}}),
        ("/api/generate", {**FILLED, "prompt": "Grüße \u2028", "raw": True, "messages": None}),
        ("/api/generate", {**FILLED, "prompt": "one", "system": "S", "template": "T", "context": [1, 2]}),
        ("/api/embed", {"model": "nomic", "input": ["a", "b"], "truncate": True}),
        ("/api/embeddings", {"model": "nomic:latest", "prompt": "a"}),
    ],
)
async def test_what_the_client_sent_arrives_byte_for_byte(api, server, path, body):
    raw = b" \n" + json.dumps(body, indent=3).encode()
    answer = await api.post(path, content=raw)
    assert answer.status_code == 200, answer.text
    (received,) = asked(server, path)
    assert received.raw == raw
    assert "authorization" not in {name.lower() for name in received.headers}


async def test_the_answer_comes_back_byte_for_byte(api, server, portal):
    frames = [b'{"model": "q",  "odd": 1}\n', b'{"done":true, "eval_count": 1}\n']
    server.script(Answer(frames=frames))
    answer = await api.post("/api/chat", json=FILLED)
    assert answer.content == b"".join(frames)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-portal-model"] == "qwen3:8b"
    assert answer.headers["x-portal-reason"] == "asked for by name"


async def test_streams_unless_told_otherwise(api, server):
    server.answer("a", "b")
    assert [line["done"] for line in lines(await api.post("/api/chat", json=FILLED))] == [False, False, True]
    server.answer("a", "b")
    whole = await api.post("/api/chat", json={**FILLED, "stream": False})
    assert whole.headers["content-type"] == "application/json"
    assert whole.json()["message"]["content"] == "ab"
    server.script(Answer(thinking=["hm"], text=["a"], tool_calls=[ToolCall(name="f", arguments={"x": 1})]))
    parts = lines(await api.post("/api/chat", json={**FILLED, "think": True}))
    assert parts[0]["message"]["thinking"] == "hm"
    assert parts[2]["message"]["tool_calls"][0]["function"]["arguments"] == {"x": 1}


async def test_only_what_was_left_open_is_filled_in(api, server):
    await api.post("/api/chat", json={**CHAT, "options": {"temperature": 0.5}})
    await api.post("/api/generate", json={"model": "tiny", "prompt": "hi"})
    (chat,), (text,) = asked(server, "/api/chat"), asked(server, "/api/generate")
    assert chat.body == {**CHAT, "options": {"temperature": 0.5, "num_ctx": 4096}}
    assert text.body == {"model": "tiny", "prompt": "hi", "options": {"num_ctx": 4096}}
    assert server.loaded == {"qwen3:8b": 4096, "tiny:latest": 4096}
    long = {"model": "qwen3", "messages": [{"role": "user", "content": "word " * 8000}]}
    await api.post("/api/chat", json={**long, "model": "qwen3:8b", "options": None})
    assert asked(server, "/api/chat")[1].body["options"] == {"num_ctx": 16384}


@pytest.mark.parametrize(
    ("config", "added"),
    [
        ({"fill_options": False, "keep_alive": "30m"}, {}),
        ({"keep_alive": "30m"}, {"keep_alive": "30m", "options": {"num_ctx": 4096}}),
    ],
)
async def test_the_settings_say_what_is_filled_in(tmp_path, server, config, added):
    backend = Ollama(Config(url=server.url, **config))
    raw = b'{ "model": "tiny", "prompt": "hi" }'
    async with (
        open_test_portal(tmp_path / "data", backends=[backend]) as portal,
        httpx.AsyncClient(base_url=portal.url) as client,
    ):
        assert (await client.post("/api/generate", content=raw)).status_code == 200
    (received,) = asked(server, "/api/generate")
    assert received.body == {"model": "tiny", "prompt": "hi", **added}
    assert (received.raw == raw) is (not added)


async def test_the_usage_is_kept(api, server, portal):
    server.answer("a ", "b ", "c")
    await api.post("/api/chat", json=FILLED)
    await api.post("/api/embed", json={"model": "nomic", "input": "one two"})
    chat, embed = await usage_rows(portal)
    expected = {"door": "ollama", "model": "qwen3:8b", "backend": "ollama", "status": "completed", "estimated": 0}
    assert {name: chat[name] for name in expected} == expected
    assert (chat["input_tokens"], chat["output_tokens"]) == (2, 3)
    assert (embed["model"], embed["input_tokens"], embed["output_tokens"]) == ("nomic:latest", 2, 0)


async def test_what_the_server_does_not_count_is_estimated(api, server, portal):
    server.script(Answer(frames=[b'{"response":"a"}\n', b'{"response":"b"}\n', b'{"done":true}\n']))
    await api.post("/api/generate", json={"model": "tiny", "prompt": "hi there"})
    server.script(Answer(frames=[b'{"done":true,"message":{}}'], headers={"Content-Type": "application/json"}))
    await api.post("/api/chat", json=FILLED)
    text, chat = await usage_rows(portal)
    assert (text["input_tokens"], text["output_tokens"], text["estimated"]) == (2, 2, 1)
    assert chat["estimated"] == 1


async def test_the_servers_own_refusals_go_on_as_they_are(api, server, portal):
    server.script(Answer(status=503, error="server busy, please try again"))
    assert refused(await api.post("/api/chat", json=FILLED), 503) == "server busy, please try again"
    answer = await api.post("/api/chat", json={**CHAT, "options": {"temperature": "hot"}})
    assert "must be of type float32" in refused(answer, 400)
    assert [row["status"] for row in await usage_rows(portal)] == ["failed", "failed"]
    server.models.pop("qwen3:8b")
    assert refused(await api.post("/api/chat", json=FILLED), 404) == "model 'qwen3:8b' not found"


@pytest.mark.parametrize(
    ("status", "content", "passed_on", "words"),
    [
        (401, b'{"error": "unauthorized"}', 502, "did not accept Portal's key"),
        (500, b"<html>oops</html>", 502, "a web page"),
        (404, b"404 page not found", 404, "404 page not found"),
        (400, b'{"error": {"message": "odd"}}', 400, "odd"),
    ],
)
async def test_refusals_of_another_form(api, server, portal, status, content, passed_on, words):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()

    port = int(server.url.rpartition(":")[2])
    await server.stop()
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        assert words in refused(await api.post("/api/chat", json=FILLED), passed_on)


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.GARBAGE, Fault.TRUNCATED_UTF8])
    async def test_a_cut_stream_ends_with_an_error_and_no_done(self, api, server, portal, fault):
        gate = asyncio.Event()
        server.script(Answer(text=["a", "b", "ü"], fault=fault, after=2, gate=gate))
        async with api.stream("POST", "/api/chat", json=FILLED) as answer:
            parts = []
            async for line in answer.aiter_lines():
                parts.append(orjson.loads(line))
                gate.set()
        assert [part.get("message", {}).get("content") for part in parts[:2]] == ["a", "b"]
        assert parts[-1].keys() == {"error"}
        assert not any(part.get("done") for part in parts)
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_a_failure_of_the_model_is_told_once(self, api, server, portal):
        server.script(Answer(text=["a", "b"], fault=Fault.ERROR, after=1, error="out of memory"))
        parts = lines(await api.post("/api/chat", json=FILLED))
        assert [part.get("error") for part in parts] == [None, "out of memory"]
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (Answer(text=["a"], fault=Fault.HTML), 502),
            (Answer(frames=[b"data: {}\n\n"]), 502),
            (Answer(frames=[b"[1]"], headers={"Content-Type": "application/json"}), 502),
            (Answer(frames=[b'{"error":"boom"}'], headers={"Content-Type": "application/json"}), 502),
            (Answer(frames=[]), 502),
            (Answer(frames=[b"<html>"]), 502),
            (Answer(frames=[b"{" + b"x" * 2**20] * 17), 502),
        ],
    )
    async def test_before_the_first_byte_it_is_a_status(self, api, server, answer, status):
        server.script(answer)
        response = await api.post("/api/chat", json=FILLED)
        assert refused(response, status)

    async def test_a_failure_in_the_first_line_has_a_status(self, api, server):
        server.script(Answer(frames=[b'{"error":"busy"}\n']))
        assert "busy" in refused(await api.post("/api/chat", json=FILLED), 502)

    async def test_the_same_model_of_another_server(self, api, server, second):
        await server.stop()
        tiny = {**FILLED, "model": "tiny"}
        assert lines(await api.post("/api/chat", json=tiny))[-1]["done"] is True
        assert asked(second, "/api/chat")[0].body == tiny
        assert (await api.post("/api/embeddings", json={"model": "tiny", "prompt": "a"})).json()["embedding"]

    async def test_a_line_comes_whole_or_not_at_all(self, api, server):
        server.script(Answer(frames=[b'{"a":1}\n{"b"', b":2}\n", b'{"done":true}'], text=[]))
        assert lines_of(await api.post("/api/chat", json=FILLED)) == [{"a": 1}, {"b": 2}, {"done": True}]
        server.script(Answer(frames=[b'{"a":1}\n{"b"', b":2"]))
        assert [set(line) for line in lines(await api.post("/api/chat", json=FILLED))] == [{"a"}, {"error"}]

    async def test_one_byte_at_a_time(self, api, server):
        server.script(Answer(text=["ü", "b"], fault=Fault.DRIP))
        assert "".join(line["message"]["content"] for line in lines(await api.post("/api/chat", json=FILLED))) == "üb"

    async def test_a_client_that_leaves_ends_it_there(self, api, server, portal):
        server.script(Answer(text=["a", "b"], gate=asyncio.Event(), after=1))
        async with api.stream("POST", "/api/chat", json=FILLED) as answer:
            assert orjson.loads(await anext(answer.aiter_lines()))["message"]["content"] == "a"
            await server.wait_active(1)
        await server.wait_disconnected()
        await server.wait_active(0)
        assert [row["status"] for row in await usage_rows(portal)] == ["cancelled"]

    async def test_many_clients_that_leave_leave_nothing(self, portal, server):
        server.script(*(Answer(text=["a", "b"], gate=asyncio.Event(), after=1) for _ in range(200)))
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, limits=limits, timeout=60) as client:

            async def leave():
                async with client.stream("POST", "/api/chat", json=FILLED) as answer:
                    await anext(answer.aiter_lines())

            await client.get("/api/version")
            before = len(asyncio.all_tasks())
            async with asyncio.TaskGroup() as group:
                for _ in range(200):
                    group.create_task(leave())
            await server.wait_disconnected(200)
            await server.wait_active(0)
            rows = await usage_rows(portal)
        assert [row["status"] for row in rows] == ["cancelled"] * 200
        assert len(asyncio.all_tasks()) <= before + 5


def lines_of(answer):
    return [orjson.loads(line) for line in answer.content.splitlines()]
