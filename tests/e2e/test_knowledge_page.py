"""Knowledge on the page: folders dropped and read, found, read at the place, cited in answers, corrected, gone."""

import asyncio
import io
import os
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest
from fpdf import FPDF
from playwright.async_api import Page
from tests.e2e.browser import (
    IN_FULL,
    NARROW,
    WIDE,
    Theme,
    Visit,
    Visiting,
    composer,
    expect,
    in_browser_loop,
    violations,
)
from tests.knowledge.bag import BagEmbedder

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.model import ModelInfo, ModelRequest, TextDelta
from portal.testing.scripted_speech import ScriptedTranscriber

pytestmark = in_browser_loop

HANDBOOK = """# Handbook

## Doors

The door code is 4821. It changes every spring, and only the caretaker may tell it to guests of the house.

## Heating

The heating is set to 20 degrees from October until the end of April, and to 16 degrees during the night.
"""
FILLER = "Chapter {0} tells of the roof number {0}, of its tiles, gutters and chimneys, at some length. " * 12
WIDTH = "Math.max(document.documentElement.scrollWidth, document.querySelector('.page')?.scrollWidth ?? 0)"


def papers(folder: Path, *, notes: int = 2) -> Path:
    """A folder of real files: a long one, some short ones, one that is damaged, and one nobody wants."""
    (folder / "notes").mkdir(parents=True)
    chapters = "\n\n".join(f"## Chapter {number}\n\n{FILLER.format(number)}" for number in range(30))
    (folder / "handbook.md").write_text(f"{HANDBOOK}\n{chapters}\n\n## Last\n\nThe end of the book is purple.\n")
    for number in range(notes):
        (folder / f"notes/note-{number:03}.txt").write_text(f"Note {number} is about meeting {number} in the garden.")
    (folder / "damaged.pdf").write_bytes(b"%PDF-1.4 nothing of the kind")
    (folder / ".hidden").write_text("not for reading")
    return folder


def answer(request: ModelRequest) -> Sequence[Step]:
    """By what is asked last."""
    asked = str(request.messages[-1].get("content"))
    if "code" in asked:
        return [TextDelta("The door code is **4821** [1].\n\nAsk the caretaker.")]
    return [TextDelta("I would rather not say.")]


async def add(visit: Visit, folder: Path, *, documents: int) -> None:
    """A new collection of a folder, once all of it has been looked at."""
    page = visit.page
    await page.goto(visit.portal.url + "/knowledge")
    await page.locator("input[webkitdirectory]").set_input_files(folder)
    await expect(page.get_by_role("heading", name=f"Documents {documents}")).to_be_visible()
    await expect(page.get_by_role("group", name="Sending files")).to_have_count(0)
    await expect(page.get_by_text("Waiting", exact=True)).to_have_count(0)


async def drop(page: Page, target: str, *paths: Path) -> None:
    """As a person's hand does it, folders included."""
    session = await page.context.new_cdp_session(page)
    box = await page.locator(target).bounding_box()
    assert box is not None
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        where = {"x": box["x"] + 20, "y": box["y"] + 20}
        await session.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})
        if kind == "dragOver":
            await expect(page.locator(".drop")).to_be_visible()
    await session.detach()


async def test_a_dropped_folder_is_read_found_and_opened_at_the_place(visiting: Visiting, tmp_path: Path) -> None:
    folder = papers(tmp_path / "house")
    async with visiting() as visit:
        page = visit.page
        await page.get_by_role("link", name="Knowledge").click()
        await expect(page.get_by_role("heading", name="Let answers rest on your documents")).to_be_visible()
        await drop(page, ".drop-place", folder)
        await expect(page.get_by_role("heading", name="house")).to_be_visible()
        await expect(page.get_by_role("heading", name="Documents 4")).to_be_visible()
        damaged = page.get_by_role("listitem").filter(has_text="damaged.pdf")
        await expect(damaged.get_by_role("button", name="Try again: damaged.pdf")).to_be_visible()
        await expect(damaged).to_contain_text("save it again")
        await expect(page.get_by_role("listitem").filter(has_text="note-001.txt")).to_contain_text("house/notes")
        assert not await page.get_by_text(".hidden").count()

        await page.get_by_role("searchbox", name="Search this collection").fill("purple books")
        hit = page.get_by_role("link", name="handbook.md").first
        await expect(hit.locator("mark").first).to_have_text("book")
        await hit.click()
        cited = page.locator(".is-cited")
        await expect(cited).to_contain_text("The end of the book is purple.")
        await expect(cited).to_be_in_viewport()
        await page.reload()
        await expect(page.locator(".is-cited")).to_be_in_viewport()
        await page.locator(".page").evaluate("element => element.scrollTo(0, 0)")
        await expect(page.get_by_text("The door code is 4821.")).to_be_attached()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("searchbox", name="Search this collection")).to_have_value("purple books")


async def test_what_is_dropped_twice_is_kept_once(visiting: Visiting, tmp_path: Path) -> None:
    folder = papers(tmp_path / "house")
    async with visiting(at=None) as visit:
        await add(visit, folder, documents=4)
        await drop(visit.page, ".drop-place", folder / "handbook.md")
        await expect(visit.page.get_by_text("1 file is here already: it is kept once")).to_be_visible()
        await expect(visit.page.get_by_role("heading", name="Documents 4")).to_be_visible()


async def test_a_pdf_in_a_chat_is_read_cited_and_listed_apart(visiting: Visiting, tmp_path: Path) -> None:
    (tmp_path / "rules.pdf").write_bytes(pages("Bicycles stay in the yard.", "The code of the front door is 4821."))
    backend = ScriptedBackend(models=["tiny"], default=answer)
    async with visiting(backend=backend, embedder=BagEmbedder()) as visit:
        page = visit.page
        await page.locator("input[type=file]").set_input_files(tmp_path / "rules.pdf")
        await expect(page.get_by_role("button", name="Remove rules.pdf")).to_be_visible()
        await visit.ask("What is the code?")
        await expect(page.get_by_role("link", name="Open rules.pdf")).to_be_visible()
        await expect(page.locator(".md").last).to_contain_text("The door code is 4821")
        await expect(page.get_by_role("link", name="rules.pdf").last).to_be_visible()
        assert "front door is 4821" in str(backend.requests[-1].messages[0]["content"])
        assert "The file rules.pdf is attached" in str(backend.requests[-1].messages[-1]["content"])
        await page.goto(visit.portal.url + "/knowledge")
        await page.get_by_text("Files of 1 chat or folder").click()
        await expect(page.get_by_role("link", name="rules.pdf")).to_be_visible()
        assert await violations(page) == []


def sound() -> bytes:
    """A second of silence as a WAV file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    return out.getvalue()


async def test_a_recording_in_a_chat_is_listened_to(visiting: Visiting, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(sound())
    backend = ScriptedBackend(models=["tiny"], default=answer)
    ears = ScriptedTranscriber("The code of the front door is 4821.")
    async with visiting(backend=backend, embedder=BagEmbedder(), transcriber=ears) as visit:
        page = visit.page
        await page.locator("input[type=file]").set_input_files(tmp_path / "talk.wav")
        await visit.ask("What is the code?")
        await expect(page.locator(".md").last).to_contain_text("The door code is 4821")
        assert "front door is 4821" in str(backend.requests[-1].messages[0]["content"])
        await expect(page.locator(".question audio.file-player")).to_be_visible()
        while not await page.evaluate("document.querySelector('.question audio').readyState > 0"):
            await asyncio.sleep(0.05)


async def test_a_recording_that_nobody_here_hears(visiting: Visiting, tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(sound())
    async with visiting(transcriber=ScriptedTranscriber(refusal="Nothing here can listen: add the extra.")) as visit:
        await visit.page.locator("input[type=file]").set_input_files(tmp_path / "talk.wav")
        await visit.ask("What is the code?")
        said = visit.page.get_by_text("'talk.wav' is a recording. Nothing here can listen: add the extra.")
        await expect(said).to_be_visible()


async def test_a_page_of_a_pdf_is_named_where_it_is_found_cited_and_read(visiting: Visiting, tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "rules.pdf").write_bytes(pages("Bicycles stay in the yard.", "The code of the front door is 4821."))
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=answer), at=None) as visit:
        page = visit.page
        await add(visit, folder, documents=1)
        await page.get_by_role("searchbox", name="Search this collection").fill("front door")
        hit = page.get_by_role("link", name="rules.pdf").first
        await expect(hit).to_contain_text("Page 2")
        await hit.click()
        await expect(page.locator(".reader")).to_contain_text("Page 2")
        await page.get_by_role("button", name="As printed: Page 2").click()
        leaf = page.get_by_role("img", name="Page 2")
        await expect(leaf).to_have_js_property("complete", True)
        assert await leaf.evaluate("element => element.naturalWidth") > 500
        assert await violations(page) == []
        await page.goto(visit.portal.url + "/?model=auto")
        await visit.ask("What is the code of the front door?")
        await expect(page.get_by_role("link", name="Source 1: rules.pdf, page 2")).to_be_visible()
        await expect(page.get_by_role("list", name="Sources")).to_contain_text("p. 2")


def pages(*texts: str) -> bytes:
    """A PDF with a page for each text."""
    file = FPDF()
    file.set_font("Helvetica", size=11)
    for text in texts:
        file.add_page()
        file.multi_cell(0, 6, f"{text} " * 25)
    return bytes(file.output())


async def test_many_files_are_one_list(visiting: Visiting, tmp_path: Path) -> None:
    folder = papers(tmp_path / "many", notes=128)
    async with visiting(at="/knowledge") as visit:
        page = visit.page
        await page.locator("input[webkitdirectory]").set_input_files(folder)
        await expect(page.get_by_role("progressbar", name="Sending files")).to_be_visible()
        await page.get_by_role("link", name="Settings").click()
        await page.go_back()
        await expect(page.get_by_role("heading", name="Documents 130")).to_be_visible(timeout=120_000)
        rows = page.locator(".document")
        await page.wait_for_function("""() => {
            const list = document.querySelector(".page");
            list.scrollTo(0, list.scrollHeight);
            return document.querySelectorAll(".document").length === 130;
        }""")
        await page.get_by_role("radio", name="Failed 1").check()
        await expect(rows).to_have_count(1)


async def test_answers_are_tied_to_their_passages(visiting: Visiting, tmp_path: Path) -> None:
    folder = papers(tmp_path / "house")
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=answer), at=None) as visit:
        page = visit.page
        await add(visit, folder, documents=4)
        await page.goto(visit.portal.url + "/?model=auto")
        await visit.ask("What is the code of the door?")
        number = page.get_by_role("link", name="Source 1: handbook.md")
        await expect(number).to_have_text("1")
        await expect(page.get_by_role("list", name="Sources").get_by_role("link")).to_have_text("1handbook.md")
        await number.focus()
        await expect(page.locator(".cite-card")).to_contain_text("The door code is 4821.")
        await page.keyboard.press("Escape")
        await expect(page.locator(".cite-card")).to_have_count(0)
        await page.keyboard.press("Enter")
        pane = page.get_by_role("complementary", name="Details")
        await expect(pane.locator(".is-cited")).to_contain_text("The door code is 4821.")
        await page.keyboard.press("Escape")
        await expect(pane).to_have_count(0)
        await expect(number).to_be_focused()

        await page.get_by_text("Found 1 passage in 1 document").click()
        await page.locator(".found-list").get_by_role("link", name="handbook.md").click()
        await pane.get_by_role("link", name="Open the document").click()
        await expect(page.get_by_role("heading", level=1, name="handbook.md")).to_be_visible()
        await expect(page.locator(".is-cited")).to_be_in_viewport()
        await page.keyboard.press("Escape")
        await expect(number).to_be_visible()


async def test_an_answer_that_names_nothing_says_so(visiting: Visiting, tmp_path: Path) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=answer), at=None) as visit:
        page = visit.page
        await add(visit, papers(tmp_path / "house"), documents=4)
        await page.goto(visit.portal.url + "/?model=tiny")
        button = page.get_by_role("button", name="Documents to search")
        await button.click()
        await page.get_by_role("checkbox", name="house").check()
        await page.keyboard.press("Escape")
        await expect(button).to_be_focused()
        await visit.ask("Who may tell it to guests?")
        await expect(page.get_by_text("This answer names none of the passages")).to_be_visible()
        await page.reload()
        await expect(button).to_have_accessible_name("Documents to search: 1 collection")
        assert "caretaker" in str(visit.backend.requests[-1].messages)


async def test_a_citation_of_a_document_that_is_gone_says_so(visiting: Visiting, tmp_path: Path) -> None:
    async with visiting(backend=ScriptedBackend(models=["tiny"], default=answer), at=None) as visit:
        page = visit.page
        await add(visit, papers(tmp_path / "house"), documents=4)
        await page.goto(visit.portal.url + "/?model=auto")
        await visit.ask("What is the code of the door?")
        number = page.get_by_role("link", name="Source 1: handbook.md")
        address = await number.get_attribute("href")
        await page.goto(visit.portal.url + "/knowledge")
        await page.get_by_role("button", name="Delete house").click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        await expect(page.get_by_text("house deleted")).to_be_visible()
        await page.goto(f"{visit.portal.url}{address}")
        await expect(page.get_by_text("This document is not here any more.")).to_be_visible()
        visit.problems[:] = [each for each in visit.problems if "404" not in each]


async def test_collections_are_made_renamed_filled_and_emptied(visiting: Visiting, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("The first of all.")
    (tmp_path / "two.txt").write_text("The second of all.")
    async with visiting(at="/knowledge") as visit:
        page = visit.page
        await page.get_by_role("button", name="Begin with an empty collection").click()
        await page.get_by_label("Name", exact=True).fill("Things")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("Nothing is in here yet.")).to_be_visible()
        await page.get_by_role("button", name="More", exact=True).click()
        await page.get_by_role("menuitem", name="Rename").click()
        await page.get_by_label("Name", exact=True).fill("Good things")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1, name="Good things")).to_be_visible()
        await drop(page, ".drop-place", tmp_path / "one.txt")
        await expect(page.get_by_role("link", name="one.txt")).to_be_visible()

        await page.get_by_role("link", name="Knowledge").last.click()
        await drop(page, ".drop-place", tmp_path / "two.txt")
        await expect(page.get_by_role("radio", name="Good things")).to_be_checked()
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.get_by_role("link", name="two.txt")).to_be_visible()

        other = await visit.another(at=page.url.removeprefix(visit.portal.url))
        await expect(other.get_by_role("link", name="two.txt")).to_be_visible()
        await page.get_by_role("button", name="What to do with one.txt").click()
        await page.get_by_role("menuitem", name="Delete").click()
        await page.get_by_role("button", name="Delete", exact=True).click()
        for each in (page, other):
            await expect(each.get_by_role("link", name="one.txt")).to_have_count(0)
            await expect(each.get_by_role("heading", name="Documents 1")).to_be_visible()


async def test_a_watched_folder_is_mirrored(visiting: Visiting, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "early.txt").write_text("Here from the beginning.")
    async with visiting(settings={"knowledge": {"folders": [str(folder)], "watch_interval": 1}}, at=None) as visit:
        page = visit.page
        made = await visit.post("/v1/vector_stores", {"name": "House"})
        await page.goto(f"{visit.portal.url}/knowledge/{made['id']}")
        await page.get_by_role("button", name="Watch a place").click()
        await page.get_by_label("Folder or address to watch").fill("/nowhere at all")
        await page.get_by_role("button", name="Watch", exact=True).click()
        await expect(page.get_by_role("alert")).to_contain_text("/nowhere at all")
        await page.get_by_label("Folder or address to watch").fill(str(folder))
        await page.get_by_role("button", name="Watch", exact=True).click()
        await expect(page.get_by_role("link", name="early.txt")).to_be_visible()
        await expect(page.get_by_role("region", name="Watched places")).to_contain_text("1 file")
        await asyncio.to_thread((folder / "late.txt").write_text, "Here later.")
        await expect(page.get_by_role("link", name="late.txt")).to_be_visible()
        await page.get_by_role("button", name=f"Stop watching {os.fspath(folder)}").click()
        await page.get_by_role("button", name="Forget its documents").click()
        await expect(page.get_by_text("Nothing is in here yet.")).to_be_visible()
        visit.problems[:] = [each for each in visit.problems if "403" not in each]


async def test_files_that_cannot_be_sent_are_told_and_sent_again(visiting: Visiting, tmp_path: Path) -> None:
    async with visiting(settings={"server": {"max_upload": 3000}}) as visit:
        page = visit.page
        await add_one(visit, tmp_path / "big.txt", "x" * 5000)
        await expect(page.get_by_role("group", name="Sending files")).to_contain_text("Larger than 3 kB")
        await page.get_by_role("button", name="Dismiss").click()
        await page.context.set_offline(True)
        await add_one(visit, tmp_path / "small.txt", "small")
        await expect(page.get_by_role("group", name="Sending files")).to_contain_text("cannot be reached")
        await page.context.set_offline(False)
        await page.get_by_role("button", name="Send again").click()
        await expect(page.get_by_role("link", name="small.txt")).to_be_visible()
        visit.problems[:] = [each for each in visit.problems if "ERR_INTERNET_DISCONNECTED" not in each]


async def add_one(visit: Visit, path: Path, text: str) -> None:
    path.write_text(text)
    page = visit.page
    if "/knowledge" not in page.url:
        await page.goto(visit.portal.url + "/knowledge")
    await page.locator("input[type=file]").first.set_input_files(path)


async def test_a_workspace_looks_into_the_collections_it_names(visiting: Visiting) -> None:
    async with visiting(at=None) as visit:
        page = visit.page
        made = [await visit.post("/v1/vector_stores", {"name": name}) for name in ("House", "Boat")]
        await page.goto(visit.portal.url + "/workspaces/~new")
        await page.get_by_label("Title").fill("Landlady")
        await expect(page.get_by_role("checkbox", name="My memory")).to_be_checked()
        await page.get_by_role("checkbox", name="My memory").uncheck()
        await page.get_by_role("checkbox", name="House").check()
        await page.get_by_role("button", name="Create workspace").click()
        await expect(page).to_have_url(visit.portal.url + "/workspaces/landlady")
        await page.reload()
        await expect(page.get_by_role("checkbox", name="House")).to_be_checked()
        await expect(page.get_by_role("checkbox", name="Boat")).not_to_be_checked()
        await page.get_by_role("checkbox", name="My documents").uncheck()
        await expect(page.get_by_role("checkbox", name="House")).to_have_count(0)
        (saved,) = [each for each in visit.portal.portal.router.workspaces() if each.name == "landlady"]
        assert (list(saved.collections), saved.memory) == ([made[0]["id"]], False)


async def test_the_embedder_is_shown_and_changed(visiting: Visiting, tmp_path: Path) -> None:
    better = ModelInfo(id="bge-m3", backend="", capabilities=frozenset({"embeddings"}))
    backend = ScriptedBackend(models=["tiny", better])
    async with visiting(backend=backend, embedder=BagEmbedder(), at=None) as visit:
        page = visit.page
        await add(visit, papers(tmp_path / "house"), documents=4)
        await page.get_by_role("link", name="Knowledge").last.click()
        shown = page.get_by_role("region", name="How documents are found")
        await expect(shown).to_contain_text(f"with {BagEmbedder().name}.")
        await shown.get_by_role("button", name="Use bge-m3").click()
        await expect(shown).to_contain_text("by what they mean, with bge-m3")
        await expect(shown.get_by_role("button", name="Use bge-m3")).to_have_count(0)
        await expect(shown.get_by_role("progressbar")).to_have_count(0)
        await shown.get_by_text("Use another model for this").click()
        await shown.get_by_label("Embedding model").select_option(BagEmbedder().name)
        await shown.get_by_role("button", name="Change").click()
        await expect(shown).to_contain_text(f"with {BagEmbedder().name}.")
        assert await violations(page) == []


@pytest.mark.parametrize(
    ("size", "theme", "language"),
    [
        pytest.param(WIDE, "dark", "en", id="wide-dark-en", marks=IN_FULL),
        pytest.param(NARROW, "light", "de", id="narrow-light-de"),
    ],
)
async def test_it_fits_and_satisfies_axe(
    visiting: Visiting, tmp_path: Path, size: tuple[int, int], theme: Theme, language: str
) -> None:
    backend = ScriptedBackend(models=["tiny"], default=answer)
    async with visiting(backend=backend, size=size, theme=theme, at=None) as visit:
        page = visit.page
        found = {"empty": await looked_at(visit, "/knowledge", ".knowledge-empty")}
        await add(visit, papers(tmp_path / "house"), documents=4)
        await page.evaluate(f"localStorage.setItem('portal:language', '{language}')")
        collection = page.url.removeprefix(visit.portal.url)
        found["collection"] = await looked_at(visit, collection, ".document-error")
        found["search"] = await looked_at(visit, f"{collection}?q=door", ".hit mark")
        document = await page.locator(".hit-link").first.get_attribute("href")
        found["document"] = await looked_at(visit, str(document), ".is-cited")
        found["all"] = await looked_at(visit, "/knowledge", ".collection-link")
        await page.goto(visit.portal.url + "/?model=auto")
        await composer(page).fill("What is the code of the door?")
        await composer(page).press("Enter")
        await page.locator("a.cite").click()
        await expect(page.locator(".is-cited")).to_be_visible()
        found["citation"] = await violations(page)
        assert {state: each for state, each in found.items() if each} == {}


async def looked_at(visit: Visit, address: str, there: str) -> list[str]:
    await visit.page.goto(visit.portal.url + address)
    await expect(visit.page.locator(there).first).to_be_visible()
    viewport = visit.page.viewport_size
    assert viewport is not None
    assert await visit.page.evaluate(WIDTH) <= viewport["width"]
    return await violations(visit.page)
