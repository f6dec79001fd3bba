"""How one API puts failures and streams on the wire: the doors differ in this, the calls behind them do not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portal.errors import BackendError, PortalError

Headers = Sequence[tuple[bytes, bytes]]


class AsItIs(BackendError):
    """A refusal in the door's own form: where nobody else can answer it goes on to the client unchanged."""

    def __init__(self, message: str, *, status: int, body: bytes, retry_after: float | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One API's way to say things."""

    error_body: Callable[[PortalError], bytes]
    """The body of a request that failed before its first byte."""
    error_headers: Callable[[PortalError], Headers]
    error_frame: Callable[[PortalError], bytes]
    """What ends a stream that failed after its first byte."""
    stream_headers: Headers
    ping: bytes = b""
    """A frame that says nothing, for long silences; empty where the API has none."""
