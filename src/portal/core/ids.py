"""Identifiers: UUIDv7 (RFC 9562) in hex, with the API's prefixes, so that ids sort by creation."""

import os
import threading
from collections.abc import Iterator

from portal.core.clock import micros

_lock = threading.Lock()
_last = 0


def _random_halves() -> Iterator[int]:
    """The variant and 62 random bits, from the system's source: a call of its own for each would cost more than all
    the rest of an id."""
    while True:
        block = os.urandom(8 * 128)
        for start in range(0, len(block), 8):
            yield int.from_bytes(block[start : start + 8]) >> 2 | 0b10 << 62


_random = _random_halves()


def uuid7() -> str:
    """A UUIDv7 as 32 hex digits; strictly increasing within this process.

    The 12 bits of `rand_a` carry sub-millisecond time (RFC 9562 section 6.2, method 3), and a clock
    that stands still or steps back is nudged forward, so order of creation is order of text.
    """
    global _last
    with _lock:
        _last = stamp = max(micros(), _last + 1)
        rand_b = next(_random)
    millis, rest = divmod(stamp, 1000)
    rand_a = rest * 4096 // 1000
    return f"{millis:012x}7{rand_a:03x}{rand_b:016x}"


def new_id(prefix: str) -> str:
    """A fresh id such as `resp_0190...`; prefixes are OpenAI's where they have the object."""
    return f"{prefix}_{uuid7()}"
