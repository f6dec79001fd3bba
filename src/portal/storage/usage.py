"""The UsageLog port: rows wait in memory and are written in batches, so that no request waits for them."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

from portal.core.records import UsageRecord
from portal.errors import StorageError, StorageUnavailable
from portal.storage.database import Database, Statement
from portal.storage.rows import maybe_json, to_json

logger = logging.getLogger(__name__)

LONGEST_QUEUE = 10_000
"""Rows that may wait; beyond that the oldest are lost, and the log says so."""

GATHER_SECONDS = 0.25
"""Between two batches: a commit costs far more than a row."""

AGAIN_SECONDS = 2.0
"""Until rows are offered again to a database that was away."""

_COLUMNS = {
    "id": "TEXT",
    "owner": "TEXT",
    "door": "TEXT",
    "model": "TEXT",
    "backend": "TEXT",
    "created_at": "BIGINT",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "estimated": "BIGINT",
    "milliseconds": "BIGINT",
    "status": "TEXT",
    "decision": "TEXT",
    "credential": "TEXT",
    "workspace": "TEXT",
    "first_milliseconds": "BIGINT",
    "error": "TEXT",
}
_ELEMENTS = {"sqlite": "json_each(:rows)", "postgres": "json_array_elements(CAST(:rows AS json))"}
INSERT = f"""
INSERT INTO usage_log ({", ".join(_COLUMNS)})
SELECT {", ".join(f"CAST(value ->> {place} AS {kind})" for place, kind in enumerate(_COLUMNS.values()))}
FROM {{elements}} WHERE TRUE ON CONFLICT (id) DO NOTHING"""
"""All rows of a batch in one statement and one argument, an array of arrays: the database takes them apart, and
meanwhile this process goes on answering."""

SPENT = """
SELECT COUNT(*) AS requests, CAST(COALESCE(SUM(input_tokens + output_tokens), 0) AS BIGINT) AS tokens
FROM usage_log WHERE {whose} AND created_at >= :since"""
WHOSE = {"key": "credential = :whose", "person": "owner = :whose"}


class StoredUsageLog:
    """The UsageLog port on a Database. `run` must run in a task of the opener's; `aclose` writes what is left."""

    def __init__(self, *, database: Database, longest: int = LONGEST_QUEUE) -> None:
        self._database = database
        self._insert = INSERT.format(elements=_ELEMENTS[database.dialect])
        self._queue: deque[UsageRecord] = deque(maxlen=longest)
        self._lost = 0
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._closing = asyncio.Event()

    def begun(self) -> None:
        """See UsageLog: only what has ended is stored."""

    def record(self, usage: UsageRecord) -> None:
        """See UsageLog."""
        self._lost += len(self._queue) == self._queue.maxlen
        self._queue.append(usage)
        if len(self._queue) == 1:
            self._wake.set()

    async def spent(self, kind: Literal["key", "person"], whose: str, since: int) -> tuple[int, int]:
        """See Spending; what waits is written first."""
        await self.write()
        (row,) = await self._database.fetch(SPENT.format(whose=WHOSE[kind]), whose=whose, since=since)
        return row["requests"], row["tokens"]

    async def run(self) -> None:
        """Write what comes, as much at once as came in a moment; ends after `aclose`."""
        pause = GATHER_SECONDS
        while not self._closing.is_set():
            await self._wake.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._closing.wait()
            self._wake.clear()
            pause = GATHER_SECONDS if await self.write() else AGAIN_SECONDS

    async def aclose(self) -> None:
        """Write what is left and let `run` end."""
        self._closing.set()
        self._wake.set()
        if not await self.write():
            logger.warning("%d usage rows were lost: the database is away", len(self._queue))

    async def write(self) -> bool:
        """Write what waits; whether all is through: what a database that is away did not take goes on waiting."""
        async with self._writing:
            waiting, self._lost, lost = list(self._queue), 0, self._lost
            self._queue.clear()
            if lost:
                logger.warning("%d usage rows were lost: they came faster than the database wrote", lost)
            if not waiting:
                return True
            try:
                await self._database.batch([Statement(self._insert, {"rows": _rows(waiting)})])
            except StorageUnavailable:
                self._wait_again(waiting)
                return False
            except StorageError as error:
                logger.warning("%d usage rows were lost: %s", len(waiting), error)
            return True

    def _wait_again(self, waiting: Sequence[UsageRecord]) -> None:
        """Before those that came meanwhile; where there is no room for all, the oldest are lost."""
        all_of_them = [*waiting, *self._queue]
        self._queue.clear()
        self._queue.extend(all_of_them)
        self._lost += len(all_of_them) - len(self._queue)
        self._wake.set()


def _rows(waiting: Sequence[UsageRecord]) -> str:
    """The records as JSON, in the order of the columns, without the one character that no database keeps."""
    return to_json([_row(usage) for usage in waiting]).replace("\\u0000", "\\ufffd")


def _row(usage: UsageRecord) -> list[object]:
    return [
        usage.id,
        usage.owner,
        usage.door,
        usage.model,
        usage.backend,
        usage.created_at,
        usage.input_tokens,
        usage.output_tokens,
        int(usage.estimated),
        usage.milliseconds,
        usage.status,
        maybe_json(usage.decision),
        usage.credential,
        (usage.decision or {}).get("workspace"),
        usage.first_milliseconds,
        usage.error or None,
    ]
