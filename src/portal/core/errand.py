"""An errand: a turn that runs one tool which its client chose, under the same policies, approvals and records as any
call of a model's, and asks no model."""

import json
from collections.abc import Mapping

from portal.core.items import JsonObject
from portal.core.scene import Asked

_FIELD = "portal:errand"


def errand(tool: str, arguments: JsonObject) -> JsonObject:
    """The request of such a turn."""
    return {_FIELD: {"tool": tool, "arguments": json.dumps(arguments, ensure_ascii=False)}}


def is_errand(request: Mapping[str, object]) -> bool:
    """Whether a turn of this request runs a tool and nothing else."""
    return isinstance(request.get(_FIELD), dict)


def asked_by(request: Mapping[str, object]) -> Asked | None:
    """Its call."""
    given = request.get(_FIELD)
    if not isinstance(given, dict):
        return None
    return Asked(str(given.get("tool", "")), str(given.get("arguments", "")))
