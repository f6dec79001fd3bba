"""From `/v1/models` and what servers add to it to ModelInfo: pure."""

from collections.abc import Iterable

from portal.backends.naming import capabilities_in_name, parameters_in_name
from portal.backends.wire import mapping, model_name, rows, text, texts, whole
from portal.core.items import JsonObject
from portal.core.model import ModelInfo

_WINDOW = ("loaded_context_length", "max_model_len", "context_length", "max_context_length", "context_window")
_NAMED = {
    "completion": ("chat", "completion"),
    "chat": ("chat",),
    "multimodal": ("vision",),
    "vision": ("vision",),
    "audio": ("audio",),
    "tools": ("tools",),
    "tool_use": ("tools",),
    "function_calling": ("tools",),
    "reasoning": ("thinking",),
    "thinking": ("thinking",),
    "embedding": ("embeddings",),
    "embeddings": ("embeddings",),
    "rerank": ("rerank",),
    "text-to-speech": ("speech",),
    "speech": ("speech",),
    "automatic-speech-recognition": ("transcription",),
    "transcription": ("transcription",),
}

_KINDS = frozenset({"chat", "embeddings", "rerank", "speech", "transcription"})
"""One of them says what a model is made for."""


def entries(answer: object) -> list[JsonObject] | None:
    """The models in an answer, llama.cpp's second list merged in; None if it is no such list, or names none of them."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        return None
    listed = [entry for entry in rows(answer["data"]) if model_name(entry.get("id"))]
    if answer["data"] and not listed:
        return None
    more = {name: entry for entry in rows(answer.get("models")) if (name := text(entry.get("model")))}
    return [{**more.get(entry["id"], {}), **entry} for entry in listed]


def model_info(entry: JsonObject, *, backend: str) -> ModelInfo:
    """One model, from whatever its server tells about it."""
    meta = mapping(entry.get("meta"))
    able, told = _capabilities(entry)
    window = next((size for name in _WINDOW if (size := whole(entry.get(name)))), None)
    return ModelInfo(
        id=entry["id"],
        backend=backend,
        capabilities=able,
        context_window=window or whole(meta.get("n_ctx")) or whole(meta.get("n_ctx_train")),
        parameters=whole(meta.get("n_params")) or parameters_in_name(entry["id"]),
        quantization=text(entry.get("quantization")),
        size=whole(meta.get("size")),
        family=text(entry.get("arch")),
        loaded={"loaded": True, "not-loaded": False}.get(str(entry.get("state"))),
        created=whole(entry.get("created")) or 0,
        description=text(entry.get("description")),
        told=told,
    )


def _capabilities(entry: JsonObject) -> tuple[frozenset[str], bool]:
    """What it can do, and whether the server said so."""
    kind = entry.get("type")
    if kind in ("embeddings", "embedding"):
        return frozenset({"embeddings"}), True
    said = (*_names(entry.get("capabilities")), str(entry.get("task")))
    named = {ours for theirs in said for ours in _NAMED.get(theirs, ())}
    told = bool(named & _KINDS) or (kind in ("llm", "vlm") and "capabilities" in entry)
    base = named if named & _KINDS else named | capabilities_in_name(entry["id"])
    return frozenset(base | {"vision"} if kind == "vlm" else base), told


def _names(reported: object) -> Iterable[str]:
    """Capabilities as a list of names, or as an object of flags."""
    if isinstance(reported, dict):
        return [str(name) for name, there in reported.items() if there]
    return texts(reported)


def with_props(info: JsonObject, props: object) -> JsonObject:
    """llama.cpp's `/props` added: the context it really runs with, and what its template and projector can do."""
    if not isinstance(props, dict):
        return info
    running = mapping(props.get("default_generation_settings"))
    able = [name for name, there in mapping(props.get("modalities")).items() if there]
    template = mapping(props.get("chat_template_caps"))
    if template.get("supports_tools") or "tools" in str(props.get("chat_template", "")):
        able.append("tools")
    more: JsonObject = {"capabilities": [*_names(info.get("capabilities")), *able]}
    if whole(running.get("n_ctx")):
        more["context_length"] = running["n_ctx"]
    return {**info, **more}
