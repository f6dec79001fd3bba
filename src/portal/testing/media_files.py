"""Small files of the kinds that engines bring: true pictures, and as much of films and sounds as says what they are."""

import io
import struct
import wave
import zlib


def png(width: int = 64, height: int = 48, colour: tuple[int, int, int] = (70, 110, 180), *, alpha: int = 255) -> bytes:
    """A picture of one colour, darker towards the bottom."""
    rows = []
    for row in range(height):
        shade = 1 - row / (2 * height)
        pixel = bytes([*(round(part * shade) for part in colour), alpha])
        rows.append(b"\0" + pixel * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = zlib.compress(b"".join(rows), 6)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in ((b"IHDR", head), (b"IDAT", body), (b"IEND", b"")))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def wav(seconds: float = 0.2, rate: int = 8000) -> bytes:
    """Silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"\0\0" * round(seconds * rate))
    return out.getvalue()


def mp4() -> bytes:
    """The beginning of a film."""
    brand = b"isom" + struct.pack(">I", 512) + b"isomiso2avc1mp41"
    return struct.pack(">I4s", 8 + len(brand), b"ftyp") + brand + struct.pack(">I4s", 16, b"mdat") + bytes(8)


def flac() -> bytes:
    """The beginning of a sound."""
    return b"fLaC" + b"\x80\x00\x00\x22" + bytes(34)
