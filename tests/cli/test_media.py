"""`portal image`, `portal media`, and what `portal doctor` says of engines."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from tests.cli.conftest import Installation

from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import png


class ComfyThread:
    """The stand-in in a thread of its own, so that blocking tests can talk to it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        self._ready.wait(timeout=30)

    async def _serve(self) -> None:
        async with ComfyUIServer(models={"ckpt_name": ["sd_xl_base_1.0.safetensors"]}) as self.server:
            self._ready.set()
            await self._ended.wait()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(timeout=30)


@pytest.fixture
def comfy() -> Iterator[ComfyThread]:
    thread = ComfyThread()
    yield thread
    thread.close()


def test_pictures_by_command(installation: Installation, comfy: ComfyThread) -> None:
    installation.data_dir.mkdir(parents=True, exist_ok=True)
    toml = f'[[media.engines]]\nkind = "comfyui"\nurl = "{comfy.server.url}"\n'
    (installation.data_dir / "portal.toml").write_text(toml, encoding="utf-8")
    home = installation.home
    installation.up()

    made = installation.run("image", "a red barn", "--size", "64x48", "--seed", "3", "--out", str(home / "barn.png"))
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(home / "barn.png")
    assert (home / "barn.png").read_bytes() == png(64, 48)
    assert made.stderr.rstrip().endswith("done")
    folder = home / "pictures"
    folder.mkdir()
    two = installation.run("image", "a blue barn", "--count", "2", "--out", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["a-blue-barn-1.png", "a-blue-barn-2.png"], two.stderr
    source = str(home / "barn.png")
    changed = installation.run("image", "a hat", "--from", source, "--out", str(home / "hat.png"))
    assert changed.returncode == 0, changed.stderr
    assert comfy.server.prompts[-1]["sampler"]["inputs"]["denoise"] == 0.65

    assert "WIDTHxHEIGHT" in installation.run("image", "x", "--size", "big").stderr
    assert "cannot be written" in installation.run("image", "x", "--out", str(home / "no" / "x.png")).stderr
    comfy.server.fail(ComfyFault.OUT_OF_MEMORY)
    assert "smaller size" in installation.run("image", "x").stderr
    jobs = [line.split("\t") for line in installation.run("media", "jobs").stdout.splitlines()]
    assert jobs[0][1] == "image"
    assert "ran out of memory" in jobs[0][2]
    assert jobs[-1][2:5] == ["done", "sdxl", "a red barn"]
    assert "nothing to stop" in installation.run("media", "cancel", jobs[0][-1]).stderr
    flows = dict(line.split("\t", 2)[::2] for line in installation.run("media", "workflows").stdout.splitlines())
    assert flows["sdxl"] == "ready"
    assert "flux1-schnell-fp8.safetensors (17.2 GB" in flows["flux-schnell"]

    told = installation.run("doctor").stdout
    assert "ok   Media engine comfyui 0.3.64 answers" in told
    assert "cuda:0 NVIDIA GeForce RTX 3060 with 12 GB" in told
    assert "ok   Pictures: ready with sdxl" in told
    assert "note Videos: not ready. For Wan 2.2 text to video: A model is missing: wan2.2_ti2v_5B" in told
    comfy.run(comfy.server.stop())
    away = installation.run("doctor").stdout
    assert "BAD  Media engine comfyui does not answer" in away
    assert "cannot be reached: Connection refused" in away
    assert "-> Start it at http://127.0.0.1:" in away
    assert "note Pictures, videos and music: not ready. Start ComfyUI" in away


def test_the_doctor_says_what_to_install_where_there_is_nothing(installation: Installation) -> None:
    assert "note Music: nothing makes them here" in installation.run("doctor").stdout
