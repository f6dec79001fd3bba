import asyncio

import pytest
from tests.interfaces.openai.conftest import chat_chunks, error_of, usage_rows

from portal.backends.scripted import CUT
from portal.core.model import Finished, ReasoningDelta, TextDelta, TokenUsage
from portal.errors import BackendUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = {"model": "tiny", "prompt": "Once"}
TOP = {"token": "up", "logprob": -0.5, "bytes": []}
LOGPROB = {**TOP, "top_logprobs": [TOP]}


async def complete(api, **more):
    return await api.post("/v1/completions", {**HELLO, **more})


async def test_a_whole_answer(api, backend, portal):
    backend.script(TextDelta("up", logprobs=[LOGPROB]), TextDelta("on"), TokenUsage(1, 2, estimated=True))
    made = (await complete(api, temperature=0.5, suffix="time")).json()
    assert made["object"] == "text_completion"
    assert made["choices"] == [
        {
            "index": 0,
            "text": "upon",
            "logprobs": {"tokens": ["up"], "token_logprobs": [-0.5], "top_logprobs": [{"up": -0.5}]},
            "finish_reason": "stop",
        }
    ]
    assert made["usage"]["portal:estimated"] is True
    sent = backend.requests[-1]
    assert (sent.prompt, sent.messages, sent.parameters) == ("Once", (), {"temperature": 0.5, "suffix": "time"})
    (row,) = await usage_rows(portal)
    assert (row["door"], row["status"], row["estimated"]) == ("completions", "completed", 1)


async def test_several_prompts(api, backend):
    backend.script(TextDelta("A", 0), TextDelta("B", 1), Finished("stop", 0), Finished("length", 1))
    choices = (await complete(api, prompt=["a", "b"])).json()["choices"]
    assert [(choice["text"], choice["finish_reason"]) for choice in choices] == [("A", "stop"), ("B", "length")]
    assert backend.requests[-1].prompt == ["a", "b"]


async def test_a_stream(api, backend):
    backend.script(ReasoningDelta("Hm"), TextDelta("up"), TextDelta("on"))
    answer = await complete(api, stream=True)
    chunks = chat_chunks(answer.text)
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["up", "on", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert not any("usage" in chunk for chunk in chunks)
    assert answer.headers["x-portal-model"] == "tiny"


async def test_a_stream_with_usage(api, backend):
    backend.script(TextDelta("upon"), TokenUsage(1, 1))
    chunks = chat_chunks((await complete(api, stream=True, stream_options={"include_usage": True})).text)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 2
    assert chunks[0]["usage"] is None


async def test_failures(api, backend, portal):
    backend.script(BackendUnavailable("It is down."))
    backend.script(TextDelta("up"), CUT)
    assert error_of(await complete(api), 503)["code"] == "backend_unavailable"
    chunks = chat_chunks((await complete(api, stream=True)).text, done=False)
    assert chunks[-1]["error"]["code"] == "backend_interrupted"
    assert [row["status"] for row in await usage_rows(portal)] == ["failed", "failed"]


async def test_a_client_that_leaves_stops_the_model(api, backend):
    backend.script(TextDelta("up"), asyncio.Event())
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(complete(api, stream=True))
        await backend.wait_running(1)
        asking.cancel()
    await backend.wait_running(0)
    assert backend.cancelled == 1


@pytest.mark.parametrize(
    ("more", "status", "param"),
    [
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": ["x"] * 2049}, 400, "prompt"),
        ({"prompt": [[1]] * 2049}, 400, "prompt"),
        ({"prompt": 5}, 400, "prompt"),
        ({"prompt": [1, 2]}, 400, "prompt"),
        ({"prompt": [[1, 2]]}, 400, "prompt"),
        ({"model": None}, 400, "model"),
        ({"model": "tinny"}, 404, "model"),
    ],
)
async def test_what_is_wrong_is_named(api, more, status, param):
    assert error_of(await complete(api, **more), status)["param"] == param
