"""The Audit port: lines that are only ever added, each with the hash of the one before it."""

import asyncio
import itertools
from collections.abc import Sequence

from portal.core.approvals import AuditRecord
from portal.core.audit import FORGOTTEN, ChainedLine, Flaw, Place, Verified, Walk, chained, line
from portal.core.clock import micros
from portal.core.records import Page
from portal.errors import Conflict, StorageError
from portal.storage.consumption import DAY
from portal.storage.cursors import decode_cursor, encode_cursor
from portal.storage.database import Database, Row, Statement, storable
from portal.storage.rows import AUDIT, audit_of, to_json

INSERT = f"""
INSERT INTO audit ({AUDIT}, seq, prev, hash)
VALUES (:id, :owner, :at, :action, :subject, :detail, :seq, :prev, :hash)"""
HEAD = "SELECT seq, hash FROM audit_head"
MOVE_HEAD = """
INSERT INTO audit_head (id, seq, hash) VALUES (1, :seq, :hash)
ON CONFLICT (id) DO UPDATE SET seq = :seq, hash = :hash
WHERE audit_head.seq = :before AND audit_head.hash = :prev RETURNING seq"""
"""Of two that append at once one comes first, and the other begins anew."""

LIST = f"""
SELECT {AUDIT} FROM audit WHERE owner = :owner{{narrower}} ORDER BY at DESC, id DESC LIMIT :limit"""
AFTER = " AND (at, id) < (:at, :last_id)"
WHOLE = f"SELECT {AUDIT}, seq FROM audit WHERE seq < :before ORDER BY seq DESC LIMIT :limit"

STRAY = """
SELECT id, seq FROM audit
WHERE seq IS NULL OR seq <= COALESCE((SELECT seq FROM audit_start), 0)
    OR seq > COALESCE((SELECT seq FROM audit_head), 0) ORDER BY id"""
STRETCH = f"SELECT {AUDIT}, seq, prev, hash FROM audit WHERE seq > :after AND seq <= :until ORDER BY seq LIMIT 1000"

BEGUN = "SELECT id FROM audit WHERE seq IS NOT NULL LIMIT 1"
OLDER = f"SELECT {AUDIT} FROM audit WHERE seq IS NULL ORDER BY at, id"
CHAIN_OLDER = "UPDATE audit SET seq = :seq, prev = :prev, hash = :hash WHERE id = :id AND seq IS NULL RETURNING seq"

START = "SELECT seq, hash FROM audit_start"
MOVE_START = """
INSERT INTO audit_start (id, seq, hash) VALUES (1, :seq, :hash)
ON CONFLICT (id) DO UPDATE SET seq = :seq, hash = :hash"""
OLDEST = "SELECT seq, hash, at FROM audit WHERE seq > :after ORDER BY seq LIMIT :limit"
FORGET = "DELETE FROM audit WHERE seq > :after AND seq <= :until"
FORGOTTEN_AT_ONCE = 2000

_END = 2**62


class _Overtaken(Conflict):
    """Somebody else appended first."""


class StoredAudit:
    """The Audit port on a Database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._appending = asyncio.Lock()
        self._head: Place | None = None

    async def record(self, entry: AuditRecord) -> None:
        """See Audit."""
        async with self._appending:
            while True:
                before = self._head or await _head(self._database)
                (after, statements), self._head = _append(before, entry), None
                try:
                    await self._database.batch(statements)
                except _Overtaken:
                    continue
                self._head = after
                return

    async def list(self, owner: str, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """See Audit."""
        this, limit, narrower = ("audit", owner), max(limit, 1), ""
        args: dict[str, object] = {"owner": owner, "limit": limit + 1}
        if cursor is not None:
            narrower = AFTER
            args |= zip(("at", "last_id"), decode_cursor(this, cursor, (int, str)), strict=True)
        rows = await self._database.fetch(LIST.format(narrower=narrower), **args)
        page = [audit_of(row) for row in rows[:limit]]
        more = len(rows) > limit
        return Page(page, encode_cursor(this, (page[-1].at, page[-1].id)) if more else None)

    async def whole(self, *, limit: int = 100, cursor: str | None = None) -> Page[AuditRecord]:
        """See Audit."""
        this, limit = ("audit", "whole"), max(limit, 1)
        before = _END if cursor is None else decode_cursor(this, cursor, (int,))[0]
        rows = await self._database.fetch(WHOLE, before=before, limit=limit + 1)
        page, places = rows[:limit], [row.pop("seq") for row in rows]
        return Page(list(map(audit_of, page)), encode_cursor(this, (places[limit - 1],)) if len(rows) > limit else None)

    async def verify(self, anchor: Place | None = None, *, days: int = 0) -> Verified:
        """See Audit."""
        since = micros() - days * DAY if days else 0
        while True:
            found = await self._verified(anchor, since)
            if _place(await self._database.fetch(START)) == found.start:  # else the oldest went in the middle of it
                return found

    async def _verified(self, anchor: Place | None, since: int) -> Verified:
        heads, starts, strays = await self._database.snapshot([Statement(HEAD), Statement(START), Statement(STRAY)])
        head, start = _place(heads), _place(starts)
        flaws = [Flaw(kind="inserted", seq=row["seq"], id=row["id"]) for row in strays]
        walk = Walk(start=start, anchor=anchor, since=since)
        while rows := await self._database.fetch(STRETCH, after=walk.place.seq, until=head.seq):
            flaws += walk.over(ChainedLine(**row) for row in rows)
        flaws += walk.end(head)
        at = walk.place if walk.place == head else head
        return Verified(head=at, flaws=flaws, start=start, unasked=start.seq > 0 and not since)

    async def forget(self, before: int) -> int:
        """Delete the oldest lines, up to the first that is not older than `before`, in microseconds UTC, in steps that
        keep nobody else waiting for long; how many. Each step leaves a line that says up to where the others went:
        there the chain begins from then on. Raises StorageError."""
        gone, last = 0, (await _head(self._database)).seq
        while step := await self._forgotten(before, last):
            gone += step
        return gone

    async def _forgotten(self, before: int, last: int) -> int:
        """One step, up to the place `last`: what says that others went stays."""
        async with self._appending:
            while True:
                head, start = await _head(self._database), _place(await self._database.fetch(START))
                rows = await self._database.fetch(OLDEST, after=start.seq, limit=FORGOTTEN_AT_ONCE)
                old = list(itertools.takewhile(lambda row: row["at"] < before and row["seq"] <= last, rows))
                if not old:
                    return 0
                until = Place(old[-1]["seq"], old[-1]["hash"])
                mark = line("", FORGOTTEN, "audit", {"lines": len(old), "until": str(until)})
                (after, statements), self._head = _append(head, mark), None
                moved = Statement(MOVE_START, {"seq": until.seq, "hash": until.hash})
                going = Statement(FORGET, {"after": start.seq, "until": until.seq}, len(old))
                try:
                    await self._database.batch([*statements, moved, going])
                except _Overtaken:
                    continue
                self._head = after
                return len(old)


async def chain_older(database: Database) -> None:
    """Bring lines of older versions into the chain, once: it begins with them, and a line says how many they are."""
    if await database.fetch(BEGUN) or not (rows := await database.fetch(OLDER)):
        return
    at, statements = Place(), []
    for row in rows:
        following = chained(at, row)
        statements.append(Statement(CHAIN_OLDER, _link(at, following) | {"id": row["id"]}, expect=1))
        at = following
    _, mark = _append(at, line("", "audit.chained", "audit", {"older": len(rows)}))
    start = Statement(MOVE_HEAD, _link(Place(), at) | {"before": 0}, expect=1, otherwise=_Overtaken("Done already."))
    try:
        await database.batch([start, *statements, *mark])
    except _Overtaken:  # another process was faster
        return


async def _head(database: Database) -> Place:
    rows, begun = await database.snapshot([Statement(HEAD), Statement(BEGUN)])
    if begun and not rows:
        raise StorageError("The end of the audit is gone from the database: see `portal audit verify`.")
    return _place(rows)


def _place(rows: Sequence[Row]) -> Place:
    return Place(**rows[0]) if rows else Place()


def _append(before: Place, entry: AuditRecord) -> tuple[Place, list[Statement]]:
    """Where the chain is afterwards, and what brings it there."""
    row = storable(
        {
            "id": entry.id,
            "owner": entry.owner,
            "at": entry.at,
            "action": entry.action,
            "subject": entry.subject,
            "detail": to_json(entry.detail),
        }
    )
    after = chained(before, row)
    link = _link(before, after)
    head = {**link, "before": before.seq}
    return after, [
        Statement(MOVE_HEAD, head, expect=1, otherwise=_Overtaken("The audit has grown meanwhile.")),
        Statement(INSERT, {**row, **link}),
    ]


def _link(before: Place, after: Place) -> dict[str, object]:
    return {"seq": after.seq, "prev": before.hash, "hash": after.hash}
