"""Several people on one installation: the ports that keep them, and who may do what to whom."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from portal.core.records import Role, UserRecord

RANKS: dict[Role, int] = {"guest": 0, "member": 1, "admin": 2, "owner": 3}
"""Each may do what those below may, and manages only people below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRecord:
    """A passkey: the public half of a key that a device keeps."""

    id: str
    owner: str
    name: str
    public_key: bytes
    uses: int
    """How often the device says it was used; some always say 0."""
    created_at: int
    last_used_at: int | None = None


class People(Protocol):
    """Those who use this installation."""

    async def list(self) -> Sequence[UserRecord]:
        """All, oldest first."""

    async def add(self, user: UserRecord) -> None:
        """Raises Conflict for a login that somebody has."""

    async def save(self, user: UserRecord, *, before: UserRecord | None = None) -> None:
        """Change name, login, terms, role and suspension of somebody but the owner's role: all of them, or only what is
        another than `before`, so that of two changes at once neither takes the other back. Raises NotFound, Conflict.
        """

    async def remove(self, user_id: str, heir: str | None) -> None:
        """Delete somebody and all that is theirs; with an heir what they made becomes the heir's, and only what stands
        for them, and what they had remembered or allowed, goes. Raises NotFound for the owner and for nobody."""


class Passwords(Protocol):
    """What stands for people's passwords."""

    async def find(self, login: str) -> tuple[UserRecord, str] | None:
        """Who signs in by this, and their hash; None where there is nobody or no password."""

    async def of(self, user_id: str) -> str | None:
        """Somebody's hash; None without a password."""

    async def set(self, user_id: str, hashed: str | None, *, before: str | None = None) -> None:
        """Replace or, with None, forget; with `before` only where that is what is kept. Raises NotFound, and Conflict
        where it is another one."""

    async def any(self) -> bool:
        """Whether anybody has one."""


class Passkeys(Protocol):
    """People's passkeys."""

    async def add(self, passkey: PasskeyRecord) -> None:
        """Raises Conflict for one that is known."""

    async def list(self, owner: str) -> Sequence[PasskeyRecord]:
        """Oldest first."""

    async def get(self, passkey_id: str) -> PasskeyRecord | None:
        """The one of this id, whoever's."""

    async def any(self) -> bool:
        """Whether anybody has one."""

    async def used(self, passkey: PasskeyRecord, uses: int) -> bool:
        """Note its new count; whether nobody has used it since it was read."""

    async def remove(self, owner: str, passkey_id: str) -> None:
        """Raises NotFound."""


class Identities(Protocol):
    """Who people are at identity providers."""

    async def find(self, issuer: str, subject: str) -> str | None:
        """The user's id."""

    async def add(self, issuer: str, subject: str, owner: str) -> None:
        """Raises Conflict for one that somebody has."""

    async def with_login(self, login: str) -> UserRecord | None:
        """Who signs in by this."""
