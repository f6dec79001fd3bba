"""One turn under way: its events in memory, for any number of watchers, each seeing every event once."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager

from portal.core.assembler import Assembler
from portal.core.events import Event, Events
from portal.core.items import Item, JsonObject
from portal.core.model import Progress
from portal.core.records import ResponseRecord, StoredItem
from portal.core.tracing import NOTHING, Span
from portal.errors import PortalError


class Run:
    """A running turn, as its door and later watchers see it. `record` is current; `failure` says why it failed."""

    def __init__(self, *, record: ResponseRecord, stored: bool, span: Span = NOTHING) -> None:
        """`span` is the whole turn's."""
        self.record = record
        self.span = span
        self.stored = stored
        self.failure: PortalError | None = None
        self.numbers = Events()
        self.assembler = Assembler(response_id=record.id, events=self.numbers)
        self.writing = asyncio.Lock()
        self.task: asyncio.Task[None] | None = None
        self.unsaved: list[StoredItem] = []
        self.unannounced: list[Event] = []
        self.cancelled = False
        self.finished = False
        self._stopped = False
        self._busy = 0
        self._log: list[Event] = []
        self._news = asyncio.Event()
        self._remarks: dict[tuple[str, object], dict[str, object]] = {}

    @property
    def id(self) -> str:
        """The response's id."""
        return self.record.id

    @property
    def last_seq(self) -> int:
        """The number of the newest event that watchers can see; later ones may be made already."""
        return int(self._log[-1]["sequence_number"]) if self._log else -1

    def announce(self, events: Iterable[Event]) -> None:
        """Show events to every watcher."""
        self._log.extend(events)
        self._news.set()
        self._news = asyncio.Event()

    def progress(self, progress: Progress) -> None:
        """Say what the wait is for."""
        self.remark("portal:progress", state=progress.state, detail=progress.detail)

    def remark(self, kind: str, **fields: object) -> None:
        """An event that nobody needs to have seen. Not within an item, the numbers of whose deltas must follow each
        other, nor while numbers that were given out are on their way: then the newest of each item comes after."""
        if not self.assembler.is_open:
            self._remarks[kind, fields.get("item_id")] = fields
            self.catch_up()

    def catch_up(self) -> None:
        """Make the remarks that had to wait, if they can be made now."""
        if self.writing.locked() or self.unannounced:
            return
        remarks, self._remarks = self._remarks, {}
        if not self.assembler.is_open:
            self.announce(self.numbers.event(kind, **fields) for (kind, _), fields in remarks.items())

    def end(self, event: Event) -> None:
        """Show the terminal event and end every watcher."""
        self.finished = True
        self.announce([event])

    async def events(self, starting_after: int = -1) -> AsyncGenerator[Event, None]:
        """Events with numbers above `starting_after`, until the terminal one. Leaving early does not stop the turn."""
        position = 0
        while True:
            news = self._news
            while position < len(self._log):
                event = self._log[position]
                position += 1
                if event["sequence_number"] > starting_after:
                    yield event
            if self.finished:
                return
            await news.wait()

    async def batches(self, starting_after: int = -1) -> AsyncGenerator[list[Event], None]:
        """The same, as many at a time as there are."""
        position = 0
        while True:
            news = self._news
            fresh = self._log[position:]
            position += len(fresh)
            if wanted := [event for event in fresh if event["sequence_number"] > starting_after]:
                yield wanted
            elif self.finished:
                return
            else:
                await news.wait()

    async def result(self) -> JsonObject:
        """The finished response object.

        Raises:
            PortalError: the turn failed before it had any output.
        """
        done = await self.ended()
        if self.failure is not None and not done["output"]:
            raise self.failure
        return done

    async def ended(self) -> JsonObject:
        """The response object of the terminal event, once there is one."""
        while not self.finished:
            await self._news.wait()
        done: JsonObject = self._log[-1]["response"]
        return done

    def cancel(self) -> None:
        """Stop the turn for its user: the upstream call is closed, what there is of the answer is kept."""
        self.cancelled = True
        self.stop()

    def stop(self) -> None:
        """Stop the turn, also one whose task has not begun to work yet."""
        self._stopped = True
        if self.task is not None and not self.finished and not self._busy:
            self.task.cancel()

    @contextmanager
    def undisturbed(self) -> Iterator[None]:
        """While something is stored, `stop` only leaves a note: nothing ends up stored but not announced. Several may
        be at it at once."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    def deliver_stop(self) -> None:
        """Do now what `stop` only left a note of, if it did. Raises CancelledError in the turn's own task: one that
        cancels itself would be cut off once more while it ends."""
        if self._busy or self.finished:
            return
        if asyncio.current_task() is self.task:
            self.check_stopped()
        elif self._stopped:
            self.stop()

    def check_stopped(self) -> None:
        """Raises CancelledError when `stop` came while there was nothing to cancel."""
        if self._stopped:
            raise asyncio.CancelledError

    def outputs(self) -> list[Item]:
        """The items so far, without those that could not be stored."""
        lost = {stored.item["id"] for stored in self.unsaved}
        return [item for item in self.assembler.snapshot() if item["id"] not in lost]
