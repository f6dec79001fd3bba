"""The agent: runs turns. Every interface's way to an answer, and the only writer of the turn log.

A turn belongs to the server: `start` stores the user's items and hands back a Run whose work goes on in the agent's own
task group, whoever watches it. What was stored is what is announced: a completed item is committed before its `done`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from types import TracebackType

from portal.core.approvals import Decision
from portal.core.bus import Bus
from portal.core.call import Call
from portal.core.clock import micros
from portal.core.compaction import Compactor
from portal.core.deciding import Deciding
from portal.core.endings import accounted, failed, stopped, traced, unexpected
from portal.core.errand import is_errand
from portal.core.events import Event
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.loop import Loop
from portal.core.peers import Peers
from portal.core.ports import Responses, TurnLog, UsageLog
from portal.core.preparation import Preparation, Prepared, Turn
from portal.core.recall import Learning
from portal.core.recorder import Recorder
from portal.core.records import ResponseRecord, StoredItem, TraceRecord
from portal.core.responses import resource, terminal_event, usage_object
from portal.core.run import Run
from portal.core.supervisor import Part, Supervisor
from portal.core.titles import Titles
from portal.core.tracing import Span, Tracer, span
from portal.core.watching import Watching
from portal.errors import Conflict, NotFound, PortalError, Stopping, StorageError

__all__ = ["Agent", "Turn"]

log = logging.getLogger(__name__)

_NEVER_BEGAN = 2
"""The number of the last event of a response that says no more than that it began and failed."""


class Agent:
    """Runs turns inside `async with`; leaving it ends the running ones as incomplete, their text kept."""

    def __init__(
        self,
        *,
        preparation: Preparation,
        loop: Loop,
        recorder: Recorder,
        deciding: Deciding,
        compactor: Compactor,
        turn_log: TurnLog,
        responses: Responses,
        usage: UsageLog,
        titles: Titles,
        learning: Learning | None,
        bus: Bus,
        tracer: Tracer,
        supervisor: Supervisor,
        closing: Callable[[], bool],
        flush_interval: float,
        peers: Peers | None = None,
    ) -> None:
        """`flush_interval` is the most seconds of unfinished text that a crash may cost; while it is `closing`, only
        what belongs to a running turn is begun; `peers` are other servers."""
        self._preparation = preparation
        self._loop = loop
        self._recorder = recorder
        self._deciding = deciding
        self._compactor = compactor
        self._turn_log = turn_log
        self._usage = usage
        self._titles = titles
        self._learning = learning
        self._bus = bus
        self._tracer = tracer
        self._supervisor, self._closing = supervisor, closing
        self._flush_interval = flush_interval
        self._beginning: dict[str, Run] = {}
        self._runs: dict[str, Run] = {}
        self._owed: dict[str, tuple[ResponseRecord, Sequence[StoredItem], TraceRecord | None]] = {}
        self._watching = Watching(responses=responses, peers=peers, runs=self._runs, beginning=self._beginning)
        self._stopping, self._starting = False, 0
        self._tasks = asyncio.TaskGroup()
        self._flusher: Part | None = None

    async def __aenter__(self) -> "Agent":
        """Mends what a crash left behind, then is ready."""
        recovered = await self._turn_log.recover()
        if recovered:
            log.warning("%d interrupted answers were kept as incomplete", len(recovered))
        await self._tasks.__aenter__()
        self._flusher = self._supervisor.keep("flushing of answers", self._flush_forever)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops running turns; each is stored as incomplete."""
        self.stop()
        if self._flusher is not None:
            await self._supervisor.end(self._flusher)
        # Not told of the caller's error, for which it would cancel what is just being stored.
        await self._tasks.__aexit__(None, None, None)

    def stop(self) -> None:
        """End running turns as incomplete, and what goes on behind them; whatever starts from now on ends at once."""
        self._stopping = True
        for run in list(self._runs.values()):
            run.stop()
        self._titles.cancel()
        if self._learning is not None:
            self._learning.cancel()

    @property
    def busy(self) -> bool:
        """Whether a turn is under way, also one that is still being prepared."""
        return bool(self._starting or self._runs)

    async def start(self, turn: Turn) -> Run:
        """Store the turn's input and begin to answer.

        Raises:
            ModelNotFound, NoModel: nothing can answer under that name.
            NotFound: a conversation, previous response or file is not this owner's.
            BadRequest: the input cannot be sent to a model, or does not answer all that the response before asks.
            Conflict: the response before this one is still running, or another turn of the conversation began first.
            Stopping: nothing more is begun.
        """
        if turn.parent is None and self._closing():
            raise Stopping
        root = self._tracer.turn(turn.model, stored=turn.store, door=turn.door)
        self._starting += 1
        try:
            with root.beginning():
                return await self._start(turn, root)
        finally:
            self._starting -= 1

    async def _start(self, turn: Turn, root: Span) -> Run:
        with span("prepare", turn.door):
            prepared = await self._preparation.prepare(turn)
        record = prepared.record
        await self._refuse_overtaking(turn, prepared)
        prepared = await self._deciding.read(turn, prepared)
        run, begun = Run(record=record, stored=turn.store, span=root), asyncio.get_running_loop().create_future()
        self._beginning[run.id] = run
        task = self._tasks.create_task(self._work(run, turn, prepared, begun))
        task.add_done_callback(lambda _: begun.cancel())
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError:
            if not turn.background:
                run.cancel()
            raise
        return run

    async def _refuse_overtaking(self, turn: Turn, prepared: Prepared) -> None:
        previous = prepared.record.previous_id or ""
        before = self._runs.get(previous) or self._beginning.get(previous)
        here = before is not None and before.record.owner == turn.owner
        if here or await self._watching.overtakes(prepared.before, patient=turn.decided):
            raise Conflict("The response before this one is still in progress.", code="conversation_locked")

    def _begin(self, run: Run) -> None:
        self._runs[run.id] = run
        if self._stopping:
            run.stop()
        run.task = asyncio.current_task()
        view = resource(run.record, (), stored=run.stored)
        run.announce(run.numbers.event(f"response.{name}", response=view) for name in ("created", "in_progress"))
        run.announce([run.numbers.event("portal:route", decision=run.record.decision)])
        self._changed(run)

    # ------------------------------------------------------------------ working

    async def _work(self, run: Run, turn: Turn, prepared: Prepared, begun: asyncio.Future[None]) -> None:
        """The whole life of a run: stored first, then answered, and always ended with its terminal event."""
        try:
            if run.stored:
                head, again = prepared.follows_head, bool(turn.again)
                with span("store", "begin"):
                    await self._turn_log.begin(run.record, turn.input, expect_head=head, again=again)
        except Exception as error:  # handed to whoever awaits `start`, not swallowed
            begun.set_exception(error)
            return
        finally:
            del self._beginning[run.id]
        self._begin(run)
        begun.set_result(None)
        if prepared.conversation is not None:
            self._titles.begin(self._tasks, prepared.conversation, turn.input)
        began, call = perf_counter(), prepared.call
        if is_errand(turn.request):  # no model is used
            await self._finish(run, await self._attempt(run, prepared), call)
            return
        self._usage.begun()
        outcome = await self._attempt(run, prepared)
        await self._finish(run, outcome, call)
        self._usage.record(accounted(run, turn, call, began))
        if run.record.status == "completed" and not self._stopping:
            self._follow_up(run, turn, prepared)

    def _follow_up(self, run: Run, turn: Turn, prepared: Prepared) -> None:
        """What is better for a turn that has its answer, in the background."""
        answered_by = prepared.call.route.alone()
        if prepared.conversation is not None:
            self._titles.improve(self._tasks, prepared.conversation, turn.input, run.assembler.snapshot(), answered_by)
        if prepared.seeking is not None and self._learning is not None:
            self._learning.begin(self._tasks, prepared.seeking, answered_by)

    async def _attempt(self, run: Run, prepared: Prepared) -> JsonObject:
        """Answer it; the changes to the record that say how it ended."""
        try:
            return await self._loop.answer(run, prepared)
        except asyncio.CancelledError:
            self._uncancel()
            return stopped("cancelled" if run.cancelled else "incomplete")
        except PortalError as error:
            run.failure = error
        except Exception as error:  # the boundary of a turn: nothing in one may end the server
            log.exception("a turn failed unexpectedly", extra={"response": run.id})
            run.failure = unexpected(error)
        return failed(run.failure)

    @staticmethod
    def _uncancel() -> None:
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(self._flush_interval)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._settle())
                for run in self._runs.values():
                    if run.stored:
                        group.create_task(self._recorder.flush(run))

    async def _settle(self) -> None:
        """Store the ends that could not be stored, now that there may be room again."""
        for record, outputs, trace in list(self._owed.values()):
            try:
                await self._turn_log.finish(record, outputs, trace)
            except StorageError:
                return
            except NotFound:
                log.info("a turn was deleted before its end could be stored", extra={"response": record.id})
            del self._owed[record.id]

    # ------------------------------------------------------------------ ending

    async def _finish(self, run: Run, outcome: JsonObject, call: Call) -> None:
        with run.undisturbed():
            try:
                await self._recorder.conclude(run, completed=outcome["status"] == "completed")
                terminal = self._closed(run, outcome, call, run.assembler.snapshot())
                trace = traced(run, call)
                if run.stored:
                    await self._turn_log.finish(run.record, run.unsaved, trace)
                run.announce(run.unannounced)
            except Exception as error:  # the boundary of a turn, as above: whoever watches it must see its end
                log.exception("a turn could not be stored", extra={"response": run.id})
                run.failure = error if isinstance(error, PortalError) else unexpected(error)
                terminal = self._closed(run, failed(run.failure), call, run.outputs())
                self._owed[run.id] = run.record, run.unsaved, traced(run, call)
        run.span.end()
        del self._runs[run.id]
        run.end(terminal)
        self._changed(run)

    @staticmethod
    def _closed(run: Run, outcome: JsonObject, call: Call, outputs: Sequence[Item]) -> Event:
        """Make the record final and the event that says so."""
        used = (call.usage or outputs) and not is_errand(run.record.request)
        usage = usage_object(call.tokens(outputs)) if used else None
        run.record = replace(run.record, **outcome, completed_at=micros(), usage=usage, last_seq=run.numbers.next_seq)
        view = resource(run.record, outputs, stored=run.stored)
        return run.numbers.event(terminal_event(run.record.status), response=view)

    def _changed(self, run: Run) -> None:
        if run.record.conversation_id is not None and run.stored:
            self._bus.publish(
                run.record.owner,
                "conversation.changed",
                id=run.record.conversation_id,
                response_id=run.id,
                status=run.record.status,
            )

    # ------------------------------------------------------------------ watching

    def running(self, response_id: str) -> Run | None:
        """The run of a response that is under way in this process."""
        return self._runs.get(response_id)

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> Run | None:
        """Decide questions of one response; once all of it are, the run that goes on with it. None while Portal stops:
        what was decided goes on with the next start.

        Raises:
            NotFound, Conflict, BadRequest: as Approvals.decide; nothing was decided.
        """
        turn = await self._deciding.decide(owner, decisions)
        with suppress(Stopping):
            return None if turn is None else await self.start(turn)
        return None

    async def go_on(self, owner: str, response_id: str) -> Run:
        """Begin the turn that follows a response of which every question is decided. Raises what `start` raises."""
        return await self.start(await self._deciding.following(owner, response_id, door="portal"))

    async def give_up(self, owner: str, response_id: str, why: str) -> None:
        """Let a response of which every question is decided end in a failed one, which can be tried again: no turn
        could begin. Raises what TurnLog.begin raises."""
        turn, now = await self._deciding.following(owner, response_id, door="portal"), micros()
        record = ResponseRecord(
            id=new_id("resp"),
            owner=owner,
            model=turn.model,
            status="in_progress",
            created_at=now,
            conversation_id=turn.conversation_id,
            previous_id=response_id,
            request=turn.request,
            background=True,
        )
        await self._turn_log.begin(record, turn.input)
        outcome: JsonObject = {"status": "failed", "error": {"code": "not_begun", "message": why}}
        run = Run(record=replace(record, **outcome, completed_at=micros(), last_seq=_NEVER_BEGAN), stored=True)
        await self._turn_log.finish(run.record)
        self._changed(run)

    def attach(self, owner: str, response_id: str, starting_after: int = -1) -> AsyncGenerator[Event, None]:
        """Events of a response with numbers above `starting_after`: of a running one, here or on another server, until
        its end.

        Raises:
            NotFound: no such response of this owner; before the first event.
        """
        return self._watching.attach(owner, response_id, starting_after)

    async def ended(self, owner: str, response_id: str) -> None:
        """Wait for the end of a stored response, wherever it runs. Raises NotFound."""
        await self._watching.ended(owner, response_id)

    async def runs_anywhere(self, owner: str, response_ids: Collection[str]) -> Collection[str]:
        """Those of these responses that are under way, here or on another server."""
        return await self._watching.runs_anywhere(owner, response_ids)

    async def cancel(self, owner: str, response_id: str) -> JsonObject:
        """Stop a running response, stored or not; a finished one is left as it is. The response object.

        Raises:
            NotFound: it is neither running nor stored.
        """
        return await self._watching.cancel(owner, response_id)

    async def cancel_in(self, owner: str, conversation_ids: Collection[str]) -> None:
        """Stop what runs in these conversations, and wait for its end."""
        await self._watching.cancel_all(owner, conversation_ids)

    async def cancel_of(self, owner: str) -> None:
        """Stop whatever runs for somebody, and wait for its end."""
        await self._watching.cancel_all(owner, None)

    def disown(self) -> None:
        """Other servers took this one for dead and have ended its stored turns: they end here as well."""
        for run in list(self._runs.values()):
            if run.stored:
                run.stop()

    async def compact(
        self,
        owner: str,
        model: str,
        items: Sequence[Item],
        instructions: str | None = None,
        *,
        earlier: Sequence[Item] = (),
    ) -> JsonObject:
        """What Compactor.compact makes of these items."""
        return await self._compactor.compact(owner, model, items, instructions, earlier=earlier)

    async def delete(self, owner: str, response_id: str) -> None:
        """Stop a response if it is running, and forget it. Raises NotFound."""
        await self._watching.delete(owner, response_id)
