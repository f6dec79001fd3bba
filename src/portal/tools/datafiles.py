"""Data files (CSV, Excel, Parquet, JSON, DuckDB) as tables of an in-memory DuckDB that reaches only them."""

import asyncio
import csv
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from portal.errors import ToolError
from portal.extras import add_command

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

T = TypeVar("T")
Cell: TypeAlias = Any
"""What a database holds: the wire."""
SHEETS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_READERS = {
    ".csv": "read_csv", ".tsv": "read_csv", ".txt": "read_csv", ".parquet": "read_parquet", ".json": "read_json",
    ".jsonl": "read_json", ".ndjson": "read_json",
}  # fmt: skip
_WIDEST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What a query brought; `more` says that there were further rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    more: bool = False

    def __str__(self) -> str:
        """One line a row, for a model to read."""
        lines = [" | ".join(self.columns), *(" | ".join(_cell(cell) for cell in row) for row in self.rows)]
        return "\n".join(lines) + (f"\n(only the first {len(self.rows)} rows)" if self.more else "")


def _cell(value: Cell) -> str:
    text = "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
    text = re.sub(r"\s*[\r\n]+\s*", " ", text)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."


async def in_thread(work: Callable[[], T], stop: Callable[[], None]) -> T:
    """Work in a thread, and stop it when the call is cancelled."""
    try:
        return await asyncio.to_thread(work)
    except asyncio.CancelledError:
        stop()
        raise


def quoted(name: str) -> str:
    """As the name of a table or column."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def opened(path: Path, *, seconds: float) -> Iterator["Table"]:
    """The file as a database. Raises ToolError when it cannot be read, or for an error of the block's queries."""
    try:
        import duckdb
    except ImportError as error:
        raise ToolError(f"Reading tables needs duckdb: install it with `{add_command('data')}`.") from error
    try:
        with duckdb.connect(":memory:", config={"threads": 2, "memory_limit": "1GB"}) as connection:
            timer = Timer(seconds, connection.interrupt)
            timer.start()
            try:
                _load(connection, path)
                yield Table(connection)
            finally:
                timer.cancel()
    except duckdb.InterruptException as error:
        raise ToolError(f"This takes longer than {seconds:g} seconds; ask for less.") from error
    except duckdb.Error as error:
        raise ToolError(str(error).split("\n\n")[0][:500]) from error


class Table:
    """An open data file. Where it holds one table only, that is called `data`."""

    def __init__(self, connection: "DuckDBPyConnection") -> None:
        self._connection = connection
        self.interrupt = connection.interrupt

    def query(self, sql: str, *, most: int) -> Rows:
        """Run one SELECT. Raises ToolError for anything else."""
        from duckdb import StatementType

        statements = self._connection.extract_statements(sql)
        if [one.type for one in statements] not in ([StatementType.SELECT], [StatementType.MULTI]):
            raise ToolError("Only one SELECT query is possible here.")
        found = self._connection.execute(sql)
        rows = found.fetchmany(most + 1)
        columns = [column[0] for column in found.description or ()]
        return Rows(columns=columns, rows=rows[:most], more=len(rows) > most)

    def columns(self) -> dict[str, dict[str, str]]:
        """Tables, and the types of their columns."""
        found: dict[str, dict[str, str]] = {}
        sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal ORDER BY table_name"
        for table, column, kind in self._connection.execute(sql).fetchall():
            found.setdefault(table, {})[column] = kind
        return found


def _load(connection: "DuckDBPyConnection", path: Path) -> None:
    for setting in ("autoinstall_known_extensions", "autoload_known_extensions"):
        connection.execute(f"SET {setting} = false")
    reader = _READERS.get(path.suffix.lower())
    if path.suffix.lower() in SHEETS:
        _sheets(connection, path)
    else:
        connection.execute(f"SET allowed_paths = [{_text(str(path))}, {_text(f'{path}.wal')}]")
    connection.execute("SET temp_directory = ''")
    if reader is None and path.suffix.lower() not in SHEETS:
        connection.execute(f"ATTACH {_text(str(path))} AS file (READ_ONLY)")
        connection.execute("USE file")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    if reader:
        connection.execute(f"CREATE VIEW data AS SELECT * FROM {reader}({_text(str(path))})")


def _sheets(connection: "DuckDBPyConnection", path: Path) -> None:
    """Each sheet of a workbook that holds something as a table; the first is `data` as well."""
    for number, (name, rows) in enumerate(_read_sheets(path)):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "sheet.csv"
            with file.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out).writerows(rows)
            sql = f"CREATE TABLE {quoted(name)} AS SELECT * FROM read_csv({_text(str(file))}, header = true)"
            connection.execute(sql)
        if number == 0 and name.lower() != "data":
            connection.execute(f"CREATE VIEW data AS SELECT * FROM {quoted(name)}")


def _read_sheets(path: Path) -> list[tuple[str, list[list[Cell]]]]:
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise ToolError(f"Reading workbooks needs calamine: install it with `{add_command('data')}`.") from error
    try:
        book = CalamineWorkbook.from_path(path)
        sheets = [(name, book.get_sheet_by_name(name).to_python()) for name in book.sheet_names]
    except CalamineError as error:
        raise ToolError(f"{path.name!r} cannot be read as a workbook: {error}") from error
    return [(name, rows) for name, rows in sheets if len(rows) > 0]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
