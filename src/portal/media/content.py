"""What a file that an engine brought, or a picture that goes to one, really is: by its bytes, never by its name.

Only formats that browsers show without running anything are known. SVG, HTML and PDF are not among them, whatever
they are called, and nothing comes with a picture that stands behind its end.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from portal.core.media import Kind
from portal.errors import MediaRefused

_PNG = b"\x89PNG\r\n\x1a\n"
_TWELVE = 12
"""Bytes of a PNG chunk without its data."""
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers behind which the size stands."""
_ALONE = frozenset({0x01, *range(0xD0, 0xDA)})
"""JPEG markers without a length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a file holds."""

    kind: Kind
    content_type: str
    ending: str
    data: bytes
    width: int = 0
    height: int = 0


def read(data: bytes, *, max_pixels: int) -> Content:
    """What this is.

    Raises:
        MediaRefused: it is no picture, video or sound of a known format, it is damaged, or it is too large a picture.
    """
    for looks, reader in _READERS:
        if looks(data):
            try:
                found = reader(data)
            except (struct.error, IndexError, ValueError) as error:
                raise MediaRefused(
                    "The file is damaged: it does not hold what it begins as.", code="damaged"
                ) from error
            return _bounded(found, max_pixels)
    raise MediaRefused("The file is no picture, video or sound of a format that Portal keeps.", code="unknown_format")


def picture(data: bytes, *, max_pixels: int) -> Content:
    """The same for what must be a picture. Raises MediaRefused."""
    found = read(data, max_pixels=max_pixels)
    if found.kind != "image":
        raise MediaRefused("A picture is needed: PNG, JPEG, WebP or GIF.", code="no_picture")
    return found


def _bounded(found: Content, max_pixels: int) -> Content:
    if found.kind == "image" and not 0 < found.width * found.height <= max_pixels:
        size = f"{found.width} x {found.height}"
        raise MediaRefused(f"The picture has {size} pixels; at most {max_pixels:,} are taken.", code="too_many_pixels")
    return found


def _png(data: bytes) -> Content:
    """Up to its last chunk: what stands behind it is no part of the picture."""
    width, height = struct.unpack_from(">II", data, 16)
    at = len(_PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        at += length + _TWELVE
        if at > len(data):
            raise ValueError("cut off")
        if kind == b"IEND":
            break
    made = Content(kind="image", content_type="image/png", ending="png", data=data[:at])
    return replace(made, width=width, height=height)


def _jpeg(data: bytes) -> Content:
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _ALONE:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            break
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    end = data.rfind(b"\xff\xd9")
    if end < at:
        raise ValueError("cut off")
    made = Content(kind="image", content_type="image/jpeg", ending="jpg", data=data[: end + 2])
    return replace(made, width=width, height=height)


def _webp(data: bytes) -> Content:
    length = struct.unpack_from("<I", data, 4)[0] + 8
    if length > len(data):
        raise ValueError("cut off")
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("no WebP")
    made = Content(kind="image", content_type="image/webp", ending="webp", data=data[:length])
    return replace(made, width=width, height=height)


def _gif(data: bytes) -> Content:
    width, height = struct.unpack_from("<HH", data, 6)
    end = data.rfind(b";")
    if end < 13:
        raise ValueError("cut off")
    made = Content(kind="image", content_type="image/gif", ending="gif", data=data[: end + 1])
    return replace(made, width=width, height=height)


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _is_mp3(data: bytes) -> bool:
    """An ID3 tag, or a frame of MPEG layer III."""
    return data[:3] == b"ID3" or (len(data) > 3 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2)


def _as(kind: Kind, content_type: str, ending: str) -> Callable[[bytes], Content]:
    return lambda data: Content(kind=kind, content_type=content_type, ending=ending, data=data)


_READERS: Sequence[tuple[Callable[[bytes], bool], Callable[[bytes], Content]]] = (
    (lambda data: data[:8] == _PNG, _png),
    (lambda data: data[:3] == b"\xff\xd8\xff", _jpeg),
    (_is_webp, _webp),
    (lambda data: data[:6] in (b"GIF87a", b"GIF89a"), _gif),
    (lambda data: data[4:8] == b"ftyp" and data[8:11] == b"M4A", _as("music", "audio/mp4", "m4a")),
    (lambda data: data[4:8] == b"ftyp", _as("video", "video/mp4", "mp4")),
    (lambda data: data[:4] == b"\x1a\x45\xdf\xa3", _as("video", "video/webm", "webm")),
    (lambda data: data[:4] == b"fLaC", _as("music", "audio/flac", "flac")),
    (lambda data: data[:4] == b"OggS", _as("music", "audio/ogg", "ogg")),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WAVE", _as("music", "audio/wav", "wav")),
    (_is_mp3, _as("music", "audio/mpeg", "mp3")),
)
