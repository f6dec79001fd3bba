"""The RunningTurns port, and the table of servers that share a database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from portal.storage.database import Database, Statement
from portal.storage.fence import LEADER, Fence
from portal.storage.rows import to_json

_RUNS = "status IN ('queued', 'in_progress')"
WHERE = f"SELECT instance FROM responses WHERE id = :response_id AND {_RUNS}"
OF = f"SELECT id FROM responses WHERE owner = :owner AND instance > '' AND {_RUNS}"
IN = " AND conversation_id IN (SELECT value FROM json_array_elements_text(CAST(:ids AS JSON)))"
AMONG = f"""
SELECT id FROM responses
WHERE owner = :owner AND {_RUNS} AND id IN (SELECT value FROM json_array_elements_text(CAST(:ids AS JSON)))"""
STOP = f"UPDATE responses SET cancelling = 1 WHERE id = :response_id AND owner = :owner AND {_RUNS} RETURNING instance"
TO_STOP = f"SELECT id FROM responses WHERE instance = :instance AND cancelling = 1 AND {_RUNS}"

LIST = """
SELECT id, version, host, pid, url, started_at,
    CAST(extract(epoch FROM clock_timestamp()) - beat_at / 1e6 AS DOUBLE PRECISION) AS quiet
FROM instances ORDER BY started_at, id"""
HOLDER = "SELECT holder FROM duties WHERE name = :name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A server as the others know it; times in microseconds UTC by the database's clock, and `quiet` the seconds since
    it last showed that it lives."""

    id: str
    version: str
    host: str
    pid: int
    url: str
    started_at: int
    quiet: float


class StoredRunning:
    """The RunningTurns port on PostgreSQL. `fence` knows which server this is."""

    def __init__(self, *, database: Database, fence: Fence) -> None:
        self._database, self._fence = database, fence

    def me(self) -> str:
        """See RunningTurns."""
        return self._fence.instance

    async def where(self, response_id: str) -> str | None:
        """See RunningTurns."""
        rows = await self._database.fetch(WHERE, response_id=response_id)
        return str(rows[0]["instance"]) if rows else None

    async def of(self, owner: str, conversation_ids: Collection[str] | None) -> Sequence[str]:
        """See RunningTurns."""
        args: dict[str, object] = {"owner": owner}
        narrower = ""
        if conversation_ids is not None:
            narrower, args["ids"] = IN, to_json(list(conversation_ids))
        return [str(row["id"]) for row in await self._database.fetch(OF + narrower, **args)]

    async def among(self, owner: str, response_ids: Collection[str]) -> Collection[str]:
        """See RunningTurns."""
        rows = await self._database.fetch(AMONG, owner=owner, ids=to_json(list(response_ids)))
        return {str(row["id"]) for row in rows}

    async def stop(self, owner: str, response_id: str) -> str | None:
        """See RunningTurns."""
        args = {"owner": owner, "response_id": response_id}
        (rows,) = await self._database.batch([Statement(STOP, args)])
        return str(rows[0]["instance"]) if rows else None

    async def to_stop(self) -> Sequence[str]:
        """See RunningTurns."""
        rows = await self._database.fetch(TO_STOP, instance=self._fence.instance)
        return [str(row["id"]) for row in rows]

    async def instances(self) -> Sequence[Instance]:
        """Every server that is there."""
        return [Instance(**row) for row in await self._database.fetch(LIST)]

    async def leader(self) -> str:
        """The id of the one that does what one does for all; empty when nobody ever did."""
        rows = await self._database.fetch(HOLDER, name=LEADER)
        return str(rows[0]["holder"]) if rows else ""
