"""PDF files by kreuzberg, or plainer by pypdf; and other formats that kreuzberg alone reads."""

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from portal.errors import BadRequest
from portal.extras import add_command
from portal.knowledge.extract_draft import Draft, moment
from portal.knowledge.extract_ocr import recognise
from portal.knowledge.extract_pypdf import add_paragraphs, read_by_pypdf, refused, whole

if TYPE_CHECKING:
    from kreuzberg import ExtractionResult

_TOLD = {"authors": "author", "subject": "subject", "keywords": "keywords"}


def read_pdf(data: bytes, draft: Draft, languages: str, until: float) -> None:
    """Page by page; those without text are recognised by tesseract, as many as there is time for."""
    try:
        import kreuzberg  # noqa: F401
    except ImportError:
        read_by_pypdf(data, draft)
    else:
        _by_kreuzberg(data, draft, languages, until)


def read_foreign(data: bytes, draft: Draft, mime: str) -> None:
    """A format that only kreuzberg knows."""
    try:
        import kreuzberg  # noqa: F401
    except ImportError as error:
        raise BadRequest(
            f"Reading this format needs kreuzberg: `{add_command('documents')}`.", code="unsupported_file"
        ) from error
    found = _extracted(data, mime)
    _tell(found, draft)
    _Nodes(found, draft).read()


def _by_kreuzberg(data: bytes, draft: Draft, languages: str, until: float) -> None:
    found = _extracted(data, "application/pdf")
    _tell(found, draft)
    held: dict[str, Any] = dict(found.metadata)
    draft.pages = held.get("page_count") or None
    nodes = _Nodes(found, draft)
    empty = [number for number in range(1, (draft.pages or 0) + 1) if number not in nodes.pages]
    nodes.scanned = _recognised(data, empty, draft, languages, until) if empty else {}
    nodes.read()


def _extracted(data: bytes, mime: str) -> "ExtractionResult":
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,  # type: ignore[call-arg]
        include_document_structure=True,
        output_format="markdown",
        # its own guess at running heads takes the first rows of tables for such
        content_filter=kreuzberg.ContentFilterConfig(include_headers=True, include_footers=True),
        concurrency=kreuzberg.ConcurrencyConfig(max_threads=1),
    )
    try:
        return kreuzberg.extract_bytes_sync(data, mime, config=config)
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError, OSError) as error:
        raise refused(str(error)) from error


def _tell(found: "ExtractionResult", draft: Draft) -> None:
    held: dict[str, Any] = dict(found.metadata)
    draft.title = draft.title or str(held.get("title") or "")
    for theirs, ours in _TOLD.items():
        if value := held.get(theirs):
            draft.metadata[ours] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    draft.written = moment(str(held.get("modified_at") or held.get("created_at") or ""))


def _without_running_heads(nodes: Sequence[Any]) -> None:
    """Leave the lines that begin or end most pages alike, but for the page's number, on the first one only."""
    pages: dict[int, list[dict[str, Any]]] = {}
    for node in nodes:
        if node.get("page") and node["content"].get("text", "").strip():
            pages.setdefault(node["page"], []).append(node["content"])
    for end in (0, -1):
        edges = [(_edge(held[end], end, page), held) for page, held in pages.items()]
        counts = Counter(line for line, _ in edges)
        seen: set[str] = set()
        for line, held in edges:
            lines = held[end]["text"].strip().split("\n")
            if line in seen and len(held) + len(lines) > 2:
                held[end]["text"] = "\n".join(lines[:-1] if end else lines[1:])
            if counts[line] > max(3, len(pages) // 2):
                seen.add(line)


def _edge(content: dict[str, Any], end: int, page: int) -> str:
    return re.sub(rf"\b{page}\b", "#", content["text"].strip().split("\n")[end], count=1)


class _Nodes:
    """The parts that kreuzberg found, in reading order."""

    def __init__(self, found: "ExtractionResult", draft: Draft) -> None:
        self._nodes: Sequence[Any] = found.document["nodes"] if found.document else []
        self._tables = iter(found.tables)
        _without_running_heads(self._nodes)
        self._draft = draft
        self._items: list[str] = []
        self.scanned: dict[int, str] = {}
        self.pages = {page for node in self._nodes if (page := node.get("page"))}
        self.pages |= {table.page_number for table in found.tables if table.page_number}

    def read(self) -> None:
        """Add them, and what was recognised on the pages between them."""
        for node in self._nodes:
            content = node["content"]
            kind = content["node_type"]
            if kind != "list_item" and self._items:
                self._end_list()
            if page := node.get("page"):
                self._turn(page)
            self._add(kind, content)
        self._end_list()
        self._turn(10**9)
        self._draft.page = None

    def _add(self, kind: str, content: dict[str, Any]) -> None:
        if kind in ("heading", "title"):
            self._draft.heading(content.get("level", 1), whole(content.get("text", "")))
        elif kind == "list_item":
            self._items.append(f"- {whole(content.get('text', ''))}")
        elif kind == "table":
            self._table(content)
        elif kind == "code":
            self._draft.code(content.get("text", ""))
        elif text := content.get("text"):
            self._draft.text(whole(text))

    def _table(self, content: dict[str, Any]) -> None:
        if table := next(self._tables, None):
            if table.page_number:
                self._turn(table.page_number)
            self._draft.table(table.cells)
            return
        rows: dict[int, list[str]] = {}
        for cell in (content.get("grid") or {}).get("cells", ()):
            rows.setdefault(cell["row"], []).append(cell["content"])
        self._draft.table(rows.values())

    def _end_list(self) -> None:
        self._draft.items(self._items)
        self._items = []

    def _turn(self, page: int) -> None:
        """Go to a page, past those that were recognised."""
        for number in sorted(number for number in self.scanned if number < page):
            self._draft.page = number
            add_paragraphs(self.scanned.pop(number), self._draft)
        if page < 10**9:
            self._draft.page = page


def _recognised(data: bytes, pages: Sequence[int], draft: Draft, languages: str, until: float) -> dict[int, str]:
    """The text on pages that have none of their own."""
    found: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.pdf")
        source.write_bytes(data)
        for number in pages:
            if monotonic() > until:
                draft.warn(f"There was no time to recognise the scanned pages from page {number} on: split the file.")
                break
            try:
                found[number] = recognise(_shown(source, number), languages)
            except BadRequest as error:
                draft.warn(f"Page {number} holds no text, but pictures. {error.message}")
                if error.code == "unsupported_file":
                    break
    return found


def _shown(source: Path, number: int) -> Path:
    """A page as a picture. Raises BadRequest."""
    import kreuzberg

    picture = source.with_name("page.png")
    try:
        picture.write_bytes(kreuzberg.render_pdf_page(str(source), number - 1, dpi=200))
    except (kreuzberg.KreuzbergError, ValueError, RuntimeError, OSError) as error:
        raise refused(str(error)) from error
    return picture
