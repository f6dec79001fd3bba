"""The embedded backend with llama.cpp: real answers of the tiny model."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portal.backends.embedded import Config, Embedded, create
from portal.backends.llama_engine import LlamaEngine, is_installed
from portal.core.model import (
    Finished,
    ModelEvent,
    ModelRequest,
    Progress,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.errors import BackendError, BackendRejected
from portal.settings import BackendSettings, Settings

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"
MODEL = TINY.stem


@pytest.mark.skipif(is_installed(), reason="the engine is installed here")
async def test_without_the_engine_nothing_is_listed(tmp_path: Path) -> None:
    shutil.copy(TINY, tmp_path)
    backend = Embedded(Config(folder=tmp_path), engine=LlamaEngine())
    assert await backend.models() == []
    with pytest.raises(BackendRejected):
        await run(backend, "Hello")
    await backend.aclose()


def test_created_from_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert create(BackendSettings(kind="embedded"), settings).name == "embedded"


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Embedded]:
    shutil.copy(TINY, tmp_path)
    made = Embedded(Config(folder=tmp_path, threads=1), engine=LlamaEngine())
    await made.models()
    yield made
    await made.aclose()


async def run(backend: Embedded, *said: str, prompt: Any = None, **parameters: Any) -> list[ModelEvent]:
    """`said` alternates between user and assistant."""
    roles = ["user", "assistant"]
    messages = [{"role": roles[index % 2], "content": text} for index, text in enumerate(said)]
    model = parameters.pop("model", MODEL)
    request = ModelRequest(model=model, messages=messages, prompt=prompt, parameters={"temperature": 0, **parameters})
    return [event async for event in backend.stream(request)]


def text_of(events: list[ModelEvent], choice: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta) and event.choice == choice)


def tools(*names: str) -> list[dict[str, Any]]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return [{"type": "function", "function": {"name": name, "parameters": parameters}} for name in names]


BOTH = tools("get_weather", "get_time")


@pytest.mark.engine
@pytest.mark.skipif(not is_installed(), reason="THE EMBEDDED ENGINE IS NOT TESTED: llama-cpp-python is not installed")
class TestWithTheEngine:
    async def test_models(self, backend: Embedded, tmp_path: Path) -> None:
        (tmp_path / "broken.gguf").write_bytes(b"GGUF")
        shutil.copy(TINY, tmp_path / "big-00002-of-00002.gguf")
        (info,) = await backend.models()
        assert info.id == MODEL
        assert info.capabilities == {"chat", "completion", "tools"}
        assert (info.parameters, info.quantization, info.context_window) == (869_504, "Q8_0", 1024)
        assert info.loaded is False
        await run(backend, "Hello")
        assert (await backend.models())[0].loaded is True

    @pytest.mark.parametrize(
        ("question", "answer"),
        [
            ("Hello", "Hello! How can I help you?"),
            ("What is 7 + 5?", "7 + 5 = 12"),
            ("6*7", "6 * 7 = 42"),
            ("Repeat: blue river", "blue river"),
        ],
    )
    async def test_answers(self, backend: Embedded, question: str, answer: str) -> None:
        events = await run(backend, question)
        assert text_of(events) == answer
        assert isinstance(events[0], Progress)
        assert events[0].state == "loading"
        assert not any(isinstance(event, Progress) for event in await run(backend, question))

    async def test_it_remembers_the_conversation(self, backend: Embedded) -> None:
        events = await run(backend, "My name is Ann.", "Nice to meet you, Ann!", "What is my name?")
        assert text_of(events) == "Your name is Ann."

    async def test_content_in_parts(self, backend: Embedded) -> None:
        parts = [{"type": "text", "text": "What is 7 + 5?"}]
        request = ModelRequest(
            model=MODEL, messages=[{"role": "user", "content": parts}], parameters={"temperature": 0}
        )
        assert text_of([event async for event in backend.stream(request)]) == "7 + 5 = 12"
        image = ModelRequest(model=MODEL, messages=[{"role": "user", "content": [{"type": "image_url"}]}])
        with pytest.raises(BackendRejected, match="text only"):
            [event async for event in backend.stream(image)]

    async def test_a_tool_call_is_taken_out_of_the_text(self, backend: Embedded) -> None:
        events = await run(backend, "What is the weather in Oslo?", tools=BOTH)
        (call,) = [event for event in events if isinstance(event, ToolCallDelta)]
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
        assert text_of(events) == ""
        assert events[-2] == Finished("tool_calls")

    @pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_time"}}])
    async def test_a_call_can_be_forced(self, backend: Embedded, choice: Any) -> None:
        events = await run(backend, "What is the weather in Oslo?", tools=BOTH, tool_choice=choice, max_tokens=60)
        (call,) = [event for event in events if isinstance(event, ToolCallDelta)]
        assert call.name == ("get_weather" if choice == "required" else "get_time")
        assert set(json.loads(call.arguments)) == {"city"}
        cut = await run(backend, "What is the weather in Oslo?", tools=BOTH, tool_choice=choice, max_tokens=3)
        assert Finished("length") in cut
        assert text_of(cut).startswith("{")

    async def test_no_tools_unless_wanted(self, backend: Embedded) -> None:
        events = await run(backend, "What is the weather in Oslo?", tools=BOTH, tool_choice="none")
        assert text_of(events) == "I have no weather tool."

    async def test_json_by_schema(self, backend: Embedded) -> None:
        schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
        wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
        made = text_of(await run(backend, "JSON: Ann is 31 years old.", response_format=wanted, max_tokens=60))
        assert set(json.loads(made)) == {"age"}
        free = await run(backend, "JSON: Ann is 31 years old.", response_format={"type": "json_object"})
        assert json.loads(text_of(free)) == {"name": "Ann", "age": 31}
        plain = await run(backend, "Hello", response_format={"type": "text"})
        assert text_of(plain) == "Hello! How can I help you?"

    async def test_logprobs(self, backend: Embedded) -> None:
        events = await run(backend, "What is 7 + 5?", logprobs=True, top_logprobs=2)
        entries = [entry for event in events if isinstance(event, TextDelta) for entry in event.logprobs or ()]
        assert "".join(entry["token"] for entry in entries) == "7 + 5 = 12"
        assert all(entry["logprob"] <= 0 for entry in entries)
        assert all(len(entry["top_logprobs"]) == 2 for entry in entries)
        assert entries[0]["top_logprobs"][0]["token"] == "7"
        bare = await run(backend, "What is 7 + 5?", logprobs=True)
        first = next(event for event in bare if isinstance(event, TextDelta))
        assert first.logprobs
        assert first.logprobs[0]["top_logprobs"] == []

    async def test_bias(self, backend: Embedded) -> None:
        entry_of = await run(backend, "What is 7 + 5?", max_tokens=1)
        assert text_of(entry_of) == "7"
        biased = await run(backend, "What is 7 + 5?", max_tokens=1, logit_bias={str(t): -100 for t in range(3, 600)})
        assert text_of(biased) != "7"

    async def test_stop_and_length(self, backend: Embedded) -> None:
        stopped = await run(backend, "What is 7 + 5?", stop=[" = 1", "zzz"])
        assert text_of(stopped) == "7 + 5"
        assert Finished("stop") in stopped
        one = await run(backend, "What is 7 + 5?", stop="5")
        assert text_of(one) == "7 + "
        short = await run(backend, "What is 7 + 5?", max_completion_tokens=2)
        assert text_of(short) == "7 +"
        assert Finished("length") in short

    async def test_a_seed_repeats_itself(self, backend: Embedded) -> None:
        hot = {"temperature": 3.0, "seed": 11, "max_tokens": 20, "top_p": 1, "min_p": 0, "top_k": 400}
        first, second = [text_of(await run(backend, "Hello", **hot)) for _ in range(2)]
        other = text_of(await run(backend, "Hello", **{**hot, "seed": 12}))
        assert first == second
        assert first != other

    async def test_raw_completions(self, backend: Embedded) -> None:
        prompt = "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
        events = await run(backend, prompt=[prompt, prompt])
        assert text_of(events, 0) == text_of(events, 1) == "Hello! How can I help you?"
        assert isinstance(events[-1], TokenUsage)

    async def test_one_after_the_other(self, backend: Embedded) -> None:
        first = backend.stream(ModelRequest(model=MODEL, messages=[{"role": "user", "content": "Tell me a story"}]))
        while not isinstance(await anext(first), TextDelta):
            pass
        waiting = backend.stream(ModelRequest(model=MODEL, messages=[{"role": "user", "content": "Hello"}]))
        queued = await anext(waiting)
        assert isinstance(queued, Progress)
        assert queued.state == "queued"
        await first.aclose()
        assert any([isinstance(event, Finished) async for event in waiting])

    async def test_waiting_can_be_given_up(self, backend: Embedded) -> None:
        first = backend.stream(ModelRequest(model=MODEL, messages=[{"role": "user", "content": "Tell me a story"}]))
        while not isinstance(await anext(first), TextDelta):
            pass
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(run(backend, "Hello"))
            await asyncio.sleep(0)
            waiting.cancel()
        await first.aclose()
        assert text_of(await run(backend, "Hello")) == "Hello! How can I help you?"

    async def test_more_than_it_can_take(self, backend: Embedded) -> None:
        with pytest.raises(BackendRejected) as caught:
            await run(backend, "word " * 2000)
        assert caught.value.code == "context_length_exceeded"
        assert text_of(await run(backend, "Hello")) == "Hello! How can I help you?"

    async def test_a_schema_that_is_none(self, backend: Embedded) -> None:
        wanted = {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}
        with pytest.raises(BackendRejected, match="cannot be enforced"):
            await run(backend, "Hello", response_format=wanted)

    async def test_a_file_that_cannot_be_loaded(self, tmp_path: Path) -> None:
        content = TINY.read_bytes()
        (tmp_path / "cut.gguf").write_bytes(content[: len(content) // 2])
        backend = Embedded(Config(folder=tmp_path), engine=LlamaEngine())
        assert [info.id for info in await backend.models()] == ["cut"]
        with pytest.raises(BackendError, match="cannot be loaded"):
            await run(backend, "Hello", model="cut")
        await backend.aclose()

    async def test_a_template_that_refuses(self, backend: Embedded) -> None:
        request = ModelRequest(model=MODEL, messages=[])
        with pytest.raises(BackendRejected, match="chat template"):
            [event async for event in backend.stream(request)]

    async def test_closing_in_the_middle(self, backend: Embedded) -> None:
        events = backend.stream(ModelRequest(model=MODEL, messages=[{"role": "user", "content": "Tell me a story"}]))
        while not isinstance(await anext(events), TextDelta):
            pass
        await backend.aclose()
        await events.aclose()

    async def test_a_model_without_a_template_only_completes(self, tmp_path: Path) -> None:
        content = TINY.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_templatX")
        (tmp_path / "base.gguf").write_bytes(content)
        backend = Embedded(Config(folder=tmp_path, threads=1), engine=LlamaEngine())
        (info,) = await backend.models()
        assert info.capabilities == {"completion"}
        with pytest.raises(BackendRejected, match="no chat template"):
            await run(backend, "Hello", model="base")
        assert text_of(
            await run(backend, model="base", prompt="<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")
        )
        await backend.aclose()

    async def test_a_parameter_that_makes_no_sense(self, backend: Embedded) -> None:
        with pytest.raises(BackendError, match="engine failed"):
            await run(backend, "Hello", repeat_penalty="much")
        assert text_of(await run(backend, "Hello")) == "Hello! How can I help you?"
