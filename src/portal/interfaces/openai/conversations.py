"""`/v1/conversations` and their items, in OpenAI's shapes. The list and search of the page are `/portal/v1`'s."""

from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.agent import Agent
from portal.core.clock import micros, seconds
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.ports import Conversations, Files, Responses
from portal.core.records import ConversationRecord, TurnRecord
from portal.errors import NotFound
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.drawn import Drawn
from portal.interfaces.openai.pages import PageQuery, listed, page_of, page_query, unknown_after
from portal.interfaces.openai.schema import CreateConversation, CreateItems, UpdateConversation
from portal.interfaces.openai.turns import Turns
from portal.interfaces.openai.validation import check, parse_json
from portal.interfaces.wire import json_response

_TURNS_PER_READ = 50


def conversation_object(record: ConversationRecord) -> JsonObject:
    """OpenAI's conversation object."""
    return {
        "id": record.id,
        "object": "conversation",
        "created_at": seconds(record.created_at),
        "metadata": record.metadata,
    }


class _Door:
    """The endpoints."""

    def __init__(
        self, *, conversations: Conversations, responses: Responses, turns: Turns, agent: Agent, drawn: Drawn
    ) -> None:
        self._conversations = conversations
        self._drawn = drawn
        self._responses = responses
        self._turns = turns
        self._agent = agent

    async def create(self, request: Request) -> Response:
        """A new conversation, with items if some are given."""
        raw = await request.body()
        body = check(CreateConversation, parse_json(raw) if raw.strip() else {})
        owner, when = request.state.caller.owner, micros()
        items = await self._turns.items(body.items, owner=owner, param="items") if body.items else []
        record = ConversationRecord(
            id=new_id("conv"), owner=owner, created_at=when, updated_at=when, metadata=body.metadata or {}
        )
        await self._conversations.create(record, items)
        return json_response(conversation_object(record))

    async def get(self, request: Request) -> Response:
        """One conversation."""
        return json_response(conversation_object(await self._named(request)))

    async def update(self, request: Request) -> Response:
        """Replace its metadata."""
        body = check(UpdateConversation, parse_json(await request.body()))
        owner, conversation_id = _names(request)
        changes = {"metadata": body.metadata or {}}
        return json_response(conversation_object(await self._conversations.update(owner, conversation_id, changes)))

    async def delete(self, request: Request) -> Response:
        """Delete it; its items go with it, and what runs in it is stopped."""
        owner, conversation_id = _names(request)
        if not await self._conversations.delete(owner, [conversation_id]):
            raise NotFound(f"Conversation with id '{conversation_id}' not found.")
        await self._agent.cancel_in(owner, [conversation_id])
        return json_response({"id": conversation_id, "object": "conversation.deleted", "deleted": True})

    async def list_items(self, request: Request) -> Response:
        """Items of the branch on show, newest first unless asked otherwise."""
        query = page_query(request.query_params)
        owner, conversation_id = _names(request)
        if query.ascending:
            page = page_of(await self._all(owner, conversation_id), query)
        else:
            page = await self._newest(owner, conversation_id, query)
        return json_response({**page, "data": await self._drawn.items(owner, page["data"])})

    async def _all(self, owner: str, conversation_id: str) -> list[Item]:
        turns = [turn async for turn in self._upwards(owner, conversation_id, None, _TURNS_PER_READ)]
        return [item for turn in reversed(turns) for item in _items(turn)]

    async def _newest(self, owner: str, conversation_id: str, query: PageQuery) -> JsonObject:
        found: list[Item] = []
        before: str | None = None
        if query.after is not None:
            turn = await self._turn_of(owner, conversation_id, query.after)
            before = turn.response.id
            ids = [item["id"] for item in _items(turn)]
            found = list(reversed(_items(turn)[: ids.index(query.after)]))
        async for turn in self._upwards(owner, conversation_id, before, query.limit + 1):
            found.extend(reversed(_items(turn)))
            if len(found) > query.limit:
                break
        return listed(found[: query.limit], more=len(found) > query.limit)

    async def _upwards(
        self, owner: str, conversation_id: str, before: str | None, at_once: int
    ) -> AsyncIterator[TurnRecord]:
        """The turns of the branch on show, newest first."""
        while True:
            page = await self._conversations.turns(owner, conversation_id, before=before, limit=at_once)
            for turn in reversed(page.data):
                yield turn
            if page.next is None:
                return
            before = page.next

    async def _turn_of(self, owner: str, conversation_id: str, item_id: str) -> TurnRecord:
        """The turn that holds an item of this conversation. Raises BadRequest."""
        try:
            stored = await self._responses.item(owner, item_id)
            turn = await self._responses.get(owner, stored.response_id)
        except NotFound as error:
            raise unknown_after(item_id) from error
        if turn.response.conversation_id != conversation_id:
            raise unknown_after(item_id)
        return turn

    async def create_items(self, request: Request) -> Response:
        """Append items without asking a model; refused while a turn runs."""
        body = check(CreateItems, parse_json(await request.body()))
        owner, conversation_id = _names(request)
        items = await self._turns.items(body.items, owner=owner, param="items")
        await self._conversations.add_items(owner, conversation_id, items)
        return json_response(listed(await self._drawn.items(owner, items), more=False))

    async def get_item(self, request: Request) -> Response:
        """One item."""
        record = await self._named(request)
        item_id = request.path_params["item_id"]
        missing = NotFound(f"Item with id '{item_id}' not found in conversation '{record.id}'.")
        try:
            stored = await self._responses.item(record.owner, item_id)
            turn = await self._responses.get(record.owner, stored.response_id)
        except NotFound as error:
            raise missing from error
        if turn.response.conversation_id != record.id:
            raise missing
        (item,) = await self._drawn.items(record.owner, [stored.item])
        return json_response(item)

    async def delete_item(self, request: Request) -> Response:
        """Take one item out; the conversation as it is then."""
        owner, conversation_id = _names(request)
        await self._conversations.delete_item(owner, conversation_id, request.path_params["item_id"])
        return json_response(conversation_object(await self._named(request)))

    async def _named(self, request: Request) -> ConversationRecord:
        return await self._conversations.get(*_names(request))


def _names(request: Request) -> tuple[str, str]:
    return request.state.caller.owner, request.path_params["conversation_id"]


def _items(turn: TurnRecord) -> list[Item]:
    """A turn's items in order, input before output."""
    return [stored.item for stored in sorted(turn.items, key=lambda stored: (stored.side == "output", stored.position))]


def conversations_routes(
    *, conversations: Conversations, responses: Responses, agent: Agent, files: Files
) -> Sequence[BaseRoute]:
    """The routes of the Conversations API."""
    drawn = Drawn(files=files)
    turns = Turns(agent=agent, responses=responses, drawn=drawn)
    door = _Door(conversations=conversations, responses=responses, turns=turns, agent=agent, drawn=drawn)
    router = LateRouter(tags=["conversations"])
    add, one = router.add_api_route, "/v1/conversations/{conversation_id}"
    add("/v1/conversations", door.create, methods=["POST"], name="create_conversation")
    add(one, door.get, methods=["GET"], name="get_conversation")
    add(one, door.update, methods=["POST"], name="update_conversation")
    add(one, door.delete, methods=["DELETE"], name="delete_conversation")
    add(f"{one}/items", door.list_items, methods=["GET"], name="list_conversation_items")
    add(f"{one}/items", door.create_items, methods=["POST"], name="create_conversation_items")
    add(f"{one}/items/{{item_id}}", door.get_item, methods=["GET"], name="get_conversation_item")
    add(f"{one}/items/{{item_id}}", door.delete_item, methods=["DELETE"], name="delete_conversation_item")
    return router.routes
