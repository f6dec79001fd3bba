"""A workspace: a virtual model with instructions, preferences and defaults of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from portal.core.chat import plain_parts
from portal.core.items import JsonObject
from portal.core.model import ChatMessage
from portal.core.personas import Persona

Strategy: TypeAlias = Literal["auto", "quality", "speed", "balanced", "cost"]
"""What counts in a choice between models that can: `auto` lets the request's difficulty decide."""

_LENGTHS = ("max_tokens", "max_completion_tokens", "num_predict", "n_predict")
"""The names by which doors and model servers know the longest answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What a workspace is made of."""

    name: str
    """The model id that clients use, such as `auto-coding`."""
    title: str = ""
    description: str = ""
    task: str = ""
    """What it is for, a label of the classifier; empty where each request decides."""
    instructions: str = ""
    """The system prompt, before whatever the client sends."""
    persona: str = ""
    """Name of a persona whose prompt comes before the instructions."""
    character: Persona | None = None
    """That persona, once the workspace is in use."""
    prefer: tuple[str, ...] = ()
    """Models in the order they are wanted: names, or patterns such as `qwen3*`; behind them whatever ranks best."""
    strategy: Strategy = "auto"
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Chat Completions parameters used where the client leaves them open."""
    tools: tuple[str, ...] = ("*",)
    """Patterns of the tools or toolsets it may use."""
    max_rounds: int | None = None
    """Bounds of one turn with tools, where they are tighter than everybody's."""
    max_seconds: float | None = None
    max_tokens: int | None = None
    knowledge: bool = True
    collections: tuple[str, ...] = ()
    """Names or ids of the collections that it looks into; empty for all of the user's."""
    memory: bool = True
    users: tuple[str, ...] = ()
    """Ids of those who may use it; empty for everyone."""
    max_output_tokens: int | None = None
    """A limit that no client can raise."""
    source: Literal["built-in", "settings", "page"] = "built-in"
    owner: str = ""
    """Who made it on the page; empty for those of the installation."""

    def allows(self, user: str) -> bool:
        """Whether this person may use it."""
        return not self.users or user in self.users or (bool(self.owner) and user == self.owner)

    @property
    def system(self) -> str:
        """All it tells the model: its persona's prompt, then its instructions."""
        return "\n\n".join(part for part in (self.character and self.character.prompt, self.instructions) if part)

    def messages(self, sent: Sequence[ChatMessage]) -> list[ChatMessage]:
        """The client's messages behind this workspace's own; one system message, since many models take only one."""
        system = self.system
        if not system:
            return list(sent)
        if not sent or sent[0].get("role") not in ("system", "developer"):
            return [{"role": "system", "content": system}, *sent]
        content = sent[0].get("content") or ""
        if isinstance(content, str):
            joined: str | list[JsonObject] = f"{system}\n\n{content}" if content else system
        else:
            joined = plain_parts([{"type": "text", "text": system}, *content])
        return [{**sent[0], "content": joined}, *sent[1:]]

    def with_defaults(self, sent: Mapping[str, object]) -> dict[str, object]:
        """The client's parameters over this workspace's defaults, within its limit."""
        own = {**(self.character.parameters if self.character else {}), **self.parameters}
        merged = {**own, **{name: value for name, value in sent.items() if value is not None}}
        return merged if self.max_output_tokens is None else _bounded(merged, self.max_output_tokens)


def _bounded(parameters: dict[str, object], limit: int) -> dict[str, object]:
    """The parameters with no length above the limit, wherever it stands; a negative one means without end."""
    lengths = [name for name in _LENGTHS if name in parameters] or ["max_tokens"]
    bounded = parameters | {name: _at_most(parameters.get(name), limit) for name in lengths}
    options = parameters.get("options")
    if isinstance(options, Mapping) and "num_predict" in options:
        bounded["options"] = {**options, "num_predict": _at_most(options["num_predict"], limit)}
    return bounded


def _at_most(asked: object, limit: int) -> int:
    return asked if isinstance(asked, int) and 0 <= asked <= limit else limit
