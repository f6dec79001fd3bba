"""Exports of memories as they are read: ours, Open WebUI's, other lists in JSON, and plain lines such as people copy
them from ChatGPT's list of saved memories."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, get_args

import orjson

from portal.core.clock import micros
from portal.core.memories import LONGEST, SCOPE, Kind, Said
from portal.errors import BadRequest

MOST = 2_000
_TEXTS = ("text", "content", "memory", "value")
_LINE = re.compile(r"^\s*(?:[-*•]|\d{1,4}[.)])?\s*(?:\[?(\d{4}-\d\d-\d\d)[^\]\s]*\]?\s*[-:–]?\s+)?(.*)$")


def read_export(owner: str, content: str) -> Sequence[Said]:
    """What it holds, as it is to be remembered; history stays behind.

    Raises:
        BadRequest: it holds no memory, or too many.
    """
    try:
        found = _of_json(owner, orjson.loads(content))
    except orjson.JSONDecodeError:
        found = (_of_line(owner, line) for line in content.splitlines() if line.strip())
    said = list(islice((one for one in found if one.text), MOST + 1))
    if not said:
        raise BadRequest("There are no memories in it.", param="content")
    if len(said) > MOST:
        raise BadRequest(f"At most {MOST:,} memories are taken over at once.", param="content")
    return said


def _of_json(owner: str, content: Any) -> Iterator[Said]:
    if isinstance(content, dict):
        inside = next((content[name] for name in ("memories", "data", "items") if name in content), [content])
        content = inside if isinstance(inside, list) else [inside]
    if not isinstance(content, list):
        raise BadRequest("This is no list of memories.", param="content")
    return (_of_entry(owner, entry) for entry in content if not _is_history(entry))


def _is_history(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("status") == "superseded"


def _of_entry(owner: str, entry: Any) -> Said:
    if not isinstance(entry, dict):
        return Said(owner=owner, text=_text(entry))
    kind, scope, confidence = entry.get("kind"), entry.get("scope"), entry.get("confidence")
    return Said(
        owner=owner,
        text=next((_text(entry[name]) for name in _TEXTS if _text(entry.get(name))), ""),
        kind=kind if kind in get_args(Kind) else None,
        scope=scope if isinstance(scope, str) and SCOPE.fullmatch(scope) else "user",
        created_at=_moment(entry.get("created_at")),
        happened_at=_moment(entry.get("happened_at")),
        confidence=min(max(float(confidence), 0.0), 1.0) if isinstance(confidence, int | float) else 1.0,
        status="proposed" if entry.get("status") == "proposed" else "active",
    )


def _of_line(owner: str, line: str) -> Said:
    match = _LINE.match(line)
    assert match is not None  # all of it may be missing
    return Said(owner=owner, text=_text(match[2]), created_at=_moment(match[1]))


def _text(value: object) -> str:
    return value.strip()[:LONGEST] if isinstance(value, str) else ""


def _moment(value: object) -> int | None:
    """Unix seconds, or a time in ISO's form, as times are kept."""
    try:
        if isinstance(value, str):
            return micros(datetime.fromisoformat(value).astimezone())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return micros(datetime.fromtimestamp(value).astimezone())
    except (ValueError, OverflowError, OSError):  # no time that there is
        pass
    return None
