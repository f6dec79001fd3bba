"""Tools for tables in files: what is in them, totals by group, and charts."""

from contextlib import AbstractContextManager
from typing import Annotated, Literal

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.tools import charts
from portal.tools.datafiles import Table, opened, quoted
from portal.tools.families import Needs
from portal.tools.folders import Folders, granted, keep
from portal.tools.function import Functions, tool

ROWS = 200
POINTS = 5000
_SUMMARY = (
    "SELECT column_name AS column, column_type AS type, count, null_percentage AS empty_percent, "
    "approx_unique AS different, min, max, avg AS mean FROM (SUMMARIZE data)"
)
Function = Literal["count", "sum", "mean", "median", "min", "max"]
File = Annotated[str, "CSV, Excel, Parquet or JSON file"]


class Tables:
    """The family, with the folders it may read."""

    def __init__(self, *, folders: Folders, seconds: float) -> None:
        self._folders = folders
        self._seconds = seconds

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    def describe_table(self, path: File, context: ToolContext) -> str:
        """Show what a table file holds: columns, types, ranges, means, missing values and the first rows."""
        with self._opened(path, context) as table:
            count = table.query("SELECT count(*) FROM data", most=1).rows[0][0]
            others = [name for name in table.columns() if name != "data"]
            first = table.query("SELECT * FROM data LIMIT 5", most=5)
            summary = table.query(_SUMMARY, most=ROWS)
        sheets = f"\nSheets: {', '.join(others)}" if others else ""
        return f"{count} rows{sheets}\n\n{summary}\n\nFirst rows:\n{first}"

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    def group_table(
        self,
        path: File,
        by: Annotated[list[str], "Columns whose values make the groups"],
        context: ToolContext,
        function: Function = "count",
        value: Annotated[str, "Column to add up or average"] = "",
        across: Annotated[str, "For a pivot table: the column whose values become columns"] = "",
    ) -> str:
        """Count, add up or average the rows of a table file by group, or make a pivot table of them."""
        if not value and function != "count":
            raise ToolError(f"Say which column to take the {function} of.")
        with self._opened(path, context) as table:
            _known(table, [*by, *filter(None, (value, across))])
            return str(table.query(_grouping(by, function, value, across), most=ROWS))

    @tool(risk="read", scopes={"path": "path"})
    def make_chart(
        self,
        kind: charts.Kind,
        context: ToolContext,
        values: Annotated[tuple[float, ...], "The numbers to draw"] = (),
        labels: Annotated[tuple[str, ...], "A label, date or x number for each"] = (),
        path: Annotated[str, "Or a table file: its first column is x, the others are drawn"] = "",
        sql: Annotated[str, "SELECT from data, to choose x and what is drawn"] = "",
        title: str = "",
        save_as: Annotated[str, "Name ending in .png, .svg or .pdf"] = "chart.png",
    ) -> ToolResult:
        """Draw a line, bar, pie or scatter chart or a histogram, from numbers or a table file, as PNG, SVG or PDF."""
        if path:
            with self._opened(path, context) as table:
                series = charts.from_rows(table.query(sql or "SELECT * FROM data", most=POINTS), kind)
        else:
            series = charts.from_values(values, labels)
        made = charts.draw(kind, series, title=title, name=save_as)
        count = len(series.x)
        return ToolResult(text=f"Drew {count} points as {save_as}.", files=(keep(context, save_as, made),))

    def _opened(self, path: str, context: ToolContext) -> AbstractContextManager[Table]:
        return opened(self._folders.file(path, context, largest=2**34).path, seconds=self._seconds)


def _grouping(by: list[str], function: str, value: str, across: str) -> str:
    what = f"{'avg' if function == 'mean' else function}({quoted(value) if value else '*'})"
    groups = ", ".join(quoted(name) for name in by)
    if across:
        return f"PIVOT data ON {quoted(across)} USING {what}" + (f" GROUP BY {groups} ORDER BY ALL" if by else "")
    title = quoted(f"{function} of {value}" if value else function)
    if by:
        return f"SELECT {groups}, {what} AS {title} FROM data GROUP BY ALL ORDER BY ALL"
    return f"SELECT {what} AS {title} FROM data"


def _known(table: Table, names: list[str]) -> None:
    columns = table.columns()["data"]
    for name in names:
        if name not in columns:
            raise ToolError(f"There is no column {name!r}; the columns are {', '.join(columns)}.")


def create(needs: Needs) -> Toolset:
    """The family `tables`."""
    tables = Tables(folders=granted(needs.settings), seconds=needs.settings.sql.seconds)
    return Functions("tables", [tables.describe_table, tables.group_table, tables.make_chart])
