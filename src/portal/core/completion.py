"""A model call whose whole text is wanted at once: titles, summaries."""

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import replace
from time import perf_counter

from portal.core.attempts import attempted
from portal.core.clock import micros
from portal.core.decision import Route
from portal.core.gate import Permit
from portal.core.ids import new_id
from portal.core.measure import Measure
from portal.core.model import Finished, ModelRequest, Progress, TextDelta, TokenUsage
from portal.core.ports import Backend, UsageLog
from portal.core.records import UsageRecord
from portal.core.terms import counted
from portal.core.tokens import estimate_messages
from portal.core.tracing import here, span
from portal.errors import BackendInterrupted


async def complete(backend: Backend, request: ModelRequest, permit: Permit, measure: Measure) -> str:
    """The answer's text; `permit` hears of its beginning, `measure` of all of it.

    Raises:
        BackendError: the model server failed, or stopped before it was finished.
    """
    pieces: list[str] = []
    finished, one = False, here()
    async with aclosing(backend.stream(request)) as events:
        async for event in events:
            measure.add(event)
            if not isinstance(event, Progress):
                permit.begin()
                one.lap("first_ms")
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            finished = finished or isinstance(event, Finished)
    if not finished:
        raise BackendInterrupted("The model server ended its answer without saying that it was finished.")
    one.spent(measure.usage(lambda: estimate_messages(request.messages)))
    return "".join(pieces)


class Completions:
    """Such calls, each accounted for, whatever came of it."""

    def __init__(self, *, usage: UsageLog) -> None:
        self._usage = usage

    async def complete(self, route: Route, request: ModelRequest, *, owner: str, door: str) -> tuple[str, TokenUsage]:
        """See `complete`, and what it cost, estimated where the backend does not say; asks the models of the route
        until one answers. `door` says what the call is for."""

        def take(left: Route) -> None:
            nonlocal route
            route = left

        def attempt(permit: Permit) -> Awaitable[str]:
            return complete(route.backend, replace(request, model=route.model.id), permit, measure)

        began, created_at, status, measure = perf_counter(), micros(), "failed", Measure(kept=True)
        spent = TokenUsage(0, 0, estimated=True)
        self._usage.begun()
        try:
            with span("aside", door):
                text = await attempted(route, attempt, rerouted=take)
            status = "completed"
        except asyncio.CancelledError:
            status = "cancelled"
            raise
        finally:
            spent = measure.usage(lambda: estimate_messages(request.messages)) or spent
            self._usage.record(
                UsageRecord(
                    id=new_id("call"),
                    owner=owner,
                    door=door,
                    model=route.model.id,
                    backend=route.backend.name,
                    created_at=created_at,
                    input_tokens=spent.input_tokens,
                    output_tokens=spent.output_tokens,
                    estimated=spent.estimated,
                    milliseconds=round((perf_counter() - began) * 1000),
                    status=status,
                    credential=counted(),
                )
            )
        return text, spent
