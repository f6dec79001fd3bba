"""Answers that are too large to keep, that break off, or that are silent for long: the same at every door."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.interfaces.openai.conftest import usage_rows

from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.backends.scripted import CUT, ScriptedBackend
from portal.core.measure import Measure
from portal.core.model import (
    Citation,
    Finished,
    ModelInfo,
    Progress,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.errors import BackendProtocolError
from portal.interfaces.wire import Alive
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal

HUGE = "x" * 2**23
HI: list[dict[str, str]] = [{"role": "user", "content": "Hi"}]
CHAT = ("/v1/chat/completions", {"messages": HI})
STORED = ("/v1/chat/completions", {"messages": HI, "store": True})
TEXT = ("/v1/completions", {"prompt": "Hi"})
MESSAGES = ("/v1/messages", {"messages": HI, "max_tokens": 100})
OLLAMA = ("/api/chat", {"messages": HI})
GENERATE = ("/api/generate", {"prompt": "Hi"})


@pytest_asyncio.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(models=["far"]) as running:
        yield running


@pytest.fixture
def backend() -> ScriptedBackend:
    able = frozenset({"chat", "completion", "tools"})
    return ScriptedBackend(models=[ModelInfo(id="tiny", backend="", capabilities=able)])


@pytest_asyncio.fixture
async def portal(tmp_path: Any, server: OpenAIServer, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    backends = [backend, OpenAICompatible(Config(url=server.url))]
    async with open_test_portal(tmp_path, backends=backends, settings={"server": {"keep_alive": 0.02}}) as running:
        yield running


@pytest_asyncio.fixture
async def client(portal: TestPortal) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as made:
        yield made


@pytest.mark.parametrize(("path", "body"), [CHAT, STORED, TEXT, MESSAGES, OLLAMA, GENERATE])
async def test_a_whole_answer_is_bounded(client, backend, path, body):
    backend.script(*[TextDelta(HUGE)] * 9)
    answer = await client.post(path, json={**body, "model": "tiny", "stream": False})
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert "over 64 MB" in (error if path.startswith("/api/") else error["message"])
    assert backend.running == 0


@pytest.mark.parametrize(("path", "body"), [CHAT, MESSAGES, OLLAMA, GENERATE])
async def test_a_streamed_answer_may_be_as_long_as_it_likes_but_its_calls_may_not(client, backend, path, body):
    backend.script(*[TextDelta(HUGE)] * 9, *[ToolCallDelta(0, "c", "t", HUGE)] * 9)
    text = 0
    async with client.stream("POST", path, json={**body, "model": "tiny", "stream": True}) as answer:
        last = b""
        async for piece in answer.aiter_bytes():
            text += len(piece)
            last = (last + piece)[-1000:]
    assert text > 9 * len(HUGE)
    assert b"over 64 MB" in last


def test_what_weighs():
    measure = Measure(kept=True, most=1000)
    for event in (Progress("loading"), Finished("stop"), TokenUsage(1, 2), Citation({"url": "u"}), ReasoningDelta("r")):
        measure.add(event)
    with pytest.raises(BackendProtocolError):
        measure.add(TextDelta("a", logprobs=[{"token": "a", "top_logprobs": [{}] * 9}]))
    loose = Measure(kept=False, most=1000)
    for _ in range(100):
        loose.add(TextDelta("a" * 100))
    assert loose.usage(lambda: 7) == TokenUsage(7, 2500, estimated=True)
    assert Measure(kept=True).usage(lambda: 7) is None


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("path", "body"), [CHAT, TEXT, MESSAGES, OLLAMA, GENERATE])
async def test_what_broke_off_is_booked_as_far_as_it_came(client, portal, backend, path, body, stream):
    backend.script(TextDelta("one two three four "), TextDelta("\u4e2d\u6587"), CUT)
    await client.post(path, json={**body, "model": "tiny", "stream": stream})
    (row,) = await usage_rows(portal)
    assert (row["status"], row["output_tokens"], row["estimated"]) == ("failed", 7, 1)
    assert row["input_tokens"] > 0


async def test_nothing_is_booked_for_what_never_began(client, portal, backend):
    backend.script(CUT)
    await client.post("/v1/chat/completions", json={"model": "tiny", "messages": HI, "stream": True})
    (row,) = await usage_rows(portal)
    assert (row["status"], row["input_tokens"], row["output_tokens"]) == ("failed", 0, 0)


async def test_a_client_that_leaves_pays_for_what_it_saw(client, portal, backend):
    never = asyncio.Event()
    backend.script(TextDelta("one two three four"), never)
    async with client.stream("POST", CHAT[0], json={**CHAT[1], "model": "tiny", "stream": True}) as answer:
        await anext(answer.aiter_bytes())
    while backend.running:
        await asyncio.sleep(0)
    (row,) = await usage_rows(portal)
    assert (row["status"], row["output_tokens"]) == ("cancelled", 5)


async def pinged(client, path, body, ping, gate):
    """The whole stream, let go on once there were two pings."""
    seen = b""
    async with client.stream("POST", path, json={**body, "stream": True}) as answer:
        async for piece in answer.aiter_bytes():
            seen += piece
            if seen.count(ping) > 2:
                gate.set()
    return seen


COMMENT, PING = b": keep-alive\n\n", b'event: ping\ndata: {"type":"ping"}\n\n'


@pytest.mark.parametrize(
    ("path", "body", "ping"), [(*CHAT, COMMENT), (*STORED, COMMENT), (*TEXT, COMMENT), (*MESSAGES, PING)]
)
async def test_silence_after_the_first_word_is_filled(client, backend, path, body, ping):
    gate = asyncio.Event()
    backend.script(TextDelta("first"), gate, TextDelta("second"))
    seen = await pinged(client, path, {**body, "model": "tiny"}, ping, gate)
    before, _, after = seen.partition(b"first")
    assert ping in after.partition(b"second")[0]
    assert COMMENT not in before


async def test_thoughts_nobody_sees_are_silence(client, backend):
    gate = asyncio.Event()
    backend.script(ReasoningDelta("Hm."), gate, ReasoningDelta("Hm."), TextDelta("Hello"))
    seen = await pinged(client, MESSAGES[0], {**MESSAGES[1], "model": "tiny"}, PING, gate)
    assert seen.index(PING) < seen.index(b"Hello")


async def test_relayed_silence_is_filled_between_events(client, server):
    gate = asyncio.Event()
    server.script(Answer(text=["Hel", "lo"], gate=gate, after=2))
    seen = await pinged(client, CHAT[0], {**CHAT[1], "model": "far"}, COMMENT, gate)
    assert seen.replace(COMMENT, b"").endswith(b"data: [DONE]\n\n")


async def ticks(alive: Alive, sent: list[bytes], until: int) -> None:
    while len(sent) < until:
        await asyncio.sleep(0)


async def test_nothing_comes_between_the_pieces_of_an_event():
    sent: list[bytes] = []

    async def send(message):
        sent.append(message["body"])

    alive = Alive(send, b"ping", 0.001)
    await alive.send(b"data: 1")
    waited = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, waited.set)
    await waited.wait()
    assert sent == [b"data: 1"]
    await alive.send(b"\n\n")
    await ticks(alive, sent, 3)
    alive.end()
    assert sent[:3] == [b"data: 1", b"\n\n", b"ping"]


async def test_a_client_that_does_not_read_gets_one_at_most():
    sent, stuck = [], asyncio.Event()

    async def send(message):
        sent.append(message["body"])
        if message["body"] == b"ping":
            await stuck.wait()

    alive = Alive(send, b"ping", 0.001)
    await alive.send(b"\n\n")
    await ticks(alive, sent, 2)
    waited = asyncio.Event()
    asyncio.get_running_loop().call_later(0.02, waited.set)
    await waited.wait()
    alive.end()
    assert sent == [b"\n\n", b"ping"]


async def test_a_revoked_credential_is_not_the_pings_to_tell():
    sent: list[bytes] = []

    async def send(message):
        sent.append(message["body"])
        if message["body"] == b"ping":
            raise OSError

    alive = Alive(send, b"ping", 0.001)
    await alive.send(b"\n\n")
    await ticks(alive, sent, 3)
    alive.end()
    assert sent[:3] == [b"\n\n", b"ping", b"ping"]
