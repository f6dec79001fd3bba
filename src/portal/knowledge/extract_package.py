"""Zip files: Office documents, books, or archives of documents."""

import re
from collections.abc import Callable
from typing import TypeAlias

from portal.errors import BadRequest
from portal.knowledge.extract_draft import Draft
from portal.knowledge.extract_epub import CONTAINER, read_epub
from portal.knowledge.extract_odf import read_odf
from portal.knowledge.extract_office import read_docx
from portal.knowledge.extract_sheets import read_xlsx
from portal.knowledge.extract_slides import read_pptx
from portal.knowledge.extract_zip import Archive

Inside: TypeAlias = Callable[[bytes, str, str], None]
_KINDS: dict[tuple[str, ...], Callable[[Archive, Draft], None]] = {
    ("word/document.xml",): read_docx,
    ("ppt/presentation.xml",): read_pptx,
    ("xl/workbook.xml",): read_xlsx,
    (CONTAINER,): read_epub,
    ("content.xml", "META-INF/manifest.xml"): read_odf,
}
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/|Thumbs\.db$|~\$)")


def read_package(data: bytes, draft: Draft, inside: Inside) -> None:
    """By what it holds, not by its name."""
    archive = Archive(data)
    for names, read in _KINDS.items():
        if all(map(archive.has, names)):
            read(archive, draft)
            return
    if archive.has("[Content_Types].xml"):
        raise BadRequest("This kind of Office file is not read: save it as .docx, .xlsx, .pptx or PDF.")
    for name in sorted(archive.names()):
        if not _HIDDEN.search(name):
            _file(archive, name, draft, inside)


def _file(archive: Archive, name: str, draft: Draft, inside: Inside) -> None:
    try:
        held = archive.read(name)
    except BadRequest as error:
        draft.warn(f"{name}: {error.message}")
    else:
        inside(held, name, "")
