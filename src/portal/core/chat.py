"""Items to Chat Completions messages, and the Responses API's parameters to those of Chat Completions.

The one converter between the data model and what model servers speak. Attachments are resolved before
(core/attachments.py), so every part here carries its own content.
"""

from collections.abc import Collection, Iterable, Mapping

from portal.core.arguments import LONGEST
from portal.core.items import Item, JsonObject
from portal.core.model import ChatMessage
from portal.errors import BadRequest

_NOT_PASSED = frozenset(
    {"model", "input", "messages", "prompt", "instructions", "conversation", "previous_response_id"}
    | {"stream", "stream_options", "store", "background", "background_options", "include", "metadata", "truncation"}
    | {"context_management", "moderation", "max_tool_calls", "safety_identifier", "access_programs", "image"}
    | {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    | {"max_output_tokens", "text", "reasoning", "tools", "tool_choice", "top_logprobs"}  # converted
    | {"n"}  # a response is one answer
)
"""Fields of a Responses request that mean nothing to a model server, or something else. Any other is its to judge:
servers know more parameters than any list of ours."""


_ANSWERS = ("mcp_call", "mcp_approval_response")
_UNTOLD = ("mcp_approval_response", "reasoning", "file_search_call", "image_generation_call")
_NOT_ALLOWED = "The person has not allowed this call, so it was not run."
_NOT_ANSWERED = "The person has not answered this."


def to_messages(items: Iterable[Item], instructions: str | None = None) -> list[ChatMessage]:
    """Chat messages of these items, `instructions` first as a system message.

    Raises:
        BadRequest: an item or part that no chat model understands.
    """
    listed = list(items)
    told = _Told({item.get("approval_request_id") for item in listed if item["type"] in _ANSWERS})
    if instructions:
        told.messages.append({"role": "system", "content": instructions})
    for item in listed:
        told.add(item)
    return told.messages


class _Told:
    """What a model is told, growing item by item. `decided` are the questions whose calls or answers are among the
    items."""

    def __init__(self, decided: Collection[str | None]) -> None:
        self.messages: list[ChatMessage] = []
        self._decided = decided
        self._calling: ChatMessage | None = None
        """The message that the calls of the round under way belong to; nothing but their results comes after it."""
        self._round: object = None

    def add(self, item: Item) -> None:
        kind = item["type"]
        if kind == "mcp_call":
            self._add_result(item, item.get("portal:round"), _outcome(item))
        elif kind == "mcp_approval_request":
            if item["id"] not in self._decided:
                refusal = _NOT_ANSWERED if item.get("portal:question") else _NOT_ALLOWED
                self._add_result(item, self._round or "asked", refusal)
        elif kind not in _UNTOLD and not kind.startswith("portal:"):
            self._calling = self._round = None
            self._add_said(kind, item)

    def _add_result(self, item: Item, number: object, outcome: str) -> None:
        """A call that Portal answers itself: beside the others of its round, its outcome behind theirs."""
        if self._calling is None or number is None or number != self._round:
            self._calling, self._round = self._open_calls(), number
        told = item if len(item["arguments"]) <= LONGEST else {**item, "arguments": "{}"}  # they were refused
        self._calling.setdefault("tool_calls", []).append(_call(item["id"], told))
        self.messages.append({"role": "tool", "tool_call_id": item["id"], "content": outcome})

    def _add_said(self, kind: str, item: Item) -> None:
        if kind == "message":
            role = "system" if item["role"] == "developer" else item["role"]
            self.messages.append({"role": role, "content": _content(item["content"])})
        elif kind == "function_call":
            self._open_calls().setdefault("tool_calls", []).append(_call(item["call_id"], item))
        elif kind == "function_call_output":
            output = item["output"]
            content = output if isinstance(output, str) else _content(output)
            self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": content})
        elif kind == "compaction":
            summary = f"Summary of the conversation so far:\n{item['summary']}"
            self.messages.append({"role": "system", "content": summary})
        else:
            raise BadRequest(
                f"Items of type {kind!r} cannot be sent to a model.", param="input", code="unsupported_item"
            )

    def _open_calls(self) -> ChatMessage:
        """The assistant's message that calls go into: the last one, else a new one."""
        if not self.messages or self.messages[-1]["role"] != "assistant":
            self.messages.append({"role": "assistant", "content": None})
        return self.messages[-1]


def _call(identity: str, item: Item) -> JsonObject:
    return {
        "id": identity,
        "type": "function",
        "function": {"name": item["name"], "arguments": item["arguments"]},
    }


def _outcome(item: Item) -> str:
    """A call's output, then what went wrong."""
    return "\n\n".join(text for text in (item.get("output"), item.get("error")) if text)


def _content(parts: str | list[JsonObject]) -> str | list[JsonObject]:
    """Plain text where every part is text (all templates take it), else the parts as Chat Completions has them."""
    if isinstance(parts, str):
        return parts
    return plain_parts([_part(part) for part in parts])


def plain_parts(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Parts of Chat Completions, as one text where that is all they are."""
    if all(part.get("type") == "text" for part in parts):
        return "\n\n".join(str(part["text"]) for part in parts)
    return parts


def _part(part: JsonObject) -> JsonObject:
    kind = part["type"]
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        return {"type": "text", "text": part["text"]}
    if kind == "refusal":
        return {"type": "text", "text": part["refusal"]}
    if kind == "input_image":
        image = {"url": part["image_url"]}
        if part.get("detail"):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_audio":
        return part
    raise BadRequest(f"Content of type {kind!r} cannot be sent to a model.", param="input", code="unsupported_content")


def to_parameters(request: JsonObject) -> dict[str, object]:
    """Chat Completions parameters of a Responses request's fields; what was not sent is left out."""
    parameters: dict[str, object] = {
        name: value for name, value in request.items() if value is not None and _is_passed(name)
    }
    if request.get("max_output_tokens") is not None:
        parameters["max_tokens"] = request["max_output_tokens"]
    parameters.update(_tools(request))
    parameters.update(_text(request.get("text") or {}))
    effort = (request.get("reasoning") or {}).get("effort")
    if effort:
        parameters["reasoning_effort"] = effort
    if request.get("top_logprobs") or "message.output_text.logprobs" in (request.get("include") or ()):
        parameters |= {"logprobs": True, "top_logprobs": request.get("top_logprobs") or 0}
    return parameters


def _is_passed(name: str) -> bool:
    return name not in _NOT_PASSED and not name.startswith("portal:")


def _text(options: JsonObject) -> dict[str, object]:
    made = {"response_format": _response_format(options.get("format")), "verbosity": options.get("verbosity")}
    return {name: value for name, value in made.items() if value is not None}


def _tools(request: JsonObject) -> dict[str, object]:
    tools = [tool for tool in request.get("tools") or () if tool.get("type") == "function"]
    choice = request.get("tool_choice")
    if isinstance(choice, Mapping) and choice.get("type") == "allowed_tools":
        allowed = {tool.get("name") for tool in choice["tools"]}
        tools = [tool for tool in tools if tool["name"] in allowed]
        choice = choice.get("mode", "auto")
    if not tools:
        return {}
    made: dict[str, object] = {"tools": [_tool(tool) for tool in tools]}
    if isinstance(choice, Mapping):
        if choice.get("type") != "function":  # Portal searches anyway
            return made
        made["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    elif choice:
        made["tool_choice"] = choice
    return made


def _tool(tool: JsonObject) -> JsonObject:
    kept = ("name", "description", "parameters", "strict")
    return {"type": "function", "function": {name: tool[name] for name in kept if tool.get(name) is not None}}


def _response_format(wanted: JsonObject | None) -> JsonObject | None:
    if not wanted or wanted.get("type") == "text":
        return None
    if wanted["type"] == "json_object":
        return {"type": "json_object"}
    schema = {
        name: wanted[name] for name in ("name", "description", "schema", "strict") if wanted.get(name) is not None
    }
    return {"type": "json_schema", "json_schema": schema}
