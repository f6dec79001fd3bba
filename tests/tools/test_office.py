"""Office files: made of one content, looked into, and changed without losing what is not touched."""

import io
import re
import shutil
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pypdf
import pytest
import xlsxwriter
from PIL import Image
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.tools.office import markdown, pages
from portal.tools.office.cells import read as cell

CHART = '{"kind": "%s", "title": "Yield", "labels": ["1", "2", "3"], "series": {"A": [1, 2, 3], "B": [2, 1, 4]}}'
TEXT = f"""---
title: Harvest
subtitle: of 2026
author: A. Grower
---
# Summary

The **best** *year* in `ten`, ~~not~~ [the method](https://example.org/m) and [this](javascript:alert), see [above](#x).
A second line\\
after a break.

## What changed

3. Water at night
   - saves a third

     and more
   - 1 | 2
4. Rows

- one
- ```
  code in a list
  ```

  > quoted in a list

> A good year.
>
> - is made in winter

| Fruit | Tonnes | Price | When |
|---|---:|:-:|---|
| Pears **ripe** | 1,204 | 1.40 | 2026-09-01 |
| Figs | 88 | 6.20 | 2026-08-15 |

```chart
{CHART % "bar"}
```

```chart
{CHART % "line"}
```

```chart
{CHART % "pie"}
```

```chart
{CHART % "scatter"}
```

### Code

```python
def ripe(pear):
    return pear.sugar > 12
```

![A tree](tree.png)

Before ![inline](tree.png) after.

---

```notes
Say it slowly.
```

\\newpage

| a | b |
|---|---|
| x | y |

\\newpage

# Appendix

Ω Größe — 中文 ✓
"""


@pytest.fixture
def office(tmp_path: Path) -> Toolset:
    return family("documents", tmp_path, tools={"folders": [tmp_path / "granted"]})


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    made = conversation(tmp_path)
    Image.new("RGB", (240, 90), "green").save(made.folder / "tree.png")
    return made


def data(talk: ToolContext, name: str) -> bytes:
    return (talk.folder / name).read_bytes()


def words(name: str, talk: ToolContext) -> list[str]:
    return [one.text for one in docx.Document(io.BytesIO(data(talk, name))).paragraphs]


def deck(name: str, talk: ToolContext) -> Any:
    return pptx.Presentation(io.BytesIO(data(talk, name)))


def titles(name: str, talk: ToolContext) -> list[str]:
    return [one.shapes.title.text_frame.text if one.shapes.title is not None else "" for one in deck(name, talk).slides]


def sheet(name: str, talk: ToolContext, title: str = "") -> Any:
    book = openpyxl.load_workbook(io.BytesIO(data(talk, name)))
    return book[title] if title else book.worksheets[0]


async def made(office: Toolset, talk: ToolContext, *names: str, **more: Any) -> None:
    for name in names:
        done = await call(office, "make_document", talk, content=TEXT, save_as=name, **more)
        assert done.text == f"Made {name}."
        assert [one.name for one in done.files] == [name]


async def test_one_content_becomes_every_kind_of_file(office: Toolset, talk: ToolContext) -> None:
    await made(office, talk, "a.docx", "a.pdf", "a.pptx", "a.xlsx", "a.md", accent="teal")

    word = docx.Document(io.BytesIO(data(talk, "a.docx")))
    said = [one.text for one in word.paragraphs]
    assert said[:2] == ["Harvest", "of 2026 · A. Grower"]
    assert "Water at night" in said
    assert [one.rows[0].cells[0].text for one in word.tables] == ["Fruit", "a"]
    assert len(word.inline_shapes) == 6
    assert word.core_properties.title == "Harvest"
    links = [one.target_ref for one in word.part.rels.values() if one.is_external]
    assert links == ["https://example.org/m"]
    assert "NUMPAGES" in word.sections[0].footer._element.xml
    printed = pypdf.PdfReader(io.BytesIO(data(talk, "a.pdf")))
    assert [one.title for one in printed.outline if not isinstance(one, list)] == ["Summary", "Appendix"]
    assert f"1 / {len(printed.pages)}" in printed.pages[0].extract_text()
    assert "Say it slowly" in "".join(one.extract_text() for one in printed.pages)
    assert titles("a.pptx", talk)[:3] == ["Harvest", "Summary", "What changed"]
    charts = [
        shape.chart.chart_type.name for one in deck("a.pptx", talk).slides for shape in one.shapes if shape.has_chart
    ]
    assert charts == ["COLUMN_CLUSTERED", "LINE_MARKERS", "PIE", "XY_SCATTER"]
    notes = [one.notes_slide.notes_text_frame.text for one in deck("a.pptx", talk).slides if one.has_notes_slide]
    assert notes == ["Say it slowly."]
    table = sheet("a.xlsx", talk)
    assert table.title == "What changed"
    assert [one.value for one in table[2]][:3] == ["Pears ripe", 1204, 1.4]
    assert table["D2"].is_date
    assert len(openpyxl.load_workbook(io.BytesIO(data(talk, "a.xlsx"))).worksheets) == 6
    assert data(talk, "a.md").decode() == TEXT


async def test_a_presentation_of_slides(office: Toolset, talk: ToolContext) -> None:
    long = "\n".join(
        f"- Point {number} says something of a certain length, so that it fills a line" for number in range(30)
    )
    table = "| n | m |\n|---|---|\n" + "\n".join(f"| {number} | x |" for number in range(25))
    slides = [
        {"title": "Why", "content": ["It is **late**", "It is *cheap*"], "notes": "Begin softly."},
        {"title": "Part two"},
        {"title": "Long", "content": long},
        {"title": "Rows", "content": table},
        {"content": "### Named inside\n\nText\n\n---\n\nNotes: said aloud"},
        {"title": "Both", "content": "- a\n- b\n\n![Tree](tree.png)\n\n```chart\n" + CHART % "bar" + "\n```"},
    ]  # fmt: skip
    done = await call(
        office, "make_presentation", talk, slides=slides, title="Talk", subtitle="For all", save_as="t.ppt"
    )

    assert done.files[0].name == "t.pptx"
    found = titles("t.pptx", talk)
    assert found[:4] == ["Talk", "Why", "Part two", "Long"]
    assert {"Long (2)", "Rows", "Rows (2)", "Rows (3)", "Named inside", "Both"} <= set(found)
    notes = [one.notes_slide.notes_text_frame.text for one in deck("t.pptx", talk).slides if one.has_notes_slide]
    assert notes == ["Begin softly.", "said aloud"]
    own = await call(office, "make_presentation", talk, slides=slides, save_as="own", template="t.pptx")
    assert own.files[0].name == "own.pptx"
    assert titles("own.pptx", talk)[0] == "Why"


async def test_a_spreadsheet_with_formulas_formats_totals_and_charts(office: Toolset, talk: ToolContext) -> None:
    rows = [
        ["Fruit", "Tonnes", "Price", "Sum", "Day", "Ripe", "Code"],
        ["Pear", 12, 1.4, "=B2*C2", "2026-09-01", True, "007"],
        ["Fig", "1,204", "12.5 %", '=HYPERLINK("http://x")', "2026-09-01 10:30", None, "=cmd|' /C calc'!A0"],
    ]
    sheets = [
        {"name": "A/B: all?", "rows": rows, "formats": {"Price": "euro", "B": "#,##0.0"}, "totals": ["Tonnes", "Sum"],
         "charts": [{"kind": kind, "title": "T", "labels": "Fruit", "values": ["Tonnes", "Price"]}
                    for kind in ("bar", "line", "pie", "scatter")]},
        {"rows": [{"a": 1, "b": 2}, {"a": 3}]}, {"name": "A/B: all?", "rows": [["x"]]}, {"name": "Empty", "rows": []},
    ]  # fmt: skip
    done = await call(office, "make_spreadsheet", talk, sheets=sheets, save_as="s.xlsx")

    assert "2 formulas that reach beyond the file" in done.text
    book = openpyxl.load_workbook(io.BytesIO(data(talk, "s.xlsx")))
    assert book.sheetnames == ["A B  all", "Sheet2", "A B  all 2", "Empty"]
    first = book.worksheets[0]
    assert [one.value for one in first[2]][:4] == ["Pear", 12, 1.4, "=B2*C2"]
    assert first["G2"].value == "007"
    assert first["D3"].data_type == first["G3"].data_type == "s"
    assert first["B3"].value == 1204
    assert first["C3"].value == 0.125
    assert first["C2"].number_format == '#,##0.00 "€"'
    assert first["B4"].value == "=SUM(B2:B3)"
    assert first.freeze_panes == "A2"
    assert [[one.value for one in row] for row in book.worksheets[1].rows] == [["a", "b"], [1, 2], [3, None]]
    with zipfile.ZipFile(io.BytesIO(data(talk, "s.xlsx"))) as file:
        assert len([one for one in file.namelist() if "charts/chart" in one]) == 4
    comma = await call(office, "make_spreadsheet", talk, rows=[["a", "b"], ["=1+1", -2], ["@x", None]], save_as="c.csv")
    assert comma.files[0].data.decode("utf-8-sig") == "a,b\r\n'=1+1,-2\r\n'@x,\r\n"


@pytest.mark.parametrize(
    ("value", "known", "form"),
    [("12", 12, ""), ("-1.50", -1.5, "0.00"), ("007", "007", ""), ("+49 30", "+49 30", ""), ("−3", -3, ""),
     ("1,204.5", 1204.5, "#,##0.00"), ("5 %", 0.05, "0%"), ("12345678901234567", "12345678901234567", ""),
     ("2026-13-01", "2026-13-01", ""), (" text ", " text ", ""), (True, True, ""), (None, None, "")],
)  # fmt: skip
def test_what_is_written_in_a_cell_is_understood(value: Any, known: object, form: str) -> None:
    assert cell(value) == (known, form)


async def test_a_word_file_is_changed_and_keeps_what_is_not_touched(office: Toolset, talk: ToolContext) -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Header of {{who}}"
    for level, text in ((1, "One"), (2, "Inner"), (1, "Two"), (1, "Three")):
        document.add_heading(text, level)
        document.add_paragraph(f"Under {text}")
    split = document.add_paragraph("Dear ")
    for part in ("{{", "na", "me }}", ", hello"):
        split.add_run(part).bold = True
    document.add_paragraph("{{body}}")
    table = document.add_table(2, 2)
    for at, text in enumerate(("Item", "Price", "{{items.what}}", "{{items.price}}")):
        table.rows[at // 2].cells[at % 2].text = text
    document.add_picture(str(talk.folder / "tree.png"))
    document.save(talk.folder / "w.docx")

    assert "# One" in (outline := (await call(office, "outline_document", talk, path="w.docx")).text)
    assert "## Inner" in outline
    assert "Placeholders: body, items.price, items.what, name, who" in outline
    await call(office, "append_to_document", talk, path="w.docx", content="# Four\n\n1. new\n\n![T](tree.png)")
    await call(office, "replace_in_document", talk, path="w.docx", section="one", content="Only this.")
    done = await call(
        office, "replace_in_document", talk, path="w.docx", section="Two", content="# Zwei\n\nNeu", save_as="x"
    )
    said = words("x.docx", talk)
    assert done.files[0].name == "x.docx"
    assert said[:6] == ["One", "Only this.", "Zwei", "Neu", "Three", "Under Three"]
    assert "Two" in words("w.docx", talk)
    assert said[-3:] == ["new", "", "T"]
    values = {"name": "Ada", "who": "Us", "body": "First\n\n- a\n- b", "nobody": "x",
              "items": [{"what": "Pear", "price": 1.5}, {"what": "Fig", "price": 2}]}  # fmt: skip
    filled = await call(office, "fill_template", talk, path="w.docx", values=values)
    assert filled.text == "Made w-filled.docx. Not in it: nobody."
    word = docx.Document(io.BytesIO(data(talk, "w-filled.docx")))
    said = [one.text for one in word.paragraphs]
    assert "Dear Ada, hello" in said
    assert {"First", "a", "b"} <= set(said)
    assert [[one.text for one in row.cells] for row in word.tables[0].rows] == [
        ["Item", "Price"],
        ["Pear", "1.5"],
        ["Fig", "2"],
    ]
    assert word.sections[0].header.paragraphs[0].text == "Header of Us"
    assert len(word.inline_shapes) == 2
    wrong = await refusal(office, "replace_in_document", talk, path="w.docx", section="Nine", content="x")
    assert "the headings are: One" in wrong
    assert "None of these" in await refusal(office, "fill_template", talk, path="w.docx", values={"zzz": 1})


async def test_a_word_file_without_styles_or_lists_takes_them(office: Toolset, talk: ToolContext) -> None:
    document = docx.Document()
    document.add_paragraph("Plain")
    kinds = ("numbering", "styles", "stylesWithEffects")
    for name, related in list(document.part.rels.items()):
        if related.reltype.rsplit("/", 1)[-1] in kinds:
            del document.part.rels[name]
    document.save(talk.folder / "bare.docx")
    await call(office, "append_to_document", talk, path="bare.docx", content="# Head\n\n1. a\n\n- b")

    made = docx.Document(io.BytesIO(data(talk, "bare.docx")))
    assert [one.text for one in made.paragraphs] == ["Plain", "Head", "a", "b"]
    assert made.paragraphs[1].runs[0].bold
    assert len(made.part.numbering_part.element.findall(".//{*}num")) == 2


async def test_odd_characters_and_long_titles_do_no_harm(office: Toolset, talk: ToolContext) -> None:
    odd = "a\x00b\x1f\ud800 & <c>"
    for kind in ("docx", "pdf", "pptx", "xlsx"):
        text = f"# {odd}\n\n{odd}\n\n| {odd} |\n|---|\n| {odd} |\n\n{{{{name}}}}"
        name = f"odd.{kind}"
        await call(office, "make_document", talk, content=text, save_as=name, title=odd * 60, author=odd * 60)
        if kind in ("docx", "pptx"):
            await call(office, "fill_template", talk, path=name, values={"name": odd})
    slides = [{"title": odd * 60, "content": odd, "notes": odd}]
    await call(office, "make_presentation", talk, slides=slides, title=odd, subtitle=odd)
    await call(office, "edit_spreadsheet", talk, path="odd.xlsx", cells={"B2": odd, "B3": f"={odd}"}, sheet=odd)
    await call(office, "make_spreadsheet", talk, rows=[[odd], [odd], [f"={odd}"]], title=odd * 60)
    assert "& <c>" in "".join(words("odd-filled.docx", talk))


async def test_slides_are_added_replaced_and_filled(office: Toolset, talk: ToolContext) -> None:
    await made(office, talk, "a.pptx")
    before = titles("a.pptx", talk)
    await call(
        office, "append_to_document", talk, path="a.pptx", content="## The end\n\nDear {{name}}\n\nNotes: {{name}}?"
    )
    long = "\n".join(f"- {number} with some words" for number in range(30))
    await call(office, "replace_in_document", talk, path="a.pptx", section="slide 3", content=long)
    assert titles("a.pptx", talk) == [*before[:3], "What changed (2)", "What changed (3)", *before[3:], "The end"]
    await call(office, "replace_in_document", talk, path="a.pptx", section="the end", content="## Bye\n\n{{name}}")
    outline = (await call(office, "outline_document", talk, path="a.pptx")).text
    assert "1. Harvest" in outline
    assert re.search(r"\. What changed.* \[chart\]", outline)
    assert "Placeholders: name" in outline
    await call(office, "fill_template", talk, path="a.pptx", values={"name": "Ada"}, save_as="b.pptx")
    last = deck("b.pptx", talk).slides[-1]
    assert [one.text_frame.text for one in last.placeholders if one.placeholder_format.idx < 10] == ["Bye", "Ada"]
    assert last.notes_slide.notes_text_frame.text == "Ada?"
    assert "the slides are: 1. Harvest" in await refusal(
        office, "replace_in_document", talk, path="a.pptx", section="99", content="x")  # fmt: skip
    assert "nothing to put on a slide" in await refusal(
        office, "replace_in_document", talk, path="a.pptx", section="1", content="---")  # fmt: skip


def foreign(path: Path) -> None:
    """A file with what most libraries lose: a chart, a rule, a picture, a comment, a table, results of formulas."""
    book = xlsxwriter.Workbook(path)
    page, other = book.add_worksheet("Data"), book.add_worksheet("It's")
    money = book.add_format({"num_format": "0.000", "bold": True})
    page.write_row(0, 0, ["Name", "Amount", "Twice"])
    for row in (1, 2):
        page.write_string(row, 0, "{{name}}" if row == 1 else "Dear {{name}}")
        page.write_number(row, 1, row, money)
        page.write_formula(row, 2, f"=B{row + 1}*2", None, row * 2)
    page.add_table("A1:C3", {"columns": [{"header": "Name"}, {"header": "Amount"}, {"header": "Twice"}]})
    page.conditional_format("B2:B3", {"type": "data_bar"})
    page.write_comment("B2", "Why?")
    chart: Any = book.add_chart({"type": "column"})
    chart.add_series({"values": "=Data!$B$2:$B$3"})
    page.insert_chart("F2", chart)
    other.write_rich_string(0, 0, "A ", money, "bold", " {{name}}")
    other.write_formula("B1", "=[1]Sheet1!A1", None, 5)
    other.autofilter("A1:B1")
    book.close()


async def test_a_spreadsheet_is_changed_and_keeps_what_is_not_touched(office: Toolset, talk: ToolContext) -> None:
    foreign(talk.folder / "f.xlsx")
    parts = set(zipfile.ZipFile(talk.folder / "f.xlsx").namelist())
    outline = (await call(office, "outline_document", talk, path="f.xlsx")).text
    assert "Data: 3 rows; first row: Name | Amount | Twice" in outline
    assert "Placeholders: name" in outline

    cells = {"B2": 40, "It's!A3": "2026-01-02", "E9": "=SUM(B2:B4)", "AA1": True, "D2": "=WEBSERVICE(A1)", "A3": None}
    done = await call(office, "edit_spreadsheet", talk, path="f.xlsx", cells=cells, rows=[["New", 3, "=B4*2"]],
                      formats={"C": "percent", "B2:B3": "0.0", "Q7": "integer"})  # fmt: skip
    assert "1 formulas that reach beyond the file were written as text" in done.text
    assert set(zipfile.ZipFile(talk.folder / "f.xlsx").namelist()) == parts
    page, other = sheet("f.xlsx", talk), sheet("f.xlsx", talk, "It's")
    assert [page[at].value for at in ("B2", "B3", "A4", "B4", "C4", "E9", "AA1", "A3")] == [
        40, 2, "New", 3, "=B4*2", "=SUM(B2:B4)", True, None]  # fmt: skip
    assert (page["B2"].number_format, page["B4"].number_format, page["C4"].number_format) == ("0.0", "0.000", "0.0%")
    assert page["B4"].font.bold
    assert page.tables["Table1"].ref == "A1:C4"
    assert page["B2"].comment is not None
    assert other["A3"].is_date
    values = openpyxl.load_workbook(io.BytesIO(data(talk, "f.xlsx")), data_only=True)
    assert values["Data"]["C2"].value is None  # computed when it is opened
    assert values["It's"]["B1"].value == 5

    await call(office, "edit_spreadsheet", talk, path="f.xlsx", sheet="New one", rows=[["a", 1], ["b", 2]], save_as="g")
    assert [one.value for one in sheet("g.xlsx", talk, "New one")[2]] == ["b", 2]
    filled = await call(office, "fill_template", talk, path="f.xlsx", values={"name": "=1+1"})
    assert filled.files[0].name == "f-filled.xlsx"
    assert b'<t xml:space="preserve">=1+1</t>' in zipfile.ZipFile(talk.folder / "f-filled.xlsx").read(
        "xl/worksheets/sheet1.xml"
    )
    assert sheet("f-filled.xlsx", talk, "It's")["A1"].value == "A bold =1+1"
    await call(office, "make_spreadsheet", talk, rows=[["a"], [1]], save_as="plain.xlsx")
    for wrong, what in (({"cells": {"B": 1}}, "is no cell"), ({"cells": {"No!B2": 1}}, "the sheets are: Sheet1"),
                        ({}, "nothing"), ({"formats": {"A1": "bold"}}, "no number format")):  # fmt: skip
        said = await refusal(office, "edit_spreadsheet", talk, path="plain.xlsx", **wrong)
        assert what in said


async def test_pdf_and_markdown_are_changed(office: Toolset, talk: ToolContext) -> None:
    await made(office, talk, "a.pdf", "a.md")
    before = len(pypdf.PdfReader(io.BytesIO(data(talk, "a.pdf"))).pages)
    await call(office, "append_to_document", talk, path="a.pdf", content="# More\n\nWords")
    await call(office, "append_to_document", talk, path="a.md", content="## Last\n\nDear {{name}}")
    await call(office, "replace_in_document", talk, path="a.md", section="What changed", content="Nothing.")
    await call(office, "replace_in_document", talk, path="a.md", section="last", content="## First\n\n{{name}}")
    await call(office, "fill_template", talk, path="a.md", values={"name": True})

    after = pypdf.PdfReader(io.BytesIO(data(talk, "a.pdf")))
    assert len(after.pages) == before + 1
    assert "Words" in after.pages[-1].extract_text()
    assert "## What changed\n\nNothing.\n\n# Appendix" in data(talk, "a.md").decode()
    assert data(talk, "a-filled.md").decode().endswith("## First\n\nyes\n")
    assert (await call(office, "outline_document", talk, path="a.md")).text.split("\n")[:2] == [
        "# Summary",
        "## What changed",
    ]
    assert "there is no section" in (await refusal(
        office, "replace_in_document", talk, path="a.md", section="x", content="y")).lower()  # fmt: skip
    (talk.folder / "bad.pdf").write_bytes(b"%PDF-1.7\nnothing")
    locked = pypdf.PdfWriter()
    locked.add_blank_page(10, 10)
    locked.encrypt("secret")
    locked.write(talk.folder / "locked.pdf")
    assert "damaged" in await refusal(office, "append_to_document", talk, path="bad.pdf", content="x")
    assert "password" in await refusal(office, "append_to_document", talk, path="locked.pdf", content="x")
    assert "nothing to add" in await refusal(office, "append_to_document", talk, path="a.md", content="  ")


@pytest.mark.parametrize("head", ["date: 2026-13-45", "a: &a [x]\ntitle: [*a, *a]", f"title: {'[' * 2000}"])
def test_a_head_that_cannot_be_read_is_text(head: str) -> None:
    """References, too: a few lines of them can stand for gigabytes."""
    made = markdown.parse(f"---\n{head}\n---\nBelow.", lambda source, caption: None)
    assert (made.title, len(made.blocks) > 1) == ("", True)


def test_a_word_of_many_pages_is_laid_out_like_any_other() -> None:
    """Such as a file's bytes as base64: the work grows with its length, not with its square."""
    text = f"{'a' * 60_000}\n\n```\n{'b' * 60_000}\n```"
    made = pypdf.PdfReader(io.BytesIO(pages.write(markdown.parse(text, lambda source, caption: None))))
    said = "".join(page.extract_text() for page in made.pages)
    assert (said.count("a"), said.count("b")) == (60_000, 60_000)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("make_document", {"content": "![x](nowhere.png)"}, "cannot be read"),
    ("make_document", {"content": "![x](https://example.org/x.png)"}, "not a file"),
    ("make_document", {"content": "![x](../../secret.png)"}, "not in a folder"),
    ("make_document", {"content": "![x](text.png)"}, "no picture"),
    ("make_document", {"content": "x", "accent": "shiny"}, "is a colour"),
    ("make_document", {"content": "x", "save_as": "a.odt"}, "must end in .docx"),
    ("make_document", {"content": "x", "save_as": "a.xlsx"}, "no table"),
    ("make_document", {"content": "---", "save_as": "a.pptx"}, "begin each with a heading"),
    ("make_document", {"content": "x", "template": "text.png"}, "A template is"),
    ("make_document", {"content": "```chart\n{\n```"}, "not valid JSON"),
    ("make_document", {"content": '```chart\n{"series": {"a": [1], "b": [1, 2]}}\n```'}, "same number of values"),
    ("make_document", {"content": '```chart\n{"labels": ["a"], "values": [1, 2]}\n```'}, "1 labels for 2 values"),
    ("make_document", {"content": "```chart\njust words\n```"}, "Write one like"),
    ("make_document", {"content": "```chart\nseries: {a: &a [1], b: *a}\n```"}, "references"),
    ("make_document", {"content": f"```chart\n{'[' * 5000}\n```"}, "not valid JSON"),
    ("make_document", {"content": '```chart\n{"kind": "pie", "series": {"a": [-1, 1]}}\n```'}, "not negative"),
    ("make_presentation", {"slides": []}, "1 to 300 slides"),
    ("make_spreadsheet", {}, "give `rows`"),
    ("make_spreadsheet", {"sheets": [{"rows": [["a"]], "totals": ["b"]}]}, "no column 'b'"),
    ("make_spreadsheet", {"sheets": [{"rows": [["a"]], "formats": {"a": "x"}}]}, "no number format"),
    ("append_to_document", {"path": "text.png", "content": "x"}, "no kind that can be changed"),
    ("replace_in_document", {"path": "a.xlsx", "section": "x", "content": "x"}, "no kind"),
    ("edit_spreadsheet", {"path": "text.md", "cells": {"A1": 1}}, ".xlsx files"),
]


async def test_what_cannot_be_done_is_said_so_that_a_model_can_mend_it(office: Toolset, talk: ToolContext) -> None:
    for name in ("text.png", "text.md", "a.xlsx"):
        (talk.folder / name).write_text("words")
    for name, given, wanted in WRONG:
        assert wanted in await refusal(office, name, talk, **given), (name, given)


async def test_what_models_write_nearly_right_is_taken(office: Toolset, talk: ToolContext) -> None:
    charts = ['{"type": "bar", "data": {"labels": ["a"], "datasets": [{"label": "x", "data": [1]}]}}',
              '{"kind": "line", "categories": [1, 2], "values": [3, 4]}',
              '{"series": [{"name": "n", "values": [1]}]}']  # fmt: skip
    text = (
        "\n\n".join(f"## C\n\n```chart\n{one}\n```" for one in charts) + "\n\n" + "# One\n\n![caption](my%20tree.png)"
    )
    shutil.copy(talk.folder / "tree.png", talk.folder / "my tree.png")
    done = await call(office, "make_document", talk, content=text, save_as="folder/Report: 1?.pptx")

    assert done.files[0].name == "Report: 1?.pptx"
    assert sum(shape.has_chart for one in deck("Report: 1?.pptx", talk).slides for shape in one.shapes) == 3


def packed(parts: dict[str, bytes], **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


WORD = {"word/document.xml": b"<w/>", "[Content_Types].xml": b"<T/>"}
HOSTILE: list[tuple[str, Callable[[], bytes], str]] = [
    ("bomb.docx", lambda: packed({**WORD, "word/media/a.bin": b"\0" * 30_000_000}), "would unpack"),
    ("many.docx", lambda: packed({**WORD, **{f"x/{number}": b"" for number in range(10_001)}}), "would unpack"),
    ("up.docx", lambda: packed({**WORD, "../../evil.xml": b""}), "not sound"),
    ("macro.docx", lambda: packed({**WORD, "word/vbaProject.bin": b"x"}), "macros"),
    ("other.docx", lambda: packed({"xl/workbook.xml": b"<w/>"}), "not what its name says"),
    ("poly.docx", lambda: b"%PDF-1.7\n" + packed(WORD), "not what its name says"),
    ("text.docx", lambda: b"words", "damaged"),
    ("old.docx", lambda: b"\xd0\xcf\x11\xe0" + b"\0" * 600, "old format"),
    ("bad.docx", lambda: packed({"word/document.xml": b"<", "[Content_Types].xml": b"<"}), "damaged"),
    ("bad.pptx", lambda: packed({"ppt/presentation.xml": b"<", "[Content_Types].xml": b"<"}), "damaged"),
    ("bad.xlsx", lambda: packed({"xl/workbook.xml": b"<"}), "damaged"),
    ("few.xlsx", lambda: packed({"xl/workbook.xml": b"<w/>"}), "is missing"),
    ("laugh.xlsx", lambda: packed({"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a "aa">]><w>&a;</w>'}), "is missing"),
]  # fmt: skip


async def test_hostile_files_are_not_opened(office: Toolset, talk: ToolContext) -> None:
    for name, made_of, wanted in HOSTILE:
        (talk.folder / name).write_bytes(made_of())
        assert wanted in await refusal(office, "outline_document", talk, path=name), name
    secret = bytearray(packed(WORD))
    at = secret.find(b"PK\x01\x02")
    struct.pack_into("<H", secret, at + 8, 1)
    (talk.folder / "secret.docx").write_bytes(bytes(secret))
    assert "password" in await refusal(office, "outline_document", talk, path="secret.docx")
    Image.new("1", (9000, 9000)).save(talk.folder / "wide.png")
    assert "pixels" in await refusal(office, "make_document", talk, content="![x](wide.png)")


async def test_files_of_a_granted_folder_change_in_their_place(
    office: Toolset, talk: ToolContext, tmp_path: Path
) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    (granted / "a.md").write_text("# A\n\nold")
    Image.new("CMYK", (20, 20)).save(granted / "b.jpg")
    done = await call(office, "replace_in_document", talk, path=f"{granted}/a.md", section="A", content="new")
    pictures = f"# A\n\n![b]({granted}/b.jpg)\n\n![c](gone.png)"
    (granted / "page.md").write_text(pictures)
    left = await call(office, "make_document", talk, path=f"{granted}/page.md", save_as="p.pdf", landscape=True)

    assert (granted / "a.md").read_text() == "# A\n\nnew\n"
    assert done.files[0].content_type == "text/markdown"
    assert "1 pictures were left out" in left.text
    (granted / ".git").mkdir()
    (granted / ".git/a.md").write_text("# A")
    assert "git" in await refusal(office, "append_to_document", talk, path=f"{granted}/.git/a.md", content="x")


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("soffice"), reason="NOT RUN: needs LibreOffice")
async def test_office_files_open_in_libreoffice(office: Toolset, talk: ToolContext, tmp_path: Path) -> None:
    await made(office, talk, "a.docx", "a.pptx", "a.xlsx")
    await call(office, "make_document", talk, content=TEXT, save_as="t.docx", template="a.docx", landscape=True)
    await call(
        office,
        "replace_in_document",
        talk,
        path="a.docx",
        section="What changed",
        content="Now\n\n1. a",
        save_as="e.docx",
    )
    await call(
        office, "replace_in_document", talk, path="a.pptx", section="3", content="## Zwei\n\nNeu", save_as="e.pptx"
    )
    foreign(talk.folder / "f.xlsx")
    await call(
        office, "edit_spreadsheet", talk, path="f.xlsx", cells={"B2": 40}, rows=[["New", 3, "=B4*2"]], save_as="e.xlsx"
    )
    await call(office, "edit_spreadsheet", talk, path="f.xlsx", rows=[["x", "=2+3"]], sheet="More", save_as="m.xlsx")
    names = ["a.docx", "a.pptx", "a.xlsx", "t.docx", "e.docx", "e.pptx", "e.xlsx", "m.xlsx"]
    copies = {name: tmp_path / f"{name.replace('.', '-')}{Path(name).suffix}" for name in names}
    for name, copy in copies.items():
        shutil.copy(talk.folder / name, copy)
    command = ["soffice", f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--norestore"]
    command += ["--convert-to", "pdf", "--outdir", str(tmp_path / "out"), *map(str, copies.values())]
    subprocess.run(command, check=True, timeout=200, capture_output=True)

    pages = {name: pypdf.PdfReader(tmp_path / "out" / f"{copy.stem}.pdf").pages for name, copy in copies.items()}
    text = {name: "\n".join(one.extract_text() for one in held) for name, held in pages.items()}
    assert len(pages["a.docx"]) >= 3
    assert len(pages["a.pptx"]) == len(titles("a.pptx", talk))
    assert "Water at night" in text["a.docx"]
    assert "3." in text["a.docx"]
    assert pages["t.docx"][0].mediabox.width < pages["t.docx"][0].mediabox.height  # the template's paper
    assert "Water at night" not in text["e.docx"]
    assert "Neu" in text["e.pptx"]
    assert {"80", "New", "6"} <= set(re.findall(r"\w+", text["e.xlsx"]))
    assert "5" in text["m.xlsx"]


async def test_long_texts_go_over_pages_and_wide_tables_and_words_fit(office: Toolset, talk: ToolContext) -> None:
    code = "```\n" + "\n".join(f"line {number}" for number in range(90)) + "\n```"
    rows = "\n".join(f"| {'word ' * 30} | {number} |" for number in range(40))
    quote = "\n".join(f"> said {number}  " for number in range(70))
    words = f"{'x' * 300} 中文字 שלום **bold**."
    text = f"# {'Long ' * 40}\n\n{words}\n\n{code}\n\n| a | b |\n|:-:|---|\n{rows}\n\n{quote}\n\n![t](tree.png)"
    for kind in ("pdf", "docx", "pptx"):
        await call(office, "make_document", talk, content=text, save_as=f"long.{kind}", landscape=kind == "pdf")

    held = pypdf.PdfReader(io.BytesIO(data(talk, "long.pdf")))
    said = "\n".join(one.extract_text() for one in held.pages)
    assert len(held.pages) > 6
    assert {"line 89", "said 69"} <= set(said.split("\n"))
    assert "| 39" not in said
    wide = "|" + " n |" * 31 + "\n|" + "---|" * 31
    assert "at most 30 columns" in await refusal(office, "make_document", talk, content=wide, save_as="w.pdf")
    assert "must end in" in await refusal(office, "make_document", talk, content="x", save_as="../../e.ods")
