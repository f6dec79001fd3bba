"""PDF files by pypdf, where kreuzberg is not installed; and the paragraphs of pages, whoever read them."""

import io
import re
from typing import Any

from portal.core.clock import micros
from portal.errors import BadRequest
from portal.extras import add_command
from portal.knowledge.extract_draft import Draft, flat

_HYPHEN = re.compile("(?<=\\w)(?:\x02|[-\u00ad\u2010]\n(?=[a-zà-ÿ]))")
_FILLED = 50
"""Characters of the longest line of a paragraph whose lines end where the page does."""


def read_by_pypdf(data: bytes, draft: Draft) -> None:
    """Page by page. Raises BadRequest."""
    try:
        import pypdf
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise BadRequest(
            f"Reading PDF files needs kreuzberg or pypdf: `{add_command('documents')}`.", code="unsupported_file"
        ) from error
    try:
        file = pypdf.PdfReader(io.BytesIO(data))
        if file.is_encrypted and not file.decrypt(""):
            raise refused("password")
        _tell_by_pypdf(file.metadata, draft)
        draft.pages = len(file.pages)
        empty = 0
        for number, page in enumerate(file.pages, 1):
            draft.page = number
            text = page.extract_text()
            empty += not text.strip()
            add_paragraphs(re.sub(r"(?<=[.!?:])\n(?=[A-Z])", "\n\n", text), draft)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        raise refused(str(error) or type(error).__name__) from error
    finally:
        draft.page = None
    if empty:
        draft.warn(f"{empty} pages hold no text. To recognise scanned pages: `{add_command('documents')}`.")


def _tell_by_pypdf(held: Any, draft: Draft) -> None:
    if held is None:
        return
    draft.title = draft.title or str(held.title or "")
    draft.metadata |= {"author": str(held.author or ""), "subject": str(held.subject or "")}
    date = held.modification_date or held.creation_date
    draft.written = micros(date) if date else None


def refused(why: str) -> BadRequest:
    """The error for a file that a library cannot read, with what to do about it."""
    if re.search(r"(?i)password|encrypt", why):
        return BadRequest("It is protected by a password: save it without one and add it again.", code="invalid_file")
    return BadRequest("The file is damaged: open it and save it again.", code="invalid_file")


def whole(text: str) -> str:
    """A paragraph of a page: words that a line's end parted are put together, and so are lines that were filled."""
    joined = _HYPHEN.sub("", text)
    lines = list(filter(None, map(flat, joined.splitlines())))
    return "\n".join(lines) if max(map(len, lines), default=0) < _FILLED else " ".join(lines)


def add_paragraphs(text: str, draft: Draft) -> None:
    """What stands between blank lines."""
    for paragraph in re.split(r"\n\s*\n", text):
        draft.text(whole(paragraph))
