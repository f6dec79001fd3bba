"""Identifiers: UUIDv7 (RFC 9562) in hex, with the API's prefixes, so that ids sort by creation."""

import os
import threading

from portal.core.clock import micros

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """A UUIDv7 as 32 hex digits; strictly increasing within this process.

    The 12 bits of `rand_a` carry sub-millisecond time (RFC 9562 section 6.2, method 3), and a clock
    that stands still or steps back is nudged forward, so order of creation is order of text.
    """
    global _last
    with _lock:
        _last = stamp = max(micros(), _last + 1)
    millis, rest = divmod(stamp, 1000)
    rand_a = rest * 4096 // 1000
    rand_b = int.from_bytes(os.urandom(8)) >> 2
    return f"{(millis << 80) | (0x7 << 76) | (rand_a << 64) | (0b10 << 62) | rand_b:032x}"


def new_id(prefix: str) -> str:
    """A fresh id such as `resp_0190...`; prefixes are OpenAI's where they have the object."""
    return f"{prefix}_{uuid7()}"
