"""PowerPoint files that are there: what they hold, slides added or replaced, placeholders filled."""

from collections.abc import Mapping, Sequence
from dataclasses import replace as with_fields
from typing import TYPE_CHECKING, Any

from portal.errors import ToolError
from portal.tools.office import placeholders, sections, theme
from portal.tools.office.content import Content, Heading, Run
from portal.tools.office.deck import Slide, slides
from portal.tools.office.placeholders import Given
from portal.tools.office.slides import Deck, opened, saved

if TYPE_CHECKING:
    from pptx.presentation import Presentation

_A = "http://schemas.openxmlformats.org/drawingml/2006/main"


def outline(data: bytes) -> list[str]:
    """The slides with their number, title, what is on them and whether they have notes. Raises ToolError."""
    lines: list[str] = []
    marks: set[str] = set()
    for number, slide in enumerate(opened(data).slides, 1):
        text = " ".join(text for _, text in placeholders.paragraphs(slide._element, _A))
        marks |= set(placeholders.names(text))
        kinds = [kind for kind, there in _kinds(slide).items() if there]
        lines.append(f"{number}. {_title(slide) or '(no title)'}{' [' + ', '.join(kinds) + ']' if kinds else ''}")
    return [*lines, *([f"Placeholders: {', '.join(sorted(marks))}"] if marks else [])]


def append(data: bytes, content: Content) -> bytes:
    """The file with more slides at its end. Raises ToolError."""
    deck = opened(data)
    writer = Deck(deck, content.look, own=_own(deck))
    for one in _wanted(content):
        writer.add(one)
    return saved(deck)


def replace(data: bytes, wanted: str, content: Content) -> bytes:
    """The file with other content on the slide of that number or title; what does not fit comes on slides after it.
    Raises ToolError."""
    deck = opened(data)
    number = _number(deck, wanted)
    slide = deck.slides[number]
    _wanted(content)
    if not (content.blocks and isinstance(content.blocks[0], Heading)):
        content = with_fields(content, blocks=[Heading(2, (Run(_title(slide)),)), *content.blocks])
    new = _wanted(content)
    writer = Deck(deck, content.look, own=_own(deck))
    _emptied(slide)
    writer.fill(slide, new[0])
    listed = deck.slides._sldIdLst
    for at, one in enumerate(new[1:], number + 1):
        writer.add(one)
        listed.insert(at, listed[-1])
    return saved(deck)


def fill(data: bytes, values: Mapping[str, Given]) -> tuple[bytes, set[str]]:
    """The file with its placeholders filled, notes too, and which were. Raises ToolError."""
    deck, used = opened(data), set[str]()
    for slide in deck.slides:
        placeholders.fill(slide._element, _A, values, used)
        if slide.has_notes_slide:
            placeholders.fill(slide.notes_slide._element, _A, values, used)
    return saved(deck), used


def _wanted(content: Content) -> Sequence[Slide]:
    made = slides(content)
    if not made or (len(made) == 1 and made[0].empty and not made[0].title):
        raise ToolError("There is nothing to put on a slide: write a heading such as `## Title`, and text below it.")
    return made


def _own(deck: "Presentation") -> bool:
    """Whether it has Portal's design."""
    return len(deck.slide_layouts) == len(theme.LAYOUTS) and deck.slide_width == theme.WIDTH


def _number(deck: "Presentation", wanted: str) -> int:
    """The place of a slide. Raises ToolError with those there are."""
    titles = [_title(slide) for slide in deck.slides]
    plain = wanted.strip().lower().removeprefix("slide").strip(" #:.")
    if plain.isdigit() and 0 < int(plain) <= len(titles):
        return int(plain) - 1
    if (place := sections.found(plain, titles)) is not None:
        return place
    listed = ", ".join(f"{at}. {title}" for at, title in enumerate(titles[:60], 1))
    raise ToolError(f"There is no slide {wanted!r}; the slides are: {listed}.")


def _title(slide: Any) -> str:
    return slide.shapes.title.text_frame.text.strip() if slide.shapes.title is not None else ""


def _kinds(slide: Any) -> dict[str, bool]:
    shapes = list(slide.shapes)
    return {
        "table": any(one.has_table for one in shapes),
        "chart": any(one.has_chart for one in shapes),
        "picture": any(one._element.tag.endswith("}pic") for one in shapes),
        "notes": slide.has_notes_slide and bool(slide.notes_slide.notes_text_frame.text.strip()),
    }


def _emptied(slide: Any) -> None:
    """Without what stood on it; its title and first place for text stay, empty, as do numbers and footers."""
    kept = ("TITLE", "CENTER_TITLE", "BODY", "OBJECT", "SLIDE_NUMBER", "FOOTER", "DATE")
    bodies = 0
    for shape in list(slide.shapes):
        kind = shape.placeholder_format.type.name if shape.is_placeholder else ""
        if kind in ("BODY", "OBJECT"):
            bodies += 1
        if kind not in kept or bodies > 1 or not shape.has_text_frame:
            shape._element.getparent().remove(shape._element)
        elif kind in ("BODY", "OBJECT", "TITLE", "CENTER_TITLE"):
            shape.text_frame.clear()
    used = set(slide._element.xpath("//@r:id | //@r:embed | //@r:link"))
    for name, related in list(slide.part.rels.items()):
        if name not in used and related.reltype.rsplit("/", 1)[-1] in ("chart", "image", "hyperlink"):
            slide.part.drop_rel(name)
