"""Tells whoever watches that something of theirs changed. In process; nothing here is stored."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from portal.core.clock import micros
from portal.core.items import JsonObject

_BACKLOG = 256
_KEPT = 1024
_RESYNC: JsonObject = {"type": "resync"}


class Bus:
    """Publishes small events to the subscribers of one owner, or to all of them. Their numbers rise, also from one run
    of the server to the next, so that whoever was away for a moment can go on where it was."""

    def __init__(self) -> None:
        self._queues: dict[asyncio.Queue[JsonObject | None], str | None] = {}
        self._kept: deque[tuple[str | None, JsonObject]] = deque(maxlen=_KEPT)
        self._number = self._began = micros()
        self._closed = False
        self.relay: Callable[[str | None, str, JsonObject], None] = _nowhere
        """Told of what is published here; must not wait."""

    def publish(self, owner: str | None, kind: str, **fields: object) -> None:
        """Never waits. A subscriber that is 256 events behind is told `resync` instead of what it missed."""
        self.relayed(owner, kind, fields)
        self.relay(owner, kind, fields)

    def relayed(self, owner: str | None, kind: str, fields: JsonObject) -> None:
        """The same for what another server published."""
        self._number += 1
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._kept.append((owner, event))
        for queue, subscriber in self._queues.items():
            if owner is None or subscriber in (None, owner):
                _offer(queue, event)

    @property
    def listening(self) -> int:
        """How many listen for somebody, Portal's own parts left out."""
        return sum(owner is not None for owner in self._queues.values())

    @contextmanager
    def subscribe(self, owner: str | None, after: int | None = None) -> Iterator[asyncio.Queue[JsonObject | None]]:
        """A queue of events for this owner, or with None for everybody, from now on, or from behind number `after`:
        `resync` comes first where what was missed is not kept any more. None in it means that the bus has closed."""
        queue: asyncio.Queue[JsonObject | None] = asyncio.Queue(_BACKLOG)
        for event in () if after is None else self._missed(owner, after):
            _offer(queue, event)
        self._queues[queue] = owner
        if self._closed:
            _offer(queue, None)
        try:
            yield queue
        finally:
            del self._queues[queue]

    def _missed(self, owner: str | None, after: int) -> Iterator[JsonObject]:
        oldest = self._kept[0][1]["sequence_number"] if len(self._kept) == _KEPT else self._began + 1
        if not oldest - 1 <= after <= self._number:
            yield _RESYNC
            return
        for whose, event in self._kept:
            if event["sequence_number"] > after and (owner is None or whose in (None, owner)):
                yield event

    def resync(self) -> None:
        """Tell every subscriber that something may have been missed."""
        self._kept.clear()
        self._began = self._number
        for queue in self._queues:
            _offer(queue, _RESYNC)

    def close(self) -> None:
        """End every subscription, those to come included."""
        self._closed = True
        for queue in self._queues:
            _offer(queue, None)


def _offer(queue: asyncio.Queue[JsonObject | None], event: JsonObject | None) -> None:
    if queue.full():
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(_RESYNC)
    queue.put_nowait(event)


def _nowhere(owner: str | None, kind: str, fields: JsonObject) -> None:
    """Where there is no other server."""
