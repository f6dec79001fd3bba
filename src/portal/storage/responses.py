"""The Responses port: the tree of turns, by owner."""

from collections.abc import Sequence

from portal.core.records import StoredItem, TurnRecord
from portal.errors import NotFound
from portal.storage.database import Database, Statement
from portal.storage.rows import item_of
from portal.storage.search import Search
from portal.storage.turn_log import no_response
from portal.storage.turn_passages import TurnPassages
from portal.storage.turns import path_queries, recent_queries, turns_of

START = ":response_id"

# An id may come back as input; the item that first had it counts.
SELECT_ITEM = """
SELECT response_id, side, position, item, first_seq, last_seq, cuts FROM items
WHERE id = :item_id AND owner = :owner ORDER BY side DESC, response_id LIMIT 1"""

RATE = "UPDATE responses SET feedback = :rating WHERE id = :response_id AND owner = :owner"

# Touching the row first holds it against a turn that begins after it meanwhile.
TOUCH = "UPDATE responses SET status = status WHERE id = :response_id AND owner = :owner"

RETREAT_HEAD = """
UPDATE conversations SET head = (SELECT previous_id FROM responses WHERE id = :response_id)
WHERE id = (SELECT conversation_id FROM responses WHERE id = :response_id) AND head = :response_id"""

SKIP = """
UPDATE responses SET previous_id = (SELECT previous_id FROM responses WHERE id = :response_id)
WHERE previous_id = :response_id"""

DELETE = "DELETE FROM responses WHERE id = :response_id AND owner = :owner"


class StoredResponses:
    """The Responses port on a Database."""

    def __init__(self, *, database: Database, search: Search, turns: TurnPassages) -> None:
        self._database, self._search, self._turns = database, search, turns

    async def get(self, owner: str, response_id: str) -> TurnRecord:
        """See Responses."""
        (turn,) = await self._path(owner, response_id, 1, siblings=True)
        return turn

    async def window(self, owner: str, response_id: str, limit: int = 1000) -> Sequence[TurnRecord]:
        """See Responses."""
        return await self._path(owner, response_id, limit, siblings=False)

    async def recent(self, owner: str, limit: int) -> Sequence[TurnRecord]:
        """See Responses."""
        turns = turns_of(await self._database.snapshot(recent_queries(owner, limit)))
        return sorted(turns, key=lambda turn: turn.response.id, reverse=True)

    async def item(self, owner: str, item_id: str) -> StoredItem:
        """See Responses."""
        for row in await self._database.fetch(SELECT_ITEM, owner=owner, item_id=item_id):
            return item_of(row)
        raise NotFound(f"There is no item {item_id!r}.", param="item_id")

    async def feedback(self, owner: str, response_id: str, rating: int) -> None:
        """See Responses."""
        args = {"owner": owner, "response_id": response_id, "rating": rating}
        await self._database.batch([Statement(RATE, args, 1, no_response(response_id))])

    async def delete(self, owner: str, response_id: str) -> None:
        """See Responses."""
        args = {"owner": owner, "response_id": response_id}
        dropping, concerned = await self._turns.leaving(owner, [response_id])
        await self._database.batch(
            [
                Statement(TOUCH, args, 1, no_response(response_id)),
                Statement(RETREAT_HEAD, args),
                Statement(SKIP, args),
                *self._search.remove("response_id = :response_id", **args),
                Statement(DELETE, args),
                *dropping,
                *self._turns.unshelving(owner, response_id),
            ]
        )
        await self._turns.renew(concerned)
        self._turns.clean()

    async def _path(self, owner: str, response_id: str, limit: int, *, siblings: bool) -> list[TurnRecord]:
        args = {"owner": owner, "response_id": response_id, "limit": limit}
        turns = turns_of(await self._database.snapshot(path_queries(START, "", args, siblings=siblings)))
        if not turns:
            raise no_response(response_id)
        return turns
