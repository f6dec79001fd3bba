"""Real files of every kind, read as one text with structure."""

import io
import json
import mailbox
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from portal.core.clock import micros
from portal.core.documents import Extracted
from portal.core.items import JsonObject
from portal.errors import BadRequest, TooLarge
from portal.extras import add_command
from portal.knowledge.chunks import cut
from portal.knowledge.extract import Reader
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_kind import kind_of
from portal.knowledge.extract_pypdf import read_by_pypdf
from portal.knowledge.extract_reading import Reading
from portal.knowledge.extracting import run, unpacked
from portal.testing.scripted_speech import ScriptedTranscriber

FILES = Path(__file__).parents[1] / "tools" / "files"
needs_tesseract = pytest.mark.skipif(not shutil.which("tesseract"), reason="NOT RUN: needs tesseract-ocr")
needs_pandoc = pytest.mark.skipif(not shutil.which("pandoc"), reason="NOT RUN: needs pandoc")
needs_office = pytest.mark.skipif(not shutil.which("soffice"), reason="NOT RUN: needs LibreOffice")
FARM = """---
title: The farm
author: A. Grower
---

# Pears

The door code is 4821.

## Tools

- spade
- fork
    - small fork

| Year | Tons |
|------|------|
| 2025 | 10   |
| 2026 | 12   |

# Figs

They are sweet.
"""


async def read(content: bytes | str | Path, name: str, content_type: str = "", **reader: object) -> Extracted:
    data = content.encode() if isinstance(content, str) else content
    found = await Reader(**reader).read(data, name, content_type)  # type: ignore[arg-type]
    if not reader:  # in a process of its own or not is the same
        content_here = data.read_bytes() if isinstance(data, Path) else data
        assert Reading().read(content_here, name, content_type) == found
    for block in found.blocks:
        part = found.text[block.start : block.end]
        assert part
        assert part == part.strip("\n")
    return found


def parts(found: Extracted, kind: str) -> list[str]:
    return [found.text[block.start : block.end] for block in found.blocks if block.kind == kind]


def zipped(files: dict[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def picture(text: str, kind: str = "PNG") -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1000, 160), "white")
    ImageDraw.Draw(image).text((30, 40), text, fill="black", font=ImageFont.load_default(size=60))
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def converted(text: str, to: str, folder: Path) -> Path:
    made = folder / f"made.{to}"
    subprocess.run(["pandoc", "-s", "-f", "markdown", "-o", made, "-"], input=text.encode(), check=True)
    return made


async def test_markdown() -> None:
    more = (
        "\n<!-- a note\nfor nobody -->\n\nSet\n===\n\n1. one\n2. two\nwith more\n\n  indented\n\nText\nof two lines\n\n"
    )
    more += (
        "```py\n# code\n\nx = 1\n```\n\nUnder\n---\n\n* * *\n\n- item\n\nafter\n\n| a \\| b | c |\n|--|--|\n| 1 | 2 |"
    )
    found = await read(FARM + more, "farm.md")

    assert found.title == "The farm"
    assert found.metadata == {"title": "The farm", "author": "A. Grower"}
    assert parts(found, "heading") == ["# Pears", "## Tools", "# Figs", "# Set", "## Under"]
    assert parts(found, "list") == [
        "- spade\n- fork\n    - small fork",
        "1. one\n2. two with more\n  indented",
        "- item",
    ]
    assert parts(found, "table") == ["Year | Tons\n2025 | 10\n2026 | 12", "a | b | c\n1 | 2"]
    assert parts(found, "code") == ["# code\n\nx = 1"]
    assert parts(found, "text") == ["The door code is 4821.", "They are sweet.", "Text\nof two lines", "after"]
    assert parts(await read("---\nno end", "a.md"), "text") == ["no end"]


async def test_plain_text_and_code() -> None:
    found = await read("Title\n=====\n\nOne\ntwo\n\n\nThree\n\nSub\n---\nFour", "a.txt")
    code = await read("def f():\n    return 1\n\n\nx = f()\n", "a.py")

    assert parts(found, "heading") == ["# Title", "## Sub"]
    assert parts(found, "text") == ["One\ntwo", "Three", "Four"]
    assert code.text == "def f():\n    return 1\n\n\nx = f()"
    assert parts(await read("FROM x", "Dockerfile"), "code") == ["FROM x"]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("Größe 中".encode("utf-8-sig"), "Größe 中"),
        ("Größe 中".encode("utf-16"), "Größe 中"),
        ("Größe 中".encode("utf-16-be"), "Größe 中"),
        (b"\xfe\xff" + "Größe".encode("utf-16-be"), "Größe"),
        ("Größe 中".encode("utf-32"), "Größe 中"),
        ("A long plain line".encode("utf-16-le"), "A long plain line"),
        ("A long plain line".encode("utf-16-be"), "A long plain line"),
        ("Größe für".encode("latin-1"), "Größe für"),
        ("„Größe“ – 5 €".encode("cp1252"), "„Größe“ – 5 €"),
        (b"Gr\xc3\xb6\xc3\x9fe \xe2\x82 end", "Größe \ufffd end"),
        (b"a" * 99 + b"\0b\x07c\r\nd\re", "a" * 99 + "bc\nd\ne"),
    ],
)
async def test_encodings(data: bytes, wanted: str) -> None:
    if data == "Größe 中".encode("utf-16-be"):
        data = b"\xfe\xff" + data

    assert (await read(data, "a.txt")).text == wanted


async def test_a_stated_encoding() -> None:
    russian = "Груши и дом"

    assert (await read(russian.encode("koi8-r"), "a.txt", "text/plain; charset=koi8-r")).text == russian
    assert (await read(russian.encode("koi8-r"), "a.txt", "text/plain; charset=nonsense")).text != russian
    page = f'<html><head><meta charset="windows-1251"></head><body>{russian}</body></html>'
    assert (await read(page.encode("cp1251"), "a.html")).text == russian


async def test_html() -> None:
    found = await read(
        """<html><head><title>Farm</title><meta name="author" content="A. Grower"><style>p{}</style></head><body>
        <nav>Menu</nav><h1>Big <b>pears</b></h1><p>One\n line<br>and two</p>loose <i>words</i>
        <ul><li>one<ul><li>inner</li></ul></li><li><p>two</p><p>more</p></li></ul><ol><li>a<li>b</ol>
        <h2>In a list</h2><ul><li><h3>Head</h3>body</li></ul><dl><dt>term<dd>meaning</dl>
        <table><caption>Harvest</caption><tr><th>Name<th>Tons</tr><tr><td>Pear<td>3<br>4</tr></table>
        <table><tr><td><table><tr><td>layout</td></tr></table></td></tr></table><td>stray</td>
        <pre>  x = 1\n    y</pre><img alt="A tree"><script>evil()</script><div></div><table></table></body></html>""",
        "a.html",
    )

    assert found.title == "Farm"
    assert found.metadata == {"author": "A. Grower"}
    assert parts(found, "heading") == ["# Big pears", "## In a list", "### Head"]
    assert parts(found, "list")[:2] == ["- one\n  - inner\n- two\n  more", "1. a\n2. b"]
    assert parts(found, "table") == ["Name | Tons\nPear | 3 4"]
    assert parts(found, "code") == ["  x = 1\n    y"]
    assert "One line\nand two" in parts(found, "text")
    assert [
        word for word in ("loose words", "Harvest", "layout", "stray", "A tree", "meaning") if word not in found.text
    ] == []
    assert "evil" not in found.text
    assert "Menu" not in found.text
    assert (await read("<?xml version='1.0'?><html><body>yes</body></html>", "page")).text == "yes"
    assert (await read("<table><td>no row</td></table>", "a.htm")).text == "no row"


async def test_tables() -> None:
    comma = await read('Name,Town\nAnn,"Rome, Italy"\nBob,"two\nlines"\n\n\n1,2\n3,4\n', "a.csv")

    assert parts(comma, "table") == ["Name | Town\nAnn | Rome, Italy\nBob | two lines", "1 | 2\n3 | 4"]
    assert [block.body for block in comma.blocks] == [12, 0]
    assert (await read("a;b\nc;d", "a.csv")).text == "a | b\nc | d"
    assert (await read("a\tb\nc\td", "a", "text/tab-separated-values")).text == "a | b\nc | d"
    assert (await read("just a line", "a.csv")).text == "just a line"
    assert (await read("", "a.csv")).text == ""


async def test_json() -> None:
    record = (
        '{"name": "Ann", "at": {"town": "Rome", "tags": ["a", 1, true, null], "none": []}, "pets": [{"kind": "cat"}]}'
    )
    found = await read(record, "a.json")
    several = await read(f'[{record}, "word", [1, 2], []]', "a.json")
    lines = await read('{"a": 1}\n\nno json\n{"b": 2}\n' + "[" * 300, "a.jsonl")

    assert found.text == "name: Ann\nat.town: Rome\nat.tags: a, 1, true\n\n# pets\n\nkind: cat"
    assert "word\n\n1, 2" in several.text
    assert lines.text.startswith("a: 1\n\nno json\n\nb: 2\n\n[[[")
    cells = '[{"cell_type": "markdown", "source": ["# Head\\n", "words"]}, {"source": "x = 1", "outputs": [1]}, 7]'
    notebook = await read(f'{{"nbformat": 4, "cells": {cells}}}', "a.ipynb")

    assert notebook.text == "# Head\n\nwords\n\nx = 1"
    assert (await read(f'{{"a": "{"A" * 3000}", "b": 1}}', "a.json")).text == "a: \nb: 1"
    assert parts(await read("{not json", "a.json"), "code") == ["{not json"]
    assert parts(await read("[" * 300 + "]" * 300, "a.json"), "code") == ["[" * 300 + "]" * 300]


async def test_xml() -> None:
    found = await read(
        '<?xml version="1.0"?><f:farm xmlns:f="urn:x"><tree kind="pear" f:age="3">'
        "<name>Old <b>big</b> one</name></tree>"
        "<tree><name>New</name></tree></f:farm>",
        "a.xml",
    )
    broken = await read("<a><b>text</a>", "a.xml")

    assert parts(found, "text") == ["tree.kind: pear\ntree.age: 3\nname: Old big one", "name: New"]
    assert broken.text == "<a><b>text</a>"
    assert "damaged" in broken.warnings[0]
    assert (await read('<?xml version="1.0"?><a>1</a>', "unnamed")).text == "a: 1"


def mail(subject: str = "Pärs", day: int = 1) -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "a@example.org", "b@example.org"
    made["Date"] = datetime(2026, 3, day, tzinfo=UTC)
    made.set_content("They are ripe.")
    return made


async def test_mail_with_attachments() -> None:
    made = mail()
    made.add_alternative("<p>Not this one</p>", subtype="html")
    made.add_attachment("a,b\n1,2\n", subtype="csv", filename="Größe.csv")
    made.add_attachment(b"\0\1\2" * 50, maintype="application", subtype="octet-stream", filename="x.bin")
    made.add_attachment(mail("Inner"))
    found = await read(bytes(made), "mail.eml")
    html = EmailMessage()
    html["Subject"], html["From"] = "Only HTML", "x@example.org"
    html.set_content("<h2>Hello</h2><p>there</p>", subtype="html")

    assert found.title == "Pärs"
    assert found.written == micros(datetime(2026, 3, 1, tzinfo=UTC))
    assert found.metadata["from"] == "a@example.org"
    assert parts(found, "heading")[:2] == ["# Pärs", "# Größe.csv"]
    assert "a | b\n1 | 2" in found.text
    assert "They are ripe." in found.text
    assert "Not this one" not in found.text
    assert "x.bin" in found.warnings[0]
    assert (await read(bytes(html), "unnamed")).text.endswith("## Hello\n\nthere")
    assert (await read(b"Subject: =?bad?q?x\nDate: never\nFrom: x\n\n", "a.eml")).title == "=?bad?q?x"


async def test_a_mailbox(tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "box")
    for day in (1, 2):
        box.add(mail(f"Mail {day}", day))
    box.close()
    found = await read(tmp_path / "box", "box")

    assert parts(found, "heading") == ["# Mail 1", "# Mail 2"]
    assert {block.written for block in found.blocks} == {micros(datetime(2026, 3, day, tzinfo=UTC)) for day in (1, 2)}
    assert parts(await read(tmp_path / "box", "x.mbox"), "heading") == ["# Mail 1", "# Mail 2"]


async def test_an_archive_of_documents(tmp_path: Path) -> None:
    inner = zipped({"deep.txt": "Deep words"})
    files: dict[str, bytes | str] = {
        "b/notes.md": "# Head\n\nNotes", "a.txt": "Words", ".hidden": "no", "__MACOSX/x.txt": "no", "in.zip": inner,
        "report.docx": (FILES / "report.docx").read_bytes(), "x.bin": b"\0\1" * 99, "sound.wav": b"RIFF0000WAVE" * 9,
    }  # fmt: skip
    found = await read(zipped(files), "all.zip")

    assert [line for line in parts(found, "heading") if "Pears" not in line] == [
        "# a.txt", "# b/notes.md", "## Head", "# in.zip", "## deep.txt", "# report.docx",
    ]  # fmt: skip
    assert "The harvest was good." in found.text
    assert found.title == ""
    assert [warning.split(":")[0] for warning in found.warnings] == ["sound.wav", "x.bin"]


async def test_what_says_nothing_in_an_archive_leaves_no_section() -> None:
    static: JsonObject = {"type": "static", "static": {"max_chunk_size_tokens": 800, "chunk_overlap_tokens": 400}}
    bad = zipped({"worse.docx": b"PK\3\4no", "empty.txt": ""})
    found = await read(
        zipped({"a.docx": b"PK\3\4no", "b.txt": "Bees", "c.txt": "", "d.txt": "Dogs", "e.zip": bad}), "all.zip"
    )

    assert found.text == "# b.txt\n\nBees\n\n# d.txt\n\nDogs"
    assert [warning.split(":")[0] for warning in found.warnings] == ["a.docx", "worse.docx"]
    for strategy in (None, static):
        assert [(piece.heading, piece.text) for piece in cut(found, strategy)] == [
            (("b.txt",), "Bees"), (("d.txt",), "Dogs"),
        ]  # fmt: skip


async def test_office_files_by_other_programs() -> None:
    word = await read(FILES / "report.docx", "report.docx")
    slides = await read(FILES / "slides.pptx", "lying.pdf")
    sheets = await read(FILES / "shop.xlsx", "shop.xlsx")

    assert word.title == "Report on pears"
    assert word.text == "# Pears\n\nThe harvest was good.\n\nYear | Tons\n2026 | 12"
    assert slides.text == "# Pears on a slide\n\nSweet"
    assert slides.blocks[0].page == 1
    assert "Item | Price | Bought\nPear | 1.5 | 2026-01-31" in sheets.text
    assert parts(sheets, "heading") == ["# Items", "# Shops here", "# Empty"]


@needs_pandoc
@pytest.mark.parametrize("to", ["docx", "odt", "epub", "pptx", "rtf", "html"])
async def test_documents_made_by_pandoc(tmp_path: Path, to: str) -> None:
    found = await read(converted(FARM, to, tmp_path), f"farm.{to}")

    wanted = ["The door code is 4821.", "spade", "small fork", "They are sweet.", "2025 | 10\n2026 | 12"]
    assert [words for words in wanted if words not in found.text] == []
    assert "# Figs" in parts(found, "heading")
    if to != "rtf":
        assert found.title == "The farm"
    if to in ("docx", "odt", "epub", "html"):
        assert "## Tools" in parts(found, "heading")
        assert any("  - small fork" in each for each in parts(found, "list"))
    if to == "pptx":
        assert found.pages == 3
        assert [block.page for block in found.blocks if "sweet" in found.text[block.start : block.end]] == [3]


@needs_office
@pytest.mark.parametrize(("source", "to"), [("shop.xlsx", "ods"), ("slides.pptx", "odp"), ("report.docx", "doc")])
async def test_documents_made_by_libreoffice(tmp_path: Path, source: str, to: str) -> None:
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/p", "--headless", "--convert-to", to]
    subprocess.run([*command, "--outdir", tmp_path, FILES / source], check=True, capture_output=True)
    found = await read(next(tmp_path.glob(f"*.{to}")), f"a.{to}")

    assert {"ods": "Pear | 1.5", "odp": "Sweet", "doc": "The harvest was good."}[to] in found.text


def a_pdf(*, title: str = "The farm") -> bytes:
    from fpdf import FPDF

    file = FPDF()
    file.set_title(title)
    file.set_author("A. Grower")
    file.set_font("Helvetica", size=11)
    file.add_page()
    file.set_font_size(22)
    file.cell(0, 12, "Pears", new_x="LMARGIN", new_y="NEXT")
    file.set_font_size(11)
    file.multi_cell(
        0, 6, "The door code is 4821. " + "The harvest of this year was larger than anybody had hoped. " * 6
    )
    file.add_page()
    with file.table() as table:
        for cells in (("Name", "Town", "Age"), ("Ann", "Rome", "33"), ("Bob", "Paris", "44"), ("Cy", "Oslo", "55")):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    return bytes(file.output())


async def test_a_pdf_with_pages_and_a_table() -> None:
    found = await read(a_pdf(), "farm.pdf")

    assert found.title == "The farm"
    assert found.metadata["author"] == "A. Grower"
    assert found.pages == 2
    assert found.written
    assert "The door code is 4821. The harvest of this year was larger" in found.text
    assert [block.page for block in found.blocks if "4821" in found.text[block.start : block.end]] == [1]
    assert [(block.page, found.text[block.start : block.end]) for block in found.blocks if block.kind == "table"] == [
        (2, "Name | Town | Age\nAnn | Rome | 33\nBob | Paris | 44\nCy | Oslo | 55")
    ]


async def test_running_heads_of_pages_are_left_out_and_first_rows_are_not() -> None:
    from fpdf import FPDF

    file = FPDF()
    file.set_font("Helvetica", size=11)
    for number in range(1, 7):
        file.add_page()
        file.cell(0, 10, f"Farm report, page {number} of 6", new_x="LMARGIN", new_y="NEXT")
        file.cell(0, 30, f"In month {'abcdef'[number - 1]} the pears grew.")
    file.add_page()
    with file.table() as table:
        for cells in (("Year", "Tons"), ("2025", "ten"), ("2026", "two")):
            row = table.row()
            for cell in cells:
                row.cell(cell)
    found = await read(bytes(file.output()), "farm.pdf")

    assert found.text.count("Farm report") == 1
    assert [block.page for block in found.blocks if "In month" in found.text[block.start : block.end]] == [*range(1, 7)]
    assert "Year Tons" in found.text
    assert "2025 ten\n\n2026 two" in found.text


@needs_tesseract
async def test_scanned_pages_and_pictures_are_recognised() -> None:
    from fpdf import FPDF

    file = FPDF()
    file.set_font("Helvetica", size=11)
    file.add_page()
    file.cell(0, 10, "A page of words that anybody can read.")
    for words in ("Seven pears", "Eight figs"):
        file.add_page()
        file.image(io.BytesIO(picture(words)), w=160)
    found = await read(bytes(file.output()), "mixed.pdf")

    assert [(block.page, found.text[block.start : block.end]) for block in found.blocks] == [
        (1, "A page of words that anybody can read."),
        (2, "Seven pears"),
        (3, "Eight figs"),
    ]
    late = Reading(seconds=0).read(bytes(file.output()), "mixed.pdf")

    assert late.text == "A page of words that anybody can read."
    assert "scanned pages from page 2 on" in late.warnings[0]
    assert (await read(picture("Nine plums"), "p.png")).text == "Nine plums"
    assert (await read(zipped({"p.jpg": picture("Nine plums", "JPEG")}), "a.zip")).text == "# p.jpg\n\nNine plums"


def test_what_a_process_answers() -> None:
    request = {"name": "a.txt", "content_type": "", "languages": "eng", "longest": 1000, "seconds": 9}
    asked = {**request, "longest": 3}

    assert unpacked(run(request, io.BytesIO(b"words"))) == Reading().read(b"words", "a.txt")
    with pytest.raises(TooLarge, match="3 characters"):
        unpacked(run(asked, io.BytesIO(b"words")))
    with pytest.raises(BadRequest, match="formats that Portal reads"):
        unpacked(run(request, io.BytesIO(b"\0\1\2" * 9)))


WITHOUT = """
import json, sys
from pathlib import Path
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
from portal.errors import BadRequest
from portal.knowledge.extract_reading import Reading
try:
    found = Reading().read(Path(sys.argv[2]).read_bytes(), sys.argv[2])
    print(json.dumps([found.text, found.pages, found.title, found.warnings, [b.page for b in found.blocks]]))
except BadRequest as error:
    print(json.dumps(error.message))
"""


def without(libraries: list[str], content: bytes, path: Path) -> Any:
    path.write_bytes(content)
    command = [sys.executable, "-c", WITHOUT, json.dumps(libraries), str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def by_pypdf(content: bytes) -> Extracted:
    draft = Draft()
    read_by_pypdf(content, draft)
    return draft.done()


def test_a_pdf_by_pypdf() -> None:
    from fpdf import FPDF

    found = by_pypdf(a_pdf())
    blank = FPDF()
    blank.add_page()

    assert "The door code is 4821. The harvest of this year was larger" in found.text
    assert (found.pages, found.title, found.warnings) == (2, "The farm", [])
    assert {block.page for block in found.blocks} == {1, 2}
    assert "documents" in by_pypdf(bytes(blank.output())).warnings[0]
    with pytest.raises(BadRequest, match="damaged"):
        by_pypdf(b"%PDF-1.4 no")
    with pytest.raises(BadRequest, match="password"):
        by_pypdf(locked_pdf())


def locked_pdf() -> bytes:
    import pypdf

    writer = pypdf.PdfWriter(io.BytesIO(a_pdf()))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_what_is_read_without_libraries(tmp_path: Path) -> None:
    assert "The door code is 4821." in without(["kreuzberg"], a_pdf(), tmp_path / "a.pdf")[0]
    assert add_command("documents") in without(["kreuzberg", "pypdf"], a_pdf(), tmp_path / "d.pdf")
    assert add_command("documents") in without(["kreuzberg"], b"{\\rtf1 x}", tmp_path / "e.rtf")


class Told:
    """Says the same of every picture and recording."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.asked: list[tuple[bytes, str]] = []

    async def describe(self, picture: Path, content_type: str) -> str:
        self.asked.append((picture.read_bytes(), content_type))
        return self.words


async def test_pictures_are_described() -> None:
    told = Told("A pear on a table.\n\nIt is ripe.")
    seen = await read(picture(""), "p.png", describer=told)
    unreadable = await read(b"\x89PNG broken", "p.png", describer=told)

    assert seen.text == unreadable.text == told.words
    assert unreadable.warnings
    assert [kind for _, kind in told.asked] == ["image/png", "image/png"]
    with pytest.raises(BadRequest):
        await read(b"\x89PNG broken", "p.png", describer=Told(""))


async def test_recordings_and_films_are_written_down_with_the_minute() -> None:
    ears = ScriptedTranscriber(*("We begin with the budget. " * 12, "Then come the plans.") * 4)
    heard = await read(b"ID3 sound", "talk.mp3", transcriber=ears)
    assert [line[:6] for line in heard.text.split("\n\n")] == ["[0:00]", "[0:30]", "[1:10]"]
    assert heard.text.startswith("[0:00] We begin with the budget.")
    (recording,) = ears.recordings
    assert recording[1] == b"ID3 sound"

    film = b"\0\0\0\x20ftypisom"
    with pytest.raises(BadRequest, match="Nothing is said"):
        await read(film, "film.mp4", transcriber=ScriptedTranscriber(" "))
    with pytest.raises(BadRequest, match="Install something"):
        await read(film, "film.mp4", transcriber=ScriptedTranscriber(refusal="Install something."))
    with pytest.raises(BadRequest, match="Nothing here can write down speech"):
        await read(film, "film.mp4")


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (b"RIFF0000WEBP", ("picture", "image/webp")), (b"RIFF0000AVI ", ("recording", "video/avi")),
        (b"0000ftypheic", ("picture", "image/heic")), (b"0000ftypM4A ", ("recording", "audio/mp4")),
        (b"\xd0\xcf\x11\xe0 msg", ("foreign", "application/vnd.ms-outlook")), (b"GIF89a", ("picture", "image/gif")),
        (b"OggS", ("recording", "audio/ogg")), (b"PK\5\6", ("zip", "")),
    ],
)  # fmt: skip
def test_kinds_by_how_they_begin(head: bytes, wanted: tuple[str, str]) -> None:
    assert kind_of(head, "a.msg") == wanted
