"""Which model answers, and why: as the router hands it over, and as a response, a call's record and a client see it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from portal.core.gate import Gate, OpenGate, Patience
from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.core.workspaces import Workspace

if TYPE_CHECKING:
    from portal.core.ports import Backend

_SHOWN = 8
_LONGEST_WHY = 200
_OPEN = OpenGate()
_NO_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could answer. `score` is 0 to 1, comparable within one decision only."""

    backend: "Backend"
    model: ModelInfo
    score: float = 1.0
    why: str = ""
    gate: Gate = _OPEN
    """What stands before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A candidate that did not answer, and why."""

    model: str
    backend: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a request goes, and why, in words for a person."""

    requested: str
    candidates: Sequence[Candidate]
    """Best first, at least one; the others answer if those before them cannot."""
    reason: str
    workspace: Workspace | None = None
    """The workspace that answers; None for a plain model."""
    task: str | None = None
    difficulty: float | None = None
    needs: frozenset[str] = frozenset()
    rule: str | None = None
    """The user's rule that decided."""
    patience: Patience = _NO_PATIENCE
    failures: Sequence[Failed] = ()
    """Candidates that were tried before, in order."""

    @property
    def backend(self) -> "Backend":
        """Whom to call."""
        return self.candidates[0].backend

    @property
    def model(self) -> ModelInfo:
        """Which model to name there."""
        return self.candidates[0].model

    def without_first(self, why: str) -> "Route":
        """The route that is left after its first candidate failed; `why` says how. Needs a second candidate."""
        failed, other = (one.model for one in self.candidates[:2])
        why = why if len(why) <= _LONGEST_WHY else f"{why[: _LONGEST_WHY - 1]}…"
        names = (failed.id, other.id) if failed.id != other.id else (failed.backend, other.backend)
        return replace(
            self,
            candidates=self.candidates[1:],
            reason=f"{self.reason}; {names[0]} failed ({why}), so {names[1]} answers",
            failures=(*self.failures, Failed(model=failed.id, backend=failed.backend, error=why)),
        )

    def alone(self) -> "Route":
        """The same with nobody to fall back on."""
        return replace(self, candidates=self.candidates[:1])

    def of_one_model(self) -> "Route":
        """The same with other servers of the chosen model only."""
        return replace(self, candidates=[one for one in self.candidates if one.model.id == self.model.id])


def decision(route: Route, seconds: float) -> JsonObject:
    """The choice as it is stored and shown; `seconds` is what it took to get there."""
    made: JsonObject = {
        "requested_model": route.requested,
        "resolved_model": route.model.id,
        "backend": route.model.backend,
        "reason": route.reason,
        "ms": round(seconds * 1000, 3),
    }
    if route.workspace is not None:
        made["workspace"] = route.workspace.name
    if route.task is not None:
        made["task"] = route.task
    if route.difficulty is not None:
        made["difficulty"] = round(route.difficulty, 3)
    if route.rule is not None:
        made["rule"] = route.rule
    if len(route.candidates) > 1:
        made["needs"] = sorted(route.needs)
        made["candidates"] = [
            {"model": one.model.id, "backend": one.model.backend, "score": round(one.score, 3), "why": one.why}
            for one in route.candidates[:_SHOWN]
        ]
    return made


def rerouted(told: JsonObject, route: Route) -> JsonObject:
    """The same choice once candidates have failed: what answers now, and what was tried before."""
    return {
        **told,
        "resolved_model": route.model.id,
        "backend": route.model.backend,
        "reason": route.reason,
        "fallbacks": [asdict(failed) for failed in route.failures],
    }
