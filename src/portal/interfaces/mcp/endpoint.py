"""The endpoint /mcp: Portal as a tool server, on plain ASGI. The SDK is loaded when the first client comes."""

import asyncio
import logging
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from portal.errors import NotInstalled, PortalError, Stopping
from portal.extras import add_command
from portal.security.credentials import Caller

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from portal.interfaces.mcp.serving import Offer

log = logging.getLogger(__name__)

PATH = "/mcp"
INSTALL = f"Serving MCP needs the protocol's SDK: `{add_command('mcp')}`, then start Portal again."
_NAMES = ("mcp", "mcp_types", "anyio", "sse_starlette")


class Endpoint:
    """ASGI application, behind admission. `run` has to go on beside it."""

    def __init__(self, offer: Callable[[], "Offer"], *, largest: int) -> None:
        """`offer` is made when it is first wanted; `largest` is the most bytes of a request."""
        self._offer = offer
        self._largest = largest
        self._wanted, self._ready, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._manager: StreamableHTTPSessionManager | None = None
        self._fault: PortalError | None = None

    async def run(self) -> None:
        """Serve from the first request on, until it is stopped. Never raises: who asks is told what is wrong."""
        await self._wanted.wait()
        if self._over.is_set():  # nobody ever asked: the SDK is not loaded only to be stopped
            self._ready.set()
            return
        try:
            manager = await asyncio.to_thread(self._made)
            async with manager.run():
                self._manager = manager
                self._ready.set()
                await self._over.wait()
        except ModuleNotFoundError as error:
            known = (error.name or "").partition(".")[0] in _NAMES
            self._fault = NotInstalled(INSTALL) if known else self._broken()
        except Exception:  # the rest of Portal does without it
            self._fault = self._broken()
        finally:
            self._manager = None
            self._ready.set()

    @staticmethod
    def _broken() -> PortalError:
        log.exception("MCP cannot be served")
        return PortalError("MCP cannot be served; Portal's log has why.", code="internal_error")

    def stop(self) -> None:
        """End every session and open stream."""
        self._over.set()
        self._wanted.set()

    def _made(self) -> "StreamableHTTPSessionManager":
        serving = import_module("portal.interfaces.mcp.serving")
        portal = import_module("portal.interfaces.mcp.portal")
        manager = import_module("mcp.server.streamable_http_manager")
        made: StreamableHTTPSessionManager = manager.StreamableHTTPSessionManager(
            serving.make_server(portal.IDENTITY, self._offer()), max_request_body_size=self._largest
        )
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request. Raises PortalError where the SDK is not installed."""
        self._wanted.set()
        await self._ready.wait()
        if self._fault is not None:
            raise self._fault
        if self._manager is None:
            raise Stopping
        from portal.interfaces.mcp.door import bare

        told = {**scope, "headers": bare(scope["headers"]), "user": _bound_to(scope["state"]["caller"])}
        await self._manager.handle_request(told, receive, send)


def _bound_to(caller: Caller) -> Any:
    """By which the SDK keeps a session to the key that began it: it is over with that."""
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    return AuthenticatedUser(AccessToken(token="", client_id=f"{caller.owner} {caller.credential_id}", scopes=[]))
