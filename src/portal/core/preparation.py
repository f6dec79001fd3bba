"""From a decoded request to a model call: conversation, history, attachments, instructions, model, window."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

from portal.core import hosted
from portal.core.ask import Ask, override
from portal.core.attachments import NOTHING, Attachments, Shelved
from portal.core.call import Call, Tools, offered_names
from portal.core.chat import to_parameters
from portal.core.clock import micros
from portal.core.compaction import Compactor
from portal.core.decision import Route, decision
from portal.core.folder import InFolder, Shared
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.model import ChatMessage, ModelInfo, ModelRequest
from portal.core.ports import Conversations, Models, Responses
from portal.core.prompted import prompted
from portal.core.recall import Seeking, file_search, heard
from portal.core.records import ConversationRecord, ResponseRecord, TurnRecord
from portal.core.scene import tainted_at
from portal.core.shelving import Shelving
from portal.core.story import COVERS, Story, summarised
from portal.core.terms import Bounding, nothing, standing_of
from portal.core.tokens import estimate_messages
from portal.core.toolbox import Offer, Toolbox
from portal.core.tools import ToolContext, ToolSpec
from portal.core.tracing import span
from portal.core.window import fit, room, spare
from portal.core.workspaces import Workspace

_CHORE = "### Task:"
"""How Open WebUI's requests for titles, tags and follow-up questions begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One request to the agent, decoded by an interface."""

    owner: str
    model: str
    """A plain model id or `auto`."""
    input: Sequence[Item]
    """Validated items, ids and statuses filled in."""
    request: JsonObject = field(default_factory=dict)
    """The Responses request's other fields as sent."""
    door: str = "responses"
    previous_response_id: str | None = None
    conversation_id: str | None = None
    branch: bool = False
    """With a conversation and no previous response: begin again at its root instead of following its head."""
    store: bool = True
    private: bool = False
    """Memory stays out of it: its client wants nothing kept, or no person says it."""
    background: bool = False
    """Goes on when its client leaves."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Chat Completions parameters for the backend, beside those of `request`."""
    history: Sequence[Item] = ()
    """Earlier items of a chain that is not stored."""
    response_id: str | None = None
    """Set where the caller must know the id beforehand."""
    asks: bool = True
    """Whether its client can pass a question on to a person."""
    decided: bool = False
    """Its approval responses are written down already."""
    again: str = ""
    """Id of a response that went on with these approval responses before: what ran for it is not run again."""
    parent: ToolContext | None = None
    """The tool call of another turn whose task this is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything a run needs."""

    record: ResponseRecord
    call: Call
    conversation: ConversationRecord | None
    follows_head: bool
    """It goes on where the conversation stands, rather than where the turn says."""
    door: str
    asks: bool
    """Whether a person can be asked."""
    offer: Offer | None = None
    """The tools of a workspace's turn."""
    earlier: Sequence[Item] = ()
    """What the conversation has so far, as far back as is looked."""
    parent: ToolContext | None = None
    client_tools: Sequence[str] = ()
    """Names of the client's own tools, which it runs itself."""
    before: ResponseRecord | None = None
    """The response that it follows."""
    answers: str = ""
    """The id of that response, where this turn brings decisions on the calls it asked for."""
    ran: Mapping[str, Item] = field(default_factory=dict)
    """By approval, the calls that ran in a turn of which this is another try."""
    tainted_at: int | None = None
    """When the conversation first read what strangers wrote, in microseconds UTC."""
    root: str
    """Id of the first response of its chain, as far as it is looked at."""
    story: Story
    room: int
    """Tokens that the chosen model has for messages."""
    seeking: Seeking | None = None
    """What to recall for it; None where nothing may be added."""

    @property
    def overflows(self) -> bool:
        """Whether the conversation has outgrown the model's window."""
        return self.call.dropped > 0 or estimate_messages(self.call.request.messages) > self.room

    def retold(self, since: int, summary: str) -> list[ChatMessage]:
        """What the model is told where a summary stands for the turns before number `since`."""
        messages: Sequence[ChatMessage] = self.story.messages(since=since, summary=summary)
        named = override(messages)
        messages = named[1] if named else messages
        workspace = self.call.route.workspace
        return workspace.messages(messages) if workspace else list(messages)

    def names(self) -> list[str]:
        """Of the tools that the model may call."""
        return [*self.client_tools, *(self.offer.names() if self.offer else ())]

    @property
    def workspace(self) -> Workspace:
        """That of a turn with tools."""
        workspace = self.call.route.workspace
        assert workspace is not None
        return workspace


class Preparation:
    """Gathers what a turn needs; reads, never writes."""

    def __init__(
        self,
        *,
        models: Models,
        responses: Responses,
        conversations: Conversations,
        in_folder: InFolder,
        attachments: Attachments,
        compactor: Compactor,
        shelving: Shelving,
        toolbox: Toolbox,
        window: Callable[[ModelInfo], int],
        alone: Callable[[ToolSpec], bool],
        bounding: Bounding = nothing,
    ) -> None:
        """`window` tells how many tokens a model really takes; `alone` which tools may run where nobody is asked;
        `bounding` what people may use."""
        self._bounding = bounding
        self._alone = alone
        self._toolbox = toolbox
        self._models = models
        self._responses = responses
        self._conversations = conversations
        self._in_folder = in_folder
        self._attachments = attachments
        self._compactor = compactor
        self._shelving = shelving
        self._window = window

    async def prepare(self, turn: Turn) -> Prepared:
        """Raises what Agent.start raises."""
        began = perf_counter()
        conversation = await self._conversation(turn)
        previous = _previous(turn, conversation)
        window = await self._responses.window(turn.owner, previous) if previous is not None else ()
        response_id = turn.response_id or new_id("resp")
        place = conversation.id if conversation else window[0].response.id if window else response_id
        parameters = {**to_parameters(turn.request), **turn.parameters}
        shelved, shared = await self._belongings(turn, conversation, place, parameters)
        story = await self._story(turn, window, _instructions(turn, shared.texts), shelved)
        messages = story.messages()
        before = window[-1].response if window else None
        items = [*turn.history, *(stored.item for record in window for stored in record.items)]
        last = before and before.decision
        ask = Ask.overridden(model=turn.model, owner=turn.owner, messages=messages, parameters=parameters, last=last)
        route, messages = await self._route(turn, ask), list(ask.messages)
        offer = None
        if route.workspace is not None:
            messages = route.workspace.messages(messages)
            parameters = route.workspace.with_defaults(parameters)
            await self._toolbox.ready()
            offer = await self._offer(turn, ask, route.workspace, parameters, items)
        fitted = partial(self._fitted, parameters, turn, offer, route.workspace is not None)
        call = Call(route, fitted, messages)
        record = ResponseRecord(
            id=response_id,
            owner=turn.owner,
            model=turn.model,
            status="in_progress",
            created_at=micros(),
            conversation_id=conversation.id if conversation else None,
            previous_id=previous,
            request=turn.request,
            decision={
                **decision(route, perf_counter() - began),
                **_left_out(call.dropped, window),
                **_tools_told(offer),
            },
            background=turn.background,
        )
        return Prepared(
            record=record,
            call=call,
            conversation=conversation,
            follows_head=_follows_head(turn),
            door=turn.door,
            asks=turn.asks and turn.store,
            offer=offer,
            client_tools=offered_names(parameters),
            before=before,
            answers=before.id if before is not None and _decides(turn) else "",
            tainted_at=tainted_at([*items, *turn.input]) or (turn.parent.tainted_at if turn.parent else None),
            root=window[0].response.id if window else record.id,
            earlier=[*items, *turn.input],
            parent=turn.parent,
            story=story,
            room=room(self._window(route.model), call.request.parameters),
            seeking=_seeking(turn, record, conversation, route.workspace, items, shared.shelves),
        )

    async def _route(self, turn: Turn, ask: Ask) -> Route:
        with span("route", turn.model) as one:
            route = hosted.allowed(await self._models.decide(ask), turn.request)
            one.note(model=route.model.id, backend=route.backend.name, task=route.task, rule=route.rule)
        return route

    async def _offer(
        self, turn: Turn, ask: Ask, workspace: Workspace, parameters: Mapping[str, object], items: Sequence[Item]
    ) -> Offer | None:
        """The tools of a turn: where nobody can be asked, those that may run alone; for chores that chat programs do
        beside a conversation, such as its title, none."""
        if parameters.get("response_format") or ask.text.startswith(_CHORE):
            return None
        alone = not ((turn.asks and turn.store) or turn.parent)
        drawn = hosted.TOOLS if hosted.image_generation(turn.request) else ()
        taken, used = offered_names(parameters), [*drawn, *_called(items)]
        standing = standing_of(turn.owner, self._bounding)

        def may(spec: ToolSpec) -> bool:
            usable = standing is None or standing.uses(spec.name, spec.toolset)
            kept = turn.store or not spec.harmless or spec.name in drawn
            return usable and kept and (not alone or self._alone(spec))

        return await self._toolbox.offer(
            replace(workspace, tools=(*workspace.tools, *drawn), memory=workspace.memory and not turn.private),
            ask.wanted,
            taken=taken,
            used=used,
            may=may,
            anyway=_decides(turn),
        )

    def _fitted(
        self,
        parameters: Mapping[str, object],
        turn: Turn,
        offer: Offer | None,
        chosen: bool,
        model: ModelInfo,
        messages: Sequence[ChatMessage],
        tools: Tools,
    ) -> tuple[ModelRequest, int]:
        dropped, window = 0, self._window(model)
        if offer is not None:
            parameters = offer.parameters(parameters) if tools != "none" else _without_tools(parameters)
            messages = spare(messages, room(window, parameters))
        if turn.request.get("truncation") == "auto":
            messages, dropped = fit(messages, window, parameters)
        if offer is not None and model.told and "tools" not in model.capabilities:
            messages, parameters = prompted(messages, parameters, strict=tools == "strict")
        return ModelRequest(model=model.id, messages=messages, parameters=parameters, chosen=chosen), dropped

    async def _conversation(self, turn: Turn) -> ConversationRecord | None:
        if turn.conversation_id is None:
            return None
        return await self._conversations.get(turn.owner, turn.conversation_id)

    async def _belongings(
        self, turn: Turn, conversation: ConversationRecord | None, place: str, parameters: Mapping[str, object]
    ) -> tuple[Shelved, Shared]:
        """Which files are searched, of what is kept; and what its folder brings, with all places of such files."""
        said = [{"role": "user", "content": heard(turn.input)[0]}]
        ask = Ask.overridden(model=turn.model, owner=turn.owner, messages=said, parameters=parameters)
        shelved = NOTHING
        if turn.store:
            shelved = await self._shelving.shelved(ask, place, turn.input, chain=turn.conversation_id is None)
        shared = await self._in_folder.of(conversation, ask)
        return shelved, replace(shared, shelves=[*shared.shelves, *([place] if shelved.files else [])])

    async def _story(
        self, turn: Turn, window: Sequence[TurnRecord], instructions: str | None, shelved: Shelved
    ) -> Story:
        """What was said before and is said now. Where Portal has summarised the oldest turns, that stands for them."""
        made, since = summarised(window)
        summary = str(self._compactor.opened([made])[0]["summary"]) if made else ""
        turns = [("", await self._resolved(turn.owner, turn.history, shelved))] if turn.history else []
        for record in window[since:]:
            said = [stored.item for stored in record.items if not _passed_over(stored.item)]
            turns.append((record.response.id, await self._resolved(turn.owner, said, shelved)))
        now = self._compactor.opened(await self._attachments.resolve(turn.owner, turn.input, shelved))
        return Story(turns=turns, said=now, instructions=instructions, summary=summary)

    async def _resolved(self, owner: str, items: Sequence[Item], shelved: Shelved) -> list[Item]:
        return self._compactor.opened(await self._attachments.recalled(owner, items, shelved))


def _instructions(turn: Turn, shared: Sequence[str]) -> str | None:
    """The request's instructions, behind what all chats of the conversation's folder have."""
    return "\n\n".join(part for part in (*shared, turn.request.get("instructions")) if part) or None


def _previous(turn: Turn, conversation: ConversationRecord | None) -> str | None:
    if conversation is None or not _follows_head(turn):
        return turn.previous_response_id
    return conversation.head


def _follows_head(turn: Turn) -> bool:
    return turn.conversation_id is not None and not turn.previous_response_id and not turn.branch


def _passed_over(item: Item) -> bool:
    """A tool call that was stopped on the way: nobody ran it, and model servers refuse its broken arguments. And a
    summary that Portal made by itself, which stands before the turns that are left."""
    stopped = item["type"] == "function_call" and item.get("status") == "incomplete"
    return stopped or (item["type"] == "compaction" and COVERS in item)


def _called(items: Sequence[Item]) -> list[str]:
    """Names of the tools that were called or asked for, newest first."""
    kinds = ("mcp_call", "mcp_approval_request")
    return [*dict.fromkeys(item["name"] for item in reversed(items) if item["type"] in kinds)]


def _decides(turn: Turn) -> bool:
    return any(item["type"] == "mcp_approval_response" for item in turn.input)


def _seeking(
    turn: Turn,
    record: ResponseRecord,
    conversation: ConversationRecord | None,
    workspace: Workspace | None,
    earlier: Sequence[Item],
    shelves: Sequence[str],
) -> Seeking | None:
    """A plain model is told of nothing but what its client lets it search, and the files it is given; chores are done
    with what they bring."""
    text, before = heard([*earlier, *turn.input])
    wanted = workspace is not None or file_search(turn.request) is not None or bool(shelves)
    if not (text.strip() or shelves) or text.startswith(_CHORE) or not wanted:
        return None
    return Seeking(
        owner=turn.owner,
        text=text,
        before=before,
        workspace=workspace or Workspace(name=turn.model, knowledge=False, memory=False),
        conversation_id=record.conversation_id,
        folder_id=conversation.folder_id if conversation else None,
        response_id=record.id,
        shelves=shelves,
        request=turn.request,
        private=turn.private,
        kept=turn.store and any(item.get("role") == "user" for item in turn.input),
    )


def _without_tools(parameters: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in parameters.items() if name not in ("tools", "tool_choice")}


def _tools_told(offer: Offer | None) -> JsonObject:
    """Which tools the model is shown, and how many it could find."""
    return {} if offer is None else {"tools": offer.names(), "tools_left_out": offer.left_out()}


def _left_out(dropped: int, window: Sequence[TurnRecord]) -> JsonObject:
    """What the model was not told of a long conversation: of a longer path only the newest turns are looked at."""
    newest_turns = len(window) if window and window[0].response.previous_id is not None else None
    told = {"dropped_messages": dropped or None, "newest_turns_only": newest_turns}
    return {name: count for name, count in told.items() if count is not None}
