"""Unfinished output items: flushed in pieces that hold what is new, put together when read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from portal.core.approvals import ApprovalRecord
from portal.core.events import closing_length, opened_until
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.records import StoredItem
from portal.storage.database import Row
from portal.storage.rows import from_json

OUTCOME_UNKNOWN = "outcome unknown: Portal was stopped while this ran, and it is not run again"
NOT_BEGUN = "not run: Portal was stopped before it began; ask for it again"

_GROWING = ("text", "refusal")


def merged(rows: Sequence[Row]) -> Iterator[StoredItem]:
    """The partial items of pieces that come ordered by response, position and number."""
    for _, pieces in groupby(rows, key=lambda row: (row["response_id"], row["position"])):
        yield _merge(list(pieces))


def newest_seq(rows: Sequence[Row]) -> int:
    """The newest sequence number among pieces; -1 without any."""
    return max((row["last_seq"] for row in rows), default=-1)


def interrupted(partials: Sequence[StoredItem], end: int) -> list[StoredItem]:
    """Partial items as they stay after a crash, numbered as their events will be replayed. Text ends right after what
    is left of it; calls, of which others ran beside, end one after the other just before number `end`."""
    ended = []
    for partial in reversed(partials):
        item = _incomplete(partial.item)
        length = closing_length(item)
        last = opened_until(partial) + length
        if item.get("type") == "mcp_call":
            last, end = end - 1, end - length
        ended.append(replace(partial, item=item, last_seq=last))
    return ended[::-1]


def not_begun(response_id: str, approvals: Sequence[ApprovalRecord], position: int, first_seq: int) -> list[StoredItem]:
    """Items that say of calls a person allowed that they never ran, from this place and event number on."""
    made = []
    for place, approval in enumerate(approvals, start=position):
        item: Item = {
            "type": "mcp_call",
            "id": new_id("mcp"),
            "server_label": approval.toolset,
            "name": approval.tool,
            "arguments": json.dumps(approval.arguments, ensure_ascii=False),
            "output": None,
            "error": NOT_BEGUN,
            "status": "failed",
            "approval_request_id": approval.id,
            "portal:round": 0,
            "portal:risk": approval.risk,
        }
        stored = StoredItem(item=item, response_id=response_id, side="output", position=place, first_seq=first_seq)
        made.append(replace(stored, last_seq=opened_until(stored) + closing_length(item)))
        first_seq = made[-1].last_seq + 1
    return made


def _incomplete(item: Item) -> Item:
    if item.get("type") == "mcp_call":
        return {**item, "status": "incomplete", "error": OUTCOME_UNKNOWN}
    if "status" in item or item.get("type") != "reasoning":
        return {**item, "status": "incomplete"}
    return item


def _merge(pieces: Sequence[Row]) -> StoredItem:
    first, items = pieces[0], [from_json(piece["item"]) for piece in pieces]
    return StoredItem(
        item=_whole(items),
        response_id=first["response_id"],
        side="output",
        position=first["position"],
        first_seq=first["first_seq"],
        cuts=tuple(cut for piece in pieces for cut in from_json(piece["cuts"])),
    )


def _whole(items: Sequence[Item]) -> Item:
    """The newest skeleton with all the text; annotations are whole in each piece, the newest ones count."""
    whole = dict(items[-1])
    if isinstance(whole.get("arguments"), str):
        whole["arguments"] = "".join(item.get("arguments", "") for item in items)
    if isinstance(whole.get("content"), list):
        whole["content"] = [_whole_part(_parts(items, index)) for index in range(len(whole["content"]))]
    return whole


def _parts(items: Sequence[Item], index: int) -> list[JsonObject]:
    lists: list[list[Any]] = [item.get("content") or [] for item in items]
    return [parts[index] for parts in lists if index < len(parts)]


def _whole_part(parts: Sequence[JsonObject]) -> JsonObject:
    part = dict(parts[-1])
    for name in _GROWING:
        if isinstance(part.get(name), str):
            part[name] = "".join(older.get(name, "") for older in parts)
    if isinstance(part.get("logprobs"), list):
        part["logprobs"] = [entry for older in parts for entry in older.get("logprobs", [])]
    return part
