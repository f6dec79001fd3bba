"""Ollama's requests: checked as far as Portal itself reads them, and as Chat Completions for other model servers."""

import base64
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from pydantic import Field

from portal.core.ask import Ask, override
from portal.core.decision import Route
from portal.core.items import JsonObject
from portal.core.model import ChatMessage, ModelRequest
from portal.core.tokens import estimate, estimate_messages
from portal.errors import BadRequest
from portal.interfaces.openai.validation import Checked, check, one_of, parse_json

_ROLES = ("system", "user", "assistant", "tool")
_SAMPLING: Mapping[str, str] = {
    "num_predict": "max_tokens",
    "stop": "stop",
    "seed": "seed",
    "temperature": "temperature",
}
_SAMPLING = {**_SAMPLING, **{name: name for name in ("top_p", "presence_penalty", "frequency_penalty")}}
_RUNNER = frozenset(
    {
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "use_mmap",
        "use_mlock",
        "num_thread",
        "num_keep",
        "numa",
        "low_vram",
    }
    | {"vocab_only", "draft_num_predict", "penalize_newline"}
)
"""Options that only Ollama has a use for."""
_PASSED = ("keep_alive", "think", "truncate", "shift", "logprobs", "top_logprobs", "tools")
_EFFORTS = {True: "medium", False: "none", "max": "high"}
_TYPES = {"/9j/": "jpeg", "R0lG": "gif", "UklG": "webp", "iVBO": "png"}


class _Function(Checked):
    name: str
    arguments: dict[str, Any] | None = None


class _Call(Checked):
    function: _Function


class _Message(Checked):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class _Request(Checked):
    model: str
    stream: bool | None = None
    options: dict[str, Any] | None = None
    keep_alive: str | int | float | None = None
    think: bool | str | None = None


class CreateOllamaChat(_Request):
    """The body of `/api/chat`."""

    messages: list[_Message] | None = None
    tools: list[dict[str, Any]] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


class CreateOllamaText(_Request):
    """The body of `/api/generate`."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None


def read_model(body: bytes) -> JsonObject:
    """A request that names a model, by the field's older name too. Raises BadRequest."""
    if not body.strip():
        raise BadRequest("missing request body")
    payload = parse_json(body)
    name = payload.get("model") or payload.get("name")
    if not name:
        raise BadRequest("model is required", param="model")
    if not isinstance(name, str):
        raise BadRequest("model must be a string", param="model")
    return payload


def read_chat(body: bytes) -> JsonObject:
    """A request of `/api/chat`, unchanged. Raises BadRequest."""
    payload = read_model(body)
    check(CreateOllamaChat, payload)
    return payload


def read_text(body: bytes) -> tuple[JsonObject, bytes]:
    """A request of `/api/generate`, and its bytes: unchanged, unless `@model:NAME` begins the prompt."""
    payload = read_model(body)
    checked = check(CreateOllamaText, payload)
    if checked.raw and (checked.template or checked.system or checked.context):
        raise BadRequest("raw mode does not support template, system, or context")
    found = None if checked.raw else override([{"role": "user", "content": payload.get("prompt") or ""}])
    if found is None:
        return payload, body
    changed = {**payload, "model": found[0], "prompt": found[1][0]["content"]}
    return changed, orjson.dumps(changed)


def ask_chat(payload: JsonObject) -> Ask:
    """What the router is asked about a chat."""
    messages = payload.get("messages") or ()
    needs = {"chat"} | ({"tools"} if payload.get("tools") else set())
    needs |= {"vision"} if any(message.get("images") for message in messages) else set()
    return Ask(model=payload["model"], messages=messages, parameters=payload, needs=frozenset(needs))


def ask_text(payload: JsonObject) -> Ask:
    """The same about a text."""
    if _is_bare(payload):
        return Ask(model=payload["model"], needs=frozenset({"completion"}))
    needs = frozenset({"chat", "vision"} if payload.get("images") else {"chat"})
    return Ask(model=payload["model"], messages=_prompt_messages(payload), needs=needs)


def chat_request(payload: JsonObject, route: Route) -> ModelRequest:
    """A chat for a server of another kind. Raises BadRequest."""
    messages = chat_messages(payload.get("messages") or ())
    return ModelRequest(model=route.model.id, messages=messages, parameters=_parameters(payload))


def text_request(payload: JsonObject, route: Route) -> ModelRequest:
    """A text for a server of another kind: raw where no template is to be used, else a chat of one message.

    Raises:
        BadRequest: what only an Ollama server could do.
    """
    model = route.model.id
    for name in ("template", "context"):
        if payload.get(name):
            raise BadRequest(f"{model} is not served by Ollama itself, so {name} has no meaning here.", param=name)
    parameters = _parameters(payload)
    if not _is_bare(payload):
        return ModelRequest(model=model, messages=chat_messages(_prompt_messages(payload)), parameters=parameters)
    if payload.get("images"):
        raise BadRequest("A raw prompt takes no images here; use /api/chat.", param="images")
    if "logprobs" in parameters:  # a number in this older API
        parameters["logprobs"] = parameters.pop("top_logprobs", 0) if parameters["logprobs"] else None
    if payload.get("suffix"):
        parameters["suffix"] = payload["suffix"]
    return ModelRequest(model=model, prompt=payload["prompt"], parameters=parameters)


def count_chat(payload: JsonObject) -> int:
    """The input's tokens, estimated."""
    return estimate_messages(payload.get("messages") or ())


def count_text(payload: JsonObject) -> int:
    """The same of a text."""
    return sum(estimate(payload.get(name) or "") for name in ("system", "prompt", "suffix"))


def _is_bare(payload: JsonObject) -> bool:
    """Whether the model is to go on with the very text."""
    return bool(payload.get("raw") or payload.get("suffix"))


def _prompt_messages(payload: JsonObject) -> list[JsonObject]:
    system = [{"role": "system", "content": payload["system"]}] if payload.get("system") else []
    return [*system, {"role": "user", "content": payload.get("prompt") or "", "images": payload.get("images")}]


def _parameters(payload: JsonObject) -> dict[str, object]:
    """Everything but the conversation by its Chat Completions name; what only Ollama understands under its own."""
    made: dict[str, object] = {name: payload[name] for name in _PASSED if payload.get(name) not in (None, [])}
    runner = {}
    for name, value in (payload.get("options") or {}).items():
        if name in _RUNNER:
            runner[name] = value
        elif name != "num_predict" or (isinstance(value, int) and value > 0):
            made[_SAMPLING.get(name, name)] = value
    if runner:
        made["options"] = runner
    if payload.get("format"):
        made["response_format"] = _format(payload["format"])
    if payload.get("think") is not None:
        made["reasoning_effort"] = _EFFORTS.get(payload["think"], payload["think"])
    return made


def _format(wanted: Any) -> JsonObject:
    if wanted == "json":
        return {"type": "json_object"}
    if isinstance(wanted, dict):
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}
    raise BadRequest('format must be "json" or a JSON schema', param="format")


def chat_messages(sent: Sequence[JsonObject]) -> list[ChatMessage]:
    """Ollama's messages as those of Chat Completions: calls get ids, and results those of the calls they answer."""
    made: list[ChatMessage] = []
    waiting: list[tuple[str, str]] = []
    for index, message in enumerate(sent):
        role = message["role"].lower()
        if role not in _ROLES:
            raise one_of(_ROLES, message["role"], f"messages[{index}].role")
        one: ChatMessage = {"role": role, "content": _content(message)}
        if message.get("thinking"):
            one["reasoning_content"] = message["thinking"]
        if message.get("tool_calls"):
            one["tool_calls"] = [_call(call, f"call_{index}_{at}") for at, call in enumerate(message["tool_calls"])]
            waiting += [(call["id"], call["function"]["name"]) for call in one["tool_calls"]]
        if role == "tool":
            one["tool_call_id"] = _answered(message, waiting)
        made.append(one)
    return made


def _call(call: JsonObject, name: str) -> JsonObject:
    function = call["function"]
    arguments = orjson.dumps(function.get("arguments") or {}).decode()
    made = {"name": function["name"], "arguments": arguments}
    return {"id": call.get("id") or name, "type": "function", "function": made}


def _answered(message: JsonObject, waiting: list[tuple[str, str]]) -> str:
    """The id of the call that a result is of: the one it names, else the first of its tool, else the first of all."""
    if message.get("tool_call_id"):
        return str(message["tool_call_id"])
    named = [call for call in waiting if call[1] == message.get("tool_name")] or waiting
    if not named:
        return f"call_{message.get('tool_name') or 'unknown'}"
    answered = named[0]
    waiting.remove(answered)
    return answered[0]


def _content(message: JsonObject) -> str | list[JsonObject]:
    content, images = message.get("content") or "", message.get("images")
    if not images:
        return content
    pictures = [{"type": "image_url", "image_url": {"url": _data_url(image)}} for image in images]
    return [*([{"type": "text", "text": content}] if content else []), *pictures]


def _data_url(image: str) -> str:
    try:
        base64.b64decode(image, validate=True)
    except ValueError as error:
        raise BadRequest(f"an image is not base64: {error}", param="images") from error
    return f"data:image/{_TYPES.get(image[:4], 'png')};base64,{image}"
