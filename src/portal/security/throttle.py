"""How often and how much at once, at the door: by address, person and key."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from portal.core import terms
from portal.core.clock import now
from portal.security.credentials import Caller
from portal.security.limiter import Bucket, Limiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Bounds for everybody; 0 is none."""

    person: int
    """Requests a minute, like the next one."""
    address: int
    person_at_once: int
    address_at_once: int


class Throttle:
    """Asks the limiter. The owner on the machine itself waits for nobody; a key's own rate holds for everybody."""

    def __init__(self, *, limiter: Limiter, allowed: Allowed) -> None:
        self._limiter, self.allowed = limiter, allowed

    def knock(self, address: str) -> None:
        """A request from there, whoever sends it. Raises RateLimited."""
        if self.allowed.address:
            self._limiter.take(f"address {address}", self.allowed.address)

    def admit(self, caller: Caller, *, at_home: bool, socket: bool) -> Bucket | None:
        """A request of somebody, and what is left of the key's own rate. On a WebSocket each call of a model counts,
        too. Raises RateLimited."""
        everybody = 0 if at_home and caller.owns else self.allowed.person
        if everybody:
            self._limiter.take(f"person {caller.owner}", everybody)
        bucket = self._limiter.take(f"key {caller.credential_id}", caller.rate) if caller.rate else None
        for name, rate in caller.rates:
            self._limiter.take(name, rate)
        standing = caller.standing
        if socket and (everybody or caller.rate or caller.rates):
            standing = self._counting(caller, everybody)
        terms.current.set(standing)  # also None: a pipelined request begins within what was set for the one before it
        return bucket

    def _counting(self, caller: Caller, everybody: int) -> terms.Standing:
        """The caller's standing, which takes from the same rates with each call."""
        standing = caller.standing or terms.Standing(caller.owner, ())
        named = [(f"person {caller.owner}", everybody), (f"key {caller.credential_id}", caller.rate), *caller.rates]

        def calling() -> None:
            for name, rate in named:
                if rate:
                    self._limiter.take(name, rate)
            standing.calling()

        return replace(standing, calling=calling)

    @contextmanager
    def inside(self, caller: Caller | None, address: str) -> Iterator[None]:
        """While a request, stream or socket is open; `address` is empty at home. Raises RateLimited."""
        with ExitStack() as stack:
            if address and self.allowed.address_at_once:
                stack.enter_context(self._limiter.inside(f"address {address}", self.allowed.address_at_once))
            if caller is not None and self.allowed.person_at_once and (address or not caller.owns):
                stack.enter_context(self._limiter.inside(f"person {caller.owner}", self.allowed.person_at_once))
            yield


def rate_headers(path: str, bucket: Bucket) -> list[tuple[bytes, bytes]]:
    """What is left of a key's rate, as the clients of the API at this path know it."""
    seconds = bucket.full_in
    if path.startswith("/v1/messages"):
        until = (now() + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
        named = zip(("limit", "remaining", "reset"), (bucket.rate, int(bucket.left), until), strict=True)
        return [(f"anthropic-ratelimit-requests-{name}".encode(), str(value).encode()) for name, value in named]
    return [
        (b"x-ratelimit-limit-requests", b"%d" % bucket.rate),
        (b"x-ratelimit-remaining-requests", b"%d" % bucket.left),
        (b"x-ratelimit-reset-requests", b"%.3fs" % seconds),
    ]
