"""A request as the router sees it: the name that was asked for, and what the choice of a model may depend on."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from portal.core.items import JsonObject
from portal.core.model import ChatMessage
from portal.core.needs import needs
from portal.core.tokens import estimate_messages

_OVERRIDE = re.compile(r"\s*@model:(\S+)(?:[ \t]*\n|\s+|$)")
_EARLIER = 4


class Ask:
    """One request. What a plain model id does not need is worked out only when somebody looks."""

    def __init__(
        self,
        *,
        model: str,
        owner: str = "",
        messages: Sequence[ChatMessage] = (),
        parameters: Mapping[str, object] | None = None,
        needs: frozenset[str] | None = None,
        last: JsonObject | None = None,
    ) -> None:
        """`needs` where the door knows them, else they are read from the messages; `last` is the decision of the turn
        before in the same conversation."""
        self.model = model
        self.owner = owner
        self.messages = messages
        self.parameters = parameters or {}
        self.last = last
        self._needs = needs

    @classmethod
    def overridden(cls, *, model: str, messages: Sequence[ChatMessage], **more: Any) -> "Ask":
        """One whose last message may name its model by `@model:NAME`; then without that."""
        named, rest = override(messages) or (model, messages)
        return cls(model=named, messages=rest, **more)

    @cached_property
    def needs(self) -> frozenset[str]:
        """The capabilities that a model must have."""
        return needs(self.messages, self.parameters) if self._needs is None else self._needs

    @cached_property
    def tokens(self) -> int:
        """What the messages come to, estimated."""
        return estimate_messages(self.messages)

    @cached_property
    def text(self) -> str:
        """What the user says last."""
        return next(iter(self._said()), "")

    @cached_property
    def history(self) -> Sequence[str]:
        """What the user said before that, oldest first; the newest few."""
        return self._said()[1 : 1 + _EARLIER][::-1]

    @property
    def wanted(self) -> str:
        """What the tools of a turn are chosen by: the last words of the user, and those before, which they may mean."""
        return "\n".join([self.text, *self.history[-1:]])

    def _said(self) -> list[str]:
        """The user's texts, newest first."""
        return [text_of(message) for message in reversed(self.messages) if message.get("role") == "user"]


def text_of(message: ChatMessage) -> str:
    """The text of a message, parts joined."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in content if part.get("type") == "text" and part.get("text"))


def override(messages: Sequence[ChatMessage]) -> tuple[str, list[ChatMessage]] | None:
    """The model that the last user message names by `@model:NAME` at its start, or at that of one of its parts, and the
    messages without that. What an agent adds behind a tool's result is not the user's: the message before counts."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at].get("role") != "user":
            continue
        found = _named(messages[at])
        if found is not None:
            return found[0], [*messages[:at], found[1], *messages[at + 1 :]]
        if at == 0 or messages[at - 1].get("role") != "tool":
            return None
    return None


def _named(message: ChatMessage) -> tuple[str, ChatMessage] | None:
    """The model that a message names, and the message without its name."""
    content = message.get("content") or ""
    if isinstance(content, str):
        found = _OVERRIDE.match(content)
        return (found[1], {**message, "content": content[found.end() :]}) if found else None
    for at, part in enumerate(content):
        found = _OVERRIDE.match(str(part.get("text") or "")) if part.get("type") == "text" else None
        if found:
            rest = {**part, "text": part["text"][found.end() :]}
            return found[1], {**message, "content": [*content[:at], rest, *content[at + 1 :]]}
    return None
