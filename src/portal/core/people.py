"""Several people on one installation: the ports that keep them, and who may do what to whom."""

from collections.abc import Sequence
from typing import Protocol

from portal.core.records import Role, UserRecord

RANKS: dict[Role, int] = {"guest": 0, "member": 1, "admin": 2, "owner": 3}
"""Each may do what those below may, and manages only people below."""


class People(Protocol):
    """Those who use this installation."""

    async def list(self) -> Sequence[UserRecord]:
        """All, oldest first."""

    async def add(self, user: UserRecord) -> None:
        """Raises Conflict for a login that somebody has."""

    async def save(self, user: UserRecord) -> None:
        """Change name, login, role and suspension of somebody but the owner's role. Raises NotFound, Conflict."""

    async def remove(self, user_id: str, heir: str | None) -> None:
        """Delete somebody and all that is theirs; with an heir what they made becomes the heir's, and only what stands
        for them, and what they had remembered or allowed, goes. Raises NotFound for the owner and for nobody."""


class Passwords(Protocol):
    """What stands for people's passwords."""

    async def find(self, login: str) -> tuple[UserRecord, str] | None:
        """Who signs in by this, and their hash; None where there is nobody or no password."""

    async def of(self, user_id: str) -> str | None:
        """Somebody's hash; None without a password."""

    async def set(self, user_id: str, hashed: str | None) -> None:
        """Replace or, with None, forget. Raises NotFound."""

    async def any(self) -> bool:
        """Whether anybody has one."""
