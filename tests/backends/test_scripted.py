"""The scripted backend is strict."""

import asyncio
from pathlib import Path

import pytest

from portal.backends.kinds import BUILT_IN, create_backend
from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import Finished, ModelEvent, ModelRequest, TextDelta, TokenUsage, ToolCallDelta
from portal.errors import BackendError, BackendTimeout, BackendUnavailable, SettingsError
from portal.settings import Settings

ASK = ModelRequest(model="scripted", messages=[{"role": "user", "content": "one two"}])


async def run(backend: ScriptedBackend, request: ModelRequest = ASK) -> list[ModelEvent]:
    return [event async for event in backend.stream(request)]


async def test_answers_in_order_and_remembers() -> None:
    backend = ScriptedBackend()
    backend.answer("a", "b")
    backend.script(TextDelta("c"), Finished("length"), TokenUsage(1, 2))
    assert await run(backend) == [TextDelta("a"), TextDelta("b"), Finished("stop"), TokenUsage(6, 2)]
    assert await run(backend) == [TextDelta("c"), Finished("length"), TokenUsage(1, 2)]
    assert backend.requests == [ASK, ASK]
    with pytest.raises(BackendError, match="no answer left"):
        await run(backend)


async def test_tool_calls_end_so() -> None:
    backend = ScriptedBackend()
    backend.script(ToolCallDelta(0, "c", "f", "{}"))
    assert Finished("tool_calls") in await run(backend)


async def test_failures_and_counts() -> None:
    backend = ScriptedBackend()
    backend.script(TextDelta("a"), BackendTimeout("slow"))
    with pytest.raises(BackendTimeout):
        await run(backend)
    assert (backend.running, backend.cancelled) == (0, 0)
    backend.script(asyncio.Event())
    async with asyncio.TaskGroup() as group:
        reader = group.create_task(run(backend))
        await backend.wait_running(1)
        reader.cancel()
    assert (backend.running, backend.cancelled) == (0, 1)
    backend.failure = BackendUnavailable("gone")
    for call in (backend.models(), backend.embed("m", ["x"])):
        with pytest.raises(BackendUnavailable):
            await call


def test_only_steps_are_taken() -> None:
    with pytest.raises(TypeError):
        ScriptedBackend().script("text")  # type: ignore[arg-type]


async def test_echo() -> None:
    parts = [{"type": "text", "text": "a b"}, {"type": "image_url"}]
    for request, text in (
        (ASK, "one two"),
        (ModelRequest(model="m", messages=[{"role": "user", "content": parts}]), "a b"),
        (ModelRequest(model="m", prompt="x y"), "x y"),
        (ModelRequest(model="m", prompt=["x", " y"]), "x y"),
    ):
        assert "".join(step.text for step in echo(request) if isinstance(step, TextDelta)) == text


@pytest.mark.parametrize("kind", BUILT_IN)
async def test_every_kind_is_a_module(kind: str) -> None:
    backend = create_backend(kind=kind, url="http://127.0.0.1:1", name="n", settings=Settings(), api_key="k")
    assert (backend.kind, backend.name) == (kind, "n")
    await backend.aclose()


async def test_an_unknown_kind_names_those_there_are() -> None:
    with pytest.raises(SettingsError, match="ollama, openai_compatible"):
        create_backend(kind="nonsense", settings=Settings())
    with pytest.raises(SettingsError):
        create_backend(kind="http", settings=Settings())


async def test_the_demo_echoes() -> None:
    backend = create_backend(kind="scripted", settings=Settings())
    (info,) = await backend.models()
    request = ModelRequest(model=info.id, messages=[{"role": "user", "content": "hello"}])
    assert TextDelta("hello") in [event async for event in backend.stream(request)]


async def test_a_kind_from_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "portal_extra-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: portal-extra\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[portal.backends]\nextra = portal_extra:create\n", encoding="utf-8")
    source = (
        "from portal.backends.scripted import ScriptedBackend\n"
        "def create(server, settings):\n    return ScriptedBackend(name=server.name)\n"
    )
    (tmp_path / "portal_extra.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert create_backend(kind="extra", name="mine", settings=Settings()).name == "mine"
    with pytest.raises(SettingsError, match="extra"):
        create_backend(kind="nonsense", settings=Settings())
