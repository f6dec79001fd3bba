"""PDF files that are there, changed: pages added, replaced, put in another order, stamped; forms filled."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from portal.errors import ToolError
from portal.extras import add_command
from portal.tools.office import pages, placeholders
from portal.tools.office.content import Content
from portal.tools.office.stamping import Where, stamps

if TYPE_CHECKING:
    from pypdf import PdfReader, PdfWriter

Given: TypeAlias = placeholders.Given
Turn = Literal[90, 180, 270]
_MOST_PAGES = 5000
_MOST_SECONDS = 100.0
"""For stamping, which reads what is drawn on each page: nothing else ends a thread."""
_ODD = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError, TypeError, ValueError),
    *(NotImplementedError, RecursionError),
)
"""What the library raises for files that are none."""
_RANGE = re.compile(r"(\d{0,6})(-?)(\d{0,6})")


def append(data: bytes, content: Content) -> bytes:
    """The file with more pages at its end. Raises ToolError."""
    with _changing(data) as (_, writer):
        writer.append(_reader(pages.write(content)))
        return _written(writer)


def replace(data: bytes, section: str, content: Content) -> bytes:
    """The file with other pages in the place of some, such as `3` or `2-4`. Raises ToolError."""
    with _changing(data) as (held, writer):
        gone = _chosen(section.lower().replace("pages", "").replace("page", ""), len(held.pages))
        first = gone[0]
        if gone != list(range(first, first + len(gone))):
            raise ToolError("`section` is a page or pages that follow each other, such as 3 or 2-4.")
        for _ in gone:
            writer.remove_page(first)
        writer.merge(first, _reader(pages.write(content)))
        return _written(writer)


def arrange(data: bytes, wanted: str, turned: Mapping[str, Turn], also: bytes | None) -> bytes:
    """The file with these pages in this order; those of `also` are counted on. Raises ToolError."""
    with _changing(data) as (held, writer):
        if also is not None:
            writer.append(_opened(also))
        most = len(writer.pages)
        _bounded(most)
        turns = {page: degrees for where, degrees in turned.items() for page in _chosen(where, most)}
        for page, degrees in turns.items():
            writer.pages[page].rotate(degrees)
        order = _chosen(wanted, most) if wanted.strip() else list(range(most))
        if order == list(range(most)):
            return _written(writer)
        made = _writer()
        made.append(_reader(_written(writer)), pages=order, import_outline=order == sorted(set(order)))
        made.metadata = held.metadata
        return _written(made)


def stamp(data: bytes, text: str, where: Where, wanted: str) -> bytes:
    """The file with a text on its pages; {page} and {pages} are numbers. Raises ToolError."""
    with _changing(data) as (held, writer):
        most = len(held.pages)
        chosen = _chosen(wanted, most) if wanted.strip() else list(range(most))
        end = monotonic() + _MOST_SECONDS
        for number in chosen:
            writer.pages[number].transfer_rotation_to_content()
            _in_time(end)
        boxes = [_box(writer.pages[number]) for number in chosen]
        texts = [text.replace("{page}", str(number + 1)).replace("{pages}", str(most)) for number in chosen]
        made = _reader(stamps(texts, [(width, height) for _, _, width, height in boxes], where))
        for number, box, over in zip(chosen, boxes, made.pages, strict=True):
            writer.pages[number].merge_translated_page(over, box[0], box[1])
            _in_time(end)
        writer.compress_identical_objects()
        return _written(writer)


def fill(data: bytes, values: Mapping[str, Given]) -> tuple[bytes, set[str]]:
    """The file with the fields of its form filled, and the names of those. Raises ToolError."""
    with _changing(data) as (held, writer):
        fields = held.get_fields() or {}
        put = {name: _value(fields[name], name, value) for name, value in values.items() if name in fields}
        if put:
            writer.update_page_form_field_values(None, put, auto_regenerate=False)
            writer.set_need_appearances_writer(True)
        return _written(writer), set(put)


def outline(data: bytes) -> list[str]:
    """The number of pages, the headings that it lists, and the fields of its form. Raises ToolError."""
    with _changing(data) as (held, _):
        lines = [f"{len(held.pages)} pages"]
        lines += [f"{'  ' * level}{title} (page {page})" for level, title, page in _headings(held, held.outline, 0)]
        fields = {name: field for name, field in (held.get_fields() or {}).items() if "/FT" in field}
        return lines + [f"Field {name}: {_told(field)}" for name, field in fields.items()]


@contextmanager
def _changing(data: bytes) -> "Iterator[tuple[PdfReader, PdfWriter]]":
    """The file as it is, and as it is to be. Raises ToolError."""
    try:
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise ToolError(f"Changing PDF files needs pypdf: `{add_command('documents')}`.") from error
    try:
        held = _opened(data)
        yield held, _writer(held)
    except (PyPdfError, *_ODD) as error:
        raise ToolError(f"This PDF cannot be changed: it is damaged ({type(error).__name__}).") from error


def _writer(held: "PdfReader | None" = None) -> "PdfWriter":
    from pypdf import PdfWriter

    return PdfWriter(clone_from=held) if held is not None else PdfWriter()


def _reader(data: bytes) -> "PdfReader":
    from pypdf import PdfReader

    return PdfReader(io.BytesIO(data))


def _opened(data: bytes) -> "PdfReader":
    held = _reader(data)
    if held.is_encrypted:
        raise ToolError("This PDF is protected by a password.")
    _bounded(len(held.pages))
    return held


def _bounded(count: int) -> None:
    if count > _MOST_PAGES:
        raise ToolError(f"This PDF has more than {_MOST_PAGES:,} pages.")


def _in_time(end: float) -> None:
    if monotonic() > end:
        raise ToolError("There is too much on the pages of this PDF: stamp some of them at a time, with `pages`.")


def _written(writer: "PdfWriter") -> bytes:
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _chosen(wanted: str, most: int) -> list[int]:
    """Pages from 0 on, of words such as `3,1-2,5-`. Raises ToolError."""
    found: list[int] = []
    for part in wanted.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None or not (match[1] or match[3]):
            raise ToolError("Pages are numbers and ranges, such as 3,1-2,5-.")
        first = int(match[1] or 1)
        last = int(match[3] or most) if match[2] else first
        if not 1 <= first <= last <= most:
            raise ToolError(f"There is no page {part}: the file has {most} pages.")
        found += range(first - 1, last)
        _bounded(len(found))
    return found


def _box(page: Any) -> tuple[float, float, float, float]:
    box = page.cropbox
    return float(box.left), float(box.bottom), float(box.width), float(box.height)


def _headings(held: "PdfReader", entries: Sequence[Any], level: int) -> Iterator[tuple[int, str, int]]:
    for entry in entries:
        if isinstance(entry, list):
            yield from _headings(held, entry, level + 1)
        else:
            yield level, str(entry.title), (held.get_destination_page_number(entry) or 0) + 1


def _kind(field: Mapping[str, Any]) -> str:
    if field.get("/FT") == "/Btn":
        return "one of" if int(field.get("/Ff", 0)) & 1 << 15 else "yes or no"
    return "one of" if field.get("/FT") == "/Ch" else "text"


def _options(field: Mapping[str, Any]) -> list[str]:
    """What can be chosen."""
    given = [one[0] if isinstance(one, list) else one for one in field.get("/_States_", field.get("/Opt", ()))]
    return [name for one in given if (name := str(one).removeprefix("/")) != "Off"]


def _told(field: Mapping[str, Any]) -> str:
    kind = _kind(field)
    what = f"{kind} {', '.join(_options(field))}" if kind == "one of" else kind
    value = str(field.get("/V", "")).removeprefix("/")
    return f"{what}, now {value}" if value and value != "Off" else what


def _value(field: Mapping[str, Any], name: str, value: Given) -> str:
    """A value as the field takes it. Raises ToolError."""
    kind, options = _kind(field), _options(field)
    if kind == "yes or no":
        on = options[0] if options else "Yes"
        return f"/{on}" if placeholders.shown(value).lower() in ("yes", "true", "on", "x", "1", on.lower()) else "/Off"
    said = placeholders.shown(value)
    if kind == "one of" and options and said not in options:
        raise ToolError(f"{name!r} is one of {', '.join(options)}.")
    return f"/{said}" if field.get("/FT") == "/Btn" else said
