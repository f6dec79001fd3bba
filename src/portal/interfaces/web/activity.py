"""/portal/v1/activity: how this Portal is at the moment, for those who run it. Admission keeps everybody else out."""

from fastapi import APIRouter

from portal.core.items import JsonObject
from portal.interfaces.late import LateRouter
from portal.interfaces.web.ports import Activity


def activity_routes(*, activity: Activity) -> APIRouter:
    """Routes of what goes on."""
    router = LateRouter(prefix="/portal/v1/activity", tags=["activity"])

    @router.get("")
    async def get_activity() -> JsonObject:
        return await activity.now()

    return router
