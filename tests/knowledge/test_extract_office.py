"""Office files in shapes that other programs than ours write."""
# ruff: noqa: E501 the XML is as programs write it

from datetime import UTC, datetime

from tests.knowledge.test_extract import read, zipped

from portal.core.clock import micros


async def test_a_workbook_with_dates_and_gaps() -> None:
    cells = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="inlineStr"><is><t>Day</t></is></c></row>'
        '<row><c r="A2"><v>0.30000000000000004</v></c><c r="C2" s="1"><v>46053</v></c><c r="D2" s="2"><v>46053.5</v></c></row>'
        '<row><c r="A3" t="b"><v>0</v></c><c r="C3" s="2"><v>0.25</v></c><c r="D3" s="x"><v>1e400</v></c></row>'
        '<row><c r="A4" t="s"><v>7</v></c><c t="str"><v>made</v></c><c r="F4"><v>many</v></c><c><v></v></c></row>'
    )
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="dd/mm/yy hh:mm"/><numFmt numFmtId="171" formatCode="[Red]0"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/></cellXfs>'
    )
    files = {
        "xl/workbook.xml": '<w xmlns:r="r"><workbookPr date1904="0"/><sheet name="One" r:id="a"/><sheet name="Two" r:id="b"/></w>',
        "xl/_rels/workbook.xml.rels": '<R><Relationship Id="a" Target="/xl/s.xml"/><Relationship Id="b" Target="t.xml"/></R>',
        "xl/s.xml": f"<worksheet>{cells}</worksheet>",
        "xl/styles.xml": f"<styles>{styles}</styles>",
        "xl/sharedStrings.xml": "<sst><si><r><t>Pe</t></r><r><t>ar</t></r><rPh><t>said</t></rPh></si></sst>",
    }
    found = await read(zipped(files), "a.xlsx")
    older = await read(zipped({**files, "xl/workbook.xml": files["xl/workbook.xml"].replace('"0"', '"1"')}), "a.xlsx")

    assert found.text.splitlines()[2:6] == [
        "Pear |  | Day",
        "0.3 |  | 2026-01-31 | 2026-01-31 12:00:00",
        "FALSE |  | 06:00:00 | inf",
        " | made |  |  |  | many",
    ]
    assert "Sheet 'Two'" in found.warnings[0]
    assert "2030-02-01" in older.text


async def test_opendocument_sheets_and_slides() -> None:
    meta = "<meta><title>Farm</title><creation-date>2026-01-02T03:04:05</creation-date></meta>"
    cell = "<table-cell><p>{}</p></table-cell>"
    table = f'<table name="Items"><table-row>{cell.format("Name")}{cell.format("Town")}</table-row><table-row>{cell.format("Ann")}'
    table += '<table-cell number-columns-repeated="99999999999"/></table-row></table>'
    sheets = await read(
        zipped(
            {"content.xml": f"<a><spreadsheet>{table}</spreadsheet></a>", "meta.xml": meta, "META-INF/manifest.xml": ""}
        ),
        "a.ods",
    )
    slides = (
        '<a><page name="page1"><p>Hello<s/>there<tab/>you<line-break/>two</p><list><list-item><p>one</p></list-item></list>'
        '<notes><p>Say it</p></notes></page><page name="Harvest"><h outline-level="2">Sub</h><p/>'
        "<tracked-changes><p>gone</p></tracked-changes></page></a>"
    )
    shown = await read(zipped({"content.xml": slides, "META-INF/manifest.xml": ""}), "a.odp")

    assert sheets.text == "# Items\n\nName | Town\nAnn"
    assert sheets.title == "Farm"
    assert sheets.written == micros(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert shown.text == "# Slide 1\n\nHello there you\ntwo\n\n- one\n\n## Notes\n\nSay it\n\n# Harvest\n\n## Sub"
    assert [block.page for block in shown.blocks] == [1, 1, 1, 1, 1, 2, 2]


async def test_word_and_slides_in_odd_shapes() -> None:
    words = (
        "<w:document xmlns:w='x'><w:p><w:pPr><w:outlineLvl w:val='1'/></w:pPr><w:t>Head</w:t></w:p><w:p><w:t>a</w:t><w:tab/>"
        "<w:t>b</w:t><w:br/><w:t>c</w:t><w:delText>gone</w:delText></w:p><w:Fallback><w:t>twice</w:t></w:Fallback><w:tbl>"
        "<w:tc><w:p><w:t>lost row</w:t></w:p></w:tc><w:tr><w:tc><w:p><w:t>1</w:t></w:p><w:tbl><w:tr><w:tc><w:p><w:t>2</w:t></w:p>"
        "</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl></w:document>"
    )
    styles = "<s xmlns:w='x'><w:style w:styleId='q'><w:outlineLvl w:val='2'/></w:style></s>"
    found = await read(zipped({"word/document.xml": words, "word/styles.xml": styles}), "a.docx")
    deck = {
        "ppt/presentation.xml": '<p xmlns:r="r"><sldId id="1" r:id="a"/><sldId id="2" r:id="b"/><sldId id="3" r:id="c"/></p>',
        "ppt/_rels/presentation.xml.rels": '<R><Relationship Id="a" Target="a.xml"/><Relationship Id="b" Target="b.xml"/></R>',
        "ppt/a.xml": '<s><sp><ph type="sldNum"/><p><t>7</t></p></sp><sp><ph/><p><pPr lvl="1"/><t>in</t></p></sp></s>',
    }
    shown = await read(zipped(deck), "a.pptx")
    book = {
        "META-INF/container.xml": '<c><rootfile full-path="o/b.opf"/></c>',
        "o/b.opf": '<o><title>Book</title><item id="1" href="a%20b.html"/><item id="2" href="no.html"/><itemref idref="1"/>'
        '<itemref idref="2"/><itemref idref="3"/></o>',
        "o/a b.html": "<p>Once</p>",
    }
    read_book = await read(zipped(book), "a.epub")

    assert found.text == "## Head\n\na b\nc\n\n1 2"
    assert shown.text == "# Slide 1\n\n  in"
    assert shown.warnings == ["Slide 2 is missing."]
    assert (read_book.text, read_book.title) == ("Once", "Book")
    assert "no.html" in read_book.warnings[0]
