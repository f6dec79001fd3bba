"""The terms under which somebody is let in: what a key or a person may use, and how much of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from portal.core.items import JsonObject
from portal.core.tools import ToolSpec
from portal.errors import BadRequest, Forbidden

READ_ONLY, ADMIN, METRICS = "read-only", "admin", "metrics"
KINDS = ("models", "workspaces", "tools")
_LONGEST, _MOST = 200, 100


@dataclass(frozen=True)
class Terms:
    """What is allowed; without scopes everything is. Numbers are bounds, 0 is none."""

    scopes: tuple[str, ...] = ()
    """Such as `models:qwen*`, `workspaces:auto`, `tools:web_*`, `tools:none`, `read-only`, `admin`, `metrics`."""
    rate: int = 0
    """Requests a minute."""
    requests: int = 0
    """Calls of models a day (UTC)."""
    tokens: int = 0
    """Tokens a day (UTC), in and out."""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Terms":
        """As it was kept."""
        numbers = {name: int(stored.get(name, 0)) for name in ("rate", "requests", "tokens")}
        return cls(scopes=tuple(stored.get("scopes", ())), **numbers)

    def stored(self) -> JsonObject:
        """As it is kept: only what bounds anything."""
        told: JsonObject = {
            "scopes": list(self.scopes),
            **{n: getattr(self, n) for n in ("rate", "requests", "tokens")},
        }
        return {name: value for name, value in told.items() if value}

    @property
    def bounded(self) -> bool:
        """Whether it bounds anything."""
        return bool(self.scopes or self.rate or self.requests or self.tokens)

    @cached_property
    def read_only(self) -> bool:
        """Whether it only looks."""
        return READ_ONLY in self.scopes

    @cached_property
    def runs_portal(self) -> bool:
        """Whether its holder may do what those do who run this installation, if they are one of them."""
        return not self.scopes or ADMIN in self.scopes or self.metrics

    @cached_property
    def metrics(self) -> bool:
        """Whether it is good for the metrics, and for nothing else."""
        return METRICS in self.scopes

    @cached_property
    def _named(self) -> Mapping[str, Sequence[str]]:
        pairs = [one.split(":", 1) for one in self.scopes if ":" in one]
        return {kind: [name for each, name in pairs if each == kind] for kind in KINDS}

    def answers(self, model: str) -> bool:
        """Whether this model may ever answer, whatever was asked for."""
        return _fits(self._named["models"], model)

    def names_model(self, model: str) -> bool:
        """Whether a plain model may be asked for."""
        return self.answers(model) and (bool(self._named["models"]) or not self._named["workspaces"])

    def names_workspace(self, name: str) -> bool:
        """Whether a workspace may be asked for."""
        return _fits(self._named["workspaces"], name)

    def uses(self, tool: str, toolset: str) -> bool:
        """Whether a model may use this tool."""
        names = self._named["tools"]
        return _fits(names, tool) or any(fnmatchcase(toolset, name) for name in names)


def _fits(names: Sequence[str], name: str) -> bool:
    return not names or any(fnmatchcase(name, one) for one in names)


def checked(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, each known. Raises BadRequest."""
    found = tuple(dict.fromkeys(one.strip() for one in scopes))
    if len(found) > _MOST:
        raise BadRequest(f"There are at most {_MOST} scopes.", param="scopes")
    for one in found:
        kind, _, name = one.partition(":")
        if one not in (READ_ONLY, ADMIN, METRICS) and not (kind in KINDS and 0 < len(name) <= _LONGEST):
            raise BadRequest(
                f"{one!r} is no scope: there are models:NAME, workspaces:NAME, tools:NAME, read-only, admin, metrics.",
                param="scopes",
            )
    return found


@dataclass(frozen=True, slots=True)
class Standing:
    """Within which terms a request is carried out, and wherever it leads from there."""

    owner: str
    terms: Sequence[Terms]
    """All of them hold: those of the key, those of its person."""
    credential: str | None = None
    """The key, if it has a budget."""
    calling: Callable[[], None] = lambda: None
    """Asked before each call of a model. Raises RateLimited once a budget is spent."""
    spent: Callable[[int], None] = lambda tokens: None
    """Told what a call came to."""

    def answers(self, model: str) -> bool:
        """Whether this model may answer."""
        return all(one.answers(model) for one in self.terms)

    def names_model(self, model: str) -> bool:
        """Whether a plain model may be asked for."""
        return all(one.names_model(model) for one in self.terms)

    def names_workspace(self, name: str) -> bool:
        """Whether a workspace may be asked for."""
        return all(one.names_workspace(name) for one in self.terms)

    def uses(self, tool: str, toolset: str) -> bool:
        """Whether a model may use this tool."""
        return all(one.uses(tool, toolset) for one in self.terms)


current: ContextVar[Standing | None] = ContextVar("standing", default=None)
"""Of the request under way; None where nothing bounds it, or where nobody asked: what runs by itself."""

Bounding = Callable[[str], Standing | None]
"""Within which terms something is done for a person where no request carries them."""


def nothing(owner: str) -> Standing | None:
    """A Bounding that bounds nobody."""
    return None


def standing_of(owner: str, bounding: Bounding) -> Standing | None:
    """What holds for what is done now for this person."""
    standing = current.get()
    return standing if standing is not None and standing.owner == owner else bounding(owner)


def counted() -> str | None:
    """The key whose budget what is done now counts against, if it has one."""
    standing = current.get()
    return standing.credential if standing is not None else None


def calling(owner: str, model: str, *, by_name: bool = True) -> None:
    """A call of a model that no chat is routed to, such as one that speaks or draws: `by_name` where whoever asks named
    it, not a model with a tool.

    Raises:
        Forbidden: it is outside the terms. RateLimited: a budget is spent.
    """
    standing = current.get()
    if standing is None or standing.owner != owner:
        return
    if not (standing.names_model(model) if by_name else standing.answers(model)):
        raise refuse_model(model)
    standing.calling()


def usable(spec: ToolSpec) -> bool:
    """Whether the request under way may use this tool."""
    standing = current.get()
    return standing is None or standing.uses(spec.name, spec.toolset)


def refuse_model(model: str) -> Forbidden:
    """For a model outside the terms."""
    return Forbidden(f"The model {model!r} is not among what this key or person may use.", param="model", code="scope")
