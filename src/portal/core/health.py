"""How a Portal is: what its parts know of themselves, looked at only when somebody asks. Nothing is probed for it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["ok", "note", "degraded", "down"]
Status: TypeAlias = Literal["ok", "degraded", "down", "draining"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """How one thing is. `note` is worth knowing and no fault; `degraded`: Portal goes on with less; `down`: it cannot
    serve. `detail` and `remedy` are for those who run this installation."""

    kind: str
    """Such as `database` or `backend`."""
    name: str = ""
    state: State = "ok"
    detail: str = ""
    remedy: str = ""
    """What mends it: a command, or what to do."""


HealthCheck: TypeAlias = Callable[[], Iterable[Condition]]
"""Says how things are, from memory; it costs next to nothing and never raises."""


class Health:
    """All checks together."""

    def __init__(self) -> None:
        self._checks: list[HealthCheck] = []
        self.draining = False
        """Portal is stopping: it takes no more work."""

    def add(self, *checks: HealthCheck) -> None:
        """Ask these as well."""
        self._checks += checks

    def conditions(self) -> Sequence[Condition]:
        """Everything, in the order of the checks."""
        return [one for check in self._checks for one in check()]

    def status(self, conditions: Iterable[Condition]) -> Status:
        """What they come to."""
        states = {one.state for one in conditions}
        if self.draining:
            return "draining"
        return "down" if "down" in states else "degraded" if "degraded" in states else "ok"

    def reasons(self) -> Sequence[str]:
        """Why no more work should be sent here, in words that give nothing away; empty where it is welcome."""
        kinds = sorted({one.kind for one in self.conditions() if one.state == "down"})
        return [*(["draining"] if self.draining else []), *kinds]
