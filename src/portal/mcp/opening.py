"""What servers and their connections are made with. Nothing here needs the SDK."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.core.tool_dialogue import Elicitor, Sampler
from portal.errors import ToolError
from portal.settings import Settings
from portal.settings.mcp import ToolServerSettings

if TYPE_CHECKING:
    from portal.mcp.oauth import SignIn


class Lost(ToolError):
    """The connection ended, or the server did, before it answered: what it did is not known."""


class Secrets(Protocol):
    """Where secrets are kept, apart from the database. Both raise StorageError."""

    def get(self, name: str) -> str | None:
        """None when there is none."""

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every server works in."""

    settings: Settings
    key_values: KeyValues
    secrets: Secrets
    tasks: asyncio.TaskGroup
    """Owns the servers' tasks; none of them ever raises."""
    on_change: Callable[[], None] = lambda: None
    """Servers, their tools or their state are others now."""
    sampler: Sampler | None = None
    elicitor: Elicitor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What one connection is made with."""

    name: str
    settings: ToolServerSettings
    around: Surroundings
    sign_in: "SignIn | None"
    """A person who is signing in meanwhile."""
    start_seconds: float
    on_tools: Callable[[list[JsonObject], JsonObject], Awaitable[None]]
    """Is told the tools, and what the server says of itself: at the beginning and after each change."""
