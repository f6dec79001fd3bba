"""SQLite through apsw: WAL, one writer thread with group commit, a few readers.

Several queued batches share one commit; each is atomic by a savepoint of its own, and its caller wakes only after
that commit is on disk.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import apsw

from portal.errors import DatabaseTooNew, DatabaseUnreadable, IndexDamaged, PortalError, StorageError
from portal.storage.data_folder import make_private_file, make_private_folder
from portal.storage.database import Row, Statement, storable
from portal.storage.distances import add_distances, extension
from portal.storage.sqlite_errors import translated
from portal.storage.sqlite_scrub import Scrubbing

logger = logging.getLogger(__name__)

APPLICATION_ID = 0x506F7274
"""`Port` in the file's header: how Portal knows its own databases."""

READERS = 3
GROUP = 128
"""Most batches that share one commit."""
BUSY_MILLISECONDS = 10_000
"""How long to wait for another process (a command beside the server) to finish its write."""

_MAGIC = b"SQLite format 3\0"

_Rows: TypeAlias = list[list[Row]]
_Outcome: TypeAlias = "_Rows | PortalError"

_Mend: TypeAlias = Callable[[apsw.Connection], None]

_WRONG_ARGUMENTS = (TypeError, ValueError, KeyError, OverflowError)


@dataclass(frozen=True, slots=True)
class _Job:
    statements: Sequence[Statement]
    done: "asyncio.Future[_Rows]"
    mend: _Mend | None = None
    """What is done instead."""


class SqliteDatabase:
    """The database port on one SQLite file. `open` makes one; `aclose` must be awaited."""

    dialect: Literal["sqlite", "postgres"] = "sqlite"

    def __init__(
        self,
        *,
        path: Path,
        vfs: str | None = None,
        busy_milliseconds: int = BUSY_MILLISECONDS,
        mend: _Mend | None = None,
    ) -> None:
        """Opens the file and starts the threads; `vfs` names an apsw VFS, `mend` mends its indexes of words."""
        self._path, self._vfs, self._mend = path, vfs, mend
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._mending: asyncio.Future[_Rows] | None = None
        """One for all who came upon it: to look through an index takes its time."""
        self._group: list[_Job] = []
        self._closed = False
        self._stopped = self._loop.create_future()
        self._writer = _connect(path, vfs)
        self._writer.set_busy_timeout(busy_milliseconds)
        self._idle: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="portal-read")
        self._thread = threading.Thread(target=self._write_forever, name="portal-write", daemon=True)
        self._thread.start()

    async def own(self) -> None:
        """See Database; nothing to do: whoever owns the data folder owns the file in it."""

    async def fetch(self, sql: str, **args: object) -> list[Row]:
        """See Database."""
        return (await self.snapshot([Statement(sql, args)]))[0]

    async def snapshot(self, queries: Sequence[Statement]) -> list[list[Row]]:
        """See Database."""
        return await self._mended(lambda: self._snapshot(queries))

    async def batch(self, statements: Sequence[Statement]) -> list[list[Row]]:
        """See Database."""
        return await self._mended(lambda: self._written(_Job(statements, self._loop.create_future())))

    async def _mended(self, work: Callable[[], Awaitable[_Rows]]) -> _Rows:
        """Once more, where an index of words was in the way and could be mended."""
        try:
            return await work()
        except IndexDamaged:
            if self._mend is None:
                raise
        self._check_open()
        if self._mending is None or self._mending.done():
            job = _Job((), self._loop.create_future(), self._mend)
            self._mending = job.done
            self._jobs.put(job)
        await asyncio.shield(self._mending)
        return await work()

    async def _snapshot(self, queries: Sequence[Statement]) -> _Rows:
        self._check_open()
        outcome = await self._loop.run_in_executor(self._readers, self._read, queries)
        if isinstance(outcome, PortalError):
            raise outcome
        return outcome

    async def _written(self, job: _Job) -> _Rows:
        self._check_open()
        self._jobs.put(job)
        return await job.done

    async def scrub(self) -> bool:
        """See Database."""
        scrubbing = Scrubbing(partial(_connect, self._path, self._vfs), self._path, self._vfs)
        while scrubbing.going:
            self._check_open()
            error = await self._loop.run_in_executor(self._readers, _step, scrubbing)
            if error is not None:
                raise error
        return scrubbing.done

    async def aclose(self) -> None:
        """Finish what is queued, then close the file."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.shield(self._stopped)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("The database is closed.")

    # In a reader's thread.

    def _read(self, queries: Sequence[Statement]) -> _Outcome:
        try:
            connection = self._connection()
            try:
                return _run_reading(connection, queries)
            finally:
                self._idle.append(connection)
        except PortalError as error:
            return error

    def _connection(self) -> apsw.Connection:
        try:
            return self._idle.pop()  # asked for, not looked at first: another thread may take it in between
        except IndexError:
            return _connect(self._path, self._vfs, reader=True)

    # In the writer's thread.

    def _write_forever(self) -> None:
        try:
            while jobs := self._next_group():
                self._group = jobs
                self._loop.call_soon_threadsafe(_wake, list(zip(jobs, self._write(jobs), strict=True)))
        except Exception:  # the boundary of this thread: nobody above would hear of it
            logger.exception("the database's writer ended by a fault of its own")
        finally:
            self._closed = True
            self._shut_down()

    def _next_group(self) -> list[_Job]:
        """The next job and those queued behind it; nothing once the end was queued."""
        first = self._jobs.get()
        if first is None:
            return []
        group = [first]
        while len(group) < GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group

    def _write(self, jobs: Sequence[_Job]) -> "list[_Outcome]":
        try:
            return self._write_together(jobs)
        except apsw.Error as error:
            _roll_back(self._writer)
            if len(jobs) == 1 or isinstance(error, apsw.BusyError):
                return [translated(error) for _ in jobs]
        return [outcome for job in jobs for outcome in self._write([job])]

    def _write_together(self, jobs: Sequence[_Job]) -> "list[_Outcome]":
        """One transaction, a savepoint for each. An apsw.Error means that none of them was stored."""
        self._writer.execute("BEGIN IMMEDIATE")
        outcomes = [self._write_one(job) for job in jobs]
        self._writer.execute("COMMIT")
        return outcomes

    def _write_one(self, job: _Job) -> _Outcome:
        connection = self._writer
        connection.execute("SAVEPOINT batch")
        outcome = _run_all(connection, job.statements, job.mend)
        if isinstance(outcome, PortalError):
            connection.execute("ROLLBACK TO batch")
        connection.execute("RELEASE batch")
        return outcome

    def _shut_down(self) -> None:
        """Close everything and tell whoever still waits; the writer goes last, so that it tidies the WAL away."""
        self._readers.shutdown(wait=True)
        for connection in self._idle:
            connection.close()
        try:
            self._writer.close()
        except apsw.Error as error:
            logger.warning("the database was not tidied up as it was closed, its next opening does so: %s", error)
        waiting: list[_Job | None] = [*self._group]
        while not self._jobs.empty():
            waiting.append(self._jobs.get_nowait())
        ended = [(job, StorageError("The database is closed.")) for job in waiting if job is not None]
        self._loop.call_soon_threadsafe(_wake, ended)
        self._loop.call_soon_threadsafe(self._stopped.set_result, None)


def _wake(outcomes: "Sequence[tuple[_Job, _Outcome]]") -> None:
    for job, outcome in outcomes:
        if job.done.done():
            continue
        if isinstance(outcome, PortalError):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)


def _run_all(connection: apsw.Connection, statements: Sequence[Statement], mend: _Mend | None) -> _Outcome:
    """The rows of each statement, or why not; raises apsw.Error when SQLite gave up the whole transaction."""
    try:
        if mend is not None:
            mend(connection)
        return [_run(connection, statement) for statement in statements]
    except PortalError as error:
        return error
    except apsw.Error as error:
        if not connection.in_transaction:
            raise
        return translated(error)
    except _WRONG_ARGUMENTS as error:
        return translated(error)


def _run(connection: apsw.Connection, statement: Statement) -> list[Row]:
    before = connection.total_changes()
    try:
        rows = _rows(connection, statement.sql, storable(statement.args))
    except apsw.ConstraintError as error:
        raise statement.violated() from error
    if statement.expect is not None:
        changed = connection.changes() if connection.total_changes() != before else 0
        statement.check(len(rows) or changed)
    return rows


def _rows(connection: apsw.Connection, sql: str, args: Mapping[str, object]) -> list[Row]:
    cursor = connection.execute(sql, args)
    first = cursor.fetchone()
    if first is None:
        return []
    names = [column[0] for column in cursor.get_description()]
    return [dict(zip(names, first, strict=True)), *(dict(zip(names, row, strict=True)) for row in cursor)]


def _run_reading(connection: apsw.Connection, queries: Sequence[Statement]) -> _Outcome:
    try:
        if len(queries) == 1:
            return _run_all_reading(connection, queries)
        connection.execute("BEGIN")
        try:
            return _run_all_reading(connection, queries)
        finally:
            _roll_back(connection)
    except apsw.Error as error:
        return translated(error)


def _run_all_reading(connection: apsw.Connection, queries: Sequence[Statement]) -> _Outcome:
    try:
        return [_run(connection, query) for query in queries]
    except PortalError as error:
        return error
    except _WRONG_ARGUMENTS as error:
        return translated(error)


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _connect(path: Path, vfs: str | None, *, reader: bool = False) -> apsw.Connection:
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=vfs, statementcachesize=256)
    except apsw.Error as error:
        raise translated(error) from error
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        for pragma in _READER if reader else _WRITER:
            connection.execute(pragma)
        if reader:
            add_distances(connection, extension())
    except apsw.Error as error:
        connection.close()
        raise translated(error) from error
    return connection


_READER = ("PRAGMA query_only = ON", "PRAGMA cache_size = -4000", "PRAGMA temp_store = MEMORY")
_WRITER = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA cache_size = -8000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


def _step(scrubbing: Scrubbing) -> PortalError | None:
    try:
        scrubbing.step()
    except (apsw.Error, OSError) as error:
        return translated(error)
    except PortalError as error:
        return error
    return None


def prepare(path: Path, *, newest: int) -> None:
    """Make sure that a database of ours is at `path`; a missing or empty one is made. Nothing else is touched.

    Raises:
        DatabaseTooNew: its schema is above `newest`.
        DatabaseUnreadable: it is something else, damaged or not readable.
    """
    try:
        if not path.exists():
            make_private_folder(path.parent)
            make_private_file(path)
        if path.stat().st_size == 0:
            return _make(path)
        if not path.with_name(path.name + "-journal").exists():
            _check_header(path, _head(path), newest)
        path.chmod(0o600)
    except (OSError, apsw.Error) as error:
        raise translated(error) from error


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _check_header(path: Path, head: bytes, newest: int) -> None:
    version, application = int.from_bytes(head[60:64], "big"), int.from_bytes(head[68:72], "big")
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise DatabaseUnreadable(f"{path} is not a database, or it is damaged. Move it away, or restore a copy.")
    if application != APPLICATION_ID:
        raise DatabaseUnreadable(f"{path} is a database of another program. Choose another data folder.")
    if version > newest:
        raise DatabaseTooNew(
            f"{path} was written by a newer Portal (schema {version}, this one knows {newest}). "
            "Update Portal, or choose another data folder."
        )


def _make(path: Path) -> None:
    """Mark a new file as ours while it still has a rollback journal, so that the mark is in the file itself."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    finally:
        connection.close()
