"""Chat messages that came in: checked as far as Portal itself reads them.

Where bytes are relayed the model server is the judge of the rest; where Portal converts them, so is `check_nested`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from portal.core.items import JsonObject
from portal.interfaces.openai.schema import ConvertedChat, check_stop
from portal.interfaces.openai.validation import Checked, check, missing, one_of, wrong_type

ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class _Text(Checked):
    text: str


class _Url(Checked):
    url: str


class _Image(Checked):
    image_url: _Url


class _Audio(Checked):
    input_audio: dict[str, Any]


class _File(Checked):
    file: dict[str, Any]


class _Refusal(Checked):
    refusal: str


class _Function(Checked):
    name: str
    arguments: str


class _Call(Checked):
    id: str
    function: _Function


_PARTS: Mapping[str, type[BaseModel]] = {
    "text": _Text,
    "image_url": _Image,
    "input_audio": _Audio,
    "file": _File,
    "refusal": _Refusal,
}


def check_messages(messages: Sequence[JsonObject]) -> None:
    """Roles, and that contents and tool calls are lists of objects where they are lists. Raises BadRequest."""
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        role, content = message.get("role"), message.get("content")
        if role is None:
            raise missing(f"{at}.role")
        if role not in ROLES:
            raise one_of(ROLES, role, f"{at}.role")
        if content is not None and not isinstance(content, str):
            _check_objects(content, f"{at}.content", "one of a string or array of content parts")
        if message.get("tool_calls") is not None:
            _check_objects(message["tool_calls"], f"{at}.tool_calls", "an array")


def _check_objects(raw: object, at: str, wanted: str) -> None:
    if not isinstance(raw, list):
        raise wrong_type(at, wanted, raw)
    for index, element in enumerate(raw):
        if not isinstance(element, dict):
            raise wrong_type(f"{at}[{index}]", "an object", element)


def check_nested(payload: JsonObject) -> None:
    """What a request that passed `check_messages` holds inside; unknown kinds of parts are let through.

    Raises:
        BadRequest: naming the field at fault.
    """
    options = check(ConvertedChat, payload)
    check_stop(options.stop)
    if options.tool_choice is not None and not isinstance(options.tool_choice, (str, dict)):
        raise wrong_type("tool_choice", "one of a string or object", options.tool_choice)
    for index, message in enumerate(payload["messages"]):
        at = f"messages[{index}]"
        content = message.get("content")
        for number, part in enumerate(content if isinstance(content, list) else ()):
            kind = part.get("type")
            if isinstance(kind, str) and kind in _PARTS:
                check(_PARTS[kind], part, f"{at}.content[{number}]")
        for number, call in enumerate(message.get("tool_calls") or ()):
            check(_Call, call, f"{at}.tool_calls[{number}]")
        if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
            raise missing(f"{at}.tool_call_id")
