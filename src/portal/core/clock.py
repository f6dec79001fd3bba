"""Time as Portal keeps it: UTC-aware, and integer microseconds since the epoch in storage."""

from datetime import UTC, datetime
from time import time_ns


def now() -> datetime:
    """The current time, UTC-aware."""
    return datetime.fromtimestamp(time_ns() / 1e9, UTC)


def micros(moment: datetime | None = None) -> int:
    """Microseconds since 1970-01-01 UTC of `moment` (default: now)."""
    return time_ns() // 1000 if moment is None else int(moment.timestamp() * 1_000_000)


def seconds(stored: int) -> int:
    """Whole Unix seconds of a stored microsecond time, as OpenAI's objects give them."""
    return stored // 1_000_000
