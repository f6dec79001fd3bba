"""The database port: what every store on it relies on."""

import asyncio

import pytest

from portal.errors import BadRequest, Conflict, NotFound, StorageError
from portal.storage.database import Database, Statement
from portal.storage.open import Storage

INSERT = "INSERT INTO key_values (name, value) VALUES (:name, :value)"
COUNT = "SELECT COUNT(*) AS n FROM key_values"
NAMES = "SELECT name FROM key_values ORDER BY name"


@pytest.fixture
def database(storage: Storage) -> Database:
    return storage.database


def put(name: str, value: str = "v") -> Statement:
    return Statement(INSERT, {"name": name, "value": value})


async def names(database: Database) -> list[str]:
    return [row["name"] for row in await database.fetch(NAMES)]


async def test_a_batch_gives_each_statements_rows(database: Database) -> None:
    returning = Statement(INSERT + " RETURNING name, value", {"name": "a", "value": "1"})
    rows = await database.batch([put("b"), returning, Statement(NAMES)])
    assert rows == [[], [{"name": "a", "value": "1"}], [{"name": "a"}, {"name": "b"}]]


async def test_an_empty_batch_is_nothing(database: Database) -> None:
    assert await database.batch([]) == []


@pytest.mark.parametrize("sql", ["DELETE FROM key_values WHERE name = :name", NAMES])
async def test_an_unmet_expectation_undoes_the_whole_batch(database: Database, sql: str) -> None:
    await database.batch([put("before")])
    with pytest.raises(Conflict):
        await database.batch([put("half"), Statement(sql, {"name": "none"}, expect=3)])
    assert await names(database) == ["before"]


async def test_an_expectation_that_is_met_passes(database: Database) -> None:
    delete = Statement("DELETE FROM key_values WHERE name = :name", {"name": "a"}, expect=1)
    select = Statement("SELECT name FROM key_values", expect=0)
    await database.batch([put("a"), delete, select])
    assert await names(database) == []


async def test_a_missing_row_after_a_change_is_noticed(database: Database) -> None:
    missing = Statement("SELECT name FROM key_values WHERE name = 'x'", expect=1, otherwise=NotFound("no x"))
    with pytest.raises(NotFound, match="no x"):
        await database.batch([put("a"), missing])
    assert await names(database) == []


async def test_a_violated_constraint_is_a_conflict_or_what_the_statement_says(database: Database) -> None:
    await database.batch([put("a")])
    with pytest.raises(Conflict):
        await database.batch([put("b"), put("a")])
    taken = Statement(INSERT, {"name": "a", "value": ""}, 1, BadRequest("taken"))
    with pytest.raises(BadRequest, match="taken"):
        await database.batch([put("c"), taken])
    assert await names(database) == ["a"]


@pytest.mark.parametrize(
    "statement",
    [
        Statement("SELEC 1"),
        Statement("SELECT value FROM no_such_table"),
        Statement(INSERT, {"name": "x"}),
        Statement(INSERT, {"name": "x", "value": object()}),
        Statement("SELECT CAST(:number AS BIGINT) AS n", {"number": 2**70}),
    ],
)
async def test_a_wrong_statement_fails_alone(database: Database, statement: Statement) -> None:
    with pytest.raises(StorageError):
        await database.batch([put("half"), statement])
    with pytest.raises(StorageError):
        await database.snapshot([Statement(COUNT), statement])
    with pytest.raises(StorageError):
        await database.fetch(statement.sql, **statement.args)
    await database.batch([put("after")])
    assert await names(database) == ["after"]


async def test_what_no_database_stores_as_text_is_replaced(database: Database) -> None:
    await database.batch([put("odd", "nul \0, surrogate \ud800, fine é"), put("plain")])
    (row,) = await database.fetch("SELECT value FROM key_values WHERE name = :name", name="odd")
    assert row["value"] == "nul �, surrogate ?, fine é"
    assert await database.fetch("SELECT value FROM key_values WHERE name = :name", name="\0") == []


async def test_colons_quotes_and_percent_signs_in_sql_are_just_text(database: Database) -> None:
    sql = "SELECT ':a %s' AS text, CAST(:a AS TEXT) AS a, 7 % 4 AS rest WHERE 'it''s :b' LIKE 'it%'"
    assert await database.fetch(sql, a="%(x)s") == [{"text": ":a %s", "a": "%(x)s", "rest": 3}]


async def test_a_snapshot_sees_one_moment_and_checks_expectations(database: Database) -> None:
    await database.batch([put("a")])
    count, found = await database.snapshot([Statement(COUNT), Statement(NAMES, expect=1)])
    assert count == [{"n": 1}]
    assert found == [{"name": "a"}]
    with pytest.raises(NotFound):
        await database.snapshot([Statement(COUNT), Statement(NAMES, expect=2, otherwise=NotFound("two"))])


async def test_readers_never_see_half_a_batch(database: Database) -> None:
    async def write() -> None:
        for number in range(60):
            await database.batch([put(f"{number}-a"), put(f"{number}-b")])

    async def read(writing: "asyncio.Task[None]") -> None:
        while not writing.done():
            first, second = await database.snapshot([Statement(COUNT), Statement(COUNT)])
            assert first == second
            assert first[0]["n"] % 2 == 0

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write())
        for _ in range(4):
            group.create_task(read(writing))
    assert (await database.fetch(COUNT))[0]["n"] == 120


async def test_of_many_batches_at_once_each_stands_for_itself(database: Database) -> None:
    """Every third one fails half way; none of its neighbours notices."""

    async def write(number: int) -> bool:
        last = put("0-a") if number % 3 == 2 else put(f"{number}-b")
        try:
            await database.batch([put(f"{number}-a"), last])
        except Conflict:
            return False
        return True

    await write(0)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(write(number)) for number in range(1, 100)]
    assert [task.result() for task in tasks] == [number % 3 != 2 for number in range(1, 100)]
    kept = {name.split("-")[0] for name in await names(database)}
    assert kept == {str(number) for number in range(100) if number % 3 != 2}


async def test_a_cancelled_caller_neither_loses_nor_halves_its_batch(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(database.batch([put(f"{number}-a"), put(f"{number}-b")])) for number in range(40)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
    assert [task.cancelled() for task in tasks] == [True, False] * 20
    while (await database.fetch(COUNT))[0]["n"] < 80:
        await asyncio.sleep(0)
    await database.batch([put("after")])
    assert (await database.fetch(COUNT))[0]["n"] == 81


async def test_a_cancelled_caller_of_a_failing_batch_leaves_nothing(database: Database) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(database.batch([put("a"), put("a")]))
        await asyncio.sleep(0)
        task.cancel()
    await database.batch([put("b")])
    assert await names(database) == ["b"]


async def test_racing_compare_and_set_has_one_winner(database: Database) -> None:
    await database.batch([put("turn", "free")])
    take = "UPDATE key_values SET value = :me WHERE name = 'turn' AND value = 'free'"

    async def race(me: str) -> bool:
        try:
            await database.batch([Statement(take, {"me": me}, expect=1)])
        except Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        racers = [group.create_task(race(str(number))) for number in range(20)]
    assert sum(racer.result() for racer in racers) == 1


async def test_batches_that_lock_in_opposite_order_both_succeed(database: Database) -> None:
    await database.batch([put("a", "0"), put("b", "0")])
    add = "UPDATE key_values SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = :name"

    async def both(first: str, second: str) -> None:
        await database.batch([Statement(add, {"name": first}), Statement(add, {"name": second})])

    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(both("a", "b"))
            group.create_task(both("b", "a"))
    rows = await database.fetch("SELECT value FROM key_values")
    assert [row["value"] for row in rows] == ["6", "6"]
