"""Failures in OpenAI's form: one body, the right status, `Retry-After` where there is one to give."""

import logging
from collections.abc import Callable, Coroutine, Mapping
from math import ceil
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from portal.core.items import JsonObject
from portal.errors import PortalError, unforeseen
from portal.interfaces.dialect import Dialect
from portal.interfaces.wire import COMMENT, SSE_HEADERS

log = logging.getLogger(__name__)

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]

_CODES = {404: "not_found", 405: "method_not_allowed"}
_UNREADABLE: Mapping[type[BaseException], str] = {
    UnicodeDecodeError: "We could not parse the JSON body of your request: it is not valid UTF-8.",
    RecursionError: "We could not parse the JSON body of your request: it is nested too deeply.",
}
"""Why the framework could not read a body, which it says of all alike."""


def error_object(error: PortalError) -> JsonObject:
    """What stands under `error` in a body or event."""
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


def error_body(error: PortalError) -> bytes:
    """The body of a failed request."""
    return orjson.dumps({"error": error_object(error)})


def error_headers(error: PortalError) -> list[tuple[bytes, bytes]]:
    """The headers of a failed request."""
    headers = [(b"content-type", b"application/json")]
    if error.retry_after is not None:
        headers.append((b"retry-after", str(ceil(error.retry_after)).encode("ascii")))
    return headers


def error_frame(error: PortalError) -> bytes:
    """The event that ends a stream which failed."""
    return b"data: %b\n\n" % orjson.dumps({"error": error_object(error)})


DIALECT = Dialect(
    error_body=error_body,
    error_headers=error_headers,
    error_frame=error_frame,
    stream_headers=SSE_HEADERS,
    ping=COMMENT,
)


def error_response(
    error: PortalError, extra: Mapping[str, str] | None = None, *, dialect: Dialect = DIALECT
) -> Response:
    """The whole answer to a failed request."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in dialect.error_headers(error)}
    return Response(dialect.error_body(error), status_code=error.status, headers={**headers, **(extra or {})})


def _http_failure(request: Request, error: HTTPException) -> PortalError:
    """Unknown paths and methods, and what the framework itself refuses."""
    messages = {
        404: f"Invalid URL ({request.method} {request.url.path})",
        405: f"Not allowed to {request.method} on {request.url.path}.",
    }
    unreadable = next((said for kind, said in _UNREADABLE.items() if isinstance(error.__cause__, kind)), None)
    message = unreadable or messages.get(error.status_code, str(error.detail))
    made = PortalError(message, code=_CODES.get(error.status_code))
    made.status = error.status_code
    made.type = "invalid_request_error" if error.status_code < 500 else "server_error"
    return made


def error_handlers(
    dialect_at: Callable[[str], Dialect] = lambda path: DIALECT,
) -> dict[int | type[Exception], Handler]:
    """For the application: how every exception becomes an answer of the API at its path."""

    def answer(request: Request, error: PortalError, extra: Mapping[str, str] | None = None) -> Response:
        return error_response(error, extra, dialect=dialect_at(request.url.path))

    async def portal_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, PortalError)
        if error.status == 500:
            log.error("%s", error.message, exc_info=error)
        return answer(request, error)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, PortalError):  # raised while the framework read the body
            return answer(request, error.__cause__)
        return answer(request, _http_failure(request, error), error.headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        """A fault of our own. The server logs it when it comes out of the application: once is enough."""
        return answer(request, unforeseen(error))

    return {PortalError: portal_error, HTTPException: http_error, Exception: unexpected}
