"""Who is let in: people are added, invited, changed, suspended and deleted, each by somebody above them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from portal.core.approvals import AuditRecord
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.people import RANKS, People
from portal.core.ports import Users
from portal.core.records import Role, UserRecord
from portal.core.terms import Terms
from portal.core.tool_ports import Audit
from portal.errors import BadRequest, Forbidden
from portal.security.credentials import INVITATION_MINUTES, Caller, Credentials
from portal.security.passwords import PasswordDoor, folded

_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be different; None leaves it."""

    name: str | None = None
    login: str | None = None
    """Empty: none."""
    role: Role | None = None
    suspended: bool | None = None
    password: str | None = None
    terms: Terms | None = None
    """What they may use, and how much of it."""


class Membership:
    """The people of this installation. What it does is in the audit of whoever did it."""

    def __init__(
        self,
        *,
        people: People,
        users: Users,
        credentials: Credentials,
        passwords: PasswordDoor,
        audit: Audit,
        stop: Callable[[str], Awaitable[None]],
        noted: Callable[[UserRecord], Awaitable[object]],
        logins_known: bool = False,
    ) -> None:
        """`stop` ends what runs for somebody; `noted` hears how they are now; `logins_known`: identity providers know
        people by their sign-in names, so that whoever took that of somebody to come would be taken for them."""
        self._noted, self._logins_known = noted, logins_known
        self._people, self._users = people, users
        self._credentials, self._passwords = credentials, passwords
        self._audit, self._stop = audit, stop

    async def list(self) -> Sequence[UserRecord]:
        """Everybody, oldest first."""
        return await self._people.list()

    async def get(self, user_id: str) -> UserRecord:
        """Raises NotFound."""
        return await self._users.get(user_id)

    async def add(self, by: Caller, *, name: str, login: str = "", role: Role = "member") -> UserRecord:
        """Somebody new, who cannot sign in before they are invited or have a password.

        Raises:
            Forbidden: not below the caller. Conflict: somebody signs in by that. BadRequest: no name.
        """
        self._may_give(by, role)
        user = UserRecord(
            id=new_id("user"),
            name=_name(name),
            role=role,
            created_at=micros(),
            login=folded(login) if login.strip() else None,
        )
        await self._people.add(user)
        await self._note(by, "user.added", user, role=role)
        return user

    async def invite(self, by: Caller, user_id: str) -> tuple[str, int]:
        """A one-time sign-in token for somebody, good for a week, and until when. Raises NotFound, Forbidden."""
        user = await self._below(by, user_id)
        record, secret = await self._credentials.create_link(user.id, minutes=INVITATION_MINUTES)
        await self._note(by, "user.invited", user)
        return secret, record.expires_at or 0

    async def change(self, by: Caller, user_id: str, changes: Changes) -> UserRecord:
        """How they are then. Somebody who is suspended, or has another role or password, is signed out at once.

        Raises:
            NotFound, Forbidden, Conflict, BadRequest.
        """
        old = await self._below(by, user_id)
        if changes.role is not None:
            self._may_give(by, changes.role)
        wanted = _changed(old, changes)
        await self._people.save(wanted, before=old)
        new = await self._users.get(user_id)  # with what others changed meanwhile
        await self._noted(new)
        if changes.password is not None:
            await self._passwords.change(user_id, new=changes.password)
            await self._credentials.sign_out_everywhere(user_id, but="")
        if (new.role, new.suspended_at, new.terms) != (old.role, old.suspended_at, old.terms):
            self._credentials.shut_out(user_id)
        if new.suspended_at is not None:
            await self._stop(user_id)
        await self._note(by, "user.changed", new, **_told(old, wanted, changes))
        return new

    async def rename(self, caller: Caller, *, name: str | None, login: str | None) -> UserRecord:
        """What people may change about themselves. Raises Conflict, BadRequest, Forbidden."""
        user = await self._users.get(caller.owner)
        changes = Changes(name=name, login=login)
        wanted = _changed(user, changes)
        if self._logins_known and wanted.login != user.login and RANKS[user.role] < RANKS["admin"]:
            raise Forbidden("An identity provider knows people here by their sign-in name: only admins change one.")
        await self._people.save(wanted, before=user)
        if told := _told(user, wanted, changes):
            await self._note(caller, "user.changed", wanted, **told)
        return await self._users.get(caller.owner)

    async def remove(self, by: Caller, user_id: str, *, heir: str | None) -> None:
        """Delete somebody with everything that is theirs, or hand what they made over.

        Raises:
            NotFound, Forbidden. BadRequest: they cannot inherit from themselves.
        """
        user = await self._below(by, user_id)
        if heir == user_id:
            raise BadRequest("Somebody else must take it over.", param="heir")
        await self._people.save(replace(user, suspended_at=micros()), before=user)
        self._credentials.shut_out(user_id)
        await self._stop(user_id)
        await self._people.remove(user_id, heir)
        await self._note(by, "user.deleted", user, **({"heir": heir} if heir else {}))

    async def _below(self, by: Caller, user_id: str) -> UserRecord:
        user = await self._users.get(user_id)
        if RANKS[user.role] >= RANKS[by.role]:
            raise Forbidden(f"You cannot manage {user.name!r}: {_WHOM[by.role]}")
        return user

    @staticmethod
    def _may_give(by: Caller, role: Role) -> None:
        if RANKS[role] >= RANKS[by.role]:
            raise Forbidden(f"You cannot make somebody {role}: {_WHOM[by.role]}")

    async def _note(self, by: Caller, action: str, user: UserRecord, **detail: object) -> None:
        told = {"name": user.name, **detail}
        entry = AuditRecord(
            id=new_id("audit"), owner=by.owner, at=micros(), action=action, subject=user.id, detail=told
        )
        await self._audit.record(entry)


_WHOM: dict[Role, str] = {
    "owner": "there is one owner, who stays it.",
    "admin": "admins manage members and guests.",
    "member": "only those who run this installation manage people.",
    "guest": "only those who run this installation manage people.",
}


def _name(name: str) -> str:
    if not 0 < len(name.strip()) <= _LONGEST_NAME:
        raise BadRequest(f"A person needs a name of 1 to {_LONGEST_NAME} characters.", param="name")
    return name.strip()


def _changed(user: UserRecord, changes: Changes) -> UserRecord:
    new = user
    if changes.name is not None:
        new = replace(new, name=_name(changes.name))
    if changes.login is not None:
        new = replace(new, login=folded(changes.login) if changes.login.strip() else None)
    if changes.role is not None:
        new = replace(new, role=changes.role)
    if changes.terms is not None:
        new = replace(new, terms=changes.terms.stored())
    if changes.suspended is not None:
        since = new.suspended_at or micros()
        new = replace(new, suspended_at=since if changes.suspended else None)
    return new


def _told(old: UserRecord, new: UserRecord, changes: Changes) -> dict[str, object]:
    """What changed, for the audit."""
    fields = {
        name: getattr(new, name)
        for name in ("name", "login", "role", "terms")
        if getattr(old, name) != getattr(new, name)
    }
    if (old.suspended_at is None) != (new.suspended_at is None):
        fields["suspended"] = new.suspended_at is not None
    return {**fields, **({"password": "set"} if changes.password is not None else {})}
