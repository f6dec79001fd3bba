"""Move all that one database holds into an empty one of the other engine: page by page, each in one transaction with
the place to go on at, so that a move that was ended in any way goes on where it was. The source is only read."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from portal.core.items import JsonObject
from portal.errors import Conflict, StorageError
from portal.storage.database import Database, Readable, Row, Statement
from portal.storage.key_values import DELETE as FORGET
from portal.storage.key_values import SAVE, StoredKeyValues
from portal.storage.moving_rows import (
    FIRST,
    MOST,
    PAGE_BYTES,
    Source,
    counting_on,
    references_of,
    referring,
    source_of,
    vector_sources,
    weight,
    writing,
)
from portal.storage.moving_tables import Table, tables
from portal.storage.rows import to_json

logger = logging.getLogger(__name__)

MARK = "moving"
"""The key of the progress, in the database that is being filled."""
SAMPLES = 100
"""Rows of each table that are compared at the end, taken at random."""

Told = Callable[[str, int], None]
"""Hears of each table how many rows of it are there."""


@dataclass(slots=True)
class _Progress:
    """What the mark says. `source` tells one state of a source from another."""

    source: str
    done: dict[str, int] = field(default_factory=dict)
    """Rows by step, of those that are through."""
    step: str = ""
    after: Sequence[object] | None = None
    rows: int = 0

    def saving(self) -> Statement:
        told = {"source": self.source, "done": self.done, "step": self.step, "after": self.after, "rows": self.rows}
        return Statement(SAVE, {"name": MARK, "value": to_json(told)})


async def check_whole(database: Database) -> None:
    """For whoever opens a database. Raises StorageError where a move into it has not come to its end."""
    if await StoredKeyValues(database=database).get(MARK) is not None:
        raise StorageError(
            "A move into this database has not come to its end. Go on with the same `portal migrate-to` command, or "
            "name an empty database."
        )


class Move:
    """One move. Nobody else may write to either database meanwhile."""

    def __init__(self, *, source: Readable, target: Database, fingerprint: str, told: Told) -> None:
        """`fingerprint` is another one whenever anything in the source was changed."""
        self._source, self._target = source, target
        self._fingerprint, self._told = fingerprint, told
        self._key_values = StoredKeyValues(database=target)
        self._tables: Sequence[Table] = ()

    async def run(self) -> Mapping[str, int]:
        """Rows by table, once all is there and was compared.

        Raises:
            Conflict: the target is not empty, or the source changed since a move that is gone on with.
            StorageError: a database failed, or what arrived is not what left; going on later is possible.
        """
        self._tables = await tables(*self._engines())
        progress = await self._begun()
        for source in (source_of(table, without=_without(table)) for table in self._tables):
            await self._copy(source, progress, self._writing)
        for table in self._tables:
            for column in table.own:
                await self._copy(references_of(table, column), progress, self._referring)
        for source in vector_sources(self._source.dialect, indexed_ones=await self._settled()):
            await self._copy(source, progress, self._writing)
        await self._compare(progress)
        finish = [Statement(FORGET, {"name": MARK})]
        if self._target.dialect == "postgres":
            finish += [counting_on(table) for table in self._tables if table.counted]
        await self._target.batch(finish)
        return {name: count for name, count in progress.done.items() if "." not in name}

    def _engines(self) -> tuple[Readable, Readable]:
        both: tuple[Readable, Readable] = (self._source, self._target)
        sqlite, postgres = sorted(both, key=lambda database: database.dialect, reverse=True)
        return sqlite, postgres

    async def _settled(self) -> bool:
        """Whether the source has vectors anywhere but where new ones are."""
        if self._source.dialect == "sqlite":
            return True
        sql = "SELECT 1 FROM information_schema.columns WHERE table_name = 'passage_near' AND column_name = 'near'"
        return bool(await self._source.fetch(sql))

    async def _begun(self) -> _Progress:
        """Where to go on; for a first time the target must be empty."""
        known: JsonObject | None = await self._key_values.get(MARK)
        if known is not None:
            if known["source"] != self._fingerprint:
                raise Conflict(
                    "What is moved was changed since this move began. Name an empty database, and begin again."
                )
            return _Progress(**known)
        for table in self._tables:
            if await self._target.fetch(f"SELECT 1 FROM {table.name} LIMIT 1"):
                raise Conflict(f"The database to move to is not empty ({table.name}). Name an empty one.")
        progress = _Progress(self._fingerprint)
        await self._target.batch([progress.saving()])
        return progress

    async def _writing(self, source: Source, rows: Sequence[Row]) -> Sequence[Statement]:
        return writing(source.table, source.read(rows), self._target.dialect)

    async def _referring(self, source: Source, rows: Sequence[Row]) -> Sequence[Statement]:
        return referring(source, rows, self._target.dialect)

    async def _copy(
        self,
        source: Source,
        progress: _Progress,
        put: Callable[[Source, Sequence[Row]], Awaitable[Sequence[Statement]]],
    ) -> None:
        if source.step in progress.done:
            return
        if progress.step != source.step:
            progress.step, progress.after, progress.rows = source.step, None, 0
        limit = FIRST
        while True:
            sql, args = source.page(progress.after, limit)
            rows = await self._source.fetch(sql, **args)
            if rows:
                progress.after, progress.rows = source.place(rows[-1]), progress.rows + len(rows)
            if len(rows) < limit:
                progress.done[source.step] = progress.rows
            await self._target.batch([*(await put(source, rows) if rows else ()), progress.saving()])
            self._told(source.step, progress.rows)
            if len(rows) < limit:
                return
            limit = max(min(limit * PAGE_BYTES // max(weight(rows), 1), limit * 4, MOST), 1)

    async def _compare(self, progress: _Progress) -> None:
        for table in self._tables:
            without = _without(table)
            where = f" WHERE NOT ({without})" if without else ""
            counted = f"SELECT COUNT(*) AS rows FROM {table.name}{where}"
            here, there = [(await one.fetch(counted))[0]["rows"] for one in (self._source, self._target)]
            if not here == there == progress.done[table.name]:
                raise StorageError(f"Of {here:,} rows of {table.name} {there:,} arrived.")
            keys = f"SELECT {', '.join(table.key)} FROM {table.name}{where} ORDER BY random() LIMIT {SAMPLES}"
            for key in await self._source.fetch(keys):
                await self._compare_row(table, key)
        vectors = sum(count for step, count in progress.done.items() if step.startswith("passage_vectors"))
        (arrived,) = await self._target.fetch("SELECT COUNT(*) AS rows FROM passage_vectors")
        if arrived["rows"] != vectors:
            raise StorageError(f"Of {vectors:,} vectors {arrived['rows']:,} arrived.")

    async def _compare_row(self, table: Table, key: Row) -> None:
        same = " AND ".join(f"{name} = :{name}" for name in table.key)
        sql = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {same}"
        left, arrived = [await one.fetch(sql, **key) for one in (self._source, self._target)]
        if left != arrived:
            raise StorageError(f"The row {', '.join(map(str, key.values()))} of {table.name} is not what it was.")


def _without(table: Table) -> str:
    return f"name = '{MARK}'" if table.name == "key_values" else ""
