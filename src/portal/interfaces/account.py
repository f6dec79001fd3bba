"""What one model call of these doors came to: which model and why, how long it took, and its tokens."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import lru_cache
from time import perf_counter
from types import TracebackType
from typing import Self

from starlette.types import Send

from portal.core.ask import Ask
from portal.core.clock import micros
from portal.core.decision import Route, decision, rerouted
from portal.core.gate import Permit
from portal.core.ids import new_id
from portal.core.model import Sink, TokenUsage
from portal.core.ports import Models, UsageLog
from portal.core.records import UsageRecord
from portal.core.terms import counted
from portal.core.tracing import here
from portal.errors import BackendError, NoModel, PortalError
from portal.interfaces.answer import send_frames
from portal.interfaces.dialect import Dialect, Headers
from portal.interfaces.wire import KEEP_ALIVE, ClientGone, header_value

LONGEST_ERROR = 500
"""Characters of it that are kept."""


@lru_cache(maxsize=256)
def _encoded(text: str) -> bytes:
    return header_value(text).encode("latin-1")


class Account:
    """One call under way: what happens inside `settled` leaves a record, whatever came of it."""

    def __init__(self, *, log: UsageLog, owner: str, door: str, route: Route, began: float, keep_alive: float) -> None:
        """`keep_alive`: see send_frames."""
        self.status = "failed"
        """`completed` once the answer was whole."""
        self.error = ""
        """Why it failed, without what may repeat the request or the answer; of a try, where another one may come."""
        self.usage: TokenUsage | None = None
        self.permit = Permit()
        """That of the try under way."""
        self._take(route)
        self._log = log
        self._owner = owner
        self._door = door
        self._created_at = micros()
        self._began = began
        self._keep_alive = keep_alive
        self._first: float | None = None
        self.decision = decision(route, perf_counter() - began)
        here().note(door=door)

    def _take(self, route: Route) -> None:
        self.route, self.model, self.backend = route, route.model, route.backend

    def reroute(self, route: Route) -> None:
        """Candidates have failed: this is the route that is left."""
        self._take(route)
        self.decision = rerouted(self.decision, route)

    @property
    def headers(self) -> Headers:
        """Which model answers, and why."""
        return [
            (b"x-portal-model", _encoded(self.model.id)),
            (b"x-portal-reason", _encoded(self.decision["reason"])),
        ]

    def answering(self) -> None:
        """The first of an answer is there."""
        self._first = perf_counter()
        here().lap("first_ms")
        self.permit.begin()

    async def stream(
        self,
        send: Send,
        frames: AsyncGenerator[bytes, None],
        dialect: Dialect,
        *,
        pour: Callable[[Sink], Awaitable[None]] | None = None,
    ) -> bool:
        """Send a streamed answer; whether it is whole; `pour`: see send_frames. Raises what failed before its first
        frame."""
        return await send_frames(
            send,
            frames,
            self.headers,
            dialect,
            keep_alive=self._keep_alive,
            on_first=self.answering,
            on_failed=self.failing,
            pour=pour,
        )

    def failing(self, error: PortalError) -> None:
        """A streamed answer broke off."""
        self.error = error.lasting
        if isinstance(error, BackendError):
            self.permit.failed(error)

    def settled(self) -> Self:
        """Around the call: its record goes into the usage log's queue at the end."""
        self._log.begun()
        return self

    def __enter__(self) -> None:
        """The call begins."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The call is over, whatever came of it."""
        if isinstance(error, asyncio.CancelledError | ClientGone):
            self.status = "cancelled"
        elif isinstance(error, PortalError):
            self.error = error.lasting
        self._record()

    def _record(self) -> None:
        usage = self.usage or TokenUsage(0, 0, estimated=True)
        self._log.record(
            UsageRecord(
                id=new_id("call"),
                owner=self._owner,
                door=self._door,
                model=self.model.id,
                backend=self.backend.name,
                created_at=self._created_at,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                estimated=usage.estimated,
                milliseconds=round((perf_counter() - self._began) * 1000),
                status=self.status,
                decision=self.decision,
                first_milliseconds=round((self._first - self._began) * 1000) if self._first else None,
                credential=counted(),
                error=self.error[:LONGEST_ERROR] if self.status == "failed" else "",
            )
        )


class Accounts:
    """Finds the model of a call and opens its account."""

    def __init__(self, *, models: Models, usage: UsageLog, keep_alive: float = KEEP_ALIVE) -> None:
        self._models = models
        self._usage = usage
        self._keep_alive = keep_alive

    async def route(self, owner: str, ask: Ask) -> Route:
        """Where a call goes. Raises what Models.decide raises."""
        ask.owner = owner
        return await self._models.decide(ask)

    async def foreseen(self, owner: str, ask: Ask) -> Route:
        """The same for a call that an agent will route: no small model is asked and no budget charged for it twice."""
        ask.owner = owner
        try:
            return self._models.route(ask)
        except NoModel:  # right after the start, when nothing is known yet
            return await self._models.decide(ask, counted=False)

    async def open(self, *, owner: str, door: str, ask: Ask) -> Account:
        """Raises what Models.decide raises."""
        began = perf_counter()
        route = await self.route(owner, ask)
        return Account(log=self._usage, owner=owner, door=door, route=route, began=began, keep_alive=self._keep_alive)
