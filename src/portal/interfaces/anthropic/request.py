"""From a Messages request to Chat Completions' messages and parameters: pure."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence

import orjson

from portal.core.attachments import as_text
from portal.core.items import JsonObject
from portal.core.model import ChatMessage
from portal.errors import BadRequest
from portal.interfaces.anthropic.schema import (
    AssistantMessage,
    Base64Source,
    ContentSource,
    CountTokens,
    CreateMessage,
    Document,
    Image,
    SearchResult,
    Shown,
    SystemMessage,
    Text,
    TextSource,
    Thinking,
    Tool,
    ToolChoice,
    ToolReference,
    ToolResult,
    ToolUse,
    UserMessage,
)

_CHANGING = "x-anthropic-billing-header:"
"""A block that Claude Code puts before its system prompt, other with each request: a model server that met it would
have to read the whole prompt anew each time."""
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_EFFORTS: Mapping[str, str] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_BUDGETS = ((4096, "low"), (16384, "medium"))
"""Thinking budgets below which an effort is meant; all above is high."""


def chat_payload(request: CountTokens) -> JsonObject:
    """The same request as Chat Completions has it, each text still a part of its own. Stop sequences stay behind: who
    writes the answer looks for them, since no model server tells which one it met.

    Raises:
        BadRequest: a document that is no text.
    """
    made: JsonObject = {"model": request.model, "messages": _messages(request), **_tools(request)}
    wanted = request.output_format or (request.output_config and request.output_config.format)
    if wanted and wanted.get("type") == "json_schema":
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": wanted.get("schema") or {}},
        }
    if effort := _effort(request):
        made["reasoning_effort"] = effort
    if isinstance(request, CreateMessage):
        sampling = {name: getattr(request, name) for name in ("max_tokens", "temperature", "top_p", "top_k")}
        made |= {name: value for name, value in sampling.items() if value is not None}
        made["stream"] = bool(request.stream)
    return made


def shows_thinking(request: CountTokens) -> bool:
    """Whether the client asked to see what the model thinks."""
    thinking = request.thinking
    return thinking is not None and thinking.type != "disabled" and thinking.display != "omitted"


def _effort(request: CountTokens) -> str | None:
    thinking, wanted = request.thinking, request.output_config and request.output_config.effort
    if thinking is not None and thinking.type == "disabled":
        return "none"
    if wanted:
        return _EFFORTS.get(wanted)
    if thinking is None or thinking.budget_tokens is None:
        return None
    budget = thinking.budget_tokens
    return next((effort for below, effort in _BUDGETS if budget < below), "high")


def _tools(request: CountTokens) -> JsonObject:
    if not request.tools:
        return {}
    made: JsonObject = {"tools": [_tool(tool) for tool in request.tools]}
    if request.tool_choice is not None:
        made["tool_choice"] = _choice(request.tool_choice)
        if request.tool_choice.disable_parallel_tool_use:
            made["parallel_tool_calls"] = False
    return made


def _tool(tool: Tool) -> JsonObject:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.input_schema,
        "strict": tool.strict,
    }
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}


def _choice(choice: ToolChoice) -> str | JsonObject:
    if choice.type == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return _CHOICES[choice.type]


def _messages(request: CountTokens) -> list[ChatMessage]:
    """One system message at most and at the beginning, and no two messages of one role in a row: many models' templates
    take nothing else, and Anthropic joins such turns as well."""
    made: list[ChatMessage] = []
    if system := [block.text for block in request.system or () if not block.text.startswith(_CHANGING)]:
        made.append({"role": "system", "content": "\n\n".join(system)})
    for message in request.messages:
        match message:
            case AssistantMessage():
                _add_assistant(made, message)
            case UserMessage():
                _add_user(made, message)
            case SystemMessage():
                _add_system(made, message)
    return made


def _add_system(made: list[ChatMessage], message: SystemMessage) -> None:
    text = "\n\n".join(block.text for block in message.content)
    if not made:
        made.append({"role": "system", "content": text})
    elif made[-1]["role"] == "system":
        made[-1]["content"] += f"\n\n{text}"
    else:
        _say(made, [_text(f"<system>\n{text}\n</system>")])


def _add_assistant(made: list[ChatMessage], message: AssistantMessage) -> None:
    if not made or made[-1]["role"] != "assistant":
        made.append({"role": "assistant", "content": []})
    last = made[-1]
    for block in message.content:
        match block:
            case Text():
                last["content"].append(_text(block.text))
            case Thinking():
                last["reasoning_content"] = last.get("reasoning_content", "") + block.thinking
            case ToolUse():
                function = {"name": block.name, "arguments": orjson.dumps(block.input).decode()}
                last.setdefault("tool_calls", []).append({"id": block.id, "type": "function", "function": function})


def _add_user(made: list[ChatMessage], message: UserMessage) -> None:
    """Results first, right behind the calls they belong to; pictures in them follow as the user's, since a tool message
    is text."""
    pictures: list[JsonObject] = []
    said: list[JsonObject] = []
    for block in message.content:
        if isinstance(block, ToolResult):
            parts = _parts(block.content or ())
            text = "\n\n".join(part["text"] for part in parts if part["type"] == "text")
            content = f"Error: {text}" if block.is_error else text
            made.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": content})
            pictures += [part for part in parts if part["type"] != "text"]
        else:
            said += _parts([block])
    if pictures:
        said = [_text("Pictures from the tools' results:"), *pictures, *said]
    if said or not message.content:
        _say(made, said)


def _say(made: list[ChatMessage], parts: list[JsonObject]) -> None:
    if made and made[-1]["role"] == "user":
        made[-1]["content"] += parts
    else:
        made.append({"role": "user", "content": parts})


def plain(message: ChatMessage) -> ChatMessage:
    """Content that is nothing but text as one text, as every model's template takes it."""
    content = message["content"]
    if isinstance(content, str) or not all(part["type"] == "text" for part in content):
        return message
    text = "\n\n".join(part["text"] for part in content)
    return {**message, "content": text if text or "tool_calls" not in message else None}


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _parts(blocks: Iterable[Shown]) -> list[JsonObject]:
    return [part for block in blocks for part in _part(block)]


def _part(block: Shown) -> Sequence[JsonObject]:
    match block:
        case Text():
            return [_text(block.text)]
        case Image():
            return [{"type": "image_url", "image_url": {"url": _url(block)}}]
        case Document():
            return _document(block)
        case SearchResult():
            found = "\n".join(text.text for text in block.content)
            return [_text(f"{block.title} ({block.source}):\n{found}")]
        case ToolReference():
            return [_text(f"Tool: {block.tool_name}")]


def _url(image: Image) -> str:
    source = image.source
    return f"data:{source.media_type};base64,{source.data}" if isinstance(source, Base64Source) else source.url


def _document(document: Document) -> Sequence[JsonObject]:
    source, name = document.source, document.title or "document"
    about = [_text(document.context)] if document.context else []
    match source:
        case TextSource():
            return [*about, _text(as_text(name, source.data.encode()))]
        case ContentSource():
            return [*about, _text(f"{name}:"), *_parts(source.content)]
        case Base64Source():
            return [*about, _text(as_text(name, _decoded(source, name)))]


def _decoded(source: Base64Source, name: str) -> bytes:
    if source.media_type == "application/pdf":
        raise BadRequest(f"The document {name!r} is a PDF. This version reads text documents and pictures.")
    try:
        return base64.b64decode(source.data, validate=True)
    except binascii.Error as error:
        raise BadRequest(f"The data of the document {name!r} is not base64.") from error
