"""Files on the page: cards with players and previews in a conversation, and the list of one's files."""

import io
import wave
from pathlib import Path

from tests.e2e.browser import NARROW, Visiting, expect, in_browser_loop, violations
from tests.e2e.tool_desk import able, calls, change
from tests.tools.loopback import family

from portal.core.model import TextDelta
from portal.core.tools import ToolFile, ToolResult
from portal.tools.function import Functions, tool

pytestmark = in_browser_loop

TEXT = """# Harvest

The harvest was **good**. <img src=x onerror=alert(1)>

| Fruit | Tonnes |
|---|---:|
| Pears | 12 |
"""


@tool(risk="read")
async def make_tone() -> ToolResult:
    """Make a tone."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(bytes(range(256)) * 30)
    return ToolResult(text="Beep.", files=(ToolFile(name="tone.wav", content_type="audio/wav", data=out.getvalue()),))


async def test_made_and_attached_files_are_cards_and_listed(visiting: Visiting, tmp_path: Path) -> None:
    backend = able()
    made = [change("make_document", content=TEXT, save_as=f"harvest.{kind}") for kind in ("docx", "pdf")]
    backend.script(*calls(*made))
    backend.script(TextDelta("Here they are."))
    backend.script(*calls(change("make_tone")))
    backend.script(TextDelta("I hear it."))
    tools = [family("documents", tmp_path), Functions("sound", [make_tone])]
    async with visiting(backend=backend, toolsets=tools, at="/?model=auto") as visit:
        page = visit.page
        await visit.ask("Make me a document of it")
        await expect(page.locator(".answer").get_by_text("Here they are.")).to_be_visible()
        await expect(page.locator(".file-small")).to_be_visible()
        await page.get_by_role("button", name="Preview harvest.docx").click()
        pane = page.get_by_role("complementary", name="Details")
        await expect(pane.get_by_role("table")).to_contain_text("Pears")
        await expect(pane.locator("img")).to_have_count(0)
        assert await violations(page) == []
        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="harvest.docx").click()
        assert (await downloading.value).suggested_filename == "harvest.docx"
        await page.get_by_role("button", name="Preview harvest.pdf").click()
        framed = await page.evaluate("navigator.pdfViewerEnabled")
        await expect(pane.locator("iframe" if framed else ".file-words")).to_be_visible()

        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Attach files").click()
        note = {"name": "note.md", "mimeType": "text/markdown", "buffer": b"# A note"}
        await (await chooser.value).set_files(note)  # type: ignore[arg-type]
        await visit.ask("Sing this")
        await expect(page.locator(".answer").get_by_text("I hear it.")).to_be_visible()
        await page.get_by_role("button", name="Preview note.md").click()
        await expect(pane.get_by_role("heading", name="A note")).to_be_visible()
        player = page.locator("audio.file-player")
        await expect(player).to_be_visible()
        await page.wait_for_function("document.querySelector('audio.file-player').readyState > 0")
        assert await player.evaluate("one => { one.currentTime = 0.5; return one.duration; }") > 0.9

        await page.goto(f"{visit.portal.url}/settings/files")
        rows = page.get_by_role("list", name="Files", exact=True).get_by_role("listitem")
        await expect(rows).to_have_count(4)
        await expect(page.get_by_text("4 files,")).to_be_visible()
        await page.get_by_role("combobox", name="Kind").select_option("documents")
        await expect(rows).to_have_count(3)
        await page.get_by_role("searchbox", name="Find by name").fill("PDF")
        await expect(rows).to_have_count(1)
        await page.get_by_role("button", name="Delete harvest.pdf").click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await expect(page.get_by_text("No file fits.")).to_be_visible()
        await expect(page.get_by_text("3 files,")).to_be_visible()
        await page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
        await page.get_by_role("searchbox", name="Find by name").fill("")
        assert await violations(page) == []
        assert visit.problems == []
