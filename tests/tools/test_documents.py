"""Documents of many kinds, read, converted and made."""

import asyncio
import email.message
import io
import shutil
import zipfile
from pathlib import Path

import pypdf
import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.tools.office import markdown, pages
from portal.tools.programs import find, run

FILES = Path(__file__).parent / "files"
needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="NOT RUN: needs tesseract-ocr")
needs_pandoc = pytest.mark.skipif(not shutil.which("pandoc"), reason="NOT RUN: needs pandoc")
needs_office = pytest.mark.skipif(not shutil.which("soffice"), reason="NOT RUN: needs LibreOffice")


@pytest.fixture
def documents(tmp_path: Path) -> Toolset:
    return family("documents", tmp_path, tools={"folders": [FILES]})


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


def picture(text: str) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (900, 160), "white")
    ImageDraw.Draw(image).text((30, 40), text, fill="black", font=ImageFont.load_default(size=60))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("report.docx", ["# Pears", "harvest was good", "| 2026"]), ("slides.pptx", ["Pears on a slide", "Sweet"]),
     ("shop.xlsx", ["Pear", "Rome"])],
)  # fmt: skip
async def test_office_documents_are_read(documents: Toolset, talk: ToolContext, name: str, wanted: list[str]) -> None:
    said = (await call(documents, "read_document", talk, path=f"{FILES}/{name}")).text

    assert [word for word in wanted if word not in said] == []


async def test_mail_and_pages_are_read(documents: Toolset, talk: ToolContext) -> None:
    mail = email.message.EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = "Pears", "a@example.org", "b@example.org"
    mail.set_content("They are ripe.")
    (talk.folder / "mail.eml").write_bytes(bytes(mail))
    (talk.folder / "page.html").write_text("<h1>Figs</h1><p>Sweet</p>")

    assert "They are ripe." in (await call(documents, "read_document", talk, path="mail.eml")).text
    assert "Figs" in (await call(documents, "read_document", talk, path="page.html")).text


async def test_a_pdf_is_made_and_read_by_page(documents: Toolset, talk: ToolContext) -> None:
    long = "\n\n".join(f"Paragraph {number} of the harvest." for number in range(120))
    table, code, items = "| a | b |\n|---|---|\n| 1 | 2 |", "```\ncode α\n```", "- *one*\n- **two**"
    text = "\n\n".join(["# Größe 中 Ω", long, table, code, items, "The end"])
    made = await call(documents, "make_document", talk, content=text, save_as="long.pdf")
    whole = await call(documents, "read_document", talk, path="long.pdf")
    second = await call(documents, "read_document", talk, path="long.pdf", pages="2")
    both = await call(documents, "read_document", talk, path="long.pdf", pages="1-2")
    told = await call(documents, "document_info", talk, path="long.pdf")

    assert made.files[0].name == "long.pdf"
    assert "Größe" in whole.text
    assert "The end" in whole.text
    assert second.text.startswith("[page 2]\nParagraph")
    assert "Paragraph 0 of" not in second.text
    assert both.text.startswith("[page 1]\n")
    assert "kind: application/pdf" in told.text
    assert "pages: " in told.text
    assert "no such page" in await refusal(documents, "read_document", talk, path="long.pdf", pages="99")
    assert "a range such as" in await refusal(documents, "read_document", talk, path="long.pdf", pages="last")
    assert "no such page" in await refusal(documents, "read_document", talk, path=f"{FILES}/report.docx", pages="5")


async def test_what_a_document_says_of_itself(documents: Toolset, talk: ToolContext) -> None:
    told = (await call(documents, "document_info", talk, path=f"{FILES}/report.docx")).text

    assert "title: Report on pears" in told
    assert "A. Grower" in told
    assert "words: " in told


async def test_a_pdf_fetches_and_reads_nothing(documents: Toolset, talk: ToolContext) -> None:
    evil = '![x](file:///etc/passwd) <img src="http://127.0.0.1:9/x.png"> [link](https://example.org)'
    (talk.folder / "evil.html").write_text('<p>Words</p><img src="http://127.0.0.1:9/x.png"><img src="/etc/passwd">')
    (talk.folder / "evil.md").write_text(evil)

    for name in ("evil.html", "evil.md"):
        made = await call(documents, "make_document", talk, path=name, save_as=f"{name}.pdf")
        assert made.files[0].data.startswith(b"%PDF")
    too_long = await refusal(documents, "make_document", talk, content="x" * 1_000_001, save_as="long.pdf")
    assert "too long" in too_long
    assert "nothing to put" in await refusal(documents, "make_document", talk)


def test_a_pdf_without_a_font_of_many_letters() -> None:
    content = markdown.parse("# Größe 中\n\n`code`", lambda source, caption: None)
    assert pages.write(content, places=()).startswith(b"%PDF")
    assert pages.write(content, places=("/no/such/folder",)).startswith(b"%PDF")


async def test_what_cannot_be_read(documents: Toolset, talk: ToolContext) -> None:
    (talk.folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")
    (talk.folder / "bad.docx").write_bytes(b"PK nothing")
    (talk.folder / "empty.txt").write_text(" ")
    (talk.folder / "list.txt").write_text("/etc/passwd\n")

    assert "cannot be read" in await refusal(documents, "read_document", talk, path="bad.pdf")
    assert "cannot be read" in await refusal(documents, "document_info", talk, path="bad.docx")
    assert "It holds no text" in (await call(documents, "read_document", talk, path="empty.txt")).text
    assert "language" in await refusal(documents, "recognise_text", talk, path="bad.pdf", language="--psm 3")


@needs_tesseract
async def test_text_in_pictures_is_recognised(documents: Toolset, talk: ToolContext) -> None:
    from PIL import Image

    (talk.folder / "a.png").write_bytes(picture("Seven pears"))
    Image.open(io.BytesIO(picture("Eight figs"))).save(talk.folder / "scan.pdf")
    Image.new("RGB", (200, 200), "white").save(talk.folder / "white.png")
    (talk.folder / "list.txt").write_text(f"{talk.folder}/a.png\n")
    (talk.folder / "bad.pdf").write_bytes(b"%PDF-1.7 nothing")

    assert "Seven pears" in (await call(documents, "recognise_text", talk, path="a.png")).text
    assert "Eight figs" in (await call(documents, "recognise_text", talk, path="scan.pdf")).text
    assert "recognise_text" in (await call(documents, "read_document", talk, path="scan.pdf")).text
    assert "No text" in (await call(documents, "recognise_text", talk, path="white.png")).text
    assert "neither" in await refusal(documents, "recognise_text", talk, path="list.txt")
    assert "cannot be read" in await refusal(documents, "recognise_text", talk, path="bad.pdf")
    assert "tesseract could not" in await refusal(documents, "recognise_text", talk, path="a.png", language="xyz")


@needs_pandoc
async def test_documents_are_converted(documents: Toolset, talk: ToolContext) -> None:
    (talk.folder / "a.md").write_text("# Pears\n\nRipe.\n\n![x](/etc/passwd)\n")
    (talk.folder / "css.md").write_text("---\ntitle: A\ncss: /etc/passwd\n---\n# Pears\n")
    (talk.folder / "bad.docx").write_bytes(b"PK nothing")

    markdown = await call(documents, "convert_document", talk, path=f"{FILES}/report.docx", to="md")
    word = await call(documents, "convert_document", talk, path="a.md", to="docx")
    book = await call(documents, "convert_document", talk, path="a.md", to="epub")
    printed = await call(documents, "convert_document", talk, path="a.md", to="pdf")

    assert b"harvest was good" in markdown.files[0].data
    assert word.files[0].name == "a.docx"
    assert "Ripe" in (await call(documents, "read_document", talk, path="a.docx")).text
    assert "Ripe" in (await call(documents, "read_document", talk, path="a.epub")).text
    assert book.files[0].data.startswith(b"PK")
    assert printed.files[0].data.startswith(b"%PDF")
    for made in (word, book):
        with zipfile.ZipFile(io.BytesIO(made.files[0].data)) as file:
            assert [name for name in file.namelist() if b"root:" in file.read(name)] == []
    assert "/etc/passwd not found" in await refusal(documents, "convert_document", talk, path="css.md", to="epub")
    assert "pandoc could not" in await refusal(documents, "convert_document", talk, path="bad.docx", to="odt")


@needs_office
async def test_office_documents_are_printed(documents: Toolset, talk: ToolContext) -> None:
    printed = await call(documents, "convert_document", talk, path=f"{FILES}/report.docx", to="pdf")

    assert printed.files[0].data.startswith(b"%PDF")


@needs_office
async def test_libreoffice_loads_nothing_that_a_document_names(documents: Toolset, talk: ToolContext) -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        inside = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        (talk.folder / "words.odt").write_text(_flat("text", _WORDS.format(inside=inside)), encoding="utf-8")
        (talk.folder / "cells.ods").write_text(_flat("spreadsheet", _CELLS.format(inside=inside)), encoding="utf-8")
        for name in ("words.odt", "cells.ods"):
            printed = await call(documents, "convert_document", talk, path=name, to="pdf")
            (page,) = pypdf.PdfReader(io.BytesIO(printed.files[0].data)).pages
            assert "Hello" in page.extract_text()

    assert asked == []


_WORDS = """<text:p>Hello <draw:frame svg:width="3cm" svg:height="3cm" text:anchor-type="as-char">
<draw:image xlink:href="{inside}/a.png" xlink:type="simple" xlink:actuate="onLoad"/></draw:frame></text:p>
<text:section text:name="S"><text:section-source xlink:href="{inside}/b.txt" text:filter-name="Text"/>
<text:p>old</text:p></text:section>"""
_CELLS = """<table:table table:name="A"><table:table-row><table:table-cell office:value-type="string">
<text:p>Hello</text:p></table:table-cell><table:table-cell
table:formula="of:=COM.MICROSOFT.WEBSERVICE(&quot;{inside}/c&quot;)"/></table:table-row></table:table>
<table:table table:name="B"><table:table-source xlink:href="{inside}/d.ods" xlink:type="simple" table:table-name="A"/>
<table:table-row><table:table-cell/></table:table-row></table:table>"""


def _flat(kind: str, body: str) -> str:
    """An OpenDocument file in one piece."""
    parts = ("office", "text", "draw:drawing", "table", "svg:svg-compatible")
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = [f'xmlns:{one.partition(":")[0]}="{urn}:{one.rpartition(":")[2]}:1.0"' for one in parts]
    spaces += ['xmlns:xlink="http://www.w3.org/1999/xlink"', 'xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2"']
    mime = f'office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.{kind}"'
    inner = f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
    return f'<?xml version="1.0" encoding="UTF-8"?><office:document {" ".join(spaces)} {mime}>{inner}</office:document>'


async def test_programs_that_are_missing_fail_or_hang(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="needs no-such-program, which is not installed: apt install it"):
        find(["no-such-program"], "apt install it")
    with pytest.raises(ToolError, match="sh could not do it: oh no"):
        await run(["/bin/sh", "-c", "echo oh no >&2; exit 3"], folder=tmp_path, seconds=10)
    with pytest.raises(ToolError, match="exit code 3"):
        await run(["/bin/sh", "-c", "exit 3"], folder=tmp_path, seconds=10)
    with pytest.raises(ToolError, match="longer than"):
        await run(["/bin/sleep", "60"], folder=tmp_path, seconds=0.2)
    assert b"SECRET" not in await run(["/usr/bin/env"], folder=tmp_path, seconds=10)
