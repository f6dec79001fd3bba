"""By which request something is worked on. Whatever runs because of it inherits that, the log included."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""As the answer's `X-Request-Id` says; empty where no request is behind it."""


def ids() -> dict[str, str]:
    """It, if there is one, as the log names it."""
    value = request_id.get()
    return {"request": value} if value else {}
