"""Items of the Open Responses specification (2026-04-24): the unit that is stored, streamed and shown.

They are plain JSON objects, typed here and validated where they come in; nothing converts them on the way through.
"""

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

JsonObject: TypeAlias = dict[str, Any]
Item: TypeAlias = JsonObject
"""Any item; the TypedDicts below name the shapes Portal itself makes."""

ItemStatus: TypeAlias = Literal["in_progress", "completed", "incomplete"]
ResponseStatus: TypeAlias = Literal["queued", "in_progress", "completed", "failed", "incomplete", "cancelled"]
TERMINAL: frozenset[str] = frozenset({"completed", "failed", "incomplete", "cancelled"})


class InputText(TypedDict):
    """A text part of a message that came in."""

    type: Literal["input_text"]
    text: str


class OutputText(TypedDict):
    """A text part of an assistant message."""

    type: Literal["output_text"]
    text: str
    annotations: list[JsonObject]
    logprobs: NotRequired[list[JsonObject]]


class Message(TypedDict):
    """A message of any role."""

    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    content: list[JsonObject]


class Reasoning(TypedDict):
    """What a model thought before it answered."""

    type: Literal["reasoning"]
    id: str
    summary: list[JsonObject]
    content: list[JsonObject]
    status: NotRequired[ItemStatus]


class FunctionCall(TypedDict):
    """A tool call for the client or for Portal to run; `arguments` is JSON text."""

    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class Usage(TypedDict):
    """Token counts of one response, in the Responses API's shape."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: JsonObject
    output_tokens_details: JsonObject


def text_of(item: Item) -> str:
    """The plain text of an item: message or reasoning parts joined, a call's arguments, a result's output."""
    content = item.get("content")
    if isinstance(content, str):
        return content
    if content:
        return "".join(str(part.get("text") or part.get("refusal") or "") for part in content)
    output = item.get("output")
    if isinstance(output, list):
        return "".join(str(part.get("text", "")) for part in output)
    return str(output or item.get("arguments") or "")
