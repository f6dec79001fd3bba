"""Tools that make office documents out of structured content."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.tools.folders import Folders, keep
from portal.tools.function import tool
from portal.tools.office import markdown, package, pages, sheets, slides, word
from portal.tools.office.cells import Value
from portal.tools.office.content import Block, Break, Content, Heading, Notes, Picture, Run, look
from portal.tools.office.pictures import picture
from portal.tools.readable import readable

_LARGEST_PICTURE = 40 * 2**20
_LARGEST_TEXT = 4_000_000
_MOST_SLIDES = 300
KINDS = (".docx", ".pdf", ".pptx", ".xlsx", ".md")
Accent = Annotated[str, "Colour: blue, green, teal, red, orange, purple, grey, or hex such as 1F5C99"]
SavedAs = Annotated[str, "File name, ending in .docx, .pdf, .pptx, .xlsx or .md"]


class SlideGiven(BaseModel):
    """A slide as a model writes it."""

    model_config = ConfigDict(extra="forbid")

    title: str = ""
    content: Annotated[
        str, BeforeValidator(lambda given: "\n".join(f"- {one}" for one in given) if isinstance(given, list) else given)
    ] = Field("", description="Markdown: a few short bullets, a table, a picture or a ```chart")
    notes: str = Field("", description="What the speaker says")


class Finder:
    """Finds the pictures that a text names, in folders that tools may use."""

    def __init__(self, folders: Folders, context: ToolContext, *, lenient: bool = False) -> None:
        """`lenient`: what is not there is left out, and counted in `missing`."""
        self._folders, self._context, self._lenient = folders, context, lenient
        self.missing: list[str] = []

    def __call__(self, source: str, caption: str) -> Picture:
        """See FindPicture."""
        if "://" in source or source.startswith(("data:", "//")):
            raise ToolError(
                f"The picture {source[:100]!r} is not a file: save it into the conversation's folder first."
            )
        place = self._folders.file(source, self._context, largest=_LARGEST_PICTURE)
        try:
            return picture(place.read(), source, caption)
        except OSError as error:
            raise ToolError(f"The picture {source!r} cannot be read: {error.strerror}.") from error

    def parse(self, text: str) -> Content:
        """The content of a text with its pictures. Raises ToolError."""
        return markdown.parse(text, self._or_nothing if self._lenient else self)

    def _or_nothing(self, source: str, caption: str) -> Picture | None:
        try:
            return self(source, caption)
        except ToolError:
            self.missing.append(source)
            return None


class Making:
    """Makes documents, with the folders it may use."""

    def __init__(self, *, folders: Folders) -> None:
        self._folders = folders

    @tool(risk="write", scopes={"path": "path", "template": "path"}, harmless=True, timeout=120)
    async def make_document(
        self,
        context: ToolContext,
        content: Annotated[
            str,
            "Markdown: headings, lists, tables, ![caption](picture.png), \\newpage, and charts as "
            '```chart {"kind": "bar", "title": "Sales", "labels": ["Q1", "Q2"], "series": {"2026": [3, 5]}} ```',
        ] = "",
        save_as: SavedAs = "document.docx",
        title: str = "",
        author: str = "",
        path: Annotated[str, "Or a Markdown, text or HTML file to make it of"] = "",
        accent: Accent = "",
        landscape: bool = False,
        template: Annotated[str, "A .docx or .pptx file whose styles it takes"] = "",
    ) -> ToolResult:
        """Make a Word, PDF, PowerPoint, Excel or Markdown document out of Markdown text or a file."""
        name = named(save_as, KINDS)
        text = self._text(content, path, context)
        if name.endswith(".md"):
            made = await asyncio.to_thread(self._checked, text, context)
            return _result(keep(context, name, made), "")
        finder = Finder(self._folders, context, lenient=bool(path))

        def work() -> bytes:
            read = finder.parse(text)
            named_so, by = _line(title) or read.title or _titled(read), _line(author) or read.author
            whole = replace(read, title=named_so, author=by, look=look(accent), landscape=landscape)
            return written(whole, name, self._template(template, name, context))

        made = await asyncio.to_thread(work)
        left = f" {len(finder.missing)} pictures were left out: they are no files here." if finder.missing else ""
        return _result(keep(context, name, made), left)

    @tool(risk="write", scopes={"template": "path"}, harmless=True, timeout=120)
    async def make_presentation(
        self,
        slides: Annotated[list[SlideGiven], "The slides after the title slide, in order"],
        context: ToolContext,
        save_as: Annotated[str, "File name ending in .pptx"] = "presentation.pptx",
        title: Annotated[str, "On the title slide"] = "",
        subtitle: str = "",
        author: str = "",
        accent: Accent = "",
        template: Annotated[str, "A .pptx file whose design it takes"] = "",
    ) -> ToolResult:
        """Make a PowerPoint presentation of slides with bullets, tables, charts, pictures and speaker notes."""
        name = named(save_as, (".pptx",))
        if not 0 < len(slides) <= _MOST_SLIDES:
            raise ToolError(f"`slides` is a list of 1 to {_MOST_SLIDES} slides, each with `title` and `content`.")
        finder = Finder(self._folders, context)

        def work() -> bytes:
            blocks = [block for one in slides for block in slide_blocks(one.title, one.content, one.notes, finder)]
            whole = Content(
                blocks=blocks, title=_line(title), subtitle=_line(subtitle), author=_line(author), look=look(accent)
            )
            return written(whole, name, self._template(template, name, context))

        return _result(keep(context, name, await asyncio.to_thread(work)), "")

    @tool(risk="write", scopes={}, harmless=True, timeout=120)
    async def make_spreadsheet(
        self,
        context: ToolContext,
        rows: Annotated[
            list[list[Value]], "Rows of one sheet, the first with the columns' names; a cell '=B2*C2' is a formula"
        ] = [],  # noqa: B006 - read only
        sheets: Annotated[list[sheets.Sheet], "Or several sheets, or one with formats, totals and charts"] = [],  # noqa: B006
        save_as: Annotated[str, "File name ending in .xlsx or .csv"] = "table.xlsx",
        title: str = "",
        accent: Accent = "",
    ) -> ToolResult:
        """Make an Excel spreadsheet (or CSV) with formulas, number formats, totals, charts and several sheets."""
        name = named(save_as, (".xlsx", ".csv"))
        given = [*([_sheet(rows)] if rows else []), *sheets]
        if not given:
            raise ToolError("There is nothing to write: give `rows`, such as [['Name', 'Price'], ['Pear', 1.4]].")
        if name.endswith(".csv"):
            return _result(keep(context, name, await asyncio.to_thread(_csv, given[0])), "")
        book = _book(accent)
        made = await asyncio.to_thread(book.write, given, title=_line(title))
        note = f" {book.kept} formulas that reach beyond the file were written as text." if book.kept else ""
        return _result(keep(context, name, made), note)

    def _text(self, content: str, path: str, context: ToolContext) -> str:
        if path:
            place = self._folders.file(path, context, largest=_LARGEST_TEXT)
            text = place.read().decode("utf-8", "replace")
            if PurePath(path).suffix.lower() in (".html", ".htm", ".xhtml"):
                text = readable(text, "").text
            content = f"{content}\n\n{text}" if content else text
        if not content.strip():
            raise ToolError("There is nothing to put into the document: give `content` or `path`.")
        return content

    def _template(self, path: str, name: str, context: ToolContext) -> bytes | None:
        if not path:
            return None
        ending = PurePath(name).suffix
        if ending not in (".docx", ".pptx") or not path.lower().endswith(ending):
            raise ToolError("A template is a .docx file for a .docx document, or a .pptx file for a .pptx one.")
        return package.read(self._folders.file(path, context, largest=package.LARGEST))

    def _checked(self, text: str, context: ToolContext) -> bytes:
        """Markdown as it is, once its charts and pictures are sound."""
        Finder(self._folders, context, lenient=True).parse(text)
        return text.encode("utf-8", "replace")


def written(content: Content, name: str, template: bytes | None = None) -> bytes:
    """The content as a file of the kind that its name ends in. Raises ToolError."""
    with_template: dict[str, Callable[..., bytes]] = {".docx": word.write, ".pptx": slides.write}
    ending = PurePath(name).suffix
    if ending in with_template:
        return with_template[ending](content, template)
    return pages.write(content) if ending == ".pdf" else sheets.write(content)


def slide_blocks(title: str, content: str, notes: str, finder: Finder) -> list[Block]:
    """A slide as blocks. Raises ToolError."""
    inner = list(finder.parse(content).blocks)
    if inner and isinstance(inner[0], Heading) and (not title or _said(inner[0]) == title.strip()):
        title = title or _said(inner[0])
        inner = inner[1:]
    inner = [one for one in inner if not isinstance(one, Break)]
    lower = [replace(one, level=3) if isinstance(one, Heading) else one for one in inner]
    start: Block = Heading(2, (Run(_line(title)),)) if title else Break(page=True)
    return [start, *lower, *([Notes(markdown.clean(notes))] if notes.strip() else [])]


def named(wanted: str, endings: tuple[str, ...]) -> str:
    """A file name with one of these endings; the first where it has none. Raises ToolError."""
    name = PurePath(wanted.strip().replace("\\", "/")).name.strip(". ") or "document"
    ending = PurePath(name).suffix.lower()
    if ending in endings:
        return name[: -len(ending)] + ending
    if ending in (".doc", ".ppt", ".xls"):
        return named(f"{name}x", endings)
    if ending in (*KINDS, ".csv", ".html", ".odt", ".ods", ".odp", ".rtf", ".docm", ".xlsm", ".pptm", ".txt"):
        raise ToolError(f"`save_as` must end in {' or '.join(endings)}; {name!r} does not.")
    return f"{name}{endings[0]}"


def _line(text: str) -> str:
    """A title or name, as long as files take."""
    return " ".join(markdown.clean(text).split())[: markdown.LONGEST_TITLE]


def _said(heading: Heading) -> str:
    return "".join(run.text for run in heading.text).strip()


def _titled(content: Content) -> str:
    first = content.blocks[0] if content.blocks else None
    return _line(_said(first)) if isinstance(first, Heading) and first.level == 1 else ""


def _sheet(rows: list[list[Value]]) -> sheets.Sheet:
    return sheets.Sheet(rows=rows)


def _csv(sheet: sheets.Sheet) -> bytes:
    return sheets.as_csv(sheet)


def _book(accent: str) -> sheets.Book:
    return sheets.Book(look(accent))


def _result(file: Any, note: str) -> ToolResult:
    return ToolResult(text=f"Made {file.name}.{note}", files=(file,))
