"""Failures in Anthropic's form."""

import re
from collections.abc import Mapping

import orjson

from portal.core.items import JsonObject
from portal.errors import BackendRejected, NoModel, PortalError
from portal.interfaces.dialect import Dialect, Headers
from portal.interfaces.openai.errors import error_headers
from portal.interfaces.wire import SSE_HEADERS

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_TOO_LONG = re.compile(r"context[ _](length|size|window)", re.IGNORECASE)


def error_type(error: PortalError) -> str:
    """Anthropic's name for it."""
    if isinstance(error, NoModel):
        return "api_error"
    return _TYPES.get(error.status) or ("invalid_request_error" if error.status < 500 else "api_error")


def _message(error: PortalError) -> str:
    """Begun in Anthropic's words where the prompt does not fit: agents know them, and shorten the conversation."""
    too_long = error.status == 400 and isinstance(error, BackendRejected) and _TOO_LONG.search(error.message)
    return f"prompt is too long: {error.message}" if too_long else error.message


def _headers(error: PortalError) -> Headers:
    """A client's own retries do not install a model."""
    never = [(b"x-should-retry", b"false")] if isinstance(error, NoModel) else []
    return [*error_headers(error), *never]


def dialect(request_id: str | None) -> Dialect:
    """Anthropic's way to say things; failures carry the request's id, which a header of every answer has as well."""

    def content(error: PortalError) -> bytes:
        told: JsonObject = {"type": error_type(error), "message": _message(error)}
        return orjson.dumps({"type": "error", "error": told, "request_id": request_id})

    return Dialect(
        error_body=content,
        error_headers=_headers,
        error_frame=lambda error: b"event: error\ndata: %b\n\n" % content(error),
        stream_headers=SSE_HEADERS,
        ping=PING,
    )


DIALECT = dialect(None)
