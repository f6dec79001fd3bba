"""Which tools there are, and which of them a turn gets: by the workspace's grant, then the few that fit the request,
and a tool that finds the others."""

import difflib
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property

from portal.core.items import JsonObject
from portal.core.schemas import checkable
from portal.core.selection import Ranking
from portal.core.thesaurus import Thesaurus, packaged_thesaurus
from portal.core.tool_ports import Likeness, Toolset
from portal.core.tools import ToolSpec
from portal.core.workspaces import Workspace
from portal.errors import ToolError

log = logging.getLogger(__name__)

FIND = "find_tools"
_FINDER = ToolSpec(
    name=FIND,
    description="Find more tools, when none of yours fits. Those it finds can be called from then on.",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What you want to do, in a few words"}},
        "required": ["query"],
    },
    risk="read",
    toolset="portal",
)
_FOUND = 5
_USED = 4
"""Tools of earlier turns that stay in sight."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REMEMBERED = 5000
"""Schemas whose check is not made again."""


class Offer:
    """The tools of one turn: those the model is shown, and all that it may use."""

    def __init__(
        self,
        allowed: Mapping[str, tuple[Toolset, ToolSpec]],
        shown: Sequence[ToolSpec],
        *,
        ranking: Ranking,
        patterns: Sequence[str],
    ) -> None:
        """`patterns` are those of the workspace."""
        self._patterns = patterns
        self._allowed = allowed
        self._ranking = ranking
        self._shown = {spec.name: spec for spec in shown}
        self._found: dict[str, ToolSpec] = {}
        if any(not spec.conditional and spec.name not in self._shown for _, spec in allowed.values()):
            self._shown[FIND] = _FINDER

    def parts(self, family: str) -> Sequence[str]:
        """Patterns of the things in a family that may be used."""
        return _parts(self._patterns, family) or ("*",)

    def names(self) -> list[str]:
        """What the model is shown."""
        return [*(self._shown | self._found)]

    @property
    def foreign(self) -> bool:
        """Whether the model is shown what strangers wrote of their tools."""
        return any(spec.foreign for spec in (*self._shown.values(), *self._found.values()))

    def left_out(self) -> list[str]:
        """What it could find."""
        return [name for name in self._allowed if name not in self._shown]

    def get(self, name: str) -> tuple[Toolset, ToolSpec] | None:
        """The tool of that name, shown or not; those that come after it are shown from now on."""
        self._shown.update((spec.name, spec) for _, spec in self._allowed.values() if name and spec.after == name)
        return self._allowed.get(name)

    def nearest(self, name: str) -> list[str]:
        """Names like this one."""
        return difflib.get_close_matches(name, [*self._allowed], n=3)

    def find(self, query: str) -> str:
        """Show the model the tools that fit instead of those found before; in words, which."""
        found = self._ranking.best(query, _FOUND, self.left_out())
        if not found:
            return "No other tool fits that."
        self._found = {spec.name: spec for spec in found}
        return "\n".join(f"{spec.name}: {_first_line(spec)}" for spec in found)

    def parameters(self, sent: Mapping[str, object]) -> dict[str, object]:
        """Chat Completions parameters with these tools beside the client's own."""
        own = sent.get("tools")
        tools = [*(own if isinstance(own, list) else ()), *map(_function, (self._shown | self._found).values())]
        return {**sent, "tools": tools} if tools else dict(sent)


class Toolbox:
    """All toolsets, as they are at the moment."""

    def __init__(
        self,
        *,
        toolsets: Callable[[], Sequence[Toolset]],
        ready: Callable[[], Awaitable[None]] | None = None,
        off: Sequence[str] = (),
        offered: int = 8,
        likeness: Likeness | None = None,
    ) -> None:
        """`ready` waits until they are there; `off` are patterns of tools or toolsets that nobody gets; `offered` is
        how many a model is shown at once; `likeness` helps to choose them."""
        self._toolsets = toolsets
        self._ready = ready
        self._off = off
        self.offered = offered
        self._likeness = likeness
        self._faults: dict[int, tuple[JsonObject, str]] = {}
        self._told: set[str] = set()
        self._ranking: Ranking | None = None

    @cached_property
    def _thesaurus(self) -> Thesaurus:
        return packaged_thesaurus()

    async def offer(
        self,
        workspace: Workspace,
        text: str,
        *,
        taken: Collection[str] = (),
        used: Collection[str] = (),
        may: Callable[[ToolSpec], bool] | None = None,
        anyway: bool = False,
    ) -> Offer | None:
        """The tools of a turn that asks for `text`; None where there are none. `taken` are names of the client's own
        tools, which come before Portal's; `used` those of tools that the conversation has called, newest first; `may`
        narrows the choice, and `anyway` makes an empty offer where there would be none."""
        everything = [*self._all()]
        allowed = {
            spec.name: (toolset, _within(spec, workspace))
            for toolset, spec in everything
            if _granted(spec, workspace) and spec.name not in taken and (may is None or may(spec))
        }
        if not allowed and not anyway:
            return None
        specs = [spec for _, spec in everything]
        ranking = self._ranked(specs)
        plain = {name: one for name, one in allowed.items() if not one[1].conditional}
        fitting = [spec for _, spec in plain.values()]
        if len(plain) > self.offered:
            alike = await self._likeness.of(text, specs) if self._likeness else ()
            fitting = ranking.best(text, self.offered, plain, alike)
        shown = {spec.name: spec for spec in fitting}
        shown |= {name: spec for name, (_, spec) in allowed.items() if _wanted(spec, text, used)}
        shown |= {name: allowed[name][1] for name in [*used][:_USED] if name in allowed}
        if not (plain or shown or anyway):
            return None
        return Offer(allowed, [*shown.values()], ranking=ranking, patterns=workspace.tools)

    def _ranked(self, specs: Sequence[ToolSpec]) -> Ranking:
        """The index of these tools, which is kept until they change."""
        if self._ranking is None or not self._ranking.of(specs):
            self._ranking = Ranking(specs, thesaurus=self._thesaurus)
        return self._ranking

    async def ready(self) -> None:
        """Until the tools of a server that has just started are loaded."""
        if self._ready is not None:
            await self._ready()

    def serves(self, workspace: Workspace) -> bool:
        """Whether a workspace has tools."""
        return any(_granted(spec, workspace) for _, spec in self._all())

    def spec(self, name: str) -> ToolSpec | None:
        """The tool of that name, if there is one."""
        return next((spec for _, spec in self._all() if spec.name == name), None)

    def toolsets(self) -> Sequence[Toolset]:
        """All of them."""
        return self._toolsets()

    def _all(self) -> Iterator[tuple[Toolset, ToolSpec]]:
        """Every tool that is not off; of two with one name the first, which is logged once."""
        seen = {FIND: "portal"}
        for toolset in self._toolsets():
            for spec in self.usable(toolset):
                if _matches(spec, self._off):
                    continue
                if spec.name in seen:
                    self._leave_out(spec, toolset, f"{seen[spec.name]} has one of that name")
                    continue
                seen[spec.name] = toolset.name
                yield toolset, spec

    def usable(self, toolset: Toolset) -> Iterator[ToolSpec]:
        """Of what it lists; why not the others, is logged once."""
        try:
            listed = [spec for spec in toolset.tools() if isinstance(spec, ToolSpec)]
        except Exception as error:  # a toolset is somebody else's code: its faults do not end everybody's turns
            self._tell(f"the toolset {toolset.name} cannot say what it has", repr(error))
            return
        for spec in listed:
            fault = self._fault(spec)
            if fault:
                self._leave_out(spec, toolset, fault)
            else:
                yield spec

    def _fault(self, spec: ToolSpec) -> str:
        """Why no model can be shown it; empty where one can."""
        if not _NAME.fullmatch(spec.name):
            return "its name is not of 1 to 64 letters, digits, _ and -"
        known = self._faults.get(id(spec.parameters))
        if known is None:
            if len(self._faults) >= _REMEMBERED:
                self._faults.clear()
            known = self._faults[id(spec.parameters)] = spec.parameters, _schema_fault(spec.parameters)
        return known[1]

    def _leave_out(self, spec: ToolSpec, toolset: Toolset, why: str) -> None:
        self._tell(f"the tool {spec.name!r} of {toolset.name} is left out", why)

    def _tell(self, what: str, why: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("%s: %s", what, why)


def _schema_fault(schema: JsonObject) -> str:
    try:
        checkable(schema)
    except ToolError as error:
        return f"its schema cannot be used, {error.message}"
    return ""


def _matches(spec: ToolSpec, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(spec.name, one) or fnmatchcase(spec.toolset, one) for one in patterns)


def _granted(spec: ToolSpec, workspace: Workspace) -> bool:
    """Whether a workspace may use it; where its memory is off, the tools of memory are."""
    if spec.toolset == "memory" and not workspace.memory:
        return False
    return _matches(spec, workspace.tools) or bool(_parts(workspace.tools, spec.toolset))


def _parts(patterns: Sequence[str], family: str) -> list[str]:
    """What `FAMILY/THING` patterns name of a family; none where it is given as a whole."""
    split = (one.partition("/") for one in patterns)
    return [thing for named, _, thing in split if thing and named == family]


def _within(spec: ToolSpec, workspace: Workspace) -> ToolSpec:
    parts = _parts(workspace.tools, spec.toolset)
    return replace(spec, description=spec.within(parts)) if parts and spec.within else spec


def _wanted(spec: ToolSpec, text: str, used: Collection[str]) -> bool:
    """Whether a conditional tool is shown."""
    return spec.after in used if spec.after else spec.fits is not None and spec.fits(text)


def _function(spec: ToolSpec) -> JsonObject:
    described = {"name": spec.name, "description": spec.description, "parameters": spec.parameters}
    return {"type": "function", "function": described}


def _first_line(spec: ToolSpec) -> str:
    return spec.description.strip().partition("\n")[0]
