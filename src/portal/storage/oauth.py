"""The Clients and Refreshes ports."""

from portal.core.clock import micros
from portal.core.oauth import Client, Refresh
from portal.core.records import CredentialRecord
from portal.errors import Conflict, RateLimited
from portal.storage.database import Database, Statement
from portal.storage.rows import CREDENTIAL, credential_of, from_json, to_json
from portal.storage.users import VALID

CLEAR = """
DELETE FROM oauth_clients WHERE created_at < :idle_before AND (SELECT COUNT(*) FROM oauth_clients) >= :most
    AND id NOT IN (SELECT client_id FROM oauth_refreshes)"""
# Several at once may pass the bound by their number: it is there against floods.
INSERT_CLIENT = """
INSERT INTO oauth_clients (id, name, redirects, created_at)
SELECT :id, :name, :redirects, CAST(:created_at AS BIGINT) WHERE (SELECT COUNT(*) FROM oauth_clients) < :most"""
GET_CLIENT = "SELECT id, name, redirects, created_at FROM oauth_clients WHERE id = :id"

INSERT = """
INSERT INTO oauth_refreshes (secret_hash, owner, credential_id, client_id, created_at, used_at)
VALUES (:secret_hash, :owner, :credential_id, :client_id, :created_at, NULL)"""
GET = """
SELECT owner, credential_id, client_id, created_at, used_at FROM oauth_refreshes WHERE secret_hash = :secret_hash"""
OF_KEY = """
SELECT owner, credential_id, client_id, created_at, used_at FROM oauth_refreshes WHERE credential_id = :credential_id
LIMIT 1"""
USE = """
UPDATE oauth_refreshes SET used_at = :now WHERE secret_hash = :secret_hash AND used_at IS NULL"""
RENEW = f"""
UPDATE credentials SET secret_hash = :key_hash, hint = :hint, expires_at = :expires_at, terms = :terms
WHERE id = :credential_id AND owner = :owner AND kind = 'key' AND {VALID}"""
KEY = f"SELECT {CREDENTIAL} FROM credentials WHERE id = :credential_id AND owner = :owner AND kind = 'key' AND {VALID}"
SWEEP = """
DELETE FROM oauth_refreshes WHERE credential_id NOT IN (SELECT id FROM credentials)"""


class StoredClients:
    """The Clients port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, client: Client, *, most: int, idle_before: int) -> None:
        """See Clients."""
        when = "try again in a quarter of an hour."
        full = RateLimited(f"Too many programs have registered here; {when}", retry_after=900)
        args = {
            "id": client.id,
            "name": client.name,
            "redirects": to_json(list(client.redirects)),
            "created_at": client.created_at,
            "most": most,
        }
        clear = Statement(CLEAR, {"most": most, "idle_before": idle_before})
        await self._database.batch([clear, Statement(INSERT_CLIENT, args, 1, full)])

    async def get(self, client_id: str) -> Client | None:
        """See Clients."""
        for row in await self._database.fetch(GET_CLIENT, id=client_id):
            redirects = from_json(row["redirects"])
            return Client(id=row["id"], name=row["name"], redirects=redirects, created_at=row["created_at"])
        return None


class StoredRefreshes:
    """The Refreshes port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, secret_hash: str, refresh: Refresh) -> None:
        """See Refreshes."""
        await self._database.batch([_insert(secret_hash, refresh)])

    async def get(self, secret_hash: str) -> Refresh | None:
        """See Refreshes."""
        for row in await self._database.fetch(GET, secret_hash=secret_hash):
            return Refresh(**row)
        return None

    async def of_key(self, credential_id: str) -> Refresh | None:
        """See Refreshes."""
        for row in await self._database.fetch(OF_KEY, credential_id=credential_id):
            return Refresh(**row)
        return None

    async def rotate(
        self, secret_hash: str, refresh: Refresh, *, next_hash: str, key: CredentialRecord, key_hash: str
    ) -> bool:
        """See Refreshes."""
        now = micros()
        renewed = {
            "credential_id": key.id,
            "owner": key.owner,
            "key_hash": key_hash,
            "hint": key.hint,
            "expires_at": key.expires_at,
            "terms": to_json(key.terms),
            "now": now,
        }
        used = {"secret_hash": secret_hash, "now": now}
        gone = Conflict("used or over")
        try:
            await self._database.batch(
                [Statement(USE, used, 1, gone), Statement(RENEW, renewed, 1, gone), _insert(next_hash, refresh)]
            )
        except Conflict:
            return False
        return True

    async def key(self, refresh: Refresh) -> CredentialRecord | None:
        """See Refreshes."""
        rows = await self._database.fetch(KEY, credential_id=refresh.credential_id, owner=refresh.owner, now=micros())
        return credential_of(rows[0]) if rows else None

    async def sweep(self) -> None:
        """Forget those whose key is gone."""
        await self._database.batch([Statement(SWEEP)])


def _insert(secret_hash: str, refresh: Refresh) -> Statement:
    args = {
        "secret_hash": secret_hash,
        "owner": refresh.owner,
        "credential_id": refresh.credential_id,
        "client_id": refresh.client_id,
        "created_at": refresh.created_at,
    }
    return Statement(INSERT, args)
