"""The event log: what is notable of the log, kept in the database beyond what the log file keeps.

A part marks a line that is worth keeping: `log.info("...", extra={"event": "backend"})`; warnings and errors are kept
in any case.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.journal import KINDS, Note, Notes
from portal.errors import PortalError
from portal.observability.context import request_id
from portal.redaction import redact

GATHER_SECONDS = 0.25
MOST = 500
"""Lines that wait to be stored; where more come at once, the oldest of them are in the log alone."""
_LONGEST = 2000


class Journal(logging.Handler):
    """A handler of the root logger, from `begin` to `end`. `run` must run in a task of the opener's."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._waiting: deque[Note] = deque(maxlen=MOST)
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._ended = False

    def begin(self) -> None:
        """Listen."""
        logging.getLogger().addHandler(self)

    def end(self) -> None:
        """Listen no more."""
        self._ended = True
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, if it is worth it; from any thread."""
        kind = _kind(record)
        if kind is None or self._ended:
            return
        self._waiting.append(
            Note(
                id=new_id("note"),
                at=micros(),
                kind=kind,
                level=record.levelname.lower(),
                source=record.name,
                text=_text(record),
                request=request_id.get(),
            )
        )
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self, notes: Notes, changed: Callable[[], None]) -> None:
        """Store what comes, as much at once as came in a moment, until cancelled; `changed` is called after that."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._wake.clear()
            await self.store(notes)
            changed()

    async def store(self, notes: Notes) -> None:
        """Store what waits. What cannot be stored is in the log alone: telling of that here would have no end."""
        waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if waiting:
            with suppress(PortalError):
                await notes.add(waiting)


def _kind(record: logging.LogRecord) -> str | None:
    marked = getattr(record, "event", None)
    if marked in KINDS:
        return str(marked)
    if record.levelno >= logging.WARNING:
        return "error" if record.levelno >= logging.ERROR else "warning"
    return None


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info and record.exc_info[1] is not None:
        text += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
    return redact(text)[:_LONGEST]
