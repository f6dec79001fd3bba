"""Programs that people let in by OAuth: what is kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from portal.core.records import CredentialRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that registered. Anybody may, under any name."""

    id: str
    name: str
    redirects: Sequence[str]
    """Addresses that people may be sent back to."""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """A token that a program gets a new key for, once."""

    owner: str
    credential_id: str
    client_id: str
    created_at: int
    used_at: int | None = None


class Clients(Protocol):
    """The programs."""

    async def add(self, client: Client, *, most: int, idle_before: int) -> None:
        """Where there are `most`, those that nobody let in and that came before `idle_before` make room. Raises
        RateLimited where that is not enough."""

    async def get(self, client_id: str) -> Client | None:
        """None for one that is not known."""


class Refreshes(Protocol):
    """The tokens, by their hash."""

    async def add(self, secret_hash: str, refresh: Refresh) -> None:
        """The first one of a key."""

    async def get(self, secret_hash: str) -> Refresh | None:
        """Used or not; None for one that was never given out or whose key is gone."""

    async def of_key(self, credential_id: str) -> Refresh | None:
        """Any of those of a key; None where there is none: it was not given out by OAuth."""

    async def rotate(
        self, secret_hash: str, refresh: Refresh, *, next_hash: str, key: CredentialRecord, key_hash: str
    ) -> bool:
        """Use one up: its key gets another secret, end and terms, and `next_hash` takes its place. False where it was
        used before, or the key or its person is not let in any more."""

    async def key(self, refresh: Refresh) -> CredentialRecord | None:
        """The key it is for; None where that is gone or over."""
