"""What of a long conversation goes into a model's window."""

from collections.abc import Mapping, Sequence

from portal.core.model import ChatMessage
from portal.core.tokens import estimate, estimate_messages

_ANSWER_SHARE = 4
"""A quarter of the window is kept for the answer where the client sets no limit, and at most half of it."""

_SHORT = 300
"""Characters that stay of a tool's result which is shortened."""


def fit(
    messages: Sequence[ChatMessage], window: int, parameters: Mapping[str, object]
) -> tuple[list[ChatMessage], int]:
    """The newest messages that fit `window` tokens beside the answer, and how many older ones were dropped.

    System messages and everything from the last user message on always stay; a tool's result never stays without
    the call that it answers.
    """
    last = max((at for at, message in enumerate(messages) if message["role"] == "user"), default=0)
    kept = {at for at, message in enumerate(messages) if at >= last or message["role"] == "system"}
    budget = room(window, parameters) - estimate_messages(messages[at] for at in kept)
    for turn in reversed(_turns(messages, last)):
        budget -= estimate_messages(messages[at] for at in turn)
        if budget < 0:
            break
        kept.update(turn)
    return [messages[at] for at in sorted(kept)], len(messages) - len(kept)


def spare(messages: Sequence[ChatMessage], tokens: int) -> list[ChatMessage]:
    """The same messages with results of tools shortened, oldest first, until all of it fits; those that no message of
    the model has come after are left as they are."""
    spared = list(messages)
    over = estimate_messages(messages) - tokens
    last = max((at for at, message in enumerate(messages) if message["role"] == "assistant"), default=0)
    for at, message in enumerate(messages[:last]):
        if over <= 0:
            break
        content = message.get("content")
        if message["role"] == "tool" and isinstance(content, str) and len(content) > 2 * _SHORT:
            note = f"[... {len(content) - _SHORT} characters of this result are left out by now]"
            spared[at] = {**message, "content": f"{content[:_SHORT]}\n{note}"}
            over -= estimate_messages([message]) - estimate_messages([spared[at]])
    return spared


def room(window: int, parameters: Mapping[str, object]) -> int:
    """The tokens of a window that are left for messages: not for the answer, nor for the tools."""
    tools = parameters.get("tools")
    return window - _answer(window, parameters) - (estimate(str(tools)) if tools else 0)


def _answer(window: int, parameters: Mapping[str, object]) -> int:
    asked = parameters.get("max_tokens")
    return min(asked, window // 2) if isinstance(asked, int) else window // _ANSWER_SHARE


def _turns(messages: Sequence[ChatMessage], end: int) -> list[list[int]]:
    """The places of messages before `end` that stay or go together: from one user message to the next."""
    groups: list[list[int]] = []
    for at, message in enumerate(messages[:end]):
        if message["role"] == "user" or not groups:
            groups.append([])
        if message["role"] != "system":
            groups[-1].append(at)
    return groups
