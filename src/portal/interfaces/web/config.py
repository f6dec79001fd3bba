"""/portal/v1/config for those who run this installation: have the settings read again, and what came of it."""

from fastapi import APIRouter

from portal.core.clock import seconds
from portal.core.items import JsonObject
from portal.core.rereading import Reread, Rereads
from portal.interfaces.late import LateRouter
from portal.interfaces.web.requests import Who


def config_routes(*, rereads: Rereads) -> APIRouter:
    """An administrator's (see `security.access`)."""
    router = LateRouter(prefix="/portal/v1", tags=["health"])

    @router.get("/config")
    async def show(who: Who) -> JsonObject:
        """What came of reading the settings the last time."""
        return _view(rereads.last)

    @router.post("/config/reload")
    async def reload(who: Who) -> JsonObject:
        """Read them now; settings that are wrong are refused whole, and `problem` says why."""
        return _view(await rereads.now())

    return router


def _view(one: Reread) -> JsonObject:
    waiting = list(one.waiting)
    return {"at": seconds(one.at), "problem": one.problem or None, "applied": list(one.applied), "restart": waiting}
