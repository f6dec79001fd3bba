"""`/v1/messages` on the wire."""

import asyncio
import json

import httpx
import pytest
from anthropic.types import Message
from tests.interfaces.anthropic.conftest import asked, error_of, sse, usage_rows

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
from portal.errors import BackendRejected, BackendTimeout, BackendUnavailable, RateLimited

pytestmark = pytest.mark.asyncio(loop_scope="module")

THINK = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}


async def whole(plain, body):
    answer = await plain.post("/v1/messages", json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    Message.model_validate(made, strict=True)
    return made


async def streamed(plain, body):
    answer = await plain.post("/v1/messages", json={**body, "stream": True})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    return sse(answer.text)


def shape(events):
    """The order of a stream, block by block."""
    return [f"{event['type']} {event['index']}" if "index" in event else event["type"] for event in events]


def joined(events):
    """The message that a stream makes, put together as a client would."""
    message = events[0]["message"]
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append({**event["content_block"], "json": ""})
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        block["json"] += delta["partial_json"]
                    case "citations_delta":
                        block.setdefault("citations", []).append(delta["citation"])
            case "content_block_stop":
                block = message["content"][event["index"]]
                text = block.pop("json")
                if block["type"] == "tool_use":
                    block["input"] = json.loads(text or "{}")
            case "message_delta":
                message |= {**event["delta"], "usage": event["usage"]}
    return message


EVERYTHING = (
    Progress("loading", "tiny"),
    ReasoningDelta("Hm"),
    ReasoningDelta("."),
    TextDelta("Wait"),
    TextDelta("."),
    ToolCallDelta(0, "call_1", "weather", '{"city":'),
    ToolCallDelta(0, arguments='"Oslo"}'),
    ToolCallDelta(1, "call_2", "weather"),
    Finished("tool_calls"),
    TokenUsage(20, 9, cached_tokens=5, reasoning_tokens=2),
)
CONTENT = [
    {"type": "thinking", "thinking": "Hm.", "signature": "portal"},
    {"type": "text", "text": "Wait."},
    {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
    {"type": "tool_use", "id": "call_2", "name": "weather", "input": {}},
]
USAGE = {
    "input_tokens": 15,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 5,
    "output_tokens": 9,
    "output_tokens_details": {"thinking_tokens": 2},
}


class TestStream:
    async def test_the_order_of_events(self, plain, backend):
        backend.script(*EVERYTHING)
        events = await streamed(plain, asked(tools=[TOOL], **THINK))
        assert shape(events) == [
            "message_start",
            "ping",
            "content_block_start 0",
            "content_block_delta 0",
            "content_block_delta 0",
            "content_block_delta 0",
            "content_block_stop 0",
            "content_block_start 1",
            "content_block_delta 1",
            "content_block_delta 1",
            "content_block_stop 1",
            "content_block_start 2",
            "content_block_delta 2",
            "content_block_delta 2",
            "content_block_stop 2",
            "content_block_start 3",
            "content_block_stop 3",
            "message_delta",
            "message_stop",
        ]
        begun = events[0]["message"]
        assert begun["usage"]["input_tokens"] > 0
        assert begun["content"] == []
        assert begun["stop_reason"] is None
        message = joined(events)
        assert message["content"] == CONTENT
        assert (message["stop_reason"], message["stop_sequence"]) == ("tool_use", None)
        assert message["usage"] == USAGE

    async def test_each_delta_comes_when_it_is_made(self, portal, plain, backend):
        gate = asyncio.Event()
        backend.script(TextDelta("Hel"), gate, TextDelta("lo"))
        async with plain.stream("POST", "/v1/messages", json=asked(stream=True)) as answer:
            chunks = answer.aiter_text()
            seen = ""
            while '"Hel"' not in seen:
                seen += await anext(chunks)
            gate.set()
            async for chunk in chunks:
                seen += chunk
        assert joined(sse(seen))["content"] == [{"type": "text", "text": "Hello"}]

    async def test_thoughts_nobody_asked_for_stay_out(self, plain, backend):
        for _ in range(2):
            backend.script(ReasoningDelta("Hm."), TextDelta("Hello"))
        assert joined(await streamed(plain, asked()))["content"] == [{"type": "text", "text": "Hello"}]
        assert (await whole(plain, asked()))["content"] == [{"type": "text", "text": "Hello"}]

    async def test_a_page_it_rests_on(self, plain, backend):
        page = Citation({"type": "url_citation", "url": "https://example.org", "title": "A page"})
        for _ in range(2):
            backend.script(TextDelta("Hello"), page)
        told = joined(await streamed(plain, asked()))["content"]
        assert told == (await whole(plain, asked()))["content"]
        assert told[0]["citations"][0]["url"] == "https://example.org"

    async def test_an_answer_of_nothing(self, plain, backend):
        backend.script(Finished("stop"), TokenUsage(3, 0))
        events = await streamed(plain, asked())
        assert shape(events) == ["message_start", "ping", "message_delta", "message_stop"]


class TestWhole:
    async def test_says_what_the_stream_says(self, plain, backend):
        backend.script(*EVERYTHING)
        made = await whole(plain, asked(tools=[TOOL], **THINK))
        assert made["id"].startswith("msg_")
        assert made["model"] == "tiny"
        assert made["content"] == CONTENT
        assert made["usage"] == USAGE

    async def test_arguments_that_are_no_object_reach_the_tool(self, plain, backend):
        backend.script(ToolCallDelta(0, None, "weather", '{"city": Oslo}'), ToolCallDelta(1, "c", "weather", "[1]"))
        first, second = (await whole(plain, asked(tools=[TOOL])))["content"]
        assert first["id"].startswith("toolu_")
        assert (first["input"], second["input"]) == ({"arguments": '{"city": Oslo}'}, {"arguments": "[1]"})

    @pytest.mark.parametrize(
        ("script", "reason"),
        [
            ((TextDelta("a"), Finished("stop")), "end_turn"),
            ((TextDelta("a"), Finished("length")), "max_tokens"),
            ((TextDelta("a"), Finished("content_filter")), "refusal"),
            ((RefusalDelta("No."), Finished("stop")), "refusal"),
            ((ToolCallDelta(0, "c", "weather", "{}"), Finished("stop")), "tool_use"),
            ((ToolCallDelta(0, "c", "weather", "{"), Finished("length")), "max_tokens"),
            ((TextDelta("a"), TextDelta("b", 1), Finished("stop"), Finished("length", 1)), "end_turn"),
        ],
    )
    async def test_why_it_stopped(self, plain, backend, script, reason):
        backend.script(*script)
        made = await whole(plain, asked())
        assert made["stop_reason"] == reason
        assert len(made["content"]) == 1

    async def test_one_call_where_the_client_takes_one(self, plain, backend):
        backend.script(ToolCallDelta(0, "a", "weather", "{}"), ToolCallDelta(1, "b", "weather", "{}"))
        choice = {"type": "auto", "disable_parallel_tool_use": True}
        made = await whole(plain, asked(tools=[TOOL], tool_choice=choice))
        assert [block["id"] for block in made["content"]] == ["a"]
        assert backend.requests[-1].parameters["parallel_tool_calls"] is False


class TestStopSequences:
    @pytest.mark.parametrize(
        ("pieces", "told", "met"),
        [
            (["One E", "N", "D two"], "One ", "END"),
            (["One ENough"], "One ENough", None),
            (["One E", "N"], "One EN", None),
            (["STOP and END"], "", "STOP"),
        ],
    )
    async def test_wherever_they_come(self, plain, backend, pieces, told, met):
        wanted = asked(stop_sequences=["END", "STOP"])
        content = [{"type": "text", "text": told}] if told else []
        for made in ("stream", "whole"):
            backend.answer(*pieces)
            message = joined(await streamed(plain, wanted)) if made == "stream" else await whole(plain, wanted)
            assert message["content"] == content
            assert message["stop_sequence"] == met
            assert message["stop_reason"] == ("stop_sequence" if met else "end_turn")

    async def test_the_model_is_stopped_and_its_tokens_are_estimated(self, portal, plain, backend):
        backend.script(TextDelta("One END"), asyncio.Event())
        made = await whole(plain, asked(stop_sequences=["END"]))
        assert made["usage"]["portal:estimated"] is True
        await backend.wait_running(0)
        assert backend.cancelled == 1
        (row,) = await usage_rows(portal)
        assert (row["status"], row["door"], bool(row["estimated"])) == ("completed", "messages", True)

    async def test_what_is_held_back_comes_before_a_call(self, plain, backend):
        backend.script(TextDelta("One E"), ToolCallDelta(0, "a", "weather", "{}"))
        made = await whole(plain, asked(stop_sequences=["END"], tools=[TOOL]))
        assert [block["type"] for block in made["content"]] == ["text", "tool_use"]
        assert made["content"][0]["text"] == "One E"


class TestWhoAnswers:
    async def test_headers_and_the_record(self, portal, plain, backend):
        backend.answer("Hello")
        answer = await plain.post("/v1/messages", json=asked(), params={"beta": "true"})
        assert answer.headers["x-portal-model"] == "tiny"
        assert answer.headers["request-id"] == answer.headers["x-request-id"]
        (row,) = await usage_rows(portal)
        assert (row["door"], row["model"], row["status"]) == ("messages", "tiny", "completed")

    async def test_an_alias(self, plain, backend):
        backend.answer("One")
        backend.answer("Two")
        backend.answer("Three")
        named = await plain.post("/v1/messages", json=asked(model="claude-haiku"))
        assert named.json()["model"] == "tiny"
        fitting = await plain.post("/v1/messages", json=asked(model="claude-sonnet-4-5-20250929"))
        assert fitting.headers["x-portal-reason"].startswith("auto-coding")
        own = await plain.post("/v1/messages", json=asked(model="brief-1"))
        assert own.headers["x-portal-reason"].startswith("brief")

    async def test_an_alias_of_nothing(self, plain):
        error = error_of(await plain.post("/v1/messages", json=asked(model="gone-1")), 404)
        assert "'tiny'" in error["message"]

    async def test_a_workspace_adds_its_instructions_before_the_clients(self, plain, backend):
        backend.answer("Hello")
        await plain.post("/v1/messages", json=asked(model="brief", system=[{"type": "text", "text": "And kind."}]))
        (system, user) = backend.requests[-1].messages
        assert system["content"] == "Be brief.\n\nAnd kind."
        assert user == {"role": "user", "content": "Hi"}

    @pytest.mark.parametrize(
        "content",
        [
            "@model:vendor/thinker:7b Hi",
            [{"type": "text", "text": "@model:vendor/thinker:7b Hi", "cache_control": {"type": "ephemeral"}}],
        ],
    )
    async def test_a_model_named_in_the_message(self, plain, backend, content):
        backend.answer("Hello")
        made = await whole(plain, asked(content))
        assert made["model"] == "vendor/thinker:7b"
        assert backend.requests[-1].messages == [{"role": "user", "content": "Hi"}]

    @pytest.mark.parametrize("more", [[], [{"type": "text", "text": "<system-reminder>Be kind.</system-reminder>"}]])
    async def test_a_model_named_in_the_message_stays_through_its_tools(self, plain, backend, more):
        backend.answer("Hello")
        use = {"type": "tool_use", "id": "a", "name": "weather", "input": {}}
        turns = [
            {"role": "user", "content": [*more, {"type": "text", "text": "@model:vendor/thinker:7b Hi"}]},
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "sun"}, *more]},
        ]
        assert (await whole(plain, asked(messages=turns, tools=[TOOL])))["model"] == "vendor/thinker:7b"

    @pytest.mark.parametrize(("model", "effort"), [("tiny", None), ("vendor/thinker:7b", "low")])
    async def test_a_budget_is_for_models_that_think(self, plain, backend, model, effort):
        backend.answer("Hello")
        await whole(plain, asked(model=model, **THINK))
        assert backend.requests[-1].parameters.get("reasoning_effort") == effort

    @pytest.mark.parametrize(("model", "most"), [("tiny", 4089), ("vendor/thinker:7b", 32000)])
    async def test_the_answers_bound_fits_the_window(self, plain, backend, model, most):
        backend.answer("Hello")
        await whole(plain, asked(model=model, max_tokens=32000))
        assert backend.requests[-1].parameters["max_tokens"] == pytest.approx(most, abs=8)


class TestFailures:
    @pytest.mark.parametrize("stream", [True, False])
    @pytest.mark.parametrize(
        ("failure", "status", "kind"),
        [
            (BackendUnavailable("away"), 503, "overloaded_error"),
            (BackendTimeout("slow"), 504, "timeout_error"),
            (BackendRejected("too long", status=400), 400, "invalid_request_error"),
            (RateLimited("busy", retry_after=1.5), 429, "rate_limit_error"),
        ],
    )
    async def test_before_the_first_byte(self, portal, plain, backend, stream, failure, status, kind):
        backend.script(Progress("loading"), failure)
        answer = await plain.post("/v1/messages", json=asked(stream=stream))
        error = error_of(answer, status)
        assert error == {"type": kind, "message": failure.message}
        assert answer.headers.get("retry-after") == ("2" if failure.retry_after else None)
        (row,) = await usage_rows(portal)
        assert row["status"] == "failed"

    @pytest.mark.parametrize(
        "words",
        [
            "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
            "the request exceeds the available context size (4096 tokens), try increasing it",
        ],
    )
    async def test_a_prompt_that_is_too_long_is_told_in_words_that_agents_know(self, plain, backend, words):
        backend.script(BackendRejected(words, status=400))
        error = error_of(await plain.post("/v1/messages", json=asked()), 400)
        assert error == {"type": "invalid_request_error", "message": f"prompt is too long: {words}"}

    async def test_after_the_first_byte(self, portal, plain, backend):
        backend.script(TextDelta("Hel"), CUT)
        events = await streamed(plain, asked())
        assert shape(events) == ["message_start", "ping", "content_block_start 0", "content_block_delta 0", "error"]
        assert events[-1]["error"]["type"] == "api_error"
        assert events[-1]["request_id"].startswith("req_")
        (row,) = await usage_rows(portal)
        assert row["status"] == "failed"

    async def test_a_cut_whole_answer_is_none(self, plain, backend):
        backend.script(TextDelta("Hel"), CUT)
        assert error_of(await plain.post("/v1/messages", json=asked()), 502)["type"] == "api_error"

    async def test_calls_that_a_server_mixed_up(self, plain, backend):
        mixed = (ToolCallDelta(0, "a", "f", "{"), ToolCallDelta(1, "b", "f", "{}"), ToolCallDelta(0, arguments="}"))
        backend.script(*mixed)
        assert shape(await streamed(plain, asked()))[-1] == "error"

    async def test_a_fault_of_portals_own(self, plain, backend):
        backend.default = lambda request: 1 // 0
        assert error_of(await plain.post("/v1/messages", json=asked()), 500, numbered=False)["type"] == "api_error"

    async def test_no_model_at_all(self, plain, backend, portal):
        backend.set_models([])
        await portal.portal.models.refresh()
        cat = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
        answer = await plain.post("/v1/messages", json=asked([cat], model="auto"))
        assert error_of(answer, 503)["type"] == "api_error"
        assert answer.headers["x-should-retry"] == "false"

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_client_that_leaves_stops_the_model(self, portal, plain, backend, stream):
        backend.script(TextDelta("Hel"), asyncio.Event())
        async with httpx.AsyncClient(base_url=portal.url, headers=plain.headers) as leaving:
            call = asyncio.ensure_future(leaving.post("/v1/messages", json=asked(stream=stream)))  # noqa: TID251
            await backend.wait_running(1)
            call.cancel()
            await backend.wait_running(0)
        assert backend.cancelled == 1
        rows = await usage_rows(portal)
        assert [row["status"] for row in rows] == ["cancelled"]


class TestCounting:
    async def test_everything_counts(self, plain, backend):
        async def count(**more):
            body = {name: value for name, value in asked(**more).items() if name != "max_tokens"}
            answer = await plain.post("/v1/messages/count_tokens", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json().keys() == {"input_tokens"}
            return answer.json()["input_tokens"]

        least = await count()
        assert least > 0
        assert await count(system="Be kind to everyone.") > least
        assert await count(tools=[TOOL]) > least
        assert await count(model="brief") > least
        assert await count(model="claude-haiku") == least
        assert backend.requests == []

    async def test_failures(self, plain):
        error = error_of(await plain.post("/v1/messages/count_tokens", json=asked(model="tinny")), 404)
        assert error["type"] == "not_found_error"
        assert error_of(await plain.post("/v1/messages/count_tokens", content=b"{"), 400)

    async def test_a_client_that_leaves(self, portal, plain):
        def half():
            yield b'{"model'

        async def slow():
            for piece in half():
                yield piece
            raise ConnectionError

        with pytest.raises(ConnectionError):
            await plain.post("/v1/messages/count_tokens", content=slow())
        with pytest.raises(ConnectionError):
            await plain.post("/v1/messages", content=slow())
        assert (await plain.get("/health")).status_code == 200
