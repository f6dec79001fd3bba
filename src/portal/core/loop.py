"""The loop of a turn: model, tool calls, results, model, until an answer, a question to a person, or a bound."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter

from portal.core.attempts import attempted
from portal.core.call import Call, offered_names
from portal.core.chat import to_messages
from portal.core.clock import micros
from portal.core.decision import Route, rerouted
from portal.core.diet import Diet
from portal.core.errand import asked_by
from portal.core.execution import Executor
from portal.core.gate import Permit
from portal.core.items import JsonObject, text_of
from portal.core.measure import Measure
from portal.core.model import (
    ChatMessage,
    Finished,
    ModelEvent,
    ModelInfo,
    Progress,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.preparation import Prepared
from portal.core.prompted import StrictAnswer, is_strict
from portal.core.recollection import Recollection
from portal.core.recorder import Recorder
from portal.core.run import Run
from portal.core.scene import Asked, Scene
from portal.core.tokens import estimate_messages
from portal.core.tracing import here
from portal.core.workspaces import Workspace
from portal.core.writable import writable
from portal.core.written_calls import WrittenCalls
from portal.errors import BackendInterrupted, BackendRejected, BadRequest

APPROVAL_REQUIRED: JsonObject = {"status": "incomplete", "incomplete_details": {"reason": "approval_required"}}
_LAST_WORD = (
    "You have used as many tool calls as this task allows. Answer now with what you have, and say what is missing."
)
_MISSES = 3
"""Rounds in a row whose calls nobody could read."""
_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one turn may take before it has to answer without tools."""

    rounds: int
    """Model calls."""
    seconds: float
    tokens: int
    calls: int | None = None
    """Tool calls, where the client sets a limit."""

    def within(self, workspace: Workspace, request: Mapping[str, object]) -> "Bounds":
        """The tighter ones of these, a workspace's and the request's."""
        calls = request.get("max_tool_calls")
        return Bounds(
            rounds=min(self.rounds, workspace.max_rounds or self.rounds),
            seconds=min(self.seconds, workspace.max_seconds or self.seconds),
            tokens=min(self.tokens, workspace.max_tokens or self.tokens),
            calls=calls if isinstance(calls, int) else None,
        )


@dataclass(slots=True)
class _Round:
    """One model call: the tool calls for Portal that it made, by their index."""

    number: int
    start: int
    """Position of its first item."""
    last: bool = False
    """It has no tools: a call that the model writes as text even so stays text."""
    asked: dict[int, tuple[str, list[str]]] = field(default_factory=dict)

    def takes(self, event: ToolCallDelta, theirs: Sequence[str]) -> bool:
        """Whether this is part of a call that Portal runs; `theirs` are the names of the client's tools."""
        if event.index not in self.asked:
            if not event.name or event.name in theirs:
                return False
            self.asked[event.index] = event.name, []
        self.asked[event.index][1].append(event.arguments)
        return True

    def calls(self) -> list[Asked]:
        """Whole calls, in the order in which they were made."""
        return [Asked(name, "".join(pieces)) for name, pieces in self.asked.values()]


class Loop:
    """Answers a run."""

    def __init__(
        self, *, recorder: Recorder, executor: Executor, diet: Diet, recollection: Recollection, bounds: Bounds
    ) -> None:
        self._recorder = recorder
        self._recollection = recollection
        self._diet = diet
        self._executor = executor
        self.bounds = bounds

    async def answer(self, run: Run, prepared: Prepared) -> JsonObject:
        """The changes to the record that say how the turn ended.

        Raises:
            PortalError: no model could answer, or what happened could not be stored.
        """
        call, scene = prepared.call, self._scene(run, prepared)
        if errand := asked_by(run.record.request):
            return await self._run(errand, prepared, scene)
        if call.route.workspace is not None and prepared.overflows:
            await self._diet.shorten(run, prepared)
        if await self._recollection.tell(run, prepared) and scene is not None:
            scene.tainted_at = scene.tainted_at or micros()
        if scene is None:
            await self._asked(run, call, _Round(0, run.assembler.length), None)
            return outcome(call.finished)
        bounds = self.bounds.within(prepared.workspace, run.record.request)
        began, number = monotonic(), 0
        if prepared.answers:
            await self._executor.resume(scene, prepared.answers, prepared.ran)
            done = run.assembler.snapshot()
            call.follow(to_messages(done), done)
        while True:
            number += 1
            last = number >= bounds.rounds or self._spent(bounds, call, scene, began)
            if last:
                call.close(_LAST_WORD)
            round_ = _Round(number, run.assembler.length, last)
            await self._asked(run, call, round_, prepared)
            ended = await self._ended(run, scene, call, round_, last=last)
            if ended is not None:
                return ended

    async def _run(self, errand: Asked, prepared: Prepared, scene: Scene | None) -> JsonObject:
        """The one call of a turn that asks no model."""
        if scene is None:
            raise BadRequest(f"{prepared.record.model} is no workspace with tools.")
        if prepared.answers:
            await self._executor.resume(scene, prepared.answers, prepared.ran)
        elif await self._executor.round(scene, [errand], 1):
            return APPROVAL_REQUIRED
        return {"status": "completed"}

    @staticmethod
    def _scene(run: Run, prepared: Prepared) -> Scene | None:
        if prepared.offer is None:
            return None
        return Scene(
            run=run,
            workspace=prepared.workspace.name,
            offer=prepared.offer,
            asks=prepared.asks,
            door=prepared.door,
            tainted_at=prepared.tainted_at,
            root=prepared.root,
            earlier=prepared.earlier,
            parent=prepared.parent,
        )

    @staticmethod
    def _spent(bounds: Bounds, call: Call, scene: Scene, began: float) -> bool:
        """Whether a bound is reached."""
        return (
            scene.misses >= _MISSES
            or monotonic() - began > bounds.seconds
            or call.spent.input_tokens + call.spent.output_tokens + scene.tokens > bounds.tokens
            or (bounds.calls is not None and scene.calls >= bounds.calls)
        )

    async def _ended(self, run: Run, scene: Scene, call: Call, round_: _Round, *, last: bool) -> JsonObject | None:
        """How the turn ended with this round; None if it goes on."""
        asked = round_.calls()
        if not asked or (call.finished is not None and call.finished.reason in _REASONS):
            return outcome(call.finished)
        await self._recorder.close(run)
        if last:
            return {"status": "incomplete", "incomplete_details": {"reason": "max_tool_calls"}}
        waits = await self._executor.round(scene, asked, round_.number)
        if waits:
            return APPROVAL_REQUIRED
        outputs = run.assembler.snapshot()
        made = outputs[round_.start :]
        if any(item["type"] == "function_call" for item in made):
            return outcome(call.finished)  # the client runs those
        call.follow(to_messages(made), outputs, strict=scene.misses > 0)
        return None

    # ------------------------------------------------------------------ one model call

    async def _asked(self, run: Run, call: Call, round_: _Round, prepared: Prepared | None) -> None:
        run.check_stopped()
        while True:
            try:
                return await attempted(
                    call.route,
                    lambda permit: self._stream(run, call, permit, round_, prepared),
                    told=run.progress,
                    rerouted=lambda route: reroute(run, call, route),
                )
            except BackendRejected as error:
                ours = prepared is not None and prepared.offer is not None and "tool" in error.message.lower()
                begun = run.assembler.is_open or run.assembler.length > round_.start
                if begun or not (ours and call.without_tool_support()):
                    raise

    async def _stream(self, run: Run, call: Call, permit: Permit, round_: _Round, prepared: Prepared | None) -> None:
        offered = prepared.names() if prepared else offered_names(call.request.parameters)
        written = None if round_.last or not offered else _reader(call, offered)
        measure, one = Measure(kept=True), here()
        one.tell("input", lambda: call.request.messages)
        async with aclosing(_read(call.route.backend.stream(call.request), written)) as events:
            async for event in events:
                measure.add(event)
                if isinstance(event, Progress):
                    run.progress(event)
                    continue
                permit.begin()
                if isinstance(event, TokenUsage):
                    call.usage = event
                elif isinstance(event, Finished):
                    call.finished = event
                else:
                    call.first = call.first or perf_counter()
                    one.lap("first_ms")
                    if prepared and isinstance(event, ToolCallDelta) and round_.takes(event, prepared.client_tools):
                        continue
                    if run.assembler.needs_close(event):
                        await self._recorder.close(run)
                        run.check_stopped()
                    run.announce(run.assembler.feed(event))
        if call.finished is None:
            raise BackendInterrupted("The model server ended its answer without saying that it was finished.")
        one.note(round=round_.number or None, reason=call.finished.reason)
        one.spent(measure.usage(lambda: estimate_messages(call.request.messages)))
        one.tell("output", lambda: _said(run, round_))


def _said(run: Run, round_: _Round) -> list[ChatMessage]:
    """What the model wrote in this round, and the calls it made."""
    items = [item for item in run.assembler.snapshot()[round_.start :] if item["type"] == "message"]
    calls = [{"function": {"name": asked.name, "arguments": asked.arguments}} for asked in round_.calls()]
    return [{"role": "assistant", "content": "\n".join(map(text_of, items)), "tool_calls": calls}]


def _reader(call: Call, offered: Sequence[str]) -> WrittenCalls | StrictAnswer:
    """What finds the calls in the model's text."""
    if is_strict(call.request.parameters):
        return StrictAnswer()
    return WrittenCalls(offered, bare=_untaught(call.route.model))


def _untaught(model: ModelInfo) -> bool:
    """Whether it may know no other way to call a tool than to write it."""
    return not model.told or "tools" not in model.capabilities


class _Numbering:
    """Counts the calls of an answer. Some servers give all of them the same index: a new id with a name is a new
    call."""

    def __init__(self) -> None:
        self._current: dict[tuple[int, int], tuple[str | None, int]] = {}
        self._count = 0

    def numbered(self, delta: ToolCallDelta) -> ToolCallDelta:
        """The same delta, with the number of its call for its index."""
        place = delta.choice, delta.index
        identity, number = self._current.get(place, (None, -1))
        if number < 0 or (delta.name and delta.id and identity and delta.id != identity):
            identity, number = None, self._count
            self._count += 1
        self._current[place] = identity or delta.id, number
        return delta if number == delta.index else replace(delta, index=number)


async def _read(
    events: AsyncGenerator[ModelEvent, None], written: WrittenCalls | StrictAnswer | None
) -> AsyncGenerator[ModelEvent, None]:
    """The events of an answer, calls of offered tools that the model wrote as text taken for what they are."""
    numbering = _Numbering()
    async with aclosing(events):
        async for sent in events:
            event = _clean(sent)
            if isinstance(event, ToolCallDelta):
                yield numbering.numbered(event)
                continue
            if written is not None and isinstance(event, TextDelta):
                for made in written.feed(event):
                    yield made
                continue
            if written is not None and isinstance(event, Finished):
                for made in written.end():
                    yield made
            yield event


def _clean(event: ModelEvent) -> ModelEvent:
    """Text that can be stored and sent on."""
    if isinstance(event, TextDelta | ReasoningDelta | RefusalDelta):
        text = writable(event.text)
        return event if text is event.text else replace(event, text=text)
    if isinstance(event, ToolCallDelta):
        return replace(event, name=event.name and writable(event.name), arguments=writable(event.arguments))
    return event


def reroute(run: Run, call: Call, route: Route) -> None:
    """Nothing was said yet, and another model is asked: everybody is told."""
    call.reroute(route)
    told = {**rerouted(run.record.decision or {}, route), "dropped_messages": call.dropped or None}
    run.record = replace(run.record, decision={name: value for name, value in told.items() if value is not None})
    run.announce([run.numbers.event("portal:route", decision=run.record.decision)])


def outcome(finished: Finished | None) -> JsonObject:
    """How a turn ends whose last model call ended like this."""
    if finished is not None and finished.reason in _REASONS:
        return {"status": "incomplete", "incomplete_details": {"reason": _REASONS[finished.reason]}}
    return {"status": "completed"}
