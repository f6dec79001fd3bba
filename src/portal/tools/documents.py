"""Tools for documents: read, look at, convert, recognise text in pictures, make and change office files."""

import asyncio
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.extras import add_command
from portal.tools import pandoc, programs
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.function import Functions, tool
from portal.tools.office import markdown, pages
from portal.tools.office.changing import Changing
from portal.tools.office.making import Making

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

_LARGEST = 200 * 2**20
_SECONDS = 100
_SCANNED = 20
"""Pages of a PDF that are recognised at once."""
_OFFICE = {".doc", ".docx", ".odt", ".rtf", ".xls", ".xlsx", ".ods", ".ppt", ".pptx", ".odp", ".csv"}
_CLOSED = (
    ("Common/Security/Scripting", "BlockUntrustedRefererLinks", "true"),
    ("Common/Security/Scripting", "DisableMacrosExecution", "true"),
    ("Writer/Content/Update", "Link", "0"),
    ("Calc/Content/Update", "Link", "1"),
)
"""Settings of LibreOffice. No link is brought up to date: never is 0 in Writer, where 2 is always, and 1 in Calc, where
0 is always."""
_PANDOC = {
    "docx": "docx", "odt": "odt", "html": "html", "md": "gfm", "txt": "plain", "epub": "epub", "rst": "rst",
    "tex": "latex", "pptx": "pptx", "rtf": "rtf",
}  # fmt: skip
_INFO = (
    "title",
    "subject",
    "authors",
    "keywords",
    "language",
    "created_at",
    "modified_at",
    "created_by",
    "modified_by",
)
_PICTURE = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF", b"P4", b"P5", b"P6")
"""How pictures begin. Tesseract takes anything else as a list of files to read."""
Target = Literal["pdf", "docx", "odt", "html", "md", "txt", "epub", "rst", "tex", "pptx", "rtf", "xlsx", "ods", "csv"]
File = Annotated[str, "The document"]


class Documents:
    """The family, with the folders it may use."""

    def __init__(self, *, folders: Folders) -> None:
        self._folders = folders

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    async def read_document(
        self, path: File, context: ToolContext, pages: Annotated[str, "Of a PDF, such as 3 or 2-5"] = ""
    ) -> str:
        """Read the text of a PDF, Word, PowerPoint, Excel, e-mail, EPUB or HTML file."""
        found = await _extracted(self._file(path, context), by_page=bool(pages))
        if pages:
            return _pages(found, pages)
        return found.content.strip() or "It holds no text; if it is scanned, use recognise_text."

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    async def document_info(self, path: File, context: ToolContext) -> str:
        """Tell a document's kind, size, pages, title, authors and dates."""
        file = self._file(path, context)
        found = await _extracted(file)
        lines = [f"kind: {found.mime_type}", f"size: {file.stat().st_size:,} bytes"]
        if count := found.get_page_count():
            lines.append(f"pages: {count}")
        lines.append(f"words: {len(found.content.split())}")
        held = {name: found.metadata.get(name) for name in _INFO}
        lines += [f"{n}: {', '.join(map(str, v)) if isinstance(v, list) else v}" for n, v in held.items() if v]
        return "\n".join(lines)

    @tool(risk="read", scopes={"path": "path"})
    async def convert_document(self, path: File, to: Target, context: ToolContext) -> ToolResult:
        """Convert a document into another format, such as Word to PDF or Markdown to Word."""
        source = self._file(path, context)
        name = f"{source.stem}.{to}"
        office = to in ("xlsx", "ods", "csv") or (to == "pdf" and source.suffix.lower() in _OFFICE)
        with tempfile.TemporaryDirectory() as folder:
            made = await (_by_office if office else _by_pandoc)(source, to, Path(folder))
        return ToolResult(text=f"Made {name}.", files=(keep(context, name, made),))

    @tool(risk="read", scopes={"path": "path"}, untrusted=True, timeout=600)
    async def recognise_text(
        self,
        path: Annotated[str, "A picture or a scanned PDF"],
        context: ToolContext,
        language: Annotated[str, "Such as eng, deu or eng+fra"] = "eng",
    ) -> str:
        """Recognise the printed text in a picture, photo or scanned PDF (OCR)."""
        file = self._file(path, context)
        if not re.fullmatch(r"[A-Za-z_]{3,12}(\+[A-Za-z_]{3,12}){0,4}", language):
            raise ToolError("`language` is a code such as eng, deu or eng+fra.")
        program = programs.find(["tesseract"], "apt install tesseract-ocr, or brew install tesseract")
        with tempfile.TemporaryDirectory() as folder:
            pictures = await asyncio.to_thread(_pictures, file, Path(folder))
            texts = []
            for number, picture in enumerate(pictures, 1):
                context.report(f"page {number} of {len(pictures)}")
                command = [program, str(picture), "stdout", "-l", language]
                texts.append((await programs.run(command, folder=Path(folder), seconds=_SECONDS)).decode().strip())
        return "\n\n".join(text for text in texts if text) or "No text was recognised."

    def _file(self, path: str, context: ToolContext) -> Path:
        return self._folders.file(path, context, largest=_LARGEST).path


async def _extracted(path: Path, *, by_page: bool = False) -> "ExtractionResult":
    try:
        import kreuzberg
    except ImportError as error:
        raise ToolError(f"Reading documents needs kreuzberg: `{add_command('documents')}`.") from error
    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,  # type: ignore[call-arg]
        output_format="markdown",
        extraction_timeout_secs=_SECONDS,
        pages=kreuzberg.PageConfig(extract_pages=True) if by_page else None,
    )
    try:
        return await kreuzberg.extract_file(path, config=config)
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError, OSError) as error:
        raise ToolError(f"{path.name!r} cannot be read: {str(error)[:300]}") from error


def _pages(found: "ExtractionResult", wanted: str) -> str:
    match = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", wanted)
    if not match:
        raise ToolError("`pages` is a number or a range such as 2-5.")
    held = found.pages or []
    first, last = int(match[1]), int(match[2] or match[1])
    texts = [
        f"[page {one['page_number']}]\n{one['content'].strip()}" for one in held if first <= one["page_number"] <= last
    ]
    if not texts:
        raise ToolError(f"There is no such page; the document has {len(held) or 'no'} pages.")
    return "\n\n".join(texts)


async def _by_pandoc(source: Path, to: str, folder: Path) -> bytes:
    if to == "pdf":
        plain = await pandoc.convert(source, "gfm", "md", folder)
        return await asyncio.to_thread(_printed, plain.decode(), source.stem)
    return await pandoc.convert(source, _PANDOC[to], to, folder)


def _printed(text: str, title: str) -> bytes:
    """Markdown as a PDF, without its pictures."""
    read = markdown.parse(text, lambda source, caption: None)
    return pages.write(replace(read, title=read.title or title))


async def _by_office(source: Path, to: str, folder: Path) -> bytes:
    program = programs.find(["soffice", "libreoffice"], "install LibreOffice")
    profile = folder / "profile" / "user"
    profile.mkdir(parents=True)
    (profile / "registrymodifications.xcu").write_text(_profile(), encoding="utf-8")
    command = [program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--norestore"]
    command += ["--convert-to", to, "--outdir", str(folder), str(source)]
    await programs.run(command, folder=folder, seconds=_SECONDS)
    made = folder / f"{source.stem}.{to}"
    if not made.is_file():
        raise ToolError(f"LibreOffice cannot convert {source.name!r} to {to}.")
    return made.read_bytes()


def _profile() -> str:
    """LibreOffice's settings with which it loads nothing that a document names, nor runs anything in it."""
    item = (
        '<item oor:path="/org.openoffice.Office.{}"><prop oor:name="{}" oor:op="fuse"><value>{}</value></prop></item>'
    )
    head = 'xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema"'
    items = "".join(item.format(*one) for one in _CLOSED)
    return f'<?xml version="1.0" encoding="UTF-8"?><oor:items {head}>{items}</oor:items>'


def _pictures(file: Path, folder: Path) -> list[Path]:
    """The file itself, or the pages of a PDF as pictures. Raises ToolError."""
    with file.open("rb") as opened:
        start = opened.read(5)
    if start.startswith(_PICTURE):
        return [file]
    if start != b"%PDF-":
        raise ToolError(f"{file.name!r} is neither a picture nor a PDF.")
    try:
        import kreuzberg
    except ImportError as error:
        raise ToolError(f"Scanned PDF files need kreuzberg: `{add_command('documents')}`.") from error
    made: list[Path] = []
    try:
        for number, page in kreuzberg.PdfPageIterator(str(file), 200):
            if len(made) == _SCANNED:
                break
            made.append(folder / f"{number}.png")
            made[-1].write_bytes(page)
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError, OSError) as error:
        raise ToolError(f"{file.name!r} cannot be read: {str(error)[:300]}") from error
    return made


def create(needs: Needs) -> Toolset:
    """The family `documents`."""
    folders = granted(needs.settings)
    documents, making, changing = Documents(folders=folders), Making(folders=folders), Changing(folders=folders)
    return Functions(
        "documents",
        [
            documents.read_document,
            documents.document_info,
            documents.convert_document,
            documents.recognise_text,
            making.make_document,
            making.make_presentation,
            making.make_spreadsheet,
            changing.outline_document,
            changing.append_to_document,
            changing.replace_in_document,
            changing.edit_spreadsheet,
            changing.fill_template,
            changing.arrange_pdf,
            changing.stamp_pdf,
        ],
    )
