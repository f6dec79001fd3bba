"""Files that mean harm, or were harmed: an error for that file that says what to do, and the rest goes on."""

import asyncio
from pathlib import Path

import psutil
import pytest
from tests.knowledge.test_extract import FILES, a_pdf, locked_pdf, read, zipped

from portal.errors import BadRequest, TooLarge
from portal.knowledge.extract import Reader
from portal.knowledge.extract_reading import Reading

MEMORY = 500 * 2**20
"""What one file may take in these tests; the process that reads it is held to it by the system."""
WORD = '<w:document xmlns:w="x"><w:body>{}</w:body></w:document>'


def a_long_pdf(pages: int) -> bytes:
    from fpdf import FPDF

    file = FPDF()
    file.set_font("Helvetica", size=11)
    for number in range(1, pages + 1):
        file.add_page()
        file.cell(0, 10, f"The {number}th page has a few words of its own.")
    return bytes(file.output())


def nested(depth: int) -> bytes:
    made = zipped({"a.txt": "The innermost"})
    for _ in range(depth):
        made = zipped({"note.txt": "A note", "in.zip": made})
    return made


def encrypted_zip() -> bytes:
    made = bytearray(zipped({"a.txt": "secret", "b.txt": "open"}))
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        made[made.find(mark) + at] |= 1
    return bytes(made)


def mail_of_mails(depth: int) -> bytes:
    layers = (b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(depth))
    return b"Subject: Deep\n" + b"".join(layers)


def sheet(rows: str) -> bytes:
    named = '<sheet name="S" r:id="r1"/><sheet name="T" r:id="r2"/>'
    return zipped(
        {
            "xl/workbook.xml": f'<workbook xmlns:r="r">{named}</workbook>',
            "xl/_rels/workbook.xml.rels": '<R><Relationship Id="r1" Target="worksheets/s.xml"/></R>',
            "xl/worksheets/s.xml": f"<worksheet><sheetData>{rows}</sheetData></worksheet>",
        }
    )


REFUSED = {
    "bomb.zip": (lambda: zipped({"a.txt": b"0" * (300 * 2**20)}), "unpacks to more than"),
    "many.zip": (lambda: zipped({f"{each}.txt": b"words " * 2**20 for each in range(9)}), "20,000,000 characters"),
    "files.zip": (lambda: zipped({str(each): "" for each in range(10_001)}), "more than 10,000 files"),
    "entities.docx": (lambda: zipped({"word/document.xml": '<!DOCTYPE l [<!ENTITY a "ha">]><l>&a;</l>'}), "entities"),
    "deep.docx": (lambda: zipped({"word/document.xml": b"<a>" * 10_000_000}), "nested too deeply"),
    "half.docx": (lambda: (FILES / "report.docx").read_bytes()[:5000], "open it and save it again"),
    "unknown.vsdx": (lambda: zipped({"[Content_Types].xml": "<Types/>", "visio/document.xml": "<a/>"}), "save it as"),
    "drm.epub": (lambda: zipped({"META-INF/container.xml": "<a/>", "META-INF/rights.xml": "<a/>"}), "protected"),
    "half.pdf": (lambda: a_pdf()[:900], "open it and save it again"),
    "noise.pdf": (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 999, "open it and save it again"),
    "locked.pdf": (locked_pdf, "without one and add it again"),
    "program.txt": (lambda: b"\x7fELF\2\1\1" + bytes(5000), "formats that Portal reads"),
    "odd.riff": (lambda: b"RIFF0000odd!" + bytes(100), "formats that Portal reads"),
    "broken.png": (lambda: b"\x89PNG" + bytes(range(256)), "esseract"),
    "broken.doc": (lambda: b"\xd0\xcf\x11\xe0" + bytes(9999), "damaged"),
    "line.txt": (lambda: b"x" * 20_000_001, "20,000,000 characters"),
    "mails.eml": (lambda: mail_of_mails(3000), "damaged"),
    "wide.xlsx": (lambda: sheet('<row><c r="XFD1"><v>1</v></c></row>' * 30_000), "cells"),
}
READ = {
    "nested.zip": (lambda: nested(6), "A note"),
    "locked.zip": (encrypted_zip, "open"),
    "broken.xlsx": (lambda: sheet('<row><c t="s"><v>9</v></c><c t="b"><v>1</v></c></row>'), "TRUE"),
    "macro.docm": (
        lambda: zipped(
            {"word/document.xml": WORD.format("<w:p><w:t>Words</w:t></w:p>"), "word/vbaProject.bin": b"\0" * 99}
        ),
        "Words",
    ),
    "entities.xml": (lambda: b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>', "ENTITY"),
    "deep.xml": (lambda: b"<a>" * 200_000, "<a><a>"),
    "deep.json": (lambda: b"[" * 600_000, "[[["),
    "deep.html": (lambda: b"<div>" * 600_000 + b"words", "words"),
    "large.html": (lambda: b"<p>words of it</p>\n" * 60_000, "words of it"),
    "lying.pdf": (lambda: b"only text", "only text"),
    "lying.txt": (a_pdf, "4821"),
    "line.json": (lambda: b'{"a":"' + b"x " * 2_500_000 + b'"}', "a: x x"),
    "long.pdf": (lambda: a_long_pdf(1500), "The 1500th page"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_file_that_is_refused(name: str) -> None:
    made, said = REFUSED[name]

    content = made()
    with pytest.raises((BadRequest, TooLarge), match=said) as caught:
        await read(content, name, memory=MEMORY)
    if name != "bomb.zip":  # of whose parts this would warn
        with pytest.raises((BadRequest, TooLarge), match=said):
            Reading().read(content, name)
    assert caught.value.code in ("invalid_file", "unsupported_file")


@pytest.mark.parametrize("name", READ)
async def test_a_file_that_is_read_nevertheless(name: str) -> None:
    made, said = READ[name]

    assert said in (await read(made(), name, memory=MEMORY)).text


async def test_the_rest_of_an_archive_is_read() -> None:
    files: dict[str, bytes | str] = {
        f"{name}": made() for name, (made, _) in REFUSED.items() if name.startswith("half")
    }
    found = await read(zipped({**files, "good.txt": "Good words"}), "all.zip", memory=MEMORY)

    assert "Good words" in found.text
    assert [warning.split(":")[0] for warning in found.warnings] == ["half.docx", "half.pdf"]


async def test_bounds_of_size_time_and_memory() -> None:
    pages = b"<p>words <b>of</b> it</p>\n" * 200_000

    with pytest.raises(TooLarge, match="over 0 MB"):
        await read(b"x" * 2000, "a.txt", largest=1000)
    with pytest.raises(TooLarge, match="1,000 characters"):
        await read(b"x" * 2000, "a.txt", longest=1000)
    with pytest.raises(BadRequest, match="more time or memory"):
        await read(pages, "a.html", seconds=1)
    with pytest.raises(BadRequest, match="memory"):
        await read(b"[" + b"[1],\n" * 2_000_000 + b"[1]]", "a.json", memory=50 * 2**20)
    with pytest.raises(BadRequest, match="no such file"):
        await read(Path("/no/such/file"), "a.txt")


async def test_a_reading_that_is_cancelled_leaves_no_process() -> None:
    reading = asyncio.ensure_future(Reader().read(b"<p>words <b>of</b> it</p>\n" * 400_000, "a.html"))  # noqa: TID251
    me = psutil.Process()
    async with asyncio.timeout(60):
        while not (children := [each for each in me.children() if "portal.knowledge.extracting" in each.cmdline()]):
            await asyncio.to_thread(me.cpu_percent)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert not any(child.is_running() for child in children)


async def test_an_archive_packed_in_a_way_that_nobody_knows() -> None:
    made = bytearray(zipped({"a.txt": "words", "b.txt": "more words"}))
    for mark, at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        made[made.find(mark) + at] = 99
    found = await read(bytes(made), "a.zip")

    assert found.text == "# b.txt\n\nmore words"
    assert "a.txt: The file is damaged" in found.warnings[0]
