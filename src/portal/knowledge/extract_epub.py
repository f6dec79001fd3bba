"""EPUB books: their chapters in reading order."""

from posixpath import dirname, join, normpath
from urllib.parse import unquote

from portal.errors import BadRequest
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_html import charset, read_html
from portal.knowledge.extract_office import Properties
from portal.knowledge.extract_text import decode
from portal.knowledge.extract_xml import Attributes, walk
from portal.knowledge.extract_zip import Archive

CONTAINER = "META-INF/container.xml"


def read_epub(archive: Archive, draft: Draft) -> None:
    """Every chapter is a page of HTML."""
    if archive.has("META-INF/rights.xml"):
        raise BadRequest("The book is protected against copying, so it cannot be read.", code="unsupported_file")
    book = _Book(draft)
    walk(archive.read(CONTAINER), book)
    walk(archive.read(book.root), book)
    for name in book.chapters():
        try:
            page = archive.read(normpath(join(dirname(book.root), unquote(name))))
        except BadRequest as error:
            draft.warn(f"{name}: {error.message}")
        else:
            read_html(decode(page, charset(page)), draft)


class _Book(Properties):
    """Where its description lies, and then what that says."""

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self.root = ""
        self._files: dict[str, str] = {}
        self._order: list[str] = []

    def start(self, name: str, attributes: Attributes) -> None:
        super().start(name, attributes)
        if name == "rootfile":
            self.root = self.root or attributes.get("full-path", "")
        elif name == "item":
            self._files[attributes.get("id", "")] = attributes.get("href", "")
        elif name == "itemref":
            self._order.append(attributes.get("idref", ""))

    def chapters(self) -> list[str]:
        """The files' names."""
        return [self._files[each] for each in self._order if each in self._files]
