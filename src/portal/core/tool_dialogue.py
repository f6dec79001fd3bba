"""What a tool server may ask back while it works: an answer of a model, or something of the person. The ports that
answer; a server is refused politely where nobody hands them in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from portal.core.items import JsonObject
from portal.core.tools import ToolContext


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingRequest:
    """A server asks for a model's answer."""

    server: str
    messages: Sequence[JsonObject]
    """As Chat Completions has them: `role`, and `content` as a list of text and image_url parts."""
    system: str = ""
    max_tokens: int
    temperature: float | None = None
    stop: Sequence[str] = ()
    allowed: bool = False
    """Whether the settings of the server allow it without asking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingAnswer:
    """What the model said."""

    text: str
    model: str
    truncated: bool = False
    """Whether it reached `max_tokens`."""
    tokens: int = 0
    """What the model read and wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Elicitation:
    """A server asks the person: to fill in a form, or to open an address."""

    server: str
    message: str
    form: JsonObject | None = None
    """A flat JSON Schema of an object."""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElicitationAnswer:
    """What the person did."""

    action: Literal["accept", "decline", "cancel"]
    content: Mapping[str, object] = field(default_factory=dict)
    """The form's values, where it was accepted."""


class Sampler(Protocol):
    """Answers servers with a model, by the router's choice and under the same approvals as tools."""

    async def sample(self, request: SamplingRequest, context: ToolContext) -> SamplingAnswer:
        """An answer for the call that is under way.

        Raises:
            PortalError: it was not allowed, or no model can; the server is told the message.
        """


class Elicitor(Protocol):
    """Asks the person on whose behalf a tool works."""

    async def elicit(self, question: Elicitation, context: ToolContext) -> ElicitationAnswer:
        """The answer, or `cancel` where nobody answers in time.

        Raises:
            PortalError: nobody can be asked.
        """
