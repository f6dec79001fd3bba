"""Word files: zips of XML, of which only the words are looked at; macros are not even opened."""

import re
from collections.abc import Mapping
from typing import ClassVar

from portal.knowledge.extract_draft import Draft, moment
from portal.knowledge.extract_xml import Attributes, Silent, walk
from portal.knowledge.extract_zip import Archive

_HEADING = re.compile(r"(?i)(?:heading|überschrift|titre|título|titolo|kop|rubrik)\s*(\d)")


def read_docx(archive: Archive, draft: Draft) -> None:
    """Headings, paragraphs, lists and tables; then the notes."""
    properties(archive, draft)
    styles = _Styles()
    if archive.has("word/styles.xml"):
        walk(archive.read("word/styles.xml"), styles)
    for part in ("document", "footnotes", "endnotes", "comments"):
        if archive.has(f"word/{part}.xml") or part == "document":
            words = Words(draft, styles.levels)
            walk(archive.read(f"word/{part}.xml"), words)


def properties(archive: Archive, draft: Draft) -> None:
    """What the file says of itself."""
    if archive.has("docProps/core.xml"):
        walk(archive.read("docProps/core.xml"), Properties(draft))


class Properties(Silent):
    """What core.xml, meta.xml and the like say, kept in the draft."""

    _NAMES: ClassVar = {"creator": "author", "subject": "subject", "keywords": "keywords"}

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._words: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        """The text that counts begins here."""
        self._words = []

    def text(self, text: str) -> None:
        """A piece of it."""
        self._words.append(text)

    def end(self, name: str) -> None:
        """Keep it, if it is of use."""
        value = "".join(self._words).strip()
        if name == "title":
            self._draft.title = self._draft.title or value
        elif name in ("modified", "date") or (name in ("created", "creation-date") and self._draft.written is None):
            self._draft.written = moment(value)
        elif name in self._NAMES:
            self._draft.metadata[self._NAMES[name]] = value


class _Styles(Silent):
    """Which styles of a document are headings, and of which level."""

    def __init__(self) -> None:
        self.levels: dict[str, int] = {}
        self._style = ""

    def start(self, name: str, attributes: Attributes) -> None:
        if name == "style":
            self._style = attributes.get("styleId", "")
        elif name == "name" and (found := _HEADING.match(attributes.get("val", ""))):
            self.levels[self._style] = int(found[1])
        elif name == "name" and attributes.get("val", "").lower() == "title":
            self.levels[self._style] = 1
        elif name == "outlineLvl" and attributes.get("val", "").isdigit() and int(attributes["val"]) < 9:
            self.levels.setdefault(self._style, int(attributes["val"]) + 1)


class Words:
    """WordprocessingML and DrawingML, paragraph by paragraph."""

    def __init__(self, draft: Draft, levels: Mapping[str, int], *, lines: bool = False) -> None:
        """With `lines`, a paragraph is a line of a list."""
        self._draft = draft
        self._lines = lines
        self.hidden = False
        self._levels = levels
        self._words: list[str] = []
        self._cell: list[str] = []
        self._rows: list[list[str]] = []
        self._items: list[str] = []
        self._tables = 0
        self._fallback = 0
        self._in_text = False
        self._level = 0
        self._indent: int | None = None
        self._listed = False

    def start(self, name: str, attributes: Attributes) -> None:
        """What kind of paragraph or table this is."""
        value = attributes.get("val", "")
        if name == "Fallback":
            self._fallback += 1
        elif name == "t":
            self._in_text = not self._fallback and not self.hidden
        elif name in ("tab", "br", "cr"):
            self._words.append(" " if name == "tab" else "\n")
        elif name == "pStyle":
            self._level = self._levels.get(value, 0)
        elif name == "outlineLvl" and value.isdigit() and int(value) < 9:
            self._level = int(value) + 1
        elif name == "ilvl" and value.isdigit():
            self._indent = int(value)
        elif name == "pPr" and self._lines:
            self._indent = int(level) if (level := attributes.get("lvl", "")).isdigit() else 0
        elif name == "numId":
            self._listed = value != "0"
        elif name == "tbl":
            self._tables += 1
            if self._tables == 1:
                self._paragraph()
                self.end_list()
                self._rows = []
        elif name == "tr" and self._tables == 1:
            self._rows.append([])

    def end(self, name: str) -> None:
        """Add what is complete."""
        if name == "Fallback":
            self._fallback -= 1
        elif name == "t":
            self._in_text = False
        elif name == "p":
            self._paragraph()
        elif name == "tc" and self._tables == 1:
            self._rows[-1:] = [[*self._rows[-1], " ".join(self._cell)]] if self._rows else []
            self._cell = []
        elif name == "tbl":
            self._tables -= 1
            if self._tables == 0:
                self._draft.table(self._rows)
        elif name in ("document", "footnotes", "endnotes", "comments"):
            self.end_list()

    def text(self, text: str) -> None:
        """Words, unless they are shown nowhere."""
        if self._in_text:
            self._words.append(text)

    def _paragraph(self) -> None:
        text = "".join(self._words).strip()
        level, listed, indent = self._level, self._listed, self._indent or 0
        self._words, self._level, self._listed, self._indent = [], 0, False, None
        if not text:
            return
        if self._tables:
            self._cell.append(text)
        elif (listed or self._lines) and not level:
            self._items.append("  " * min(indent, 6) + ("" if self._lines else "- ") + text)
        else:
            self.end_list()
            if level:
                self._draft.heading(level, text)
            else:
                self._draft.text(text)

    def end_list(self) -> None:
        """Add the list that was gathered."""
        self._draft.items(self._items)
        self._items = []
