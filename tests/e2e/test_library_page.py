"""Three hundred documents of many formats dropped on the page, ten questions, and every citation followed."""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
from fpdf import FPDF
from playwright.async_api import Page
from tests.e2e.browser import IN_FULL, Visit, Visiting, expect, in_browser_loop
from tests.e2e.test_knowledge_page import drop

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.model import ModelRequest, TextDelta
from portal.knowledge.minilm import MiniLM

pytestmark = [in_browser_loop, *IN_FULL]

COUNT = 300
BROKEN = {"broken.pdf": b"%PDF-1.4 nothing of the kind", "broken.docx": b"PK\x03\x04 nothing of the kind"}
TOPICS = ("roof tiles", "orchard pears", "ferry times", "violin strings", "bread ovens", "night trains", "sea charts")


def text(said: str) -> bytes:
    return said.encode()


def word(said: str) -> bytes:
    file, out = docx.Document(), io.BytesIO()
    file.add_heading("Notes", 1)
    file.add_paragraph(said)
    file.save(out)
    return out.getvalue()


def sheet(said: str) -> bytes:
    file, out = openpyxl.Workbook(), io.BytesIO()
    file.active.append(["Subject", "Remark"])
    file.active.append(["House", said])
    file.save(out)
    return out.getvalue()


def slides(said: str) -> bytes:
    file, out = pptx.Presentation(), io.BytesIO()
    slide = file.slides.add_slide(file.slide_layouts[1])
    slide.shapes.title.text = "Overview"
    slide.placeholders[1].text = said
    file.save(out)
    return out.getvalue()


def pdf(said: str) -> bytes:
    """On its second page."""
    file = FPDF()
    file.set_font("Helvetica", size=11)
    for page in ("This page is about the garden and nothing else. " * 12, said):
        file.add_page()
        file.multi_cell(0, 6, page)
    return bytes(file.output())


def mail(said: str) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "About the house", "a@example.org", "b@example.org"
    message.set_content(said)
    return bytes(message)


def archive(said: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("inside/letter.txt", said)
    return out.getvalue()


MAKERS: dict[str, Callable[[str], bytes]] = {
    "txt": text,
    "md": lambda said: text(f"# Notes\n\n{said}\n"),
    "html": lambda said: text(f"<html><body><h1>Notes</h1><p>{said}</p></body></html>"),
    "csv": lambda said: text(f'subject,remark\nhouse,"{said}"\n'),
    "json": lambda said: text(f'{{"subject": "house", "remark": "{said}"}}'),
    "docx": word,
    "xlsx": sheet,
    "pptx": slides,
    "pdf": pdf,
    "eml": mail,
    "zip": archive,
}
ASKED = {
    "txt": ("What is the code of the front door?", "The front door opens with the code 4821."),
    "md": ("Who repairs the boiler?", "The boiler is repaired by the firm Hollander."),
    "html": ("When is rubbish collected?", "Rubbish is collected on Thursday mornings."),
    "csv": ("How much is the monthly rent?", "The monthly rent is 940 crowns."),
    "docx": ("Where is the spare key hidden?", "The spare key is hidden under the third flowerpot."),
    "xlsx": ("Which paint was used in the kitchen?", "The kitchen walls were painted with the colour Sandbank 12."),
    "pptx": ("How many guests may stay overnight?", "At most six guests may stay overnight."),
    "pdf": ("What is the password of the wireless network?", "The wireless network has the password tangerine."),
    "eml": ("When does the plumber come?", "The plumber comes on the ninth of October."),
    "zip": ("What is the name of the landlord's dog?", "The landlord's dog is named Bartholomew."),
}


def fill(folder: Path) -> Path:
    """As many as 300 files in several folders, ten of which answer a question, and two that are damaged."""
    kinds = list(MAKERS)
    for number in range(COUNT - len(ASKED) - len(BROKEN)):
        place = folder / f"box {number % 5}"
        place.mkdir(parents=True, exist_ok=True)
        topic, kind = TOPICS[number % len(TOPICS)], kinds[number % len(kinds)]
        said = f"Remark {number} is about {topic}: lot {number * 7} was looked at and found in good order."
        (place / f"remark-{number}.{kind}").write_bytes(MAKERS[kind](said))
    for kind, (_, said) in ASKED.items():
        (folder / f"house.{kind}").write_bytes(MAKERS[kind](said))
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    return folder


def answer(request: ModelRequest) -> Sequence[Step]:
    """From the one passage that answers, by its number; as a model does that reads what it is told."""
    asked, told = str(request.messages[-1]["content"]), str(request.messages[0]["content"])
    said = next(said for question, said in ASKED.values() if question in asked)
    numbers = [match[1] for match in re.finditer(r"(?s)\[(\d+)\](.*?)(?=\n\[\d+\]|\Z)", told) if said in match[2]]
    return [TextDelta(f"{said} [{numbers[0]}]" if numbers else "I do not know.")]


async def follow(visit: Visit, page: Page, kind: str) -> None:
    """Ask, open the citation, and see the passage marked at its place."""
    question, said = ASKED[kind]
    await page.goto(visit.portal.url + "/?model=auto")
    await visit.ask(question)
    number = page.get_by_role("link", name=f"Source 1: house.{kind}")
    await expect(page.locator(".md").last).to_contain_text(said)
    await number.click()
    pane = page.get_by_role("complementary", name="Details")
    await expect(pane.locator(".is-cited")).to_contain_text(said)
    await expect(pane.locator(".is-cited")).to_be_in_viewport()
    if kind == "pdf":
        await pane.get_by_role("button", name="As printed: Page 2").click()
        await expect(pane.get_by_role("img", name="Page 2")).to_have_js_property("complete", True)


async def test_three_hundred_documents_ten_questions_every_citation(visiting: Visiting, tmp_path: Path) -> None:
    folder = fill(tmp_path / "house papers")
    backend = ScriptedBackend(models=["tiny"], default=answer)
    async with visiting(backend=backend, embedder=MiniLM()) as visit:
        page = visit.page
        await page.goto(visit.portal.url + "/knowledge")
        await drop(page, ".drop-place", folder)
        await expect(page.get_by_role("heading", name=f"Documents {COUNT}")).to_be_visible(timeout=300_000)
        await expect(page.get_by_role("radio", name=re.compile("^(Waiting|Reading)"))).to_have_count(0, timeout=600_000)
        await page.get_by_role("radio", name=f"Failed {len(BROKEN)}").check()
        await expect(page.locator(".document-error")).to_have_count(len(BROKEN))
        for kind in ASKED:
            await follow(visit, page, kind)
