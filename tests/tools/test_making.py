"""The tools for pictures, videos and music: in turns of their workspaces, with a ComfyUI behind them."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from tests.e2e.tool_desk import calls
from tests.media.conftest import MODELS, audio_nodes

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import png
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal


@pytest.fixture
def backend() -> ScriptedBackend:
    abilities = frozenset({"chat", "tools", "vision"})
    return ScriptedBackend(models=[ModelInfo(id="tiny", backend="", capabilities=abilities, context_window=32_768)])


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    models = {**MODELS, "ckpt_name": ["sd_xl_base_1.0.safetensors", "ace_step_v1_3.5b.safetensors"]}
    async with ComfyUIServer(models=models, nodes=audio_nodes()) as server:
        yield server


@pytest.fixture
async def portal(tmp_path: Path, backend: ScriptedBackend, comfy: ComfyUIServer) -> AsyncIterator[TestPortal]:
    settings = {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}], "patience": 1}}
    async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=settings) as opened:
        yield opened


async def api(portal: TestPortal, method: str, path: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        return await (await client.request(method, path, json=body)).json()


async def say(portal: TestPortal, backend: ScriptedBackend, tool: str, model: str = "auto-image", **given: Any) -> Any:
    """The tool call of a turn in which the model makes it."""
    more = {name: given.pop(name) for name in ("input", "previous_response_id") if name in given}
    backend.script(*calls((tool, json.dumps(given))))
    backend.script(TextDelta("Done."))
    body = {"model": model, "input": "Make me one", **more}
    response = await api(portal, "POST", "/v1/responses", body)
    (call,) = [item for item in response["output"] if item["type"] == "mcp_call"]
    return {**call, "response": response["id"]}


async def test_a_picture_is_made_and_changed(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    made = await say(portal, backend, "make_image", prompt="a barn", size="640 x 448", count=2, quality="low", seed=3)
    assert made["status"] == "completed", made
    assert [file["filename"] for file in made["portal:files"]] == ["a-barn-1.png", "a-barn-2.png"]
    assert made["output"].startswith("Made with sdxl (seed 3, width 640, height 448, steps 14).")
    assert "make_image" in json.dumps(backend.requests[-2].parameters)

    changed = await say(portal, backend, "edit_image", prompt="snow", previous_response_id=made["response"])
    assert changed["status"] == "completed", changed
    named = comfy.prompts[-1]["image"]["inputs"]["image"]
    file = made["portal:files"][-1]["file_id"]
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        assert comfy.uploads[named] == await (await client.get(f"/v1/files/{file}/content")).read()

    url = "data:image/png;base64," + base64.b64encode(png(20, 10)).decode()
    part = [{"type": "input_text", "text": "make it blue"}, {"type": "input_image", "image_url": url}]
    sent = [{"type": "message", "role": "user", "content": part}]
    one = await say(portal, backend, "edit_image", prompt="blue", strength=0.3, input=sent)
    assert one["status"] == "completed", one["error"]
    assert comfy.uploads[comfy.prompts[-1]["image"]["inputs"]["image"]] == png(20, 10)


async def test_a_video_and_a_song(portal: TestPortal, backend: ScriptedBackend) -> None:
    video = await say(portal, backend, "make_video", "auto-video", prompt="waves", seconds=1)
    assert video["portal:files"][0]["content_type"] == "video/mp4"
    song = await say(portal, backend, "make_music", "auto-music", prompt="slow piano", lyrics="la", seconds=5)
    assert song["portal:files"][0]["content_type"] == "audio/flac"
    listed = await say(portal, backend, "list_music_workflows", "auto-music")
    assert "ace-step: Songs" in listed["output"]
    assert "stable-audio: Sounds" in listed["output"]
    assert "not ready: ComfyUI lacks the nodes EmptyLatentAudio" in listed["output"]


async def test_every_picture_that_a_workflow_cannot_do_without_is_listed(
    tmp_path: Path, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    (flows := tmp_path / "workflows").mkdir(parents=True)
    named = ("image", "image2", "image3", "image4", "mask")
    graph: dict[str, Any] = {
        name: {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": {"title": f"portal:{name}"}}
        for name in named
    }
    graph["end"] = {"class_type": "SaveImage", "inputs": {"images": ["image", 0], "filename_prefix": "x"}}
    (flows / "mine.json").write_text(json.dumps(graph), encoding="utf-8")
    async with OpenAIServer(models=["any"]) as server:
        engines = [{"kind": "comfyui", "url": comfy.url}, {"kind": "openai_images", "url": server.url}]
        settings = {"media": {"engines": engines}}
        async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=settings) as portal:
            listed = await say(portal, backend, "list_image_workflows", "auto-image")
    lines = {line.partition(":")[0]: line.rpartition("inputs: ")[2] for line in listed["output"].splitlines()}
    assert lines["mine"].startswith(", ".join(f"{name} (a picture)" for name in named))
    told = [name for name in ("image", "mask", "image2", "image3") if f"{name} (a picture, if wanted)" in lines["any"]]
    assert told == ["image", "mask", "image2"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"size": "large"}, "WIDTHxHEIGHT"),
        ({"workflow": "sd15"}, "v1-5-pruned-emaonly-fp16.safetensors"),
        ({"workflow": "mine"}, "there are: "),
        ({"count": 50}, "from 1 to 10"),
        ({"inputs": {"lora": "x"}}, "has no input 'lora'"),
    ],
)
async def test_a_model_is_told_what_is_wrong(
    portal: TestPortal, backend: ScriptedBackend, given: dict[str, Any], why: str
) -> None:
    call = await say(portal, backend, "make_image", prompt="a", **given)
    assert call["status"] == "failed"
    assert why in call["error"]


async def test_what_a_conversation_does_not_have_is_asked_for(portal: TestPortal, backend: ScriptedBackend) -> None:
    assert "no picture in this conversation" in (await say(portal, backend, "edit_image", prompt="a"))["error"]
    url = "data:image/png;base64,???"
    sent = [{"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": url}]}]
    call = await say(portal, backend, "edit_image", prompt="a", input=sent)
    assert "cannot be read" in call["error"] or "no picture" in call["error"]


async def test_failures_and_missing_engines_reach_the_model(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    comfy.fail(ComfyFault.OUT_OF_MEMORY)
    assert "smaller size" in (await say(portal, backend, "make_image", prompt="a"))["error"]
    await comfy.stop()
    call = await say(portal, backend, "make_video", "auto-video", prompt="a")
    assert "cannot be reached" in call["error"]


async def test_who_stops_the_answer_stops_the_engine(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    comfy.hold()
    backend.script(*calls(("make_image", json.dumps({"prompt": "a"}))))
    begun = await api(portal, "POST", "/v1/responses", {"model": "auto-image", "input": "Draw", "background": True})
    await comfy.wait_running()
    await api(portal, "POST", f"/v1/responses/{begun['id']}/cancel")
    await comfy.wait_idle()
    assert comfy.interrupts == 1
    (job,) = (await api(portal, "GET", "/portal/v1/media/jobs"))["data"]
    assert job["status"] == "cancelled"


async def test_an_engine_elsewhere_is_asked_about(tmp_path: Path, backend: ScriptedBackend) -> None:
    settings = {
        "media": {"engines": [{"kind": "openai_images", "url": "https://pictures.example.org", "models": ["x"]}]}
    }
    async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=settings) as portal:
        backend.script(*calls(("make_image", json.dumps({"prompt": "a"}))))
        response = await api(portal, "POST", "/v1/responses", {"model": "auto-image", "input": "Draw"})
        (asked,) = [item for item in response["output"] if item["type"] == "mcp_approval_request"]
        assert asked["portal:risk"] == "spend"


async def test_a_restart_leaves_the_engine_at_work(
    tmp_path: Path, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    settings = {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}]}}
    comfy.hold()
    async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=settings) as portal:
        backend.script(*calls(("make_image", json.dumps({"prompt": "a"}))))
        await api(portal, "POST", "/v1/responses", {"model": "auto-image", "input": "Draw", "background": True})
        await comfy.wait_running()
    assert comfy.interrupts == 0
    comfy.release()
    async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=settings) as portal:
        (job,) = (await api(portal, "GET", "/portal/v1/media/jobs"))["data"]
        async for progress in portal.portal.media.follow(portal.owner, job["id"]):
            last = progress.job
        assert last.status == "done"
        assert len(comfy.prompts) == 1
        await asyncio.sleep(0)


async def test_the_hosted_tool_of_the_responses_api(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    comfy.hold()
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)
    backend.script(*calls(("make_image", json.dumps({"prompt": "a barn", "count": 2, "inputs": {"steps": 1}}))))
    backend.script(TextDelta("Done."))
    tools: Any = [{"type": "image_generation", "partial_images": 1}]
    stream = await client.responses.create(model="auto", input="Draw a barn", tools=tools, stream=True)
    events = []
    async for event in stream:
        events.append(event)
        if event.type == "response.image_generation_call.partial_image":
            comfy.release()
    kinds = [event.type for event in events if "image_generation" in event.type]
    one = ["in_progress", "generating", "completed"]
    told = [*one[:2], "partial_image", "completed", *one]
    assert kinds == [f"response.image_generation_call.{name}" for name in told]
    (partial,) = [event for event in events if event.type == "response.image_generation_call.partial_image"]
    assert partial.partial_image_index == 0
    assert partial.output_format == "png"
    assert base64.b64decode(partial.partial_image_b64)[:4] == b"\x89PNG"
    response = events[-1].response  # type: ignore[union-attr]
    made = [item for item in response.output if item.type == "image_generation_call"]
    assert [base64.b64decode(item.result or "")[:4] for item in made] == [b"\x89PNG"] * 2
    assert partial.item_id == made[0].id
    assert response.output[partial.output_index].id == made[0].id
    assert {item.id: item.result for item in made} == {
        event.item.id: event.item.result  # type: ignore[union-attr]
        for event in events
        if event.type == "response.output_item.done" and event.item.type == "image_generation_call"
    }
    assert "make_image" in json.dumps(backend.requests[0].parameters)

    kept = await client.responses.retrieve(response.id)
    assert kept.output == response.output
    turn = await portal.portal.storage.responses.get(portal.owner, response.id)
    stored = [one.item for one in turn.items if one.item["type"] == "image_generation_call"]
    assert [item["result"] for item in stored] == [None, None]
    assert all(item["portal:file_id"].startswith("file") for item in stored)
    backend.script(TextDelta("Still here."))
    again: Any = [item.model_dump(exclude_none=True) for item in made]
    follows = await client.responses.create(model="auto", input=[*again, {"role": "user", "content": "And?"}])
    assert follows.output_text == "Still here."
    turn = await portal.portal.storage.responses.get(portal.owner, follows.id)
    assert [one.item["result"] for one in turn.items if one.item["type"] == "image_generation_call"] == [None, None]
    sent = await client.responses.input_items.list(follows.id, order="asc")
    assert [item.result for item in sent.data[:2]] == [item.result for item in made]  # type: ignore[union-attr]
    for body, param in (
        ({"model": "tiny", "input": "a", "tools": tools}, "tools"),
        ({"model": "auto", "input": "a", "tools": [{"type": "image_generation", "size": "1x1"}]}, "tools[0].size"),
    ):
        assert (await api(portal, "POST", "/v1/responses", body))["error"]["param"] == param


async def test_a_hosted_picture_that_fails_says_so(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)
    tools: Any = [{"type": "image_generation"}]
    comfy.fail(ComfyFault.OUT_OF_MEMORY)
    backend.script(*calls(("make_image", json.dumps({"prompt": "a barn"}))))
    backend.script(TextDelta("It did not work."))
    response = await client.responses.create(model="auto", input="Draw a barn", tools=tools)
    assert [item.status for item in response.output if item.type == "image_generation_call"] == ["failed"]
    assert [item.type for item in response.output] == ["mcp_call", "image_generation_call", "message"]


async def test_a_hosted_picture_is_changed_by_its_item(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)
    tools: Any = [{"type": "image_generation"}]
    backend.script(*calls(("make_image", json.dumps({"prompt": "a barn"}))))
    backend.script(TextDelta("Done."))
    made = (await client.responses.create(model="auto", input="Draw a barn", tools=tools, store=False)).output[1]
    assert made.type == "image_generation_call"
    for item in (made.model_dump(), {"type": "image_generation_call", "id": "ig_1", "result": made.result}):
        backend.script(*calls(("edit_image", json.dumps({"prompt": "snow"}))))
        backend.script(TextDelta("Done."))
        sent: Any = [item, {"role": "user", "content": "Now with snow"}]
        await client.responses.create(model="auto", input=sent, tools=tools, store=False)
        assert comfy.uploads[comfy.prompts[-1]["image"]["inputs"]["image"]] == base64.b64decode(made.result or "")


async def test_a_hosted_picture_is_as_the_client_wants_it(
    portal: TestPortal, backend: ScriptedBackend, comfy: ComfyUIServer
) -> None:
    """Its size, quality and model hold against the model's own; what it left open is the model's."""
    wanted = {"type": "image_generation", "model": "sdxl", "size": "640x448", "quality": "low", "background": "opaque"}
    given = {"prompt": "a barn", "size": "1024x1024", "quality": "high", "seed": 3, "workflow": "mine"}
    backend.script(*calls(("make_image", json.dumps(given))))
    backend.script(*calls(("edit_image", json.dumps({"prompt": "snow", "strength": 0.4}))))
    backend.script(TextDelta("Done."))
    body = {"model": "auto", "input": "Draw a barn", "tools": [wanted]}
    response = await api(portal, "POST", "/v1/responses", body)
    made, changed = [item for item in response["output"] if item["type"] == "mcp_call"]
    assert made["output"].startswith("Made with sdxl (seed 3, width 640, height 448, steps 14)."), made
    assert changed["output"].startswith("Made with sdxl-edit ("), changed
    (first, *_) = [item for item in response["output"] if item["type"] == "image_generation_call"]
    assert int.from_bytes(base64.b64decode(first["result"])[16:20]) == 640
    open_to_the_model = {"type": "image_generation", "model": "gpt-image-1.5", "size": "auto", "quality": "auto"}
    backend.script(*calls(("make_image", json.dumps({"prompt": "a barn", "size": "512x512", "quality": "low"}))))
    backend.script(TextDelta("Done."))
    response = await api(portal, "POST", "/v1/responses", {**body, "tools": [open_to_the_model]})
    (call,) = [item for item in response["output"] if item["type"] == "mcp_call"]
    assert "width 512, height 512, steps 14" in call["output"]
    assert len(comfy.prompts) == 3
