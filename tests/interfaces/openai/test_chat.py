"""Chat Completions on a backend that speaks another API: converted chunk by chunk."""

import asyncio

import httpx
import orjson
import pytest
from tests.interfaces.openai.conftest import chat_chunks, error_of, usage_rows

from portal.backends.ollama import Config, Ollama
from portal.backends.scripted import CUT
from portal.core.model import (
    Citation,
    Finished,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.errors import BackendUnavailable
from portal.testing.model_server import Answer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOGPROB = {"token": "Hel", "logprob": -0.1, "bytes": [72], "top_logprobs": []}


def deltas(chunks, name, choice=0):
    parts = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice]
    return [part["delta"][name] for part in parts if part["delta"].get(name)]


async def test_a_whole_answer(api, backend, portal):
    backend.script(TextDelta("Hel", logprobs=[LOGPROB]), TextDelta("lo"), TokenUsage(3, 2, 1, 1))
    answer = await api.post(CHAT, HELLO)
    made = answer.json()
    assert made["object"] == "chat.completion"
    assert made["model"] == answer.headers["x-portal-model"] == "tiny"
    assert answer.headers["x-portal-reason"] == "asked for by name"
    assert made["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello", "refusal": None},
            "logprobs": {"content": [LOGPROB], "refusal": None},
            "finish_reason": "stop",
        }
    ]
    assert made["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    (row,) = await usage_rows(portal)
    expected = {"door": "chat", "model": "tiny", "backend": "scripted", "status": "completed"}
    assert {name: row[name] for name in expected} == expected
    assert (row["input_tokens"], row["output_tokens"], row["estimated"]) == (3, 2, 0)


async def test_a_stream(api, backend):
    backend.script(Progress("loading", "tiny"), TextDelta("Hel", logprobs=[LOGPROB]), TextDelta("lo"))
    chunks = chat_chunks((await api.post(CHAT, {**HELLO, "stream": True})).text)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "Hel"}
    assert chunks[0]["choices"][0]["logprobs"] == {"content": [LOGPROB], "refusal": None}
    assert deltas(chunks, "content") == ["Hel", "lo"]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)


async def test_a_stream_with_usage(api, backend):
    backend.script(TextDelta("Hello"), Finished("length"), TokenUsage(3, 1, estimated=True))
    body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
    chunks = chat_chunks((await api.post(CHAT, body)).text)
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None, None]
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["portal:estimated"] is True
    assert chunks[-1]["usage"]["total_tokens"] == 4


CALLS = (
    ReasoningDelta("Hm. "),
    TextDelta("Wait."),
    ToolCallDelta(0, "call_1", "weather", '{"city":'),
    ToolCallDelta(0, arguments='"Oslo"}'),
    ToolCallDelta(1, "call_2", "time"),
)


async def test_tool_calls_streamed(api, backend):
    backend.script(*CALLS)
    chunks = chat_chunks((await api.post(CHAT, {**HELLO, "stream": True})).text)
    assert deltas(chunks, "reasoning_content") == ["Hm. "]
    calls = [call for part in deltas(chunks, "tool_calls") for call in part]
    assert calls[0] == {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":'},
    }
    assert calls[1] == {"index": 0, "function": {"arguments": '"Oslo"}'}}
    assert calls[2]["id"] == "call_2"
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_tool_calls_whole(api, backend):
    backend.script(*CALLS)
    (choice,) = (await api.post(CHAT, HELLO)).json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "Hm. "
    functions = [call["function"] for call in choice["message"]["tool_calls"]]
    assert functions == [{"name": "weather", "arguments": '{"city":"Oslo"}'}, {"name": "time", "arguments": ""}]


@pytest.mark.parametrize("stream", [True, False])
async def test_refusals_and_citations(api, backend, stream):
    source = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    backend.script(RefusalDelta("No"), Citation(source), Finished("content_filter"))
    answer = await api.post(CHAT, {**HELLO, "stream": stream})
    nested = {name: value for name, value in source.items() if name != "type"}
    expected = {"type": "url_citation", "url_citation": nested}
    if stream:
        chunks = chat_chunks(answer.text)
        assert deltas(chunks, "refusal") == ["No"]
        assert deltas(chunks, "annotations") == [[expected]]
    else:
        (choice,) = answer.json()["choices"]
        assert choice["message"]["refusal"] == "No"
        assert choice["message"]["content"] is None
        assert choice["message"]["annotations"] == [expected]
        assert choice["finish_reason"] == "content_filter"


@pytest.mark.parametrize("stream", [True, False])
async def test_several_choices(api, backend, stream):
    backend.script(TextDelta("A", 0), TextDelta("B", 1), Finished("stop", 0), Finished("length", 1))
    answer = await api.post(CHAT, {**HELLO, "n": 2, "stream": stream})
    if stream:
        chunks = chat_chunks(answer.text)
        assert (deltas(chunks, "content", 0), deltas(chunks, "content", 1)) == (["A"], ["B"])
    else:
        choices = answer.json()["choices"]
        assert [(choice["message"]["content"], choice["finish_reason"]) for choice in choices] == [
            ("A", "stop"),
            ("B", "length"),
        ]
    assert backend.requests[-1].parameters["n"] == 2


async def test_everything_sent_reaches_the_backend(api, backend):
    backend.answer("Hello")
    body = {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "S", "name": "sys"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "U"}, {"type": "image_url", "image_url": {"url": "x"}}],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
        "temperature": 3.5,
        "top_k": 5,
        "store": False,
        "frobnicate": {"x": [1]},
        "metadata": {"a": "b"},
        "response_format": {"type": "json_object"},
    }
    assert (await api.post(CHAT, body)).status_code == 200
    sent = backend.requests[-1]
    assert sent.messages == body["messages"]
    assert sent.parameters == {name: value for name, value in body.items() if name not in ("model", "messages")}


@pytest.mark.parametrize("stream", [True, False])
class TestFaults:
    async def test_before_the_first_byte(self, api, backend, portal, stream):
        backend.script(BackendUnavailable("It is down.", retry_after=1.2))
        answer = await api.post(CHAT, {**HELLO, "stream": stream})
        assert error_of(answer, 503)["code"] == "backend_unavailable"
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["x-portal-model"] == "tiny"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_after_it(self, api, backend, portal, stream):
        backend.script(TextDelta("Hel"), CUT)
        answer = await api.post(CHAT, {**HELLO, "stream": stream})
        if stream:
            chunks = chat_chunks(answer.text, done=False)
            assert chunks[-1]["error"]["code"] == "backend_interrupted"
            assert all(part["finish_reason"] is None for chunk in chunks[:-1] for part in chunk["choices"])
        else:
            assert error_of(answer, 502)["code"] == "backend_interrupted"
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_a_client_that_leaves(self, api, backend, portal, stream):
        backend.script(TextDelta("Hel"), asyncio.Event())
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post(CHAT, {**HELLO, "stream": stream}))
            await backend.wait_running(1)
            asking.cancel()
        await backend.wait_running(0)
        assert backend.cancelled == 1
        assert [row["status"] for row in await usage_rows(portal)] == ["cancelled"]


class TestWhichModel:
    async def test_an_unknown_one_names_the_nearest(self, api):
        error = error_of(await api.post(CHAT, {**HELLO, "model": "tinny"}), 404)
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert "'tiny'" in error["message"]

    async def test_auto(self, api, backend):
        backend.answer("Hello")
        image = {"type": "image_url", "image_url": {"url": "data:,"}}
        body = {
            "model": "auto",
            "messages": [{"role": "user", "content": [image]}],
            "tools": [{"type": "function", "function": {"name": "f"}}],
        }
        answer = await api.post(CHAT, body)
        assert answer.json()["model"] == answer.headers["x-portal-model"] == "vendor/big:7b"
        assert answer.headers["x-portal-reason"].startswith("auto: the largest")
        assert backend.requests[-1].model == "vendor/big:7b"


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"messages": HELLO["messages"]}, "model", "missing_required_parameter"),
        ({"model": "tiny"}, "messages", "missing_required_parameter"),
        ({"model": "tiny", "messages": []}, "messages", "empty_array"),
        ({"model": "tiny", "messages": "Hi"}, "messages", "invalid_type"),
        ({"model": "tiny", "messages": ["Hi"]}, "messages[0]", "invalid_type"),
        ({"model": "tiny", "messages": [{"content": "Hi"}]}, "messages[0].role", "missing_required_parameter"),
        ({"model": "tiny", "messages": [{"role": "narrator"}]}, "messages[0].role", "invalid_value"),
        ({"model": "tiny", "messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"model": "tiny", "messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "invalid_type"),
        ({**HELLO, "n": 0}, "n", "integer_below_min_value"),
        ({**HELLO, "temperature": "hot"}, "temperature", "invalid_type"),
        ({**HELLO, "stream": 1}, "stream", "invalid_type"),
        ({**HELLO, "tools": {}}, "tools", "invalid_type"),
    ],
)
async def test_what_is_wrong_is_named(api, body, param, code):
    error = error_of(await api.post(CHAT, body), 400)
    assert (error["param"], error["code"]) == (param, code)


def said(**fields):
    return {"model": "tiny", "messages": [{"role": "user", **fields}]}


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize(
    ("body", "param"),
    [
        (said(content=[{"type": "image_url", "image_url": "data:,"}]), "messages[0].content[0].image_url"),
        (said(content=[{"type": "image_url", "image_url": {}}]), "messages[0].content[0].image_url.url"),
        (said(content=[{"type": "file", "file": "x"}]), "messages[0].content[0].file"),
        (said(content=[{"type": "text"}]), "messages[0].content[0].text"),
        (said(tool_calls=5), "messages[0].tool_calls"),
        (said(tool_calls=["x"]), "messages[0].tool_calls[0]"),
        (said(tool_calls=[{"id": "x", "function": {}}]), "messages[0].tool_calls[0].function.name"),
        (said(role="tool", content="x"), "messages[0].tool_call_id"),
        ({**said(content="x"), "stop": 5}, "stop"),
        ({**said(content="x"), "stop": ["a", 5]}, "stop"),
        ({**said(content="x"), "tool_choice": 5}, "tool_choice"),
        ({**said(content="x"), "tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {**said(content="x"), "response_format": {"type": "json_schema", "json_schema": 1}},
            "response_format.json_schema",
        ),
    ],
)
async def test_what_is_wrong_inside_a_message_is_named(api, body, param, store):
    assert error_of(await api.post(CHAT, {**body, "store": store}), 400)["param"] == param


async def test_the_record_says_which_model_and_why_as_that_of_a_response_does(api, backend, portal):
    backend.answer("Hello")
    backend.answer("Hello")
    await api.post(CHAT, {**HELLO, "model": "auto"})
    await api.post("/v1/responses", {"model": "auto", "input": "Hi"})
    plain, turn = [orjson.loads(row["decision"]) for row in await usage_rows(portal)]
    assert plain.pop("ms") >= 0
    assert turn.pop("ms") >= 0
    assert plain == turn
    assert plain["requested_model"] == "auto"


class TestStored:
    async def test_a_stored_call_is_a_turn(self, api, backend):
        backend.script(
            ReasoningDelta("Hm."),
            TextDelta("Hel", logprobs=[LOGPROB]),
            TextDelta("lo"),
            TokenUsage(3, 2, estimated=True),
        )
        body = {
            "model": "tiny",
            "store": True,
            "metadata": {"a": "b"},
            "temperature": 0.5,
            "seed": 7,
            "messages": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": [{"type": "text", "text": "U"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "A"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "r"}]},
                {"role": "user", "content": "Hi"},
            ],
        }
        answer = await api.post(CHAT, body)
        (choice,) = answer.json()["choices"]
        assert choice["message"]["content"] == "Hello"
        assert choice["message"]["reasoning_content"] == "Hm."
        assert choice["logprobs"]["content"] == [LOGPROB]
        assert answer.json()["usage"]["portal:estimated"] is True
        assert answer.headers["x-portal-model"] == "tiny"
        sent = backend.requests[-1]
        assert [message["role"] for message in sent.messages] == ["system", "user", "assistant", "tool", "user"]
        assert sent.parameters == {"temperature": 0.5, "seed": 7}

    async def test_in_a_conversation_only_what_is_new_is_added(self, api, backend):
        backend.answer("One")
        backend.answer("Two")
        conversation = (await api.post("/v1/conversations")).json()["id"]
        named = {"model": "tiny", "metadata": {"conversation": conversation}}
        system, hi = {"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}
        await api.post(CHAT, {**named, "messages": [hi]})
        messages = [system, hi, {"role": "assistant", "content": "One"}, {"role": "user", "content": "More"}]
        chunks = chat_chunks((await api.post(CHAT, {**named, "messages": messages, "stream": True})).text)
        assert deltas(chunks, "content") == ["Two"]
        assert [message["content"] for message in backend.requests[-1].messages] == ["Hi", "One", "S", "More"]
        items = (await api.get(f"/v1/conversations/{conversation}/items", order="asc")).json()["data"]
        texts = [item["content"][0]["text"] for item in items]
        assert texts == ["Hi", "One", "S", "More", "Two"]

    async def test_system_messages_are_kept_once_and_again_when_they_change(self, api, backend):
        conversation = (await api.post("/v1/conversations")).json()["id"]
        named, said = {"model": "tiny", "metadata": {"conversation": conversation}}, []
        for turn, prompt in enumerate(["S", "S", "S", "T", "T", "S"]):
            backend.answer(f"A{turn}")
            said.append({"role": "user", "content": f"U{turn}"})
            system = {"role": "system", "content": prompt}
            await api.post(CHAT, {**named, "messages": [system, {"role": "developer", "content": "D"}, *said]})
            said.append({"role": "assistant", "content": f"A{turn}"})
        contents = [message["content"] for message in backend.requests[-1].messages]
        first, others = ["S", "D", "U0", "A0", "U1", "A1", "U2", "A2"], ["T", "U3", "A3", "U4", "A4", "S", "U5"]
        assert contents == [*first, *others]
        backend.answer("A6")
        await api.post(CHAT, {**named, "messages": [system, {"role": "user", "content": "U6"}]})
        assert [message["content"] for message in backend.requests[-1].messages] == [*contents, "A5", "U6"]

    async def test_a_conversation_that_is_not_there(self, api, backend):
        answer = await api.post(CHAT, {**HELLO, "metadata": {"conversation": "conv_none"}})
        assert error_of(answer, 404)["code"] == "not_found"

    async def test_every_kind_of_content(self, api, backend):
        backend.script(ToolCallDelta(0, "call_1", "weather", "{}"), RefusalDelta("No."))
        parts = [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            {"type": "file", "file": {"filename": "a.txt", "file_data": "aGVsbG8="}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
        ]
        refused = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}
        messages = [{"role": "user", "content": parts}, refused, {"role": "user", "content": "Hi"}]
        body = {"model": "tiny", "messages": messages, "store": True, "stream": True}
        chunks = chat_chunks((await api.post(CHAT, body)).text)
        (call, _arguments) = deltas(chunks, "tool_calls")
        assert call[0]["function"]["name"] == "weather"
        assert deltas(chunks, "refusal") == ["No."]
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
        sent = backend.requests[-1].messages[0]["content"]
        assert [part["type"] for part in sent] == ["image_url", "text", "input_audio"]

    async def test_citations(self, api, backend):
        source = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
        backend.script(TextDelta("It is."), Citation(source), Finished("length"))
        (choice,) = (await api.post(CHAT, {**HELLO, "store": True})).json()["choices"]
        assert choice["message"]["annotations"][0]["url_citation"]["title"] == "A"
        assert choice["finish_reason"] == "length"

    @pytest.mark.parametrize(
        ("more", "param"),
        [
            ({"n": 2}, "n"),
            ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content.type"),
            ({"messages": [{"role": "assistant", "content": ""}]}, None),
        ],
    )
    async def test_what_cannot_be_kept(self, api, backend, more, param):
        backend.answer("Hello")
        answer = await api.post(CHAT, {**HELLO, "store": True, **more})
        if param is None:
            assert answer.status_code == 200
        else:
            assert error_of(answer, 400)["param"] == param

    async def test_it_fails_as_any_other(self, api, backend):
        backend.script(BackendUnavailable("It is down."))
        backend.script(TextDelta("Hel"), CUT)
        error_of(await api.post(CHAT, {**HELLO, "store": True}), 503)
        chunks = chat_chunks((await api.post(CHAT, {**HELLO, "store": True, "stream": True})).text, done=False)
        assert chunks[-1]["error"]["code"] == "backend_interrupted"

    async def test_one_that_is_stopped_elsewhere_is_no_whole_answer(self, api, backend, portal):
        backend.script(TextDelta("Hel"), asyncio.Event())
        conversation = (await api.post("/v1/conversations")).json()["id"]
        body = {**HELLO, "metadata": {"conversation": conversation}}
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post(CHAT, body))
            await backend.wait_running(1)
            turns = await portal.portal.storage.conversations.turns(portal.owner, conversation)
            await api.post(f"/v1/responses/{turns.data[0].response.id}/cancel")
        assert error_of(asking.result(), 502)["code"] == "response_stopped"

    async def test_a_client_that_leaves_stops_the_model(self, api, backend):
        backend.script(TextDelta("Hel"), asyncio.Event())
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(api.post(CHAT, {**HELLO, "store": True}))
            await backend.wait_running(1)
            asking.cancel()
        await backend.wait_running(0)
        assert backend.cancelled == 1


async def test_on_ollama_everything_is_mapped(tmp_path):
    model = OllamaModel(name="tiny:latest", capabilities=("completion", "tools", "vision", "thinking"))
    async with OllamaServer(models=[model]) as server:
        ollama = Ollama(Config(url=server.url))
        async with (
            open_test_portal(tmp_path / "data", backends=[ollama]) as portal,
            httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
        ):
            server.script(Answer(text=["{}"]))
            schema = {"type": "object", "properties": {"a": {"type": "string"}}}
            function = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}
            call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
            body = {
                "model": "tiny",
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "", "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c", "content": "r"},
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "Look"},
                            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                        ],
                    },
                ],
                "temperature": 0.25,
                "top_p": 0.5,
                "presence_penalty": 0.1,
                "frequency_penalty": 0.2,
                "seed": 7,
                "stop": ["END"],
                "max_tokens": 99,
                "tools": [{"type": "function", "function": function}],
                "response_format": {"type": "json_schema", "json_schema": {"name": "o", "schema": schema}},
                "reasoning_effort": "high",
            }
            answer = await client.post(CHAT, json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["choices"][0]["message"]["content"] == "{}"
            sent = next(got.body for got in reversed(server.requests) if got.path == "/api/chat")
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "f", "arguments": {"x": 1}}
    assert sent["messages"][4]["images"] == ["AA=="]
    wanted = {
        "temperature": 0.25,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "seed": 7,
        "stop": ["END"],
        "num_predict": 99,
    }
    assert {name: sent["options"].get(name) for name in wanted} == wanted
    assert sent["tools"] == body["tools"]
    assert sent["format"] == schema
    assert sent["think"] == "high"
