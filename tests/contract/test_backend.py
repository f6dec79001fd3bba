"""What every backend promises: each kind over real sockets to strict stand-ins, the scripted doubles, a real engine."""

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from portal.backends import embedded, ollama, openai_compatible
from portal.backends.llama_engine import LlamaEngine
from portal.backends.scripted import CUT, ScriptedBackend, echo
from portal.core.model import (
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    Progress,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.ports import Backend, Embedding
from portal.errors import BackendError, BackendInterrupted
from portal.testing.model_server import Answer, Fault, ModelServer, ToolCall
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.scripted_engine import EngineStep, ScriptedEngine, echo_job

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel"
needs_engine = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed here"),
]


class Bench(Protocol):
    """A backend with its strings."""

    backend: Backend
    model: str

    def answer(self, *, text: Sequence[str] = (), gate: asyncio.Event | None = None, cut: bool = False) -> None: ...

    def script(
        self, *, thinking: Sequence[str], tool: tuple[str, dict[str, Any]] | None, text: Sequence[str]
    ) -> None: ...

    async def gone(self) -> None: ...


class ServerBench:
    def __init__(self, backend: Backend, model: str, server: ModelServer) -> None:
        self.backend, self.model, self.server = backend, model, server

    def answer(self, *, text: Sequence[str] = (), gate: asyncio.Event | None = None, cut: bool = False) -> None:
        # One frame comes before the first text of an OpenAI stream: its role.
        head = 1 if isinstance(self.server, OpenAIServer) else 0
        fault = Fault.CUT if cut else None
        self.server.script(Answer(text=text, gate=gate, fault=fault, after=head + 1 if gate or cut else 0))

    def script(self, *, thinking: Sequence[str], tool: tuple[str, dict[str, Any]] | None, text: Sequence[str]) -> None:
        calls = [ToolCall(name=tool[0], arguments=tool[1])] if tool else []
        self.server.script(Answer(thinking=thinking, tool_calls=calls, text=text))

    async def gone(self) -> None:
        await self.server.wait_disconnected()


class ScriptedBench:
    def __init__(self) -> None:
        self.backend: Backend = (scripted := ScriptedBackend(models=["tiny"], default=echo))
        self.scripted = scripted
        self.model = "tiny"

    def answer(self, *, text: Sequence[str] = (), gate: asyncio.Event | None = None, cut: bool = False) -> None:
        steps: list[Any] = [TextDelta(piece) for piece in text]
        if gate or cut:
            steps.insert(1, gate or CUT)
        self.scripted.script(*steps)

    def script(self, *, thinking: Sequence[str], tool: tuple[str, dict[str, Any]] | None, text: Sequence[str]) -> None:
        steps: list[Any] = [*map(ReasoningDelta, thinking), *map(TextDelta, text)]
        if tool:
            steps.append(ToolCallDelta(0, "call_1", tool[0], json.dumps(tool[1])))
        self.scripted.script(*steps)

    async def gone(self) -> None:
        await self.scripted.wait_running(0)


@asynccontextmanager
async def ollama_bench() -> AsyncIterator[ServerBench]:
    model = OllamaModel(name="tiny:latest", capabilities=("completion", "tools", "thinking", "vision"))
    async with OllamaServer(models=[model]) as server:
        backend = ollama.Ollama(ollama.Config(url=server.url))
        yield ServerBench(backend, "tiny:latest", server)
        await backend.aclose()


@asynccontextmanager
async def openai_bench() -> AsyncIterator[ServerBench]:
    async with OpenAIServer() as server:
        backend = openai_compatible.OpenAICompatible(openai_compatible.Config(url=server.url))
        yield ServerBench(backend, "tiny", server)
        await backend.aclose()


@asynccontextmanager
async def scripted_bench() -> AsyncIterator[ScriptedBench]:
    yield ScriptedBench()


class ScriptedEngineBench:
    model = "portal-tiny-q8_0"

    def __init__(self) -> None:
        self.engine = ScriptedEngine(default=echo_job)
        self.backend: Backend = embedded.Embedded(embedded.Config(folder=TINY), engine=self.engine)

    def answer(self, *, text: Sequence[str] = (), gate: asyncio.Event | None = None, cut: bool = False) -> None:
        steps: list[EngineStep] = list(text)
        if gate or cut:
            steps.insert(1, gate or BackendInterrupted("cut"))
        self.engine.script(*steps)

    def script(self, *, thinking: Sequence[str], tool: tuple[str, dict[str, Any]] | None, text: Sequence[str]) -> None:
        marked = ["<think>", *thinking, "</think>"] if thinking else []
        call = json.dumps({"name": tool[0], "arguments": tool[1]}) if tool else ""
        self.engine.script(*marked, *text, *(["<tool_call>", call, "</tool_call>"] if tool else []))

    async def gone(self) -> None:
        assert await asyncio.to_thread(self.engine.wait_idle)
        assert self.engine.stopped == 1


@asynccontextmanager
async def scripted_engine_bench() -> AsyncIterator[ScriptedEngineBench]:
    bench = ScriptedEngineBench()
    await bench.backend.models()
    yield bench
    await bench.backend.aclose()


class EngineBench:
    model = "portal-tiny-q8_0"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend


@asynccontextmanager
async def embedded_bench() -> AsyncIterator[EngineBench]:
    backend = embedded.Embedded(embedded.Config(folder=TINY, threads=1), engine=LlamaEngine())
    await backend.models()
    yield EngineBench(backend)
    await backend.aclose()


EMBEDDING = {"ollama": ollama_bench, "openai_compatible": openai_bench, "scripted": scripted_bench}
STEERABLE = {**EMBEDDING, "embedded-scripted": scripted_engine_bench}


@pytest.fixture(params=list(EMBEDDING))
async def embedding_bench(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with EMBEDDING[request.param]() as made:
        yield made


@pytest.fixture(params=list(STEERABLE))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with STEERABLE[request.param]() as made:
        yield made


@pytest.fixture(params=[*STEERABLE, pytest.param("embedded", marks=needs_engine)])
async def any_bench(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with {**STEERABLE, "embedded": embedded_bench}[request.param]() as made:
        yield made


@pytest.fixture(params=["ollama", "openai_compatible"])
async def server_bench(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with STEERABLE[request.param]() as made:
        yield made


def ask(model: str, text: str = "What is 7 + 5?", **parameters: object) -> ModelRequest:
    messages = [{"role": "user", "content": text}]
    return ModelRequest(model=model, messages=messages, parameters={"temperature": 0, **parameters})


async def collect(backend: Backend, request: ModelRequest) -> list[ModelEvent]:
    async with aclosing(backend.stream(request)) as events:
        return [event async for event in events if not isinstance(event, Progress)]


async def collect_into(seen: list[ModelEvent], backend: Backend, request: ModelRequest) -> None:
    async with aclosing(backend.stream(request)) as events:
        async for event in events:
            seen.append(event)  # noqa: PERF401 - what came before a failure must be there


def text_of(events: Sequence[ModelEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


async def first_text(events: Any) -> TextDelta:
    async for event in events:
        if isinstance(event, TextDelta):
            return event
    raise AssertionError("no text came")


async def test_is_what_it_says(any_bench: Any) -> None:
    backend = any_bench.backend
    assert isinstance(backend, Backend)
    assert backend.name
    assert backend.kind
    models = await backend.models()
    assert any_bench.model in [info.id for info in models]
    assert all(isinstance(info, ModelInfo) and info.backend == backend.name for info in models)


async def test_text_then_one_finish_then_usage(any_bench: Any) -> None:
    events = await collect(any_bench.backend, ask(any_bench.model))
    kinds = [type(event) for event in events]
    assert kinds[-2:] == [Finished, TokenUsage]
    assert kinds.count(Finished) == 1
    assert set(kinds[:-2]) == {TextDelta}
    assert events[-2] == Finished("stop")
    usage = events[-1]
    assert isinstance(usage, TokenUsage)
    assert usage.input_tokens > 0
    assert usage.output_tokens > 0
    assert not usage.estimated


async def test_every_choice_ends_once_and_usage_comes_last(any_bench: Any) -> None:
    if isinstance(any_bench, ScriptedBench):
        any_bench.scripted.script(TextDelta("12", 0), TextDelta("12", 1))
    events = await collect(any_bench.backend, ask(any_bench.model, n=2, seed=7))
    assert sorted(event.choice for event in events if isinstance(event, Finished)) == [0, 1]
    assert text_of(events, 0)
    assert text_of(events, 0) == text_of(events, 1)
    assert isinstance(events[-1], TokenUsage)
    assert sum(isinstance(event, TokenUsage) for event in events) == 1


async def test_closing_frees_it_for_the_next(any_bench: Any) -> None:
    events = any_bench.backend.stream(ask(any_bench.model, "Tell me a story"))
    await first_text(events)
    await events.aclose()
    assert text_of(await collect(any_bench.backend, ask(any_bench.model))) in ("7 + 5 = 12", "What is 7 + 5?")


async def test_an_unknown_model_is_refused(any_bench: Any) -> None:
    with pytest.raises(BackendError) as caught:
        await collect(any_bench.backend, ask("no-such-model"))
    assert caught.value.status == 404
    assert "no-such-model" in caught.value.message


async def test_deltas_come_as_they_are_made(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.answer(text=["Hel", "lo"], gate=gate)
    events = bench.backend.stream(ask(bench.model))
    assert (await first_text(events)).text == "Hel"
    gate.set()
    assert text_of([event async for event in events]) == "lo"


async def test_closing_cancels_the_call(bench: Bench) -> None:
    bench.answer(text=["Hel", "lo"], gate=asyncio.Event())
    events = bench.backend.stream(ask(bench.model))
    await first_text(events)
    await events.aclose()
    await bench.gone()


async def test_cancelling_the_reader_cancels_the_call(bench: Bench) -> None:
    bench.answer(text=["Hel", "lo"], gate=asyncio.Event())
    begun = asyncio.Event()

    async def read() -> None:
        async with aclosing(bench.backend.stream(ask(bench.model))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    begun.set()

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read())
        await begun.wait()
        reader.cancel()
    await bench.gone()


async def test_closing_cancels_every_choice(server_bench: ServerBench) -> None:
    bench = server_bench
    gate = asyncio.Event()
    for _ in range(3):
        bench.answer(text=["Hel", "lo"], gate=gate)
    events = bench.backend.stream(ask(bench.model, n=3))
    await first_text(events)
    await events.aclose()
    await bench.server.wait_active(0)


async def test_a_cut_stream_raises(bench: Bench) -> None:
    bench.answer(text=["Hel", "lo"], cut=True)
    seen: list[ModelEvent] = []
    with pytest.raises(BackendInterrupted):
        await collect_into(seen, bench.backend, ask(bench.model))
    assert text_of(seen) == "Hel"
    assert not any(isinstance(event, Finished | TokenUsage) for event in seen)


async def test_reasoning_comes_apart_from_the_answer(bench: Bench) -> None:
    bench.script(thinking=["Let me", " see."], tool=None, text=["12"])
    events = await collect(bench.backend, ask(bench.model))
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me see."
    assert text_of(events) == "12"


async def test_tool_calls_carry_json_arguments(bench: Bench) -> None:
    bench.script(thinking=[], tool=("get_weather", {"city": "Zürich"}), text=[])
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    events = await collect(bench.backend, ask(bench.model, tools=[tool]))
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert calls[0].id
    assert calls[0].name == "get_weather"
    assert {call.index for call in calls} == {0}
    assert json.loads("".join(call.arguments for call in calls)) == {"city": "Zürich"}
    assert events[-2] == Finished("tool_calls")


async def test_embeddings_keep_their_order(embedding_bench: Bench) -> None:
    backend, bench = embedding_bench.backend, embedding_bench
    assert isinstance(backend, Embedding)
    made = await backend.embed(bench.model, ["one", "two", "one"])
    assert len(made.vectors) == 3
    assert list(made.vectors[0]) == list(made.vectors[2])
    assert list(made.vectors[0]) != list(made.vectors[1])
    assert made.input_tokens > 0
    short = await backend.embed(bench.model, ["one"], dimensions=4)
    assert len(short.vectors[0]) == 4


async def test_closing_twice_is_harmless(any_bench: Any) -> None:
    await any_bench.backend.aclose()
    await any_bench.backend.aclose()
