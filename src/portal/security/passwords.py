"""Passwords: kept as argon2id hashes, tried only so often."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.core.counts import Counts
from portal.core.people import Passwords
from portal.core.records import UserRecord
from portal.errors import BadRequest, Conflict, RateLimited, Unauthenticated

SHORTEST, LONGEST = 8, 512
_AT_ONCE = 2
"""Hashes computed at a time: each takes 64 MB, and a core."""
_REMEMBERED = 10_000


def folded(login: str) -> str:
    """What somebody signs in by, as it is kept. Raises BadRequest."""
    found = login.strip().lower()
    if not 1 <= len(found) <= 200 or any(char.isspace() or not char.isprintable() for char in found):
        raise BadRequest("A sign-in name has 1 to 200 characters and no spaces.", param="login")
    return found


class Attempts:
    """Failures to sign in, by account and by address: after `most` within `seconds` the next ones wait."""

    def __init__(
        self, *, most: int, seconds: float, clock: Callable[[], float] = monotonic, counts: Counts | None = None
    ) -> None:
        """`counts` is kept of those here, for other servers to count as well."""
        self._most, self._seconds, self._clock, self._counts = most, seconds, clock, counts
        self._failed: dict[str, deque[float]] = {}
        if counts is not None:
            counts.on("failed", lambda whose, _, times: self._add(whose, times))
            counts.on("forgotten", lambda whose, *_: self._forget(whose))

    def check(self, *whose: str) -> None:
        """Raises RateLimited."""
        now = self._clock()
        for one in whose:
            times = self._failed.get(one)
            while times and times[0] <= now - self._seconds:
                times.popleft()
            if times and len(times) >= self._most:
                wait = times[0] + self._seconds - now
                raise RateLimited(
                    "Too many attempts to sign in. Wait a while, or use a one-time link.", retry_after=max(wait, 1)
                )

    def failed(self, *whose: str) -> None:
        """One more of each."""
        for one in whose:
            self._add(one, 1)
            if self._counts is not None:
                self._counts.add("failed", one, 0, 1)

    def _add(self, whose: str, times: int) -> None:
        if len(self._failed) >= _REMEMBERED:
            self._failed.pop(next(iter(self._failed)))
        self._failed.setdefault(whose, deque(maxlen=self._most)).extend([self._clock()] * min(times, self._most))

    def forget(self, whose: str) -> None:
        """It was the right one."""
        self._forget(whose)
        if self._counts is not None:
            self._counts.add("forgotten", whose, 0, 1)

    def _forget(self, whose: str) -> None:
        self._failed.pop(whose, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """Somebody whose password was right a moment ago."""

    user: UserRecord
    hashed: str
    """What is kept of it."""


class PasswordDoor:
    """Sets and checks passwords."""

    def __init__(self, *, passwords: Passwords, attempts: Attempts) -> None:
        self._passwords = passwords
        self._attempts = attempts
        self._hasher = PasswordHasher()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._nobodys = ""

    async def enter(self, login: str, password: str, *, address: str) -> Entered:
        """Who that is, and by which hash.

        Raises:
            Unauthenticated: there is nobody of that login and password, or they are suspended; it does not say which.
            RateLimited: too many failures of this account, or from this address.
        """
        account, place = f"account:{login.strip().lower()}", f"address:{address}"
        self._attempts.check(account, place)
        # before the hash is computed, so that tries at the same moment count as well
        self._attempts.failed(account, place)
        found = await self._passwords.find(login.strip().lower())
        # whoever is nobody waits as long
        right = await self._verify(found[1] if found else await self._nobody(), password)
        if found is None or not right or found[0].suspended_at is not None:
            raise _wrong()
        self._attempts.forget(account)
        self._attempts.forget(place)
        user, hashed = found
        if self._hasher.check_needs_rehash(hashed):
            known, hashed = hashed, await self._hash(password)
            try:
                await self._passwords.set(user.id, hashed, before=known)
            except Conflict as error:  # changed just now, or hashed anew by another sign-in
                hashed = await self._passwords.of(user.id) or ""
                if not await self._verify(hashed, password):
                    raise _wrong() from error
        return Entered(user=user, hashed=hashed)

    async def holds(self, entered: Entered) -> bool:
        """Whether that password is good still: it may be another one since."""
        return await self._passwords.of(entered.user.id) == entered.hashed

    async def has(self, user_id: str) -> bool:
        """Whether somebody has a password."""
        return await self._passwords.of(user_id) is not None

    async def change(self, user_id: str, *, new: str, current: str | None = None) -> None:
        """Set a password; where there is one, `current` must be it, unless it is None: somebody else sets it.

        Raises:
            BadRequest: the new one is too short or too long.
            Unauthenticated: the current one is wrong. RateLimited: too often.
        """
        if not SHORTEST <= len(new) <= LONGEST:
            raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters.", param="password")
        known = await self._passwords.of(user_id)
        if known is not None and current is not None:
            whose = f"change:{user_id}"
            self._attempts.check(whose)
            self._attempts.failed(whose)
            if not await self._verify(known, current):
                raise _another()
            self._attempts.forget(whose)
        hashed = await self._hash(new)
        try:
            await self._passwords.set(user_id, hashed, before=None if current is None else known)
        except Conflict as error:
            raise _another() from error

    async def _nobody(self) -> str:
        self._nobodys = self._nobodys or await self._hash("nobody's")
        return self._nobodys

    async def _hash(self, password: str) -> str:
        async with self._room:
            return await asyncio.to_thread(self._hasher.hash, password.encode("utf-8", "surrogatepass"))

    async def _verify(self, hashed: str, password: str) -> bool:
        if len(password) > LONGEST:
            return False
        async with self._room:
            try:
                return await asyncio.to_thread(self._hasher.verify, hashed, password.encode("utf-8", "surrogatepass"))
            except (VerificationError, InvalidHashError):
                return False


def _wrong() -> Unauthenticated:
    return Unauthenticated("That name and password do not belong together.", code="invalid_credentials")


def _another() -> Unauthenticated:
    return Unauthenticated("The current password is another one.", code="invalid_credentials")
