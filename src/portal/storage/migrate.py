"""Bring a database to the newest schema, as one batch, so a failure leaves it as it was.

A migration is `NNNN_name.sql` for both engines, or a pair `NNNN_name.sqlite.sql` and `NNNN_name.postgres.sql`. One that
begins with `-- compatible_from: NNNN` only adds: servers that know the schema from that version on may work with it.
"""

import hashlib
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import resources

from portal.core.clock import micros
from portal.errors import Conflict, DatabaseTooNew, DatabaseUnreadable, StorageError
from portal.storage.database import Database, Readable, Statement

logger = logging.getLogger(__name__)

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

INSERT_COMPATIBLE = """
INSERT INTO schema_compatible (version, compatible_from) VALUES (:version, :compatible_from)"""
SELECT_COMPATIBLE = "SELECT version, compatible_from FROM schema_compatible WHERE version > :known"
HAS_COMPATIBLE = "SELECT 1 WHERE to_regclass('schema_compatible') IS NOT NULL"
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(1349481588, 28007)"
"""Of several servers that start at once the others wait until the first one is done."""

_COMPATIBLE = re.compile(r"-- compatible_from: (\d+)\n")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step."""

    version: int
    name: str
    sql: str

    @property
    def compatible_from(self) -> int | None:
        """The oldest version whose servers may work with this one; None where they may not."""
        found = _COMPATIBLE.match(self.sql)
        return int(found[1]) if found else None

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
        alone = [Statement(ONE_AT_A_TIME)] if database.dialect == "postgres" else []
        await database.batch([*alone, *_steps(missing), *_verification(database, missing[-1].version)])
    except Conflict as error:
        if await applied(database, migrations) < len(migrations):  # else another process was merely faster
            raise StorageError("The upgrade broke a rule of the database; it was undone.") from error
    if there:
        told = "the database was upgraded from schema %d to %d"
        logger.info(told, migrations[there - 1].version, missing[-1].version, extra={"event": "upgrade"})
    return missing[-1].version


async def check_current(database: Readable, migrations: Sequence[Migration]) -> None:
    """For whoever only reads. Raises StorageError for a database of an older Portal, and as `migrate` does."""
    if await applied(database, migrations) < len(migrations):
        raise StorageError("The database is of an older Portal. Start this one on it once, which brings it up to date.")


async def applied(database: Readable, migrations: Sequence[Migration]) -> int:
    """How many of these the database has, after comparing its history with them.

    Raises:
        DatabaseTooNew: it has migrations that this Portal does not know.
        DatabaseUnreadable: its history is not ours.
    """
    if not await database.fetch(HAS_VERSIONS[database.dialect]):
        return 0
    history = await database.fetch(SELECT_VERSIONS)
    newer = history[len(migrations) :]
    if newer and not await _compatible(database, migrations[-1].version, {row["version"] for row in newer}):
        raise DatabaseTooNew(
            f"The database was written by a newer Portal (schema {history[-1]['version']}, "
            f"this one knows {len(migrations)}). Update Portal, or choose another data folder."
        )
    for row, migration in zip(history, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise DatabaseUnreadable(f"The database's schema {row['version']} ({row['name']}) is not this Portal's.")
    return min(len(history), len(migrations))


async def missing_versions(database: Database, migrations: Sequence[Migration]) -> int:
    """How many of these the database does not have yet. Raises as `migrate`."""
    return len(migrations) - await applied(database, migrations)


async def _compatible(database: Readable, known: int, newer: Collection[int]) -> bool:
    """Whether a server that knows the schema up to `known` may work with these newer versions."""
    if database.dialect != "postgres" or not await database.fetch(HAS_COMPATIBLE):
        return False
    marked = {row["version"]: row["compatible_from"] for row in await database.fetch(SELECT_COMPATIBLE, known=known)}
    return all(version in marked and marked[version] <= known for version in newer)


def _steps(missing: Sequence[Migration]) -> list[Statement]:
    """The version's row comes before its SQL, so that the slower of two processes stops at once."""
    steps = [Statement(CREATE_VERSIONS)]
    for migration in missing:
        row = {"version": migration.version, "name": migration.name, "checksum": migration.checksum}
        steps += [Statement(INSERT_VERSION, {**row, "applied_at": micros()}), Statement(migration.sql)]
        if (since := migration.compatible_from) is not None:
            marked = {"version": migration.version, "compatible_from": since}
            steps.append(Statement(INSERT_COMPATIBLE, marked))
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
