"""A deadline whose clock stands still while a person is waited for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Deadline:
    """As `asyncio.timeout`: TimeoutError once the seconds are over, those within `held` not counted."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._holds = 0
        self._left = 0.0
        self._over = False

    async def __aenter__(self) -> "Deadline":
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        await self._timeout.__aexit__(kind, error, trace)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Stop the clock; several may at once."""
        if self._holds == 0:
            self._left = (self._timeout.when() or 0.0) - self._now()
            self._set(None)
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._holds == 0:
                self._set(self._now() + self._left)

    def _set(self, when: float | None) -> None:
        if not self._over and not self._timeout.expired():
            self._timeout.reschedule(when)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
