"""/portal/v1/embedder: which model turns texts into vectors, and the change to another."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.library import EmbedderChoice
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller


class Wanted(Body):
    """The model to change to: a model server's by its id; empty for the embedded one."""

    model: Annotated[str, Field(max_length=300)]


def embedder_routes(*, choice: EmbedderChoice, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """Routes of the embedder. All may look; those who run this installation choose."""
    router = LateRouter(prefix="/portal/v1/embedder", tags=["knowledge"])

    @router.get("")
    async def get_embedder(who: Who) -> JsonObject:
        return await choice.status()

    @router.put("")
    async def set_embedder(who: Who, body: Wanted) -> JsonObject:
        if not await is_admin(who):
            raise Forbidden("Only those who run this installation can choose the embedder.")
        await choice.choose(body.model)
        return await choice.status()

    return router
