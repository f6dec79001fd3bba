"""Reading a file that lies in memory, whatever its format, and the files within it."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from portal.core.documents import Extracted
from portal.errors import BadRequest, PortalError, TooLarge
from portal.knowledge import extract_data, extract_html, extract_mail, extract_text, extract_xml
from portal.knowledge.extract_draft import LONGEST, Draft
from portal.knowledge.extract_kind import HEAD, kind_of
from portal.knowledge.extract_zip import damaged

_DEEPEST = 3
"""Archives within archives."""
_MARKED: dict[str, Callable[[str, Draft], None]] = {
    "text": extract_text.read_plain,
    "markdown": extract_text.read_markdown,
    "code": extract_text.read_code,
    "table": extract_data.read_table,
    "json": extract_data.read_json,
    "jsonl": extract_data.read_json_lines,
}


class Reading:
    """One document; `languages` are those of its pictures, as tesseract names them, `seconds` what it should take."""

    def __init__(self, *, languages: str = "eng", longest: int = LONGEST, seconds: float = 600) -> None:
        self._draft = Draft(longest)
        self._languages = languages
        self._until = monotonic() + seconds * 0.7
        self._within = 0

    def read(self, data: bytes, name: str, content_type: str = "") -> Extracted:
        """What is in there.

        Raises:
            BadRequest, TooLarge: it cannot be read; the message says what to do.
        """
        self._add(data, name, content_type)
        return self._draft.done()

    def _add(self, data: bytes, name: str, content_type: str) -> None:
        try:
            self._parts(data, name, content_type)
        except (PortalError, MemoryError):
            raise
        except Exception as error:  # whatever bug of a library it is, it is that file's alone
            raise damaged(type(error).__name__) from error

    def _parts(self, data: bytes, name: str, content_type: str) -> None:
        kind, mime = kind_of(data[:HEAD], name, content_type)
        draft = self._draft
        if kind in _MARKED:
            _MARKED[kind](extract_text.decode(data, _charset(content_type)), draft)
        elif kind == "html":
            text = extract_text.decode(data, _charset(content_type) or extract_html.charset(data))
            extract_html.read_html(text, draft)
        elif kind == "xml":
            extract_xml.read_xml(data, draft)
        elif kind == "mail":
            extract_mail.read_mail(data, draft, self._inside)
        elif kind == "mbox":
            extract_mail.read_mbox(data, draft, self._inside)
        else:
            self._binary(kind, data, mime)

    def _binary(self, kind: str, data: bytes, mime: str) -> None:
        """Each module is imported when the first such file comes."""
        if kind == "pdf":
            from portal.knowledge.extract_pdf import read_pdf

            read_pdf(data, self._draft, self._languages, self._until)
        elif kind == "zip":
            from portal.knowledge.extract_package import read_package

            read_package(data, self._draft, self._inside)
        elif kind == "foreign":
            from portal.knowledge.extract_pdf import read_foreign

            read_foreign(data, self._draft, mime)
        elif kind == "picture":
            self._picture(data)
        else:
            raise BadRequest(
                "A recording within another file is not listened to: add it by itself.", code="unsupported_file"
            )

    def _picture(self, data: bytes) -> None:
        from portal.knowledge.extract_ocr import recognise

        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder, "picture")
            picture.write_bytes(data)
            extract_text.read_plain(recognise(picture, self._languages), self._draft)

    def _inside(self, data: bytes, name: str, content_type: str = "") -> None:
        """A file within the file, as a section if it has text; what cannot be read of it is a warning."""
        draft = self._draft
        if self._within == _DEEPEST:
            draft.warn(f"{name}: it lies too deep within other archives.")
            return
        kept = draft.title, draft.written, draft.dated, draft.pages, dict(draft.metadata)
        before = draft.count
        draft.heading(1, name)
        headed = draft.count
        draft.depth += 1
        self._within += 1
        try:
            self._add(data, name, content_type)
        except TooLarge:
            raise
        except BadRequest as error:
            draft.warn(f"{name}: {error.message}")
        finally:
            if draft.count == headed:
                draft.take_back(before)
            draft.depth -= 1
            self._within -= 1
            draft.title, draft.written, draft.dated, draft.pages, draft.metadata = kept
            draft.page = None


def _charset(content_type: str) -> str:
    _, _, stated = content_type.lower().partition("charset=")
    return stated.split(";")[0].strip("\"' ")
