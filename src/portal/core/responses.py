"""The response object: what a stored or running turn looks like to a client (Open Responses, ResponseResource)."""

from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter

from portal.core.clock import seconds
from portal.core.events import Event, Events, replay
from portal.core.items import TERMINAL, Item, JsonObject
from portal.core.model import TokenUsage
from portal.core.records import ResponseRecord, TurnRecord

_DEFAULTS: JsonObject = {
    "instructions": None,
    "tools": [],
    "tool_choice": "auto",
    "truncation": "disabled",
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "temperature": 1.0,
    "reasoning": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "service_tier": "default",
    "metadata": {},
    "safety_identifier": None,
    "prompt_cache_key": None,
}

_UNSAID: JsonObject = {"description": None, "parameters": None, "strict": None}


def resource(record: ResponseRecord, outputs: Iterable[Item], *, stored: bool = True) -> JsonObject:
    """The response object of a turn with these output items; times in whole Unix seconds."""
    request = record.request
    echoed = {name: _echo(name, request.get(name), default) for name, default in _DEFAULTS.items()}
    return {
        "id": record.id,
        "object": "response",
        "created_at": seconds(record.created_at),
        "completed_at": seconds(record.completed_at) if record.completed_at is not None else None,
        "status": record.status,
        "incomplete_details": record.incomplete_details,
        "model": (record.decision or {}).get("resolved_model") or record.model,
        "previous_response_id": record.previous_id,
        "conversation": {"id": record.conversation_id} if record.conversation_id else None,
        "output": list(outputs),
        "error": record.error,
        "usage": record.usage,
        "store": stored,
        "background": record.background,
        **echoed,
    }


def stored_resource(turn: TurnRecord) -> JsonObject:
    """The response object of a stored turn."""
    return resource(turn.response, (stored.item for stored in turn.items if stored.side == "output"))


def _echo(name: str, sent: object, default: object) -> object:
    if sent is None:
        return default
    if name == "text" and isinstance(sent, dict):
        return {**sent, "format": _format(sent.get("format"))}
    if name == "tool_choice" and isinstance(sent, dict) and sent.get("type") == "allowed_tools":
        return {"mode": "auto", **sent}
    if name == "tools" and isinstance(sent, list):
        return [{**_UNSAID, **tool} if tool["type"] == "function" else tool for tool in sent]
    if name == "reasoning" and isinstance(sent, dict):
        return {"effort": None, "summary": None, **sent}
    return sent


def _format(sent: JsonObject | None) -> JsonObject:
    """The specification's response format has a `schema` that is null: the client knows its own."""
    if sent is None:
        return {"type": "text"}
    if sent["type"] != "json_schema":
        return sent
    return {**sent, "description": sent.get("description"), "strict": sent.get("strict") is True, "schema": None}


def usage_object(usage: TokenUsage) -> JsonObject:
    """Token counts in the Responses API's shape; `estimated` is there when Portal counted."""
    made: JsonObject = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
    if usage.estimated:
        made["portal:estimated"] = True
    return made


def terminal_event(status: str) -> str:
    """The type of the last event of a response; the specification has three, so `cancelled` ends as incomplete."""
    return {"completed": "response.completed", "failed": "response.failed"}.get(status, "response.incomplete")


def rebuilt(turn: TurnRecord, starting_after: int) -> list[Event]:
    """A stored response's events with numbers above `starting_after`, with the numbers they had."""
    record, opening = turn.response, Events()
    begun = resource(
        replace(record, status="in_progress", completed_at=None, usage=None, error=None, incomplete_details=None), ()
    )
    made = [opening.event(f"response.{name}", response=begun) for name in ("created", "in_progress")]
    if record.decision is not None:
        made.append(opening.event("portal:route", decision=record.decision))
    made = [event for event in made if event["sequence_number"] > starting_after]
    for stored in turn.items:
        if stored.side == "output" and stored.first_seq >= 0:
            made.extend(replay(stored, starting_after))
    made.sort(key=itemgetter("sequence_number"))  # of items that were open at once
    if record.status in TERMINAL and record.last_seq > starting_after:
        last = Events(start=record.last_seq)
        made.append(last.event(terminal_event(record.status), response=stored_resource(turn)))
    return made
