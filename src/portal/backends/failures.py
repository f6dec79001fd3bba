"""What can go wrong between Portal and a model server, in words that name the server and never a key."""

import re
import reprlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from portal.core.clock import now
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendKeyRefused,
    BackendProtocolError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)

_SECONDS = re.compile(r"^[0-9]{1,6}$")


class Failures:
    """The errors of one server."""

    def __init__(self, who: str) -> None:
        self._who = who

    def parsed(self, content: bytes) -> Any:
        """JSON, or BackendProtocolError that says what came instead."""
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            raise self.garbage(content) from error

    def garbage(self, content: bytes) -> BackendProtocolError:
        """The error for an answer that is not what this kind of server sends."""
        if content.lstrip()[:1] == b"<":
            return BackendProtocolError(
                f"{self._who} answered with a web page: this is not a model server of that kind."
            )
        shown = content[:80].decode(errors="replace")
        return BackendProtocolError(f"{self._who} answered something that is not its protocol: {shown!r}")

    def odd(self, answer: object) -> BackendProtocolError:
        """The same for an answer that is JSON, but not this JSON."""
        return BackendProtocolError(f"{self._who} answered something that is not its protocol: {reprlib.repr(answer)}")

    def too_long(self, limit: int) -> BackendProtocolError:
        """The error for an answer that is larger than what was asked for can be."""
        return BackendProtocolError(f"{self._who} answered with more than {limit} bytes.")

    def no_http(self, error: object) -> BackendProtocolError:
        """The error for bytes that are no HTTP."""
        return BackendProtocolError(f"{self._who} does not speak HTTP: {error}")

    def cut(self) -> BackendInterrupted:
        """The error for a stream that ended early."""
        return BackendInterrupted(f"{self._who} broke off in the middle of its answer.")

    def failed(self, message: str) -> BackendError:
        """The error for a failure that the server reported in its own words."""
        return BackendError(f"{self._who} failed: {message}")

    def unusable(self, error: object) -> BackendUnavailable:
        """The error for an address or header that cannot be sent."""
        return BackendUnavailable(f"{self._who} has an address that cannot be used: {error}")

    def unreachable(self, error: Exception | None) -> BackendUnavailable:
        """The error for no connection, or one that closed before it answered."""
        return BackendUnavailable(f"{self._who} cannot be reached: {_reason(error)}")

    def not_accepted(self, seconds: float) -> BackendTimeout:
        """The error for a connection that was not made in time."""
        return BackendTimeout(f"{self._who} did not accept a connection within {seconds:g} seconds.")

    def busy(self, seconds: float, calls: int) -> BackendTimeout:
        """The error for a request that waited for others to end."""
        return BackendTimeout(f"{self._who} has {calls} requests under way, and none ended within {seconds:g} seconds.")

    def silent(self, seconds: float) -> BackendTimeout:
        """The error for nothing coming in time."""
        return BackendTimeout(f"{self._who} sent nothing for {seconds:g} seconds.")

    def refused(self, status: int, reason: str, body: bytes, again: float | None) -> BackendError:
        """The error that an answer's status and body stand for; `again` is in how many seconds to try again."""
        message = f"{self._who} answered {status}: {_said(body) or reason}"
        if 300 <= status < 400:
            return BackendProtocolError(f"{message}; redirects are not followed")
        if status >= 500 or status == 429:
            error = BackendUnavailable(message)
            error.quotes = True
            error.retry_after = again
            return error
        if status in BackendKeyRefused.STATUSES:
            return BackendKeyRefused.of(self._who, status)
        return BackendRejected(message, status=status, code=_field(body, "code"), param=_field(body, "param"))


def _reason(error: Exception | None) -> str:
    if error is None:
        return "it closed the connection"
    cause = getattr(error, "os_error", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def _error_of(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer.get("error", answer) if isinstance(answer, dict) else None


def _said(body: bytes) -> str:
    """The server's own words in an error body of any of the usual shapes."""
    error = _error_of(body)
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail")
    if error:
        return str(error)
    text = body[:300].decode(errors="replace").strip()
    return "" if text.startswith("<") else text


def _field(body: bytes, name: str) -> str | None:
    error = _error_of(body)
    value = error.get(name) if isinstance(error, dict) else None
    return value if isinstance(value, str) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` names, as a number or as a date."""
    header = headers.get("Retry-After", "").strip()
    if not header or _SECONDS.match(header):
        return float(header) if header else None
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max((when - now()).total_seconds(), 0.0) if when.tzinfo else None
