"""Pictures, videos and music on the page: made in a chat with a preview, kept in a gallery, made again and changed."""

import re
from pathlib import Path

from tests.e2e.browser import NARROW, WIDE, Theme, Visit, Visiting, composer, expect, in_browser_loop, violations
from tests.e2e.tool_desk import able, calls, change
from tests.media.conftest import MODELS, audio_nodes

from portal.core.model import TextDelta
from portal.testing.comfyui_jobs import Painter
from portal.testing.comfyui_server import ComfyFault, ComfyUIServer
from portal.testing.media_files import wav

pytestmark = in_browser_loop


class Sounding(Painter):
    def sound(self) -> bytes:
        return wav()


def comfyui() -> ComfyUIServer:
    models = {**MODELS, "ckpt_name": ["sd_xl_base_1.0.safetensors", "ace_step_v1_3.5b.safetensors"]}
    return ComfyUIServer(models=models, nodes=audio_nodes(), painter=Sounding())


def engine(comfy: ComfyUIServer) -> dict[str, object]:
    return {"media": {"engines": [{"kind": "comfyui", "url": comfy.url}]}}


async def test_a_picture_is_made_in_a_chat_and_kept_in_the_gallery(visiting: Visiting, tmp_path: Path) -> None:
    backend = able()
    async with (
        comfyui() as comfy,
        visiting(backend=backend, toolsets=None, settings=engine(comfy)) as visit,
    ):
        page = visit.page
        comfy.hold()
        backend.script(*calls(change("make_image", prompt="a red barn at dawn", size="640x448")))
        backend.script(TextDelta("Here it is."))
        backend.script(*calls(change("make_music", prompt="slow piano")))
        backend.script(TextDelta("Listen."))
        await page.goto(f"{visit.portal.url}/?model=auto-image")
        await visit.ask("Paint a red barn")
        await expect(page.get_by_role("img", name="What it looks like so far")).to_be_visible()
        await expect(page.get_by_role("progressbar", name="percent done")).to_be_visible()
        await page.screenshot(path=tmp_path / "going.png")
        assert await violations(page) == []
        comfy.release()
        await expect(page.get_by_role("img", name="a-red-barn-at-dawn-1.png")).to_be_visible()
        await expect(page.get_by_role("region", name="Conversation").get_by_text("Here it is.")).to_be_visible()
        await page.goto(f"{visit.portal.url}/?model=auto-music")
        await visit.ask("Play something slow")
        await expect(page.locator("audio")).to_have_attribute("aria-label", "slow-piano-1.wav")
        await page.screenshot(path=tmp_path / "sound.png")
        backend.script(*calls(change("make_video", prompt="waves")))
        backend.script(TextDelta("Watch."))
        await page.goto(f"{visit.portal.url}/?model=auto-video")
        await visit.ask("Film the sea")
        await expect(page.locator("video[controls]")).to_have_attribute("aria-label", "waves-1.mp4")

        comfy.fail(ComfyFault.OUT_OF_MEMORY)
        body = {"kind": "image", "values": {"prompt": "a very large mural", "width": 640, "height": 448}}
        await visit.post("/portal/v1/media/jobs", body)
        await comfy.wait_idle()
        await page.get_by_role("navigation").get_by_role("link", name="Gallery").click()
        tiles = page.locator(".media-tile")
        await expect(tiles).to_have_count(4)
        await page.get_by_text("Pictures", exact=True).click()
        await expect(tiles).to_have_count(2)
        await expect(tiles.locator("img")).to_have_attribute("src", re.compile("/thumbnail$"))
        assert await tiles.locator("img").evaluate("async (image) => (await image.decode(), image.naturalWidth)") == 480
        await tiles.first.focus()
        await page.keyboard.press("ArrowRight")
        await expect(tiles.nth(1)).to_be_focused()
        assert await violations(page) == []
        await page.screenshot(path=tmp_path / "gallery.png")
        await page.keyboard.press("Enter")
        await expect(page.locator(".media-prompt")).to_have_text("a red barn at dawn")
        await expect(page.locator(".media-facts")).to_contain_text("sdxl")
        assert await violations(page) == []
        await page.screenshot(path=tmp_path / "one.png")
        await _made_again(visit, comfy)


async def _made_again(visit: Visit, comfy: ComfyUIServer) -> None:
    page, first = visit.page, visit.page.url
    await page.get_by_role("button", name="Again").click()
    await page.wait_for_url(lambda url: url != first)
    await expect(page.get_by_role("button", name="Vary")).to_be_visible()
    assert comfy.prompts[-1]["sampler"]["inputs"]["seed"] != comfy.prompts[0]["sampler"]["inputs"]["seed"]
    comfy.hold()
    await page.get_by_role("button", name="Vary").click()
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await comfy.wait_running()
    assert comfy.prompts[-1]["sampler"]["inputs"]["denoise"] == 0.5
    await page.get_by_role("button", name="Stop").click()
    await comfy.wait_idle()
    comfy.release()
    await page.goto(first)
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_label("What is to be seen or heard").fill("a blue barn")
    await page.get_by_role("button", name="Make it").click()
    await expect(page.locator(".media-prompt")).to_have_text("a blue barn")
    await expect(page.get_by_role("button", name="Vary")).to_be_visible()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.locator(".media-tile").first).to_be_visible()
    await expect(page.get_by_text("a blue barn")).to_have_count(0)


async def test_where_nothing_is_installed_the_page_says_what_to_do(visiting: Visiting, tmp_path: Path) -> None:
    themes: list[tuple[tuple[int, int], Theme]] = [(WIDE, "dark"), (NARROW, "light")]
    for size, theme in themes:
        async with (
            ComfyUIServer() as comfy,
            visiting(settings=engine(comfy), size=size, theme=theme, at="/gallery") as visit,
        ):
            await expect(visit.page.get_by_text("flux1-schnell-fp8.safetensors (17.2 GB")).to_be_visible()
            assert await violations(visit.page) == []
            await visit.page.goto(f"{visit.portal.url}/gallery/media_gone")
            await expect(visit.page.get_by_text("This is not here.")).to_be_visible()
            await visit.page.goto(visit.portal.url)
            await expect(composer(visit.page)).to_be_visible()


async def test_of_a_long_gallery_only_what_is_near_exists(visiting: Visiting) -> None:
    async with comfyui() as comfy, visiting(settings=engine(comfy), size=NARROW) as visit:
        from portal.testing.records import media_job

        jobs = [
            media_job(owner=visit.portal.owner, status="cancelled", values={"prompt": f"no {at}"}) for at in range(150)
        ]
        for job in jobs:
            await visit.portal.portal.storage.media_jobs.add(job)
        page = visit.page
        await page.goto(f"{visit.portal.url}/gallery")
        tiles = page.locator(".media-tile")
        await expect(tiles.first).to_contain_text("no 149")
        assert await tiles.count() < 60
        await tiles.first.focus()
        last = page.get_by_text("no 0", exact=True)
        while not await last.is_visible():  # each time the end is as far as the list has been fetched
            await page.keyboard.press("End")
            await page.wait_for_function("document.activeElement.matches('.media-tile')")
        assert await tiles.count() < 60
