"""A plain call of a model, for any door: bytes relayed where the model server speaks the door's API, converted chunk by
chunk where it does not, accounted for in any case."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, cast

import orjson
from starlette.types import Send

from portal.core.ask import Ask, override
from portal.core.attempts import attempted
from portal.core.decision import Route
from portal.core.gate import Permit
from portal.core.items import JsonObject
from portal.core.measure import Measure
from portal.core.model import ModelEvent, ModelRequest
from portal.core.ports import Forwarding
from portal.core.tracing import here
from portal.errors import PortalError
from portal.interfaces.account import Account, Accounts
from portal.interfaces.acting import Acting, Stream
from portal.interfaces.dialect import Dialect
from portal.interfaces.wire import send_error, send_json

_OVERRIDE = b"@model:"


class Relay(Protocol):
    """Sends a request on as it is, and its answer back."""

    async def __call__(
        self,
        backend: Forwarding,
        path: str,
        body: bytes,
        *,
        send: Send,
        account: Account,
        count_input: Callable[[], int],
    ) -> None:
        """Raises BackendError before anything was sent to the client."""


def under_its_name(payload: JsonObject, body: bytes, model: str) -> bytes:
    """The body for the model server: untouched, unless the client called the model by another name."""
    return body if payload["model"] == model else orjson.dumps({**payload, "model": model})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One call of one API: how its requests are understood and its answers written."""

    door: str
    dialect: Dialect
    ask: Callable[[JsonObject], Ask]
    """What the router is asked."""
    request: Callable[[JsonObject, Route], ModelRequest]
    stream: Callable[[str, JsonObject], Stream]
    """Of a model's name and the request."""
    whole: Callable[[AsyncIterator[ModelEvent], str], Awaitable[JsonObject]]
    count: Callable[[JsonObject], int]
    """The input's tokens, estimated."""
    streams: Callable[[JsonObject], bool] = lambda payload: bool(payload.get("stream"))
    api: str = ""
    """The API a backend may share with this door, so that bytes are relayed by `relay` to `path`; empty for none."""
    path: str = ""
    """Below that API's root."""
    relay: Relay | None = None
    rename: Callable[[JsonObject, bytes, str], bytes] = under_its_name
    """The body for a server that knows the model by this name."""
    shown: Callable[[JsonObject, str], str] = lambda payload, model: model
    """What the answer calls the model."""
    ping: Callable[[str], bytes] | None = None
    """A frame of such a model that says nothing, where the dialect has none."""


class Calls:
    """Answers plain calls of one kind: nothing is kept but what they cost."""

    def __init__(self, *, accounts: Accounts, kind: Kind, acting: Acting | None = None) -> None:
        """`acting` answers for workspaces that have tools."""
        self._accounts = accounts
        self._kind = kind
        self._acting = acting

    async def answer(self, owner: str, payload: JsonObject, body: bytes, send: Send) -> None:
        """Answer a checked request.

        Raises:
            ModelNotFound, NoModel, Forbidden: nothing was called.
        """
        kind = self._kind
        if _OVERRIDE in body:
            payload, body = _overridden(payload, body)
        ask = kind.ask(payload)
        if self._acting is not None and await self._acting.acts(owner, ask):
            await self._act(self._acting, owner, payload, ask, send)
            return
        account = await self._accounts.open(owner=owner, door=kind.door, ask=ask)
        with account.settled():
            try:
                once = partial(self._once, payload, body, account, send)
                await attempted(account.route, once, rerouted=account.reroute)
            except PortalError as error:
                account.error = error.lasting
                await send_error(send, error, kind.dialect, account.headers)

    async def _act(self, acting: Acting, owner: str, payload: JsonObject, ask: Ask, send: Send) -> None:
        kind = self._kind
        route = await self._accounts.foreseen(owner, ask)
        await acting.answer(
            acting.turn(owner, kind.door, ask, kind.request(payload, route)),
            send,
            kind.dialect,
            named=lambda model: kind.shown(payload, model),
            stream=(lambda name: kind.stream(name, payload)) if kind.streams(payload) else None,
            whole=kind.whole,
            ping=kind.ping,
        )

    async def _once(self, payload: JsonObject, body: bytes, account: Account, send: Send, permit: Permit) -> None:
        """One try. What it raises came before anything was sent to the client."""
        account.permit = permit
        straight = self._forwarding(account)
        try:
            if straight is None:
                await self._convert(payload, account, send)
            else:
                await self._relay(straight, payload, body, account, send)
        finally:
            here().spent(account.usage)

    def _forwarding(self, account: Account) -> Forwarding | None:
        """The backend, if it takes this door's bytes as they are and nothing of a workspace's is to be added."""
        shared = self._kind.api and getattr(account.backend, "api", None) == self._kind.api
        return cast(Forwarding, account.backend) if shared and account.route.workspace is None else None

    async def _relay(self, backend: Forwarding, payload: JsonObject, body: bytes, account: Account, send: Send) -> None:
        assert self._kind.relay is not None
        await self._kind.relay(
            backend,
            self._kind.path,
            self._kind.rename(payload, body, account.model.id),
            send=send,
            account=account,
            count_input=lambda: self._kind.count(payload),
        )

    async def _convert(self, payload: JsonObject, account: Account, send: Send) -> None:
        kind = self._kind
        request = _in_workspace(kind.request(payload, account.route), account)
        name, streams = kind.shown(payload, account.model.id), kind.streams(payload)
        measure = Measure(kept=not streams)
        async with aclosing(account.backend.stream(request)) as events:
            try:
                if streams:
                    frames = kind.stream(name, payload).frames(_measured(events, measure, None))
                    whole = await account.stream(send, frames, kind.dialect)
                    account.status = "completed" if whole else "failed"
                else:
                    # nothing goes to the client before the end, but it begins earlier
                    made = await kind.whole(_measured(events, measure, account.permit), name)
                    account.status = "completed"
                    await send_json(send, 200, orjson.dumps(made), account.headers)
            finally:
                account.usage = measure.usage(lambda: kind.count(payload))


async def _measured(
    events: AsyncIterator[ModelEvent], measure: Measure, permit: Permit | None
) -> AsyncGenerator[ModelEvent, None]:
    """The events; `permit` hears of their beginning."""
    async for event in events:
        measure.add(event)
        if permit is not None and measure.begun:
            permit.begin()
            permit = None
        yield event


def _overridden(payload: JsonObject, body: bytes) -> tuple[JsonObject, bytes]:
    """The request with the model that its last message names, if it names one."""
    found = override(payload.get("messages") or ())
    if found is None:
        return payload, body
    changed = {**payload, "model": found[0], "messages": found[1]}
    return changed, orjson.dumps(changed)


def _in_workspace(request: ModelRequest, account: Account) -> ModelRequest:
    workspace = account.route.workspace
    if workspace is None:
        return request
    messages = request.messages if request.prompt is not None else workspace.messages(request.messages)
    return replace(request, messages=messages, parameters=workspace.with_defaults(request.parameters), chosen=True)
