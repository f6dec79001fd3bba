"""Tools that look into office documents and change them, without losing what they do not touch."""

import asyncio
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, ParamSpec, TypeVar

from portal.core.tools import ToolContext, ToolFile, ToolResult
from portal.errors import ToolError
from portal.tools.folders import Folders, Place, keep
from portal.tools.function import tool
from portal.tools.office import package, pdf_edit, placeholders, slides_edit, text_edit, word_edit
from portal.tools.office.cells import Value, number_format
from portal.tools.office.content import Content
from portal.tools.office.making import Finder, named
from portal.tools.office.placeholders import Given
from portal.tools.office.sheet_xml import SheetXml
from portal.tools.office.sheets import sheet_name
from portal.tools.office.stamping import Where
from portal.tools.office.workbook import Workbook

P = ParamSpec("P")
T = TypeVar("T")
_TEXTS = (".md", ".markdown", ".txt")
_MOST_ROWS = 100_000
_LONGEST_STAMP = 200
File = Annotated[str, "The .docx, .pptx, .xlsx, .pdf or .md file"]
SavedAs = Annotated[str, "Name of a new file; empty changes the file itself"]


class Changing:
    """Changes documents, with the folders it may use."""

    def __init__(self, *, folders: Folders) -> None:
        self._folders = folders

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    async def outline_document(self, path: File, context: ToolContext) -> str:
        """List a document's headings, slides, sheets or pages and its {{placeholders}} or form fields, to know what can
        be changed in it."""
        place = self._folders.file(path, context, largest=package.LARGEST)
        kinds = {".docx": word_edit.outline, ".pptx": slides_edit.outline, ".xlsx": _sheets, ".pdf": pdf_edit.outline}
        outline = _by_kind(place, kinds) or text_edit.outline
        lines = await asyncio.to_thread(lambda: outline(_data(place)))
        return "\n".join(lines) or "It is empty."

    @tool(risk="write", scopes={"path": "path"}, timeout=120)
    async def append_to_document(
        self,
        path: File,
        content: Annotated[str, "Markdown, as for make_document; each ## heading begins a slide"],
        context: ToolContext,
        save_as: SavedAs = "",
    ) -> ToolResult:
        """Add text, tables, charts, slides or pages at the end of a Word, PowerPoint, PDF or Markdown file."""
        place = self._place(path, context, save_as)
        kinds = {".docx": word_edit.append, ".pptx": slides_edit.append, ".pdf": pdf_edit.append}
        change = _by_kind(place, kinds)
        parse = Finder(self._folders, context).parse

        def work() -> bytes:
            data, read_content = _data(place), parse(content)
            if not read_content.blocks:
                raise ToolError("There is nothing to add: `content` is Markdown.")
            return change(data, read_content) if change else text_edit.append(data, content)

        return await self._saved(place, save_as, work, context, "Added to")

    @tool(risk="write", scopes={"path": "path"}, timeout=120)
    async def replace_in_document(
        self,
        path: File,
        section: Annotated[
            str, "The heading of the section, the slide's number or title, or pages such as 2-3 (see outline_document)"
        ],
        content: Annotated[str, "Markdown that takes its place"],
        context: ToolContext,
        save_as: SavedAs = "",
    ) -> ToolResult:
        """Replace a section of a Word or Markdown file, a slide of a PowerPoint file, or pages of a PDF; the rest stays
        as it is."""
        place = self._place(path, context, save_as)
        kinds = {".docx": word_edit.replace, ".pptx": slides_edit.replace, ".pdf": pdf_edit.replace}
        change = _by_kind(place, kinds)
        parse = Finder(self._folders, context).parse

        def work() -> bytes:
            data, read_content = _data(place), parse(content)
            if change is None:
                return text_edit.replace(data, section, content)
            return change(data, section, read_content)

        return await self._saved(place, save_as, work, context, f"Replaced {section!r} in")

    @tool(risk="write", scopes={"path": "path"}, timeout=120)
    async def edit_spreadsheet(
        self,
        path: Annotated[str, "The .xlsx file"],
        context: ToolContext,
        cells: Annotated[dict[str, Value], "Values by place, such as {'B2': 12, 'Sheet2!C3': '=SUM(C1:C2)'}"] = {},  # noqa: B006
        rows: Annotated[list[list[Value]], "Rows to add below the last of the sheet"] = [],  # noqa: B006
        sheet: Annotated[str, "The sheet; one that is not there is made. Empty: the first"] = "",
        formats: Annotated[dict[str, str], "Number formats by place, such as {'B': 'euro', 'C2:C9': 'percent'}"] = {},  # noqa: B006
        save_as: SavedAs = "",
    ) -> ToolResult:
        """Set cells and formulas, add rows or a sheet, and format numbers in an Excel file; the rest stays as it is."""
        place = self._place(path, context, save_as)
        if place.path.suffix.lower() != ".xlsx":
            raise ToolError("edit_spreadsheet changes .xlsx files.")
        if not (cells or rows or formats):
            raise ToolError("There is nothing to change: give `cells`, `rows` or `formats`.")
        if len(rows) > _MOST_ROWS:
            raise ToolError(f"At most {_MOST_ROWS:,} rows are added at once.")
        notes: list[str] = []

        def work() -> bytes:
            book = Workbook(_data(place))
            notes.append(_edited(book, sheet, cells, rows, formats))
            return book.saved()

        done = await self._saved(place, save_as, work, context, "Changed")
        return ToolResult(text=done.text + "".join(notes), files=done.files)

    @tool(risk="write", scopes={"path": "path", "also": "path"}, timeout=120)
    async def arrange_pdf(
        self,
        path: Annotated[str, "The .pdf file"],
        context: ToolContext,
        pages: Annotated[str, "The pages it is to have, in their order, such as 3,1-2,5-; empty: all"] = "",
        turned: Annotated[dict[str, pdf_edit.Turn], "Degrees to the right by pages, such as {'2': 90}"] = {},  # noqa: B006
        also: Annotated[str, "Another PDF: its pages come after, and are counted on"] = "",
        save_as: SavedAs = "",
    ) -> ToolResult:
        """Remove, reorder, repeat, extract or turn pages of a PDF, split it, or merge it with another PDF."""
        place = self._place(path, context, save_as)
        other = self._folders.file(also, context, largest=package.LARGEST) if also else None
        _by_kind(place, {".pdf": pdf_edit.arrange}, texts=())
        if not (pages.strip() or turned or other):
            raise ToolError("There is nothing to change: give `pages`, `turned` or `also`.")

        def work() -> bytes:
            return pdf_edit.arrange(_data(place), pages, turned, _data(other) if other else None)

        return await self._saved(place, save_as, work, context, "Arranged")

    @tool(risk="write", scopes={"path": "path"}, timeout=120)
    async def stamp_pdf(
        self,
        path: Annotated[str, "The .pdf file"],
        text: Annotated[str, "Such as DRAFT, or {page} of {pages} for page numbers"],
        context: ToolContext,
        where: Annotated[Where, "At an edge, or large and grey across the page"] = "bottom",
        pages: Annotated[str, "Such as 1 or 2-; empty: all"] = "",
        save_as: SavedAs = "",
    ) -> ToolResult:
        """Stamp a text, page numbers or a watermark on the pages of a PDF."""
        place = self._place(path, context, save_as)
        _by_kind(place, {".pdf": pdf_edit.stamp}, texts=())
        if not text.strip() or len(text) > _LONGEST_STAMP:
            raise ToolError(f"`text` is a line of at most {_LONGEST_STAMP} characters.")
        return await self._saved(
            place, save_as, lambda: pdf_edit.stamp(_data(place), text, where, pages), context, "Stamped"
        )

    @tool(risk="write", scopes={"path": "path"}, timeout=120)
    async def fill_template(
        self,
        path: Annotated[str, "A .docx, .pptx, .xlsx or .md file with placeholders such as {{name}}, or a PDF form"],
        values: Annotated[
            dict[str, Given],
            "Value by placeholder or form field; a list of objects repeats the row of a Word or PowerPoint table that "
            "has {{items.price}}",
        ],
        context: ToolContext,
        save_as: Annotated[str, "Name of the new file"] = "",
    ) -> ToolResult:
        """Fill the {{placeholders}} of a Word, PowerPoint, Excel or Markdown template, or the fields of a PDF form,
        into a new file."""
        place = self._folders.file(path, context, largest=package.LARGEST)
        ending = place.path.suffix.lower()
        name = named(save_as or f"{place.path.stem}-filled{ending}", (ending,))
        parse = Finder(self._folders, context).parse
        used: set[str] = set()

        def work() -> bytes:
            made, put = _filled(_data(place), ending, values, parse)
            used.update(put)
            return made

        made = await asyncio.to_thread(work)
        missing = [one for one in values if one not in used]
        if values and not used:
            raise ToolError(f"None of these placeholders is in {place.path.name}: {', '.join(missing)}. "
                            "See outline_document.")  # fmt: skip
        left = f" Not in it: {', '.join(missing)}." if missing else ""
        return ToolResult(text=f"Made {name}.{left}", files=(keep(context, name, made),))

    def _place(self, path: str, context: ToolContext, save_as: str) -> Place:
        """The file, which may be changed unless another is made. Raises ToolError."""
        if not save_as:
            self._folders.target(path, context)
        return self._folders.file(path, context, largest=package.LARGEST)

    async def _saved(
        self, place: Place, save_as: str, work: Callable[[], bytes], context: ToolContext, done: str
    ) -> ToolResult:
        made = await asyncio.to_thread(work)
        if save_as:
            name = named(save_as, (place.path.suffix.lower(),))
            return ToolResult(text=f"{done} {place.path.name}, as {name}.", files=(keep(context, name, made),))
        try:
            await asyncio.to_thread(place.write, made)
        except OSError as error:
            raise ToolError(f"{place.shown} cannot be written: {error.strerror}.") from error
        file = ToolFile(name=place.path.name, content_type=_content_type(place.path.suffix.lower()), data=made)
        return ToolResult(text=f"{done} {place.shown}.", files=(file,))


def _by_kind(place: Place, kinds: Mapping[str, Callable[P, T]], texts: Sequence[str] = _TEXTS) -> Callable[P, T] | None:
    """What does it for this kind of file; None for text. Raises ToolError."""
    ending = place.path.suffix.lower()
    if ending in kinds:
        return kinds[ending]
    if ending in texts:
        return None
    raise ToolError(f"{place.path.name!r} is of no kind that can be changed so: {', '.join((*kinds, *texts[:1]))}.")


def _data(place: Place) -> bytes:
    """The bytes of a file that may be opened. Raises ToolError."""
    if place.path.suffix.lower() in (*_TEXTS, ".pdf"):
        try:
            return place.read()
        except OSError as error:
            raise ToolError(f"{place.shown} cannot be read: {error.strerror}.") from error
    return package.read(place)


def _filled(
    data: bytes, ending: str, values: Mapping[str, Given], parse: Callable[[str], Content]
) -> tuple[bytes, set[str]]:
    if ending == ".docx":
        return word_edit.fill(data, values, parse)
    if ending == ".pptx":
        return slides_edit.fill(data, values)
    if ending == ".xlsx":
        return _filled_cells(data, values)
    if ending == ".pdf":
        return pdf_edit.fill(data, values)
    used: set[str] = set()
    text = data.decode("utf-8", "replace")
    return placeholders.filled(text, values, used).encode(), used


def _filled_cells(data: bytes, values: Mapping[str, Given]) -> tuple[bytes, set[str]]:
    book, used = Workbook(data), set[str]()
    for name in book.names:
        sheet = book.sheet(name)
        for place, text in list(sheet.texts()):
            match = placeholders.MARK.fullmatch(text.strip())
            value = values.get(match[1]) if match else None
            if match and match[1] in values and not isinstance(value, list):
                used.add(match[1])
                sheet.put(place, value, formula=False)
            elif "{{" in text:
                sheet.put(place, placeholders.filled(text, values, used), formula=False)
    return book.saved(), used


def _edited(
    book: Workbook, sheet: str, cells: Mapping[str, Value], rows: list[list[Value]], formats: Mapping[str, str]
) -> str:
    """Do the changes; what there is to say of them."""
    names = {one.lower(): one for one in book.names}
    if sheet and sheet.lower() not in names:
        sheet = sheet_name(sheet, set(names))
        book.add(sheet)
    page = book.sheet(sheet)
    used: list[SheetXml] = [page]
    empty = not page.last
    if rows and not empty:
        _added(book, page, rows)
    for place, value in cells.items():
        named_sheet, _, cell = place.rpartition("!")
        used.append(book.sheet(named_sheet or sheet))
        used[-1].put(cell, value)
    if rows and empty:
        _added(book, page, rows)
    for place, form in formats.items():
        named_sheet, _, cell = place.rpartition("!")
        book.sheet(named_sheet or sheet).format(cell, number_format(form))
    kept = sum({id(one): one.kept for one in used}.values())
    return f" {kept} formulas that reach beyond the file were written as text." if kept else ""


def _added(book: Workbook, page: SheetXml, rows: list[list[Value]]) -> None:
    before = page.last
    for row in rows:
        last = page.append(row)
    book.extend_tables(page, before, last)


def _sheets(data: bytes) -> list[str]:
    """The sheets with their size, first row and placeholders."""
    book = Workbook(data)
    lines: list[str] = []
    marks: set[str] = set()
    for name in book.names:
        sheet = book.sheet(name)
        lines.append(f"{name}: {sheet.last} rows; first row: {' | '.join(sheet.first_row()[:30])}")
        marks |= {one for _, text in sheet.texts() for one in placeholders.names(text)}
    return [*lines, *([f"Placeholders: {', '.join(sorted(marks))}"] if marks else [])]


def _content_type(ending: str) -> str:
    return mimetypes.types_map.get(ending) or mimetypes.guess_type(f"a{ending}")[0] or "application/octet-stream"
