"""The page's files, kept in memory and compressed once: a first visit asks for some eighty of them at a time."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_KINDS: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_PACKED = frozenset({".css", ".js", ".svg", ".txt", ".webmanifest"})


@dataclass(frozen=True, slots=True)
class _Kept:
    changed: int
    plain: bytes
    packed: bytes | None
    headers: Mapping[str, str]


class Files:
    """Serves the files of one folder. Browsers ask again each time (304), so that an upgrade is seen at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._kept: dict[str, _Kept] = {}

    async def serve(self, request: Request) -> Response:
        """The file at the route's `path`; 404 for what is not there or no file of the page."""
        kept = self._find(str(request.path_params["path"]))
        if kept is None:
            return PlainTextResponse("Not found", status_code=404)
        if request.headers.get("if-none-match") == kept.headers["etag"]:
            return Response(status_code=304, headers=kept.headers)
        if kept.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(kept.packed, headers={**kept.headers, "content-encoding": "gzip"})
        return Response(kept.plain, headers=kept.headers)

    def _find(self, name: str) -> _Kept | None:
        try:
            path = (self._folder / name).resolve()
            if path.suffix not in _KINDS or not path.is_relative_to(self._folder) or not path.is_file():
                return None
            changed = path.stat().st_mtime_ns
        except (OSError, ValueError):  # no name that a file can have
            return None
        kept = self._kept.get(name)
        if kept is None or kept.changed != changed:
            kept = self._kept[name] = _read(path, changed)
        return kept


def _read(path: Path, changed: int) -> _Kept:
    plain = path.read_bytes()
    headers = {
        "content-type": _KINDS[path.suffix],
        "cache-control": "no-cache",
        "etag": f'"{hashlib.sha256(plain).hexdigest()[:16]}"',
        "vary": "accept-encoding",
    }
    packed = gzip.compress(plain, 9, mtime=0) if path.suffix in _PACKED and len(plain) > 500 else None
    return _Kept(changed, plain, packed, headers)
