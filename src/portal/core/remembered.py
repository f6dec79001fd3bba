"""Lists that are kept as one value, and changed by several servers, or several people, at once."""

from collections.abc import Callable, Sequence

from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.errors import Conflict


class Remembered:
    """Entries, each with a `name`. None is lost where others come and go at the same moment."""

    def __init__(self, key_values: KeyValues, key: str, *, what: str, most: int = 0) -> None:
        """`what` an entry is, for people; `most` is how many there may be, 0 for any number."""
        self._key_values, self._key = key_values, key
        self._what, self._most = what, most

    async def all(self) -> Sequence[JsonObject]:
        """In the order in which they came."""
        return _entries(await self._key_values.get(self._key))

    async def add(self, entry: JsonObject, *, over: Callable[[JsonObject], bool]) -> None:
        """Add it, in the place of one of its name which is `over`: that nobody can use any more.

        Raises:
            Conflict: there is one of its name, or there are too many.
        """

        def added(known: JsonObject | None) -> JsonObject:
            entries = _entries(known)
            there = [one for one in entries if one["name"] == entry["name"]]
            if there and not all(map(over, there)):
                raise Conflict(f"There is a {self._what} called {entry['name']!r} already.", param="name")
            if 0 < self._most <= len(entries):
                raise Conflict(f"There are {self._most} {self._what}s already.")
            return {"servers": [*(one for one in entries if one not in there), entry]}

        await self._key_values.change(self._key, added)

    async def remove(self, name: str) -> None:
        """Forget the one of that name, if it is there."""
        await self._key_values.change(
            self._key, lambda known: {"servers": [one for one in _entries(known) if one["name"] != name]}
        )


def _entries(known: JsonObject | None) -> Sequence[JsonObject]:
    return list(known["servers"]) if known else []
