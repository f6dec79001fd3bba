"""Stores what a run says before anybody is told: an item is committed before its `done` is announced."""

import asyncio
import logging
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from portal.core.approvals import ApprovalRecord
from portal.core.events import Event
from portal.core.items import Item
from portal.core.ports import TurnLog
from portal.core.records import StoredItem
from portal.core.run import Run
from portal.core.tool_ports import CallLog
from portal.core.tracing import span
from portal.errors import PortalError

OUTCOME_UNKNOWN = "outcome unknown: it was stopped while it ran, and it is not run again"

T = TypeVar("T")
log = logging.getLogger(__name__)


class Recorder:
    """Writes the items of runs, stored or not."""

    def __init__(self, *, turn_log: TurnLog, call_log: CallLog) -> None:
        self._turn_log = turn_log
        self._call_log = call_log

    async def close(self, run: Run) -> None:
        """End the item that is growing, if there is one."""
        with _undisturbed(run):
            async with run.writing:
                closed = run.assembler.close("completed")
                if closed is not None:
                    await self._keep(run, *closed)

    async def begin(self, run: Run, item: Item, *, approval_id: str | None = None, arguments_hash: str = "") -> int:
        """A tool call is about to run; its position. Raises what CallLog.begin raises, and then nothing was begun."""
        with _undisturbed(run):
            async with run.writing:
                stored, announced = run.assembler.begin(item)
                if run.stored:
                    try:
                        with span("store", item["type"]):
                            await self._call_log.begin(stored, approval_id=approval_id, arguments_hash=arguments_hash)
                    except PortalError:
                        run.assembler.forget(stored.position)
                        raise
                run.announce(announced)
        return stored.position

    async def open(self, run: Run, item: Item) -> int:
        """An item that is told while it comes to be, and stored once it is whole; its position."""
        with _undisturbed(run):
            async with run.writing:
                stored, announced = run.assembler.begin(item)
                if run.unsaved:
                    run.unannounced.extend(announced)
                else:
                    run.announce(announced)
        return stored.position

    async def end(self, run: Run, position: int, item: Item) -> None:
        """The call begun there has ended as this item."""
        with _undisturbed(run):
            async with run.writing:
                await self._keep(run, *run.assembler.end(position, item))

    async def conclude(self, run: Run, *, completed: bool) -> None:
        """End what grows or still runs of a turn that is over: it is stored and announced with the turn's end."""
        async with run.writing:
            closed = run.assembler.close("completed" if completed else "incomplete")
            if closed is not None:
                _owe(run, *closed)
            for begun in run.assembler.running():
                item = {**begun.item, "status": "incomplete", "error": OUTCOME_UNKNOWN}
                _owe(run, *run.assembler.end(begun.position, item))

    async def add(self, run: Run, item: Item) -> None:
        """An item that is whole at once."""
        with _undisturbed(run):
            async with run.writing:
                stored, opening = run.assembler.begin(item)
                done, closing = run.assembler.end(stored.position, item)
                await self._keep(run, done, [*opening, *closing])

    async def ask(self, run: Run, items: Sequence[Item], approvals: Sequence[ApprovalRecord]) -> None:
        """Questions to a person, with their items."""
        with _undisturbed(run):
            async with run.writing:
                kept: list[StoredItem] = []
                announced: list[Event] = []
                for item in items:
                    stored, opening = run.assembler.begin(item)
                    done, closing = run.assembler.end(stored.position, item)
                    kept.append(done)
                    announced += [*opening, *closing]
                await self._call_log.ask(kept, approvals)
                run.announce(announced)

    async def flush(self, run: Run) -> None:
        """Store what is new of the growing item; a failure is logged, and tried again with the next."""
        async with run.writing:
            partial = run.assembler.unflushed()
            if partial is None:
                return
            try:
                await self._turn_log.flush(run.id, partial)
            except PortalError:
                log.exception("unfinished text could not be stored", extra={"response": run.id})
            else:
                run.assembler.mark_flushed(partial)

    async def _keep(self, run: Run, stored: StoredItem, announced: list[Event]) -> None:
        """What cannot be stored now stays with the run, and what follows it: they are stored with its end."""
        if not run.stored:
            run.announce(announced)
            return
        owed = bool(run.unsaved)
        _owe(run, stored, announced)
        if not owed:
            with span("store", stored.item["type"]):
                await self._turn_log.append(run.id, stored)
            run.unsaved.clear()
            run.unannounced.clear()
            run.announce(announced)


def _owe(run: Run, stored: StoredItem, announced: list[Event]) -> None:
    run.unsaved.append(stored)
    run.unannounced.extend(announced)


@contextmanager
def _undisturbed(run: Run) -> Iterator[None]:
    """Nothing ends up stored but not announced; a stop that came meanwhile is done now."""
    with run.undisturbed():
        yield
    run.catch_up()
    run.deliver_stop()


async def whole(work: Coroutine[None, None, T]) -> T:
    """Await it to its end, also when the waiting task is cancelled meanwhile: nothing is written by half."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
