"""Requests to the outside that are made for a model: what is asked, and what came back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRequest:
    """One HTTP request, redirects followed."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 30
    """For all of it."""
    largest: int = 10 * 2**20
    """Bytes of the answer that are read."""
    allowed: Callable[[str], bool] = lambda url: True
    """Whether a redirect to this address is followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundResponse:
    """What came back."""

    url: str
    """The last one, after redirects."""
    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes
    cut: bool = False
    """Whether it is longer than was read."""
