"""The KeyValues port."""

from portal.core.items import JsonObject
from portal.storage.database import Database, Statement
from portal.storage.rows import from_json, to_json

SELECT = "SELECT value FROM key_values WHERE name = :name"
SAVE = """
INSERT INTO key_values (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
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
