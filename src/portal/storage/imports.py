"""The Imports port."""

from collections.abc import Sequence

from portal.core.exchange import ImportRecord
from portal.errors import NotFound
from portal.storage.database import Database, Row, Statement
from portal.storage.rows import from_json, to_json

IMPORT = "id, owner, filename, size, source, status, dry_run, progress, report, problem, created_at, changed_at"
ADD = f"INSERT INTO imports ({IMPORT}) VALUES ({', '.join(f':{name}' for name in IMPORT.split(', '))})"
SAVE = """
UPDATE imports SET source = :source, status = :status, progress = :progress, report = :report, problem = :problem,
    changed_at = :changed_at
WHERE id = :id AND owner = :owner"""
SELECT = f"SELECT {IMPORT} FROM imports WHERE id = :import_id AND owner = :owner"
LIST = f"SELECT {IMPORT} FROM imports WHERE owner = :owner ORDER BY created_at DESC, id DESC LIMIT 100"
DELETE = "DELETE FROM imports WHERE id = :import_id AND owner = :owner"
OPEN = f"SELECT {IMPORT} FROM imports WHERE status IN ('reading', 'ready', 'importing') ORDER BY created_at, id"


class StoredImports:
    """The Imports port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, record: ImportRecord) -> None:
        """See Imports."""
        await self._database.batch([Statement(ADD, _args(record))])

    async def save(self, record: ImportRecord) -> None:
        """See Imports."""
        await self._database.batch([Statement(SAVE, _args(record), 1, no_import(record.id))])

    async def get(self, owner: str, import_id: str) -> ImportRecord:
        """See Imports."""
        for row in await self._database.fetch(SELECT, owner=owner, import_id=import_id):
            return _import_of(row)
        raise no_import(import_id)

    async def list(self, owner: str) -> Sequence[ImportRecord]:
        """See Imports."""
        return [_import_of(row) for row in await self._database.fetch(LIST, owner=owner)]

    async def delete(self, owner: str, import_id: str) -> None:
        """See Imports."""
        args = {"owner": owner, "import_id": import_id}
        await self._database.batch([Statement(DELETE, args, 1, no_import(import_id))])

    async def open(self) -> Sequence[ImportRecord]:
        """See Imports."""
        return [_import_of(row) for row in await self._database.fetch(OPEN)]


def no_import(import_id: str) -> NotFound:
    """The error for an import this owner does not have."""
    return NotFound(f"There is no import {import_id!r}.", param="import_id")


def _args(record: ImportRecord) -> dict[str, object]:
    plain = {name: getattr(record, name) for name in IMPORT.split(", ")}
    return {**plain, "dry_run": int(record.dry_run), "report": to_json(record.report)}


def _import_of(row: Row) -> ImportRecord:
    return ImportRecord(**{**row, "dry_run": bool(row["dry_run"]), "report": from_json(row["report"])})
