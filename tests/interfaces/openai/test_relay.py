"""Chat Completions and Completions on a server that speaks the same API: its bytes, relayed."""

import asyncio
import json
from contextlib import suppress

import httpx
import orjson
import pytest
import pytest_asyncio
from tests.interfaces.openai.conftest import Api, chat_chunks, error_of, usage_rows

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.testing.model_server import Answer, Fault, ToolCall
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "Hi there"}]}
STREAM = {**HELLO, "stream": True}


@pytest_asyncio.fixture(loop_scope="module")
async def server():
    async with OpenAIServer(models=["tiny", "shared"], extra=["top_k", "frobnicate"], usage=True) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def portal(tmp_path, server):
    backend = OpenAICompatible(Config(url=server.url, name="first"))
    async with open_test_portal(tmp_path / "data", backends=[backend]) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def api(portal, spec):
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as client:
        yield Api(client, spec)


def asked(server):
    return [request for request in server.requests if request.method == "POST"]


def piece(index, text, finish=None):
    """A frame of a chat stream, made by hand."""
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return b"data: %b\n\n" % orjson.dumps({"object": "chat.completion.chunk", "choices": [choice]})


async def test_what_the_client_sent_reaches_the_server_byte_for_byte(api, server):
    body = {
        **HELLO,
        "messages": [
            {"role": "system", "content": "S", "name": "sys"},
            {"role": "user", "content": "Grüße \u2028"},
            {"role": "assistant", "content": "A"},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ],
        "temperature": 0.1,
        "top_p": 0.2,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "seed": 1,
        "stop": ["END"],
        "max_tokens": 5,
        "n": 1,
        "logit_bias": {"1": 2},
        "user": "me",
        "top_k": 7,
        "frobnicate": {"any": ["thing"]},
    }
    raw = b" \n" + json.dumps(body, indent=3).encode()
    answer = await api.client.post(CHAT, content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    (received,) = asked(server)
    assert received.raw == raw
    assert received.path == "/v1/chat/completions"
    assert "authorization" not in {name.lower() for name in received.headers}


async def test_the_answer_comes_back_byte_for_byte(api, server, portal):
    frames = [b'data: {"id":"x", "odd":  1}\n\n', b": a comment\n\n", b"data: [DONE]\n\n"]
    server.script(Answer(frames=frames))
    answer = await api.post(CHAT, STREAM)
    assert answer.content == b"".join(frames)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-portal-model"] == "tiny"
    assert answer.headers["x-portal-reason"] == "asked for by name"


async def test_a_whole_answer_and_its_usage(api, server, portal):
    server.answer("Hel", "lo")
    made = (await api.post(CHAT, HELLO)).json()
    assert made["choices"][0]["message"]["content"] == "Hello"
    (row,) = await usage_rows(portal)
    expected = {"door": "chat", "model": "tiny", "backend": "first", "status": "completed", "estimated": 0}
    assert {name: row[name] for name in expected} == expected
    assert (row["input_tokens"], row["output_tokens"]) == (2, 2)


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 2, "prompt_tokens_details": [1]}, (3, 2, 0)),
        ({"prompt_tokens": 3, "completion_tokens": "2", "completion_tokens_details": "none"}, (3, 0, 0)),
        ({"prompt_tokens": 2**70, "completion_tokens": 2}, None),
        ({"prompt_tokens": True}, None),
        ([3], None),
    ],
)
async def test_of_an_odd_usage_what_can_be_read(api, server, portal, usage, counted):
    whole = orjson.dumps({"choices": [{"index": 0, "message": {"content": "Hello"}}]})[:-1]
    content = whole + b', "usage": %b}' % json.dumps(usage).encode()
    server.script(Answer(frames=[content], headers={"Content-Type": "application/json"}))
    assert (await api.post(CHAT, STREAM)).content == content
    (row,) = await usage_rows(portal)
    if counted is None:
        assert row["estimated"] == 1
    else:
        assert (row["input_tokens"], row["output_tokens"], row["estimated"]) == counted


async def test_the_usage_of_a_stream_is_read_from_it(api, server, portal):
    server.answer("a ", "b ", "c")
    await api.post(CHAT, {**STREAM, "stream_options": {"include_usage": True}})
    (row,) = await usage_rows(portal)
    assert (row["input_tokens"], row["output_tokens"], row["estimated"]) == (2, 3, 0)


async def test_what_the_client_did_not_ask_for_is_counted_here(api, server, portal):
    server.answer("a ", "b ", "c")
    chunks = chat_chunks((await api.post(CHAT, STREAM)).text)
    assert not any("usage" in chunk for chunk in chunks)
    assert "stream_options" not in asked(server)[0].body
    (row,) = await usage_rows(portal)
    assert row["estimated"] == 1
    assert row["output_tokens"] == len(chunks)
    assert row["input_tokens"] > 0


async def test_another_name_is_replaced_and_nothing_else(api, server):
    server.answer("A")
    server.answer("B")
    by_server = await api.post(CHAT, {**HELLO, "model": "first/tiny", "top_k": 3})
    assert by_server.headers["x-portal-model"] == "first/tiny"
    assert by_server.json()["choices"][0]["message"]["content"] == "A"
    auto = await api.post(CHAT, {**HELLO, "model": "auto", "top_k": 3})
    assert auto.json()["choices"][0]["message"]["content"] == "B"
    bodies = [request.body for request in asked(server)]
    assert [body["model"] for body in bodies] == ["tiny", "tiny"]
    assert [body["top_k"] for body in bodies] == [3, 3]


async def test_tools_and_several_choices(api, server):
    server.script(Answer(tool_calls=[ToolCall(name="f", arguments={"x": 1})]))
    chunks = chat_chunks((await api.post(CHAT, {**STREAM, "tools": []})).text)
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    server.answer("A")
    server.answer("B")
    made = (await api.post(CHAT, {**HELLO, "n": 2})).json()
    assert [choice["message"]["content"] for choice in made["choices"]] == ["A", "B"]


def saying(content, status):
    """A whole answer, as a server of `TestRefusals.ask` gives it."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()

    return answer


class TestRefusals:
    async def test_one_in_openais_form_goes_on_as_it_is(self, api, server):
        answer = await api.post(CHAT, {**HELLO, "temperature": 9})
        assert error_of(answer, 400)["param"] == "temperature"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_500(self, api, server, portal, stream):
        server.script(Answer(status=500, error="boom"))
        answer = await api.post(CHAT, {**HELLO, "stream": stream})
        assert error_of(answer, 500)["message"] == "boom"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    @pytest.mark.parametrize(
        ("status", "content", "passed_on", "message"),
        [
            (400, b'{"error": "bad thing"}', 400, "bad thing"),
            (422, b'{"detail": "not so"}', 422, "not so"),
            (404, b'{"object": "error", "message": "no such model"}', 404, "no such model"),
            (500, b"<html>oops</html>", 502, "a web page"),
            (500, b"plain words", 502, "plain words"),
            (400, b'["odd"]', 400, "odd"),
            (400, b"x" * 100_000, 400, "xxx"),
            (401, b'{"error": {"message": "Bad key"}}', 502, "did not accept Portal's key"),
        ],
    )
    async def test_other_forms(self, tmp_path, spec, status, content, passed_on, message):
        refused = await self.ask(tmp_path, saying(content, status))
        assert message in error_of(refused, passed_on)["message"]

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            ({"message": "out of memory", "type": "server_error", "param": None, "code": None}, 502, "backend_error"),
            ("out of memory", 502, "backend_error"),
            ({"message": "out of memory", "code": 500}, 502, "backend_error"),
            ({"message": "out of memory", "code": 429}, 429, "backend_rejected"),
        ],
    )
    async def test_one_that_came_as_a_success(self, api, server, portal, error, status, code):
        server.script(Answer(frames=[orjson.dumps({"error": error})], headers={"Content-Type": "application/json"}))
        refused = error_of(await api.post(CHAT, STREAM), status)
        assert refused["code"] == code
        assert "out of memory" in refused["message"]
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    @pytest.mark.parametrize(("code", "told"), [(401, "did not accept Portal's key"), (402, "no credit left")])
    async def test_a_key_that_was_refused_as_a_success(self, api, server, code, told):
        said = orjson.dumps({"error": {"message": "no, sk-of-the-owner-0123456789", "code": code}})
        server.script(Answer(frames=[said], headers={"Content-Type": "application/json"}))
        refused = error_of(await api.post(CHAT, STREAM), 502)
        assert told in refused["message"]
        assert "sk-" not in refused["message"]

    async def test_one_without_an_end(self, tmp_path):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"')
            with suppress(ConnectionError):
                while True:
                    writer.write(b"x" * 2**20)
                    await writer.drain()
            writer.close()

        refused = error_of(await self.ask(tmp_path, answer), 502)
        assert refused["code"] == "backend_protocol_error"
        assert "more than 67108864 bytes" in refused["message"]

    async def ask(self, tmp_path, answer):
        async def serve(reader, writer):
            if (await reader.readline()).startswith(b"GET"):
                listed = orjson.dumps({"object": "list", "data": [{"id": "tiny", "object": "model"}]})
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(listed), listed))
                await writer.drain()
                writer.close()
            else:
                await answer(reader, writer)

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as plain:
            port = plain.sockets[0].getsockname()[1]
            backend = OpenAICompatible(Config(url=f"http://127.0.0.1:{port}", name="plain"))
            async with (
                open_test_portal(tmp_path / "data", backends=[backend]) as portal,
                httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
            ):
                return await client.post(CHAT, json=HELLO)


class TestFaults:
    @pytest.mark.parametrize(
        "answer",
        [Answer(fault=Fault.HTML), Answer(text=["Hello"], fault=Fault.GARBAGE), Answer(frames=[b"\x00 garbage"])],
    )
    async def test_what_is_no_stream_at_all(self, api, server, answer):
        server.script(answer)
        assert error_of(await api.post(CHAT, STREAM), 502)["code"] == "backend_protocol_error"

    async def test_what_is_no_json(self, api, server, portal):
        server.script(Answer(fault=Fault.HTML))
        assert error_of(await api.post(CHAT, HELLO), 502)["code"] == "backend_protocol_error"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET])
    async def test_a_stream_that_is_cut(self, api, server, portal, fault):
        server.script(Answer(text=["Hel", "lo"], fault=fault, after=2))
        chunks = chat_chunks((await api.post(CHAT, STREAM)).text, done=False)
        assert chunks[-1]["error"]["code"] == "backend_interrupted"
        assert all(part["finish_reason"] is None for chunk in chunks[:-1] for part in chunk["choices"])
        (row,) = await usage_rows(portal)
        assert (row["status"], row["estimated"], row["output_tokens"]) == ("failed", 1, 2)

    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, None])
    async def test_a_stream_that_ends_after_its_finish_reason_is_whole(self, api, server, portal, fault):
        frames = [piece(0, "Hel"), piece(1, "Ho"), piece(1, "", "length"), piece(0, "lo", "stop"), b"data: [DONE]\n\n"]
        server.script(Answer(frames=frames if fault else frames[:-1], fault=fault, after=4))
        answer = await api.post(CHAT, {**STREAM, "n": 2})
        assert answer.content == b"".join(frames[:-1])
        (row,) = await usage_rows(portal)
        assert (row["status"], row["output_tokens"]) == ("completed", 4)

    async def test_what_is_cut_after_every_finish_reason_costs_nothing(self, api, server, portal):
        frames = [piece(0, "Hello", "stop"), b'data: {"choices": [], "usa']
        server.script(Answer(frames=frames))
        assert (await api.post(CHAT, STREAM)).content == b"".join(frames)
        assert [row["status"] for row in await usage_rows(portal)] == ["completed"]

    @pytest.mark.parametrize(
        "last",
        [[], [(1, "", None)], [(1, "", "stop"), (0, "", "abort")], [(1, "", "stop"), (0, "", "error")], [([1], "")]],
    )
    async def test_one_with_an_open_choice_is_not(self, api, server, portal, last):
        frames = [piece(0, "Hel"), piece(1, "Ho"), *(piece(*choice) for choice in last)]
        server.script(Answer(frames=frames))
        chunks = chat_chunks((await api.post(CHAT, {**STREAM, "n": 2})).text, done=False)
        assert chunks[-1]["error"]["code"] == "backend_interrupted"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_a_failure_after_the_finish_reason_is_one(self, api, server, portal):
        frames = [piece(0, "Hel", "stop"), b'data: {"error": {"message": "late"}}\n\n']
        server.script(Answer(frames=frames))
        assert (await api.post(CHAT, STREAM)).content == b"".join(frames)
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_a_server_that_says_that_it_failed(self, api, server, portal):
        server.script(Answer(text=["Hel", "lo"], fault=Fault.ERROR, after=2, error="out of memory"))
        chunks = chat_chunks((await api.post(CHAT, STREAM)).text, done=False)
        assert chunks[-1]["error"]["message"] == "out of memory"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_one_byte_at_a_time(self, api, server, portal):
        server.script(Answer(text=["Hel", "lo"], fault=Fault.DRIP))
        chunks = chat_chunks((await api.post(CHAT, {**STREAM, "stream_options": {"include_usage": True}})).text)
        assert "".join(part["delta"].get("content") or "" for chunk in chunks for part in chunk["choices"]) == "Hello"
        (row,) = await usage_rows(portal)
        assert (row["status"], row["output_tokens"]) == ("completed", 2)

    async def test_one_that_is_gone(self, api, server):
        await server.stop()
        assert error_of(await api.post(CHAT, HELLO), 503)["code"] == "backend_unavailable"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_client_that_leaves_cancels_the_call(self, api, server, portal, stream):
        server.script(Answer(text=["Hel", "lo"], gate=asyncio.Event(), fault=Fault.HANG, after=1))
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post(CHAT, {**HELLO, "stream": stream}))
            await server.wait_active(1)
            asking.cancel()
        await server.wait_disconnected()
        await server.wait_active(0)
        assert [row["status"] for row in await usage_rows(portal)] == ["cancelled"]


class TestCompletions:
    async def test_relayed_with_tokens(self, api, server, portal):
        body = {"model": "tiny", "prompt": "Once", "max_tokens": 3, "echo": True}
        server.answer("upon")
        answer = await api.post("/v1/completions", body)
        assert answer.json()["choices"][0]["text"] == "upon"
        assert asked(server)[0].path == "/v1/completions"
        assert asked(server)[0].body == body
        (row,) = await usage_rows(portal)
        assert (row["door"], row["status"]) == ("completions", "completed")

    async def test_tokens_are_one_prompt_of_any_length(self, api, server):
        for prompt in ([7] * 5000, [[7, 8], [9]], ["x"] * 2048):
            answer = await api.post("/v1/completions", {"model": "tiny", "prompt": prompt})
            assert answer.status_code == 200, answer.text
            assert asked(server)[-1].body["prompt"] == prompt
        many = error_of(await api.post("/v1/completions", {"model": "tiny", "prompt": ["x"] * 2049}), 400)
        assert (many["param"], many["code"]) == ("prompt", "array_above_max_length")

    async def test_a_stream(self, api, server, portal):
        server.answer("up", "on")
        answer = await api.post("/v1/completions", {"model": "tiny", "prompt": ["Once"], "stream": True})
        assert "".join(chunk["choices"][0]["text"] for chunk in chat_chunks(answer.text)) == "upon"
        (row,) = await usage_rows(portal)
        assert row["estimated"] == 1
        assert row["input_tokens"] == 1
