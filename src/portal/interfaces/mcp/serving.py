"""Tools served by the Model Context Protocol: the SDK's server over whatever offers some."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from portal import __version__
from portal.core.items import JsonObject
from portal.core.tools import ToolResult, ToolSpec
from portal.core.trace_context import within
from portal.errors import PortalError
from portal.interfaces.mcp.content import answered, described, failed

_REPORTS = 256
"""News of one call that wait to be sent; what comes faster is dropped."""
_LAST_NEWS = 2.0
"""Seconds that a call that is over waits for them."""
Context: TypeAlias = ServerRequestContext[Any, Any]
Called: TypeAlias = types.CallToolResult | types.InputRequiredResult
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server says of itself."""

    name: str
    title: str
    instructions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person is asked before a call goes on."""

    text: str
    schema: JsonObject
    """Of the form that answers it."""
    state: str
    """By which the call is known again. Clients bring it back sealed as they got it."""
    key: str = "question"
    """Which question it is, where a call comes to several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person said to it."""

    state: str
    key: str = "question"
    action: str
    """accept, decline or cancel; empty where the client came back without an answer."""
    content: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who wants something of a server, and how it is told and asked."""

    request: Any = None
    """The HTTP request it came with; None over the standard streams."""
    asks: bool = False
    """Whether a person can be asked."""
    answer: Answer | None = None
    """To the question that this call came to before."""
    report: Callable[[str], None] = lambda detail: None
    """Says in a few words how far it is; from any thread."""


class Offer(Protocol):
    """What a server has to offer."""

    async def tools(self, asker: Asker) -> Sequence[ToolSpec]:
        """Those that this asker may use. Raises PortalError where that cannot be said."""

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> "Outcome":
        """Run one of them; a question where a person has to be asked and can be.

        Raises:
            PortalError: it did not work; a model is told.
        """


Outcome: TypeAlias = ToolResult | Question | types.CallToolResult
"""What a call comes to; the last is another server's own answer."""


def make_server(identity: Identity, offer: Offer) -> "Server[Any]":
    """A server of these tools, for any transport."""

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        specs = await _offered(offer, ctx)
        return types.ListToolsResult(tools=[described(spec) for spec in specs])

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> Called:
        spec = next((one for one in await _offered(offer, ctx) if one.name == params.name), None)
        if spec is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name!r} here.")
        with within({**(params.meta or {})}):
            return await _called(offer, spec, ctx, params)

    server = Server(
        identity.name,
        version=__version__,
        title=identity.title,
        instructions=identity.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    server.middleware.append(RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=identity.name))
    return server


async def _offered(offer: Offer, ctx: Context) -> Sequence[ToolSpec]:
    try:
        return await offer.tools(Asker(request=ctx.request))
    except PortalError as error:
        raise MCPError(types.INTERNAL_ERROR, error.message) from error


async def _called(offer: Offer, spec: ToolSpec, ctx: Context, params: types.CallToolRequestParams) -> Called:
    """The call with all that a person is asked on its way."""
    answer = _given(params)
    while True:
        news = _News(ctx)
        asker = Asker(request=ctx.request, asks=_asks(ctx), answer=answer, report=news.report)
        try:
            result = await news.sent_during(offer.call(spec, params.arguments or {}, asker))
        except PortalError as error:
            return failed(error.message)
        if isinstance(result, types.CallToolResult):
            return result
        if isinstance(result, ToolResult):
            return answered(result)
        if _is_modern(ctx):
            return types.InputRequiredResult(input_requests={result.key: _form(result)}, request_state=result.state)
        said = await ctx.session.elicit_form(result.text, result.schema, ctx.request_id)
        answer = _read(result.key, said, result.state)


def _is_modern(ctx: Context) -> bool:
    """Whether a question is an answer to the call, which then comes again; else it is asked in its middle."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS


def _asks(ctx: Context) -> bool:
    able = ctx.session.client_capabilities
    if able is None or able.elicitation is None:
        return False
    forms = able.elicitation.form is not None or able.elicitation.url is None
    return forms and (_is_modern(ctx) or ctx.session.can_send_request)


def _form(question: Question) -> types.ElicitRequest:
    params = types.ElicitRequestFormParams(message=question.text, requested_schema=question.schema)
    return types.ElicitRequest(params=params)


def _given(params: types.CallToolRequestParams) -> Answer | None:
    state, said = params.request_state, params.input_responses or {}
    forms = [(key, one) for key, one in said.items() if isinstance(one, types.ElicitResult)]
    if forms:
        return _read(*forms[0], state or "")
    return None if state is None else Answer(state=state, action="")


def _read(key: str, said: types.ElicitResult, state: str) -> Answer:
    return Answer(key=key, state=state, action=said.action, content=dict(said.content or {}))


class _News:
    """How far a call is, sent on to whoever made it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_REPORTS)

    def report(self, detail: str) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._put, str(detail))

    def _put(self, detail: str) -> None:
        with suppress(asyncio.QueueFull):
            self._waiting.put_nowait(detail)

    async def sent_during(self, work: Awaitable[T]) -> T:
        """What the work brings. Raises PortalError, as it does. It is a task of its own: of a call that is cancelled
        the SDK cancels every further step, too, and a tool has to stop what it began."""
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(self._send())
            working = tasks.create_task(_settled(work))
            await asyncio.wait([working])
            await self._rest()
            sending.cancel()
        result = working.result()
        if isinstance(result, _Fault):
            raise result.error
        return result

    async def _rest(self) -> None:
        await asyncio.sleep(0)  # what was told last is put in now
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_NEWS):
                await self._waiting.join()

    async def _send(self) -> None:
        number = 0
        while True:
            detail = await self._waiting.get()
            number += 1
            await self._ctx.session.report_progress(number, message=detail)
            self._waiting.task_done()


@dataclass(frozen=True, slots=True)
class _Fault:
    """In place of an error, which a group of tasks would wrap."""

    error: PortalError


async def _settled(work: Awaitable[T]) -> "T | _Fault":
    try:
        return await work
    except PortalError as error:
        return _Fault(error)
