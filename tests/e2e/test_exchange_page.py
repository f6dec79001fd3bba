"""Bringing in and taking along on the page: see what is in an export, say yes, go on with a conversation."""

import io
import zipfile
from pathlib import Path

import pytest
from tests.e2e.browser import IN_FULL, NARROW, WIDE, Theme, Visiting, expect, in_browser_loop, violations
from tests.exchange import samples

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta

pytestmark = in_browser_loop


@pytest.mark.parametrize(
    ("size", "theme"),
    [pytest.param(NARROW, "dark", id="narrow-dark"), pytest.param(WIDE, "light", id="wide-light", marks=IN_FULL)],
)
async def test_an_export_is_brought_in_and_gone_on_with(
    visiting: Visiting, size: tuple[int, int], theme: Theme
) -> None:
    big = ModelInfo(id="big", backend="scripted", capabilities=frozenset({"chat", "vision"}))
    backend = ScriptedBackend(models=[big])
    backend.script(TextDelta("You are welcome."))
    async with visiting(backend=backend, size=size, theme=theme, at=None) as visit:
        page = visit.page

        async def seen() -> list[str]:
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            return [*await violations(page), *([f"{wide}px too wide"] if wide > 0 else [])]

        await page.goto(f"{visit.portal.url}/settings/data")
        await expect(page.get_by_role("heading", name="Bring in")).to_be_visible()
        found = {"empty": await seen()}
        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Choose a file").click()
        export = {"name": "chatgpt-export.zip", "mimeType": "application/zip", "buffer": samples.chatgpt()}
        await (await chooser.value).set_files(export)  # type: ignore[arg-type]
        card = page.get_by_role("listitem", name="chatgpt-export.zip")
        await expect(card.get_by_text("Nothing has been brought in yet.")).to_be_visible()
        await expect(card.get_by_role("row", name="Messages 14 12 2")).to_be_visible()
        found["ready"] = await seen()
        await card.get_by_role("button", name="Bring it in").click()
        await expect(card.get_by_text("All that was found is accounted for.")).to_be_visible()
        await card.get_by_text("What is left out, and why").click()
        await expect(card.get_by_text("it only says how long the model thought")).to_be_visible()
        found["done"] = await seen()

        async with page.expect_file_chooser() as chooser:
            await page.get_by_role("button", name="Choose a file").click()
        wrong = {"name": "diary.txt", "mimeType": "text/plain", "buffer": b"Dear diary"}
        await (await chooser.value).set_files(wrong)  # type: ignore[arg-type]
        diary = page.get_by_role("listitem", name="diary.txt")
        await expect(diary.get_by_role("alert")).to_contain_text("no export that Portal knows")
        found["failed"] = await seen()
        await diary.get_by_role("button", name="Remove from list: diary.txt").click()
        await expect(diary).to_have_count(0)

        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="Export everything").click()
        path = await (await downloading.value).path()
        with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as archive:
            assert "conversations.jsonl" in archive.namelist()

        if size == NARROW:
            await page.get_by_role("button", name="Show the conversation list").click()
        await page.get_by_role("link", name="Baking rolls").click()
        await expect(page.locator(".answer").get_by_text("They are done.")).to_be_visible()
        await expect(page.locator(".answer img").last).to_be_attached()
        found["chat"] = await seen()
        await visit.ask("Thank you")
        await expect(page.locator(".answer").get_by_text("You are welcome.")).to_be_visible()
        assert "About 500 g" in str(backend.requests[-1].messages)

        await page.keyboard.press("Control+k")
        await page.get_by_role("option", name="Export this conversation").click()
        dialog = page.get_by_role("dialog", name="Export this conversation")
        await expect(dialog).to_be_visible()
        found["export"] = await seen()
        async with page.expect_download() as downloading:
            await dialog.get_by_role("link", name="Markdown").click()
        assert (await downloading.value).suggested_filename.endswith(".md")
        assert {name: bad for name, bad in found.items() if bad} == {}
        assert visit.problems == []
