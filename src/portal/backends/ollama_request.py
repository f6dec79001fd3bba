"""From Chat Completions to Ollama's own request bodies: pure."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from portal.core.items import JsonObject
from portal.core.model import ChatMessage, ModelRequest
from portal.core.tokens import estimate, estimate_messages
from portal.errors import BackendRejected

OPTIONS = frozenset(
    {"num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "num_thread", "num_keep", "seed", "num_predict"}
    | {"top_k", "top_p", "min_p", "tfs_z", "typical_p", "repeat_last_n", "temperature", "repeat_penalty"}
    | {"presence_penalty", "frequency_penalty", "mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline"}
    | {"numa", "low_vram", "vocab_only", "use_mlock", "draft_num_predict"}
)
"""What Ollama takes inside `options`; the names are those of Chat Completions where it has them."""
_RENAMED = {"repetition_penalty": "repeat_penalty", "max_tokens": "num_predict", "max_completion_tokens": "num_predict"}
_CONVERTED = frozenset(
    {"n", "stream", "stream_options", "stop", "options", "response_format", "reasoning_effort", "logprobs", "tools"}
)
_EFFORTS: Mapping[str, bool | str] = {"none": False, "minimal": "low", "low": "low", "medium": "medium"}
_ANSWER = 2048
"""Tokens left for an answer whose length the client did not bound."""
_SMALLEST = 4096
_PICTURE = 800


def chat_body(request: ModelRequest) -> JsonObject:
    """The body of `/api/chat`, streaming.

    Raises:
        BackendRejected: content that Ollama cannot take, such as a picture by its web address.
    """
    body = _common(request.parameters)
    tools = _tools(request.parameters)
    if tools:
        body["tools"] = tools
    return {**body, "model": request.model, "messages": messages(request.messages), "stream": True}


def generate_body(request: ModelRequest, prompt: str) -> JsonObject:
    """The body of `/api/generate` for a raw completion; a suffix needs the model's own template instead."""
    body = _common(request.parameters)
    return {**body, "model": request.model, "prompt": prompt, "raw": "suffix" not in body, "stream": True}


def _common(parameters: Mapping[str, Any]) -> JsonObject:
    """Everything but the conversation; a name that Ollama has no place for stays as it is."""
    options: JsonObject = {}
    body: JsonObject = {}
    for name, value in parameters.items():
        target = _RENAMED.get(name, name)
        if value is None or name in _CONVERTED:
            continue
        (options if target in OPTIONS else body)[target] = value
    stop = parameters.get("stop")
    if stop:
        options["stop"] = [stop] if isinstance(stop, str) else stop
    options |= parameters.get("options") or {}
    return {**body, **_format(parameters), **_think(parameters), **_logprobs(parameters), "options": options}


def _format(parameters: Mapping[str, Any]) -> JsonObject:
    wanted = parameters.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {"format": "json"}
    if wanted.get("type") == "json_schema":
        return {"format": (wanted.get("json_schema") or {}).get("schema") or "json"}
    return {}


def _think(parameters: Mapping[str, Any]) -> JsonObject:
    effort = parameters.get("reasoning_effort")
    if effort is None or "think" in parameters:
        return {}
    return {"think": _EFFORTS.get(effort, "high")}


def _logprobs(parameters: Mapping[str, Any]) -> JsonObject:
    """A number is the legacy form of `/v1/completions`: how many alternatives."""
    wanted = parameters.get("logprobs")
    if wanted is None or wanted is False:
        return {}
    if wanted is True:
        return {"logprobs": True}
    return {"logprobs": True, "top_logprobs": wanted}


def _tools(parameters: Mapping[str, Any]) -> list[JsonObject]:
    """The tools on offer. Ollama knows no tool_choice: "none" offers none, a named one offers that alone."""
    tools: list[JsonObject] = list(parameters.get("tools") or ())
    choice = parameters.get("tool_choice")
    if choice == "none":
        return []
    if isinstance(choice, dict) and "function" in choice:
        return [tool for tool in tools if tool.get("function", {}).get("name") == choice["function"].get("name")]
    return tools


def messages(chat: Iterable[ChatMessage]) -> list[JsonObject]:
    """Ollama's messages: text apart from pictures, arguments as objects, tool results with their tool's name."""
    made: list[JsonObject] = []
    called: dict[str, str] = {}
    for message in chat:
        for call in message.get("tool_calls") or ():
            called[call.get("id", "")] = call.get("function", {}).get("name", "")
        made.append(_message(message, called))
    return made


def _message(message: ChatMessage, called: Mapping[str, str]) -> JsonObject:
    made = {name: value for name, value in message.items() if value is not None}
    made["role"] = "system" if message["role"] == "developer" else message["role"]
    made |= _content(message.get("content"))
    thinking = made.pop("reasoning_content", None) or made.pop("reasoning", None)
    if thinking:
        made["thinking"] = thinking
    if message.get("tool_calls"):
        made["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    if message["role"] == "tool" and "tool_name" not in made:
        made["tool_name"] = made.pop("name", None) or called.get(message.get("tool_call_id", ""), "")
    return made


def _call(call: JsonObject) -> JsonObject:
    function = call.get("function", {})
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        # The model once wrote arguments that are no object; Ollama takes nothing else, the model sees its own text.
        arguments = {"arguments": function.get("arguments")}
    return {**call, "function": {**function, "arguments": arguments}}


def _content(content: str | list[JsonObject] | None) -> JsonObject:
    if content is None or isinstance(content, str):
        return {"content": content or ""}
    texts = [part["text"] for part in content if part.get("type") == "text"]
    images = [_image(part) for part in content if part.get("type") != "text"]
    return {"content": "\n\n".join(texts), **({"images": images} if images else {})}


def _image(part: JsonObject) -> str:
    """The base64 data of a picture."""
    if part.get("type") != "image_url":
        raise _refused(f"Ollama takes text and pictures, not {part.get('type')!r}.", "unsupported_content")
    image = part.get("image_url")
    url = image.get("url", "") if isinstance(image, dict) else str(image)
    head, comma, data = url.partition(",")
    if not head.startswith("data:") or not comma:
        raise _refused("Ollama takes pictures as data: URLs only, not by their address.", "unsupported_image")
    if head.endswith(";base64"):
        return str(data)
    return base64.b64encode(unquote_to_bytes(data)).decode()


def _refused(message: str, code: str) -> BackendRejected:
    return BackendRejected(message, status=400, code=code, param="messages")


def conversation_tokens(body: JsonObject) -> int:
    """Tokens that a conversation may have, with a margin: an estimate is no tokenizer."""
    conversation = estimate_messages(body.get("messages", ())) + estimate(body.get("prompt", ""))
    conversation += sum(len(one.get("images") or ()) for one in (body, *body.get("messages", ()))) * _PICTURE
    tools = estimate(orjson.dumps(body["tools"]).decode()) if "tools" in body else 0
    return int((conversation + tools) * 1.25)


def answer_tokens(body: JsonObject) -> int:
    """Tokens to leave for the answer."""
    bound = body["options"].get("num_predict")
    return bound if isinstance(bound, int) and bound > 0 else _ANSWER


def fitting_context(needed: int, *, floor: int, ceiling: int) -> int:
    """The power of two that holds `needed` tokens, at least `floor`, at most `ceiling`.

    Steps, since each change of num_ctx makes Ollama load the model again.
    """
    size = _SMALLEST
    while size < needed:
        size *= 2
    return min(max(size, floor), ceiling)
