"""Markdown as content: GitHub's tables, lists and code, with charts and page breaks."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from portal.errors import ToolError
from portal.tools.office.content import (
    Block,
    Break,
    Code,
    Content,
    Heading,
    Inline,
    Item,
    Items,
    Notes,
    Paragraph,
    Picture,
    Quote,
    Run,
    Table,
    chart,
    plain,
)
from portal.tools.plain_yaml import plain_yaml

if TYPE_CHECKING:
    from markdown_it.tree import SyntaxTreeNode

LONGEST = 1_000_000
LONGEST_TITLE = 250
_DEEPEST = 6
_BREAK = re.compile(r"\s*(\\(newpage|pagebreak)|<!--\s*(pagebreak|newpage|page break)\s*-->|\[pagebreak\])\s*", re.I)
_FRONT = re.compile(r"\A---[ \t]*\n(.{0,4000}?)\n---[ \t]*(?:\n|\Z)", re.S)
_WRONG = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_SAFE_LINKS = ("http://", "https://", "mailto:", "#")
FindPicture = Callable[[str, str], Picture | None]
"""A picture by its source, with a caption; None leaves it out."""


def parse(text: str, find: FindPicture) -> Content:
    """The content; `find` gets the source and caption of each picture.

    Raises:
        ToolError: it is too long, or holds a chart or picture that cannot be used.
    """
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

    if len(text) > LONGEST:
        raise ToolError(f"This is too long for one document: more than {LONGEST:,} characters.")
    text = clean(text.replace("\r\n", "\n").replace("\ufeff", ""))
    head, text = _front(text)
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": 40}).enable(["table", "strikethrough"])
    reader.validateLink = lambda url: True  # type: ignore[method-assign] # links and pictures are judged here
    tree = SyntaxTreeNode(reader.parse(text))
    blocks = tuple(_Reader(find).blocks(tree.children))
    return Content(blocks=blocks, title=head.get("title", ""), subtitle=head.get("subtitle", ""),
                   author=head.get("author", ""))  # fmt: skip


def clean(text: str) -> str:
    """Without characters that no office file may hold."""
    return _WRONG.sub("\ufffd", text)


def _front(text: str) -> tuple[dict[str, str], str]:
    """Title, subtitle and author from the lines between `---` at the beginning, and the rest."""
    match = _FRONT.match(text)
    if not match:
        return {}, text
    try:
        read = plain_yaml(match[1])
    except (ValueError, ToolError):  # a text that only begins so
        return {}, text
    if not isinstance(read, dict):
        return {}, text
    return {str(name).lower(): str(value)[:LONGEST_TITLE] for name, value in read.items()}, text[match.end() :]


class _Reader:
    def __init__(self, find: FindPicture) -> None:
        self._find = find

    def blocks(self, nodes: "list[SyntaxTreeNode]") -> Iterator[Block]:
        for node in nodes:
            yield from self._block(node)

    def _block(self, node: "SyntaxTreeNode") -> Iterator[Block]:
        match node.type:
            case "heading":
                yield Heading(int(node.tag[1]), self._inline(node))
            case "paragraph":
                yield from self._paragraph(node)
            case "bullet_list" | "ordered_list":
                yield Items(tuple(self._items(node, 0)))
            case "table":
                yield self._table(node)
            case "fence" | "code_block":
                yield _fenced(node)
            case "blockquote":
                yield Quote(tuple(_texts(self.blocks(node.children))))
            case "hr":
                yield Break(page=False)

    def _paragraph(self, node: "SyntaxTreeNode") -> Iterator[Block]:
        """The text; pictures in it come after it."""
        if _BREAK.fullmatch(node.children[0].content):
            yield Break(page=True)
            return
        pictures: list[Picture] = []
        text = _trimmed(self._inline(node, pictures))
        if text:
            yield Paragraph(text)
        yield from pictures

    def _items(self, node: "SyntaxTreeNode", depth: int) -> Iterator[Item]:
        number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
        for one in node.children:
            first = True
            for child in one.children:
                if child.type in ("bullet_list", "ordered_list"):
                    yield from self._items(child, min(depth + 1, _DEEPEST))
                    continue
                for text in _texts(self._block(child)):
                    yield Item(text, depth, number, continued=not first)
                    first = False
            if first and not one.children:
                yield Item((), depth, number)
            number = number + 1 if number is not None else None

    def _table(self, node: "SyntaxTreeNode") -> Table:
        rows = [[self._inline(cell) for cell in row.children] for part in node.children for row in part.children]
        style = [str(cell.attrs.get("style", "")) for cell in node.children[0].children[0].children]
        return Table(
            tuple(rows[0]), tuple(map(tuple, rows[1:])), tuple(one.removeprefix("text-align:") for one in style)
        )

    def _inline(self, node: "SyntaxTreeNode", pictures: list[Picture] | None = None) -> Inline:
        runs: list[Run] = []
        for child in node.children:
            if child.type == "inline":
                self._runs(child.children, Run(""), runs, pictures)
        return tuple(runs)

    def _runs(self, nodes: "list[SyntaxTreeNode]", look: Run, runs: list[Run], pictures: list[Picture] | None) -> None:
        for node in nodes:
            match node.type:
                case "text" if node.content:
                    runs.append(replace(look, text=node.content))
                case "code_inline":
                    runs.append(replace(look, text=node.content, code=True))
                case "softbreak":
                    runs.append(replace(look, text=" "))
                case "hardbreak":
                    runs.append(replace(look, text="\n"))
                case "image":
                    caption = "".join(one.content for one in node.children)
                    if pictures is None:
                        runs.append(replace(look, text=caption))
                    elif found := self._find(unquote(str(node.attrs["src"])), caption):
                        pictures.append(found)
                case "link":
                    url = str(node.attrs.get("href", ""))
                    link = url if url.lower().startswith(_SAFE_LINKS) else ""
                    self._runs(node.children, replace(look, link=link), runs, pictures)
                case "strong" | "em" | "s":
                    self._runs(node.children, _looking(look, node.type), runs, pictures)


def _looking(look: Run, kind: str) -> Run:
    if kind == "strong":
        return replace(look, bold=True)
    return replace(look, italic=True) if kind == "em" else replace(look, strike=True)


def _fenced(node: "SyntaxTreeNode") -> Block:
    kind = (node.info or "").strip().lower().split(" ")[0]
    if kind in ("notes", "note"):
        return Notes(node.content.strip())
    if kind != "chart":
        return Code(node.content.rstrip("\n"))
    try:
        return chart(plain_yaml(node.content[:200_000]))
    except ValueError as error:
        raise ToolError(f"A chart is not valid JSON: {str(error)[:200]}") from error


def _texts(blocks: Iterator[Block]) -> Iterator[Inline]:
    """What blocks say, where only text fits."""
    for block in blocks:
        if isinstance(block, Paragraph | Heading):
            yield block.text
        elif isinstance(block, Code):
            yield (Run(block.text, code=True),)
        elif isinstance(block, Items):
            for item in block.items:
                mark = f"{item.number}. " if item.number is not None else "• "
                yield (Run(("   " * item.depth) + mark), *item.text)
        elif isinstance(block, Quote):
            yield from block.texts
        elif isinstance(block, Table):
            for row in (block.head, *block.rows):
                yield (Run(" | ".join(map(plain, row))),)


def _trimmed(text: Inline) -> Inline:
    """Without the blanks that pictures left at the ends."""
    runs = list(text)
    while runs and not runs[-1].text.strip():
        runs.pop()
    while runs and not runs[0].text.strip():
        runs.pop(0)
    return tuple(runs)
