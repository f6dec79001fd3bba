"""/portal/v1/conversations, /portal/v1/responses and /portal/v1/folders: what the rail and the chat are made of."""

from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.agent import Agent
from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.ports import Conversations, Folders, Responses
from portal.core.records import ConversationRecord, Filters, FolderRecord, Page, TurnRecord
from portal.core.responses import resource
from portal.errors import BadRequest
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.ports import ConversationSearch
from portal.interfaces.web.requests import Body, Limit, Moment, Who, stored

Title = Annotated[str, Field(max_length=300)]
Ids = Annotated[list[str], Field(min_length=1, max_length=1000)]


class NewConversation(Body):
    """All optional: an empty conversation gets its title from its first turn."""

    title: Title = ""
    folder_id: str | None = None
    model: str | None = None


class ConversationChanges(Body):
    """Only what is sent is changed; `folder_id: null` takes it out of its folder."""

    title: Title | None = None
    pinned: bool | None = None
    folder_id: str | None = None
    model: str | None = None
    head: str | None = None


class Selection(Body):
    """Several conversations."""

    ids: Ids


class Move(Selection):
    """Several conversations and where they go; null is outside any folder."""

    folder_id: str | None


class Feedback(Body):
    """Thumb down, none, up."""

    rating: Annotated[int, Field(ge=-1, le=1)]


class FolderBody(Body):
    """A folder; its instructions and files go into every turn of its conversations."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    instructions: Annotated[str, Field(max_length=100_000)] = ""
    model: str | None = None
    file_ids: Annotated[tuple[str, ...], Field(max_length=50)] = ()


class _Views:
    """Records as JSON, running ones as far as they have come."""

    def __init__(self, *, agent: Agent) -> None:
        self._agent = agent

    async def conversation(self, record: ConversationRecord) -> JsonObject:
        return (await self._viewing([record]))(record)

    async def page(self, found: Page[ConversationRecord]) -> JsonObject:
        return views.page(found, await self._viewing(found.data))

    async def _viewing(self, records: Sequence[ConversationRecord]) -> Callable[[ConversationRecord], JsonObject]:
        heads = {record.head: record.owner for record in records if record.head}
        running = await self._agent.runs_anywhere(records[0].owner, heads) if heads else ()

        def view(record: ConversationRecord) -> JsonObject:
            return views.conversation(record, running=record.head if record.head in running else None)

        return view

    def turn(self, record: TurnRecord) -> JsonObject:
        run = self._agent.running(record.response.id)
        if run is None:
            return views.turn(record)
        live = resource(run.record, run.assembler.snapshot())
        return views.turn(record, live=live, last_seq=run.last_seq)


def conversation_routes(
    *, conversations: Conversations, search: ConversationSearch, agent: Agent, bus: Bus
) -> APIRouter:
    """Routes of single conversations and their list."""
    router = LateRouter(prefix="/portal/v1/conversations", tags=["conversations"])
    view = _Views(agent=agent)

    @router.get("")
    async def list_conversations(
        who: Who,
        limit: Limit = 50,
        cursor: str | None = None,
        folder: str | None = None,
        q: str | None = None,
        model: str | None = None,
        since: Moment = None,
        until: Moment = None,
    ) -> JsonObject:
        filters = Filters(folder_id=folder, model=model, since=stored(since), until=stored(until))
        found = await search.find(who.owner, q or "", filters, limit=limit, cursor=cursor)
        return await view.page(found)

    @router.post("", status_code=201)
    async def create_conversation(who: Who, body: NewConversation) -> JsonObject:
        record = ConversationRecord(
            id=new_id("conv"),
            owner=who.owner,
            created_at=micros(),
            updated_at=micros(),
            title_source="user" if body.title else "none",
            **body.model_dump(),
        )
        await conversations.create(record)
        bus.publish(who.owner, "conversation.changed", id=record.id)
        return await view.conversation(record)

    @router.get("/{conversation_id}")
    async def get_conversation(who: Who, conversation_id: str) -> JsonObject:
        return await view.conversation(await conversations.get(who.owner, conversation_id))

    @router.patch("/{conversation_id}")
    async def change_conversation(who: Who, conversation_id: str, body: ConversationChanges) -> JsonObject:
        changes: dict[str, object] = body.model_dump(exclude_unset=True)
        if any(changes.get(name, "") is None for name in ("title", "pinned", "head")):
            raise BadRequest("title, pinned and head cannot be null.")
        if "title" in changes:
            changes["title_source"] = "user"
        record = await conversations.update(who.owner, conversation_id, changes)
        bus.publish(who.owner, "conversation.changed", id=conversation_id)
        return await view.conversation(record)

    @router.get("/{conversation_id}/turns")
    async def list_turns(who: Who, conversation_id: str, before: str | None = None, limit: Limit = 30) -> JsonObject:
        found = await conversations.turns(who.owner, conversation_id, before=before, limit=limit)
        return views.page(found, view.turn)

    return router


def selection_routes(*, conversations: Conversations, agent: Agent, bus: Bus) -> APIRouter:
    """Routes for several conversations at once; they come before those of single ones."""
    router = LateRouter(prefix="/portal/v1/conversations", tags=["conversations"])

    @router.post("/delete")
    async def delete_conversations(who: Who, body: Selection) -> JsonObject:
        ids = await conversations.delete(who.owner, body.ids)
        await agent.cancel_in(who.owner, ids)
        for conversation_id in ids:
            bus.publish(who.owner, "conversation.deleted", id=conversation_id)
        return {"ids": list(ids)}

    @router.post("/restore")
    async def restore_conversations(who: Who, body: Selection) -> JsonObject:
        ids = await conversations.restore(who.owner, body.ids)
        for conversation_id in ids:
            bus.publish(who.owner, "conversation.changed", id=conversation_id)
        return {"ids": list(ids)}

    @router.post("/move")
    async def move_conversations(who: Who, body: Move) -> JsonObject:
        await conversations.move(who.owner, body.ids, body.folder_id)
        for conversation_id in body.ids:
            bus.publish(who.owner, "conversation.changed", id=conversation_id)
        return {"ids": body.ids}

    return router


def response_routes(*, responses: Responses) -> APIRouter:
    """Routes about an answer, beside those of /v1/responses."""
    router = LateRouter(prefix="/portal/v1/responses", tags=["responses"])

    @router.get("/{response_id}/route")
    async def get_route(who: Who, response_id: str) -> JsonObject:
        return (await responses.get(who.owner, response_id)).response.decision or {}

    @router.put("/{response_id}/feedback")
    async def set_feedback(who: Who, response_id: str, body: Feedback) -> JsonObject:
        await responses.feedback(who.owner, response_id, body.rating)
        return {"rating": body.rating}

    return router


def folder_routes(*, folders: Folders, bus: Bus) -> APIRouter:
    """Routes of folders."""
    router = LateRouter(prefix="/portal/v1/folders", tags=["folders"])

    async def save(owner: str, folder_id: str, created_at: int, body: FolderBody) -> JsonObject:
        record = FolderRecord(id=folder_id, owner=owner, created_at=created_at, **body.model_dump())
        await folders.save(record)
        bus.publish(owner, "folder.changed", id=folder_id)
        return views.folder(record)

    @router.get("")
    async def list_folders(who: Who) -> JsonObject:
        return views.listing(views.folder(record) for record in await folders.list(who.owner))

    @router.post("", status_code=201)
    async def create_folder(who: Who, body: FolderBody) -> JsonObject:
        return await save(who.owner, new_id("fold"), micros(), body)

    @router.get("/{folder_id}")
    async def get_folder(who: Who, folder_id: str) -> JsonObject:
        return views.folder(await folders.get(who.owner, folder_id))

    @router.put("/{folder_id}")
    async def change_folder(who: Who, folder_id: str, body: FolderBody) -> JsonObject:
        existing = await folders.get(who.owner, folder_id)
        return await save(who.owner, folder_id, existing.created_at, body)

    @router.delete("/{folder_id}")
    async def delete_folder(who: Who, folder_id: str) -> JsonObject:
        await folders.delete(who.owner, folder_id)
        bus.publish(who.owner, "folder.changed", id=folder_id)
        return {"id": folder_id, "deleted": True}

    return router
