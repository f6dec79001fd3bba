"""Decisions on tool calls: taken from wherever they come, and the turn that goes on once a response has all of them."""

import json
from collections.abc import Mapping
from dataclasses import replace

from portal.core.answering import filled
from portal.core.approvals import ApprovalRecord, AuditRecord, Decision, Extent
from portal.core.arguments import read_arguments
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import Item
from portal.core.ports import Responses
from portal.core.preparation import Prepared, Turn
from portal.core.tool_ports import Approvals, Audit
from portal.core.toolbox import Toolbox
from portal.errors import BadRequest, Conflict, ToolError


class Deciding:
    """Writes down what people decide."""

    def __init__(self, *, approvals: Approvals, audit: Audit, responses: Responses, toolbox: Toolbox, bus: Bus) -> None:
        self._approvals = approvals
        self._audit = audit
        self._responses = responses
        self._toolbox = toolbox
        self._bus = bus

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> Turn | None:
        """Decide questions of one response; the turn that goes on, for the one whose decision is its last.

        Raises:
            NotFound, Conflict, BadRequest: as Approvals.decide, or other arguments do not fit the tool.
        """
        records = [await self._approvals.get(owner, approval_id) for approval_id in decisions]
        checked = {record.id: self._checked(record, decisions[record.id]) for record in records}
        left = await self._approvals.decide(owner, checked)
        for record in records:
            await self._tell(record, checked[record.id])
        if left or all(record.call_id for record in records):  # for an aside its call waits, and no turn follows
            return None
        return await self.following(owner, records[0].response_id, door=next(iter(decisions.values())).door)

    async def following(self, owner: str, response_id: str, *, door: str) -> Turn:
        """The turn that goes on with a response of which every question is decided."""
        asked = (await self._responses.get(owner, response_id)).response
        everything = await self._approvals.of_response(owner, response_id)
        return Turn(
            owner=owner,
            model=asked.model,
            input=[_answer(record) for record in everything],
            request=asked.request,
            door=door,
            previous_response_id=asked.id,
            conversation_id=asked.conversation_id,
            background=True,
            decided=True,
        )

    async def read(self, turn: Turn, prepared: Prepared) -> Prepared:
        """Write down the decisions that a client's own turn brings, or that it brings none where some were wanted. Of a
        turn that is another try it finds out what ran.

        Raises:
            BadRequest: it does not answer all that the response before asks; nothing was decided.
            NotFound, Conflict: as Approvals.decide.
        """
        before = prepared.before
        if turn.decided or before is None:
            return prepared
        if prepared.answers and not turn.store:
            raise BadRequest(
                "Decisions on tool calls need a turn that is stored: leave out `store: false`.", param="store"
            )
        if not turn.store:
            return prepared
        given = {item["approval_request_id"]: item for item in turn.input if item["type"] == "mcp_approval_response"}
        if turn.again:
            return replace(prepared, ran=await self._ran(turn, before.id, given))
        if given:
            asked = await self._approvals.of_response(turn.owner, before.id)
            wanted = {record.id for record in asked if record.status == "pending"}
            if given.keys() ^ wanted:
                told = ", ".join(sorted(wanted)) or "none, for they are decided already"
                raise BadRequest(f"Answer just these requests: {told}.", param="input")
            decisions = {name: _decision(item, turn) for name, item in given.items()}
            for record in asked:
                if record.id in decisions:
                    self._checked(record, decisions[record.id])
            await self._approvals.decide(turn.owner, decisions)
            for record in asked:
                if record.id in decisions:
                    await self._tell(record, decisions[record.id])
        elif (before.incomplete_details or {}).get("reason") == "approval_required":
            await self._approvals.supersede(turn.owner, before.id)
            self._bus.publish(turn.owner, "approvals.changed")
        return prepared

    async def _ran(self, turn: Turn, asked_id: str, given: Mapping[str, Item]) -> Mapping[str, Item]:
        """The calls that ran in the other tries, by approval. The decisions stay what they were."""
        tried = await self._responses.get(turn.owner, turn.again)
        if tried.response.previous_id != asked_id:
            raise BadRequest(f"{turn.again} is no answer to these questions.", param="portal:again")
        asked = await self._approvals.of_response(turn.owner, asked_id)
        decided = {record.id: record.status in ("approved", "used") for record in asked if record.status != "pending"}
        if decided != {name: item["approve"] for name, item in given.items()} or len(decided) < len(asked):
            raise BadRequest("Another try has the decisions that were made.", param="input")
        used = {record.id for record in asked if record.status == "used"}
        ran: dict[str, Item] = {}
        for response_id in {turn.again, *tried.siblings}:
            for stored in (await self._responses.get(turn.owner, response_id)).items:
                approval_id = stored.item.get("approval_request_id") if stored.item["type"] == "mcp_call" else None
                if approval_id not in used:
                    continue
                if stored.item["status"] == "in_progress":
                    raise Conflict("Another try is still in progress.", code="conversation_locked")
                ran.setdefault(approval_id, stored.item)
        return ran

    def _checked(self, record: ApprovalRecord, decision: Decision) -> Decision:
        """The decision, what fills a form in put right."""
        if record.call_id:
            if decision.arguments is not None:
                raise BadRequest("This can be allowed or refused, not changed.", param="arguments")
            return replace(decision, answer=filled(record, decision.answer)) if decision.approve else decision
        spec = self._toolbox.spec(record.tool)
        if decision.arguments is None or spec is None:
            return decision
        try:
            read = read_arguments(json.dumps(decision.arguments), spec.parameters)
        except ToolError as error:
            raise BadRequest(f"These arguments do not fit {record.tool}: {error.message}", param="arguments") from error
        if read != decision.arguments:
            raise BadRequest(f"These arguments do not fit {record.tool} as they are.", param="arguments")
        return decision

    async def _tell(self, record: ApprovalRecord, decision: Decision) -> None:
        entry = AuditRecord(
            id=new_id("audit"),
            owner=record.owner,
            at=micros(),
            action="approval.decided",
            subject=record.id,
            detail={
                "tool": record.tool,
                "approve": decision.approve,
                "extent": decision.extent,
                "edited": decision.arguments is not None,
                "by": decision.by,
                "door": decision.door,
            },
        )
        await self._audit.record(entry)
        status = "approved" if decision.approve else "denied"
        self._bus.publish(record.owner, "approvals.changed", id=record.id, status=status)


_EXTENTS: tuple[Extent, ...] = ("once", "conversation", "arguments", "folder", "domain")


def _decision(item: Item, turn: Turn) -> Decision:
    """What an `mcp_approval_response` says. Raises BadRequest for an extent that is none."""
    extent = item.get("portal:extent") or "once"
    if extent not in _EXTENTS:
        raise BadRequest(f"{extent!r} is no extent; there are: {', '.join(_EXTENTS)}.", param="input")
    return Decision(
        approve=item["approve"] is True,
        extent=extent,
        arguments=item.get("portal:arguments"),
        answer=item.get("reason") or "",
        by=turn.owner,
        door=turn.door,
    )


def _answer(record: ApprovalRecord) -> Item:
    return {
        "type": "mcp_approval_response",
        "id": new_id("mcpa"),
        "approval_request_id": record.id,
        "approve": record.status == "approved",
        "reason": record.answer or None,
    }
