"""/portal/v1/tools: which tools there are, of families and servers, and what they may do to the world."""

from fastapi import APIRouter

from portal.core.items import JsonObject
from portal.interfaces.late import LateRouter
from portal.interfaces.web.ports import Tools
from portal.interfaces.web.requests import Who


def tool_routes(*, tools: Tools) -> APIRouter:
    """Routes of tools."""
    router = LateRouter(prefix="/portal/v1/tools", tags=["tools"])

    @router.get("")
    async def list_tools(who: Who) -> JsonObject:
        return {"toolsets": list(tools.describe(who.owner))}

    return router
