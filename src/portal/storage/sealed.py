"""The table of sealed secrets, for servers that share a database."""

from collections.abc import Mapping

from portal.core.clock import micros
from portal.storage.database import Database, Statement

SELECT = "SELECT name, sealed FROM sealed_secrets"
SAVE = """
INSERT INTO sealed_secrets (name, sealed, changed_at) VALUES (:name, :sealed, :now)
ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at"""
DELETE = "DELETE FROM sealed_secrets WHERE name = :name"


class StoredSealed:
    """Opaque text by name."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def all(self) -> Mapping[str, str]:
        """Every one."""
        return {row["name"]: row["sealed"] for row in await self._database.fetch(SELECT)}

    async def set(self, name: str, sealed: str | None) -> None:
        """Keep it, or forget it with None."""
        save = Statement(SAVE, {"name": name, "sealed": sealed, "now": micros()})
        await self._database.batch([Statement(DELETE, {"name": name}) if sealed is None else save])
