"""The TurnLog port: what a running turn writes, each call one batch."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.events import RECOVERY_GAP
from portal.core.ids import uuid7
from portal.core.items import Item
from portal.core.records import ResponseRecord, StoredItem, TraceRecord
from portal.errors import Conflict, NotFound
from portal.storage.approvals import LEAVE_ROUND, LEFT_ROUND
from portal.storage.database import Database, Row, Statement
from portal.storage.fence import Fence
from portal.storage.owners import there
from portal.storage.partials import interrupted, merged, newest_seq, not_begun
from portal.storage.rows import APPROVAL, RESPONSE, approval_of, columns, inputs_of, item_args, response_args, to_json
from portal.storage.search import Search
from portal.storage.traces import keeping
from portal.storage.turn_passages import TurnPassages

# Touched first: turns of one conversation that begin at once wait for each other here.
MOVE_HEAD = """
UPDATE conversations SET head = :id, updated_at = :created_at
WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"""
FROM_PREVIOUS = " AND COALESCE(head, '') = COALESCE(:previous_id, '')"

SELECT_CONVERSATION = """
SELECT 1 FROM conversations WHERE id = :conversation_id AND owner = :owner AND deleted_at IS NULL"""

SELECT_PREVIOUS = "SELECT 1 FROM responses WHERE id = :previous_id AND owner = :owner"

INSERT_RESPONSE = f"""
INSERT INTO responses ({RESPONSE}, instance)
VALUES ({", ".join(f":{name}" for name in RESPONSE.split(", "))}, :instance)"""

INSERT_ITEM = """
INSERT INTO items (response_id, side, position, id, owner, item, first_seq, last_seq, cuts)
SELECT id, :side, :position, :item_id, owner, :item, :first_seq, :last_seq, :cuts
FROM responses WHERE id = :response_id
ON CONFLICT (response_id, side, position) DO UPDATE SET
    id = excluded.id, item = excluded.item,
    first_seq = excluded.first_seq, last_seq = excluded.last_seq, cuts = excluded.cuts"""

INSERT_PARTIAL = """
INSERT INTO partials (response_id, position, number, owner, item, first_seq, last_seq, cuts)
SELECT id, :position, :number, owner, :item, :first_seq, :last_seq, :cuts
FROM responses WHERE id = :response_id AND instance = :instance AND status IN ('queued', 'in_progress')"""

DELETE_PARTIAL = "DELETE FROM partials WHERE response_id = :response_id AND position = :position"
DELETE_PARTIALS = "DELETE FROM partials WHERE response_id = :response_id"

# Items that are open at once may be stored in another order than they end. A turn that is another server's, or nobody's
# any more, is not this one's to write.
MOVE_LAST_SEQ = """
UPDATE responses SET last_seq = CASE WHEN last_seq < :last_seq THEN :last_seq ELSE last_seq END
WHERE id = :response_id AND instance = :instance"""

FINISH = """
UPDATE responses SET
    status = :status, completed_at = CAST(:completed_at AS BIGINT), usage = :usage, error = :error,
    incomplete_details = :incomplete_details, decision = :decision, last_seq = :last_seq
WHERE id = :id AND owner = :owner AND instance = :instance"""

# Those that no server of now runs.
LEFT = """r.status IN ('queued', 'in_progress') AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.id = r.instance)"""
SELECT_RUNNING = f"""
SELECT id, owner, conversation_id, previous_id, created_at, last_seq, instance FROM responses r
WHERE {LEFT} ORDER BY id"""

SELECT_RUNNING_PARTIALS = f"""
SELECT p.response_id, p.position, p.item, p.first_seq, p.last_seq, p.cuts
FROM responses r JOIN partials p ON p.response_id = r.id
WHERE {LEFT} ORDER BY p.response_id, p.position, p.number"""

# A turn whose questions are stored was over, but for its end.
INTERRUPT = """
UPDATE responses SET
    status = 'incomplete', completed_at = :now, last_seq = :last_seq, instance = '', incomplete_details =
    CASE WHEN EXISTS (SELECT 1 FROM approval_rounds a WHERE a.response_id = responses.id) THEN :asked ELSE :details END
WHERE id = :response_id AND instance = :instance AND status IN ('queued', 'in_progress')"""

INTERRUPTED = {"reason": "interrupted"}
ASKED = {"reason": "approval_required"}

# Calls that people allowed, which the turn that goes on with them had not come to. A used one has begun.
SELECT_NOT_BEGUN = f"""
SELECT {columns(APPROVAL, "a")} FROM responses r JOIN approvals a ON a.response_id = r.previous_id
WHERE r.id = :response_id AND a.status = 'approved' AND a.question = 0 AND a.call_id IS NULL
    AND EXISTS (
        SELECT 1 FROM items i WHERE i.response_id = r.id AND i.side = 'input' AND i.item LIKE '%' || a.id || '%')
    AND NOT EXISTS (
        SELECT 1 FROM items i WHERE i.response_id = r.id AND i.side = 'output' AND i.item LIKE '%' || a.id || '%')
ORDER BY a.position"""

NEXT_POSITION = """
SELECT COALESCE(MAX(position), -1) + 1 AS next FROM items WHERE response_id = :response_id AND side = 'output'"""


class StoredTurnLog:
    """The TurnLog port on a Database."""

    def __init__(self, *, database: Database, search: Search, turns: TurnPassages, fence: Fence | None = None) -> None:
        """Turns are those of the server that `fence` names."""
        self._database, self._search, self._turns, self._fence = database, search, turns, fence or Fence()

    async def begin(
        self, response: ResponseRecord, inputs: Sequence[Item], *, expect_head: bool = False, again: bool = False
    ) -> None:
        """See TurnLog."""
        args = {**response_args(response), "instance": self._fence.instance}
        statements = [*self._fence.registered(), there(response.owner)]
        if response.conversation_id is not None:
            missing = _no_conversation(response.conversation_id)
            if expect_head:
                statements.append(Statement(SELECT_CONVERSATION, args, 1, missing))
                statements.append(Statement(MOVE_HEAD + FROM_PREVIOUS, args, 1, _overtaken()))
            else:
                statements.append(Statement(MOVE_HEAD, args, 1, missing))
        if response.previous_id is not None:
            statements.append(Statement(SELECT_PREVIOUS, args, 1, no_response(response.previous_id)))
            decides = any(item.get("type") == "mcp_approval_response" for item in inputs)
            leaving = LEFT_ROUND if again else LEAVE_ROUND
            statements.append(Statement(leaving, args, 1 if decides else None, _continued()))
        statements.append(Statement(INSERT_RESPONSE, args))
        for stored in inputs_of(response.id, inputs):
            statements += [*keep_item(response.id, stored), *self._search.add(stored)]
        await self._database.batch(statements)

    async def flush(self, response_id: str, partial: StoredItem) -> None:
        """See TurnLog."""
        args = {**item_args(response_id, partial), "number": uuid7(), "instance": self._fence.instance}
        await self._database.batch([Statement(INSERT_PARTIAL, args, 1, no_response(response_id))])

    async def append(self, response_id: str, done: StoredItem) -> None:
        """See TurnLog."""
        await self._database.batch(keep_output(self._search, response_id, done, self._fence))

    async def finish(
        self, response: ResponseRecord, outputs: Sequence[StoredItem] = (), trace: TraceRecord | None = None
    ) -> None:
        """See TurnLog."""
        args = {**response_args(response), "instance": self._fence.instance}
        statements = [
            Statement(FINISH, args, 1, no_response(response.id)),
            Statement(DELETE_PARTIALS, {"response_id": response.id}),
        ]
        for stored in outputs:
            statements += _keep_indexed(self._search, response.id, stored)
        statements += await self._turns.keeping(response_args(response), outputs)
        if trace is not None:
            statements.append(keeping(trace))
        await self._database.batch(statements)

    async def recover(self) -> Sequence[str]:
        """See TurnLog."""
        running, pieces = await self._database.snapshot([Statement(SELECT_RUNNING), Statement(SELECT_RUNNING_PARTIALS)])
        left = {row["id"]: [piece for piece in pieces if piece["response_id"] == row["id"]] for row in running}
        return [row["id"] for row in running if await self._interrupt(row, left[row["id"]])]

    async def _interrupt(self, row: Row, pieces: Sequence[Row]) -> bool:
        """Whether it was ended here: another server may be faster."""
        end = max(row["last_seq"], newest_seq(pieces)) + RECOVERY_GAP
        partials = list(merged(pieces))
        left = [*interrupted(partials, end), *await self._not_begun(row["id"], partials, end)]
        args = {
            "response_id": row["id"],
            "instance": row["instance"],
            "details": to_json(INTERRUPTED),
            "asked": to_json(ASKED),
            "now": micros(),
            "last_seq": max([end, *(stored.last_seq + 1 for stored in left)]),
        }
        over = Conflict("Another server has ended this turn.", code="taken_over")
        statements = [Statement(INTERRUPT, args, 1, over), Statement(DELETE_PARTIALS, args)]
        for stored in left:
            statements += _keep_indexed(self._search, row["id"], stored)
        statements += await self._turns.keeping(row, left)
        try:
            await self._database.batch(statements)
        except Conflict as error:
            if error is not over:
                raise
            return False
        return True

    async def _not_begun(self, response_id: str, partials: Sequence[StoredItem], end: int) -> list[StoredItem]:
        """Items for calls that were allowed and will not run any more."""
        rows = await self._database.fetch(SELECT_NOT_BEGUN, response_id=response_id)
        if not rows:
            return []
        (free,) = await self._database.fetch(NEXT_POSITION, response_id=response_id)
        position = max([free["next"], *(partial.position + 1 for partial in partials)])
        return not_begun(response_id, [approval_of(row) for row in rows], position, end)


def keep_output(search: Search, response_id: str, done: StoredItem, fence: Fence) -> list[Statement]:
    """Store a finished output item in the place of what was there of it."""
    place = {"response_id": response_id, "position": done.position, "last_seq": done.last_seq}
    return [
        Statement(MOVE_LAST_SEQ, {**place, "instance": fence.instance}, 1, no_response(response_id)),
        Statement(DELETE_PARTIAL, place),
        *_keep_indexed(search, response_id, done),
    ]


def _keep_indexed(search: Search, response_id: str, stored: StoredItem) -> list[Statement]:
    """Store and index an output item; doing it again changes nothing."""
    place = {"response_id": response_id, "side": stored.side, "position": stored.position}
    where = "response_id = :response_id AND side = :side AND position = :position"
    return [*keep_item(response_id, stored), *search.remove(where, **place), *search.add(stored)]


def keep_item(response_id: str, stored: StoredItem) -> list[Statement]:
    """Store an item in its place."""
    return [Statement(INSERT_ITEM, item_args(response_id, stored), 1, no_response(response_id))]


def no_response(response_id: str) -> NotFound:
    """The error for a response this owner does not have."""
    return NotFound(f"There is no response {response_id!r}.", param="response_id")


def _overtaken() -> Conflict:
    return Conflict("Another turn of this conversation began first: follow that one.", code="conversation_locked")


def _continued() -> Conflict:
    return Conflict("Another turn has gone on with these decisions.", code="approval_decided")


def _no_conversation(conversation_id: str) -> NotFound:
    return NotFound(f"There is no conversation {conversation_id!r}.", param="conversation")
