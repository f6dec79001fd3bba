"""What is moved from one engine to the other: the tables that both have, parents before children."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from portal.storage.database import Readable

DERIVED = frozenset(
    {"schema_versions", "vector_cells", "vector_segments", "passage_places", "passage_near", "passage_vectors"}
    | {"schema_compatible", "instances", "duties", "pending", "model_calls"}
)
"""Made by each engine in its own way, or of the servers that run. Vectors are read from where they are and stored as
new ones are."""

OWN_COLUMNS = frozenset({("embedders", "generation")})
"""Counted anew."""

SQLITE_COLUMNS = """
SELECT t.name AS table_name, c.name AS column_name, c.type = 'BLOB' AS is_blob, c.pk
FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c
WHERE t.schema = 'main' AND t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid"""
SQLITE_REFERENCES = """
SELECT t.name AS table_name, r."table" AS parent, r."from" AS column_name
FROM pragma_table_list AS t JOIN pragma_foreign_key_list(t.name) AS r WHERE t.schema = 'main' AND t.type = 'table'"""
POSTGRES_COLUMNS = """
SELECT table_name, column_name, is_identity FROM information_schema.columns
WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that is moved row by row."""

    name: str
    columns: Sequence[str]
    key: Sequence[str]
    blobs: frozenset[str] = frozenset()
    own: Sequence[str] = ()
    """Columns that name a row of the same table: they are filled in once all rows are there."""
    counted: str = ""
    """The column that PostgreSQL numbers by itself."""


async def tables(sqlite: Readable, postgres: Readable) -> Sequence[Table]:
    """Those of both engines, in an order in which what a row refers to is there before it."""
    references = await sqlite.fetch(SQLITE_REFERENCES)
    theirs = await _columns(postgres)
    found: dict[str, Table] = {}
    for name, columns in _by_table(await sqlite.fetch(SQLITE_COLUMNS)).items():
        if name in DERIVED or name not in theirs:
            continue
        shared = [
            column
            for column in columns
            if column["column_name"] in theirs[name] and (name, column["column_name"]) not in OWN_COLUMNS
        ]
        keys = sorted((column for column in shared if column["pk"]), key=lambda column: int(str(column["pk"])))
        counted = (column for column, identity in theirs[name].items() if identity)
        found[name] = Table(
            name=name,
            columns=[str(column["column_name"]) for column in shared],
            key=[str(column["column_name"]) for column in keys],
            blobs=frozenset(str(column["column_name"]) for column in shared if column["is_blob"]),
            own=[row["column_name"] for row in references if row["table_name"] == name == row["parent"]],
            counted=next(counted, ""),
        )
    parents = {
        name: {row["parent"] for row in references if row["table_name"] == name} - {name, *DERIVED} for name in found
    }
    return [found[name] for name in TopologicalSorter(parents).static_order()]


async def left_out(sqlite: Readable, postgres: Readable) -> set[str]:
    """Tables of one engine alone that nobody said are its own: there should be none."""
    mine = set(_by_table(await sqlite.fetch(SQLITE_COLUMNS)))
    return (mine ^ set(await _columns(postgres))) - DERIVED


async def _columns(postgres: Readable) -> Mapping[str, Mapping[str, bool]]:
    rows = _by_table(await postgres.fetch(POSTGRES_COLUMNS))
    return {
        name: {str(column["column_name"]): column["is_identity"] == "YES" for column in columns}
        for name, columns in rows.items()
    }


def _by_table(rows: Iterable[Mapping[str, object]]) -> dict[str, list[Mapping[str, object]]]:
    found: dict[str, list[Mapping[str, object]]] = {}
    for row in rows:
        found.setdefault(str(row["table_name"]), []).append(row)
    return found
