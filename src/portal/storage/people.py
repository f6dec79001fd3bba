"""The People and Passwords ports."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.records import UserRecord
from portal.errors import Conflict
from portal.storage.database import Database, Statement
from portal.storage.files import StoredFiles
from portal.storage.key_values import DELETE as FORGET
from portal.storage.leaving import LEFT, Leaving
from portal.storage.owners import MARK, MARKS, marking, no_user
from portal.storage.passages import StoredPassages
from portal.storage.rows import USER, from_json, to_json, user_of

ADMITTED = "NOT EXISTS (SELECT 1 FROM users u WHERE u.id = {owner} AND u.suspended_at IS NOT NULL)"
"""That somebody is not kept out."""

LIST = f"SELECT {USER} FROM users ORDER BY created_at, id"
INSERT = f"""
INSERT INTO users ({USER}) VALUES (:id, :name, :role, :created_at, :preferences, :login, :suspended_at, :terms)"""
# There is one owner, who stays it and is never kept out.
SAVE = "UPDATE users SET {changes} WHERE id = :id"
SAVED = {
    "name": "name = :name",
    "login": "login = :login",
    "terms": "terms = :terms",
    "role": "role = CASE WHEN role = 'owner' THEN role ELSE :role END",
    "suspended_at": "suspended_at = CASE WHEN role = 'owner' THEN NULL ELSE CAST(:suspended_at AS BIGINT) END",
}
DELETE = "DELETE FROM users WHERE id = :user_id AND role <> 'owner'"
THERE = "SELECT 1 FROM users WHERE id = :user_id"

OF_LOGIN = f"SELECT {USER}, password FROM users WHERE login = :login AND password IS NOT NULL"
HASH = "SELECT password FROM users WHERE id = :user_id"
SET_HASH = "UPDATE users SET password = :password WHERE id = :user_id"
STILL = " AND password = :before"
ANY = "SELECT 1 FROM users WHERE password IS NOT NULL LIMIT 1"

_DAY = 86_400_000_000


class StoredPeople:
    """The People port on a Database."""

    def __init__(self, *, database: Database, leaving: Leaving, passages: StoredPassages, files: StoredFiles) -> None:
        self._database, self._leaving = database, leaving
        self._passages, self._files = passages, files

    async def list(self) -> Sequence[UserRecord]:
        """See People."""
        return [user_of(row) for row in await self._database.fetch(LIST)]

    async def add(self, user: UserRecord) -> None:
        """See People."""
        await self._database.batch([Statement(INSERT, _args(user), 1, _taken(user))])

    async def save(self, user: UserRecord, *, before: UserRecord | None = None) -> None:
        """See People."""
        changes = [sql for name, sql in SAVED.items() if before is None or getattr(user, name) != getattr(before, name)]
        statements = [Statement(THERE, {"user_id": user.id}, 1, no_user(user.id))]
        if changes:
            sql = SAVE.format(changes=", ".join(changes))
            statements.append(Statement(sql, _args(user), 1, _taken(user)))
        await self._database.batch(statements)

    async def remove(self, user_id: str, heir: str | None) -> None:
        """See People."""
        leaves = self._leaving.deleting(user_id) if heir is None else self._leaving.handing_over(user_id, heir)
        gone = Statement(DELETE, {"user_id": user_id}, 1, no_user(user_id))
        inherits = [Statement(THERE, {"user_id": heir}, 1, no_user(heir))] if heir else []
        await self._database.batch([gone, *inherits, marking(user_id), *leaves])
        self._passages.clean()
        if heir is None:
            await self._files.drop_of(user_id)

    async def sweep(self) -> None:
        """Delete what came of people who were deleted after that: something of theirs was under way. Those who have
        been gone for a day are forgotten."""
        for row in await self._database.fetch(MARKS):
            user_id = row["name"].removeprefix(MARK)
            if await self._has_left(user_id):
                await self._database.batch([*self._leaving.deleting(user_id)])
                self._passages.clean()
            await self._files.drop_of(user_id)
            if from_json(row["value"]) < micros() - _DAY:
                await self._database.batch([Statement(FORGET, {"name": row["name"]})])

    async def _has_left(self, user_id: str) -> bool:
        """Whether anything is theirs: looked at by a reader, for the one who writes is not to be held up by a look."""
        for query in LEFT:
            if await self._database.fetch(query, owner=user_id):
                return True
        return False


class StoredPasswords:
    """The Passwords port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def find(self, login: str) -> tuple[UserRecord, str] | None:
        """See Passwords."""
        for row in await self._database.fetch(OF_LOGIN, login=login):
            hashed = str(row.pop("password"))
            return user_of(row), hashed
        return None

    async def of(self, user_id: str) -> str | None:
        """See Passwords."""
        rows = await self._database.fetch(HASH, user_id=user_id)
        return rows[0]["password"] if rows else None

    async def set(self, user_id: str, hashed: str | None, *, before: str | None = None) -> None:
        """See Passwords."""
        args = {"user_id": user_id, "password": hashed, "before": before}
        change = Statement(SET_HASH, args, 1, no_user(user_id))
        if before is not None:
            change = Statement(SET_HASH + STILL, args, 1, Conflict("The password is another one by now."))
        await self._database.batch([Statement(THERE, args, 1, no_user(user_id)), change])

    async def any(self) -> bool:
        """See Passwords."""
        return bool(await self._database.fetch(ANY))


def _taken(user: UserRecord) -> Conflict:
    return Conflict(f"Somebody signs in as {user.login!r} already.", param="login")


def _args(user: UserRecord) -> dict[str, object]:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role,
        "created_at": user.created_at,
        "preferences": to_json(user.preferences),
        "login": user.login,
        "suspended_at": user.suspended_at,
        "terms": to_json(user.terms),
    }
