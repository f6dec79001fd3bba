"""What can be done with documents here, and for the rest the step that makes it possible."""

import shutil
from collections.abc import Iterator

from portal.cli.finding import Finding
from portal.extras import add_command, is_installed

_PROGRAMS = (
    ("Documents into other formats", ("pandoc",), "apt install pandoc, or brew install pandoc"),
    ("Office files as PDF, and spreadsheets into other formats", ("soffice", "libreoffice"), "Install LibreOffice"),
    ("Text in scans and pictures", ("tesseract",), "apt install tesseract-ocr, or brew install tesseract"),
)


def document_findings() -> Iterator[Finding]:
    """Making them, and each program that something needs."""
    made = "Making Word, PowerPoint, Excel and PDF files"
    if is_installed("documents"):
        yield Finding("good", f"{made}: ready", check="documents")
    else:
        yield Finding("note", f"{made}: not ready", add_command("documents"), "documents")
    for what, names, install in _PROGRAMS:
        if any(map(shutil.which, names)):
            yield Finding("good", f"{what}: ready ({names[0]})")
        else:
            yield Finding("note", f"{what}: not ready without {names[0]}", install, names[0])
