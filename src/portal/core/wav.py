"""WAV of 16-bit samples in one channel: what holds bare samples where a program wants a file."""

import struct

_UNKNOWN = 0xFFFFFFFF


def header(rate: int, size: int | None = None) -> bytes:
    """The head of a file of `size` bytes of samples; of a stream whose length nobody knows yet without it."""
    data = _UNKNOWN if size is None else size
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", min(_UNKNOWN, data + 36), b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16, b"data", data),
    )


def samples_at(content: bytes) -> int | None:
    """Where a WAV's samples begin; None as long as its head is not whole."""
    at = 12
    while len(content) >= at + 8:
        name, size = struct.unpack_from("<4sI", content, at)
        if name == b"data":
            return at + 8
        at += 8 + size + size % 2
    return None


def after_head(head: bytes | None, chunk: bytes) -> tuple[bytes | None, bytes]:
    """What is collected of a WAV's head, None once it is over, and the samples that are there by now."""
    if head is None:
        return None, chunk
    head += chunk
    at = samples_at(head)
    return (head, b"") if at is None else (None, head[at:])


def with_length(content: bytes) -> bytes:
    """The same sound with its true length in its head, as a file should have it; whatever is no WAV as it is."""
    at = samples_at(content) if content[:4] == b"RIFF" else None
    if at is None:
        return content
    sizes = struct.pack("<I", len(content) - 8), struct.pack("<I", len(content) - at)
    return content[:4] + sizes[0] + content[8 : at - 4] + sizes[1] + content[at:]
