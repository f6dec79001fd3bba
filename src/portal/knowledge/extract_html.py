"""HTML pages as headings, paragraphs, lists, tables and code; scripts, styles and menus are left out."""

import re
from collections.abc import Iterator
from html import unescape
from typing import TYPE_CHECKING

from portal.knowledge.extract_draft import Draft, flat
from portal.knowledge.extract_text import read_plain

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_LEFT_OUT = frozenset({
    "script", "style", "noscript", "template", "svg", "canvas", "iframe", "object", "embed", "nav", "dialog",
    "head", "select", "datalist",
})  # fmt: skip
_BLOCKS = frozenset({
    "p", "div", "section", "article", "main", "header", "footer", "aside", "figure", "figcaption", "address",
    "form", "fieldset", "details", "summary", "dl", "dt", "dd", "body", "html", "blockquote", "ul", "ol", "li",
    "table", "tr", "td", "th", "caption", "thead", "tbody", "tfoot", "pre", "h1", "h2", "h3", "h4", "h5", "h6",
    "hr", "center",
})  # fmt: skip
_CHARSET = re.compile(rb"""(?i)<(?:meta[^>]{1,200}charset|\?xml[^>]{1,200}encoding)\s*=\s*["']?\s*([\w-]{1,40})""")
_NESTING = re.compile(
    r"(?i)<(/?)(?!/|!|(?:p|li|td|th|tr|dt|dd|br|hr|img|input|meta|link|option|col|area|base|wbr|source)\b)[a-z]"
)
_DEEPEST = 1000
_PROGRAM = re.compile(r"(?is)<(script|style)\b[^>]{0,1000}>.*?(?:</\1|\Z)")
_TAG = re.compile(r"<[^<>]{0,10000}>")
_SPACE = re.compile(r"\s+")
_META = {"author": "author", "description": "description", "date": "date", "article:published_time": "date"}


def charset(data: bytes) -> str:
    """What the page itself says of its encoding."""
    found = _CHARSET.search(data[:4096])
    return found[1].decode("ascii", "replace") if found else ""


def read_html(text: str, draft: Draft) -> None:
    """The page. One that is nested absurdly is read as its bare words, since parsing it would take for ever."""
    from selectolax.lexbor import LexborHTMLParser

    if _too_deep(text):
        draft.warn("The page is nested too deeply to be laid out: only its words were looked for.")
        read_plain(unescape(_TAG.sub("\n\n", _PROGRAM.sub(" ", text))), draft)
        return
    page = LexborHTMLParser(text)
    _tell(page, draft)
    if page.body is not None:
        _Walk(draft).read(page.body)


def _too_deep(text: str) -> bool:
    depth = 0
    for found in _NESTING.finditer(text):
        depth = max(depth - 1, 0) if found[1] else depth + 1
        if depth > _DEEPEST:
            return True
    return False


def _tell(page: "LexborHTMLParser", draft: Draft) -> None:
    if not draft.title and (title := page.css_first("head > title")):
        draft.title = title.text()
    for meta in page.css("head > meta[content]"):
        name = _META.get((meta.attributes.get("name") or meta.attributes.get("property") or "").lower())
        if name:
            draft.metadata.setdefault(name, meta.attributes.get("content") or "")


class _Walk:
    """One pass without recursion: pages may be nested as deeply as they like."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._words: list[str] = []
        self._items: list[str] = []
        self._marks: list[str] = []
        self._counts: list[int] = []
        self._rows: list[list[str]] = []
        self._table: int | None = None
        self._pre = False

    def read(self, root: "LexborNode") -> None:
        for node, opens in _events(root):
            tag = node.tag or ""
            if tag == "-text":
                words = node.text() or ""
                self._words.append(words if self._pre else _SPACE.sub(" ", words))
            elif opens:
                self._open(node, tag)
            else:
                self._close(node, tag)
        self._flush()
        self._end_list()

    def _open(self, node: "LexborNode", tag: str) -> None:
        if tag == "br":
            self._words.append("\n")
        elif tag == "img":
            self._words.append(f" {node.attributes.get('alt') or ''} ")
        elif tag in _BLOCKS and self._table is not None:
            self._open_in_table(tag)
        elif tag in _BLOCKS:
            self._open_block(node, tag)

    def _open_block(self, node: "LexborNode", tag: str) -> None:
        self._flush()
        if tag in ("ul", "ol"):
            self._counts.append(0 if tag == "ol" else -1)
        elif tag == "li" and self._counts:
            number = self._counts[-1]
            self._counts[-1] += number >= 0
            self._marks.append("  " * (len(self._counts) - 1) + ("- " if number < 0 else f"{number + 1}. "))
        elif tag == "pre":
            self._pre = True
        elif tag == "table" and not node.css_first("table table, td h1, td h2, td h3, td ul, td pre, td p + p"):
            self._end_list()
            self._table, self._rows = node.mem_id, []

    def _open_in_table(self, tag: str) -> None:
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._words.clear()
        else:
            self._words.append(" ")

    def _close(self, node: "LexborNode", tag: str) -> None:
        if self._table is not None:
            self._close_in_table(node, tag)
        elif re.fullmatch("h[1-6]", tag):
            self._end_list()
            self._draft.heading(int(tag[1]), self._taken())
        elif tag == "pre":
            self._end_list()
            self._pre = False
            self._draft.code(self._taken())
        elif tag in _BLOCKS:
            self._flush()
            if tag in ("ul", "ol") and self._counts:
                self._counts.pop()
                if not self._counts:
                    self._end_list()

    def _close_in_table(self, node: "LexborNode", tag: str) -> None:
        if tag in ("td", "th"):
            if not self._rows:
                self._rows.append([])
            self._rows[-1].append(self._taken())
        elif tag == "caption":
            self._draft.flowing(self._taken())
        elif node.mem_id == self._table:
            self._table = None
            self._draft.table(self._rows)

    def _taken(self) -> str:
        words = "".join(self._words)
        self._words.clear()
        return words

    def _flush(self) -> None:
        text = "\n".join(filter(None, map(flat, self._taken().split("\n"))))
        if text and self._counts:
            mark = self._marks[-1] if self._marks else "  " * len(self._counts)
            self._marks.clear()
            self._items.append(mark + text)
        elif text:
            self._end_list()
            self._draft.text(text)

    def _end_list(self) -> None:
        self._draft.items(self._items)
        self._items.clear()


def _events(root: "LexborNode") -> Iterator[tuple["LexborNode", bool]]:
    """Every node as it opens, and every element again as it closes."""
    node: LexborNode | None = root
    while node is not None:
        down = None
        if node.tag not in _LEFT_OUT:
            yield node, True
            down = node.first_child
        if down is not None:
            node = down
            continue
        while node is not None:
            if node.tag not in _LEFT_OUT and node.tag != "-text":
                yield node, False
            if node.mem_id == root.mem_id:
                return
            if (beside := node.next) is not None:
                node = beside
                break
            node = node.parent
