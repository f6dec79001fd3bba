import asyncio
from pathlib import Path

import apsw

from portal.storage.database import Statement
from portal.storage.sqlite import SqliteDatabase, prepare


async def test_who_writes_does_not_wait_for_a_long_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "portal.db"
    prepare(path, newest=1)
    database = SqliteDatabase(path=path, busy_milliseconds=4000)
    await database.batch([Statement("CREATE TABLE t (name TEXT)"), Statement("INSERT INTO t VALUES ('one')")])
    reading = apsw.Connection(str(path))
    reading.execute("BEGIN")
    assert reading.execute("SELECT name FROM t").fetchall() == [("one",)]
    async with asyncio.TaskGroup() as tasks:
        for name in "abcdef":
            tasks.create_task(
                database.batch([Statement("DELETE FROM t"), Statement("INSERT INTO t VALUES (:n)", {"n": name})])
            )
            tasks.create_task(database.scrub())
    reading.execute("ROLLBACK")
    reading.close()
    await database.scrub()
    assert await database.fetch("SELECT name FROM t") == [{"name": "f"}]
    assert (path.with_name("portal.db-wal")).stat().st_size == 0
    await database.aclose()
