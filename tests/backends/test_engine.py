"""The embedded engine as the page sees it: the build in the background, and pulls."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from portal.backends.engine import Engine
from portal.backends.engine_install import EngineInstall, needs, problems
from portal.errors import BadRequest, Conflict, NotFound
from portal.settings import Settings

TINY = Path(__file__).parents[1] / "fixtures" / "tinymodel" / "portal-tiny-q8_0.gguf"


class Notices:
    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.models = 0
        self.broken = False
        self._happened = asyncio.Event()

    def change(self, kind: str, what: Any) -> None:
        """Fails once where `broken`."""
        if self.broken:
            self.broken = False
            raise LookupError("nobody there")
        self.seen.append((kind, what))
        self._notify()

    def model(self) -> None:
        self.models += 1
        self._notify()

    def _notify(self) -> None:
        self._happened.set()
        self._happened = asyncio.Event()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await self._happened.wait()


@asynccontextmanager
async def engine(folder: Path, *command: str, **embedded: Any) -> AsyncIterator[tuple[Engine, Notices]]:
    notices = Notices()
    settings = Settings(data_dir=folder, embedded=embedded)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as tasks:
        made = Engine(
            settings=settings,
            tasks=tasks,
            on_change=notices.change,
            on_models=notices.model,
            command=command or None,
        )
        yield made, notices
        made.stop()


@asynccontextmanager
async def files(gate: asyncio.Event | None = None) -> AsyncIterator[str]:
    async def send(request: web.Request) -> web.StreamResponse:
        if "missing" in request.path:
            return web.Response(status=404)
        if "astray" in request.path:
            return web.Response(status=302, headers={"Location": "http://[x"})
        content = TINY.read_bytes()
        response = web.StreamResponse()
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[:1000])
        if gate is not None:
            await gate.wait()
        await response.write(content[1000:])
        return response

    app = web.Application()
    app.router.add_get("/{path:.+}", send)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def pull_state(made: Engine, source: str) -> Any:
    return next((pull for pull in (await made.status())["pulls"] if pull["source"] == source), None)


async def test_nothing_yet(tmp_path: Path) -> None:
    async with engine(tmp_path) as (made, _):
        status = await made.status()
    assert set(status) == {"installed", "building", "needs", "models", "pulls"}
    assert (status["building"], status["models"], status["pulls"]) == (None, [], [])
    assert status["needs"]["minutes"] >= 2
    assert set(status["needs"]) == {"compiler", "cmake", "minutes", "space_mb", "problems"}


async def test_a_pull_from_the_catalog(tmp_path: Path) -> None:
    async with files() as url, engine(tmp_path, catalog=url) as (made, notices):
        begun = await made.pull("owner/repo/tiny.gguf")
        assert begun["state"] == "running"
        await notices.until(lambda: notices.models == 1)
        state = await pull_state(made, "owner/repo/tiny.gguf")
        assert (state["state"], state["done"], state["total"]) == ("done", TINY.stat().st_size, TINY.stat().st_size)
        assert (await made.status())["models"] == [{"name": "tiny", "size": TINY.stat().st_size}]
        assert ("pull.progress", state) in notices.seen
        await made.cancel_pull(state["id"])
        assert await pull_state(made, "owner/repo/tiny.gguf") is None
        with pytest.raises(Conflict):
            await made.pull("owner/repo/tiny.gguf")
        with pytest.raises(NotFound):
            await made.cancel_pull("pull_none")


async def test_a_path_of_this_machine(tmp_path: Path) -> None:
    async with engine(tmp_path, models_dir=tmp_path / "mine") as (made, notices):
        await made.pull(str(TINY))
        await notices.until(lambda: notices.models == 1)
    assert (tmp_path / "mine" / TINY.name).exists()


async def test_a_pull_that_fails_says_why_and_can_be_tried_again(tmp_path: Path) -> None:
    async with files() as url, engine(tmp_path, catalog=url) as (made, notices):
        source = f"{url}/missing.gguf"
        for _ in range(2):
            notices.seen.clear()
            await made.pull(source)
            await notices.until(lambda: any(what["state"] == "failed" for _, what in notices.seen))
            state = await pull_state(made, source)
            assert "404" in state["error"]
        assert len((await made.status())["pulls"]) == 1
        with pytest.raises(BadRequest):
            await made.pull("nonsense")


async def test_a_pull_that_is_led_astray_fails_alone(tmp_path: Path) -> None:
    async with files() as url, engine(tmp_path, catalog=url) as (made, notices):
        source = f"{url}/astray.gguf"
        await made.pull(source)
        await notices.until(lambda: any(what["state"] == "failed" for _, what in notices.seen))
        assert "http://[x" in (await pull_state(made, source))["error"]
        await made.pull("owner/repo/tiny.gguf")
        await notices.until(lambda: notices.models == 2)
        assert (await pull_state(made, "owner/repo/tiny.gguf"))["state"] == "done"


async def test_a_pull_whose_code_fails_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with files() as url, engine(tmp_path, catalog=url) as (made, notices):
        notices.broken = True
        begun = await made.pull("owner/repo/tiny.gguf")
        await notices.until(lambda: notices.seen)
        failed = await pull_state(made, "owner/repo/tiny.gguf")
        assert (failed["id"], failed["state"]) == (begun["id"], "failed")
        assert "nobody there" in failed["error"]
        assert any(record.exc_info for record in caplog.records)
        await made.pull("owner/repo/tiny.gguf")
        await notices.until(lambda: any(what["state"] == "done" for _, what in notices.seen))


async def test_cancelled_and_gone_on(tmp_path: Path) -> None:
    gate = asyncio.Event()
    source = "owner/repo/tiny.gguf"
    async with files(gate) as url, engine(tmp_path, catalog=url) as (made, notices):
        begun = await made.pull(source)
        await notices.until(lambda: any(what["total"] for _, what in notices.seen))
        with pytest.raises(Conflict):
            await made.pull(source)
        await made.cancel_pull(begun["id"])
        assert (await pull_state(made, source))["state"] == "cancelled"
        gate.set()
        await made.pull(source)
        await notices.until(lambda: notices.models == 1)
        assert (await pull_state(made, source))["state"] == "done"


async def test_a_pull_that_a_restart_interrupted_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a.gguf.part").write_bytes(b"GGUF")
    (folder / "a.gguf.part.json").write_text('{"source": "owner/repo/a.gguf", "total": 9}', encoding="utf-8")
    (folder / "b.gguf.part.json").write_text("{", encoding="utf-8")
    (folder / "c.gguf.part.json").write_text('{"source": "x"}', encoding="utf-8")
    for name, note in (("d", "[1]"), ("e", '{"source": ["x"]}')):
        (folder / f"{name}.gguf.part").write_bytes(b"GGUF")
        (folder / f"{name}.gguf.part.json").write_text(note, encoding="utf-8")
    async with engine(tmp_path) as (made, _):
        (pull,) = (await made.status())["pulls"]
    assert (pull["source"], pull["state"], pull["done"], pull["total"]) == ("owner/repo/a.gguf", "interrupted", 4, 9)


# Building


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", text)


async def test_a_build_shows_its_progress(tmp_path: Path) -> None:
    go = tmp_path / "go"
    text = (
        "import pathlib, time\n"
        "print('[1/4] Building CXX object a.o')\n"
        "print('no newline for long ' + 'x' * 3_000_000)\n"
        f"go = pathlib.Path({str(go)!r})\n"
        "while not go.exists(): time.sleep(0.01)\n"
        "print('[ 75%] Built target llama')\n"
    )
    async with engine(tmp_path, *script(text)) as (made, notices):
        await made.install()
        await notices.until(lambda: any(what["progress"] == 0.25 for _, what in notices.seen))
        with pytest.raises(Conflict):
            await made.install()
        go.touch()
        await notices.until(lambda: notices.models == 1)
        building = (await made.status())["building"]
    assert (building["state"], building["progress"]) == ("done", 1.0)
    assert "[ 75%] Built target llama" in building["log_tail"]
    assert max(map(len, building["log_tail"])) <= 500


async def test_a_build_that_fails_says_so_and_can_be_tried_again(tmp_path: Path) -> None:
    async with engine(tmp_path, *script("print('error: no space'); raise SystemExit(3)")) as (made, notices):
        for count in (1, 2):
            await made.install()
            await notices.until(lambda count=count: notices.models == count)
            building = (await made.status())["building"]
            assert building["state"] == "failed"
            assert building["log_tail"] == ["error: no space", "The build ended with code 3."]


@pytest.mark.parametrize("program", ["/no/such/program", "no\0program"])
async def test_a_build_that_cannot_begin(tmp_path: Path, program: str) -> None:
    async with engine(tmp_path, program) as (made, notices):
        await made.install()
        await notices.until(lambda: notices.models == 1)
        assert "could not be started" in (await made.status())["building"]["log_tail"][0]


async def test_a_build_whose_code_fails_fails_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with engine(tmp_path, *script("print('begun')")) as (made, notices):
        notices.broken = True
        await made.install()
        await notices.until(lambda: notices.models == 1)
        building = (await made.status())["building"]
        assert building["state"] == "failed"
        assert "nobody there" in building["log_tail"][-1]
        assert any(record.exc_info for record in caplog.records)
        await made.install()
        await notices.until(lambda: notices.models == 2)
        assert (await made.status())["building"]["state"] == "done"


CHILD = """
import socket, subprocess, sys, time
if len(sys.argv) > 1:
    held = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
else:
    subprocess.Popen([sys.executable, "-c", open(%r).read(), "%d"])
time.sleep(600)
"""


async def test_stopping_stops_the_compiler(tmp_path: Path) -> None:
    """With the processes that it started: the connection that one of them holds is closed."""
    connected, closed = asyncio.Event(), asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        writer.close()
        closed.set()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        file = tmp_path / "child.py"
        file.write_text(CHILD % (str(file), server.sockets[0].getsockname()[1]), encoding="utf-8")
        async with engine(tmp_path, sys.executable, str(file)) as (made, _):
            await made.install()
            await connected.wait()
        await closed.wait()


def test_what_a_build_needs(tmp_path: Path) -> None:
    everything = needs(which=lambda name: f"/usr/bin/{name}", site=tmp_path)
    assert everything.compiler == "/usr/bin/c++"
    assert everything.cmake == "/usr/bin/cmake"
    nothing = needs(which=lambda name: None, site=tmp_path)
    assert (nothing.compiler, nothing.cmake) == (None, None)
    assert any("no C++ compiler" in problem for problem in nothing.problems)


def test_what_stands_in_the_way_is_said(tmp_path: Path) -> None:
    fine = {"compiler": True, "free_mb": 10**6, "writable": True, "installer": True}
    assert problems(**fine, site=tmp_path) == ()
    for name, value, words in [
        ("compiler", False, "apt install g++"),
        ("free_mb", 10, "The disk has 10 MB left"),
        ("writable", False, "cannot be written to"),
        ("installer", False, "neither uv nor pip"),
    ]:
        (problem,) = problems(**{**fine, name: value}, site=tmp_path)  # type: ignore[arg-type]
        assert words in problem


def test_a_build_is_claimed_once() -> None:
    install = EngineInstall(command=["true"])
    assert install.view() is None
    assert install.prepare() == ["true"]
    assert install.view() == {"state": "running", "progress": 0.0, "log_tail": []}
    with pytest.raises(Conflict):
        install.prepare()


def test_the_installer_is_the_environments_own() -> None:
    """Where a compiler, room and an installer are; else the message says which is missing."""
    install = EngineInstall()
    if needs().problems:
        with pytest.raises(BadRequest):
            install.prepare()
    else:
        command = install.prepare()
        assert command[-1].startswith("llama-cpp-python")
        assert sys.executable in command
