"""The Files port: content in chunk rows or in a store beside the database, visible only once it is whole; the same
content once for each owner."""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace

from portal.core.clock import micros
from portal.core.records import FileRecord, FileUsage, Page
from portal.errors import BadRequest, NotFound, SettingsError, StorageFull, StorageUnavailable
from portal.storage.cleaning import Cleaning
from portal.storage.contents import Contents
from portal.storage.database import Database, Statement
from portal.storage.owners import holding, there
from portal.storage.rows import FILE, file_of

logger = logging.getLogger(__name__)

CHUNK = 2**20
"""Bytes per row."""

DELETED_AT_ONCE = 16
"""Chunks deleted per batch, so that a large file never holds up a running turn for long."""

INSERT = f"""
INSERT INTO files ({FILE}, ready, content_id, place)
VALUES (:id, :owner, :filename, :purpose, 0, '', :content_type, :created_at, :expires_at, 0, :id, :place)"""

INSERT_CHUNK = "INSERT INTO file_chunks (file_id, number, owner, data) VALUES (:id, :number, :owner, :data)"

SAME = "owner = :owner AND sha256 = :sha256 AND size = :size AND ready = 1"

HOLD_SAME = f"UPDATE files SET ready = 1 WHERE {SAME}"
"""On PostgreSQL nobody deletes in between what the next statement relies on."""

USED = """
SELECT COALESCE(SUM(size), 0)
FROM (SELECT DISTINCT content_id, size FROM files WHERE owner = :owner AND ready = 1) kept"""

PUBLISH = f"""
UPDATE files SET ready = 1, size = :size, sha256 = :sha256,
    content_id = COALESCE((SELECT MIN(content_id) FROM files WHERE {SAME}), id)
WHERE id = :id AND owner = :owner AND ready = 0 AND sha256 = '' AND (
    CAST(:quota AS BIGINT) = 0 OR CAST(:size AS BIGINT) + ({USED}) <= CAST(:quota AS BIGINT)
    OR EXISTS (SELECT 1 FROM files WHERE {SAME})
) RETURNING content_id"""

FORSAKE = "UPDATE files SET ready = 0, sha256 = 'broken off' WHERE id = :id RETURNING content_id"
"""On PostgreSQL the batch that publishes it goes on where its caller was cancelled: before this one, or in vain."""

USAGE = f"""
SELECT ({USED}) AS bytes, (SELECT COUNT(*) FROM files WHERE owner = :owner AND ready = 1) AS files"""

VISIBLE = "owner = :owner AND ready = 1 AND (expires_at IS NULL OR expires_at > :now)"

SELECT = f"SELECT {FILE} FROM files WHERE id = :file_id AND {VISIBLE}"

LIST = f"SELECT {FILE} FROM files WHERE {VISIBLE}"
OF_PURPOSE = " AND purpose = :purpose"
NEWER = " AND (created_at, id) > (SELECT created_at, id FROM files WHERE id = :after)"
OLDER = " AND (created_at, id) < (SELECT created_at, id FROM files WHERE id = :after)"
OLDEST_FIRST = " ORDER BY created_at, id LIMIT :limit"
NEWEST_FIRST = " ORDER BY created_at DESC, id DESC LIMIT :limit"

SELECT_CHUNK = """
SELECT c.data FROM file_chunks c JOIN files f ON f.content_id = c.file_id
WHERE f.id = :file_id AND c.number = :number AND f.owner = :owner AND f.ready = 1"""

SELECT_PLACE = """
SELECT c.id, c.place FROM files f JOIN files c ON c.id = f.content_id
WHERE f.id = :file_id AND f.owner = :owner AND f.ready = 1"""

HIDE = "UPDATE files SET ready = 0 WHERE id = :file_id AND owner = :owner AND ready = 1 RETURNING content_id"

NEEDED = "EXISTS (SELECT 1 FROM files o WHERE o.content_id = :file_id AND o.id <> :file_id AND o.ready = 1)"

DELETE_CHUNKS = f"""
DELETE FROM file_chunks WHERE file_id = :file_id AND number IN (
    SELECT c.number FROM file_chunks c JOIN files f ON f.id = c.file_id
    WHERE c.file_id = :file_id AND f.ready = 0 AND NOT {NEEDED} ORDER BY c.number LIMIT :limit
) RETURNING number"""

DELETE_OWN_CHUNKS = """
DELETE FROM file_chunks WHERE file_id = :file_id AND number IN (
    SELECT c.number FROM file_chunks c JOIN files f ON f.id = c.file_id
    WHERE c.file_id = :file_id AND f.content_id <> f.id ORDER BY c.number LIMIT :limit
) RETURNING number"""
"""Of a file whose content is kept already."""

SELECT_UNNEEDED = f"SELECT place FROM files WHERE id = :file_id AND ready = 0 AND place <> '' AND NOT {NEEDED}"
FORGET_PLACE = "UPDATE files SET place = '' WHERE id = :file_id AND (ready = 0 OR content_id <> id)"
SELECT_OWN_PLACE = "SELECT place FROM files WHERE id = :file_id AND content_id <> id AND place <> ''"

DELETE = f"DELETE FROM files WHERE id = :file_id AND ready = 0 AND place = '' AND NOT {NEEDED}"
"""Not before its content is gone: what was needed a moment ago is left to whoever needed it last."""

NAMELESS = "UPDATE files SET filename = '' WHERE id = :file_id AND ready = 0"

HIDE_EXPIRED = "UPDATE files SET ready = 0 WHERE expires_at <= :now"
HIDE_OLD = """
UPDATE files SET ready = 0 WHERE created_at <= :before AND expires_at IS NULL AND ready = 1
AND NOT EXISTS (SELECT 1 FROM documents d WHERE d.file_id = files.id)"""
SELECT_UNREADY = "SELECT id, content_id FROM files WHERE ready = 0 AND created_at <= :before ORDER BY id DESC"

SELECT_DOUBLED = """
SELECT id FROM files WHERE content_id <> id AND (
    place <> '' OR EXISTS (SELECT 1 FROM file_chunks c WHERE c.file_id = files.id))"""

SELECT_HIDDEN = "SELECT id, content_id FROM files WHERE owner = :owner AND ready = 0"

DAY = 86_400_000_000


class StoredFiles:
    """The Files port on a Database."""

    def __init__(
        self,
        *,
        database: Database,
        cleaning: Cleaning | None = None,
        quota: int = 0,
        keep_days: int = 0,
        contents: Contents | None = None,
        elsewhere: bool = False,
    ) -> None:
        """`quota` is how many bytes an owner may keep, `keep_days` how long what has no end of its own is kept; 0 sets
        no bound. `contents` has the content of some files, and with `elsewhere` that of new ones. `cleaning` sees to
        it that nothing of deleted ones stays in the database."""
        self._database, self._cleaning, self._contents = database, cleaning, contents
        self._place = contents.place if contents and elsewhere else ""
        self.write(quota=quota, keep_days=keep_days)
        self._arriving: set[str] = set()

    def write(self, *, quota: int, keep_days: int) -> None:
        """Hold by these from now on."""
        self._quota, self._keep = quota, keep_days * DAY

    def reach(self, contents: Contents) -> None:
        """Reach the store beside the database in another way from now on."""
        self._contents = contents

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
            "place": self._place,
        }
        if self._quota and (await self.usage(record.owner)).bytes >= self._quota:
            raise self._full(record.filename)
        self._arriving.add(record.id)
        try:
            await self._database.batch([there(record.owner), Statement(INSERT, args)])
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

    async def content(self, owner: str, file_id: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """See Files."""
        record = await self.get(owner, file_id)
        end = record.size if end is None else min(end, record.size)
        kept = await self._database.fetch(SELECT_PLACE, owner=owner, file_id=file_id)
        if kept and kept[0]["place"]:
            async for piece in self._at(kept[0]["place"]).get(kept[0]["id"], start, end):
                yield piece
            return
        for number in range(start // CHUNK, -(-end // CHUNK)):
            rows = await self._database.fetch(SELECT_CHUNK, owner=owner, file_id=file_id, number=number)
            if not rows:
                raise no_file(file_id)
            first, last = max(start - number * CHUNK, 0), min(end - number * CHUNK, CHUNK)
            yield bytes(rows[0]["data"])[first:last]

    async def usage(self, owner: str) -> FileUsage:
        """See Files."""
        row = (await self._database.fetch(USAGE, owner=owner))[0]
        return FileUsage(files=int(row["files"]), bytes=int(row["bytes"]), quota=self._quota)

    async def delete(self, owner: str, file_id: str) -> None:
        """See Files."""
        args = {"owner": owner, "file_id": file_id}
        rows = await self._database.batch([Statement(HIDE, args, 1, no_file(file_id))])
        await self._drop(file_id, rows[0][0]["content_id"])

    async def sweep(self) -> None:
        """Forget what has expired and what broken uploads left. Those under way here are spared, and on PostgreSQL,
        where another server may be at it, those of the last day."""
        now = micros()
        arriving = set(self._arriving)
        await self._database.batch([Statement(HIDE_EXPIRED, {"now": now})])
        if self._keep:
            await self._database.batch([Statement(HIDE_OLD, {"before": now - self._keep})])
        before = now - DAY if self._database.dialect == "postgres" else now
        for row in await self._database.fetch(SELECT_UNREADY, before=before):
            if row["id"] not in arriving | self._arriving:
                await self._drop(row["id"], row["content_id"])
        for row in await self._database.fetch(SELECT_DOUBLED):
            await self._drop_own(row["id"])
        await self._clear(now - DAY)

    async def _clear(self, before: int) -> None:
        """Of content that goes elsewhere in parts. Where it cannot be done now, the next `sweep` does it."""
        if self._contents is None:
            return
        try:
            cleared = await self._contents.clear(before)
        except StorageUnavailable as error:
            logger.warning("%s", error.message)
        else:
            if cleared:
                logger.info("%d uploads that broke off were cleared away", cleared)

    async def drop_of(self, owner: str) -> None:
        """Delete those of somebody who is gone, which are hidden already."""
        for row in await self._database.fetch(SELECT_HIDDEN, owner=owner):
            await self._drop(row["id"], row["content_id"])

    async def _drop(self, file_id: str, content_id: str) -> None:
        """Delete a file that is not visible, and its content unless others have it; a visible one stays. One whose
        content cannot be deleted now is found by the next `sweep`."""
        await self._emptied(DELETE_CHUNKS, file_id)
        for row in await self._database.fetch(SELECT_UNNEEDED, file_id=file_id):
            if not await self._deleted(row["place"], file_id):
                return
            await self._database.batch([Statement(FORGET_PLACE, {"file_id": file_id})])
        args = {"file_id": file_id}
        await self._database.batch([Statement(DELETE, args), Statement(NAMELESS, args), Cleaning.marking("files")])
        if self._cleaning is not None:
            self._cleaning.call()
        if content_id != file_id:
            await self._drop(content_id, content_id)

    async def _drop_own(self, file_id: str) -> None:
        """Delete the content of a file whose content is kept already."""
        await self._emptied(DELETE_OWN_CHUNKS, file_id)
        for row in await self._database.fetch(SELECT_OWN_PLACE, file_id=file_id):
            if await self._deleted(row["place"], file_id):
                await self._database.batch([Statement(FORGET_PLACE, {"file_id": file_id})])

    async def _deleted(self, place: str, name: str) -> bool:
        try:
            await self._at(place).delete(name)
        except (StorageUnavailable, SettingsError) as error:
            logger.warning("the content of a deleted file is still there: %s", error.message)
            return False
        return True

    def _at(self, place: str) -> Contents:
        """Where content is. Raises SettingsError where the settings do not name it."""
        if self._contents is None or self._contents.place != place:
            raise SettingsError(f"The content of this file is in a store of kind {place!r}: set `files.{place}` again.")
        return self._contents

    async def _emptied(self, sql: str, file_id: str) -> None:
        """Delete chunks, a few at a time."""
        args = {"file_id": file_id, "limit": DELETED_AT_ONCE}
        while (await self._database.batch([Statement(sql, args)]))[0]:
            pass

    async def _receive(self, record: FileRecord, content: AsyncIterator[bytes]) -> FileRecord:
        whole = False
        try:
            size, sha256 = await self._store(record, content)
            same = {"owner": record.owner, "size": size, "sha256": sha256}
            args = {**same, "id": record.id, "quota": self._quota}
            # nobody else publishes in between: for whom there would be room as well, or what HOLD_SAME does not hold
            hold = [holding(record.owner), Statement(HOLD_SAME, same)]
            publish = Statement(PUBLISH, args, 1, self._full(record.filename))
            rows = await self._database.batch([*hold, publish])
            whole = True
        finally:
            if not whole:
                (forsaken,) = await self._database.batch([Statement(FORSAKE, {"id": record.id})])
                for row in forsaken:
                    await self._drop(record.id, row["content_id"])
                if self._place and not forsaken:  # it went with its owner meanwhile
                    await self._deleted(self._place, record.id)
        if rows[-1][0]["content_id"] != record.id:
            await self._drop_own(record.id)
        return replace(record, size=size, sha256=sha256)

    def _full(self, name: str) -> StorageFull:
        return StorageFull(
            f"There is no room for {name!r}: your files may take {self._quota:,} bytes (the setting files.quota). "
            "Delete files that you do not need.",
            code="file_quota_reached",
        )

    async def _store(self, record: FileRecord, content: AsyncIterator[bytes]) -> tuple[int, str]:
        """Size and checksum of what was stored."""
        digest, size = hashlib.sha256(), 0

        async def measured() -> AsyncGenerator[bytes, None]:
            nonlocal size
            async for chunk in _chunks(content):
                digest.update(chunk)
                size += len(chunk)
                if 0 < self._quota < size:
                    raise self._full(record.filename)
                yield chunk

        async with aclosing(measured()) as pieces:
            if self._place:
                await self._at(self._place).put(record.id, pieces)
            else:
                await self._store_chunks(record, pieces)
        return size, digest.hexdigest()

    async def _store_chunks(self, record: FileRecord, pieces: AsyncIterator[bytes]) -> None:
        number = 0
        async for chunk in pieces:
            args = {"id": record.id, "owner": record.owner, "number": number, "data": chunk}
            await self._database.batch([Statement(INSERT_CHUNK, args)])
            number += 1


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
