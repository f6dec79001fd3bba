"""Everything that can go wrong with pictures, videos and music, by name: what is said of it, and that it is still so
after a restart of Portal. (What an engine's own faults look like in the middle of a job, test_jobs.py tells.)"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.media.conftest import MODELS
from tests.media.test_jobs import HUGE, Api, Hostile

from portal.testing.comfyui_jobs import Painter
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import png
from portal.testing.portal import open_test_portal

SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
HTML_AS_PNG = png()[:8] + b"<html><script>alert(1)</script></html>" * 9
WIDE = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 10**6, "height": 64, "batch_size": 1, "color": 0}},
    "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
}


@dataclass
class World:
    """A Portal with a ComfyUI, and what a case does to the two."""

    api: Api
    comfy: ComfyUIServer
    workflows: Path


async def engine_away(world: World) -> str:
    world.comfy.hold()
    job = await world.api.order()
    await world.comfy.wait_running()
    await world.comfy.stop()
    return job


async def wrong_workflow(world: World) -> str:
    (world.workflows / "wide.json").write_text(json.dumps(WIDE), encoding="utf-8")
    return await world.api.order(workflow="wide")


async def missing_model(world: World) -> str:
    """Deleted since Portal looked at what there is."""
    await world.api.call("GET", "/workflows")
    world.comfy.remove("ckpt_name", *MODELS["ckpt_name"])
    return await world.api.order(workflow="sdxl")


async def out_of_memory(world: World) -> str:
    world.comfy.fail(ComfyFault.OUT_OF_MEMORY)
    return await world.api.order()


async def cancelled_job(world: World) -> str:
    world.comfy.hold()
    job = await world.api.order()
    await world.comfy.wait_running()
    await world.api.call("POST", f"/jobs/{job}/cancel")
    return job


async def ordered(world: World) -> str:
    return await world.api.order()


@dataclass(frozen=True)
class Case:
    """What is done, and what is to be read of it afterwards."""

    do: Callable[[World], Awaitable[str]]
    code: str
    words: Sequence[str]
    status: str = "failed"
    painted: bytes | None = None
    quota: int = 0


CASES: Mapping[str, Case] = {
    "engine_away": Case(engine_away, "engine_unavailable", ["ComfyUI at http://127.0.0.1", "cannot be reached"]),
    "wrong_workflow": Case(wrong_workflow, "workflow_refused", ["width", "bigger than max"]),
    "missing_model": Case(missing_model, "model_missing", ["sd_xl_base_1.0.safetensors (", "huggingface.co"]),
    "out_of_memory": Case(out_of_memory, "out_of_memory", ["memory", "smaller size"]),
    "cancelled_job": Case(cancelled_job, "", [], status="cancelled"),
    "disk_quota_reached": Case(ordered, "file_quota_reached", ["100 bytes"], quota=100),
    "corrupt_media": Case(ordered, "damaged", ["damaged"], painted=png()[:60]),
    "svg_with_scripts": Case(ordered, "unknown_format", ["no picture"], painted=SVG),
    "polyglot": Case(ordered, "damaged", ["damaged"], painted=HTML_AS_PNG),
    "picture_bomb": Case(ordered, "too_many_pixels", ["50000 x 50000"], painted=HUGE),
}


@asynccontextmanager
async def world(folder: Path, comfy: ComfyUIServer, quota: int) -> AsyncIterator[World]:
    (flows := folder / "workflows").mkdir(parents=True, exist_ok=True)
    engines = [{"kind": "comfyui", "url": comfy.url}]
    settings = {"media": {"engines": engines, "patience": 1}, "files": {"quota": quota}}
    async with open_test_portal(folder, settings=settings) as portal, Api(portal) as api:
        yield World(api=api, comfy=comfy, workflows=flows)


@pytest.mark.parametrize("name", CASES)
async def test_each_fault_is_told_and_kept_over_a_restart(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    painter = Painter() if case.painted is None else Hostile(case.painted)
    models = {kind: list(files) for kind, files in MODELS.items()}
    async with ComfyUIServer(models=models, painter=painter) as comfy:
        async with world(tmp_path, comfy, case.quota) as first:
            job = await case.do(first)
            ended = await first.api.ended(job)
            assert (ended["status"], ended["code"] or "", ended["files"]) == (case.status, case.code, []), ended
            assert all(one in ended["error"] for one in case.words), ended["error"]
            sent = len(comfy.prompts)
        async with world(tmp_path, comfy, case.quota) as second:
            again = await second.api.call("GET", f"/jobs/{job}")
            kept = ("status", "code", "error", "files", "values", "workflow")
            assert {one: again[one] for one in kept} == {one: ended[one] for one in kept}
            assert len(comfy.prompts) == sent  # what has ended is not begun again
