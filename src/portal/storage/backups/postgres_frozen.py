"""A PostgreSQL database as it is at one moment, copied into a SQLite file: what a backup of it holds, so that there is
one kind of backup, which can be opened and checked anywhere and put back into either engine."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from portal.core.clock import micros
from portal.storage.backups.checking import PREFIX, sweep
from portal.storage.backups.containers import UNFINISHED
from portal.storage.backups.data_files import DATABASE_NAME
from portal.storage.database import Statement
from portal.storage.migrate import check_current, migrate, packaged
from portal.storage.moving import Move
from portal.storage.sqlite import SqliteDatabase, prepare


@contextmanager
def copied_out(url: str, scratch: Path, *, secrets: bool) -> Iterator[Path]:
    """The file, in a folder of its own below `scratch`, until the context is left; servers go on meanwhile. `secrets`
    says whether those of other servers are in it. Not within an event loop.

    Raises:
        StorageError: a database failed, or the one at `url` is of an older Portal.
        SettingsError: the extra `postgres` is not there.
    """
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(scratch)
    folder = Path(mkdtemp(prefix=PREFIX, suffix=UNFINISHED, dir=scratch))
    try:
        path = folder / DATABASE_NAME
        prepare(path, newest=packaged("sqlite")[-1].version)
        asyncio.run(_copy(url, path, secrets=secrets))
        yield path
    finally:
        rmtree(folder)


async def _copy(url: str, path: Path, *, secrets: bool) -> None:
    from portal.storage.postgres_alone import one_moment

    database = SqliteDatabase(path=path)
    try:
        await migrate(database, packaged("sqlite"))
        async with one_moment(url) as source:
            await check_current(source, packaged("postgres"))
            await Move(source=source, target=database, fingerprint=str(micros()), told=_unheard).run()
        if not secrets:
            await database.batch([Statement("DELETE FROM sealed_secrets")])
    finally:
        await database.aclose()


def _unheard(table: str, rows: int) -> None:
    """Nobody watches."""
