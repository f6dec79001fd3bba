"""/portal/v1/cluster: the servers on this database."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter

from portal.core.items import JsonObject
from portal.errors import Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Who
from portal.security.credentials import Caller

Members = Callable[[], Awaitable[Sequence[JsonObject]]]


async def nobody() -> Sequence[JsonObject]:
    """On SQLite a server is alone."""
    return []


def cluster_routes(*, members: Members, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """For those who run this installation."""
    router = LateRouter(prefix="/portal/v1", tags=["cluster"])

    @router.get("/cluster")
    async def list_servers(who: Who) -> JsonObject:
        """Each server that shares the database: {id, version, host, pid, url, started_at, quiet, here, leads}; empty
        where there is one on SQLite. `quiet` is in seconds since it last showed that it lives."""
        if not await is_admin(who):
            raise Forbidden("Only those who run this installation see its servers.")
        return views.listing(await members())

    return router
