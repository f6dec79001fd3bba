"""The content of a file as an answer: in parts where a client asks for some, and never as a page of this site."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from portal.core.ports import Files
from portal.core.records import FileRecord

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SHOWN = re.compile(
    r"image/(png|jpeg|gif|webp|avif|bmp)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+|application/pdf|text/plain"
)
"""What a browser may show in its place when a page of this site asks for it: nothing that runs."""
_INERT = "sandbox; default-src 'none'"
_FRAMED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""For PDF, whose viewer is a part of the browser that a sandbox keeps out."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to before `end`."""

    start: int
    end: int


async def answer(request: Request, files: Files, record: FileRecord) -> Response:
    """The file, or what is asked for of it."""
    shown = "inline" in request.query_params and _SHOWN.fullmatch(record.content_type)
    kind = "inline" if shown else "attachment"
    headers = {
        "Content-Security-Policy": _FRAMED if shown and record.content_type == "application/pdf" else _INERT,
        "Content-Disposition": f"{kind}; filename*=UTF-8''{quote(record.filename, safe='')}",
        "Accept-Ranges": "bytes",
        "ETag": f'"{record.sha256}"',
        "Cache-Control": "private, no-cache",
    }
    if record.sha256 in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    part = _asked(request.headers, record)
    if part is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{record.size}"})
    whole = part == Part(0, record.size)
    headers["Content-Length"] = str(part.end - part.start)
    if not whole:
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{record.size}"
    status = 200 if whole else 206
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=record.content_type)
    content = files.content(record.owner, record.id, part.start, part.end)
    return StreamingResponse(content, status_code=status, headers=headers, media_type=record.content_type)


def _asked(headers: Mapping[str, str], record: FileRecord) -> Part | None:
    """The part a client asks for; all of it unless it asks for exactly one of this version. None: it has no such."""
    whole = Part(0, record.size)
    match = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if not match or match[0] == "bytes=-" or headers.get("if-range", record.sha256).strip('"') != record.sha256:
        return whole
    first, last = match[1], match[2]
    if not first:
        start, end = max(record.size - int(last), 0), record.size
    else:
        start, end = int(first), min(int(last) + 1, record.size) if last else record.size
        if last and int(last) < int(first):
            return whole
    return Part(start, end) if start < end else None
