"""The gates before the models: one line of calls for each server, one breaker for each of its models."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from portal.core.clock import micros, seconds
from portal.core.gate import Permit, Told, is_fault
from portal.core.model import Progress
from portal.errors import BackendError, BackendTimeout, BackendUnavailable
from portal.routing.breaker import Breaker, State, Tolerance
from portal.routing.line import Line, Place
from portal.routing.shared_line import SharedLines
from portal.settings.turns import FaultSettings

_log = logging.getLogger(__name__)
_FULL_AGAIN = 5.0
_GONE = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """A model that nothing is sent to for a while; `until` in Unix seconds."""

    model: str
    until: int
    failures: int


class Gates:
    """All of them."""

    def __init__(
        self,
        settings: FaultSettings,
        *,
        on_change: Callable[[], None],
        on_gone: Callable[[str], None],
        on_wait: Callable[[str, float], None] = lambda server, seconds: None,
        shared: SharedLines | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change` is called when a breaker opens or closes, `on_gone` with the name of a server that does not know
        a model it had listed, `on_wait` with a server and how many seconds a call has waited for its turn; `shared` is
        there where several Portals are."""
        self.settings = settings
        self.tolerance = Tolerance(
            failures=settings.breaker_failures, window=settings.breaker_window, rest=settings.breaker_rest
        )
        self.clock = clock
        self.on_change = on_change
        self.on_gone = on_gone
        self.on_wait = on_wait
        self._shared = shared
        self._servers: dict[str, ServerGates] = {}

    def tune(self, settings: FaultSettings) -> None:
        """Hold by these from now on."""
        self.settings = settings
        self.tolerance = Tolerance(
            failures=settings.breaker_failures, window=settings.breaker_window, rest=settings.breaker_rest
        )
        for server in self._servers.values():
            server.tune()

    def open(self, server: str, *, max_concurrency: int = 0, across_servers: bool = False) -> "ServerGates":
        """Those of a new server; 0 lets any number of calls run at once, else those of all Portals may be counted."""
        length = self.settings.queue_length
        if self._shared is not None and across_servers and max_concurrency:
            line: Line = self._shared.open(server, slots=max_concurrency, length=length)
        else:
            line = Line(slots=max_concurrency, length=length)
        self._servers[server] = ServerGates(self, server, line)
        return self._servers[server]

    def of(self, server: str) -> "ServerGates":
        """Those of a server that was opened."""
        return self._servers[server]

    def close(self, server: str) -> None:
        """Forget a server."""
        self._servers.pop(server).line.close()


class ServerGates:
    """Those of one server."""

    def __init__(self, gates: Gates, name: str, line: Line) -> None:
        self.name = name
        self.all = gates
        self.line = line
        self._models: dict[str, ModelGate] = {}

    def tune(self) -> None:
        """Take what all hold by now."""
        self.line.length = self.all.settings.queue_length
        for gate in self._models.values():
            gate.breaker.tune(self.all.tolerance)

    def of(self, model: str) -> "ModelGate":
        """The one before a model, by the name that the server itself gives it."""
        gate = self._models.get(model)
        if gate is None:
            gate = self._models[model] = ModelGate(self, model)
        return gate

    def keep(self, models: Collection[str]) -> None:
        """Forget the others: what comes back begins anew."""
        self._models = {model: gate for model, gate in self._models.items() if model in models}

    def breakers(self) -> Mapping[str, State]:
        """Of the models that failed lately."""
        return {model: gate.breaker.state for model, gate in self._models.items() if gate.breaker.is_troubled}

    def resting(self) -> list[Resting]:
        """The models that rest now."""
        now = seconds(micros())
        return [
            Resting(model=model, until=now + round(left), failures=gate.breaker.failures)
            for model, gate in self._models.items()
            if (left := gate.resting())
        ]


class ModelGate:
    """Implements Gate."""

    def __init__(self, server: ServerGates, model: str) -> None:
        self.breaker = Breaker(server.all.tolerance, clock=server.all.clock)
        self._server = server
        self._model = model

    def resting(self) -> float:
        """See Gate."""
        return self.breaker.resting()

    def rest(self) -> str:
        """See Gate."""
        failures = self.breaker.failures
        times = "1 failure" if failures == 1 else f"{failures} failures"
        return f"resting for {max(round(self.resting()), 1)} s after {times}"

    def outstanding(self) -> int:
        """See Gate."""
        line = self._server.line
        return line.running + line.waiting + line.elsewhere

    async def enter(self, told: Told | None = None) -> "Admission":
        """See Gate. One that rests is known before the wait and after it."""
        if self.breaker.resting():
            raise self._rests()
        place = self._server.line.enter()
        if place is None:
            raise self._full()
        if not place.admitted:
            await self._wait(place, told)
        admission = Admission(self, place)
        if self.breaker.enter(admission):
            admission.leave()
            raise self._rests()
        return admission

    async def _wait(self, place: Place, told: Told | None) -> None:
        """Until it is this call's turn. Whoever stops waiting gives its place up at once."""
        line, deadline, moved = self._server.line, self._server.all.settings.queue_deadline, asyncio.Event()
        place.on_move, its_turn, waited, began = moved.set, False, False, time.monotonic()
        try:
            async with asyncio.timeout(deadline):
                while not place.admitted:
                    if place.refused:
                        raise self._full()
                    before = line.before(place)
                    if told is not None and before is not None:
                        waited = True
                        turn = f"{before} before you" if before else "you are next"
                        told(Progress("queued", f"{self._server.name} is busy: {turn}."))
                    moved.clear()
                    await moved.wait()
            its_turn = True
            if told is not None and waited:
                told(Progress("loading", f"{self._server.name} begins."))
        except TimeoutError as error:
            message = f"{self._server.name} was busy for {deadline:g} seconds."
            raise BackendTimeout(message, code="queue_timeout") from error
        finally:
            self._server.all.on_wait(self._server.name, time.monotonic() - began)
            if not its_turn:
                line.leave(place)

    def _full(self) -> BackendUnavailable:
        line = self._server.line
        many = "too many" if line.shared else line.waiting  # of those that wait elsewhere no number is known here
        message = f"{self._server.name} is busy, and {many} calls wait for it already."
        return BackendUnavailable(message, code="queue_full", retry_after=_FULL_AGAIN)

    def _rests(self) -> BackendUnavailable:
        message = f"{self._model} on {self._server.name} is {self.rest()}."
        return BackendUnavailable(message, code="model_resting", retry_after=self.resting() or 1.0)

    def settle(self, call: object, error: BackendError | None) -> None:
        """How a call went, so far."""
        was_closed = self.breaker.is_closed
        if error is None:
            self.breaker.answered(call)
        elif is_fault(error):
            self.breaker.failed(call, error.retry_after)
        elif error.status == _GONE:
            self._server.all.on_gone(self._server.name)
        if self.breaker.is_closed != was_closed:
            self._tell(was_closed)
            self._server.all.on_change()

    def _tell(self, opened: bool) -> None:
        if opened:
            _log.warning("%s on %s is %s", self._model, self._server.name, self.rest(), extra={"event": "breaker"})
        else:
            _log.info("%s on %s answers again", self._model, self._server.name, extra={"event": "breaker"})

    def leave(self, call: object, place: Place, *, well: bool) -> None:
        """A call is over."""
        self.breaker.left(call, well=well)
        self._server.line.leave(place)


class Admission(Permit):
    """One call under way. One that is forgotten without `leave` holds nothing up either."""

    def __init__(self, gate: ModelGate, place: Place) -> None:
        self._gate = gate
        self._place: Place | None = place
        self._failed = False

    def begin(self) -> None:
        """The first sign of an answer: the model is well."""
        if not self.begun:
            self.begun = True
            self._gate.settle(self, None)

    def failed(self, error: BackendError) -> None:
        """See Permit."""
        self._failed = True
        self._gate.settle(self, error)

    def leave(self) -> None:
        """See Permit."""
        if self._place is not None:
            place, self._place = self._place, None
            self._gate.leave(self, place, well=self.begun and not self._failed)

    def __del__(self) -> None:
        self.leave()
