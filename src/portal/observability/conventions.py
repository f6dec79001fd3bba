"""The names that OpenTelemetry's semantic conventions for generative AI give to what Portal's spans say (status
"development" as of 2026: they may change, and then change here alone)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

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
