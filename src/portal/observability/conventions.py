"""The names that OpenTelemetry's semantic conventions for generative AI give to what Portal's spans say (status
"development" as of 2026: they may change, and then change here alone)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from portal.core.items import JsonObject
from portal.core.tracing import Span, Value

Told: TypeAlias = Value | tuple[str, ...]
INTERNAL, CLIENT = 1, 3
"""Kinds of spans."""

_OPERATIONS: Mapping[str, str] = {"turn": "invoke_agent", "tool": "execute_tool", "model": "chat"}
_RECALLS: Mapping[str, str] = {"knowledge": "retrieval", "memory": "search_memory"}
_DOORS: Mapping[str, str] = {
    "completions": "text_completion",
    "embeddings": "embeddings",
    "embed": "embeddings",
    "rerank": "rerank",
}
"""Calls of a model that are no chat, by the door they came through."""
_PROVIDERS: Mapping[str, str] = {"openai_compatible": "openai"}
"""By the kind of server: the protocol it speaks; the others have their own names."""

_NAMES: Mapping[str, str] = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "conversation": "gen_ai.conversation.id",
    "response": "gen_ai.response.id",
    "call": "gen_ai.tool.call.id",
    "error_type": "error.type",
}
"""Of what is noted; everything else is `portal.` and its own name."""


_CONTENT: Mapping[str, str] = {
    "input": "gen_ai.input.messages",
    "output": "gen_ai.output.messages",
    "arguments": "gen_ai.tool.call.arguments",
    "result": "gen_ai.tool.call.result",
}


@dataclass(frozen=True, slots=True)
class Described:
    """What follows from the kind of a span alone."""

    title: str
    kind: int
    attributes: Mapping[str, Told]


def describe(kind: str, name: str, provider: str, door: str) -> Described:
    """`provider` is the kind of a model's server, `door` what a call came through that is within no turn."""
    doing = _DOORS.get(door, "chat") if kind == "model" else _OPERATIONS.get(kind, "")
    doing = _RECALLS.get(name, "") if kind == "recall" else doing
    attributes: dict[str, Told] = {"gen_ai.operation.name": doing or None, "portal.door": door or None}
    if kind == "model":
        attributes["gen_ai.provider.name"] = _PROVIDERS.get(provider, provider)
        attributes["gen_ai.request.model"] = name
    elif kind == "turn":
        attributes |= {"gen_ai.agent.name": name, "gen_ai.provider.name": "portal"}
    elif kind == "tool":
        attributes |= {"gen_ai.tool.name": name, "gen_ai.tool.type": "function"}
    title = f"{doing or f'portal.{kind}'} {name}"
    return Described(title, CLIENT if kind == "model" else INTERNAL, attributes)


def noted(span: Span) -> dict[str, Told]:
    """What was noted in the course of it."""
    told: dict[str, Told] = {}
    for name, value in span.attributes.items():
        if name == "first_ms" and isinstance(value, float):
            told["gen_ai.response.time_to_first_chunk"] = value / 1000
        elif name == "reason" and span.kind == "model" and isinstance(value, str):
            told["gen_ai.response.finish_reasons"] = (value,)
        elif name != "provider":
            told[_NAMES.get(name) or f"portal.{name}"] = value
    if span.error and "error.type" not in told:
        told["error.type"] = span.error if " " not in span.error else "_OTHER"
    return told


def said(span: Span) -> dict[str, str]:
    """What was said in it, as JSON texts; empty unless somebody asked for that."""
    told = {}
    for name, content in span.content.items():
        if isinstance(content, list | tuple):
            told[_CONTENT[name]] = orjson.dumps([_message(one) for one in content]).decode()
        else:
            told[_CONTENT[name]] = str(content)
    return told


def _message(chat: JsonObject) -> JsonObject:
    """A Chat Completions message as the conventions have it: a role, and parts."""
    content = chat.get("content") or ""
    if chat.get("role") == "tool":
        answer = {"type": "tool_call_response", "id": chat.get("tool_call_id"), "response": content}
        return {"role": "tool", "parts": [answer]}
    pieces = [{"type": "text", "text": content}] if isinstance(content, str) else content
    parts: list[JsonObject] = [
        {"type": "text", "content": one["text"]} if "text" in one else {"type": one.get("type")} for one in pieces
    ]
    for call in chat.get("tool_calls") or ():
        about = call.get("function", {})
        called = {"id": call.get("id"), "name": about.get("name"), "arguments": about.get("arguments")}
        parts.append({"type": "tool_call", **called})
    return {"role": chat.get("role"), "parts": [one for one in parts if one.get("content") != ""]}
