"""How a turn ends that does not end well, where its time went and what it used."""

from time import perf_counter, perf_counter_ns

from portal.core.call import Call
from portal.core.items import JsonObject
from portal.core.preparation import Turn
from portal.core.records import TraceRecord, UsageRecord
from portal.core.run import Run
from portal.core.terms import counted
from portal.core.tracing import listed
from portal.errors import PortalError


def unexpected(error: Exception) -> PortalError:
    """What is told of a fault of Portal's own."""
    failure = PortalError("Portal failed to run this turn; the log has the details.", code="internal_error")
    failure.__cause__ = error
    return failure


def stopped(status: str) -> JsonObject:
    """The changes to the record of a turn that was stopped; `status` is cancelled or incomplete."""
    reason = "cancelled" if status == "cancelled" else "interrupted"
    return {"status": status, "incomplete_details": {"reason": reason}}


def failed(error: PortalError) -> JsonObject:
    """The changes to the record of a turn that failed."""
    told = {"code": error.code or error.type, "message": error.message}
    return {"status": "failed", "error": told, "incomplete_details": None}


def traced(run: Run, call: Call) -> TraceRecord | None:
    """Where the time of a turn went whose record is final; None of one that keeps nothing."""
    record, root = run.record, run.span
    error = (record.error or {}).get("message", "")
    details = record.incomplete_details or {}
    root.note(response=record.id, conversation=record.conversation_id, model=call.request.model, status=record.status)
    root.note(reason=details.get("reason"))
    if error:
        root.note(error_type=(record.error or {}).get("code"))
        root.fail(error)
    if root.kept is None:
        return None
    return TraceRecord(
        response_id=record.id,
        owner=record.owner,
        created_at=record.created_at,
        milliseconds=(perf_counter_ns() - root.began) // 1_000_000,
        status=record.status,
        door=str(root.attributes.get("door", "")),
        model=call.request.model,
        workspace=record.model,
        error=root.error,
        spans=listed(root),
        dropped=root.kept.dropped,
    )


def accounted(run: Run, turn: Turn, call: Call, began: float) -> UsageRecord:
    """What a turn used that is over; `began` and the call's times are those of `perf_counter`."""
    usage = call.tokens(run.assembler.snapshot())
    return UsageRecord(
        id=run.id,
        owner=turn.owner,
        door=turn.door,
        model=call.request.model,
        backend=call.route.backend.name,
        created_at=run.record.created_at,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        estimated=usage.estimated,
        milliseconds=round((perf_counter() - began) * 1000),
        status=run.record.status,
        decision=run.record.decision,
        first_milliseconds=round((call.first - began) * 1000) if call.first else None,
        credential=counted(),
    )
