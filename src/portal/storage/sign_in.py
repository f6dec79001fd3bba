"""The Passkeys and Identities ports."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.people import PasskeyRecord
from portal.core.records import UserRecord
from portal.errors import Conflict, NotFound
from portal.storage.database import Database, Row, Statement
from portal.storage.rows import USER, user_of

PASSKEY = "id, owner, name, public_key, uses, created_at, last_used_at"
INSERT = f"""
INSERT INTO passkeys ({PASSKEY}) VALUES ({", ".join(f":{name}" for name in PASSKEY.split(", "))})"""
LIST = f"SELECT {PASSKEY} FROM passkeys WHERE owner = :owner ORDER BY created_at, id"
GET = f"SELECT {PASSKEY} FROM passkeys WHERE id = :id"
USED = """
UPDATE passkeys SET uses = :uses, last_used_at = :now WHERE id = :id AND owner = :owner AND uses = :seen RETURNING id"""
ANY = "SELECT 1 FROM passkeys LIMIT 1"
REMOVE = "DELETE FROM passkeys WHERE id = :id AND owner = :owner"

FIND = "SELECT owner FROM identities WHERE issuer = :issuer AND subject = :subject"
ADD = "INSERT INTO identities (issuer, subject, owner) VALUES (:issuer, :subject, :owner)"
WITH_LOGIN = f"SELECT {USER} FROM users WHERE login = :login"


class StoredPasskeys:
    """The Passkeys port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, passkey: PasskeyRecord) -> None:
        """See Passkeys."""
        args = {name: getattr(passkey, name) for name in PASSKEY.split(", ")}
        await self._database.batch([Statement(INSERT, args, 1, Conflict("This passkey is known already."))])

    async def list(self, owner: str) -> Sequence[PasskeyRecord]:
        """See Passkeys."""
        return [_passkey(row) for row in await self._database.fetch(LIST, owner=owner)]

    async def get(self, passkey_id: str) -> PasskeyRecord | None:
        """See Passkeys."""
        rows = await self._database.fetch(GET, id=passkey_id)
        return _passkey(rows[0]) if rows else None

    async def any(self) -> bool:
        """See Passkeys."""
        return bool(await self._database.fetch(ANY))

    async def used(self, passkey: PasskeyRecord, uses: int) -> bool:
        """See Passkeys."""
        args = {"id": passkey.id, "owner": passkey.owner, "seen": passkey.uses, "uses": uses, "now": micros()}
        (rows,) = await self._database.batch([Statement(USED, args)])
        return bool(rows)

    async def remove(self, owner: str, passkey_id: str) -> None:
        """See Passkeys."""
        missing = NotFound(f"There is no passkey {passkey_id!r}.")
        await self._database.batch([Statement(REMOVE, {"id": passkey_id, "owner": owner}, 1, missing)])


class StoredIdentities:
    """The Identities port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def find(self, issuer: str, subject: str) -> str | None:
        """See Identities."""
        rows = await self._database.fetch(FIND, issuer=issuer, subject=subject)
        return rows[0]["owner"] if rows else None

    async def add(self, issuer: str, subject: str, owner: str) -> None:
        """See Identities."""
        args = {"issuer": issuer, "subject": subject, "owner": owner}
        await self._database.batch([Statement(ADD, args, 1, Conflict("Somebody is known by this identity already."))])

    async def with_login(self, login: str) -> UserRecord | None:
        """See Identities."""
        rows = await self._database.fetch(WITH_LOGIN, login=login)
        return user_of(rows[0]) if rows else None


def _passkey(row: Row) -> PasskeyRecord:
    return PasskeyRecord(**{**row, "public_key": bytes(row["public_key"])})
