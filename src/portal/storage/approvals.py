"""The Approvals port: questions to people, decided once, together with what is allowed from then on."""

from collections.abc import Mapping, Sequence

from portal.core.approvals import ApprovalRecord, ApprovalStatus, Decision, arguments_hash
from portal.core.clock import micros
from portal.core.records import Page
from portal.errors import BadRequest, Conflict, NotFound
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Statement
from portal.storage.grants import grant_statement
from portal.storage.rows import APPROVAL, approval_args, approval_of, to_json

SELECT = f"SELECT {APPROVAL} FROM approvals WHERE id = :approval_id AND owner = :owner"

OF_RESPONSE = f"""
SELECT {APPROVAL} FROM approvals
WHERE response_id = :response_id AND owner = :owner AND call_id IS NULL ORDER BY position"""

# Those of a conversation that is hidden come back with it.
LIST = f"""
SELECT {APPROVAL} FROM approvals WHERE owner = :owner{{narrower}} AND NOT EXISTS (
    SELECT 1 FROM conversations c WHERE c.id = approvals.conversation_id AND c.deleted_at IS NOT NULL)
ORDER BY created_at DESC, id DESC LIMIT :limit"""
OF_STATUS = " AND status = :status"
AFTER = " AND (created_at, id) < (:created_at, :last_id)"

INSERT = f"""
INSERT INTO approvals ({APPROVAL}, position)
VALUES ({", ".join(f":{name}" for name in APPROVAL.split(", "))}, :position)"""

OPEN_ROUND = """
INSERT INTO approval_rounds (response_id, owner, pending) VALUES (:response_id, :owner, :count)"""

COUNT_DOWN = """
UPDATE approval_rounds SET pending = pending - :count
WHERE response_id = :response_id AND owner = :owner RETURNING pending"""

DECIDE = """
UPDATE approvals SET status = :status, arguments = :arguments, arguments_hash = :arguments_hash,
    answer = :answer, decided_at = :now, decided_by = :by
WHERE id = :approval_id AND owner = :owner AND status = 'pending' AND expires_at > :now"""

USE = """
UPDATE approvals SET status = 'used'
WHERE id = :approval_id AND status = 'approved' AND arguments_hash = :arguments_hash AND expires_at > :now
    AND owner = (SELECT owner FROM responses WHERE id = :response_id)"""

HOLD_ROUND = "UPDATE approval_rounds SET pending = 0 WHERE response_id = :response_id AND owner = :owner"
SUPERSEDE = """
UPDATE approvals SET status = 'denied', answer = :answer, decided_at = :now
WHERE response_id = :response_id AND owner = :owner AND status = 'pending'"""
CONCLUDE = f"""
UPDATE approvals SET status = CASE status WHEN 'pending' THEN 'expired' WHEN 'approved' THEN 'used' ELSE status END,
    decided_at = COALESCE(decided_at, :now)
WHERE id = :approval_id AND owner = :owner AND call_id IS NOT NULL RETURNING {APPROVAL}"""
SUPERSEDED = "The conversation went on without an answer."

SELECT_OVERDUE = "SELECT response_id FROM approvals WHERE status = 'pending' AND expires_at <= :now"
HOLD = "UPDATE approval_rounds SET pending = pending WHERE response_id = :response_id"
EXPIRE = f"""
UPDATE approvals SET status = 'expired', decided_at = :now
WHERE response_id = :response_id AND status = 'pending' AND expires_at <= :now RETURNING {APPROVAL}"""
RECOUNT = """
UPDATE approval_rounds SET pending = (
    SELECT COUNT(*) FROM approvals a WHERE a.response_id = approval_rounds.response_id AND a.status = 'pending'
        AND a.call_id IS NULL)
WHERE response_id = :response_id"""

# A person has decided one at least; those whose time is over count as no. Superseded ones nobody decided.
SELECT_CONTINUABLE = """
SELECT r.owner, r.response_id, (
    SELECT MAX(a.decided_at) FROM approvals a WHERE a.response_id = r.response_id AND a.call_id IS NULL) AS decided_at
FROM approval_rounds r
WHERE r.pending = 0
    AND NOT EXISTS (SELECT 1 FROM responses n WHERE n.previous_id = r.response_id)
    AND EXISTS (
        SELECT 1 FROM approvals a
        WHERE a.response_id = r.response_id AND a.decided_by IS NOT NULL AND a.call_id IS NULL)
    AND NOT EXISTS (
        SELECT 1 FROM approvals a WHERE a.response_id = r.response_id AND a.call_id IS NULL
            AND (a.status NOT IN ('approved', 'denied', 'expired') OR a.decided_at >= :decided_before
                OR (a.status = 'denied' AND a.decided_by IS NULL)))
    AND NOT EXISTS (
        SELECT 1 FROM responses s JOIN conversations c ON c.id = s.conversation_id
        WHERE s.id = r.response_id AND c.deleted_at IS NOT NULL)
ORDER BY r.response_id"""

# A turn that follows has begun: with this round nothing goes on by itself any more, also if that turn is deleted.
LEAVE_ROUND = "UPDATE approval_rounds SET pending = -1 WHERE response_id = :previous_id AND pending = 0"
LEFT_ROUND = "UPDATE approval_rounds SET pending = -1 WHERE response_id = :previous_id AND pending = -1"


class StoredApprovals:
    """The Approvals port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, approval_id: str) -> ApprovalRecord:
        """See Approvals."""
        for row in await self._database.fetch(SELECT, owner=owner, approval_id=approval_id):
            return approval_of(row)
        raise _no_approval(approval_id)

    async def of_response(self, owner: str, response_id: str) -> Sequence[ApprovalRecord]:
        """See Approvals."""
        rows = await self._database.fetch(OF_RESPONSE, owner=owner, response_id=response_id)
        return [approval_of(row) for row in rows]

    async def list(
        self, owner: str, *, status: ApprovalStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[ApprovalRecord]:
        """See Approvals."""
        this, limit = ("approvals", owner, status), max(limit, 1)
        args: dict[str, object] = {"owner": owner, "limit": limit + 1}
        narrower = ""
        if status is not None:
            narrower, args["status"] = OF_STATUS, status
        if cursor is not None:
            narrower += AFTER
            args |= zip(("created_at", "last_id"), decode_cursor(this, cursor, (int, str)), strict=True)
        rows = await self._database.fetch(LIST.format(narrower=narrower), **args)
        page = [approval_of(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(page, encode_cursor(this, (page[-1].created_at, page[-1].id)) if more else None)

    async def decide(self, owner: str, decisions: Mapping[str, Decision]) -> int:
        """See Approvals."""
        records = [await self.get(owner, approval_id) for approval_id in decisions]
        responses = {record.response_id for record in records}
        if len(responses) != 1:
            raise BadRequest("Decide questions of one response at a time.", param="approval_request_id")
        now, waited = micros(), sum(record.call_id is None for record in records)
        round_of = {"response_id": responses.pop(), "owner": owner, "count": waited}
        statements = [Statement(COUNT_DOWN, round_of, 1)] if waited else []
        for record in records:
            statements += _decided(record, decisions[record.id], now)
        first, *_ = await self._database.batch(statements)
        return int(first[0]["pending"]) if waited else 0

    async def conclude(self, owner: str, approval_id: str) -> ApprovalRecord:
        """See Approvals."""
        args = {"owner": owner, "approval_id": approval_id, "now": micros()}
        ((row,),) = await self._database.batch([Statement(CONCLUDE, args, 1, _no_approval(approval_id))])
        return approval_of(row)

    async def supersede(self, owner: str, response_id: str) -> None:
        """See Approvals."""
        args = {"owner": owner, "response_id": response_id, "now": micros(), "answer": SUPERSEDED}
        await self._database.batch([Statement(HOLD_ROUND, args), Statement(SUPERSEDE, args)])

    async def expire(self, now: int) -> Sequence[ApprovalRecord]:
        """See Approvals."""
        expired: list[ApprovalRecord] = []
        overdue = await self._database.fetch(SELECT_OVERDUE, now=now)
        for response_id in sorted({row["response_id"] for row in overdue}):
            args = {"response_id": response_id, "now": now}
            steps = [Statement(HOLD, args), Statement(EXPIRE, args), Statement(RECOUNT, args)]
            expired += map(approval_of, (await self._database.batch(steps))[1])
        return expired

    async def continuable(self, decided_before: int) -> Sequence[tuple[str, str, int]]:
        """See Approvals."""
        rows = await self._database.fetch(SELECT_CONTINUABLE, decided_before=decided_before)
        return [(row["owner"], row["response_id"], row["decided_at"]) for row in rows]


def asked(approvals: Sequence[ApprovalRecord]) -> list[Statement]:
    """Store the questions that one response ends with, or asides, with which none ends."""
    first = approvals[0]
    round_of = {"response_id": first.response_id, "owner": first.owner, "count": len(approvals)}
    questions = [
        Statement(INSERT, {**approval_args(record), "position": position}) for position, record in enumerate(approvals)
    ]
    return questions if first.call_id else [Statement(OPEN_ROUND, round_of), *questions]


def used(approval_id: str, response_id: str, hashed: str) -> Statement:
    """Use an approval up: only one of just these arguments, once, in time, and of the response's owner."""
    args = {"approval_id": approval_id, "response_id": response_id, "arguments_hash": hashed, "now": micros()}
    unusable = Conflict("This call is not approved, or its approval is used up or too old.", code="approval_unusable")
    return Statement(USE, args, 1, unusable)


def _decided(record: ApprovalRecord, decision: Decision, now: int) -> list[Statement]:
    arguments = record.arguments if decision.arguments is None else decision.arguments
    hashed = record.arguments_hash if decision.arguments is None else arguments_hash(record.tool, arguments)
    args = {
        "approval_id": record.id,
        "owner": record.owner,
        "status": "approved" if decision.approve else "denied",
        "arguments": to_json(arguments),
        "arguments_hash": hashed,
        "answer": decision.answer,
        "now": now,
        "by": decision.by,
    }
    over = Conflict("This question is decided already, or its time is over.", code="approval_decided")
    made = [Statement(DECIDE, args, 1, over)]
    if decision.approve and decision.extent != "once":
        made.append(grant_statement(record, decision.extent, _value(record, decision, hashed), now))
    return made


def _value(record: ApprovalRecord, decision: Decision, hashed: str) -> str:
    """What a grant is bound to. A folder or domain is that of the arguments that were asked for."""
    scope = record.scope if hashed == record.arguments_hash else ""
    value = {"conversation": record.conversation_id, "arguments": hashed}.get(decision.extent, scope)
    if decision.extent not in record.extents or not value:
        raise BadRequest(f"A yes to this cannot go as far as {decision.extent!r}.", param="extent")
    return value


def _no_approval(approval_id: str) -> NotFound:
    return NotFound(f"There is no approval {approval_id!r}.", param="approval_request_id")
