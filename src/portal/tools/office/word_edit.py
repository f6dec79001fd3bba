"""Word files that are there: what they hold, more at their end, a section replaced, placeholders filled. Whatever is
not named stays as it is."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from portal.errors import ToolError
from portal.tools.office import placeholders, sections
from portal.tools.office.content import Content, Heading, Look
from portal.tools.office.placeholders import Given
from portal.tools.office.word import Body, opened, saved

if TYPE_CHECKING:
    from docx.document import Document

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
Parse = Callable[[str], Content]


def outline(data: bytes) -> list[str]:
    """Its headings, numbered, with the words below each, and its placeholders. Raises ToolError."""
    document = opened(data)
    lines: list[str] = []
    words = 0
    for element in document.element.body:
        if level := _level(document, element):
            lines += [f"   {words} words"] if words else []
            lines.append(f"{'#' * level} {_text(element)}")
            words = 0
        else:
            words += len(_text(element).split())
    lines += [f"   {words} words"] if words else []
    marks = {name for part in _parts(document) for name in placeholders.names(_text(part))}
    return [*lines, *([f"Placeholders: {', '.join(sorted(marks))}"] if marks else [])]


def append(data: bytes, content: Content) -> bytes:
    """The file with more at its end. Raises ToolError."""
    document = opened(data)
    body = document.element.body
    for element in Body(document, content.look).elements(content.blocks):
        if body.sectPr is not None:
            body.sectPr.addprevious(element)
        else:
            body.append(element)
    return saved(document)


def replace(data: bytes, section: str, content: Content) -> bytes:
    """The file with other text under a heading, up to the next of its level; text that begins with a heading takes the
    old one's place, too. Raises ToolError."""
    document = opened(data)
    head = _heading(document, section)
    following = list(_below(document, head, _level(document, head)))
    blocks = list(content.blocks)
    begins = bool(blocks) and isinstance(blocks[0], Heading)
    for element in reversed(Body(document, content.look).elements(blocks)):
        head.addnext(element)
    for element in [*following, *([head] if begins else [])]:
        element.getparent().remove(element)
    return saved(document)


def fill(data: bytes, values: Mapping[str, Given], parse: Parse) -> tuple[bytes, set[str]]:
    """The file with its placeholders filled, and which were; a placeholder that is a paragraph of its own may become
    several blocks of Markdown. Raises ToolError."""
    document = opened(data)
    used: set[str] = set()
    for paragraph, text in list(placeholders.paragraphs(document.element.body, _W)):
        match = placeholders.MARK.fullmatch(text.strip())
        value = values.get(match[1]) if match else None
        if match and isinstance(value, str) and "\n" in value.strip():
            used.add(match[1])
            for element in Body(document, Look()).elements(parse(value).blocks):
                paragraph.addprevious(element)
            if paragraph.getparent().tag == f"{{{_W}}}tc":  # a cell ends with a paragraph
                for one in list(paragraph):
                    paragraph.remove(one)
            else:
                paragraph.getparent().remove(paragraph)
    for part in _parts(document):
        placeholders.fill(part, _W, values, used)
    return saved(document), used


def _parts(document: "Document") -> Iterator[Any]:
    """The body, and the headers and footers."""
    yield document.element.body
    for related in document.part.rels.values():
        if not related.is_external and related.reltype.rsplit("/", 1)[-1] in ("header", "footer"):
            yield related.target_part.element


def _level(document: "Document", element: Any) -> int:
    """Of a heading; 0 for anything else."""
    named = element.find(f"{{{_W}}}pPr/{{{_W}}}pStyle")
    if named is None:
        return 0
    wanted = named.get(f"{{{_W}}}val")
    style = next((one for one in document.styles if one.style_id == wanted), None)
    name = (style.name or "").lower() if style is not None else ""
    return int(name[8:]) if name.startswith("heading ") and name[8:].isdigit() else 0


def _heading(document: "Document", section: str) -> Any:
    """The heading that is meant. Raises ToolError with those there are."""
    heads = [one for one in document.element.body if _level(document, one)]
    titles = [_text(one).strip() for one in heads]
    if (place := sections.found(section, titles)) is not None:
        return heads[place]
    raise ToolError(f"There is no section {section!r}; the headings are: {', '.join(titles[:60])}.")


def _below(document: "Document", head: Any, level: int) -> Iterator[Any]:
    """What belongs to a heading."""
    for element in head.itersiblings():
        other = _level(document, element)
        if (other and other <= level) or element.tag == f"{{{_W}}}sectPr":
            return
        if element.find(f"{{{_W}}}pPr/{{{_W}}}sectPr") is None:  # which ends a part with a layout of its own
            yield element


def _text(element: Any) -> str:
    return "".join(one.text or "" for one in element.iter(f"{{{_W}}}t"))
