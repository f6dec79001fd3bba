"""No query of a running server ever reads a whole table: SQLite says so itself."""

import re
from pathlib import Path

import pytest

from portal.settings import Settings
from portal.storage import (
    approvals,
    audit,
    changes,
    conversations,
    files,
    folders,
    grants,
    responses,
    turn_log,
    usage,
    users,
)
from portal.storage.open import open_storage
from portal.storage.search_sqlite import DELETE_TEXTS, DELETE_WORDS, HITS, INSERT_ITEM_WORDS, INSERT_TITLE_WORDS
from portal.storage.turns import path_queries

PATHS = {
    f"{name} {at}": query.sql
    for name, start in {"turns": conversations.HEAD, "above": conversations.ABOVE, "window": responses.START}.items()
    for at, query in enumerate(path_queries(start, conversations.WITHIN, {}, siblings=True))
}
QUERIES = (
    PATHS
    | {
        "list": conversations.LIST.format(narrower=conversations.AFTER),
        "list in folder": conversations.LIST.format(narrower=conversations.IN_FOLDER + conversations.AFTER),
        "find": conversations.FIND.format(hits=HITS, narrower=conversations.IN_FOLDER + conversations.AFTER),
        "update": changes.UPDATE.format(changes="head = " + changes.NEWEST_BELOW),
        "select item": conversations.SELECT_ITEM,
        "delete item": conversations.DELETE_ITEM,
        "gone": conversations.SELECT_GONE,
        "hide": conversations.HIDE,
        "item": responses.SELECT_ITEM,
        "skip": responses.SKIP,
        "retreat": responses.RETREAT_HEAD,
        "delete response": responses.DELETE,
        "move head": turn_log.MOVE_HEAD,
        "insert item": turn_log.INSERT_ITEM,
        "insert partial": turn_log.INSERT_PARTIAL,
        "running": turn_log.SELECT_RUNNING,
        "running partials": turn_log.SELECT_RUNNING_PARTIALS,
        "interrupt": turn_log.INTERRUPT,
        "not begun": turn_log.SELECT_NOT_BEGUN,
        "next position": turn_log.NEXT_POSITION,
        "item words": INSERT_ITEM_WORDS,
        "title words": INSERT_TITLE_WORDS,
        "files": files.LIST + files.OLDER + files.NEWEST_FIRST,
        "files upwards": files.LIST + files.NEWER + files.OLDEST_FIRST,
        "chunk": files.SELECT_CHUNK,
        "delete chunks": files.DELETE_CHUNKS,
        "unready": files.SELECT_UNREADY,
        "folders": folders.LIST,
        "credential": users.FIND_CREDENTIAL,
        "take link": users.TAKE_LINK,
        "credentials": users.LIST_CREDENTIALS,
        "owner": users.SELECT_OWNER,
        "usage": usage.SUMMARY,
        "approvals": approvals.LIST.format(narrower=approvals.AFTER),
        "open approvals": approvals.LIST.format(narrower=approvals.OF_STATUS + approvals.AFTER),
        "approvals of a response": approvals.OF_RESPONSE,
        "overdue": approvals.SELECT_OVERDUE,
        "expire": approvals.EXPIRE,
        "recount": approvals.RECOUNT,
        "use": approvals.USE,
        "supersede": approvals.SUPERSEDE,
        "continuable": approvals.SELECT_CONTINUABLE,
        "leave round": approvals.LEAVE_ROUND,
        "grants": grants.LIST,
        "audit": audit.LIST.format(narrower=audit.AFTER),
    }
    | {
        f"{name} {where.split()[0]}": sql.format(where=where)
        for name, sql in {"unindex words": DELETE_WORDS, "unindex texts": DELETE_TEXTS}.items()
        for where in (
            conversations.ITEM_PLACES,
            conversations.OF_NONE,
            "response_id = :response_id AND side = :side AND position = :position",
        )
    }
)
NOT_TABLES = {"path", "below", "hits", "newest", "search_words", "w"}
"""What a query itself makes small, and the word index (whose table has only its words to go by)."""


@pytest.mark.parametrize("name", QUERIES)
async def test_no_table_is_scanned(tmp_path: Path, name: str) -> None:
    sql = QUERIES[name]
    args = dict.fromkeys(re.findall(r":([a-z_]+)", sql), "1")
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        plan = await storage.database.fetch("EXPLAIN QUERY PLAN " + sql, **args)
    steps = [row["detail"] for row in plan]
    assert steps
    scanned = {match[1] for step in steps if (match := re.match(r"SCAN (\w+)", step))}
    assert scanned <= NOT_TABLES, steps
    assert not [step for step in steps if "AUTOMATIC" in step]
