"""Tries to get one answer: the same server again, then the next candidate of the route, until the first sign of one.

    result = await attempted(route, attempt, told=run.progress, rerouted=note)

`attempt` makes one call of the route's first candidate, and says `permit.begin()` at the first sign of an answer. From
there on nothing is tried again: no text is sent twice, no tool runs twice.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from portal.core.decision import Route
from portal.core.gate import Patience, Permit, Told, is_fault
from portal.core.tracing import span
from portal.errors import BackendError, BackendProtocolError, BackendTimeout

T = TypeVar("T")
_GONE = 404


async def attempted(
    route: Route,
    attempt: Callable[[Permit], Awaitable[T]],
    *,
    told: Told | None = None,
    rerouted: Callable[[Route], None],
) -> T:
    """The first answer there is. `rerouted` takes the route that is left before its next candidate is tried.

    Raises:
        BackendError: the last candidate's, or one that came after the answer had begun; and what else `attempt` raises.
    """
    began, plan = monotonic(), None
    while True:
        permit: Permit | None = None
        try:
            with span("model", route.model.id, backend=route.backend.name, provider=route.backend.kind) as one:
                permit = await route.candidates[0].gate.enter(told)
                one.lap("waited_ms", least=1)
                result = await attempt(permit)
                permit.begin()
        except BackendError as error:
            if permit is not None:
                permit.failed(error)
                if permit.begun:
                    raise
            failure, asked = error, permit is not None
        else:
            return result
        finally:
            if permit is not None:
                permit.leave()
        plan = plan or _Plan(route.patience, began)
        pause = plan.pause(route, failure) if asked else None
        if pause is not None:
            route.patience.noted(route.model.id, True)
            await asyncio.sleep(pause)
        elif plan.falls_back(route, failure):
            route.patience.noted(route.model.id, False)
            route = route.without_first(failure.lasting)
            rerouted(route)
        else:
            raise failure


class _Plan:
    """What is left to try."""

    def __init__(self, patience: Patience, began: float) -> None:
        self._patience = patience
        self._until = began + patience.deadline
        self._again = 0
        self._others = 0

    def pause(self, route: Route, error: BackendError) -> float | None:
        """Seconds until the same server is asked again; None if that is no use, or another one has the model too."""
        if self._again >= self._patience.retries or not _passes(error) or _has_sibling(route):
            return None
        jittered = self._patience.pause * float(2**self._again) * random.uniform(0.5, 1.5)  # noqa: S311
        wait: float = max(jittered, (error.retry_after or 0) * random.uniform(1, 1.1))  # noqa: S311
        late = monotonic() + wait > self._until
        if late or route.candidates[0].gate.resting() > wait:
            return None
        self._again += 1
        return wait

    def falls_back(self, route: Route, error: BackendError) -> bool:
        """Whether the next candidate is to be asked."""
        if len(route.candidates) < 2 or (400 <= error.status < 500 and error.status not in (_GONE, 429)):
            return False
        if not _has_sibling(route):
            self._others += 1
        return self._others <= self._patience.fallbacks


def _passes(error: BackendError) -> bool:
    """Whether the same server may answer in a moment."""
    return is_fault(error) and not isinstance(error, BackendTimeout | BackendProtocolError)


def _has_sibling(route: Route) -> bool:
    """Whether the next candidate is the same model on another server."""
    return len(route.candidates) > 1 and route.candidates[1].model.id == route.model.id
