"""The Kept port of sign-ins that are under way."""

from portal.core.items import JsonObject
from portal.storage.database import Database, Statement
from portal.storage.rows import from_json, to_json

MOST = 100_000
"""So that whoever only ever begins does not fill the disk: then the oldest make room."""

SWEEP = "DELETE FROM pending WHERE until <= :now"
MAKE_ROOM = """
DELETE FROM pending WHERE until < (SELECT until FROM pending ORDER BY until DESC LIMIT 1 OFFSET :most)"""
INSERT = "INSERT INTO pending (token_hash, value, until) VALUES (:token_hash, :value, :until)"
CHANGE = """
UPDATE pending SET value = :value, until = :until WHERE token_hash = :token_hash AND until > :now RETURNING until"""
TAKE = "DELETE FROM pending WHERE token_hash = :token_hash RETURNING value, until"


class StoredPending:
    """By the hash of a token, so that nothing in the database lets anybody in."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def keep(self, token_hash: str, value: JsonObject, until: int) -> None:
        """See Kept."""
        args = {"token_hash": token_hash, "value": to_json(value), "until": until}
        await self._database.batch([Statement(MAKE_ROOM, {"most": MOST}), Statement(INSERT, args)])

    async def take(self, token_hash: str, now: int) -> JsonObject | None:
        """See Kept."""
        (rows,) = await self._database.batch([Statement(TAKE, {"token_hash": token_hash})])
        if not rows or rows[0]["until"] <= now:
            return None
        value: JsonObject = from_json(rows[0]["value"])
        return value

    async def change(self, token_hash: str, value: JsonObject, until: int, now: int) -> bool:
        """See Kept."""
        args = {"token_hash": token_hash, "value": to_json(value), "until": until, "now": now}
        (rows,) = await self._database.batch([Statement(CHANGE, args)])
        return bool(rows)

    async def sweep(self, now: int) -> None:
        """Forget what is too old."""
        await self._database.batch([Statement(SWEEP, {"now": now})])
