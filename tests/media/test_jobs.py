"""Jobs through the product's own doors: their progress, their faults, their way over a restart."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.media.conftest import MODELS, audio_nodes, studio_at

from portal.core.ids import new_id
from portal.core.media import MediaJob, MediaJobs
from portal.errors import StorageUnavailable
from portal.storage.database import Statement
from portal.testing.comfyui_jobs import Painter
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import flac, mp4, png
from portal.testing.portal import TestPortal, open_test_portal


class Api:
    def __init__(self, portal: TestPortal) -> None:
        self._client = httpx.AsyncClient(base_url=f"{portal.url}", headers=portal.headers, timeout=30)

    async def __aenter__(self) -> "Api":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.aclose()

    async def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self._client.request(method, f"/portal/v1/media{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def order(self, kind: str = "image", **fields: Any) -> str:
        body = {"kind": kind, "values": {"prompt": "a boat", **fields.pop("values", {})}, **fields}
        (job,) = (await self.call("POST", "/jobs", body, 202))["data"]
        return str(job["id"])

    async def events(self, job_id: str) -> list[dict[str, Any]]:
        async with self._client.stream("GET", f"/portal/v1/media/jobs/{job_id}/events") as stream:
            lines = [line async for line in stream.aiter_lines() if line.startswith("data: ")]
        return [json.loads(line.removeprefix("data: ")) for line in lines]

    async def ended(self, job_id: str) -> dict[str, Any]:
        return (await self.events(job_id))[-1]

    async def file(self, job: dict[str, Any]) -> httpx.Response:
        return await self._client.get(f"/v1/files/{job['files'][0]['file_id']}/content")

    async def upload(self, data: bytes) -> str:
        answer = await self._client.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a.png", data)})
        return str(answer.json()["id"])

    async def preview(self, job_id: str) -> httpx.Response:
        return await self._client.get(f"/portal/v1/media/jobs/{job_id}/preview")


async def test_a_job_tells_how_far_it_is_and_what_it_looks_like(portal: TestPortal, comfy: ComfyUIServer) -> None:
    async with Api(portal) as api:
        comfy.hold()
        job = await api.order(values={"seed": 5, "steps": 4, "width": 100, "height": 64})
        await comfy.wait_running()
        watching = asyncio.create_task(api.events(job))  # noqa: TID251 -- two clients at once
        while (seen := await api.preview(job)).status_code != 200:
            await asyncio.sleep(0)
        assert seen.headers["content-type"] == "image/png"
        waiting = await api.order()
        assert (await api.call("GET", f"/jobs/{waiting}"))["status"] == "queued"
        comfy.release()
        events = await watching
        assert (await api.ended(waiting))["status"] == "done"

        assert events[-1]["status"] == "done"
        assert [one["progress"] for one in events] == sorted(one["progress"] for one in events)
        assert "step 1 of 4" in [one["detail"] for one in events]
        (file,) = events[-1]["files"]
        assert (file["width"], file["height"], file["filename"]) == (96, 64, "a-boat-1.png")
        assert events[-1]["values"] == {"prompt": "a boat", "seed": 5, "steps": 4, "width": 96, "height": 64}
        assert (await api.preview(job)).status_code == 404
        newest = await api.call("GET", "/jobs?kind=image&limit=1")
        assert (newest["data"][0]["id"], newest["has_more"]) == (waiting, True)
        await api.call("DELETE", f"/jobs/{job}")
        await api.call("GET", f"/jobs/{job}", status=404)
        assert (await api.file(events[-1])).status_code == 404


async def test_videos_and_music_and_pictures_to_begin_with(tmp_path: Path) -> None:
    models = {**MODELS, "ckpt_name": ["ace_step_v1_3.5b.safetensors"]}
    async with (
        ComfyUIServer(models=models, nodes=audio_nodes()) as comfy,
        studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}) as portal,
        Api(portal) as api,
    ):
        video = await api.ended(await api.order("video", values={"seconds": 1}))
        assert (await api.file(video)).content == mp4()
        assert (video["workflow"], comfy.prompts[-1]["size"]["inputs"]["length"]) == ("wan22-video", 25)
        picture = await api.upload(png())
        moved = await api.ended(await api.order("video", pictures={"image": picture}))
        assert moved["workflow"] == "wan22-image-to-video"
        song = await api.ended(await api.order("music", values={"lyrics": "la", "seconds": 2}))
        assert (await api.file(song)).headers["content-type"] == "audio/flac"
        assert (await api.file(song)).content == flac()
        for wrong, status in ((await api.upload(b"<svg/>"), 400), ("file_gone", 404)):
            await api.call("POST", "/jobs", {"kind": "video", "pictures": {"image": wrong}}, status)
        odd = {"kind": "video", "workflow": "wan22-video", "pictures": {"image": picture}}
        assert "takes these pictures: none" in (await api.call("POST", "/jobs", odd, 400))["error"]["message"]


FAULTS: Sequence[tuple[ComfyFault, str, str]] = (
    (ComfyFault.OUT_OF_MEMORY, "failed", "out_of_memory"),
    (ComfyFault.NODE_ERROR, "failed", "node_failed"),
    (ComfyFault.INTERRUPTED, "failed", "interrupted"),
    (ComfyFault.DROPPED, "done", ""),
    (ComfyFault.RESTARTED, "done", ""),
)


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS)
async def test_whatever_goes_wrong_the_job_ends_and_says_why(
    portal: TestPortal, comfy: ComfyUIServer, fault: ComfyFault, status: str, code: str
) -> None:
    comfy.fail(fault)
    async with Api(portal) as api:
        ended = await api.ended(await api.order())

        assert (ended["status"], ended["code"] or "") == (status, code), ended
        assert (await api.ended(await api.order()))["status"] == "done"


async def test_an_engine_that_is_started_anew_twice_has_lost_the_job(portal: TestPortal, comfy: ComfyUIServer) -> None:
    comfy.fail(ComfyFault.RESTARTED, ComfyFault.RESTARTED)
    async with Api(portal) as api:
        assert (await api.ended(await api.order()))["code"] == "engine_restarted"


async def test_an_engine_that_goes_away_is_waited_for_a_while(tmp_path: Path, comfy: ComfyUIServer) -> None:
    async with studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}, patience=1) as portal, Api(portal) as api:
        comfy.hold()
        job = await api.order()
        await comfy.wait_running()
        await comfy.stop()
        ended = await api.ended(job)
        assert (ended["status"], ended["code"]) == ("failed", "engine_unavailable")


async def test_a_job_is_stopped_wherever_it_is(portal: TestPortal, comfy: ComfyUIServer) -> None:
    async with Api(portal) as api:
        comfy.hold()
        running, waiting = await api.order(), await api.order()
        await comfy.wait_running()
        await api.call("DELETE", f"/jobs/{running}", status=409)
        for job in (waiting, running):
            assert (await api.call("POST", f"/jobs/{job}/cancel"))["status"] == "cancelled"
        await comfy.wait_idle()
        assert (comfy.interrupts, len(comfy.prompts)) == (1, 1)
        await api.call("POST", f"/jobs/{running}/cancel", status=409)
        comfy.release()
        assert (await api.ended(await api.order()))["status"] == "done"


async def test_a_job_that_takes_too_long_is_given_up(tmp_path: Path, comfy: ComfyUIServer) -> None:
    async with studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}, timeout=0.5) as portal, Api(portal) as api:
        comfy.hold()
        assert (await api.ended(await api.order()))["code"] == "timed_out"
        await comfy.wait_idle()
        assert comfy.interrupts == 1


@pytest.mark.parametrize("own_ids", [False, True])
@pytest.mark.parametrize("meanwhile", ["goes on", "ends", "is started anew"])
async def test_a_restart_of_portal_finds_the_engines_own_job_again(
    tmp_path: Path, own_ids: bool, meanwhile: str
) -> None:
    async with ComfyUIServer(models=MODELS, own_ids=own_ids) as comfy:
        engine = {"kind": "comfyui", "url": comfy.url}
        async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
            comfy.hold()
            job = await api.order()
            await comfy.wait_running()
        assert comfy.interrupts == 0
        if meanwhile == "ends":
            comfy.release()
            await comfy.wait_idle()
        if meanwhile == "is started anew":
            comfy.release()
            await comfy.stop()
            await comfy.start()
        async with studio_at(tmp_path / "data", engine) as portal, Api(portal) as api:
            comfy.release()
            ended = await api.ended(job)
            assert (ended["status"], len(ended["files"])) == ("done", 1), ended
        assert len(comfy.prompts) == (2 if meanwhile == "is started anew" else 1)


async def test_what_came_before_the_room_was_full_belongs_to_the_job(tmp_path: Path, comfy: ComfyUIServer) -> None:
    """Nothing lies about that no job knows of."""
    settings = {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}]}, "files": {"quota": len(png(64, 64)) + 1}}
    async with open_test_portal(tmp_path, settings=settings) as portal, Api(portal) as api:
        ended = await api.ended(await api.order(values={"count": 2, "width": 64, "height": 64}))
        assert (ended["status"], ended["code"]) == ("failed", "file_quota_reached")
        assert [one["filename"] for one in ended["files"]] == ["a-boat-1.png"]
        await api.call("DELETE", f"/jobs/{ended['id']}")
        assert (await portal.portal.storage.files.usage(portal.owner)).files == 0


async def test_a_restart_does_not_keep_twice_what_was_kept(tmp_path: Path, comfy: ComfyUIServer) -> None:
    """As a crash between two results of a job leaves it."""
    async with studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}) as portal, Api(portal) as api:
        storage = portal.portal.storage
        first = await api.ended(await api.order(values={"count": 2, "width": 64, "height": 64}))
        assert len(first["files"]) == 2
        await storage.files.delete(portal.owner, first["files"][1]["file_id"])
        job = await storage.media_jobs.get(portal.owner, first["id"])
        crashed = replace(job, id=new_id("media"), status="queued", results=job.results[:1], ended_at=None)
        await storage.media_jobs.add(crashed)
        await api.ended(await api.order())
        ended = await api.ended(crashed.id)
        assert [one["filename"] for one in ended["files"]] == ["a-boat-1.png", "a-boat-2.png"]
        assert (await storage.files.usage(portal.owner)).files == 2 + 1
        assert len(comfy.prompts) == 1 + 1


async def test_a_job_that_was_held_too_long_is_another_s_and_is_kept_once(tmp_path: Path, comfy: ComfyUIServer) -> None:
    """As where the database was away for a minute: then whoever looks next takes it up, on this server or another."""
    engine = {"kind": "comfyui", "url": comfy.url}
    async with studio_at(tmp_path, engine, parallel=2) as portal, Api(portal) as api:
        storage = portal.portal.storage
        comfy.hold()
        job = await api.order()
        await comfy.wait_running()
        first = await storage.media_jobs.get(portal.owner, job)
        await storage.database.batch([Statement("UPDATE media_jobs SET ready_at = 0")])
        portal.portal.media.hurry()
        while (await storage.media_jobs.get(portal.owner, job)).started_at == first.started_at:
            await asyncio.sleep(0.01)
        comfy.release()
        ended = await api.ended(job)
        assert (ended["status"], len(ended["files"])) == ("done", 1)
        assert (await api.ended(await api.order()))["status"] == "done"
        while (await storage.files.usage(portal.owner)).files > 2:
            await asyncio.sleep(0.01)
        assert (await api.file(ended)).status_code == 200
        assert (comfy.interrupts, len(comfy.prompts)) == (0, 2)


class Away:
    """The jobs of a database that is away when the first result is to be kept."""

    def __init__(self, jobs: MediaJobs) -> None:
        self._jobs, self.was_away = jobs, asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    async def change(self, job: MediaJob, ready_at: int) -> bool:
        if job.results and not self.was_away.is_set():
            self.was_away.set()
            raise StorageUnavailable("The database is away.")
        return await self._jobs.change(job, ready_at)


async def test_a_result_that_comes_while_the_database_is_away_is_asked_for_again(
    tmp_path: Path, comfy: ComfyUIServer
) -> None:
    async with studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}) as portal, Api(portal) as api:
        storage, studio = portal.portal.storage, portal.portal.media
        away = studio.jobs = Away(storage.media_jobs)  # type: ignore[assignment]
        job = await api.order()
        await away.was_away.wait()
        assert (await api.call("GET", f"/jobs/{job}"))["status"] == "running"
        await storage.database.batch([Statement("UPDATE media_jobs SET ready_at = 0")])
        studio.hurry()
        ended = await api.ended(job)
        assert (ended["status"], len(ended["files"])) == ("done", 1)
        assert len(comfy.prompts) == 1


class Hostile(Painter):
    def __init__(self, data: bytes) -> None:
        self._data = data

    def picture(self, width: int, height: int, number: int) -> bytes:
        return self._data


HUGE = png(1, 1)[:16] + (50_000).to_bytes(4) + (50_000).to_bytes(4) + png(1, 1)[24:]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "unknown_format"),
        (b"<html><script>alert(1)</script>", "unknown_format"),
        (b"", "unknown_format"),
        (png()[:60], "damaged"),
        (HUGE, "too_many_pixels"),
    ],
)
async def test_hostile_results_are_not_kept(tmp_path: Path, data: bytes, code: str) -> None:
    async with (
        ComfyUIServer(models=MODELS, painter=Hostile(data)) as comfy,
        studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}) as portal,
        Api(portal) as api,
    ):
        ended = await api.ended(await api.order())
        assert (ended["status"], ended["code"], ended["files"]) == ("failed", code, [])


async def test_what_stands_behind_a_picture_is_cut_off(tmp_path: Path) -> None:
    async with (
        ComfyUIServer(models=MODELS, painter=Hostile(png() + b"PK\x03\x04<script>")) as comfy,
        studio_at(tmp_path, {"kind": "comfyui", "url": comfy.url}) as portal,
        Api(portal) as api,
    ):
        assert (await api.file(await api.ended(await api.order()))).content == png()


async def test_what_can_be_made_and_what_is_missing_is_told(tmp_path: Path, comfy: ComfyUIServer) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    (folder / "broken.json").write_text("{", encoding="utf-8")
    mine = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    (folder / "plain.json").write_text(json.dumps(mine), encoding="utf-8")
    engine = {"kind": "comfyui", "url": comfy.url}
    async with studio_at(tmp_path / "data", engine, workflows=str(folder)) as portal, Api(portal) as api:
        flows = {one["name"]: one for one in (await api.call("GET", "/workflows"))["data"]}
        assert flows["sdxl"]["ready"]
        assert flows["sdxl"]["inputs"]["width"] == 1024
        assert "v1-5-pruned-emaonly-fp16.safetensors (2.1 GB" in flows["sd15"]["needs"]
        assert "cannot be read" in flows["broken"]["needs"]
        assert (await api.ended(await api.order(workflow="plain")))["status"] == "done"
        (state,) = (await api.call("GET", "/engines"))["data"]
        assert (state["reachable"], state["version"], state["memory"]) == (True, "0.3.64", 12.0)
        (folder / "plain.json").unlink()
        refused = await api.call("POST", "/jobs", {"kind": "image", "workflow": "plain"}, 404)
        assert "there are: " in refused["error"]["message"]
        await comfy.stop()
        (state,) = (await api.call("GET", "/engines"))["data"]
        assert "cannot be reached" in state["problem"]
    async with studio_at(tmp_path / "data") as portal, Api(portal) as api:
        for kind in ("image", "video", "music"):
            none = await api.call("POST", "/jobs", {"kind": kind, "values": {"prompt": "a"}}, 503)
            assert "Install ComfyUI" in none["error"]["message"]


async def test_strangers_have_no_part_in_it(portal: TestPortal, comfy: ComfyUIServer) -> None:
    async with Api(portal) as api:
        for method, path in (("GET", ""), ("GET", "/events"), ("GET", "/preview"), ("POST", "/cancel"), ("DELETE", "")):
            await api.call(method, f"/jobs/media_gone{path}", status=404)


class Wordless(Painter):
    def made(self, job: Any, number: str, uploads: Any) -> None:
        return None


class Forgetful(ComfyUIServer):
    def _stored(self, made: Any) -> dict[str, Any]:
        kept = super()._stored(made)
        self.files.clear()
        return kept


async def test_an_engine_that_brings_nothing_is_told_of(tmp_path: Path) -> None:
    for server, code in (
        (ComfyUIServer(models=MODELS, painter=Wordless()), "no_result"),
        (Forgetful(models=MODELS), "result_gone"),
    ):
        async with (
            server as comfy,
            studio_at(tmp_path / code, {"kind": "comfyui", "url": comfy.url}) as portal,
            Api(portal) as api,
        ):
            assert (await api.ended(await api.order()))["code"] == code


async def test_a_workflow_that_comfyui_refuses_or_that_is_gone(tmp_path: Path, comfy: ComfyUIServer) -> None:
    flows = tmp_path / "data" / "workflows"
    flows.mkdir(parents=True)
    for name, width in (("wide", 10**6), ("fine", 64)):
        graph = {
            "1": {"class_type": "EmptyImage", "inputs": {"width": width, "height": 64, "batch_size": 1, "color": 0}},
            "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
        }
        (flows / f"{name}.json").write_text(json.dumps(graph), encoding="utf-8")
    async with studio_at(tmp_path / "data", {"kind": "comfyui", "url": comfy.url}) as portal, Api(portal) as api:
        refused = await api.ended(await api.order(workflow="wide"))
        assert (refused["code"], "bigger than max" in refused["error"]) == ("workflow_refused", True)
        assert (await api.ended(await api.order(workflow="fine")))["status"] == "done"
        comfy.hold()
        first, second = await api.order(), await api.order(workflow="fine")
        await comfy.wait_running()
        (flows / "fine.json").unlink()
        comfy.release()
        assert (await api.ended(first))["status"] == "done"
        assert "no workflow 'fine' any more" in (await api.ended(second))["error"]


async def test_an_engine_whose_socket_is_silent_is_asked_now_and_then(portal: TestPortal, comfy: ComfyUIServer) -> None:
    comfy.fail(ComfyFault.SILENT)
    comfy.hold()
    async with Api(portal) as api:
        job = await api.order()
        await comfy.wait_running()
        comfy.release()
        assert (await api.ended(job))["status"] == "done"


async def test_what_answers_but_is_no_comfyui_is_told_of(tmp_path: Path) -> None:
    async with (
        studio_at(tmp_path / "other") as other,
        studio_at(tmp_path / "data", {"kind": "comfyui", "url": other.url}) as portal,
        Api(portal) as api,
    ):
        (state,) = (await api.call("GET", "/engines"))["data"]
        assert "is no ComfyUI" in state["problem"]
