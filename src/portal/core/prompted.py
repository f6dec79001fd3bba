"""Tools for models whose server knows none: told in the prompt, called and answered in text. After a call that could
not be read the answer is held to a schema: it is a call with arguments that fit, or an answer, and nothing else."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.model import ChatMessage, ModelEvent, TextDelta, ToolCallDelta

_PROTOCOL = """\
You can use tools. To use one, write just this and nothing after it, then wait for the result:
<tool_call>{"name": "NAME", "arguments": {...}}</tool_call>
Use a tool only when you need it. The tools:"""
_STRICT = """\
You can use tools. Write JSON and nothing else: {"answer": "..."} to answer, or to use a tool
{"name": "NAME", "arguments": {...}}, and then wait for the result. The tools:"""
_NAME = "portal_call_or_answer"
_LARGEST = 4000
"""Characters of a tool's schema that a grammar is made of; a larger one is checked afterwards only."""


def prompted(
    messages: Sequence[ChatMessage], parameters: Mapping[str, object], *, strict: bool = False
) -> tuple[list[ChatMessage], dict[str, object]]:
    """The same request without `tools`: they stand in the system message, calls and results in the text. `strict` holds
    the answer to a schema."""
    rest = {name: value for name, value in parameters.items() if name not in ("tools", "tool_choice")}
    tools = parameters.get("tools")
    functions = [tool["function"] for tool in (tools if isinstance(tools, list) else ()) if "function" in tool]
    written = [_written(message) for message in messages]
    if functions:
        protocol = _STRICT if strict else _PROTOCOL
        written = _with_system(written, "\n".join([protocol, *map(_told, functions)]))
    if functions and strict:
        schema = {"anyOf": [_object(answer={"type": "string"}), *map(_call, functions)]}
        rest["response_format"] = {"type": "json_schema", "json_schema": {"name": _NAME, "schema": schema}}
    return _alternating(written), rest


def _object(**properties: JsonObject) -> JsonObject:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}


def _call(function: JsonObject) -> JsonObject:
    schema: JsonObject = function.get("parameters") or {}
    text = json.dumps(schema)
    plain = 2 < len(text) <= _LARGEST and not any(one in text for one in _HARD)
    name = {"type": "string", "enum": [function["name"]]}
    return _object(name=name, arguments=schema if plain else {"type": "object"})


_HARD = ('"$ref"', '"pattern"', '"format"', '"not"', '"if"')
"""What engines make grammars of in different ways, or not at all."""


def is_strict(parameters: Mapping[str, object]) -> bool:
    """Whether the answer to such a request is held to that schema."""
    wanted = parameters.get("response_format")
    return isinstance(wanted, dict) and (wanted.get("json_schema") or {}).get("name") == _NAME


class StrictAnswer:
    """Feed it the text of such an answer; at its end it gives the answer's text or the call."""

    def __init__(self) -> None:
        self._pieces: list[str] = []

    def feed(self, delta: TextDelta) -> list[ModelEvent]:
        """Nothing is certain yet."""
        self._pieces.append(delta.text)
        return []

    def end(self) -> list[ModelEvent]:
        """What it came to; where its server took no notice of the schema, the text as it is."""
        text = "".join(self._pieces)
        try:
            made = json.loads(text)
        except ValueError:
            made = None
        if isinstance(made, dict) and isinstance(made.get("answer"), str):
            return [TextDelta(made["answer"])]
        if isinstance(made, dict) and isinstance(made.get("name"), str):
            return [ToolCallDelta(0, new_id("call"), made["name"], json.dumps(made.get("arguments") or {}))]
        return [TextDelta(text)] if text else []


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
