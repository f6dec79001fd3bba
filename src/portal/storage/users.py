"""The Users port: people and the credentials that stand for them."""

from collections.abc import Sequence

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.records import CredentialRecord, UserRecord
from portal.errors import Conflict, NotFound
from portal.storage.database import Database, Statement
from portal.storage.owners import no_user
from portal.storage.people import ADMITTED
from portal.storage.rows import CREDENTIAL, USER, credential_of, to_json, user_of

# Whoever is first makes the owner; a unique index lets the others find that one.
INSERT_OWNER = f"""
INSERT INTO users ({USER}) VALUES (:id, 'Owner', 'owner', :created_at, '{{}}', NULL, NULL, '{{}}')
ON CONFLICT DO NOTHING"""
SELECT_OWNER = f"SELECT {USER} FROM users WHERE role = 'owner'"

SELECT = f"SELECT {USER} FROM users WHERE id = :user_id"
SET_PREFERENCES = "UPDATE users SET preferences = :preferences WHERE id = :user_id"

INSERT_CREDENTIAL = f"""
INSERT INTO credentials ({CREDENTIAL}, secret_hash)
VALUES (:id, :owner, :kind, :name, :hint, :created_at, :expires_at, :last_used_at, :terms,
    :secret_hash)"""

# Of somebody who is suspended none is good, whatever else it says.
VALID = f"(expires_at IS NULL OR expires_at > :now) AND {ADMITTED.format(owner='owner')}"

FIND_CREDENTIAL = f"SELECT {CREDENTIAL} FROM credentials WHERE kind = :kind AND secret_hash = :secret_hash AND {VALID}"

TAKE_LINK = f"""
DELETE FROM credentials WHERE kind = 'link' AND secret_hash = :secret_hash AND {VALID} RETURNING {CREDENTIAL}"""

LIST_CREDENTIALS = f"""
SELECT {CREDENTIAL} FROM credentials WHERE owner = :owner AND kind = :kind AND {VALID}
ORDER BY created_at DESC, id DESC"""

REVOKE_OTHERS = """
DELETE FROM credentials WHERE owner = :owner AND kind IN ('session', 'link') AND id <> :kept RETURNING id"""

TOUCH = """
UPDATE credentials SET last_used_at = :when, expires_at = COALESCE(CAST(:expires_at AS BIGINT), expires_at)
WHERE id = :credential_id"""
DELETE_EXPIRED = "DELETE FROM credentials WHERE expires_at <= :now"
REVOKE = "DELETE FROM credentials WHERE id = :credential_id AND owner = :owner"

END_ALL = "DELETE FROM credentials RETURNING id"


async def end_credentials(database: Database) -> int:
    """For the owner of the data alone: end every key, session and link of everybody; how many there were."""
    (rows,) = await database.batch([Statement(END_ALL)])
    return len(rows)


class StoredUsers:
    """The Users port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def owner(self) -> UserRecord:
        """See Users."""
        for row in await self._database.fetch(SELECT_OWNER):
            return user_of(row)
        insert = Statement(INSERT_OWNER, {"id": new_id("user"), "created_at": micros()})
        _, rows = await self._database.batch([insert, Statement(SELECT_OWNER)])
        return user_of(rows[0])

    async def get(self, user_id: str) -> UserRecord:
        """See Users."""
        for row in await self._database.fetch(SELECT, user_id=user_id):
            return user_of(row)
        raise no_user(user_id)

    async def set_preferences(self, user_id: str, preferences: JsonObject) -> None:
        """See Users."""
        args = {"user_id": user_id, "preferences": to_json(preferences)}
        await self._database.batch([Statement(SET_PREFERENCES, args, 1, no_user(user_id))])

    async def add_credential(self, record: CredentialRecord, secret_hash: str) -> None:
        """See Users."""
        args = {
            "id": record.id,
            "owner": record.owner,
            "kind": record.kind,
            "name": record.name,
            "hint": record.hint,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "last_used_at": record.last_used_at,
            "terms": to_json(record.terms),
            "secret_hash": secret_hash,
        }
        taken = Conflict(f"There is a {record.kind} named {record.name!r} already.", param="name")
        await self._database.batch([Statement(INSERT_CREDENTIAL, args, 1, taken)])

    async def find_credential(self, kind: str, secret_hash: str) -> CredentialRecord | None:
        """See Users."""
        rows = await self._database.fetch(FIND_CREDENTIAL, kind=kind, secret_hash=secret_hash, now=micros())
        return credential_of(rows[0]) if rows else None

    async def take_link(self, secret_hash: str) -> CredentialRecord | None:
        """See Users."""
        (rows,) = await self._database.batch([Statement(TAKE_LINK, {"secret_hash": secret_hash, "now": micros()})])
        return credential_of(rows[0]) if rows else None

    async def credentials(self, owner: str, kind: str) -> Sequence[CredentialRecord]:
        """See Users."""
        rows = await self._database.fetch(LIST_CREDENTIALS, owner=owner, kind=kind, now=micros())
        return [credential_of(row) for row in rows]

    async def touch(self, credential_id: str, when: int, *, expires_at: int | None = None) -> None:
        """See Users."""
        args = {"credential_id": credential_id, "when": when, "expires_at": expires_at}
        await self._database.batch([Statement(TOUCH, args)])

    async def sweep(self) -> None:
        """Forget expired credentials."""
        await self._database.batch([Statement(DELETE_EXPIRED, {"now": micros()})])

    async def revoke_others(self, owner: str, kept: str) -> Sequence[str]:
        """See Users."""
        (rows,) = await self._database.batch([Statement(REVOKE_OTHERS, {"owner": owner, "kept": kept})])
        return [row["id"] for row in rows]

    async def revoke(self, owner: str, credential_id: str) -> None:
        """See Users."""
        args = {"owner": owner, "credential_id": credential_id}
        missing = NotFound(f"There is no credential {credential_id!r}.")
        await self._database.batch([Statement(REVOKE, args, 1, missing)])
