"""/portal/v1/memories: what is remembered about whoever asks, and everything one may do with it."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field

from portal.core.items import JsonObject
from portal.core.memories import LONGEST, SCOPE, Kind, MemoryRecord, Said, Wanted
from portal.errors import BadRequest, NotFound
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import MemoryKeeper
from portal.interfaces.web.requests import Body, Limit, Moment, Who, stored

CONFIRMATION = "forget everything"
_ALL = 1000
_LARGEST_EXPORT = 8 * 2**20
"""Characters of what is brought in."""


def _scope(scope: str) -> str:
    if not SCOPE.fullmatch(scope):
        raise ValueError("a scope is user, workspace:NAME or conversation:ID")
    return scope


Text = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Scope = Annotated[str, Field(max_length=100), AfterValidator(_scope)]


class NewMemory(Body):
    """Something to remember; without a kind its words decide."""

    text: Text
    kind: Kind | None = None
    scope: Scope = "user"
    happened_at: Moment = None


class MemoryChanges(Body):
    """Only what is sent is changed."""

    text: Text | None = None
    kind: Kind | None = None
    scope: Scope | None = None
    happened_at: Moment = None


class SwitchChanges(Body):
    """Only what is sent is changed."""

    enabled: bool | None = None
    conversations: bool | None = None
    propose: bool | None = None


class Merge(Body):
    """Memories to make one of; without a text of theirs, one after the other."""

    ids: Annotated[list[str], Field(min_length=2, max_length=100)]
    text: Annotated[str, Field(max_length=LONGEST)] = ""


class Import(Body):
    """An export of memories, as text."""

    content: Annotated[str, Field(max_length=_LARGEST_EXPORT)]
    dry_run: bool = False


def memory_routes(*, memories: MemoryKeeper) -> APIRouter:
    """Routes of all memories; they come before those of single ones, as those of the settings do."""
    router = LateRouter(prefix="/portal/v1/memories", tags=["memories"])

    @router.get("")
    async def list_memories(
        who: Who,
        limit: Limit = 50,
        cursor: str | None = None,
        q: Annotated[str, Field(max_length=8000)] = "",
        id: Annotated[list[str] | None, Query(max_length=200)] = None,
        kind: Kind | None = None,
        scope: Scope | None = None,
        status: Annotated[str, Field(pattern="^(active|proposed|superseded|any)$")] = "active",
        since: Moment = None,
        until: Moment = None,
    ) -> JsonObject:
        if id is not None:
            return views.listing(map(views.memory, await memories.get(who.owner, id)))
        chosen: Any = None if status == "any" else status
        wanted = Wanted(kind=kind, scope=scope, status=chosen, since=stored(since), until=stored(until))
        if q.strip():
            return views.listing(map(views.memory, await memories.search(who.owner, q, wanted, limit=limit)))
        return views.page(await memories.list(who.owner, wanted, limit=limit, cursor=cursor), views.memory)

    @router.post("", status_code=201)
    async def remember(who: Who, body: NewMemory) -> JsonObject:
        said = Said(owner=who.owner, **{**body.model_dump(), "happened_at": stored(body.happened_at)})
        kept = await memories.remember(said)
        return {**views.memory(kept.memory), "new": kept.new, "superseded": [one.id for one in kept.superseded]}

    @router.delete("")
    async def forget_everything(who: Who, confirm: str = "") -> JsonObject:
        if confirm != CONFIRMATION:
            raise BadRequest(f"To delete every memory, send confirm={CONFIRMATION!r}.", param="confirm")
        return {"deleted": len(await memories.forget(who.owner, None))}

    @router.post("/merge", status_code=201)
    async def merge(who: Who, body: Merge) -> JsonObject:
        return views.memory(await memories.merge(who.owner, body.ids, body.text))

    return router


def memory_settings_routes(*, memories: MemoryKeeper) -> APIRouter:
    """Routes of the switches, and of taking memories elsewhere; they come before those of single memories."""
    router = LateRouter(prefix="/portal/v1/memories", tags=["memories"])

    @router.get("/settings")
    async def get_switches(who: Who) -> JsonObject:
        return views.switches(await memories.switches(who.owner))

    @router.patch("/settings")
    async def set_switches(who: Who, body: SwitchChanges) -> JsonObject:
        changes = body.model_dump(exclude_none=True)
        return views.switches(await memories.switch(who.owner, changes))

    @router.get("/export")
    async def export(who: Who) -> JsonObject:
        found: list[MemoryRecord] = []
        cursor = None
        while True:
            page = await memories.list(who.owner, Wanted(status=None), limit=_ALL, cursor=cursor)
            found += page.data
            cursor = page.next
            if cursor is None:
                return {"object": "portal.memories", "memories": [views.memory(one) for one in found]}

    @router.post("/import")
    async def take_over(who: Who, body: Import) -> JsonObject:
        return views.listing(await memories.take_over(who.owner, body.content, dry_run=body.dry_run))

    return router


def single_memory_routes(*, memories: MemoryKeeper) -> APIRouter:
    """Routes of one memory."""
    router = LateRouter(prefix="/portal/v1/memories/{memory_id}", tags=["memories"])

    @router.get("")
    async def get_memory(who: Who, memory_id: str) -> JsonObject:
        memory, *earlier = await memories.history(who.owner, memory_id)
        return {**views.memory(memory), "history": [views.memory(one) for one in earlier]}

    @router.patch("")
    async def change_memory(who: Who, memory_id: str, body: MemoryChanges) -> JsonObject:
        changes: dict[str, object] = body.model_dump(exclude_unset=True)
        if any(changes.get(name, "") is None for name in ("text", "kind", "scope")):
            raise BadRequest("text, kind and scope cannot be null.")
        if "happened_at" in changes:
            changes["happened_at"] = stored(body.happened_at)
        return views.memory(await memories.edit(who.owner, memory_id, changes))

    @router.delete("")
    async def forget(who: Who, memory_id: str) -> JsonObject:
        if not await memories.forget(who.owner, [memory_id]):
            raise NotFound(f"There is no memory {memory_id!r}.", param="memory")
        return {"id": memory_id, "deleted": True}

    @router.post("/accept")
    async def accept(who: Who, memory_id: str) -> JsonObject:
        kept = await memories.accept(who.owner, memory_id)
        return {**views.memory(kept.memory), "new": kept.new, "superseded": [one.id for one in kept.superseded]}

    @router.post("/reject")
    async def reject(who: Who, memory_id: str) -> JsonObject:
        memory = next(iter(await memories.history(who.owner, memory_id)))
        if memory.status != "proposed":
            raise BadRequest("This is no proposal: delete it instead.")
        await memories.forget(who.owner, [memory_id])
        return {"id": memory_id, "deleted": True}

    return router
