"""Markdown files that are there: their headings, more at their end, a section replaced."""

import re
from itertools import pairwise

from portal.errors import ToolError
from portal.tools.office import placeholders, sections

_HEADING = re.compile(r"(#{1,6})[ \t]+(.+?)[ \t#]*$")
_FRONT = re.compile(r"\A---[ \t]*\n.{0,4000}?\n---[ \t]*(?=\n|\Z)", re.S)


def outline(data: bytes) -> list[str]:
    """Its headings and placeholders."""
    text = data.decode("utf-8", "replace")
    marks = placeholders.names(text)
    heads = [f"{'#' * level} {title}" for _, level, title in _headings(text)]
    return [*heads, *([f"Placeholders: {', '.join(sorted(marks))}"] if marks else [])]


def append(data: bytes, content: str) -> bytes:
    """The text with more at its end."""
    return f"{data.decode('utf-8', 'replace').rstrip()}\n\n{content.strip()}\n".lstrip().encode()


def replace(data: bytes, section: str, content: str) -> bytes:
    """The text with other words under a heading, up to the next of its level. Raises ToolError."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    lines, heads = text.split("\n"), _headings(text)
    place = sections.found(section, [one[2] for one in heads])
    if place is None:
        raise ToolError(
            f"There is no section {section!r}; the headings are: {', '.join(one[2] for one in heads[:60])}."
        )
    start, level, _ = heads[place]
    end = next((at for at, other, _ in heads if at > start and other <= level), len(lines))
    kept = lines[: start if _HEADING.match(content.strip().split("\n")[0]) else start + 1]
    return "\n".join([*kept, *([""] if kept else []), content.strip(), "", *lines[end:]]).encode()


def _headings(text: str) -> list[tuple[int, int, str]]:
    """Line, level and words of each heading."""
    from markdown_it import MarkdownIt

    blank = _FRONT.sub(lambda front: "\n" * front[0].count("\n"), text)
    tokens = MarkdownIt("commonmark").parse(blank)
    return [(token.map[0], int(token.tag[1]), words.content) for token, words in pairwise(tokens)
            if token.type == "heading_open" and token.map and token.level == 0]  # fmt: skip
