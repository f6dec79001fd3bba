"""Chat Completions as a stored turn: messages become items, and the turn's events a model's events again."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from portal.core.agent import Turn
from portal.core.events import Event
from portal.core.items import Item, JsonObject
from portal.core.model import (
    Citation,
    Finished,
    FinishReason,
    ModelEvent,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.ports import Conversations, Responses
from portal.core.run import Run
from portal.errors import BackendError, BadRequest
from portal.interfaces.openai.items import read_item
from portal.interfaces.openai.messages import check_nested
from portal.interfaces.openai.validation import one_of

_TRANSPORT = frozenset({"model", "messages", "stream", "stream_options", "store", "metadata"})
_ECHOED = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "parallel_tool_calls", "metadata")
_SYSTEM = ("system", "developer")
_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_REASONS: Mapping[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tool_calls": "length",
    "content_filter": "content_filter",
}


def wants_storing(payload: JsonObject) -> bool:
    """Whether a chat call asks to be kept: `store`, or a conversation named in its metadata."""
    return payload.get("store") is True or named_conversation(payload) is not None


def named_conversation(payload: JsonObject) -> str | None:
    """The conversation that `metadata.conversation` names."""
    name = (payload.get("metadata") or {}).get("conversation")
    return name if isinstance(name, str) else None


class ChatTurns:
    """Reads turns out of chat calls."""

    def __init__(self, *, conversations: Conversations, responses: Responses) -> None:
        self._conversations = conversations
        self._responses = responses

    async def read(self, payload: JsonObject, *, owner: str) -> Turn:
        """The stored turn of a chat call. In a named conversation only what it does not hold yet is new.

        Raises:
            BadRequest: what a stored turn cannot hold.
            NotFound: the conversation is not this owner's.
        """
        named = named_conversation(payload)
        return chat_turn(payload, owner=owner, held=() if named is None else await self._systems(owner, named))

    async def _systems(self, owner: str, conversation_id: str) -> list[Item]:
        """The system messages of the branch on show."""
        head = (await self._conversations.get(owner, conversation_id)).head
        window = () if head is None else await self._responses.window(owner, head)
        items = (stored.item for turn in window for stored in turn.items)
        return [item for item in items if item["type"] == "message" and item["role"] in _SYSTEM]


def chat_turn(payload: JsonObject, *, owner: str, held: Sequence[Item] = ()) -> Turn:
    """The stored turn of a chat call; `held` are the system messages of the conversation that it names.

    Raises:
        BadRequest: what a stored turn cannot hold.
    """
    if (payload.get("n") or 1) > 1:
        raise BadRequest("A stored chat completion has one choice.", param="n", code="unsupported_value")
    conversation = named_conversation(payload)
    messages: list[JsonObject] = payload["messages"]
    check_nested(payload)
    request = {name: payload[name] for name in _ECHOED if payload.get(name) is not None}
    return Turn(
        owner=owner,
        model=payload["model"],
        input=read_messages(messages) if conversation is None else _new(messages, held),
        request=request,
        door="chat",
        asks=False,
        conversation_id=conversation,
        parameters={name: value for name, value in payload.items() if name not in _TRANSPORT},
    )


def _new(messages: list[JsonObject], held: Sequence[Item]) -> list[Item]:
    """What came after the last answer: the conversation has the rest. Of the system messages those that changed:
    clients send them with every call, and the newest ones of the conversation hold on."""
    answered = [index + 1 for index, message in enumerate(messages) if message["role"] == "assistant"]
    opening = next((index for index, message in enumerate(messages) if message["role"] not in _SYSTEM), 0)
    start = max([opening, *answered])
    leading = read_messages([message for message in messages[:start] if message["role"] in _SYSTEM])
    valid = [(item["role"], item["content"]) for item in held[-len(leading) :]]
    changed = [item for item in leading if (item["role"], item["content"]) not in valid]
    return [*changed, *read_messages(messages[start:])]


def read_messages(messages: list[JsonObject]) -> list[Item]:
    """Chat messages as items. Raises BadRequest."""
    items: list[Item] = []
    for index, message in enumerate(messages):
        items.extend(_items(message, f"messages[{index}]"))
    return items


def _items(message: JsonObject, at: str) -> list[Item]:
    role, content = message["role"], message.get("content")
    if role in ("tool", "function"):
        called = message.get("tool_call_id") or message.get("name") or ""
        output = content if isinstance(content, str) else [_part(part, role, f"{at}.content") for part in content or ()]
        return [read_item({"type": "function_call_output", "call_id": called, "output": output}, at)]
    made: list[JsonObject] = []
    if content:
        parts = content if isinstance(content, str) else [_part(part, role, f"{at}.content") for part in content]
        made.append({"type": "message", "role": role, "content": parts})
    made.extend(_call(call) for call in message.get("tool_calls") or ())
    return [read_item(item, at) for item in made]


def _call(call: JsonObject) -> JsonObject:
    function = call["function"]
    named = {"name": function["name"], "arguments": function["arguments"]}
    return {"type": "function_call", "call_id": call["id"], **named}


def _part(part: JsonObject, role: str, at: str) -> JsonObject:
    """A content part of Chat Completions as the Responses API has it."""
    kind = part.get("type")
    if kind == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part["text"]}
    if kind == "image_url":
        image = part["image_url"]
        return {"type": "input_image", "image_url": image["url"], "detail": image.get("detail")}
    if kind == "file":
        return {"type": "input_file", **part["file"]}
    if kind in ("input_audio", "refusal"):
        return part
    raise one_of(_PARTS, kind, f"{at}.type")


async def model_events(run: Run) -> AsyncGenerator[ModelEvent, None]:
    """A turn's events as those of the one model call it was. Where tools run before anything is said, an empty text
    says that there is an answer.

    Raises:
        PortalError: the turn failed or was stopped.
    """
    calls: dict[str, int] = {}
    silent = True
    async with aclosing(run.events()) as events:
        async for event in events:
            converted = _converted(event, calls)
            if silent and event["type"] == "response.mcp_call.in_progress":
                converted = [TextDelta("")]
            silent = silent and not converted
            for made in converted:
                yield made
            if event["type"] == "response.failed":
                raise run.failure or BackendError(event["response"]["error"]["message"])


def _converted(event: Event, calls: dict[str, int]) -> list[ModelEvent]:
    """`calls` counts the tool calls so far, by item id."""
    match event["type"]:
        case "response.output_text.delta":
            return [TextDelta(event["delta"], 0, event.get("logprobs") or None)]
        case "response.reasoning.delta":
            return [ReasoningDelta(event["delta"])]
        case "response.refusal.delta":
            return [RefusalDelta(event["delta"])]
        case "response.output_text.annotation.added":
            return [Citation(event["annotation"])]
        case "response.output_item.added" if event["item"]["type"] == "function_call":
            item = event["item"]
            calls[item["id"]] = len(calls)
            return [ToolCallDelta(calls[item["id"]], item["call_id"], item["name"])]
        case "response.function_call_arguments.delta":
            return [ToolCallDelta(calls[event["item_id"]], arguments=event["delta"])]
        case "response.completed" | "response.incomplete":
            return _ended(event["response"], bool(calls))
    return []


def _ended(response: JsonObject, called: bool) -> list[ModelEvent]:
    why = str((response["incomplete_details"] or {}).get("reason"))
    if response["status"] != "completed" and why not in _REASONS:
        raise BackendError(f"The answer was stopped before its end ({why}).", code="response_stopped")
    reason: FinishReason = _REASONS.get(why) or ("tool_calls" if called else "stop")
    made: list[ModelEvent] = [Finished(reason)]
    usage = response["usage"]
    if usage is not None:
        made.append(
            TokenUsage(
                usage["input_tokens"],
                usage["output_tokens"],
                usage["input_tokens_details"]["cached_tokens"],
                usage["output_tokens_details"]["reasoning_tokens"],
                estimated=bool(usage.get("portal:estimated")),
            )
        )
    return made
