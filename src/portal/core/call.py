"""The model calls of one turn: the present one, what it is told, and what all of them came to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from portal.core.decision import Route
from portal.core.items import Item, text_of
from portal.core.model import ChatMessage, Finished, ModelInfo, ModelRequest, TokenUsage
from portal.core.tokens import estimate, estimate_messages

Tools: TypeAlias = Literal["free", "strict", "none"]
"""Whether a model may call tools; `strict` holds one that knows none by itself to a schema."""
Fitted: TypeAlias = Callable[[ModelInfo, Sequence[ChatMessage], Tools], tuple[ModelRequest, int]]
"""The request for a model with these messages and tools; and how many messages did not fit into its window."""


@dataclass(slots=True)
class Call:
    """The model calls of a turn: the present one, and what they came to."""

    route: Route
    fitted: Fitted
    messages: Sequence[ChatMessage]
    """What the first call is told."""
    finished: Finished | None = None
    usage: TokenUsage | None = None
    spent: TokenUsage = field(default_factory=lambda: TokenUsage(0, 0))
    """Of the calls before the present one."""
    first: float | None = None
    """When its answer began, on the clock of `perf_counter`."""
    request: ModelRequest = field(init=False)
    dropped: int = field(init=False)

    _followed: list[ChatMessage] = field(default_factory=list)
    _tools: Tools = "free"
    _toolless: set[str] = field(default_factory=set)
    """Models of which that turned out when they were called."""
    _counted: int = 0

    def __post_init__(self) -> None:
        self.reroute(self.route)

    def reroute(self, route: Route) -> None:
        """Another model answers."""
        self.route, model = route, route.model
        if model.id in self._toolless:
            model = replace(model, told=True, capabilities=model.capabilities - {"tools"})
        self.request, self.dropped = self.fitted(model, [*self.messages, *self._followed], self._tools)

    def without_tool_support(self) -> bool:
        """Its server has refused the tools that it was sent: they are told in the prompt from now on. Whether that is
        another request."""
        if not self.request.parameters.get("tools"):
            return False
        self._toolless.add(self.route.model.id)
        self.reroute(self.route)
        return not self.request.parameters.get("tools")

    def follow(self, messages: Sequence[ChatMessage], outputs: Sequence[Item], *, strict: bool = False) -> None:
        """The next call is told these messages as well; `outputs` are all items so far. `strict`: the last one made
        calls that nobody could read."""
        self._tools = "strict" if strict else "free"
        if self.finished is not None:
            self.spent = self.tokens(outputs)
        self._counted = len(outputs)
        self.finished = self.usage = None
        self._followed.extend(messages)
        self.reroute(self.route)

    def retell(self, messages: Sequence[ChatMessage]) -> None:
        """The first call is told this instead."""
        self.messages = messages
        self.reroute(self.route)

    def close(self, last_word: str) -> None:
        """The next call has no tools, and is told why."""
        self._tools = "none"
        self._followed.append({"role": "user", "content": last_word})
        self.reroute(self.route)

    def tokens(self, outputs: Sequence[Item]) -> TokenUsage:
        """Of all calls: what the backend counted, else an estimate; `outputs` are all items so far."""
        written = sum(estimate(_written(item)) for item in outputs[self._counted :])
        last = self.usage or TokenUsage(estimate_messages(self.request.messages), written, estimated=True)
        return self.spent.plus(last)


def _written(item: Item) -> str:
    """What the model wrote of it."""
    return str(item["arguments"]) if item["type"].startswith("mcp_") else text_of(item)


def offered_names(parameters: Mapping[str, object]) -> list[str]:
    """Of the tools in Chat Completions parameters."""
    tools = parameters.get("tools")
    named = (tool.get("function", {}).get("name") for tool in (tools if isinstance(tools, list) else ()))
    return [str(name) for name in named if name]
