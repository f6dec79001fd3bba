"""Which format a file has: by what it begins with, since names lie, and among texts by its name."""

import re
from pathlib import PurePath
from typing import Literal, TypeAlias

from portal.errors import BadRequest

Kind: TypeAlias = Literal[
    "text", "markdown", "code", "html", "table", "json", "jsonl", "xml", "mail", "mbox", "zip", "pdf", "foreign",
    "picture", "recording",
]  # fmt: skip
PLAIN = frozenset({"text", "markdown", "code", "html", "table", "json", "jsonl", "xml"})
_OLE = {
    ".doc": "application/msword",
    ".dot": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".pps": "application/vnd.ms-powerpoint",
    ".msg": "application/vnd.ms-outlook",
}
_PICTURES = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
_RECORDINGS = (
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf1", "audio/aac"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
)
_NAMES: dict[str, Kind] = {
    ".md": "markdown", ".markdown": "markdown", ".mdx": "markdown", ".qmd": "markdown",
    ".html": "html", ".htm": "html", ".xhtml": "html", ".csv": "table", ".tsv": "table", ".tab": "table",
    ".json": "json", ".geojson": "json", ".ipynb": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".xml": "xml", ".rss": "xml", ".atom": "xml", ".fb2": "xml", ".kml": "xml", ".gpx": "xml", ".svg": "xml",
    ".eml": "mail", ".mbox": "mbox",
}  # fmt: skip
_CODE = frozenset({
    ".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".kts", ".scala", ".c", ".h",
    ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".cs", ".go", ".rs", ".rb", ".php", ".pl", ".pm", ".sh", ".bash",
    ".zsh", ".fish", ".ps1", ".bat", ".cmd", ".sql", ".r", ".jl", ".lua", ".swift", ".m", ".mm", ".dart", ".ex",
    ".exs", ".erl", ".hs", ".ml", ".clj", ".lisp", ".el", ".vim", ".css", ".scss", ".sass", ".less", ".vue",
    ".svelte", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".env", ".properties", ".tf", ".hcl", ".nix",
    ".cmake", ".gradle", ".groovy", ".proto", ".graphql", ".f90", ".f", ".pas", ".asm", ".s", ".v", ".vhd",
    ".zig", ".nim", ".diff", ".patch", ".mk",
})  # fmt: skip
_TYPES: dict[str, Kind] = {
    "text/markdown": "markdown", "text/html": "html", "application/xhtml+xml": "html", "text/csv": "table",
    "text/tab-separated-values": "table", "application/json": "json", "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl", "application/xml": "xml", "text/xml": "xml", "message/rfc822": "mail",
    "application/mbox": "mbox",
}  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKUP = re.compile(rb"\s*(?:<!--[^>]*-->\s*)*(?:(<!doctype html|<html\b)|(<\?xml\b))", re.I)
_HEADERS = re.compile(rb"(?:[A-Za-z][A-Za-z-]{1,40}: [^\n]*\n(?:[ \t][^\n]*\n)*){3}")
HEAD = 8192
"""Bytes that tell."""


def kind_of(head: bytes, name: str, content_type: str = "") -> tuple[Kind, str]:
    """The format of what begins like this, and its media type where that matters.

    Raises:
        BadRequest: none that can be read.
    """
    return _binary(head, PurePath(name).suffix.lower()) or (_text(head, name, content_type), "")


def _binary(head: bytes, suffix: str) -> tuple[Kind, str] | None:
    if b"%PDF-" in head[:1024]:
        return "pdf", ""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip", ""
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        return "foreign", _OLE.get(suffix, "application/msword")
    if head.startswith(b"{\\rtf"):
        return "foreign", "application/rtf"
    if head.startswith(b"RIFF"):
        form = head[8:12]
        kinds: dict[bytes, tuple[Kind, str]] = {
            b"WEBP": ("picture", "image/webp"),
            b"WAVE": ("recording", "audio/wav"), b"AVI ": ("recording", "video/avi"),
        }  # fmt: skip
        return kinds.get(form)
    if head[4:8] == b"ftyp":
        sound = head[8:11] == b"M4A"
        return ("picture", "image/heic") if head[8:11] in (b"hei", b"avi", b"mif") else (
            "recording", "audio/mp4" if sound else "video/mp4")  # fmt: skip
    for mark, mime in _PICTURES:
        if head.startswith(mark):
            return "picture", mime
    return next((("recording", mime) for mark, mime in _RECORDINGS if head.startswith(mark)), None)


def _text(head: bytes, name: str, content_type: str) -> Kind:
    suffix = PurePath(name).suffix.lower()
    if not _is_text(head):
        raise BadRequest(
            f"Files such as {PurePath(name).name!r} are not among the formats that Portal reads: "
            "save it as PDF, text or an Office document.",
            code="unsupported_file",
        )
    if suffix in _NAMES:
        return _NAMES[suffix]
    if suffix in _CODE or PurePath(name).name in ("Makefile", "Dockerfile", "Jenkinsfile"):
        return "code"
    if found := _TYPES.get(content_type.partition(";")[0].strip().lower()):
        return found
    return _looks(head) if suffix != ".txt" else "text"


def _looks(head: bytes) -> Kind:
    """A guess for a text whose name says nothing."""
    if markup := _MARKUP.match(head):
        return "html" if markup[1] or b"<html" in head.lower() else "xml"
    if head.startswith(b"From ") and _HEADERS.match(head, head.find(b"\n") + 1):
        return "mbox"
    named = re.match(rb"(?i)(?:return-path|received|from|subject|delivered-to|message-id|date|mime-version):", head)
    return "mail" if named and _HEADERS.match(head) else "text"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")):
        return True
    even, odd = head[0::2].count(0), head[1::2].count(0)
    wide = max(even, odd) > 4 * min(even, odd) and max(even, odd) * 4 > len(head)
    strange = len(_CONTROL.findall(head)) - (even + odd if wide else 0)  # UTF-16 without its mark is full of noughts
    return strange * 50 <= len(head)
