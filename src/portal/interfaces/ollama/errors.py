"""Failures in Ollama's form: `{"error": "..."}` with a status, or as the last line of a stream."""

import orjson

from portal.errors import ModelNotFound, PortalError
from portal.interfaces.dialect import Dialect
from portal.interfaces.openai.errors import error_headers

NDJSON = "application/x-ndjson"


def _message(error: PortalError) -> str:
    """Its words; for an unknown model those by which Ollama's clients know that it could be pulled."""
    if not isinstance(error, ModelNotFound):
        return error.message
    hint = f" Did you mean {', '.join(repr(name) for name in error.nearest)}?" if error.nearest else ""
    return f"model '{error.model}' not found.{hint}" if hint else f"model '{error.model}' not found"


def _error_body(error: PortalError) -> bytes:
    return orjson.dumps({"error": _message(error)})


DIALECT = Dialect(
    error_body=_error_body,
    error_headers=error_headers,
    error_frame=lambda error: _error_body(error) + b"\n",
    stream_headers=[(b"content-type", NDJSON.encode()), (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")],
)
