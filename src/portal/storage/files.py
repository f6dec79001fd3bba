"""The Files port: content in chunk rows, visible only once it is whole."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

from portal.core.clock import micros
from portal.core.records import FileRecord, Page
from portal.errors import BadRequest, NotFound
from portal.storage.database import Database, Statement
from portal.storage.rows import FILE, file_of

CHUNK = 2**20
"""Bytes per row."""

DELETED_AT_ONCE = 16
"""Chunks deleted per batch, so that a large file never holds up a running turn for long."""

INSERT = f"""
INSERT INTO files ({FILE}, ready)
VALUES (:id, :owner, :filename, :purpose, 0, '', :content_type, :created_at, :expires_at, 0)"""

INSERT_CHUNK = "INSERT INTO file_chunks (file_id, number, owner, data) VALUES (:id, :number, :owner, :data)"

PUBLISH = "UPDATE files SET ready = 1, size = :size, sha256 = :sha256 WHERE id = :id AND owner = :owner AND ready = 0"

VISIBLE = "owner = :owner AND ready = 1 AND (expires_at IS NULL OR expires_at > :now)"

SELECT = f"SELECT {FILE} FROM files WHERE id = :file_id AND {VISIBLE}"

LIST = f"SELECT {FILE} FROM files WHERE {VISIBLE}"
OF_PURPOSE = " AND purpose = :purpose"
NEWER = " AND (created_at, id) > (SELECT created_at, id FROM files WHERE id = :after)"
OLDER = " AND (created_at, id) < (SELECT created_at, id FROM files WHERE id = :after)"
OLDEST_FIRST = " ORDER BY created_at, id LIMIT :limit"
NEWEST_FIRST = " ORDER BY created_at DESC, id DESC LIMIT :limit"

SELECT_CHUNK = """
SELECT c.data FROM file_chunks c JOIN files f ON f.id = c.file_id
WHERE c.file_id = :file_id AND c.number = :number AND f.owner = :owner AND f.ready = 1"""

HIDE = "UPDATE files SET ready = 0 WHERE id = :file_id AND owner = :owner AND ready = 1"

DELETE_CHUNKS = """
DELETE FROM file_chunks WHERE file_id = :file_id AND number IN (
    SELECT c.number FROM file_chunks c JOIN files f ON f.id = c.file_id
    WHERE c.file_id = :file_id AND f.ready = 0 ORDER BY c.number LIMIT :limit
) RETURNING number"""

DELETE = "DELETE FROM files WHERE id = :file_id AND ready = 0"

HIDE_EXPIRED = "UPDATE files SET ready = 0 WHERE expires_at <= :now"
SELECT_UNREADY = "SELECT id FROM files WHERE ready = 0 AND created_at <= :before ORDER BY id"

SELECT_HIDDEN = "SELECT id FROM files WHERE owner = :owner AND ready = 0"

DAY = 86_400_000_000


class StoredFiles:
    """The Files port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._arriving: set[str] = set()

    async def create(self, record: FileRecord, content: AsyncIterator[bytes]) -> FileRecord:
        """See Files. What fails in the middle leaves nothing; a crash leaves rows that `sweep` finds."""
        args = {
            "id": record.id,
            "owner": record.owner,
            "filename": record.filename,
            "purpose": record.purpose,
            "content_type": record.content_type,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
        }
        self._arriving.add(record.id)
        try:
            await self._database.batch([Statement(INSERT, args)])
            return await self._receive(record, content)
        finally:
            self._arriving.discard(record.id)

    async def get(self, owner: str, file_id: str) -> FileRecord:
        """See Files."""
        for row in await self._database.fetch(SELECT, owner=owner, file_id=file_id, now=micros()):
            return file_of(row)
        raise no_file(file_id)

    async def list(
        self,
        owner: str,
        *,
        purpose: str | None = None,
        limit: int = 100,
        after: str | None = None,
        ascending: bool = False,
    ) -> Page[FileRecord]:
        """See Files."""
        limit = max(limit, 1)
        args: dict[str, object] = {"owner": owner, "now": micros(), "limit": limit + 1}
        queries = []
        sql = LIST
        if purpose is not None:
            sql, args["purpose"] = sql + OF_PURPOSE, purpose
        if after is not None:
            sql, args["after"] = sql + (NEWER if ascending else OLDER), after
            unknown = BadRequest(f"There is no file {after!r} to go on after.", param="after")
            queries.append(Statement(SELECT, {**args, "file_id": after}, 1, unknown))
        queries.append(Statement(sql + (OLDEST_FIRST if ascending else NEWEST_FIRST), args))
        found = [file_of(row) for row in (await self._database.snapshot(queries))[-1]]
        return Page(found[:limit], found[limit - 1].id if len(found) > limit else None)

    async def content(self, owner: str, file_id: str) -> AsyncIterator[bytes]:
        """See Files."""
        record = await self.get(owner, file_id)
        for number in range(-(-record.size // CHUNK)):
            rows = await self._database.fetch(SELECT_CHUNK, owner=owner, file_id=file_id, number=number)
            if not rows:
                raise no_file(file_id)
            yield bytes(rows[0]["data"])

    async def delete(self, owner: str, file_id: str) -> None:
        """See Files."""
        args = {"owner": owner, "file_id": file_id}
        await self._database.batch([Statement(HIDE, args, 1, no_file(file_id))])
        await self._drop(file_id)

    async def sweep(self) -> None:
        """Forget what has expired and what broken uploads left. Those under way here are spared, and on PostgreSQL,
        where another server may be at it, those of the last day."""
        now = micros()
        arriving = set(self._arriving)
        await self._database.batch([Statement(HIDE_EXPIRED, {"now": now})])
        before = now - DAY if self._database.dialect == "postgres" else now
        for row in await self._database.fetch(SELECT_UNREADY, before=before):
            if row["id"] not in arriving | self._arriving:
                await self._drop(row["id"])

    async def drop_of(self, owner: str) -> None:
        """Delete those of somebody who is gone, which are hidden already."""
        for row in await self._database.fetch(SELECT_HIDDEN, owner=owner):
            await self._drop(row["id"])

    async def _drop(self, file_id: str) -> None:
        """Delete a file that is not visible, a few chunks at a time; a visible one stays."""
        args = {"file_id": file_id, "limit": DELETED_AT_ONCE}
        while (await self._database.batch([Statement(DELETE_CHUNKS, args)]))[0]:
            pass
        await self._database.batch([Statement(DELETE, args)])

    async def _receive(self, record: FileRecord, content: AsyncIterator[bytes]) -> FileRecord:
        whole = False
        try:
            size, sha256 = await self._store(record, content)
            args = {"id": record.id, "owner": record.owner, "size": size, "sha256": sha256}
            await self._database.batch([Statement(PUBLISH, args, 1, no_file(record.id))])
            whole = True
        finally:
            if not whole:
                await self._drop(record.id)
        return replace(record, size=size, sha256=sha256)

    async def _store(self, record: FileRecord, content: AsyncIterator[bytes]) -> tuple[int, str]:
        """Size and checksum of what was stored."""
        digest, size, number = hashlib.sha256(), 0, 0
        async for chunk in _chunks(content):
            digest.update(chunk)
            size += len(chunk)
            args = {"id": record.id, "owner": record.owner, "number": number, "data": chunk}
            await self._database.batch([Statement(INSERT_CHUNK, args)])
            number += 1
        return size, digest.hexdigest()


def no_file(file_id: str) -> NotFound:
    """The error for a file this owner does not have."""
    return NotFound(f"There is no file {file_id!r}.", param="file_id")


async def _chunks(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces of CHUNK, the last one shorter."""
    buffer = bytearray()
    async for piece in content:
        buffer += piece
        while len(buffer) >= CHUNK:
            yield bytes(buffer[:CHUNK])
            del buffer[:CHUNK]
    if buffer:
        yield bytes(buffer)
