"""The Images API through OpenAI's own client, with a ComfyUI behind it."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from PIL import Image
from tests.interfaces.openai.conftest import usage_rows

from portal.core.terms import Terms
from portal.testing.comfyui_jobs import Painter
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import png
from portal.testing.portal import TestPortal, open_test_portal

MODELS = {"ckpt_name": ["sd_xl_base_1.0.safetensors"]}


@pytest.fixture
async def comfy() -> AsyncIterator[ComfyUIServer]:
    async with ComfyUIServer(models=MODELS) as server:
        yield server


@pytest.fixture
async def drawing(tmp_path: Path, comfy: ComfyUIServer) -> AsyncIterator[TestPortal]:
    settings = {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}], "patience": 1}}
    async with open_test_portal(tmp_path / "data", settings=settings) as opened:
        yield opened


@pytest.fixture
def client(drawing: TestPortal) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{drawing.url}/v1", api_key=drawing.key, max_retries=0)


def opened(b64: str | None) -> Image.Image:
    assert b64
    return Image.open(io.BytesIO(base64.b64decode(b64)))


async def test_pictures_are_made_as_asked(
    client: openai.AsyncOpenAI, comfy: ComfyUIServer, drawing: TestPortal
) -> None:
    made = await client.images.generate(
        model="gpt-image-2", prompt="a red barn", n=2, size="512x768", quality="low", extra_body={"seed": 7}
    )

    assert made.data is not None
    assert [opened(one.b64_json).size for one in made.data] == [(512, 768)] * 2
    assert (made.size, made.output_format, made.background) == ("512x768", "png", "opaque")
    graph = comfy.prompts[-1]
    assert graph["positive"]["inputs"]["text"] == "a red barn"
    assert graph["sampler"]["inputs"]["seed"] == 7
    assert graph["sampler"]["inputs"]["steps"] == 14  # half of SDXL's own
    assert graph["size"]["inputs"]["batch_size"] == 2

    other = await client.images.generate(model="sdxl", prompt="b", output_format="webp", response_format="url")
    assert other.data is not None
    async with httpx.AsyncClient(headers=drawing.headers) as plain:
        fetched = await plain.get(other.data[0].url or "")
    assert fetched.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(fetched.content)).format == "WEBP"
    jpeg = await client.images.generate(prompt="c", output_format="jpeg", output_compression=50)
    assert opened(jpeg.data[0].b64_json if jpeg.data else None).format == "JPEG"
    assert [row["status"] for row in await usage_rows(drawing)] == ["completed"] * 3


async def test_a_stream_has_previews(client: openai.AsyncOpenAI, comfy: ComfyUIServer) -> None:
    comfy.hold()
    first = None
    async for event in await client.images.generate(
        prompt="a", stream=True, partial_images=1, output_format="jpeg", extra_body={"steps": 1}
    ):
        first = first or event
        comfy.release()
    assert first is not None
    assert first.type == "image_generation.partial_image"
    assert opened(first.b64_json).format == "JPEG"

    stream = await client.images.generate(prompt="a lake", stream=True, partial_images=2, size="256x256")
    events = [event async for event in stream]

    kinds = [event.type for event in events]
    assert kinds[-1] == "image_generation.completed"
    assert set(kinds[:-1]) <= {"image_generation.partial_image"}
    partial = [event for event in events if event.type == "image_generation.partial_image"]
    assert [event.partial_image_index for event in partial] == list(range(len(partial)))
    assert opened(events[-1].b64_json).size == (256, 256)
    assert events[-1].usage.output_tokens == 0  # type: ignore[union-attr]


async def test_a_picture_is_changed_within_its_mask(client: openai.AsyncOpenAI, comfy: ComfyUIServer) -> None:
    made = await client.images.edit(image=png(), mask=png(alpha=0), prompt="a hat", n=2)

    assert made.data is not None
    assert len(made.data) == 2
    first, second = comfy.prompts  # this workflow makes one at a time
    assert first["mask"]["class_type"] == "LoadImageMask"
    assert comfy.uploads[first["image"]["inputs"]["image"]] == png()
    assert comfy.uploads[first["mask"]["inputs"]["image"]] == png(alpha=0)
    assert second["sampler"]["inputs"]["seed"] == first["sampler"]["inputs"]["seed"] + 1

    await client.images.edit(image=("a.png", png(), "image/png"), prompt="a hat", extra_body={"strength": 0.4})
    assert comfy.prompts[-1]["sampler"]["inputs"]["denoise"] == 0.4
    await client.images.create_variation(image=png())
    assert comfy.prompts[-1]["positive"]["inputs"]["text"] == ""
    stream = await client.images.edit(image=png(), prompt="a hat", stream=True)
    assert [event.type async for event in stream] == ["image_edit.completed"]


async def test_a_mask_that_hides_nothing_is_told_of(client: openai.AsyncOpenAI, comfy: ComfyUIServer) -> None:
    """As a drawing in black and white, which would change nothing at all."""
    drawn = io.BytesIO()
    Image.new("L", (64, 48)).save(drawn, "png")
    for mask in (png(alpha=255), drawn.getvalue()):
        with pytest.raises(openai.BadRequestError, match="Nothing of the mask is transparent"):
            await client.images.edit(image=png(), mask=mask, prompt="a hat")
    assert comfy.prompts == []


TWO = [("a.png", png(8, 8)), ("b.png", png(16, 16))]


async def test_who_takes_several_pictures_is_told(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match=r"FLUX\.1 Kontext of two pictures would\. A model is missing"):
        await client.images.edit(image=TWO, prompt="together")
    with pytest.raises(openai.BadRequestError, match="begins with image and image2 and image3; what is ready takes"):
        await client.images.edit(image=[*TWO, ("c.png", png())], prompt="together")
    with pytest.raises(openai.BadRequestError, match="takes these pictures: image"):
        await client.images.edit(image=TWO, prompt="together", model="sdxl-edit")


async def test_one_picture_of_two(client: openai.AsyncOpenAI, comfy: ComfyUIServer) -> None:
    comfy.install("unet_name", "flux1-dev-kontext_fp8_scaled.safetensors")
    for name in ("clip_name1", "clip_name2"):
        comfy.install(name, "clip_l.safetensors", "t5xxl_fp8_e4m3fn_scaled.safetensors")
    comfy.install("vae_name", "ae.safetensors")
    made = await client.images.edit(image=TWO, prompt="together", size="512x512")

    assert made.data is not None
    assert opened(made.data[0].b64_json).size == (512, 512)
    graph = comfy.prompts[-1]
    sent = [comfy.uploads[graph[node]["inputs"]["image"]] for node in ("image", "image2")]
    assert sent == [content for _, content in TWO]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": "a" * 32_001}, 400, "prompt"),
        ({"prompt": "a", "n": 11}, 400, "n"),
        ({"prompt": "a", "size": "big"}, 400, "size"),
        ({"prompt": "a", "size": "99999x10"}, 400, "width"),
        ({"prompt": "a", "output_format": "svg"}, 400, "output_format"),
        ({"prompt": "a", "background": "transparent", "output_format": "jpeg"}, 400, "background"),
        ({"prompt": "a", "model": "sdxxl"}, 404, "model"),
        ({"prompt": "a", "model": "sd15"}, 503, "model"),
        ({"prompt": "a", "inputs": {"lora": "x"}}, 400, "lora"),
        ({"prompt": "a", "steps": "many"}, 400, "steps"),
    ],
)
async def test_what_is_wrong_is_named(drawing: TestPortal, body: dict[str, object], status: int, param: str) -> None:
    async with httpx.AsyncClient(base_url=drawing.url, headers=drawing.headers) as plain:
        answer = await plain.post("/v1/images/generations", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


async def test_forms_are_held_to_account(drawing: TestPortal) -> None:
    async with httpx.AsyncClient(base_url=drawing.url, headers=drawing.headers) as plain:
        answers = [
            await plain.post("/v1/images/edits", json={"prompt": "a"}),
            await plain.post("/v1/images/edits", data={"prompt": "a"}, files={"other": b"x"}),
            await plain.post("/v1/images/edits", data={"prompt": "a"}, files=[("image[]", png())] * 17),
            await plain.post("/v1/images/edits", data={"prompt": "a", "n": "x"}, files={"image": png()}),
            await plain.post("/v1/images/edits", data={"prompt": "a", "stream": "x"}, files={"image": png()}),
            await plain.post("/v1/images/edits", data={"prompt": "a"}, files={"image": b"<svg onload=alert(1)>"}),
            await plain.post(
                "/v1/images/edits", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"}
            ),
        ]
    codes = [(one.status_code, one.json()["error"]["code"]) for one in answers]
    assert codes == [
        (400, "invalid_content_type"),
        (400, "missing_required_parameter"),
        (400, None),
        (400, "invalid_type"),
        (400, "invalid_type"),
        (400, "unknown_format"),
        (400, None),
    ]


async def test_failures_say_why(client: openai.AsyncOpenAI, comfy: ComfyUIServer) -> None:
    comfy.fail(ComfyFault.OUT_OF_MEMORY)
    with pytest.raises(openai.InternalServerError, match="smaller size") as caught:
        await client.images.generate(prompt="a")
    assert caught.value.code == "out_of_memory"
    assert comfy.freed == 1

    comfy.fail(ComfyFault.NODE_ERROR)
    with pytest.raises(openai.APIError, match="KSampler"):
        async for _ in await client.images.generate(prompt="a", stream=True):
            pass

    await comfy.stop()
    with pytest.raises(openai.InternalServerError, match="cannot be reached") as away:
        await client.images.generate(prompt="a")
    assert away.value.status_code == 503


class Torn(Painter):
    """Pictures that are whole only as far as their chunks go."""

    def picture(self, width: int, height: int, number: int) -> bytes:
        whole = png(width, height)
        at = whole.index(b"IDAT") + 4
        return whole[:at] + bytes(20) + whole[at + 20 :]


async def test_a_picture_that_cannot_be_read_is_told_as_damaged(tmp_path: Path) -> None:
    async with ComfyUIServer(models=MODELS, painter=Torn()) as comfy:
        settings = {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}]}}
        async with open_test_portal(tmp_path / "data", settings=settings) as portal:
            client = openai.AsyncOpenAI(base_url=f"{portal.url}/v1", api_key=portal.key, max_retries=0)
            for more in ({}, {"response_format": "url"}):
                with pytest.raises(openai.InternalServerError, match="damaged") as caught:
                    await client.images.generate(prompt="a", output_format="jpeg", **more)  # type: ignore[call-overload]
                assert (caught.value.status_code, caught.value.code) == (502, "damaged")


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_wants_nothing_more(client: openai.AsyncOpenAI, comfy: ComfyUIServer, stream: bool) -> None:
    comfy.hold()

    async def ask() -> None:
        answer = await client.images.generate(prompt="a", stream=stream)
        async for _ in answer:  # type: ignore[union-attr]
            pass

    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask())
        await comfy.wait_running()
        asking.cancel()
    await comfy.wait_idle()

    assert comfy.interrupts == 1


async def test_a_bounded_key_is_bounded_here(drawing: TestPortal, comfy: ComfyUIServer) -> None:
    order = {"kind": "image", "values": {"prompt": "a barn"}}

    async def tried(**bounds: Any) -> list[int]:
        _, key = await drawing.portal.credentials.create_key(drawing.owner, str(bounds), terms=Terms(**bounds))
        headers, files = {"Authorization": f"Bearer {key}"}, {"image": ("a.png", png())}
        async with httpx.AsyncClient(base_url=drawing.url, headers=headers, timeout=60) as client:
            asked = [
                await client.post("/v1/images/generations", json={"prompt": "a barn", "stream": True}),
                await client.post("/v1/images/variations", files=files),
                await client.post("/portal/v1/media/jobs", json=order),
            ]
        return [one.status_code for one in asked]

    assert await tried(scopes=("models:other",)) == [403] * 3
    assert await tried(scopes=("workspaces:auto",)) == [403] * 3
    assert await tried(scopes=("read-only",)) == [403] * 3
    assert comfy.prompts == []
    assert await tried(scopes=("models:sdxl*",)) == [200, 200, 202]
    assert await tried(requests=1) == [200, 429, 429]
