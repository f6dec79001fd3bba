"""No query of a running server ever reads a whole table: SQLite says so itself."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from portal.core.consumption import Question
from portal.core.passages import Within
from portal.settings import Settings
from portal.storage import (
    approvals,
    arrivals,
    audit,
    backlog,
    cells,
    changes,
    channel_mail,
    channels,
    cleaning,
    collections,
    consumption,
    conversations,
    departures,
    documents,
    files,
    folders,
    grants,
    imports,
    journal,
    keyset,
    memories,
    owners,
    passages,
    passages_near,
    passages_sqlite,
    reading_queue,
    responses,
    schedule_runs,
    schedules,
    sources,
    traces,
    turn_log,
    turn_passages,
    users,
)
from portal.storage.open import open_storage
from portal.storage.passage_filters import BY_ID, condition
from portal.storage.search_sqlite import DELETE_TEXTS, DELETE_WORDS, HITS, INSERT_ALL_WORDS, INSERT_ITEM_WORDS
from portal.storage.turns import path_queries

WITHIN, _ = condition(
    Within(
        owner="1",
        space="documents",
        groups=["1"],
        since=1,
        until=1,
        filters={"type": "and", "filters": [{"type": "eq", "key": "1", "value": "1"}]},
    ),
    "sqlite",
)
PATHS = {
    f"{name} {at}": query.sql
    for name, start in {"turns": conversations.HEAD, "above": conversations.ABOVE, "window": responses.START}.items()
    for at, query in enumerate(path_queries(start, conversations.WITHIN, {}, siblings=True))
}
DAY = 86_400_000_000
MINE = Question(since=DAY, until=DAY * 2000, owner="1", model="1", zone="Europe/Berlin")
IDS = "SELECT value FROM json_each(:ids)"
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
        "words of many": INSERT_ALL_WORDS,
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
        "what people used": consumption.query(MINE)[0],
        "what all used": consumption.query(replace(MINE, owner=None, model=None, by=("user",)))[0],
        "what one used": consumption.query(replace(MINE, by=()))[0],
        "notes": journal.LIST.format(narrower=journal.WITH_TEXT),
        "notes of a kind": journal.LIST.format(narrower=journal.OF_KIND + journal.WITH_TEXT),
        "prune notes": journal.PRUNE,
        "forget errors": traces.FORGET_ERRORS,
        "approvals that wait": backlog.APPROVALS,
        "documents that wait": backlog.DOCUMENTS,
        "media jobs that wait": backlog.MEDIA,
        "sessions": backlog.SESSIONS,
        "answers that wait": backlog.UNSENT,
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
        "passages": passages.SELECT.format(by_id=BY_ID["sqlite"]),
        "passages of a document": passages.OF.format(last=passages.UP_TO),
        "describe": passages.CLEAR_ATTRIBUTES,
        "add words": passages_sqlite.INSERT_WORDS.format(table="documents_words"),
        "add vector": passages.ADD_VECTOR,
        "check embedder": passages.CHECK_EMBEDDER,
        "find words": passages_sqlite.WORDS.format(table="documents_words", within=WITHIN, order="w.rank"),
        "list narrowed": conversations.LIST.format(narrower="".join(conversations.NARROWER.values())),
        "memories": memories.LIST.format(narrower="".join(memories.NARROWER.values()) + memories.AFTER),
        "all memories": memories.LIST.format(narrower=memories.AFTER),
        "change memory": memories.CHANGE,
        "supersede memory": memories.SUPERSEDE,
        "history": memories.HISTORY,
        "forget memory": memories.DELETE,
        "forget memories": memories.DELETE_ALL,
        "items of a turn": turn_passages.ITEMS,
        "turn": turn_passages.TURN,
        "concerned": turn_passages.CONCERNED,
        "turns having": turn_passages.HAVING,
        "forget a scope": turn_passages.DELETE_SCOPE,
        "earlier turns": turn_passages.EARLIER,
        "collections": collections.LIST
        + keyset.BEYOND.format(sign="<", cursor=collections.CURSOR)
        + keyset.ORDERED.format(way="DESC"),
        "counts": collections.COUNTS.format(ids=IDS),
        "hide files": cleaning.HIDE_FILES.format(those=cleaning.SOME_DOCUMENTS),
        "hide a file": collections.HIDE_FILE,
        "given up": cleaning.STALE,
        "give up": cleaning.GIVE_UP,
        "hidden": cleaning.HIDDEN,
        "some hidden": cleaning.SOME_HIDDEN,
        "show": cleaning.UNHIDE,
        "leaving": cleaning.LEAVING,
        "some of a collection": cleaning.SOME_OF_COLLECTION,
        "some attributes": cleaning.DELETE_ATTRIBUTES.format(those=cleaning.SOME_DOCUMENTS),
        "some documents": cleaning.DELETE_DOCUMENTS.format(those=cleaning.SOME_DOCUMENTS),
        "show documents": cleaning.UNHIDE_DOCUMENTS.format(those=cleaning.SOME_DOCUMENTS),
        "delete collection": cleaning.DELETE_COLLECTION,
        "leave batches": collections.DELETE_BATCHES,
        "leave sources": collections.DELETE_SOURCES,
        "hold": reading_queue.HOLD,
        "outdate": reading_queue.OUTDATE,
        "arrive": reading_queue.ARRIVE,
        "hide old": reading_queue.HIDE_OLD,
        "batch": collections.SELECT_BATCH,
        "batch counts": collections.BATCH_COUNTS,
        "cancel": collections.CANCEL_DOCUMENTS,
        "documents": documents.WITHIN
        + keyset.BEYOND.format(sign=">", cursor=documents.CURSOR)
        + keyset.ORDERED.format(way="ASC"),
        "document": documents.WITHIN + documents.OF_FILE,
        "documents by id": documents.NAMED.format(ids=IDS),
        "documents of a file": documents.OWN + documents.OF_FILE,
        "documents of a source": documents.OWN + documents.OF_SOURCE,
        "same": documents.WITHIN + documents.SAME,
        "remember": documents.REMEMBER,
        "removed": sources.REMOVED,
        "of conversation": collections.OF_CONVERSATION,
        "leave files": turn_passages.LEAVE_FILES,
        "again": documents.AGAIN.format(narrower=""),
        "rename": documents.RENAME,
        "claim": reading_queue.CLAIM.format(lock=reading_queue.LOCK["sqlite"]),
        "twin": reading_queue.TWIN,
        "older": reading_queue.OLDER,
        "sources": sources.LIST.format(narrower=""),
        "due": sources.DUE,
        "leave source": sources.LEAVE,
        "find near": passages_near.WAITING.format(within=WITHIN),
        "fitting": passages_near.FITTING.format(within=WITHIN),
        "keys": passages_near.KEYS.format(within=WITHIN),
        "in cells": passages_near.IN_CELLS.format(within=WITHIN),
        "segments": passages_near.SEGMENTS,
        "vectors": passages_near.VECTORS,
        "vectors in cells": passages_near.IN_CELLS.format(within=BY_ID["sqlite"]),
        "cells": cells.SELECT_CELLS,
        "sizes": cells.SELECT_SIZES,
        "tails": cells.SELECT_TAILS,
        "segments of cells": cells.SELECT_SEGMENTS,
        "waiting vectors": cells.SELECT_VECTORS,
        "delete vectors": cells.DELETE_VECTORS,
        "delete cells": cells.DELETE_CELLS,
        "extend segment": cells.EXTEND_SEGMENT,
        "move places": cells.MOVE_PLACES,
        "schedule": schedules.SELECT,
        "schedules": schedules.LIST,
        "schedule by token": schedules.BY_TOKEN,
        "change schedule": schedules.CHANGE.format(next=schedules.NEXT),
        "delete schedule": schedules.DELETE,
        "withdraw permits": schedules.WITHDRAW,
        "runs": schedule_runs.LIST.format(after=schedule_runs.AFTER),
        "newest runs": schedule_runs.NEWEST,
        "sent before": schedule_runs.SENT,
        "hold schedule": schedule_runs.HOLD,
        "room for a run": schedule_runs.ROOM,
        "room for a schedule": schedules.ROOM,
        "hold owner": owners.HOLD,
        "owner is not gone": owners.NOT_GONE,
        "collection of a conversation": collections.SAME.format(of=collections.OF[True]),
        "collection of a name": collections.SAME.format(of=collections.OF[False]),
        "permit": schedule_runs.PERMIT,
        "deliveries": schedule_runs.DELIVERIES,
        "due schedules": schedule_runs.DUE,
        "next due": schedule_runs.NEXT_DUE,
        "next ready": schedule_runs.NEXT_READY,
        "next delivery": schedule_runs.NEXT_DELIVERY,
        "advance": schedule_runs.ADVANCE,
        "claim run": schedule_runs.CLAIM.format(lock=schedule_runs.LOCK["sqlite"]),
        "change run": schedule_runs.CHANGE,
        "requeue run": schedule_runs.REQUEUE,
        "continue": schedule_runs.CONTINUE,
        "followed run": schedule_runs.FOLLOWED,
        "prune": schedule_runs.PRUNE,
        "take": schedule_runs.TAKE.format(lock=schedule_runs.TAKE_LOCK["sqlite"]),
        "settle": schedule_runs.SETTLE,
        "interrupted deliveries": schedule_runs.INTERRUPTED,
        "link of a sender": channels.OF_SENDER,
        "links": channels.LINKS,
        "unlink": channels.UNLINK,
        "relink": channels.FORGET_LINK,
        "forget codes": channels.FORGET_CODES,
        "take code": channels.TAKE_CODE,
        "pending": channels.PENDING,
        "find pending": channels.FIND_PENDING,
        "forget pairing": channels.FORGET_PAIRING,
        "chat": channels.SELECT_CHAT,
        "chats": channels.CHATS,
        "everybody in a chat": channels.IN_CHAT,
        "leave a chat": channels.LEAVE_CHAT,
        "send elsewhere": channels.SEND_ELSEWHERE,
        "chats of a conversation": channels.OF_CONVERSATION,
        "open arrivals": channel_mail.OPEN_ARRIVALS,
        "close arrival": channel_mail.CLOSE_ARRIVAL,
        "arrival of a message": channel_mail.ARRIVAL_OF,
        "newest arrival": channel_mail.NEWEST,
        "open deliveries": channel_mail.OPEN_DELIVERIES,
        "close delivery": channel_mail.CLOSE_DELIVERY,
        "messages": channel_mail.MESSAGES,
        "withdraw": channel_mail.WITHDRAW,
        "delivery of a response": channel_mail.OF_RESPONSE,
        "delivery of a message": channel_mail.DELIVERY_OF,
        "delivery of an approval": channel_mail.OF_APPROVAL,
        "followed": channel_mail.FOLLOWED,
        "sweep arrivals": channel_mail.SWEEP_ARRIVALS,
        "sweep deliveries": channel_mail.SWEEP_DELIVERIES,
        "import": imports.SELECT,
        "imports": imports.LIST,
        "open imports": imports.OPEN,
        "room for an import": imports.ROOM,
        "save import": imports.SAVE,
        "delete import": imports.DELETE,
        "import goes on": arrivals.GOING_ON,
        "conversation that arrives": arrivals.SELECT,
        "responses that are there": arrivals.KNOWN.format(ids=IDS),
        "conversation has arrived": arrivals.FINISH,
        "conversations that leave": departures.CONVERSATIONS,
        "order of a conversation": departures.ORDER.format(where=departures.WITHIN),
        "order of those in none": departures.ORDER.format(where=departures.OUTSIDE),
        "responses that leave": departures.RESPONSES.format(ids=IDS),
        "items that leave": departures.ITEMS.format(ids=IDS),
        "audit": audit.LIST.format(narrower=audit.AFTER),
        "whole audit": audit.WHOLE,
        "audit in its order": audit.STRETCH,
    }
    | {
        f"{name} {where.split()[0]}": sql.format(where=where)
        for name, sql in {"unindex words": DELETE_WORDS, "unindex texts": DELETE_TEXTS}.items()
        for where in (
            conversations.ITEM_PLACES,
            conversations.OF_CONVERSATION,
            "response_id = :response_id AND side = :side AND position = :position",
        )
    }
    | {
        f"{name} {where[-20:]}": sql.format(where=where, table="documents_words")
        for name, sql in {
            "drop": passages.DELETE,
            "drop words": passages_sqlite.DELETE_WORDS,
            "drop attributes": passages.DELETE_ATTRIBUTES,
        }.items()
        for where in (passages.IN_DOCUMENT, passages.IN_GROUP, passages.IN_SPACE)
    }
)
NOT_TABLES = {
    "CONSTANT",
    "path",
    "below",
    "earlier",
    "hits",
    "newest",
    "search_words",
    "w",
    "json_each",
    "documents_words",
    "wanted",
    "moved",
}
"""What a query itself makes small, and the word index (whose table has only its words to go by)."""


async def plan_of(folder: Path, sql: str) -> list[str]:
    args = dict.fromkeys(re.findall(r":([a-z_0-9]+)", sql), "1")
    async with open_storage(Settings(data_dir=folder)) as storage:
        steps = await storage.database.fetch("EXPLAIN QUERY PLAN " + sql, **args)
    return [row["detail"] for row in steps]


@pytest.mark.parametrize("name", QUERIES)
async def test_no_table_is_scanned(tmp_path: Path, name: str) -> None:
    steps = await plan_of(tmp_path, QUERIES[name])
    assert steps
    scanned = {match[1] for step in steps if (match := re.match(r"SCAN (\w+)", step))}
    assert scanned <= NOT_TABLES, steps
    assert not [step for step in steps if "AUTOMATIC" in step]


@pytest.mark.parametrize("name", ["passages", "documents by id", "vectors", "vectors in cells"])
async def test_what_is_named_is_not_sought_among_all_that_somebody_has(tmp_path: Path, name: str) -> None:
    named = r"(documents|p) USING INDEX sqlite_autoindex_(documents|passages)_1 \(id=\?\)"
    assert [step for step in await plan_of(tmp_path, QUERIES[name]) if re.search(named, step)]
