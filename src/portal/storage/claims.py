"""The Claims port: what one of several servers works on alone."""

from portal.storage.database import Database, Statement
from portal.storage.fence import Fence
from portal.storage.key_values import INSERT
from portal.storage.rows import to_json

# What a server has that is gone is anybody's.
TAKE = f"""
{INSERT} ON CONFLICT (name) DO UPDATE SET value = excluded.value
WHERE key_values.value = excluded.value OR key_values.value NOT IN (SELECT '"' || id || '"' FROM instances)
RETURNING name"""
DROP = "DELETE FROM key_values WHERE name = :name AND value = :value"


class StoredClaims:
    """The Claims port on a Database. `fence` knows which server this is; one that is alone has everything."""

    def __init__(self, *, database: Database, fence: Fence) -> None:
        self._database, self._fence = database, fence

    async def take(self, name: str) -> bool:
        """See Claims."""
        if not self._fence.instance:
            return True
        return bool((await self._database.batch([*self._fence.registered(), Statement(TAKE, self._args(name))]))[-1])

    async def drop(self, name: str) -> None:
        """See Claims."""
        if self._fence.instance:
            await self._database.batch([Statement(DROP, self._args(name))])

    def _args(self, name: str) -> dict[str, object]:
        return {"name": name, "value": to_json(self._fence.instance)}
