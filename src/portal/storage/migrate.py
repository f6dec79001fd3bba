"""Bring a database to the newest schema, as one batch, so a failure leaves it as it was.

A migration is `NNNN_name.sql` for both engines, or a pair `NNNN_name.sqlite.sql` and `NNNN_name.postgres.sql`.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from portal.core.clock import micros
from portal.errors import Conflict, DatabaseTooNew, DatabaseUnreadable, StorageError
from portal.storage.database import Database, Statement

_NAME = re.compile(r"(\d{4})_(\w+)(?:\.(sqlite|postgres))?\.sql")

HAS_VERSIONS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name = 'schema_versions'",
    "postgres": "SELECT 1 WHERE to_regclass('schema_versions') IS NOT NULL",
}
CREATE_VERSIONS = """
CREATE TABLE IF NOT EXISTS schema_versions (
    version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL
)"""
SELECT_VERSIONS = "SELECT version, name, checksum FROM schema_versions ORDER BY version"
INSERT_VERSION = """
INSERT INTO schema_versions (version, name, checksum, applied_at)
VALUES (:version, :name, :checksum, :applied_at)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the SQL."""
        return hashlib.sha256(self.sql.encode("utf-8")).hexdigest()


def packaged(dialect: str) -> list[Migration]:
    """The migrations of this Portal for one engine, oldest first."""
    found = []
    for file in resources.files("portal.storage.migrations").iterdir():
        match = _NAME.fullmatch(file.name)
        if match and match[3] in (None, dialect):
            sql = file.read_text(encoding="utf-8")
            if dialect == "postgres" and match[3] is None:
                sql = re.sub(r"\bBLOB\b", "BYTEA", sql)
            found.append(Migration(int(match[1]), match[2], sql))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(database: Database, migrations: Sequence[Migration]) -> int:
    """Apply what is missing; the version reached.

    Raises:
        DatabaseTooNew: it has migrations that this Portal does not know.
        DatabaseUnreadable: its history is not ours.
        StorageError: a migration failed; the database is as it was.
    """
    there = await applied(database, migrations)
    missing = migrations[there:]
    if not missing:
        return there
    try:
        await database.batch([*_steps(missing), *_verification(database, missing[-1].version)])
    except Conflict as error:
        if await applied(database, migrations) < len(migrations):  # else another process was merely faster
            raise StorageError("The upgrade broke a rule of the database; it was undone.") from error
    return missing[-1].version


async def check_current(database: Database, migrations: Sequence[Migration]) -> None:
    """For whoever only reads. Raises StorageError for a database of an older Portal, and as `migrate` does."""
    if await applied(database, migrations) < len(migrations):
        raise StorageError("The database is of an older Portal. Start this one on it once, which brings it up to date.")


async def applied(database: Database, migrations: Sequence[Migration]) -> int:
    """How many of these the database has, after comparing its history with them.

    Raises:
        DatabaseTooNew: it has migrations that this Portal does not know.
        DatabaseUnreadable: its history is not ours.
    """
    if not await database.fetch(HAS_VERSIONS[database.dialect]):
        return 0
    history = await database.fetch(SELECT_VERSIONS)
    if len(history) > len(migrations):
        raise DatabaseTooNew(
            f"The database was written by a newer Portal (schema {history[-1]['version']}, "
            f"this one knows {len(migrations)}). Update Portal, or choose another data folder."
        )
    for row, migration in zip(history, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise DatabaseUnreadable(f"The database's schema {row['version']} ({row['name']}) is not this Portal's.")
    return len(history)


def _steps(missing: Sequence[Migration]) -> list[Statement]:
    """The version's row comes before its SQL, so that the slower of two processes stops at once."""
    steps = [Statement(CREATE_VERSIONS)]
    for migration in missing:
        row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        steps += [Statement(INSERT_VERSION, {**row, "applied_at": micros()}), Statement(migration.sql)]
    return steps


def _verification(database: Database, version: int) -> list[Statement]:
    if database.dialect != "sqlite":
        return []
    broken = StorageError("The upgrade left the database inconsistent; it was undone.")
    return [
        Statement("PRAGMA foreign_key_check", expect=0, otherwise=broken),
        Statement("SELECT 1 FROM pragma_quick_check WHERE quick_check <> 'ok'", expect=0, otherwise=broken),
        Statement(f"PRAGMA user_version = {version}"),
    ]
