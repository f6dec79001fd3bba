"""Who came in before, so that they need not be looked up for each request, nor stand outside while the database is
away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Literal, TypeAlias

from portal.core.clock import micros
from portal.core.records import CredentialRecord
from portal.errors import StorageError, StorageUnavailable

if TYPE_CHECKING:
    from portal.security.credentials import Caller

_log = logging.getLogger(__name__)

_NEW_SECONDS = 5.0
_STALE_SECONDS = 15.0
"""For which somebody is known beyond that while they are looked up."""
_AWAY_SECONDS = 900.0
"""For which a key is known beyond that while the database is away, but no longer than it is good."""
_PATIENCE_SECONDS = 1.0
"""How long they wait to be looked up before the database counts as away."""
_SIZE = 1024

Secret: TypeAlias = tuple[Literal["key", "session"], str]
"""Its kind and its hash."""
LookUp: TypeAlias = Callable[[Secret], Awaitable["Caller | None"]]


@dataclass(frozen=True, slots=True)
class _Known:
    """`new` is until when they count as just looked up, `ends` when what they came with does, both monotonic."""

    new: float
    ends: float
    caller: "Caller"


class KnownCallers:
    """By what they came with. With `tasks` nobody who was here a moment ago waits for the database: they are looked up
    beside."""

    def __init__(
        self, *, look_up: LookUp, tasks: asyncio.TaskGroup | None, clock: Callable[[], float] = monotonic
    ) -> None:
        self._look_up, self._tasks, self._clock = look_up, tasks, clock
        self._known: dict[Secret, _Known] = {}
        self._renewing: dict[Secret, asyncio.Task[None]] = {}
        self._away = False

    async def caller(self, secret: Secret) -> "Caller | None":
        """None where nobody has it. Raises StorageUnavailable: that cannot be known."""
        known, now = self._known.get(secret), self._clock()
        if known is not None and min(known.new, known.ends) > now:
            return known.caller
        if known is None or known.ends <= now or self._tasks is None:
            return await self._asked(secret)
        recent = known.new + _STALE_SECONDS > now
        if not recent and (secret[0] != "key" or known.new + _AWAY_SECONDS <= now):
            return await self._asked(secret)
        if secret not in self._renewing:
            self._renewing[secret] = self._tasks.create_task(self._renew(secret))
        if not recent and not self._away:
            _, late = await asyncio.wait([self._renewing[secret]], timeout=_PATIENCE_SECONDS)
            self._away = self._away or bool(late)
        known = self._known.get(secret)  # no more where it was revoked meanwhile
        return known.caller if known is not None else await self._asked(secret)

    def remember(self, secret: Secret, caller: "Caller", record: CredentialRecord) -> None:
        """They were looked up just now."""
        if len(self._known) >= _SIZE:
            self._known.clear()
        now, ends = self._clock(), [one for one in (record.expires_at, record.terms.get("until")) if one]
        left = (min(ends) - micros()) / 1_000_000 if ends else inf
        self._known[secret] = _Known(new=now + _NEW_SECONDS, ends=now + left, caller=caller)

    def clear(self) -> None:
        """Whoever comes next is looked up anew."""
        self._known.clear()

    async def _asked(self, secret: Secret) -> "Caller | None":
        try:
            found = await self._look_up(secret)
        except StorageUnavailable:
            self._away = True
            raise
        self._away = False
        if found is None:
            self._known.pop(secret, None)
        return found

    async def _renew(self, secret: Secret) -> None:
        try:
            await self._asked(secret)
        except StorageError as error:
            _log.warning("whoever comes in cannot be looked up: %s", error)
        finally:
            del self._renewing[secret]
