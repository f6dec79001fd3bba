"""The registry, over scripted backends and real sockets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from portal.backends.ollama import Config, Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import ModelInfo, ModelRequest, TextDelta
from portal.core.ports import Embedding, Forwarding
from portal.core.records import UsageRecord
from portal.errors import (
    BackendError,
    BackendProtocolError,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    Conflict,
    ModelNotFound,
    NotFound,
)
from portal.routing.discovery import is_away
from portal.routing.registry import Registry
from portal.settings import Settings
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer

ASK = [{"role": "user", "content": "hi"}]


def settings(**more: Any) -> Settings:
    discovery = {"interval": 0.02, "timeout": 0.2, **more.pop("discovery", {})}
    return Settings(discovery=discovery, **more)


class Changes:
    """Counts calls, and lets a test wait for something to become true."""

    def __init__(self) -> None:
        self.count = 0
        self._happened = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._happened.set()
        self._happened = asyncio.Event()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self._happened.wait()


class Hanging(ScriptedBackend):
    """Its list never comes while `hangs`."""

    hangs = True
    asked = 0

    async def models(self) -> Sequence[ModelInfo]:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return await super().models()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def registry(changes: Changes) -> AsyncIterator[Registry]:
    made = Registry(settings=settings(), on_change=changes)
    yield made
    await made.aclose()


def ids(registry: Registry) -> list[str]:
    return [info.id for info in registry.list()]


def state(registry: Registry, name: str) -> tuple[str, str | None]:
    return next((status.status, status.error) for status in registry.status() if status.name == name)


async def test_nothing_there_is_a_case_of_its_own(registry: Registry) -> None:
    await registry.refresh()
    assert registry.list() == []
    with pytest.raises(ModelNotFound):
        registry.find("x")


async def test_models_of_all_backends_in_order(registry: Registry, changes: Changes) -> None:
    first, second = ScriptedBackend(name="one", models=["b", "a"]), ScriptedBackend(name="two", models=["c"])
    registry.add(first, source="settings")
    registry.add(second)
    assert [status.status for status in registry.status()] == ["waiting", "waiting"]
    await registry.refresh()
    assert ids(registry) == ["b", "a", "c"]
    assert registry.find("c")[0] is second
    assert [(status.models, status.source) for status in registry.status()] == [(2, "settings"), (1, "page")]
    count = changes.count
    await registry.refresh()
    assert changes.count == count


async def test_a_name_is_taken_once(registry: Registry) -> None:
    registry.add(ScriptedBackend(name="one"))
    with pytest.raises(Conflict):
        registry.add(ScriptedBackend(name="one"))
    assert registry.free_name("one") == "one-2"
    assert registry.free_name("two") == "two"


async def test_removing_closes_and_forgets(registry: Registry) -> None:
    backend = ScriptedBackend(name="one", models=["a"])
    registry.add(backend)
    await registry.refresh()
    await registry.remove("one")
    assert backend.closed
    assert registry.list() == []
    with pytest.raises(NotFound):
        await registry.remove("one")
    registry.hurry("one")


async def test_one_id_on_two_backends(registry: Registry) -> None:
    first = ScriptedBackend(name="one", models=["a"], default=echo)
    second = ScriptedBackend(name="two", models=["a"], default=echo)
    registry.add(first)
    registry.add(second)
    await registry.refresh()
    assert ids(registry) == ["a", "two/a"]
    backend, info = registry.find("two/a")
    assert (backend.name, info.backend) == ("two", "two")
    events = [event async for event in backend.stream(ModelRequest(model=info.id, messages=ASK))]
    assert TextDelta("hi") in events
    assert second.requests[0].model == "a"
    assert first.requests == []
    assert isinstance(backend, Embedding)
    await backend.embed(info.id, ["x"])
    assert second.embedded == [("x",)]
    assert not isinstance(backend, Forwarding)
    assert [found.id for found in await backend.models()] == ["a"]
    await backend.aclose()
    assert not second.closed


async def test_the_backend_may_always_be_named(registry: Registry) -> None:
    registry.add(ScriptedBackend(name="one", models=["org/a"], default=echo))
    await registry.refresh()
    backend, info = registry.find("one/org/a")
    assert info.id == "one/org/a"
    assert [event async for event in backend.stream(ModelRequest(model=info.id, messages=ASK))]


async def test_a_renamed_model_that_cannot_embed(registry: Registry) -> None:
    class Mute:
        name, kind, url = "mute", "mute", ""

        async def models(self) -> Sequence[ModelInfo]:
            return [ModelInfo(id="a", backend="mute")]

        def stream(self, request: ModelRequest) -> Any:
            raise NotImplementedError

        async def aclose(self) -> None:
            return None

    registry.add(Mute())
    await registry.refresh()
    backend, _ = registry.find("mute/a")
    assert isinstance(backend, Embedding)
    with pytest.raises(BadRequest):
        await backend.embed("mute/a", ["x"])


async def test_the_tag_latest_may_be_left_out(registry: Registry) -> None:
    registry.add(ScriptedBackend(name="one", models=["llama3:latest"]))
    await registry.refresh()
    assert registry.find("llama3")[1].id == "llama3:latest"


@pytest.mark.parametrize(
    ("asked", "nearest"), [("qwen3:9b", "qwen3:8b"), ("QWEN3:8B", "qwen3:8b"), ("qwen3", "qwen3:8b")]
)
async def test_an_unknown_model_names_the_nearest(registry: Registry, asked: str, nearest: str) -> None:
    registry.add(ScriptedBackend(models=["qwen3:8b", "something-else"]))
    await registry.refresh()
    with pytest.raises(ModelNotFound) as caught:
        registry.find(asked)
    assert nearest in caught.value.nearest
    assert nearest in caught.value.message
    with pytest.raises(ModelNotFound) as far:
        registry.find("zzzz")
    assert far.value.nearest == ()


async def test_a_server_listing_a_model_twice_has_it_once(registry: Registry) -> None:
    registry.add(ScriptedBackend(models=["a", "b", "a"]))
    await registry.refresh()
    assert ids(registry) == ["a", "b"]


async def test_one_that_hangs_holds_up_nobody(registry: Registry) -> None:
    registry.add(Hanging(name="stuck"))
    registry.add(ScriptedBackend(name="fine", models=["a"]))
    await registry.refresh()
    assert ids(registry) == ["a"]
    status, error = state(registry, "stuck")
    assert status == "down"
    assert error is not None
    assert "0.2 seconds" in error


async def test_one_that_talks_nonsense_is_down(registry: Registry) -> None:
    backend = ScriptedBackend(name="odd", models=["a"])
    backend.failure = BackendProtocolError("a web page")
    registry.add(backend)
    await registry.refresh()
    assert registry.list() == []
    assert state(registry, "odd") == ("down", "a web page")


async def test_a_candidate_that_is_not_there_waits(registry: Registry) -> None:
    backend = ScriptedBackend(name="maybe", models=["a"])
    backend.failure = BackendUnavailable("refused")
    registry.add(backend, source="found")
    await registry.refresh()
    assert state(registry, "maybe") == ("waiting", "refused")
    backend.failure = None
    await registry.refresh()
    assert state(registry, "maybe") == ("up", None)
    backend.failure = BackendUnavailable("refused")
    await registry.refresh()
    assert state(registry, "maybe") == ("down", "refused")


async def test_a_busy_server_keeps_its_models_for_a_while(registry: Registry) -> None:
    backend = ScriptedBackend(name="busy", models=["a"])
    registry.add(backend)
    await registry.refresh()
    backend.failure = BackendTimeout("late")
    for expected in (("waiting", "late"), ("waiting", "late"), ("down", "late")):
        await registry.refresh()
        assert state(registry, "busy") == expected
    assert registry.list() == []


async def test_a_server_that_refuses_loses_its_models_at_once(registry: Registry) -> None:
    backend = ScriptedBackend(name="gone", models=["a"])
    registry.add(backend)
    await registry.refresh()
    backend.failure = BackendUnavailable("refused")
    await registry.refresh()
    assert registry.list() == []


async def test_the_loop_sees_servers_come_and_go(registry: Registry, changes: Changes) -> None:
    async with OllamaServer(models=[OllamaModel(name="tiny:latest")]) as server:
        registry.add(Ollama(Config(url=server.url)), source="settings")
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(registry.run())
            await changes.until(lambda: ids(registry) == ["tiny:latest"])
            server.models["new:7b"] = OllamaModel(name="new:7b")
            await changes.until(lambda: ids(registry) == ["tiny:latest", "new:7b"])
            server.loaded["new:7b"] = 4096
            await changes.until(lambda: registry.find("new:7b")[1].loaded)
            await server.stop()
            await changes.until(lambda: not ids(registry))
            await server.start()
            await changes.until(lambda: len(ids(registry)) == 2)
            registry.add(ScriptedBackend(name="later", models=["later"]))
            await changes.until(lambda: "later" in ids(registry))
            loop.cancel()


async def test_at_once_on_demand(changes: Changes) -> None:
    registry = Registry(settings=settings(discovery={"interval": 1000}), on_change=changes)
    backend = ScriptedBackend(name="one", models=["a"])
    registry.add(backend)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await changes.until(lambda: ids(registry) == ["a"])
        backend.set_models(["a", "b"])
        registry.hurry("one")
        await changes.until(lambda: ids(registry) == ["a", "b"])
        backend.set_models(["c"])
        await registry.refresh()
        assert ids(registry) == ["c"]
        loop.cancel()
    await registry.aclose()
    assert backend.closed


async def test_what_was_never_there_is_asked_less_and_less(changes: Changes) -> None:
    registry = Registry(settings=settings(), on_change=changes)
    missing, there = Counting(name="missing"), Counting(name="there")
    missing.failure = BackendUnavailable("refused")
    registry.add(missing, source="found")
    registry.add(there, source="found")
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await there.asked_times(60)
        loop.cancel()
    assert 1 < missing.asked < 20


class Counting(ScriptedBackend):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.asked = 0
        self.happened = asyncio.Event()

    async def models(self) -> Sequence[ModelInfo]:
        self.asked += 1
        self.happened.set()
        self.happened = asyncio.Event()
        return await super().models()

    async def asked_times(self, count: int) -> None:
        while self.asked < count:
            await self.happened.wait()


class Odd(ScriptedBackend):
    """Fails in a way that no backend should, or lists what is no model."""

    listing: Any = None

    async def models(self) -> Sequence[ModelInfo]:
        if isinstance(self.listing, Exception):
            raise self.listing
        return self.listing  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "listing",
    [None, 7, [None], ["name"], TypeError("unhashable type: 'list'"), ExceptionGroup("both", [KeyError("x")])],
)
async def test_one_whose_code_fails_is_down_and_ends_nothing_else(
    registry: Registry, changes: Changes, caplog: pytest.LogCaptureFixture, listing: Any
) -> None:
    odd = Odd(name="odd", models=[])
    odd.listing = listing
    registry.add(odd)
    registry.add(ScriptedBackend(name="good", models=["good"]))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(registry.run())
        await changes.until(lambda: state(registry, "odd")[0] == "down" and ids(registry) == ["good"])
        assert "odd" in str(state(registry, "odd")[1])
        assert any(record.exc_info and "odd" in record.message for record in caplog.records)
        odd.listing = []
        await changes.until(lambda: state(registry, "odd") == ("up", None))
        asking.cancel()


# ------------------------------------------------------------------ what calls tell


def call(model: str, status: str = "completed", **more: Any) -> UsageRecord:
    told = {"output_tokens": 100, "milliseconds": 3000, "first_milliseconds": 1000, **more}
    return UsageRecord(
        id="call_1",
        owner="o",
        door="chat",
        model=model,
        backend=told.pop("backend", "one"),
        created_at=0,
        input_tokens=1,
        estimated=False,
        status=status,
        **told,
    )


def seen(registry: Registry, model: str) -> tuple[float | None, float | None]:
    info = registry.find(model)[1]
    return info.pace, info.first_token


async def test_the_speed_of_a_model_is_that_of_its_last_calls(registry: Registry, changes: Changes) -> None:
    registry.add(ScriptedBackend(name="one", models=["a"]))
    registry.add(ScriptedBackend(name="two", models=["a"]))
    await registry.refresh()
    count = changes.count
    assert seen(registry, "a") == (None, None)
    registry.called(call("a"))
    assert seen(registry, "a") == (50.0, 1.0)
    registry.called(call("a", milliseconds=2000, first_milliseconds=1000))
    assert seen(registry, "a") == (62.5, 1.0)
    registry.called(call("two/a", backend="two", first_milliseconds=2000))
    assert seen(registry, "two/a") == (100.0, 2.0)
    assert seen(registry, "a") == (62.5, 1.0)
    assert changes.count == count
    await registry.refresh()
    assert seen(registry, "a") == (62.5, 1.0)
    assert registry.find("two/a")[1].pace == 100.0


@pytest.mark.parametrize(
    "odd",
    [
        call("a", status="failed"),
        call("a", status="cancelled"),
        call("a", first_milliseconds=None),
        call("a", output_tokens=7),
        call("a", first_milliseconds=3000),
        call("gone"),
        call("a", backend="gone"),
    ],
)
async def test_what_tells_nothing_about_speed(registry: Registry, odd: UsageRecord) -> None:
    registry.add(ScriptedBackend(name="one", models=["a"]))
    await registry.refresh()
    registry.called(odd)
    assert seen(registry, "a") == (None, None)


async def test_the_wait_for_a_model_that_had_to_be_loaded_is_not_its_own(registry: Registry) -> None:
    backend = ScriptedBackend(name="one", models=[ModelInfo(id="a", backend="one", loaded=False)])
    registry.add(backend)
    await registry.refresh()
    registry.called(call("a", milliseconds=32000, first_milliseconds=30000))
    assert seen(registry, "a") == (50.0, None)
    backend.set_models([ModelInfo(id="a", backend="one", loaded=True)])
    await registry.refresh()
    registry.called(call("a"))
    assert seen(registry, "a") == (50.0, 1.0)
    backend.set_models([ModelInfo(id="a", backend="one", loaded=False)])
    await registry.refresh()
    registry.called(call("a", milliseconds=32000, first_milliseconds=30000))
    assert seen(registry, "a") == (50.0, 1.0)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("up", "down", call("a", status="failed")),
        ("down", "up", call("a")),
    ],
)
async def test_a_call_that_surprises_brings_the_next_look_forward(
    changes: Changes, before: str, after: str, told: UsageRecord
) -> None:
    registry = Registry(settings=settings(discovery={"interval": 1000}), on_change=changes)
    backend = ScriptedBackend(name="one", models=["a"])
    failure = BackendUnavailable("refused")
    backend.failure = failure if before == "down" else None
    registry.add(backend)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await changes.until(lambda: state(registry, "one")[0] == before)
        backend.failure = failure if after == "down" else None
        registry.called(told)
        await changes.until(lambda: state(registry, "one")[0] == after)
        loop.cancel()


async def test_a_call_that_loaded_a_model_is_looked_at(changes: Changes) -> None:
    registry = Registry(settings=settings(discovery={"interval": 1000}), on_change=changes)
    async with OllamaServer(models=[OllamaModel(name="tiny:latest")]) as server:
        registry.add(Ollama(Config(url=server.url, name="one")))
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(registry.run())
            await changes.until(lambda: ids(registry) == ["tiny:latest"])
            assert registry.find("tiny")[1].loaded is False
            server.loaded["tiny:latest"] = 4096
            registry.called(call("tiny:latest"))
            await changes.until(lambda: registry.find("tiny")[1].loaded)
            loop.cancel()
        await registry.aclose()


async def test_asking_for_what_is_not_there_looks_at_servers_that_are_away(changes: Changes) -> None:
    registry = Registry(settings=settings(discovery={"interval": 1000}), on_change=changes)
    backend = ScriptedBackend(name="one", models=["a"])
    backend.failure = BackendUnavailable("refused")
    registry.add(backend)
    registry.add(ScriptedBackend(name="there", models=["b"]))
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await changes.until(lambda: state(registry, "one")[0] == "down")
        backend.failure = None
        with pytest.raises(ModelNotFound):
            registry.find("a")
        await changes.until(lambda: "a" in ids(registry))
        loop.cancel()


async def test_many_failing_calls_ask_the_server_seldom(changes: Changes) -> None:
    registry = Registry(settings=settings(discovery={"interval": 1000}), on_change=changes)
    backend, other = Counting(name="one", models=["a"]), ScriptedBackend(name="other", models=["b"])
    registry.add(backend)
    registry.add(other)
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await changes.until(lambda: len(ids(registry)) == 2)
        for number in range(50):
            registry.called(call("a", status="failed"))
            other.set_models([f"b{number}"])
            registry.hurry("other")
            await changes.until(lambda number=number: f"b{number}" in ids(registry))
        loop.cancel()
    assert backend.asked < 25


async def test_any_server_that_is_away_is_asked_less_and_less(changes: Changes) -> None:
    registry = Registry(settings=settings(), on_change=changes)
    gone, there = Counting(name="gone", models=["a"]), Counting(name="there")
    registry.add(gone, source="settings")
    registry.add(there, source="settings")
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(registry.run())
        await gone.asked_times(3)
        gone.failure = BackendUnavailable("refused")
        await there.asked_times(80)
        loop.cancel()
    assert 3 < gone.asked < 20
    gone.failure = None
    await registry.refresh()
    assert state(registry, "gone") == ("up", None)


# ------------------------------------------------------------------ servers that lie, rename and come back


async def test_every_change_is_told_once_and_nothing_else(registry: Registry, changes: Changes) -> None:
    async with OllamaServer(models=[OllamaModel(name="a:1b"), OllamaModel(name="b:2b")]) as server:
        registry.add(Ollama(Config(url=server.url, listing_timeout=60)))

        async def told(count: int) -> None:
            before = changes.count
            for _ in range(3):
                await registry.refresh()
            assert changes.count == before + count

        await told(1)
        server.loaded["a:1b"] = 4096
        await told(1)
        del server.loaded["a:1b"]
        await told(1)
        server.models["c:1b"] = OllamaModel(name="c:1b")
        del server.models["a:1b"]
        await told(1)
        assert ids(registry) == ["b:2b", "c:1b"]
        with pytest.raises(ModelNotFound) as caught:
            registry.find("a:1b")
        assert caught.value.nearest
        server.models["a:1b"] = OllamaModel(name="a:1b", context_length=16384, capabilities=("completion", "vision"))
        await told(1)
        back = registry.find("a:1b")[1]
        assert (back.context_window, "vision" in back.capabilities) == (16384, True)
        await told(0)


async def test_a_server_that_comes_back_with_other_models(registry: Registry) -> None:
    async with OllamaServer(models=[OllamaModel(name="old:1b")]) as server:
        registry.add(Ollama(Config(url=server.url)))
        await registry.refresh()
        await server.stop()
        await registry.refresh()
        assert ids(registry) == []
        server.models = {"new:1b": OllamaModel(name="new:1b")}
        await server.start()
        await registry.refresh()
        assert ids(registry) == ["new:1b"]


async def test_a_model_that_is_listed_but_not_there(registry: Registry) -> None:
    async with OllamaServer(models=[OllamaModel(name="lie:1b")]) as server:
        registry.add(Ollama(Config(url=server.url)))
        await registry.refresh()
        backend, info = registry.find("lie:1b")
        server.models = {}
        with pytest.raises(BackendError, match="lie:1b"):
            async for _ in backend.stream(ModelRequest(model=info.id, messages=ASK)):
                pass
        registry.called(call("lie:1b", status="failed", backend="ollama"))
        await registry.refresh()
        assert ids(registry) == []


async def test_what_a_server_does_not_say_is_known_of_the_family(registry: Registry) -> None:
    old = OllamaModel(name="qwen2.5vl:7b", capabilities=None, family="qwen25vl")
    async with OllamaServer(models=[old]) as server, OpenAIServer(models=["qwen3-30b-a3b"]) as other:
        registry.add(Ollama(Config(url=server.url)))
        registry.add(OpenAICompatible(OpenAIConfig(url=other.url, name="other")))
        await registry.refresh()
    sees, thinks = registry.list()
    assert "vision" in sees.capabilities
    assert thinks.capabilities >= {"chat", "tools", "thinking"}
    assert (thinks.active, thinks.parameters) == (3_000_000_000, 30_000_000_000)


async def test_a_service_on_the_internet_is_one_in_the_cloud() -> None:
    registry = Registry(settings=settings())
    for name, url in (("here", "http://192.168.1.5:11434"), ("away", "https://api.openrouter.ai/v1")):
        backend = ScriptedBackend(name=name, models=[f"{name}-model"])
        backend.url = url
        registry.add(backend)
    await registry.refresh()
    assert {info.id: info.paid for info in registry.list()} == {"here-model": False, "away-model": True}


@pytest.mark.parametrize(
    ("url", "away"),
    [
        ("", False),
        ("http://localhost:1", False),
        ("http://127.0.0.1:1", False),
        ("http://[::1]:1", False),
        ("http://10.0.0.7", False),
        ("http://big-box:8000", False),
        ("http://nas.local:8000", False),
        ("https://8.8.8.8/v1", True),
        ("https://api.example.com/v1", True),
    ],
)
def test_what_is_away(url: str, away: bool) -> None:
    assert is_away(url) is away
