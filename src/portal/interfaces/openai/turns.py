"""From a checked Responses body to the agent's Turn: references resolved, ids named, and the errors clients expect."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from portal.core.agent import Agent, Turn
from portal.core.collections import Collections
from portal.core.items import Item, JsonObject
from portal.core.ports import Responses
from portal.core.recall import file_search
from portal.core.run import Run
from portal.errors import BadRequest, NotFound
from portal.interfaces.openai.drawn import Drawn
from portal.interfaces.openai.items import copied, read_input
from portal.interfaces.openai.schema import CompactResponse, CreateResponse, read_response_body
from portal.interfaces.openai.validation import check
from portal.interfaces.wire import header_value

_NOT_ECHOED = frozenset(
    {
        "type",
        "model",
        "input",
        "stream",
        "stream_options",
        "background",
        "store",
        "previous_response_id",
        "conversation",
        "portal:branch",
        "portal:again",
    }
)
DOORS: Mapping[str, str] = {"key": "responses", "session": "web", "local": "cli"}


class Turns:
    """Reads turns out of request bodies and starts them."""

    def __init__(
        self, *, agent: Agent, responses: Responses, drawn: Drawn, collections: Collections | None = None
    ) -> None:
        self._agent = agent
        self._drawn = drawn
        self._responses = responses
        self._collections = collections

    async def read(self, payload: JsonObject, *, owner: str, door: str) -> tuple[CreateResponse, Turn]:
        """The checked body and its turn.

        Raises:
            BadRequest: naming the field at fault.
            NotFound: a referenced item or vector store is not this owner's.
        """
        body = read_response_body(payload)
        if door == "responses":  # a chat of ours goes on when a collection that it was asked of is deleted
            await self._check_stores(payload, owner)
        turn = Turn(
            owner=owner,
            model=body.model,
            input=await self._input(body, owner),
            request={name: value for name, value in payload.items() if name not in _NOT_ECHOED},
            door=door,
            previous_response_id=body.previous_response_id,
            conversation_id=body.conversation_id,
            branch=payload.get("portal:branch") is True,
            again=str(payload.get("portal:again") or ""),
            store=body.stored,
            private=not body.stored,
            background=body.background is True,
        )
        return body, turn

    async def _check_stores(self, payload: JsonObject, owner: str) -> None:
        tool, collections = file_search(payload), self._collections
        if tool is None or collections is None:
            return
        for store in tool["vector_store_ids"]:
            try:
                await collections.get(owner, store)
            except NotFound as error:
                raise NotFound(error.message, param="tools") from error

    async def _input(self, body: CreateResponse | CompactResponse, owner: str) -> list[Item]:
        if body.input is not None:
            return await self.items(body.input, owner=owner)
        if body.previous_response_id is None and getattr(body, "conversation", None) is None:
            raise BadRequest(
                "One of 'input' or 'previous_response_id' or 'conversation' must be provided.",
                param="input",
                code="missing_required_parameter",
            )
        return []

    async def items(self, raw: object, *, owner: str, param: str = "input") -> list[Item]:
        """Items with every reference replaced by what it names. Raises BadRequest and NotFound."""
        items = read_input(raw, param)
        for index, item in enumerate(items):
            if item["type"] == "item_reference":
                items[index] = await self._referenced(item["id"], owner, f"{param}[{index}].id")
        return await self._drawn.named(owner, items)

    async def _referenced(self, item_id: str, owner: str, param: str) -> Item:
        try:
            stored = await self._responses.item(owner, item_id)
        except NotFound as error:
            raise NotFound(f"Item with id '{item_id}' not found.", param=param) from error
        return copied(stored.item)

    async def start(self, turn: Turn) -> Run:
        """Start it. A previous response that is not there gets the code by which clients know to send everything again.

        Raises:
            BadRequest: `previous_response_not_found`; and what Agent.start raises.
        """
        try:
            return await self._agent.start(turn)
        except NotFound as error:
            previous = turn.previous_response_id
            if previous is not None and not await self._exists(turn.owner, previous):
                raise previous_not_found(previous) from error
            raise

    async def _exists(self, owner: str, response_id: str) -> bool:
        try:
            await self._responses.get(owner, response_id)
        except NotFound:
            return False
        return True

    async def compact(self, payload: JsonObject, *, owner: str) -> JsonObject:
        """The compaction object of what a body names.

        Raises:
            BadRequest, NotFound, BackendError: nothing was compacted.
        """
        body = check(CompactResponse, payload)
        items = await self._input(body, owner)
        earlier: Sequence[Item] = ()
        if body.previous_response_id is not None:
            earlier = await self._window(owner, body.previous_response_id)
        return await self._agent.compact(owner, body.model, items, body.instructions, earlier=earlier)

    async def _window(self, owner: str, response_id: str) -> list[Item]:
        try:
            window = await self._responses.window(owner, response_id)
        except NotFound as error:
            raise previous_not_found(response_id) from error
        return [stored.item for turn in window for stored in turn.items]


def previous_not_found(response_id: str) -> BadRequest:
    """The error for a chain whose earlier end is not there."""
    return BadRequest(
        f"Previous response with id '{response_id}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def continued(turn: Turn, history: Sequence[Item]) -> Turn:
    """A turn after others that were not stored; if it is stored itself, it carries them as its own input."""
    if turn.store:
        return replace(turn, input=[*history, *turn.input], previous_response_id=None)
    return replace(turn, history=history, previous_response_id=None)


def route_headers(run: Run) -> dict[str, str]:
    """Which model answers, and why."""
    decision = run.record.decision or {}
    named = {"X-Portal-Model": decision.get("resolved_model"), "X-Portal-Reason": decision.get("reason")}
    return {name: header_value(str(value)) for name, value in named.items() if value}
