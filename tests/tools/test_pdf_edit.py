"""PDF files that are there, changed through the tools: pages, forms, stamps."""

from pathlib import Path
from typing import Any

import pypdf
import pytest
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext


@pytest.fixture
def office(tmp_path: Path) -> Toolset:
    return family("documents", tmp_path)


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    return conversation(tmp_path)


async def numbered(office: Toolset, talk: ToolContext, name: str, *words: str) -> None:
    """A PDF with a word on each page."""
    await call(office, "make_document", talk, content="\n\n<!-- pagebreak -->\n\n".join(words), save_as=name)


def said(talk: ToolContext, name: str) -> list[str]:
    """The first word of each page."""
    pages = pypdf.PdfReader(talk.folder / name).pages
    return [(page.extract_text().split() or [""])[0] for page in pages]


def field(writer: pypdf.PdfWriter, name: str, kind: str, **more: Any) -> Any:
    rect = ArrayObject([FloatObject(one) for one in (50, 700, 250, 720)])
    made = {"/Type": NameObject("/Annot"), "/Subtype": NameObject("/Widget"), "/FT": NameObject(kind),
            "/T": TextStringObject(name), "/Rect": rect, "/F": NumberObject(4)}  # fmt: skip
    return writer._add_object(DictionaryObject({NameObject(key): value for key, value in {**made, **more}.items()}))


def form(path: Path) -> None:
    """A form with a text, a box to tick and a choice."""
    writer = pypdf.PdfWriter()
    page = writer.add_blank_page(400, 800)
    empty = writer._add_object(pypdf.generic.StreamObject())
    look = DictionaryObject(
        {NameObject("/N"): DictionaryObject({NameObject("/Yes"): empty, NameObject("/Off"): empty})}
    )
    size = TextStringObject("/Helv 12 Tf 0 g")
    options = ArrayObject([TextStringObject("red"), TextStringObject("blue")])
    fields = ArrayObject(
        [
            field(writer, "Name", "/Tx", **{"/DA": size}),
            field(writer, "Member", "/Btn", **{"/AP": look, "/AS": NameObject("/Off")}),
            field(writer, "Colour", "/Ch", **{"/DA": size, "/Opt": options, "/Ff": NumberObject(1 << 17)}),
        ]
    )
    page[NameObject("/Annots")] = fields
    root = DictionaryObject({NameObject("/Fields"): fields, NameObject("/DA"): size})
    writer._root_object[NameObject("/AcroForm")] = root
    writer.write(path)


async def test_pages_are_put_in_another_order(office: Toolset, talk: ToolContext) -> None:
    await numbered(office, talk, "a.pdf", "One", "Two", "Three")
    await numbered(office, talk, "b.pdf", "Other")
    assert said(talk, "a.pdf") == ["One", "Two", "Three"]

    await call(office, "arrange_pdf", talk, path="a.pdf", pages="3,1-2", save_as="c.pdf")
    await call(office, "arrange_pdf", talk, path="a.pdf", also="b.pdf", save_as="d.pdf")
    await call(office, "arrange_pdf", talk, path="a.pdf", also="b.pdf", pages="4,2-", turned={"2": 90}, save_as="e.pdf")
    assert said(talk, "a.pdf") == ["One", "Two", "Three"]
    assert said(talk, "c.pdf") == ["Three", "One", "Two"]
    assert said(talk, "d.pdf") == ["One", "Two", "Three", "Other"]
    assert said(talk, "e.pdf") == ["Other", "Two", "Three", "Other"]
    assert [page.rotation for page in pypdf.PdfReader(talk.folder / "e.pdf").pages] == [0, 90, 0, 0]
    await call(office, "arrange_pdf", talk, path="a.pdf", pages="2")
    assert said(talk, "a.pdf") == ["Two"]

    for wrong, what in (
        ({"pages": "5"}, "There is no page 5: the file has 1 pages"),
        ({"pages": "last"}, "numbers and ranges"),
        ({"pages": "1,,1"}, "numbers and ranges"),
        ({"pages": "0-1"}, "no page 0-1"),
        ({}, "nothing to change"),
    ):
        assert what in await refusal(office, "arrange_pdf", talk, path="a.pdf", **wrong)


async def test_pages_are_replaced(office: Toolset, talk: ToolContext) -> None:
    await numbered(office, talk, "a.pdf", "One", "Two", "Three", "Four")
    await call(office, "replace_in_document", talk, path="a.pdf", section="pages 2-3", content="New words")
    assert said(talk, "a.pdf") == ["One", "New", "Four"]
    await call(office, "replace_in_document", talk, path="a.pdf", section="3", content="Last")
    assert said(talk, "a.pdf") == ["One", "New", "Last"]
    wrong = await refusal(office, "replace_in_document", talk, path="a.pdf", section="1,3", content="x")
    assert "follow each other" in wrong
    outlined = await call(office, "outline_document", talk, path="a.pdf")
    assert outlined.text.split("\n")[0] == "3 pages"


async def test_pages_are_stamped(office: Toolset, talk: ToolContext) -> None:
    await numbered(office, talk, "a.pdf", "One", "Two", "Three")
    await call(office, "stamp_pdf", talk, path="a.pdf", text="Page {page} of {pages}", pages="2-", where="bottom-right")
    texts = [page.extract_text() for page in pypdf.PdfReader(talk.folder / "a.pdf").pages]
    assert ["Page" in text for text in texts] == [False, True, True]
    assert "Page 3 of 3" in texts[2]
    await call(office, "arrange_pdf", talk, path="a.pdf", turned={"1": 90})
    await call(office, "stamp_pdf", talk, path="a.pdf", text="Entwurf Ω", where="across")
    turned = pypdf.PdfReader(talk.folder / "a.pdf").pages
    assert all("Entwurf Ω" in page.extract_text() for page in turned)
    assert turned[0].mediabox.width > turned[0].mediabox.height
    assert "a line of" in await refusal(office, "stamp_pdf", talk, path="a.pdf", text=" ")


async def test_forms_are_filled(office: Toolset, talk: ToolContext) -> None:
    talk.folder.mkdir(parents=True, exist_ok=True)
    form(talk.folder / "form.pdf")
    told = await call(office, "outline_document", talk, path="form.pdf")
    assert told.text.split("\n") == [
        "1 pages",
        "Field Name: text",
        "Field Member: yes or no",
        "Field Colour: one of red, blue",
    ]
    values = {"Name": "Ada Grün", "Member": True, "Colour": "blue", "Age": 3}
    done = await call(office, "fill_template", talk, path="form.pdf", values=values)
    assert done.text == "Made form-filled.pdf. Not in it: Age."
    filled = pypdf.PdfReader(talk.folder / "form-filled.pdf").get_fields() or {}
    assert {name: one.get("/V") for name, one in filled.items()} == {
        "Name": "Ada Grün",
        "Member": "/Yes",
        "Colour": "blue",
    }
    again = await call(office, "outline_document", talk, path="form-filled.pdf")
    assert "Field Member: yes or no, now Yes" in again.text
    wrong = await refusal(office, "fill_template", talk, path="form.pdf", values={"Colour": "green"})
    assert "one of red, blue" in wrong


async def test_what_cannot_be_changed(office: Toolset, talk: ToolContext) -> None:
    talk.folder.mkdir(parents=True, exist_ok=True)
    (talk.folder / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    (talk.folder / "a.md").write_bytes(b"words")
    locked = pypdf.PdfWriter()
    locked.add_blank_page(100, 100)
    locked.encrypt("secret")
    with (talk.folder / "locked.pdf").open("wb") as file:
        locked.write(file)
    odd = pypdf.PdfWriter()
    drawn = StreamObject()
    drawn.set_data(b"q Q")
    drawn[NameObject("/Filter")] = NameObject("/Unheard")
    odd.add_blank_page(100, 100)[NameObject("/Contents")] = odd._add_object(drawn)
    with (talk.folder / "odd.pdf").open("wb") as file:
        odd.write(file)
    assert "damaged" in await refusal(office, "stamp_pdf", talk, path="odd.pdf", text="a")
    for name, what in (("bad.pdf", "damaged"), ("locked.pdf", "password"), ("a.md", "of no kind")):
        assert what in await refusal(office, "arrange_pdf", talk, path=name, pages="1")
        assert what in await refusal(office, "stamp_pdf", talk, path=name, text="a")
