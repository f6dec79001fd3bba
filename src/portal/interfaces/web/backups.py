"""/portal/v1/backups: what backups there are, and one made now; for those who run this installation."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter

from portal.core.items import JsonObject
from portal.errors import Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web.ports import Backups
from portal.interfaces.web.requests import Who
from portal.security.credentials import Caller


def backup_routes(*, backups: Backups, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """Routes of backups. They never give one away: it holds what everybody keeps."""
    router = LateRouter(prefix="/portal/v1/backups", tags=["backups"])

    async def check(who: Caller) -> None:
        if not await is_admin(who):
            raise Forbidden("Backups are for those who run this installation.")

    @router.get("")
    async def get_backups(who: Who) -> JsonObject:
        await check(who)
        return await backups.status()

    @router.post("", status_code=201)
    async def make_backup(who: Who) -> JsonObject:
        """Answered when the backup is there and was read back."""
        await check(who)
        return await backups.make()

    return router
