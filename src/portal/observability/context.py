"""What is being worked on: by which request, and in which trace. Whatever runs because of it inherits that, the log
included."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""As the answer's `X-Request-Id` says; empty where no request is behind it."""
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""32 hexadecimal digits; empty where nothing is traced."""

_NAMED = (("request", request_id), ("trace", trace_id))


def ids() -> dict[str, str]:
    """Those there are, as the log names them."""
    return {name: value for name, variable in _NAMED if (value := variable.get())}
