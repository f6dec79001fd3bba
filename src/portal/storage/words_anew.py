"""Indexes of words on SQLite that are damaged, made anew: what they index is all there beside them."""

import logging
from collections.abc import Callable, Iterator

import apsw

from portal.storage.passage_words import indexed
from portal.storage.passages import PASSAGE, passage_of
from portal.storage.passages_sqlite import TABLES
from portal.storage.search import words

log = logging.getLogger(__name__)

_SELECT_PASSAGES = f"SELECT key, {PASSAGE} FROM passages WHERE space = ?"
_SELECT_SAID = "SELECT key, body FROM search_texts"
_CHECK = "INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 0)"
_DECLARED = "SELECT sql FROM sqlite_master WHERE name = ?"
_INSERT = "INSERT INTO {table} (rowid, words) VALUES (?, ?)"

_Rows = Iterator[tuple[int, str]]


def words_anew(connection: apsw.Connection) -> None:
    """Look at each index and make those anew that are damaged, in the transaction that is open. Raises apsw.Error."""
    for space, table in TABLES.items():
        _mend(connection, table, lambda space=space: _of_passages(connection, space))  # type: ignore[misc]
    _mend(connection, "search_words", lambda: _of_what_was_said(connection))


def _mend(connection: apsw.Connection, table: str, rows: Callable[[], _Rows]) -> None:
    if _whole(connection, table):
        return
    log.warning("the index %s is damaged and is made anew; what it indexes is whole", table)
    (declared,) = next(connection.execute(_DECLARED, (table,)))
    connection.execute(f"DROP TABLE {table}")
    connection.execute(declared)
    connection.executemany(_INSERT.format(table=table), rows())


def _whole(connection: apsw.Connection, table: str) -> bool:
    try:
        connection.execute(_CHECK.format(table=table))
    except apsw.CorruptError:
        return False
    return True


def _of_passages(connection: apsw.Connection, space: str) -> _Rows:
    names = [name.strip() for name in PASSAGE.split(",")]
    for key, *values in connection.execute(_SELECT_PASSAGES, (space,)):
        yield key, indexed(passage_of(dict(zip(names, values, strict=True))).told)


def _of_what_was_said(connection: apsw.Connection) -> _Rows:
    for key, body in connection.execute(_SELECT_SAID):
        yield key, " ".join(words(body))
