"""The Imports port."""

from collections.abc import Sequence

from portal.core.exchange import ImportRecord, Status
from portal.errors import Conflict, NotFound
from portal.storage.database import Database, Row, Statement
from portal.storage.owners import holding
from portal.storage.rows import from_json, to_json

IMPORT = "id, owner, filename, size, source, status, dry_run, progress, report, problem, created_at, changed_at"
ADD = f"INSERT INTO imports ({IMPORT}) VALUES ({', '.join(f':{name}' for name in IMPORT.split(', '))})"
SAVE = """
UPDATE imports SET source = :source, status = :status, progress = :progress, report = :report, problem = :problem,
    changed_at = :changed_at
WHERE id = :id AND owner = :owner"""
STILL = " AND status = :was"
THERE = "SELECT 1 FROM imports WHERE id = :id AND owner = :owner"
SELECT = f"SELECT {IMPORT} FROM imports WHERE id = :import_id AND owner = :owner"
LIST = f"SELECT {IMPORT} FROM imports WHERE owner = :owner ORDER BY created_at DESC, id DESC LIMIT 100"
DELETE = "DELETE FROM imports WHERE id = :import_id AND owner = :owner"
_OPEN = "status IN ('reading', 'ready', 'importing')"
OPEN = f"SELECT {IMPORT} FROM imports WHERE {_OPEN} ORDER BY created_at, id"
ROOM = f"SELECT 1 AS room WHERE (SELECT COUNT(*) FROM imports WHERE owner = :owner AND {_OPEN}) < :most"


class StoredImports:
    """The Imports port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, record: ImportRecord, *, most: int = 0) -> bool:
        """See Imports."""
        args, full = {**_args(record), "most": most}, Conflict("There are that many.")
        room = [holding(record.owner), Statement(ROOM, args, 1, full)] if most else []
        try:
            await self._database.batch([*room, Statement(ADD, args)])
        except Conflict as error:
            if error is not full:
                raise
            return False
        return True

    async def save(self, record: ImportRecord, *, was: Status | None = None) -> None:
        """See Imports."""
        args = {**_args(record), "was": was}
        save = Statement(SAVE, args, 1, no_import(record.id))
        if was is not None:
            there = Statement(THERE, args, 1, no_import(record.id))
            other = Conflict("This import is another one by now.", code="import_not_ready")
            await self._database.batch([there, Statement(SAVE + STILL, args, 1, other)])
            return
        await self._database.batch([save])

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
