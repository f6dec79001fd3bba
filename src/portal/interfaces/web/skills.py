"""/portal/v1/skills: which there are, what is in them, installing and removing."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import BadRequest, Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import Skills, SkillSource
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller


class Source(Body):
    """An uploaded file, a zip or tar archive of skills; or the address of a git repository of skills."""

    file_id: Annotated[str, Field(max_length=100)] = ""
    url: Annotated[str, Field(max_length=2000)] = ""

    @property
    def source(self) -> SkillSource:
        """Raises BadRequest unless it is one of both."""
        if bool(self.file_id) == bool(self.url):
            raise BadRequest("Name a file_id or a url.", param="file_id")
        return SkillSource(file_id=self.file_id, url=self.url)


class Install(Source):
    """Those of these names, or all."""

    names: list[str] = Field([], max_length=200)


def skill_routes(*, skills: Skills, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """Routes of skills. All may look; those who run this installation decide what is in it."""
    router = LateRouter(prefix="/portal/v1/skills", tags=["skills"])

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
    async def install_skills(who: Who, body: Install) -> JsonObject:
        await may_change(who)
        return views.listing(await skills.install(who.owner, body.source, body.names))

    @router.post("/look")
    async def look_at_skills(who: Who, body: Source) -> JsonObject:
        await may_change(who)
        return views.listing(await skills.look(who.owner, body.source))

    @router.delete("/{name}")
    async def delete_skill(who: Who, name: str) -> JsonObject:
        await may_change(who)
        await skills.delete(name)
        return {"name": name, "deleted": True}

    return router
