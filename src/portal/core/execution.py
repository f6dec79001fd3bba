"""Runs the tool calls of a turn: each is checked, judged by the policy, recorded as begun, run within bounds, and
recorded with its outcome. Calls of one round run beside each other, and one that fails leaves the others alone."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter

from portal.core.approvals import ApprovalRecord, AuditRecord, GrantRecord
from portal.core.arguments import read_arguments
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.deadline import Deadline
from portal.core.hosted import Drawing
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.outputs import Outputs
from portal.core.policy import Rules, Verdict, Wish
from portal.core.recorder import OUTCOME_UNKNOWN, Recorder, whole
from portal.core.run import Run
from portal.core.scene import Asked, Scene
from portal.core.tool_items import call_item, request_item
from portal.core.tool_ports import Approvals, Audit, Grants, Toolset
from portal.core.toolbox import FIND, Offer
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure, sound
from portal.core.tracing import span
from portal.errors import Conflict, PortalError, ToolError

log = logging.getLogger(__name__)

_ROUND = 32
"""Calls of one round that are looked at."""
_REPEATS = 3
"""Times that the very same call runs in one turn."""
_REPORTS = 20
"""Of how far a call is; more come only so often."""
_REPORT_SECONDS = 0.2
_REPORT_LONGEST = 200
_MICROS = 1_000_000
_NOBODY = (
    "Nobody can be asked here.",
    "Nobody can be asked here: say in your answer what has to be done, so that whoever gave you this task does it.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What happens to one call: it runs (`toolset`), waits (`verdict`), or has its result already."""

    spec: ToolSpec
    arguments: str
    round: int
    toolset: Toolset | None = None
    wish: Wish | None = None
    verdict: Verdict | None = None
    result: ToolResult | None = None
    approval: ApprovalRecord | None = None


class Executor:
    """Runs calls for the agent's turns."""

    def __init__(
        self,
        *,
        recorder: Recorder,
        outputs: Outputs,
        approvals: Approvals,
        grants: Grants,
        audit: Audit,
        rules: Rules,
        bus: Bus,
        folder: Path,
        timeout: float,
        parallel: int,
        approval_seconds: float,
        ran: Callable[[str, str, float], None] = lambda family, status, seconds: None,
    ) -> None:
        """`folder` holds one folder for each conversation; `timeout` is in seconds, for tools that set none. `ran` is
        told of each call that ended: the tool's family, what came of it, and how many seconds it took."""
        self._recorder = recorder
        self._outputs = outputs
        self._approvals = approvals
        self._grants = grants
        self._bus = bus
        self._audit = audit
        self._rules = rules
        self._folder = folder
        self._timeout = timeout
        self._parallel = parallel
        self._approval_seconds = approval_seconds
        self._ran = ran

    async def round(self, scene: Scene, asked: Sequence[Asked], number: int) -> bool:
        """Run what may run, ask a person about the rest; whether the turn has to wait for that."""
        grants = await self._grants.list(scene.owner)
        scene.misread = 0
        plans = [self._planned(scene, call, number, grants) for call in asked[:_ROUND]]
        late = f"At most {_ROUND} calls at once: ask for this one again."
        scene.misses = scene.misses + 1 if scene.misread == len(plans) else 0
        plans += [_settled(call, number, late) for call in asked[_ROUND:]]
        waiting = [plan for plan in plans if plan.result is None and plan.toolset is None]
        await self._run(scene, [plan for plan in plans if plan not in waiting])
        if waiting:
            await self._ask(scene, waiting)
        return bool(waiting)

    async def resume(self, scene: Scene, response_id: str, ran: Mapping[str, Item]) -> None:
        """Go on with the calls that a response ended with, now that people have decided. `ran` are those that have run
        in another try, by approval: what they brought is told once more."""
        approvals = await self._approvals.of_response(scene.owner, response_id)
        for one in approvals:
            span("approval", one.tool, decision=one.status, person_ms=one.waited).end()
        for item in (ran[one.id] for one in approvals if one.id in ran):
            if item.get("portal:untrusted"):
                scene.tainted_at = scene.tainted_at or micros()
            await whole(self._recorder.add(scene.run, {**item, "id": new_id("mcp")}))
        await self._run(scene, [self._decided(scene, approval) for approval in approvals if approval.id not in ran])

    # ------------------------------------------------------------------ judging

    def _planned(self, scene: Scene, call: Asked, number: int, grants: Sequence[GrantRecord]) -> _Plan:
        scene.calls += 1
        if call.name == FIND:
            return _settled(call, number, *_found(scene.offer, call.arguments))
        known = scene.offer.get(call.name)
        if known is None:
            scene.misread += 1
            near = ", ".join(scene.offer.nearest(call.name) or scene.offer.names())
            return _settled(call, number, f"There is no tool {call.name!r}. There are: {near}.")
        toolset, spec = known
        try:
            arguments = read_arguments(call.arguments, spec.parameters)
        except ToolError as error:
            scene.misread += 1
            return _settled(call, number, error.message, spec=spec)
        wish = self._wish(scene, spec, arguments)
        scene.repeats[wish.hash] += 1
        if scene.repeats[wish.hash] > _REPEATS:
            told = f"This very call was made {_REPEATS} times: use its result, or do something else."
            return _settled(call, number, told, spec=spec)
        text = json.dumps(arguments, ensure_ascii=False)
        verdict = self._verdict(scene, wish, grants)
        if spec.question:
            verdict = Verdict(action="ask", why="The model has a question.", extents=("once",))
        if verdict.action == "allow":
            return _Plan(spec=spec, arguments=text, round=number, toolset=toolset, wish=wish)
        if verdict.action == "deny" or not scene.asks:
            why = verdict.why if verdict.action == "deny" else f"{verdict.why} {_NOBODY[scene.parent is not None]}"
            return _settled(Asked(call.name, text), number, f"Not allowed: {why}", spec=spec)
        if spec.foretold is not None:
            try:
                verdict = replace(verdict, why=f"{verdict.why} {spec.foretold(arguments)}")
            except PortalError as error:
                return _settled(Asked(call.name, text), number, error.message, spec=spec)
        return _Plan(spec=spec, arguments=text, round=number, wish=wish, verdict=verdict)

    def _decided(self, scene: Scene, approval: ApprovalRecord) -> _Plan:
        """What becomes of a call that waited."""
        arguments = json.dumps(approval.arguments, ensure_ascii=False)
        known = scene.offer.get(approval.tool)
        asked = Asked(approval.tool, arguments)
        if known is None or _is_another(known[1], approval):
            return _settled(asked, 0, "This tool has changed since it was asked for.", approval=approval)
        toolset, spec = known
        if approval.question and approval.status == "approved":
            answered = ToolResult(text=approval.answer)
            return _Plan(spec=spec, arguments=arguments, round=0, result=answered, approval=approval)
        if approval.status == "used":
            return _settled(asked, 0, "This ran before, and its result was deleted.", spec=spec, approval=approval)
        if approval.status != "approved":
            why = f" ({approval.answer})" if approval.answer else ""
            told = "Nobody answered in time." if approval.status == "expired" else f"The person said no{why}."
            return _settled(asked, 0, told, spec=spec, approval=approval)
        wish = self._wish(scene, spec, approval.arguments)
        verdict = self._rules.verdict(wish, ())
        if verdict.action == "deny":  # by a policy made since, or that forbids what the person made of it
            return _settled(asked, 0, f"Not allowed: {verdict.why}", spec=spec, approval=approval)
        return _Plan(spec=spec, arguments=arguments, round=0, toolset=toolset, wish=wish, approval=approval)

    def _verdict(self, scene: Scene, wish: Wish, grants: Sequence[GrantRecord]) -> Verdict:
        """A task that another workspace gave may do only what that one may do as well."""
        judged = partial(self._rules.verdict, grants=grants, tainted_at=scene.tainted_at, wary=scene.wary)
        verdict = judged(wish)
        if scene.parent is None or verdict.action != "allow":
            return verdict
        return judged(replace(wish, workspace=scene.parent.workspace))

    def _wish(self, scene: Scene, spec: ToolSpec, arguments: JsonObject) -> Wish:
        return Wish(
            spec=spec,
            arguments=arguments,
            owner=scene.owner,
            workspace=scene.workspace,
            conversation_id=scene.conversation_id,
            folder=str(self._place(scene)),
        )

    def _place(self, scene: Scene) -> Path:
        return scene.parent.folder if scene.parent else self._folder / (scene.conversation_id or scene.root)

    # ------------------------------------------------------------------ asking

    async def _ask(self, scene: Scene, plans: Sequence[_Plan]) -> None:
        now = micros()
        approvals = [self._approval(scene, plan, now) for plan in plans]
        await self._recorder.ask(scene.run, [request_item(one) for one in approvals], approvals)
        for one in approvals:
            span("approval", one.tool, decision="asked").end()
            await self._note(scene, "approval.asked", one.id, tool=one.tool, arguments_hash=one.arguments_hash)
        self._bus.publish(scene.owner, "approvals.changed")

    def _approval(self, scene: Scene, plan: _Plan, now: int) -> ApprovalRecord:
        assert plan.wish is not None
        assert plan.verdict is not None
        return ApprovalRecord(
            id=new_id("mcpr"),
            owner=scene.owner,
            response_id=scene.run.id,
            conversation_id=scene.conversation_id,
            workspace=scene.workspace,
            tool=plan.spec.name,
            toolset=plan.spec.toolset,
            risk=plan.spec.risk,
            arguments=plan.wish.arguments,
            arguments_hash=plan.wish.hash,
            why=plan.verdict.why,
            question=plan.spec.question,
            created_at=now,
            expires_at=now + int(self._approval_seconds * _MICROS),
            extents=plan.verdict.extents,
            scope=plan.verdict.scope,
        )

    # ------------------------------------------------------------------ running

    async def _run(self, scene: Scene, plans: Sequence[_Plan]) -> None:
        """In their order as far as they can begin at once."""
        free, faults = asyncio.Semaphore(self._parallel), list[PortalError]()

        async def run(plan: _Plan) -> None:
            async with free:
                try:
                    await self._one(scene, plan)
                except PortalError as error:  # the others end as they would
                    faults.append(error)

        async with asyncio.TaskGroup() as group:
            for plan in plans:
                group.create_task(run(plan))
        if faults:
            raise faults[0]

    async def _one(self, scene: Scene, plan: _Plan) -> None:
        item = call_item(plan.spec, plan.arguments, plan.round, plan.approval)
        if plan.toolset is None:
            assert plan.result is not None
            await whole(self._recorder.add(scene.run, {**item, **await self._ended(scene, plan, plan.result)}))
            return
        assert plan.wish is not None
        approval = plan.approval
        try:
            used = approval.id if approval else None
            begun = self._recorder.begin(scene.run, item, approval_id=used, arguments_hash=plan.wish.hash)
            position = await whole(begun)
        except Conflict as error:
            await whole(self._recorder.add(scene.run, {**item, "status": "failed", "error": error.message}))
            return
        await self._noted(scene, "tool.begun", plan, item["id"])
        drawing = Drawing(recorder=self._recorder, run=scene.run, tool=plan.spec.name, arguments=plan.arguments)
        began = perf_counter()
        try:
            with span("tool", plan.spec.name, toolset=plan.spec.toolset, risk=plan.spec.risk, call=item["id"]) as one:
                await drawing.begin()
                result = await self._called(scene, plan, item["id"], drawing)
                ended = await self._ended(scene, plan, result)
                one.called(plan.arguments, result.text, failed=result.failed)
        except asyncio.CancelledError:
            self._ran(plan.spec.toolset, "cancelled", perf_counter() - began)
            stopped = {"status": "incomplete", "error": OUTCOME_UNKNOWN}
            await whole(self._recorder.end(scene.run, position, {**item, **stopped}))
            await whole(drawing.end(()))
            raise
        self._ran(plan.spec.toolset, ended["status"], took := perf_counter() - began)
        ended["portal:milliseconds"] = round(took * 1000)
        await whole(self._recorder.end(scene.run, position, {**item, **ended}))
        await self._noted(scene, "tool.ended", plan, item["id"], outcome=ended["status"])
        await whole(drawing.end(ended["portal:files"]))

    async def _called(self, scene: Scene, plan: _Plan, call_id: str, drawing: Drawing) -> ToolResult:
        assert plan.toolset is not None
        assert plan.wish is not None
        limit = plan.spec.timeout or self._timeout
        try:
            async with Deadline(limit) as deadline:
                context = drawing.within(self._context(scene, plan.wish, call_id, deadline))
                called = await plan.toolset.call(plan.spec.name, plan.wish.arguments, context)
            return sound(called)
        except TimeoutError:
            end = "was stopped; what it had done stays done" if plan.spec.stoppable else "may still go on, unseen"
            return failure(f"It did not end within {limit:g} seconds and {end}.")
        except ToolError as error:
            return failure(error.message)
        except Exception:  # a tool is somebody else's code: its faults end its call, not the turn
            log.exception("a tool failed unexpectedly", extra={"tool": plan.spec.name})
            return failure("The tool failed for a reason of its own; Portal's log has it.")

    def _context(self, scene: Scene, wish: Wish, call_id: str, deadline: Deadline) -> ToolContext:
        def asking(approval_id: str) -> None:
            scene.run.remark("portal:tool_asks", item_id=call_id, approval_id=approval_id)

        return ToolContext(
            owner=scene.owner,
            call_id=call_id,
            response_id=scene.run.id,
            workspace=scene.workspace,
            conversation_id=scene.conversation_id,
            folder=self._place(scene),
            earlier=lambda: [*scene.earlier, *scene.run.assembler.snapshot()],
            inside=scene.parent is not None,
            tainted_at=scene.tainted_at,
            parts=scene.offer.parts(wish.spec.toolset),
            wary=scene.wary,
            report=_reporter(scene.run, call_id),
            asking=asking if scene.asks else None,
            held=deadline.held,
            allowed=lambda url: self._rules.reaches(wish, url),
        )

    async def _ended(self, scene: Scene, plan: _Plan, result: ToolResult) -> JsonObject:
        """The fields of the item that a result fills."""
        scene.tokens += result.tokens
        untrusted = result.untrusted or plan.spec.untrusted
        if untrusted:
            scene.tainted_at = scene.tainted_at or micros()
        text, files = await self._outputs.kept(scene.owner, plan.spec.name, result)
        told: JsonObject = {"status": "failed", "error": text} if result.failed else {"output": text}
        return {"status": "completed", **told, "portal:files": files, "portal:untrusted": untrusted}

    # ------------------------------------------------------------------ audit

    async def _noted(self, scene: Scene, action: str, plan: _Plan, call_id: str, **more: object) -> None:
        """Looking is not worth a line."""
        if plan.spec.risk != "read" and plan.wish is not None:
            approval = plan.approval.id if plan.approval else None
            told = {"tool": plan.spec.name, "arguments_hash": plan.wish.hash, "approval": approval}
            await self._note(scene, action, call_id, **told, **more)

    async def _note(self, scene: Scene, action: str, subject: str, **detail: object) -> None:
        detail = {"workspace": scene.workspace, "door": scene.door, **detail}
        entry = AuditRecord(
            id=new_id("audit"), owner=scene.owner, at=micros(), action=action, subject=subject, detail=detail
        )
        await self._audit.record(entry)


def _reporter(run: Run, call_id: str) -> Callable[[str], None]:
    """Tells how far a call is; a tool may have far more to say of that than anybody reads."""
    told, next_at = 0, 0.0

    def report(detail: str) -> None:
        nonlocal told, next_at
        if told < _REPORTS or monotonic() >= next_at:
            told, next_at = told + 1, monotonic() + _REPORT_SECONDS
            run.remark("portal:tool_progress", item_id=call_id, detail=str(detail)[:_REPORT_LONGEST])

    return report


def _settled(
    call: Asked,
    number: int,
    text: str,
    failed: bool = True,
    *,
    spec: ToolSpec | None = None,
    approval: ApprovalRecord | None = None,
) -> _Plan:
    """A call that has its result without being run."""
    spec = spec or ToolSpec(name=call.name, description="", risk="read", toolset="portal")
    result = ToolResult(text=text, failed=failed)
    return _Plan(spec=spec, arguments=call.arguments, round=number, result=result, approval=approval)


def _is_another(spec: ToolSpec, approval: ApprovalRecord) -> bool:
    """Whether the tool is no longer what a person was asked about."""
    return (spec.toolset, spec.risk) != (approval.toolset, approval.risk) or approval.created_at <= spec.since


def _found(offer: Offer, arguments: str) -> tuple[str, bool]:
    """What the model's search for tools brings, and whether it failed."""
    schema: JsonObject = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    try:
        return offer.find(read_arguments(arguments, schema)["query"]), False
    except ToolError as error:
        return error.message, True
