"""Office files of strangers: opened only where they are what they say, without macros, and of a bounded size."""

import io
import zipfile
from pathlib import PurePath

from portal.errors import ToolError
from portal.tools.folders import Place

LARGEST = 100 * 2**20
_UNPACKED = 400 * 2**20
_XML = 80 * 2**20
"""Of parts that are read as trees, which take many times that."""
_PARTS = 10_000
_RATIO = 300
_SMALL = 2**20
"""Parts up to this may be packed as tightly as they like."""
_MAIN = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}


def read(place: Place) -> bytes:
    """The bytes of a Word, PowerPoint or Excel file that may be opened. Raises ToolError."""
    name = place.path.name
    try:
        data = place.read(LARGEST)
    except OSError as error:
        raise ToolError(f"{name!r} cannot be read: {error.strerror}.") from error
    check(data, name)
    return data


def check(data: bytes, name: str) -> None:
    """Raises ToolError for what may not be opened."""
    ending = PurePath(name).suffix.lower()
    if ending in (".doc", ".xls", ".ppt") or data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ToolError(f"{name!r} is of the old format or protected by a password: save it as .docx, .xlsx or .pptx.")
    if ending not in _MAIN:
        raise ToolError(f"{name!r} is no Word (.docx), PowerPoint (.pptx) or Excel (.xlsx) file.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            parts = file.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise ToolError(f"{name!r} is damaged: it is no office file inside.") from error
    names = {part.filename for part in parts}
    if not data.startswith(b"PK") or _MAIN[ending] not in names:
        raise ToolError(f"{name!r} is not what its name says: inside it is no {ending} file.")
    if len(names) != len(parts) or any(_leaves(one) for one in names):
        raise ToolError(f"{name!r} is not sound: its parts have names that no office program writes.")
    if any(one.lower().endswith(("vbaproject.bin", "vbadata.xml")) or "/activex/" in one.lower() for one in names):
        raise ToolError(f"{name!r} holds macros, which stay out of what Portal writes: save it without them first.")
    if any(part.flag_bits & 1 for part in parts):
        raise ToolError(f"{name!r} is protected by a password.")
    _bounded(parts, name)


def _bounded(parts: list[zipfile.ZipInfo], name: str) -> None:
    tight = any(part.file_size > _SMALL and part.file_size > _RATIO * max(part.compress_size, 1) for part in parts)
    trees = sum(part.file_size for part in parts if part.filename.lower().endswith((".xml", ".rels", ".vml")))
    if len(parts) > _PARTS or trees > _XML or sum(part.file_size for part in parts) > _UNPACKED or tight:
        raise ToolError(f"{name!r} would unpack into more than an office file holds, so it is not opened.")


def _leaves(part: str) -> bool:
    plain = part.replace("\\", "/")
    return plain.startswith("/") or ".." in plain.split("/") or ":" in plain.split("/")[0]
