"""What is changed in an installation goes into its audit, before whoever changed it is told so: one place for all
doors, so that none is forgotten. Keys, sessions, people, schedules and approvals are told of by what does them."""

import logging
from collections.abc import Awaitable

from portal.core.audit import line
from portal.core.tool_ports import Audit
from portal.security.admission import App, Message, Receive, Scope, Send
from portal.security.credentials import Caller

_log = logging.getLogger(__name__)
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_WATCHED = (
    "/portal/v1/backends",
    "/portal/v1/channels",
    "/portal/v1/embedded",
    "/portal/v1/embedder",
    "/portal/v1/log",
    "/portal/v1/mcp",
    "/portal/v1/me/",
    "/portal/v1/memories/settings",
    "/portal/v1/personas",
    "/portal/v1/pulls",
    "/portal/v1/skills",
    "/portal/v1/workspaces",
    "/api/create",
    "/api/copy",
    "/api/delete",
    "/api/pull",
    "/api/push",
)
_ONLY_LOOKING = ("/test", "/look", "/options")
_SHARED = "/portal/v1/conversations/"
"""What can be read by a link."""


class Trail:
    """ASGI middleware behind admission, also before what is served on plain ASGI."""

    def __init__(self, app: App, *, audit: Audit) -> None:
        self._app, self._audit = app, audit

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass a request on; one that changed something leaves a line."""
        if scope.get("method") not in _CHANGING or not is_watched(scope["path"]):
            return self._app(scope, receive, send)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                caller: Caller = scope["state"]["caller"]
                detail = {"method": scope["method"], "by": caller.kind, "credential": caller.credential_id}
                await self._audit.record(line(caller.owner, "settings.changed", scope["path"], detail))
                _log.info("changed: %s %s", scope["method"], scope["path"], extra={"event": "settings"})
            await send(message)

        return self._app(scope, receive, told)


def is_watched(path: str) -> bool:
    """Whether something is changed there that belongs into the audit."""
    shares = path.startswith(_SHARED) and path.endswith("/share")
    return shares or (path.startswith(_WATCHED) and not path.endswith(_ONLY_LOOKING))
