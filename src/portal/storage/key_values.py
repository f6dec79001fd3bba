"""The KeyValues port."""

from collections.abc import Callable

from portal.core.items import JsonObject
from portal.errors import Conflict
from portal.storage.database import Database, Statement
from portal.storage.rows import from_json, to_json

SELECT = "SELECT value FROM key_values WHERE name = :name"
INSERT = "INSERT INTO key_values (name, value) VALUES (:name, :value)"
SAVE = f"{INSERT} ON CONFLICT (name) DO UPDATE SET value = excluded.value"
REPLACE = "UPDATE key_values SET value = :value WHERE name = :name AND value = :before"
DELETE = "DELETE FROM key_values WHERE name = :name"


class StoredKeyValues:
    """The KeyValues port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, key: str) -> JsonObject | None:
        """See KeyValues."""
        rows = await self._database.fetch(SELECT, name=key)
        value: JsonObject | None = from_json(rows[0]["value"]) if rows else None
        return value

    async def set(self, key: str, value: JsonObject | None) -> None:
        """See KeyValues."""
        save = Statement(SAVE, {"name": key, "value": to_json(value)})
        await self._database.batch([Statement(DELETE, {"name": key}) if value is None else save])

    async def change(self, key: str, change: Callable[[JsonObject | None], JsonObject]) -> JsonObject:
        """See KeyValues."""
        overtaken = Conflict("Somebody else changed it meanwhile.")
        while True:
            rows = await self._database.fetch(SELECT, name=key)
            before = rows[0]["value"] if rows else None
            value = change(from_json(before) if rows else None)
            args = {"name": key, "value": to_json(value), "before": before}
            try:
                await self._database.batch([Statement(REPLACE if rows else INSERT, args, 1, overtaken)])
            except Conflict as error:
                if error is not overtaken:
                    raise
            else:
                return value
