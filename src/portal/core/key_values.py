"""Small things that are kept whole under a name."""

from collections.abc import Callable
from typing import Protocol

from portal.core.items import JsonObject


class KeyValues(Protocol):
    """Small things a room keeps across restarts: backends added from the page, pulls under way."""

    async def get(self, key: str) -> JsonObject | None:
        """None when absent."""

    async def set(self, key: str, value: JsonObject | None) -> None:
        """Store, or delete with None."""

    async def change(self, key: str, change: Callable[[JsonObject | None], JsonObject]) -> JsonObject:
        """Store what `change` makes of what is there, and return it. `change` is called again where somebody else was
        faster; what it raises comes out, and nothing is stored."""
