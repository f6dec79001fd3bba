"""The program that reads one file, or draws a page of it, in a process of its own:
`python -m portal.knowledge.extracting REQUEST < FILE`.

A file that makes a library run wild costs this process, within its bounds, and nothing else.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from portal.core.documents import Block, Extracted
from portal.errors import BadRequest, PortalError, TooLarge
from portal.knowledge.extract_reading import Reading


def run(request: Mapping[str, Any], file: BinaryIO) -> bytes:
    """Read a file as a request says; the answer, whether it went well or not."""
    if "page" in request:
        return drawn(file.read(), request["page"], request["dpi"])
    reading = Reading(languages=request["languages"], longest=request["longest"], seconds=request["seconds"])
    try:
        return packed(reading.read(file.read(), request["name"], request["content_type"]))
    except PortalError as error:
        return orjson.dumps({"error": error.message, "code": error.code, "large": isinstance(error, TooLarge)})
    except MemoryError:
        return orjson.dumps({"error": "Reading it takes too much memory: split it into smaller files."})


def drawn(data: bytes, page: int, dpi: int) -> bytes:
    """A PNG of a page of a PDF, counted from 1; nothing where there is none."""
    try:
        import kreuzberg
    except ImportError:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "file.pdf")
        place.write_bytes(data)
        try:
            return kreuzberg.render_pdf_page(place, page - 1, dpi=dpi)
        except (kreuzberg.KreuzbergError, ValueError, RuntimeError, OSError, OverflowError):
            return b""


def packed(document: Extracted) -> bytes:
    """A document as it goes over the pipe."""
    fields = {name: getattr(document, name) for name in Extracted.__slots__}
    blocks = [[b.kind, b.start, b.end, b.level, b.body, b.page, b.written] for b in document.blocks]
    return orjson.dumps({**fields, "blocks": blocks})


def unpacked(answer: bytes) -> Extracted:
    """The document in an answer.

    Raises:
        BadRequest, TooLarge: it says that the file could not be read.
    """
    held = orjson.loads(answer)
    if "error" in held:
        refusal = TooLarge if held.get("large") else BadRequest
        raise refusal(held["error"], code=held.get("code") or "invalid_file")
    return Extracted(**{**held, "blocks": [Block(*block) for block in held["blocks"]]})


def _bound(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the deadline holds there, too
        return
    for name, most in (("RLIMIT_DATA", memory), ("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0)):
        _, hard = resource.getrlimit(number := getattr(resource, name))
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows some only by name
            resource.setrlimit(number, (most, most))
    os.nice(5)


def main() -> None:
    """Answer on standard output, which libraries cannot write to in the meantime."""
    request = orjson.loads(sys.argv[1])
    _bound(request["memory"], request["seconds"])
    out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(out, "wb") as answer:
        answer.write(run(request, sys.stdin.buffer))
        answer.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
