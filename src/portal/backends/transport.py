"""What HttpClient stands on: a way to send one request to one server and to take its answer piece by piece."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from portal.core.model import Sink

Body: TypeAlias = bytes | AsyncIterable[bytes] | None
"""Pieces of unknown number are sent chunked."""
MOST_REQUESTS = 512
"""Under way at once to one server; more wait for one to end, within their deadline."""
KEEP_SECONDS = 15.0
"""How long a connection that nobody uses is kept."""


@dataclass(slots=True, kw_only=True)
class Request:
    """One request: its whole URL, and in seconds how long until the first byte of the answer's body."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Body
    seconds: float
    trace: Mapping[str, str] | None = None
    """Headers of this request alone."""


class Answer(Protocol):
    """An answer whose head has come."""

    status: int
    reason: str

    @property
    def done(self) -> bool:
        """Whether the body has come to its end, taken or not."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in whatever case."""

    async def chunk(self) -> bytes:
        """All of the body that is there, waiting for some of it; empty at its end.

        Raises:
            BackendInterrupted, BackendTimeout: it broke off, or nothing came in time.
        """

    async def pour(self, sink: Sink) -> None:
        """Hand on what comes without waiting for it to be asked for, as far as that can be done; `chunk` has the rest,
        and tells the end and what went wrong."""

    def close(self) -> None:
        """Give up the rest: a connection that was not read to its end is closed at once."""


class Transport(Protocol):
    """Sends requests to one server, and keeps connections to it."""

    async def send(self, request: Request) -> Answer:
        """Send it and wait for the answer's head.

        Raises:
            BackendUnavailable, BackendTimeout, BackendProtocolError: there is no answer that is HTTP.
        """

    async def aclose(self) -> None:
        """Close every connection; answers under way break off."""
