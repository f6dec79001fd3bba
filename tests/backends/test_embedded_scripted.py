"""The embedded backend with a scripted engine: everything but llama.cpp itself."""

import asyncio
import json
import logging
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from portal.backends.embedded import Config, Embedded
from portal.backends.engine_port import Begun, Ended, Job, Piece
from portal.core.model import (
    Finished,
    ModelEvent,
    ModelRequest,
    Progress,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.errors import BackendError, BackendInterrupted, BackendRejected, BackendTimeout, BackendUnavailable
from portal.testing.scripted_engine import ScriptedEngine

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"
MODEL = TINY.stem


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **more}}


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BOTH = [tool("get_weather", parameters=CITY), tool("get_time")]
CALL = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'


class Bench:
    """A backend over a folder with the tiny model, and its engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = ScriptedEngine()
        self.backend = Embedded(Config(folder=folder, threads=3), engine=self.engine)

    @property
    def job(self) -> Job:
        return self.engine.jobs[-1]

    def request(self, text: Any = "Hello", **parameters: Any) -> ModelRequest:
        return ModelRequest(model=MODEL, messages=[{"role": "user", "content": text}], parameters=parameters)

    async def ask(self, text: Any = "Hello", **parameters: Any) -> list[ModelEvent]:
        return [event async for event in self.backend.stream(self.request(text, **parameters))]

    async def complete(self, prompt: str | list[str], **parameters: Any) -> list[ModelEvent]:
        request = ModelRequest(model=MODEL, prompt=prompt, parameters=parameters)
        return [event async for event in self.backend.stream(request)]

    async def idle(self) -> None:
        assert await asyncio.to_thread(self.engine.wait_idle)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    shutil.copy(TINY, tmp_path)
    made = Bench(tmp_path)
    await made.backend.models()
    yield made
    await made.backend.aclose()


def text_of(events: list[ModelEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


def calls_of(events: list[ModelEvent]) -> list[tuple[str | None, Any]]:
    return [(event.name, json.loads(event.arguments)) for event in events if isinstance(event, ToolCallDelta)]


async def test_a_model_that_is_not_there(bench: Bench) -> None:
    request = ModelRequest(model="other", messages=[{"role": "user", "content": "Hello"}])
    with pytest.raises(BackendRejected, match="no model 'other'") as caught:
        [event async for event in bench.backend.stream(request)]
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


async def test_the_model_in_memory_is_marked(bench: Bench) -> None:
    bench.engine.script("Hello")
    await bench.ask()
    assert [info.loaded for info in await bench.backend.models()] == [True]


async def test_an_answer(bench: Bench) -> None:
    bench.engine.script(Begun(12, thinking=False), "Hel", "lo", Ended("length", 5))
    events = await bench.ask("Hi", temperature=0.5)
    assert events == [
        Progress("loading", f"Portal is loading {MODEL} (1 MB) into memory."),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished("length"),
        TokenUsage(12, 5),
    ]
    expected = {"path": bench.folder / TINY.name, "context": 1024, "threads": 3, "schema": None, "seed": None}
    assert {name: getattr(bench.job, name) for name in expected} == expected
    assert bench.job.messages == [{"role": "user", "content": "Hi"}]
    assert (bench.job.prompt, bench.job.tools, bench.job.parameters) == (None, [], {"temperature": 0.5})


async def test_loading_is_told_only_where_it_happens(bench: Bench) -> None:
    for _ in range(2):
        bench.engine.script("Hello")
    assert isinstance((await bench.ask())[0], Progress)
    assert isinstance((await bench.ask())[0], TextDelta)


async def test_content_in_parts_and_none(bench: Bench) -> None:
    bench.engine.script("yes")
    await bench.ask([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}])
    assert bench.job.messages == [{"role": "user", "content": "one\n\ntwo"}]
    bench.engine.script("yes")
    await bench.ask(None)
    assert bench.job.messages == [{"role": "user", "content": ""}]


async def test_images_are_refused(bench: Bench) -> None:
    with pytest.raises(BackendRejected, match="text only") as caught:
        await bench.ask([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}])
    assert (caught.value.status, caught.value.code) == (400, "unsupported_content")
    assert bench.engine.jobs == []


async def test_each_answer_has_its_seed_and_usage_counts_the_prompt_once(bench: Bench) -> None:
    for text in ("one", "two", "three"):
        bench.engine.script(Begun(9, thinking=False), text, Ended("stop", 2))
    events = await bench.ask(n=3, seed=40)
    assert [text_of(events, choice) for choice in range(3)] == ["one", "two", "three"]
    assert [event.choice for event in events if isinstance(event, Finished)] == [0, 1, 2]
    assert [job.seed for job in bench.engine.jobs] == [40, 41, 42]
    assert events[-1] == TokenUsage(9, 6)


async def test_raw_prompts(bench: Bench) -> None:
    bench.engine.script("<think>", Piece("", []), Piece("", [{"token": "x"}]), " there", Ended("length", 3))
    events = await bench.complete("Say", tools=BOTH)
    assert text_of(events) == "<think> there"
    assert TextDelta("", 0, [{"token": "x"}]) in events
    assert sum(isinstance(event, TextDelta) for event in events) == 3
    assert Finished("length") in events
    assert (bench.job.prompt, bench.job.messages) == ("Say", [])


async def test_every_prompt_gets_every_choice(bench: Bench) -> None:
    for text in "abcd":
        bench.engine.script(text)
    events = await bench.complete(["one", "two"], n=2, seed=5)
    assert [(job.prompt, job.seed) for job in bench.engine.jobs] == [("one", 5), ("one", 6), ("two", 5), ("two", 6)]
    assert [text_of(events, choice) for choice in range(4)] == list("abcd")


async def test_the_next_waits_in_the_queue(bench: Bench) -> None:
    gate = asyncio.Event()
    bench.engine.script("a", gate, "b")
    bench.engine.script("c")
    bench.engine.script("d")
    first, second, third = (bench.backend.stream(bench.request(text)) for text in ("1", "2", "3"))
    assert isinstance(await anext(first), Progress)
    assert await anext(first) == TextDelta("a")
    assert await anext(second) == Progress("queued", "1 before this one.")
    async with asyncio.TaskGroup() as group:
        second_text = group.create_task(anext(second))
        await asyncio.sleep(0)
        assert await anext(third) == Progress("queued", "2 before this one.")
        assert len(bench.engine.jobs) == 1
        gate.set()
        assert text_of([event async for event in first]) == "b"
    assert second_text.result() == TextDelta("c")
    assert [type(event) async for event in second] == [Finished, TokenUsage]
    assert text_of([event async for event in third]) == "d"


async def test_waiting_can_be_given_up(bench: Bench) -> None:
    bench.engine.script("a", asyncio.Event())
    bench.engine.script("b")
    async with aclosing(bench.backend.stream(bench.request())) as first:
        while not isinstance(await anext(first), TextDelta):
            pass
        waiting = bench.backend.stream(bench.request("given up"))
        assert isinstance(await anext(waiting), Progress)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(anext(waiting))
            await asyncio.sleep(0)
            task.cancel()
    assert text_of(await bench.ask("after")) == "b"
    assert [job.messages[0]["content"] for job in bench.engine.jobs] == ["Hello", "after"]


async def test_closing_the_stream_stops_the_engine(bench: Bench) -> None:
    bench.engine.script("a", asyncio.Event(), "never")
    bench.engine.script("b")
    events = bench.backend.stream(bench.request(n=2))
    while not isinstance(await anext(events), TextDelta):
        pass
    await events.aclose()
    await bench.idle()
    assert (bench.engine.stopped, len(bench.engine.jobs)) == (1, 1)
    assert text_of(await bench.ask()) == "b"


async def test_stop_sequences_and_length_are_the_engines(bench: Bench) -> None:
    bench.engine.script("a", Ended("length", 1))
    assert Finished("length") in await bench.ask(stop=["x"], max_tokens=1)
    assert bench.job.parameters == {"stop": ["x"], "max_tokens": 1}


async def test_reasoning_is_taken_out(bench: Bench) -> None:
    bench.engine.script("<thi", "nk>let me", " see</think>\n\n", "12")
    events = await bench.ask()
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "let me see"
    assert text_of(events) == "12"
    bench.engine.script(Begun(3, thinking=True), "hm</think>13")
    events = await bench.ask()
    assert ReasoningDelta("hm") in events
    assert text_of(events) == "13"


async def test_tool_calls_are_taken_out(bench: Bench) -> None:
    bench.engine.script("I look. ", "<tool", f"_call>{CALL}</tool_call>")
    events = await bench.ask(tools=BOTH)
    assert calls_of(events) == [("get_weather", {"city": "Oslo"})]
    assert text_of(events) == "I look. "
    assert Finished("tool_calls") in events
    assert (bench.job.tools, bench.job.schema) == (BOTH, None)


async def test_a_call_that_the_length_cut(bench: Bench) -> None:
    bench.engine.script(f"<tool_call>{CALL}</tool_call><tool_call>{CALL[:20]}", Ended("length", 9))
    events = await bench.ask(tools=BOTH)
    assert len(calls_of(events)) == 1
    assert text_of(events) == f"<tool_call>{CALL[:20]}"
    assert Finished("length") in events


@pytest.mark.parametrize("parameters", [{}, {"tools": []}, {"tools": BOTH, "tool_choice": "none"}])
async def test_calls_are_text_where_none_are_wanted(bench: Bench, parameters: Any) -> None:
    text = f"<tool_call>{CALL}</tool_call>"
    bench.engine.script(text)
    events = await bench.ask(**parameters)
    assert (calls_of(events), text_of(events)) == ([], text)
    assert bench.job.tools == []


async def test_a_call_can_be_forced(bench: Bench) -> None:
    bench.engine.script(CALL[:10], CALL[10:])
    events = await bench.ask(tools=BOTH, tool_choice="required")
    assert calls_of(events) == [("get_weather", {"city": "Oslo"})]
    assert text_of(events) == ""
    assert Finished("tool_calls") in events
    assert bench.job.schema is not None
    weather, hour = bench.job.schema["anyOf"]
    assert weather["properties"] == {"name": {"type": "string", "enum": ["get_weather"]}, "arguments": CITY}
    assert hour["properties"]["arguments"] == {"type": "object"}
    assert weather["required"] == hour["required"] == ["name", "arguments"]


async def test_one_tool_can_be_forced(bench: Bench) -> None:
    bench.engine.script(CALL[:10], Ended("length", 4))
    events = await bench.ask(tools=BOTH, tool_choice={"type": "function", "function": {"name": "get_time"}})
    assert (calls_of(events), text_of(events)) == ([], CALL[:10])
    assert Finished("length") in events
    assert bench.job.tools == [BOTH[1]]
    assert bench.job.schema is not None
    assert bench.job.schema["properties"]["name"]["enum"] == ["get_time"]


async def test_a_forced_tool_that_is_not_offered(bench: Bench) -> None:
    bench.engine.script("<think>hm</think>no")
    assert text_of(await bench.ask(tools=BOTH, tool_choice={"type": "function", "function": {"name": "other"}})) == "no"
    assert (bench.job.tools, bench.job.schema) == ([], None)


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        ({"type": "json_schema", "json_schema": {"name": "a", "schema": CITY}}, CITY),
        ({"type": "json_schema"}, {}),
        ({"type": "json_object"}, {}),
        ({"type": "text"}, None),
        (None, None),
    ],
)
async def test_json_by_schema(bench: Bench, wanted: Any, schema: Any) -> None:
    bench.engine.script("{}")
    assert text_of(await bench.ask(response_format=wanted)) == "{}"
    assert bench.job.schema == schema


async def test_logprobs_stay_with_their_text(bench: Bench) -> None:
    a, b, c = ({"token": name, "logprob": -1.0} for name in "abc")
    bench.engine.script(Piece("a", [a]), Piece("<", [b]), Piece("c", [c]))
    events = await bench.ask(logprobs=True)
    assert events[1:3] == [TextDelta("a", 0, [a]), TextDelta("<c", 0, [b, c])]
    bench.engine.script(Piece("<", [b]), "d", Piece("<", [c]))
    events = await bench.ask(logprobs=True)
    assert events[:2] == [TextDelta("<d", 0, [b]), TextDelta("<", 0, [c])]


async def test_the_engines_own_errors_pass(bench: Bench) -> None:
    bench.engine.script(BackendTimeout("too slow"))
    bench.engine.script("after")
    with pytest.raises(BackendTimeout, match="too slow"):
        await bench.ask()
    assert text_of(await bench.ask()) == "after"


async def test_an_unexpected_error_is_told_and_logged(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.engine.script("a", ZeroDivisionError("by nought"))
    bench.engine.script("after")
    events = bench.backend.stream(bench.request())
    while not isinstance(await anext(events), TextDelta):
        pass
    with pytest.raises(BackendError, match="The embedded engine failed: by nought"):
        await anext(events)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError
    assert text_of(await bench.ask()) == "after"


async def test_an_engine_is_never_asked_for_more_than_its_script(bench: Bench) -> None:
    with pytest.raises(BackendError, match="more answers than it was given"):
        await bench.ask()


async def test_closing_ends_the_answer_under_way_and_those_that_wait(bench: Bench) -> None:
    bench.engine.script("a", asyncio.Event())
    running, waiting = (bench.backend.stream(bench.request(text)) for text in ("1", "2"))
    while not isinstance(await anext(running), TextDelta):
        pass
    assert isinstance(await anext(waiting), Progress)
    await bench.backend.aclose()
    assert (bench.engine.stopped, bench.engine.closed) == (1, True)
    with pytest.raises(BackendInterrupted, match="closed"):
        await anext(running)
    with pytest.raises(BackendUnavailable, match="closed"):
        [event async for event in waiting]
    assert len(bench.engine.jobs) == 1


async def test_closing_a_backend_that_never_ran(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.backend.aclose()
    await bench.backend.aclose()
    assert not bench.engine.closed


def test_an_engine_that_outlives_the_loop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is between two tokens when the program's loop ends: what it says then has nobody to hear it."""
    shutil.copy(TINY, tmp_path)
    bench, gate = Bench(tmp_path), threading.Event()

    class Stubborn(ScriptedEngine):
        def run(self, job: Job, cancelled: Any) -> Any:
            yield from super().run(job, lambda: False)

    bench.engine = Stubborn()
    bench.backend = Embedded(Config(folder=tmp_path), engine=bench.engine)
    bench.engine.script("a", gate, "b")

    async def leave() -> None:
        await bench.backend.models()
        async with aclosing(bench.backend.stream(bench.request())) as events:
            while not isinstance(await anext(events), TextDelta):
                pass

    asyncio.run(leave())
    gate.set()
    asyncio.run(bench.backend.aclose())
    assert bench.engine.closed
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
