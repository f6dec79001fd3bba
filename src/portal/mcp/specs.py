"""What a server says of its tools, made into specs: bounded, named so that no two clash, and not believed by default.

A tool's description is JSON as the protocol has it: name, title, description, inputSchema, annotations.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import get_args

import orjson

from portal.core.items import JsonObject
from portal.core.tools import Risk, ToolSpec
from portal.settings.mcp import ToolServerSettings

RISK, UNTRUSTED = "portal/risk", "portal/untrusted"
"""Of `_meta`: what Portal's own servers tell of a tool beyond the protocol's hints."""
LARGEST_SCHEMA = 64_000
MOST_TOOLS = 500
_LONGEST_NAME = 64
_LONGEST_DESCRIPTION = 4000
_DEEPEST = 32
_EMPTY: JsonObject = {"type": "object", "properties": {}}


def specs(server: str, settings: ToolServerSettings, tools: Sequence[JsonObject]) -> dict[str, tuple[str, ToolSpec]]:
    """By the name that models use: the server's own name of the tool, and its spec. Only tools that are allowed."""
    found: dict[str, tuple[str, ToolSpec]] = {}
    for tool in tools[:MOST_TOOLS]:
        name = str(tool.get("name") or "")
        if not name or not any(fnmatchcase(name, pattern) for pattern in settings.allow):
            continue
        shown = shown_name(server, name)
        if shown in found and found[shown][0] != name:
            shown = _with_digest(shown, name)
        found[shown] = (name, _spec(shown, name, server, settings, tool))
    return found


def shown_name(server: str, tool: str) -> str:
    """`server__tool`, of at most 64 letters, digits, `_` and `-`."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}__{tool}")
    return plain if len(plain) <= _LONGEST_NAME else _with_digest(plain, tool)


def _with_digest(shown: str, tool: str) -> str:
    digest = hashlib.sha256(tool.encode("utf-8", "replace")).hexdigest()[:7]
    return f"{shown[: _LONGEST_NAME - 8]}_{digest}"


def _spec(shown: str, name: str, server: str, settings: ToolServerSettings, tool: JsonObject) -> ToolSpec:
    hints = tool.get("annotations")
    notes: Mapping[str, object] = hints if settings.trusted and isinstance(hints, dict) else {}
    vouched = next((risk for pattern, risk in settings.risks.items() if fnmatchcase(name, pattern)), None)
    ours = tool.get("_meta") if settings.shipped and settings.trusted else None
    meta: Mapping[str, object] = ours if isinstance(ours, dict) else {}
    risk = vouched or _told(meta) or _risk(notes)
    title = tool.get("title") or notes.get("title") or ""
    return ToolSpec(
        name=shown,
        description=str(tool.get("description") or title or name)[:_LONGEST_DESCRIPTION],
        parameters=parameters(tool.get("inputSchema")),
        risk=risk,
        toolset=server,
        title=str(title)[:200],
        timeout=settings.timeout,
        idempotent=risk in ("read", "fetch") or (vouched is None and notes.get("idempotentHint") is True),
        untrusted=not settings.trusted or meta.get(UNTRUSTED) is True,
        foreign=not settings.trusted,
    )


def _told(meta: Mapping[str, object]) -> Risk | None:
    """By a server of Portal's own, which knows more of it than the protocol's hints can say."""
    return next((risk for risk in get_args(Risk) if risk == meta.get(RISK)), None)


def _risk(notes: Mapping[str, object]) -> Risk:
    """By a trusted server's own notes. Whoever says nothing reaches out, which asks."""
    if notes.get("readOnlyHint") is True:
        return "fetch" if notes.get("openWorldHint") is True else "read"
    return "write" if notes.get("openWorldHint") is False else "network"


def parameters(schema: object) -> JsonObject:
    """The schema of a tool's arguments: an object, not too large or deep, with references to itself only."""
    if not isinstance(schema, dict):
        return _EMPTY
    made = _bounded(schema, 0)
    made = {**made, "type": "object"} if isinstance(made, dict) else _EMPTY
    return made if len(orjson.dumps(made)) <= LARGEST_SCHEMA else _EMPTY


def _bounded(value: object, depth: int) -> object:
    if isinstance(value, list):
        return [_bounded(one, depth + 1) for one in value] if depth <= _DEEPEST + 1 else []
    if not isinstance(value, dict):
        return value
    if depth > _DEEPEST:
        return {}
    reference = value.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#"):  # nobody fetches schemas for a server
        return {name: each for name, each in value.items() if name == "description"}
    return {_today(name, each): _bounded(each, depth + 1) for name, each in value.items() if not _old(name, each)}


def _old(name: str, value: object) -> bool:
    """What says nothing, or only in older drafts, and what a null stands for that a server means as nothing."""
    if isinstance(value, bool):
        return name in ("exclusiveMinimum", "exclusiveMaximum", "required")
    return name in ("$schema", "$id") or (value is None and name not in ("const", "default"))


def _today(name: str, value: object) -> str:
    return "prefixItems" if name == "items" and isinstance(value, list) else name
