"""How rows are read from one engine and written to the other, a page at a time: words are made anew for the engine that
takes them, and vectors are read from wherever the other one keeps them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from portal.storage.database import Row, Statement
from portal.storage.moving_tables import Table
from portal.storage.passage_words import indexed
from portal.storage.passages import passage_of
from portal.storage.passages_sqlite import TABLES
from portal.storage.rows import to_json
from portal.storage.search import words
from portal.storage.search_postgres import vector_literal

PAGE_BYTES = 4 * 2**20
"""Aimed at for one page of rows."""
FIRST, MOST = 16, 2_000
"""Rows of the first page of a table, and of any."""

VECTORS = Table(
    name="passage_vectors",
    columns=("key", "embedder", "vector"),
    key=("embedder", "key"),
    blobs=frozenset({"vector"}),
)

_WORDS_COLUMN = {
    "search_texts": "CAST(sent.value ->> 'folded' AS tsvector)",
    "passages": "passage_words(sent.value ->> 'folded')",
}
"""Of PostgreSQL, where words are a column of the row."""

_TO_POSTGRES = """
INSERT INTO {table} ({columns}{words}) OVERRIDING SYSTEM VALUE
SELECT {read}{made} FROM json_array_elements(CAST(:rows AS json)) AS sent (value)
CROSS JOIN LATERAL json_populate_record(CAST(NULL AS {table}), sent.value) AS read"""
_TO_SQLITE = "INSERT INTO {table} ({columns}) SELECT {read} FROM json_each(:rows)"
_WORDS_TO_SQLITE = """
INSERT INTO {table} (rowid, words) SELECT value ->> 'key', value ->> 'folded' FROM json_each(:rows)"""

_REFER_POSTGRES = """
UPDATE {table} AS t SET {column} = sent.value ->> '{column}'
FROM json_array_elements(CAST(:rows AS json)) AS sent (value) WHERE {same}"""
_REFER_SQLITE = """
UPDATE {table} AS t SET {column} = sent.value ->> '{column}' FROM json_each(:rows) AS sent WHERE {same}"""

# Rows of vectors: those that wait, and those that an engine put where they are found quickly.
_VECTOR_SOURCES = {
    "sqlite": (
        "SELECT key, embedder, vector FROM passage_vectors",
        """SELECT l.key, l.embedder,
            substr(s.data, l.place % 64 * (length(s.data) / s.rows) + 1, length(s.data) / s.rows) AS vector
        FROM passage_places l JOIN vector_segments s ON s.segment = l.place / 64""",
    ),
    "postgres": (
        "SELECT key, embedder, vector FROM passage_vectors",
        "SELECT key, embedder, CAST(near AS real[]) AS vector FROM passage_near",
    ),
}


@dataclass(frozen=True, slots=True)
class Source:
    """Rows in the order of their key: `sql` is of all of them."""

    step: str
    """Its name in the progress of a move."""
    table: Table
    sql: str
    read: Callable[[Sequence[Row]], Sequence[Row]] = list
    """Rows as they are written."""

    def page(self, after: Sequence[object] | None, limit: int) -> tuple[str, Mapping[str, object]]:
        """The query of the next rows, and its arguments."""
        keys = ", ".join(self.table.key)
        args: dict[str, object] = {"limit": limit}
        where = ""
        if after is not None:
            places = {f"after_{at}": value for at, value in enumerate(after)}
            args |= places
            where = f" WHERE ({keys}) > ({', '.join(f':{name}' for name in places)})"
        return f"SELECT * FROM ({self.sql}) AS source{where} ORDER BY {keys} LIMIT :limit", args

    def place(self, row: Row) -> Sequence[object]:
        """Its key."""
        return [row[name] for name in self.table.key]


def source_of(table: Table, without: str = "") -> Source:
    """All rows of a table, but those that fit a condition."""
    where = f" WHERE NOT ({without})" if without else ""
    return Source(table.name, table, f"SELECT {', '.join(table.columns)} FROM {table.name}{where}")


def references_of(table: Table, column: str) -> Source:
    """The rows of a table that name another row of it."""
    columns = ", ".join([*table.key, column])
    only = Table(table.name, [*table.key, column], table.key)
    return Source(f"{table.name}.{column}", only, f"SELECT {columns} FROM {table.name} WHERE {column} IS NOT NULL")


def vector_sources(dialect: str, *, indexed_ones: bool) -> Sequence[Source]:
    """All vectors, as new ones are stored. Without `indexed_ones` there is no place but that of new ones."""
    waiting, settled = _VECTOR_SOURCES[dialect]
    read = _from_cells if dialect == "sqlite" else _from_floats
    sources = [Source("passage_vectors", VECTORS, waiting)]
    return [*sources, Source("passage_vectors.indexed", VECTORS, settled, read)] if indexed_ones else sources


def writing(table: Table, rows: Sequence[Row], dialect: str) -> Sequence[Statement]:
    """What inserts these rows, with their words; columns that name a row of the same table stay empty."""
    blank = dict.fromkeys(table.own)
    folded = _folding(table.name, dialect)
    sent = [{**row, **blank, **({"folded": folded(row)} if folded else {})} for row in rows]
    if dialect == "postgres":
        return [Statement(_insert_postgres(table), {"rows": to_json(_plain(table, sent, "\\x"))}, len(rows))]
    insert = _TO_SQLITE.format(
        table=table.name,
        columns=", ".join(table.columns),
        read=", ".join(_sqlite_value(table, c) for c in table.columns),
    )
    statements = [Statement(insert, {"rows": to_json(_plain(table, sent, ""))}, len(rows))]
    for words_table, some in _by_words_table(table.name, sent).items():
        args = {"rows": to_json([{"key": row["key"], "folded": row["folded"]} for row in some])}
        statements.append(Statement(_WORDS_TO_SQLITE.format(table=words_table), args))
    return statements


def referring(source: Source, rows: Sequence[Row], dialect: str) -> Sequence[Statement]:
    """What fills in the columns that name a row of the same table."""
    table = source.table
    same = " AND ".join(f"t.{name} = sent.value ->> '{name}'" for name in table.key)
    template = _REFER_POSTGRES if dialect == "postgres" else _REFER_SQLITE
    sql = template.format(table=table.name, column=table.columns[-1], same=same)
    return [Statement(sql, {"rows": to_json(list(rows))}, len(rows))]


def counting_on(table: Table) -> Statement:
    """On PostgreSQL: new rows get numbers behind the highest there is."""
    sql = f"""
    SELECT setval(pg_get_serial_sequence('{table.name}', '{table.counted}'), GREATEST(MAX({table.counted}), 1))
    FROM {table.name}"""
    return Statement(sql)


def weight(rows: Sequence[Row]) -> int:
    """About how many bytes these rows take."""
    return sum(len(value) if isinstance(value, str | bytes) else 8 for row in rows for value in row.values())


def _insert_postgres(table: Table) -> str:
    made = _WORDS_COLUMN.get(table.name, "")
    return _TO_POSTGRES.format(
        table=table.name,
        columns=", ".join(table.columns),
        words=", words" if made else "",
        read=", ".join(f"read.{name}" for name in table.columns),
        made=f", {made}" if made else "",
    )


def _sqlite_value(table: Table, column: str) -> str:
    value = f"value ->> '{column}'"
    return f"unhex({value})" if column in table.blobs else value


def _plain(table: Table, rows: Sequence[Row], prefix: str) -> Sequence[Row]:
    """Bytes as text, which JSON can hold."""
    if not table.blobs:
        return rows
    return [{**row, **{name: _hex(row[name], prefix) for name in table.blobs}} for row in rows]


def _hex(value: bytes | None, prefix: str) -> str | None:
    return None if value is None else prefix + value.hex()


def _folding(table: str, dialect: str) -> Callable[[Row], str] | None:
    if table == "passages":
        return lambda row: indexed(passage_of(row).told)
    if table == "search_texts":
        return (lambda row: vector_literal(row["body"])) if dialect == "postgres" else _spaced
    return None


def _spaced(row: Row) -> str:
    return " ".join(words(row["body"]))


def _by_words_table(table: str, rows: Sequence[Row]) -> Mapping[str, Sequence[Row]]:
    if table == "search_texts":
        return {"search_words": rows}
    if table != "passages":
        return {}
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(TABLES[row["space"]], []).append(row)
    return found


def _from_cells(rows: Sequence[Row]) -> Sequence[Row]:
    from portal.storage.vectors import HEAD, decoded, rows_of

    return [{**row, "vector": decoded(rows_of(row["vector"], len(row["vector"]) - HEAD))[0].tobytes()} for row in rows]


def _from_floats(rows: Sequence[Row]) -> Sequence[Row]:
    import numpy as np

    return [{**row, "vector": np.array(row["vector"], dtype="<f4").tobytes()} for row in rows]
