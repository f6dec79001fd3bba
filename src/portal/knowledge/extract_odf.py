"""OpenDocument files (.odt, .ods, .odp): the words of their one XML document."""

from portal.knowledge.extract_data import add_rows
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_office import Properties
from portal.knowledge.extract_xml import Attributes, walk
from portal.knowledge.extract_zip import Archive

_LEFT_OUT = ("tracked-changes", "annotation", "forms", "scripts", "index-title-template", "note-citation")
_WIDEST = 200


def read_odf(archive: Archive, draft: Draft) -> None:
    """Text, sheets and slides alike; slides are pages."""
    if archive.has("meta.xml"):
        walk(archive.read("meta.xml"), Properties(draft))
    words = _Words(draft)
    walk(archive.read("content.xml"), words)
    draft.pages = words.pages or None
    draft.page = None


class _Words:
    def __init__(self, draft: Draft) -> None:
        self.pages = 0
        self._draft = draft
        self._words: list[str] = []
        self._outer: list[list[str]] = []
        self._items: list[str] = []
        self._rows: list[list[str]] = []
        self._cell: list[str] = []
        self._repeated = 1
        self._hidden = self._lists = self._tables = self._level = 0
        self._sheet = False

    def start(self, name: str, attributes: Attributes) -> None:
        if name in _LEFT_OUT:
            self._hidden += 1
        elif name in ("s", "tab", "line-break"):
            self._words.append("\n" if name == "line-break" else " ")
        elif name in ("p", "h"):
            self._outer.append(self._words)
            self._words = []
            self._level = _number(attributes.get("outline-level", ""), 1) if name == "h" else 0
        elif name == "list":
            self._lists += 1
        elif name == "spreadsheet":
            self._sheet = True
        elif name == "page":
            self._page(attributes.get("name", ""))
        elif name == "notes":
            self._end_list()
            self._draft.heading(2, "Notes")
        elif name == "table":
            self._table(attributes.get("name", ""))
        elif name == "table-row" and self._tables == 1:
            self._rows.append([])
        elif name in ("table-cell", "covered-table-cell") and self._tables == 1:
            self._cell, self._repeated = [], _number(attributes.get("number-columns-repeated", ""), 1)

    def _page(self, name: str) -> None:
        self._end_list()
        self.pages += 1
        self._draft.page = self.pages
        self._draft.heading(1, name if name and not name.startswith("page") else f"Slide {self.pages}")

    def _table(self, name: str) -> None:
        self._tables += 1
        if self._tables == 1:
            self._end_list()
            self._rows = []
            if self._sheet:
                self._draft.heading(1, name)

    def end(self, name: str) -> None:
        if name in _LEFT_OUT:
            self._hidden -= 1
        elif name in ("p", "h"):
            self._paragraph()
        elif name == "list":
            self._lists -= 1
            if not self._lists:
                self._end_list()
        elif name in ("table-cell", "covered-table-cell") and self._tables == 1 and self._rows:
            row = self._rows[-1]
            row += [" ".join(self._cell)] * max(min(self._repeated, _WIDEST - len(row)), 0)
        elif name == "table":
            self._tables -= 1
            if not self._tables:
                add_rows(self._rows, self._draft)
        elif name == "page":
            self._end_list()

    def text(self, text: str) -> None:
        if not self._hidden:
            self._words.append(text)

    def _paragraph(self) -> None:
        text = "".join(self._words).strip()
        self._words = self._outer.pop()
        if not text or self._hidden:
            return
        if self._tables:
            self._cell.append(text)
        elif self._lists and not self._level:
            self._items.append("  " * min(self._lists - 1, 6) + f"- {text}")
        elif self._level:
            self._end_list()
            self._draft.heading(self._level, text)
        elif self._outer:
            self._words.append(f" [{text}] ")
        else:
            self._end_list()
            self._draft.text(text)

    def _end_list(self) -> None:
        self._draft.items(self._items)
        self._items = []


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else otherwise
