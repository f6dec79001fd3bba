"""From Ollama's `/api/tags`, `/api/show` and `/api/ps` to ModelInfo: pure."""

import re
from dataclasses import dataclass
from datetime import datetime

from portal.backends.naming import capabilities_in_name, count_in, parameters_in_name
from portal.backends.wire import mapping, rows, text, texts, whole
from portal.core.items import JsonObject
from portal.core.model import ModelInfo

_CAPABILITIES = {
    "completion": ("chat", "completion"),
    "embedding": ("embeddings",),
    "vision": ("vision",),
    "audio": ("audio",),
    "tools": ("tools",),
    "thinking": ("thinking",),
}
_NUM_CTX = re.compile(r"^num_ctx\s+(\d{1,9})\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What `/api/show` adds; everything unknown where it was not asked or would not say."""

    capabilities: frozenset[str] | None = None
    context_window: int | None = None
    parameters: int | None = None
    num_ctx: int | None = None
    """The context that the model's author set in its Modelfile."""


def shown(answer: JsonObject) -> Shown:
    """One `/api/show` answer."""
    info = mapping(answer.get("model_info"))
    architecture = info.get("general.architecture", "")
    fixed = _NUM_CTX.search(str(answer.get("parameters") or ""))
    return Shown(
        capabilities=_capabilities(answer.get("capabilities")),
        context_window=whole(info.get(f"{architecture}.context_length")),
        parameters=whole(info.get("general.parameter_count")),
        num_ctx=int(fixed.group(1)) if fixed else None,
    )


def _capabilities(reported: object) -> frozenset[str] | None:
    if not isinstance(reported, list):
        return None
    return frozenset(ours for theirs in texts(reported) for ours in _CAPABILITIES.get(theirs, ()))


def model_info(
    tag: JsonObject, *, backend: str, more: Shown, loaded: bool | None, held: int | None = None
) -> ModelInfo:
    """One entry of `/api/tags` that has a name, completed by what `/api/show` said; `held` is its bytes in memory."""
    details = mapping(tag.get("details"))
    name: str = tag["name"]
    return ModelInfo(
        id=name,
        backend=backend,
        capabilities=more.capabilities or capabilities_in_name(name, texts(details.get("families"))),
        context_window=more.context_window,
        parameters=more.parameters or count_in(details.get("parameter_size")) or parameters_in_name(name),
        quantization=text(details.get("quantization_level")),
        size=whole(tag.get("size")),
        family=text(details.get("family")),
        loaded=loaded,
        held=held,
        created=_seconds(tag.get("modified_at")),
        told=bool(more.capabilities),
        digest=text(tag.get("digest")) or "",
    )


def _seconds(moment: object) -> int:
    """Unix seconds of Go's RFC 3339, whose nine decimals Python's parser cuts to six."""
    try:
        return max(int(datetime.fromisoformat(str(moment)).timestamp()), 0)
    except (ValueError, OverflowError, OSError):  # no moment, or one before there were seconds
        return 0


def running(answer: JsonObject) -> dict[str, int | None]:
    """From `/api/ps`: model to the context it was loaded with, None where this Ollama does not say."""
    return {_named(model): whole(model.get("context_length")) for model in rows(answer.get("models"))}


def held(answer: JsonObject) -> dict[str, int]:
    """From `/api/ps`: model to the bytes of memory it takes, where this Ollama says so."""
    return {_named(model): size for model in rows(answer.get("models")) if (size := whole(model.get("size")))}


def _named(model: JsonObject) -> str:
    return str(model.get("name") or model.get("model"))
