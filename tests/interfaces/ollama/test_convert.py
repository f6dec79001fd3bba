"""Models that no Ollama server has, and workspaces: Ollama's requests and answers, converted."""

import asyncio
import base64

import orjson
import pytest
from tests.interfaces.ollama.conftest import HI, asked, lines, refused
from tests.interfaces.openai.conftest import usage_rows

from portal.core.model import (
    Finished,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.testing.model_server import Answer, Fault, ToolCall

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = {"model": "gpt", "messages": HI}
PNG = base64.b64encode(b"\x89PNG\r\n").decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0").decode()
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
LAST = {
    "model",
    "created_at",
    "message",
    "done",
    "done_reason",
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
}


async def test_a_chat_reaches_a_server_of_another_kind(api, openai_server):
    body = {
        "model": "gpt:latest",
        "messages": [
            {"role": "System", "content": "S"},
            {"role": "user", "content": "Look", "images": [PNG, JPEG]},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Paris"}}},
                    {"id": "mine", "function": {"name": "time"}},
                ],
            },
            {"role": "tool", "tool_name": "time", "content": "noon"},
            {"role": "tool", "content": "sunny"},
            {"role": "tool", "tool_name": "ghost", "content": "boo"},
            {"role": "tool", "tool_call_id": "given", "content": "x"},
        ],
        "tools": [WEATHER],
        "format": {"type": "object"},
        "think": "low",
        "keep_alive": 0,
        "truncate": True,
        "options": {
            "temperature": 0.1,
            "top_p": 0.2,
            "seed": 7,
            "stop": ["END"],
            "num_predict": 5,
            "presence_penalty": 0.3,
            "frequency_penalty": 0.4,
            "top_k": 9,
            "num_ctx": 2048,
            "num_gpu": 1,
        },
        "logprobs": True,
        "top_logprobs": 2,
    }
    answer = await api.post("/api/chat", json=body)
    assert answer.status_code == 200, answer.text
    (received,) = asked(openai_server, "/v1/chat/completions")
    assert received.body == {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "S"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{JPEG}"}},
                ],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {
                        "id": "call_2_0",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"city":"Paris"}'},
                    },
                    {"id": "mine", "type": "function", "function": {"name": "time", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "content": "noon", "tool_call_id": "mine"},
            {"role": "tool", "content": "sunny", "tool_call_id": "call_2_0"},
            {"role": "tool", "content": "boo", "tool_call_id": "call_ghost"},
            {"role": "tool", "content": "x", "tool_call_id": "given"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [WEATHER],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}},
        "reasoning_effort": "low",
        "temperature": 0.1,
        "top_p": 0.2,
        "seed": 7,
        "stop": ["END"],
        "max_tokens": 5,
        "presence_penalty": 0.3,
        "frequency_penalty": 0.4,
        "top_k": 9,
        "logprobs": True,
        "top_logprobs": 2,
    }


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ({"format": "json"}, {"response_format": {"type": "json_object"}}),
        ({"format": ""}, {}),
        ({"think": True}, {"reasoning_effort": "medium"}),
        ({"think": False}, {"reasoning_effort": "none"}),
        ({"think": "max"}, {"reasoning_effort": "high"}),
        ({"options": {"num_predict": -1}}, {}),
        ({"options": None, "tools": []}, {}),
    ],
)
async def test_what_is_left_of_a_parameter(api, openai_server, sent, arrives):
    await api.post("/api/chat", json={**CHAT, **sent})
    (received,) = asked(openai_server, "/v1/chat/completions")
    rest = {name: value for name, value in received.body.items() if name not in ("stream", "stream_options")}
    assert rest == {**CHAT, **arrives}


async def test_a_streamed_answer(api, portal, openai_server):
    openai_server.script(
        Answer(thinking=["hm"], text=["a", "b"], tool_calls=[ToolCall(name="f", arguments={"x": 1}, id="c1")])
    )
    *parts, last = lines(await api.post("/api/chat", json=CHAT))
    said = [part["message"] for part in parts]
    assert said[0] == {"role": "assistant", "content": "", "thinking": "hm"}
    assert [one["content"] for one in said[1:3]] == ["a", "b"]
    function = {"index": 0, "name": "f", "arguments": {"x": 1}}
    assert said[3] == {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": function}]}
    assert all(part.keys() == {"model", "created_at", "message", "done"} for part in parts)
    assert last.keys() == LAST
    assert (last["model"], last["done"], last["done_reason"]) == ("gpt", True, "stop")
    assert last["total_duration"] == last["prompt_eval_duration"] + last["eval_duration"]
    (row,) = await usage_rows(portal)
    assert (row["input_tokens"], row["output_tokens"]) == (last["prompt_eval_count"], last["eval_count"])
    assert (row["door"], row["model"], row["status"]) == ("ollama", "gpt", "completed")


async def test_a_whole_answer(api, backend):
    backend.script(
        Progress("loading"),
        ReasoningDelta("h"),
        ReasoningDelta("m"),
        TextDelta("a", 0, [{"token": "a", "logprob": -0.5}]),
        RefusalDelta("b"),
        ToolCallDelta(0, "c1", "f", '{"x":'),
        ToolCallDelta(1, None, "g", "[1]"),
        ToolCallDelta(0, arguments="1}"),
        ToolCallDelta(2, "c3", "h", "{"),
        Finished("tool_calls"),
        TokenUsage(3, 4, estimated=True),
    )
    answer = await api.post("/api/chat", json={"model": "script", "messages": HI, "stream": False})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-portal-model"] == "script"
    made = answer.json()
    assert made.keys() == LAST | {"logprobs", "portal:estimated"}
    message = made["message"]
    assert (message["content"], message["thinking"]) == ("ab", "hm")
    arguments = [(call["function"]["index"], call["function"]["arguments"]) for call in message["tool_calls"]]
    assert arguments == [(0, {"x": 1}), (1, {"arguments": "[1]"}), (2, {"arguments": "{"})]
    assert made["logprobs"] == [{"token": "a", "logprob": -0.5}]
    assert (made["prompt_eval_count"], made["eval_count"], made["done_reason"]) == (3, 4, "stop")


@pytest.mark.parametrize(
    ("reason", "shown"), [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter")]
)
async def test_why_it_ended(api, backend, reason, shown):
    backend.script(TextDelta("a"), Finished(reason), TokenUsage(1, 1))
    parts = lines(await api.post("/api/generate", json={"model": "script", "prompt": "x"}))
    assert (parts[0]["response"], parts[-1]["response"], parts[-1]["done_reason"]) == ("a", "", shown)


async def test_a_text_is_a_chat_of_one_message(api, openai_server):
    body = {"model": "gpt", "prompt": "Look", "system": "S", "images": [PNG], "template": "", "context": []}
    assert (await api.post("/api/generate", json=body)).status_code == 200
    (received,) = asked(openai_server, "/v1/chat/completions")
    url = {"url": f"data:image/png;base64,{PNG}"}
    assert received.body["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": url}]},
    ]


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ({"raw": True}, {}),
        ({"suffix": "end", "logprobs": True, "top_logprobs": 2}, {"suffix": "end", "logprobs": 2}),
        ({"raw": True, "logprobs": True}, {"logprobs": 0}),
        ({"raw": True, "logprobs": False}, {"logprobs": None}),
    ],
)
async def test_a_bare_text_stays_one(api, openai_server, sent, arrives):
    answer = await api.post("/api/generate", json={"model": "gpt", "prompt": "one two", "stream": False, **sent})
    assert answer.json()["response"].startswith("one two")
    (received,) = asked(openai_server, "/v1/completions")
    rest = {name: value for name, value in received.body.items() if name not in ("stream", "stream_options")}
    assert {name: value for name, value in rest.items() if value is not None} == {
        name: value for name, value in {"model": "gpt", "prompt": "one two", **arrives}.items() if value is not None
    }


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"template": "T"}, "template"),
        ({"context": [1]}, "context"),
        ({"raw": True, "images": [PNG]}, "takes no images"),
        ({"images": ["%%"]}, "not base64"),
        ({"format": "xml"}, "format"),
        ({"raw": True, "system": "S"}, "raw mode does not support"),
    ],
)
async def test_what_only_an_ollama_server_could_do(api, openai_server, more, words):
    answer = await api.post("/api/generate", json={"model": "gpt", "prompt": "hi", **more})
    assert words in refused(answer, 400)
    assert not asked(openai_server, "/v1/completions")


@pytest.mark.parametrize("name", ["auto", "auto:latest", "auto-coding:latest"])
async def test_workspaces_answer_under_their_name(api, server, portal, name):
    body = {"model": name, "messages": HI, "options": {"num_ctx": 8192}, "think": True, "keep_alive": "1h"}
    *parts, last = lines(await api.post("/api/chat", json=body))
    assert {part["model"] for part in [*parts, last]} == {name}
    assert "".join(part["message"]["content"] for part in parts) == "hi there"
    (received,) = asked(server, "/api/chat")
    assert received.body["model"] == "qwen3:8b"
    assert (received.body["think"], received.body["keep_alive"]) == (True, "1h")
    assert received.body["options"]["num_ctx"] == 8192
    (row,) = await usage_rows(portal)
    assert orjson.loads(row["decision"])["workspace"] == name.removesuffix(":latest")


async def test_the_chosen_model_can_do_what_is_asked(api, server):
    server.models["bigger:70b"] = type(server.models["qwen3:8b"])(name="bigger:70b", capabilities=("completion",))
    pictured = {"role": "user", "content": "what is this?", "images": [PNG]}
    answer = await api.post("/api/chat", json={"model": "auto", "messages": [pictured], "tools": [WEATHER]})
    assert answer.headers["x-portal-model"] == "qwen3:8b"
    (received,) = asked(server, "/api/chat")
    assert received.body["messages"] == [pictured]
    assert received.body["tools"] == [WEATHER]


async def test_a_model_named_in_the_message(api, openai_server):
    said = [{"role": "user", "content": "@model:gpt hi there"}]
    whole = await api.post("/api/chat", json={"model": "auto", "messages": said, "stream": False})
    assert (whole.json()["model"], whole.json()["message"]["content"]) == ("gpt", "hi there")
    text = await api.post("/api/generate", json={"model": "auto", "prompt": "@model:gpt one two", "stream": False})
    assert text.json()["response"] == "one two"
    assert text.headers["x-portal-model"] == "gpt"


async def test_the_same_model_of_another_server(api, server, second):
    whole = await api.post("/api/chat", json={"model": "second/tiny:latest", "messages": HI, "stream": False})
    assert whole.json()["model"] == "second/tiny:latest"
    (received,) = asked(second, "/api/chat")
    assert received.body["model"] == "tiny:latest"
    assert not asked(server, "/api/chat")


class TestWithoutWords:
    @pytest.mark.parametrize(("keep_alive", "reason"), [(None, "load"), ("5m", "load"), (0, "unload"), ("0", "unload")])
    async def test_another_kind_of_server_does_as_it_likes(self, api, openai_server, keep_alive, reason):
        more = {} if keep_alive is None else {"keep_alive": keep_alive}
        chat = await api.post("/api/chat", json={"model": "gpt", "messages": [], **more})
        text = await api.post("/api/generate", json={"model": "gpt", **more})
        for answer, said in ((chat, {"message": {"role": "assistant", "content": ""}}), (text, {"response": ""})):
            made = answer.json()
            assert made.pop("created_at")
            assert made == {"model": "gpt", "done": True, "done_reason": reason, **said}
        assert not asked(openai_server, "/v1/chat/completions")

    async def test_an_ollama_server_loads_and_unloads(self, api, server, second):
        loaded = await api.post("/api/chat", json={"model": "auto", "messages": []})
        assert (loaded.json()["model"], loaded.json()["done_reason"]) == ("auto", "load")
        assert set(server.loaded) == {"qwen3:8b"}
        await api.post("/api/generate", json={"model": "second/tiny:latest"})
        assert set(second.loaded) == {"tiny:latest"}
        gone = await api.post("/api/generate", json={"model": "qwen3:8b", "keep_alive": 0})
        assert gone.json()["done_reason"] == "unload"
        assert not server.loaded

    async def test_to_load_one_is_a_call_and_to_let_it_go_is_none(self, api, portal):
        loaded = await api.post("/api/chat", json={"model": "auto", "messages": []})
        assert loaded.headers["x-portal-model"] == "qwen3:8b"
        await api.post("/api/generate", json={"model": "qwen3:8b", "keep_alive": "0s"})
        (row,) = await usage_rows(portal)
        told = ("qwen3:8b", "ollama", "completed", 0, 0, 0)
        names = ("model", "backend", "status", "input_tokens", "output_tokens", "estimated")
        assert tuple(row[name] for name in names) == told

    async def test_a_load_that_fails_counts_against_its_model(self, api, server, portal):
        server.broken.add("qwen3:8b")
        for _ in range(5):
            refused(await api.post("/api/generate", json={"model": "qwen3:8b"}), 500)
        assert "resting" in refused(await api.post("/api/generate", json={"model": "qwen3:8b"}), 503)
        gone = await api.post("/api/generate", json={"model": "qwen3:8b", "keep_alive": 0})
        assert gone.json()["done_reason"] == "unload"
        assert {row["status"] for row in await usage_rows(portal)} == {"failed"}

    async def test_its_refusals(self, api, server):
        body = {"model": "qwen3:8b", "messages": [], "options": {"seed": "x"}}
        assert "must be of type int" in refused(await api.post("/api/chat", json=body), 400)
        server.models.pop("qwen3:8b")
        assert "not found" in refused(await api.post("/api/chat", json={**body, "options": {}}), 404)


class TestFaults:
    @pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET, Fault.ERROR, Fault.GARBAGE])
    async def test_a_cut_stream_ends_with_an_error_and_no_done(self, api, openai_server, portal, fault):
        openai_server.script(Answer(text=["a", "b", "c"], fault=fault, after=2))
        parts = lines(await api.post("/api/chat", json=CHAT))
        assert parts[-1].keys() == {"error"}
        assert not any(part.get("done") for part in parts)
        assert [row["status"] for row in await usage_rows(portal)] == ["failed"]

    async def test_before_the_first_byte_it_is_a_status(self, api, openai_server):
        openai_server.script(Answer(status=429, error="slow down", headers={"Retry-After": "7"}))
        answer = await api.post("/api/chat", json=CHAT)
        assert "slow down" in refused(answer, 503)
        assert answer.headers["retry-after"] == "7"

    async def test_a_whole_answer_that_is_cut(self, api, openai_server):
        openai_server.script(Answer(text=["a"], fault=Fault.CUT, after=1))
        assert refused(await api.post("/api/chat", json={**CHAT, "stream": False}), 502)

    async def test_a_client_that_leaves_ends_it_there(self, api, openai_server, portal):
        openai_server.script(Answer(text=["a", "b"], gate=asyncio.Event(), after=2))
        async with api.stream("POST", "/api/chat", json=CHAT) as answer:
            await anext(answer.aiter_lines())
        await openai_server.wait_disconnected()
        assert [row["status"] for row in await usage_rows(portal)] == ["cancelled"]


async def test_a_workspace_goes_on_to_its_next_model(api, server):
    server.script(*(Answer(status=500, error="boom") for _ in range(3)))
    whole = await api.post("/api/chat", json={"model": "auto:latest", "messages": HI, "stream": False})
    assert (whole.json()["model"], whole.json()["message"]["content"]) == ("auto:latest", "hi there")
    assert "failed" in whole.headers["x-portal-reason"]


class TestEmbedding:
    async def test_vectors_of_another_kind_of_server(self, api, openai_server, portal):
        answer = await api.post("/api/embed", json={"model": "text-embedding", "input": ["a", "b"], "dimensions": 4})
        made = answer.json()
        assert made.keys() == {"model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"}
        assert [round(sum(value * value for value in vector), 6) for vector in made["embeddings"]] == [1.0, 1.0]
        (received,) = asked(openai_server, "/v1/embeddings")
        assert (received.body["input"], received.body["dimensions"]) == (["a", "b"], 4)
        one = (await api.post("/api/embeddings", json={"model": "text-embedding:latest", "prompt": "a"})).json()
        assert one.keys() == {"embedding"}
        assert one["embedding"]
        assert [row["status"] for row in await usage_rows(portal)] == ["completed", "completed"]

    async def test_nothing_to_embed(self, api):
        assert (await api.post("/api/embed", json={"model": "text-embedding"})).json()["embeddings"] == []
        assert (await api.post("/api/embed", json={"model": "script-embed", "input": []})).json()["embeddings"] == []
        assert (await api.post("/api/embeddings", json={"model": "text-embedding"})).json() == {"embedding": []}

    async def test_a_workspace_finds_one(self, api, server):
        answer = await api.post("/api/embed", json={"model": "auto", "input": "a"})
        assert answer.headers["x-portal-model"] == "nomic:latest"

    @pytest.mark.parametrize(
        ("path", "body", "words"),
        [
            ("/api/embed", {"input": 1}, "invalid input type"),
            ("/api/embed", {"input": ["a", 1]}, "invalid input type"),
            ("/api/embed", {"input": "a", "dimensions": "4"}, "dimensions"),
            ("/api/embed", {"input": "a", "dimensions": True}, "dimensions"),
            ("/api/embeddings", {"prompt": ["a"]}, "prompt"),
        ],
    )
    async def test_bad_input(self, api, path, body, words):
        assert words in refused(await api.post(path, json={"model": "text-embedding", **body}), 400)

    async def test_what_cannot_embed(self, api):
        assert "cannot embed" in refused(
            await api.post("/api/embed", json={"model": "portal-guide", "input": "a"}), 400
        )
        assert refused(await api.post("/api/embed", json={"model": "nothing-like-it", "input": "a"}), 404)
