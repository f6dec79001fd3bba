"""/portal/v1/skills: which there are, what is in them, installing and removing."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import Forbidden
from portal.interfaces.web import views
from portal.interfaces.web.ports import Skills
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller


class Upload(Body):
    """An uploaded file, a zip or tar archive of skills."""

    file_id: Annotated[str, Field(min_length=1, max_length=100)]


def skill_routes(*, skills: Skills, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """Routes of skills. All may look; those who run this installation decide what is in it."""
    router = APIRouter(prefix="/portal/v1/skills", tags=["skills"])

    async def may_change(caller: Caller) -> None:
        if not await is_admin(caller):
            raise Forbidden("Only those who run this installation can install and remove skills.")

    @router.get("")
    async def list_skills(who: Who) -> JsonObject:
        return views.listing(skills.list())

    @router.get("/{name}")
    async def get_skill(who: Who, name: str) -> JsonObject:
        return skills.get(name)

    @router.post("")
    async def install_skills(who: Who, body: Upload) -> JsonObject:
        await may_change(who)
        return views.listing(await skills.install(who.owner, body.file_id))

    @router.delete("/{name}")
    async def delete_skill(who: Who, name: str) -> JsonObject:
        await may_change(who)
        await skills.delete(name)
        return {"name": name, "deleted": True}

    return router
