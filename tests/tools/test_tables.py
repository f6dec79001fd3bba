"""Tables in real files of every kind, and charts of them."""

from pathlib import Path

import pytest
from tests.tools.loopback import call, conversation, family, refusal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext

SALES = "day,shop,amount\n2026-01-01,Rome,10.5\n2026-01-01,Oslo,4\n2026-01-02,Rome,7\n2026-01-03,Oslo,\n"


@pytest.fixture
def tables(tmp_path: Path) -> Toolset:
    return family("tables", tmp_path)


@pytest.fixture
def talk(tmp_path: Path) -> ToolContext:
    made = conversation(tmp_path)
    (made.folder / "sales.csv").write_text(SALES)
    return made


async def test_a_table_is_described(tables: Toolset, talk: ToolContext) -> None:
    said = (await call(tables, "describe_table", talk, path="sales.csv")).text

    assert said.startswith("4 rows\n")
    assert "day | DATE" in said
    assert "amount | DOUBLE | 4 | 25" in said
    assert "2026-01-01 | Rome | 10.5" in said


async def test_groups_and_pivots(tables: Toolset, talk: ToolContext) -> None:
    counted = await call(tables, "group_table", talk, path="sales.csv", by=["shop"])
    added = await call(tables, "group_table", talk, path="sales.csv", by=["shop"], function="sum", value="amount")
    whole = await call(tables, "group_table", talk, path="sales.csv", by=[], function="mean", value="amount")
    pivot = await call(
        tables, "group_table", talk, path="sales.csv", by=["day"], function="sum", value="amount", across="shop"
    )

    assert counted.text == "shop | count\nOslo | 2\nRome | 2"
    assert added.text == "shop | sum of amount\nOslo | 4\nRome | 17.5"
    assert whole.text == "mean of amount\n7.166666667"
    assert pivot.text.splitlines()[:2] == ["day | Oslo | Rome", "2026-01-01 | 4 | 10.5"]


async def test_wrong_columns_are_said(tables: Toolset, talk: ToolContext) -> None:
    path = "sales.csv"

    assert "the columns are day, shop, amount" in await refusal(tables, "group_table", talk, path=path, by=["town"])
    assert "Say which column" in await refusal(tables, "group_table", talk, path=path, by=["shop"], function="sum")
    injected = "shop\" FROM read_text('/etc/passwd') --"
    assert "There is no column" in await refusal(tables, "group_table", talk, path=path, by=[injected])
    assert "No function matches" in await refusal(
        tables, "group_table", talk, path=path, by=["day"], function="sum", value="shop"
    )


@pytest.mark.parametrize(("name", "start"), [("c.png", b"\x89PNG"), ("c.svg", b"<?xml"), ("c.pdf", b"%PDF")])
async def test_charts_in_every_format(tables: Toolset, talk: ToolContext, name: str, start: bytes) -> None:
    made = await call(
        tables, "make_chart", talk, kind="bar", labels=["$a$", "b"], values=[1, 2], title="Cost in $", save_as=name
    )

    assert made.text == f"Drew 2 points as {name}."
    assert made.files[0].data.startswith(start)
    assert (talk.folder / name).read_bytes() == made.files[0].data


@pytest.mark.parametrize("kind", ["line", "bar", "scatter", "histogram"])
@pytest.mark.parametrize(
    "sql",
    [
        "",
        "SELECT day, sum(amount) AS a, count(*) AS n FROM data GROUP BY day ORDER BY day",
        "SELECT amount FROM data",
        "SELECT amount, amount * 2 FROM data",
        "SELECT 'a very long label indeed, more than anyone needs ' || i, i FROM range(80) t(i)",
    ],
)
async def test_charts_of_files(tables: Toolset, talk: ToolContext, kind: str, sql: str) -> None:
    made = await call(tables, "make_chart", talk, kind=kind, path="sales.csv", sql=sql)

    assert made.files[0].content_type == "image/png"


async def test_whole_numbers_stand_at_whole_numbers(tables: Toolset, talk: ToolContext) -> None:
    made = await call(tables, "make_chart", talk, kind="bar", values=[1, 2], labels=["a", "b"], save_as="a.svg")
    assert b"<!-- 1 -->" in made.files[0].data
    assert b"<!-- 0.5" not in made.files[0].data


async def test_charts_of_numbers_and_dates(tables: Toolset, talk: ToolContext) -> None:
    dates = await call(
        tables, "make_chart", talk, kind="line", labels=["2026-01-01", "2026-01-09"], values=[1, 2], save_as="a.svg"
    )
    plain = await call(tables, "make_chart", talk, kind="histogram", values=[1, 2, 2, 3])
    numbers = await call(tables, "make_chart", talk, kind="scatter", labels=["1", "2.5"], values=[1, 2])

    assert [len(one.files) for one in (dates, plain, numbers)] == [1, 1, 1]


async def test_what_cannot_be_drawn(tables: Toolset, talk: ToolContext) -> None:
    assert "nothing to draw" in await refusal(tables, "make_chart", talk, kind="line")
    assert "2 labels" in await refusal(tables, "make_chart", talk, kind="line", values=[1], labels=["a", "b"])
    assert "must end in" in await refusal(tables, "make_chart", talk, kind="line", values=[1], save_as="a.gif")
    words = "SELECT shop FROM data"
    assert "no numbers" in await refusal(tables, "make_chart", talk, kind="line", path="sales.csv", sql=words)
    nothing = "SELECT day, amount FROM data WHERE false"
    assert "draw" in await refusal(tables, "make_chart", talk, kind="line", path="sales.csv", sql=nothing)
