"""What is refused, in Anthropic's form, and what is let through."""

import json

import httpx
import pytest
from tests.interfaces.anthropic.conftest import asked, error_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOL = {"name": "weather", "input_schema": {"type": "object"}}


def saying(*blocks, role="user"):
    return asked(messages=[{"role": role, "content": list(blocks)}])


def without(name):
    return {field: value for field, value in asked().items() if field != name}


REFUSED = [
    (without("model"), "model: Field required"),
    (without("max_tokens"), "max_tokens: Field required"),
    (without("messages"), "messages: Field required"),
    (asked(model=""), "model: String should have at least 1 character"),
    (asked(model=7), "model: Input should be a valid string"),
    (asked(max_tokens=0), "max_tokens: Input should be greater than or equal to 1"),
    (asked(max_tokens="10"), "max_tokens: Input should be a valid integer"),
    (asked(max_tokens=True), "max_tokens: Input should be a valid integer"),
    (asked(messages=[]), "messages: List should have at least 1 item"),
    (asked(messages="Hi"), "messages: Input should be a valid list"),
    (asked(messages=["Hi"]), "messages.0: Input should be"),
    (asked(messages=[{"role": "user"}]), "messages.0.content: Field required"),
    (asked(messages=[{"content": "Hi"}]), "messages.0: Unable to extract tag using discriminator 'role'"),
    (asked(messages=[{"role": "tool", "content": "Hi"}]), "messages.0: Input tag 'tool'"),
    (asked(messages=[{"role": "user", "content": None}]), "messages.0.content: Input should be a valid list"),
    (saying({"type": "text"}), "messages.0.content.0.text.text: Field required"),
    (saying({"text": "Hi"}), "messages.0.content.0: Unable to extract tag using discriminator 'type'"),
    (saying({"type": "video"}), "messages.0.content.0: Input tag 'video'"),
    (saying("Hi"), "messages.0.content.0: Input should be a valid dictionary"),
    (saying({"type": "image"}), "messages.0.content.0.image.source: Field required"),
    (saying({"type": "image", "source": {"type": "file", "file_id": "f"}}), "Input tag 'file'"),
    (saying({"type": "image", "source": {"type": "url"}}), "source.url.url: Field required"),
    (saying({"type": "document", "source": {"type": "url", "url": "x"}}), "Input tag 'url'"),
    (saying({"type": "tool_result", "content": "x"}), "tool_result.tool_use_id: Field required"),
    (saying({"type": "tool_result", "tool_use_id": "a", "content": 7}), "tool_result.content: Input should be"),
    (saying({"type": "tool_use", "id": "a", "name": "f"}, role="assistant"), "tool_use.input: Field required"),
    (saying({"type": "tool_use", "id": "a", "name": "f", "input": "{}"}, role="assistant"), "valid dictionary"),
    (saying("Hi", role="assistant"), "messages.0.content.0.other: Input should be"),
    (asked(system=7), "system: Input should be a valid list"),
    (asked(system=[{"type": "image"}]), "system.0.type: Input should be 'text'"),
    (asked(temperature=2), "temperature: Input should be less than or equal to 1"),
    (asked(top_p=-1), "top_p: Input should be greater than or equal to 0"),
    (asked(top_k=1.5), "top_k: Input should be a valid integer"),
    (asked(stop_sequences="END"), "stop_sequences: Input should be a valid list"),
    (asked(stop_sequences=[""]), "stop_sequences.0: String should have at least 1 character"),
    (asked(stream="yes"), "stream: Input should be a valid boolean"),
    (asked(tools={}), "tools: Input should be a valid list"),
    (asked(tools=[{"name": "f"}]), "tools.0.input_schema: Field required"),
    (asked(tools=[{**TOOL, "name": "a b"}]), "tools.0.name: String should match pattern"),
    (asked(tools=[{"type": "web_search_20250305", "name": "web_search"}]), "is a tool of Anthropic's own"),
    (asked(tools=[TOOL], tool_choice={"type": "tool"}), "tool_choice.name: Field required"),
    (asked(tools=[TOOL], tool_choice="auto"), "tool_choice: Input should be"),
    (asked(thinking={"type": "enabled", "budget_tokens": 0}), "thinking.budget_tokens"),
    (asked(thinking=True), "thinking: Input should be"),
    ([], "must be a JSON object"),
    (None, "must be a JSON object"),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
async def test_refused(plain, backend, body, words):
    answer = await plain.post("/v1/messages", content=json.dumps(body))
    error = error_of(answer, 400)
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]
    assert backend.requests == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"model": "\xed\xa0\x80"}', b"[" * 2000, json.dumps("\ud800").encode(), b"NaN"],
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
async def test_no_json(plain, path, body):
    assert error_of(await plain.post(path, content=body), 400)["type"] == "invalid_request_error"


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


@pytest.mark.parametrize(
    "body",
    [
        asked(metadata=7, container={"id": "x"}, new_field=[1], stop_sequences=None, system=None, tools=None),
        asked("", tools=[{**TOOL, "defer_loading": True, "input_examples": [{}], "eager_input_streaming": True}]),
        asked(tools=[{"name": "f", "input_schema": {"maximum": 2**70, "minimum": -(2**70)}}]),
        asked(tools=[{"name": f"mcp__server__tool-{at}", "input_schema": nested(20)} for at in range(200)]),
        saying({"type": "text", "text": "Hi", "citations": None, "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        saying(role="assistant"),
        saying({"type": "mcp_tool_use", "id": "x"}, role="assistant"),
        asked(thinking={"type": "of the future", "depth": 3}),
    ],
)
async def test_let_through(plain, backend, body):
    backend.answer("Hello")
    headers = {"anthropic-beta": "of-the-future-2031-01-01,another", "x-app": "cli", "user-agent": "some-agent/1"}
    answer = await plain.post("/v1/messages", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["content"][0]["text"] == "Hello"


@pytest.mark.parametrize(
    "body",
    [
        asked(tools=[{"name": "f", "input_schema": nested(248)}]),
        saying({"type": "tool_use", "id": "a", "name": "f", "input": nested(300)}, role="assistant"),
        asked(output_format={"type": "json_schema", "schema": nested(300)}),
    ],
)
async def test_what_is_nested_too_deeply(plain, body):
    assert "Recursion limit" in error_of(await plain.post("/v1/messages", json=body), 400)["message"]


class TestAdmission:
    async def test_no_key(self, portal):
        async with httpx.AsyncClient(base_url=portal.url) as nobody:
            for path in ("/v1/messages", "/v1/messages/count_tokens"):
                assert (
                    error_of(await nobody.post(path, json=asked()), 401, numbered=False)["type"]
                    == "authentication_error"
                )
            unknown = await nobody.post("/v1/messages", json=asked(), headers={"x-api-key": "portal-x"})
            assert error_of(unknown, 401, numbered=False)["type"] == "authentication_error"

    async def test_a_key_as_bearer(self, portal, backend):
        backend.answer("Hello")
        async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client:
            assert (await client.post("/v1/messages", json=asked())).status_code == 200

    async def test_a_foreign_page(self, plain):
        answer = await plain.post("/v1/messages", json=asked(), headers={"origin": "https://evil.example"})
        assert error_of(answer, 403, numbered=False)["type"] == "permission_error"

    async def test_too_large(self, plain):
        answer = await plain.post("/v1/messages", json=asked("x" * 2**20))
        assert error_of(answer, 413, numbered=False)["type"] == "request_too_large"

    async def test_too_large_and_not_declared(self, plain):
        async def pieces():
            for _ in range(3):
                yield b"x" * 2**19

        answer = await plain.post("/v1/messages", content=pieces())
        assert error_of(answer, 413)["type"] == "request_too_large"

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/messages", 405),
            ("POST", "/v1/messages/batches", 404),
            ("PUT", "/v1/messages/count_tokens", 405),
        ],
    )
    async def test_what_is_not_there(self, plain, method, path, status):
        assert error_of(await plain.request(method, path), status, numbered=False)
