"""Tools for models whose server knows none: told in the prompt, called and answered in text."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portal.core.items import JsonObject
from portal.core.model import ChatMessage

_PROTOCOL = """\
You can use tools. To use one, write just this and nothing after it, then wait for the result:
<tool_call>{"name": "NAME", "arguments": {...}}</tool_call>
Use a tool only when you need it. The tools:"""


def prompted(
    messages: Sequence[ChatMessage], parameters: Mapping[str, object]
) -> tuple[list[ChatMessage], dict[str, object]]:
    """The same request without `tools`: they stand in the system message, calls and results in the text."""
    rest = {name: value for name, value in parameters.items() if name not in ("tools", "tool_choice")}
    tools = parameters.get("tools")
    told = [_told(tool["function"]) for tool in (tools if isinstance(tools, list) else ()) if "function" in tool]
    written = [_written(message) for message in messages]
    if told:
        written = _with_system(written, "\n".join([_PROTOCOL, *told]))
    return _alternating(written), rest


def _alternating(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Neighbours of one role as one message: templates of such models refuse two in a row."""
    made: list[ChatMessage] = []
    for message in messages:
        if made and made[-1]["role"] == message["role"]:
            made[-1] = {**made[-1], "content": _joined(made[-1].get("content"), message.get("content"))}
        else:
            made.append(message)
    return made


def _joined(first: Any, second: Any) -> Any:
    """Text and text as text, else as parts."""
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    parts = ([{"type": "text", "text": one}] if isinstance(one, str) else one for one in (first, second))
    return [part for one in parts for part in one]


def _told(function: JsonObject) -> str:
    schema = function.get("parameters") or {}
    required = schema.get("required") or ()
    arguments = {
        name: f"{_about(one)}{'' if name in required else ' (optional)'}"
        for name, one in (schema.get("properties") or {}).items()
    }
    return f"- {function['name']}: {function.get('description', '')} Arguments: {json.dumps(arguments)}"


def _about(schema: Any) -> str:
    known = schema if isinstance(schema, dict) else {}
    return str(known.get("description") or known.get("type", "any"))


def _with_system(messages: list[ChatMessage], text: str) -> list[ChatMessage]:
    first = messages[0] if messages else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        return [{**first, "content": f"{first['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _written(message: ChatMessage) -> ChatMessage:
    """Calls and results as text."""
    if message.get("role") == "tool":
        return {"role": "user", "content": f"<tool_response>\n{message['content']}\n</tool_response>"}
    if not message.get("tool_calls"):
        return message
    calls = (call["function"] for call in message["tool_calls"])
    text = "\n".join(
        f'<tool_call>{{"name": {json.dumps(one["name"])}, "arguments": {one["arguments"] or "{}"}}}</tool_call>'
        for one in calls
    )
    return {"role": "assistant", "content": "\n".join(part for part in (message.get("content"), text) if part)}
