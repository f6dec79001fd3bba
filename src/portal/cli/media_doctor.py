"""What makes pictures, videos and music here: the engines, their hardware, and for each kind ready or the next step."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from portal.cli.finding import Finding
from portal.cli.hardware import Machine, suiting
from portal.core.media import KINDS, EngineState, Kind, Recipe

if TYPE_CHECKING:
    from portal.settings import Settings

_START = "Start ComfyUI, or name an engine in `[[media.engines]]`; the manual tells of each from zero."
_WORDS: dict[Kind, str] = {"image": "Pictures", "video": "Videos", "music": "Music"}


def media_findings(settings: "Settings", machine: Machine) -> Iterator[Finding]:
    """Ask every engine. An engine of the settings that is away is bad, one at the usual place only worth a note. What
    suits this machine is told where no engine says what it runs on."""
    states, recipes = asyncio.run(_looked(settings))
    named = bool(settings.media.engines)
    for one in states:
        yield _engine(one, named=named)
    if states and not any(one.reachable for one in states):
        first = suiting("image", machine)
        model = f" A picture model for this machine: {first.models[0]}." if first else ""
        yield Finding("note", f"Pictures, videos and music: not ready. {_START}{model}")
        return
    memory = max((one.memory for one in states if one.reachable), default=0.0)
    for kind in KINDS:
        yield _kind(kind, [one for one in recipes if one.kind == kind], memory)


async def _looked(settings: "Settings") -> tuple[Sequence[EngineState], Sequence[Recipe]]:
    from portal.media.engines import engines

    found = engines(settings.media, data_dir=settings.data_dir, discovery=settings.discovery.enabled)
    try:
        states = [await one.state() for one in found]
        return states, [recipe for one in found for recipe in await one.recipes()]
    finally:
        for one in found:
            await one.aclose()


def _engine(one: EngineState, *, named: bool) -> Finding:
    if not one.reachable:
        mend = f"Start it at {one.url}, or take it out of the settings"
        return Finding(
            "bad" if named else "note", f"Media engine {one.name} does not answer: {one.problem}", mend, "media"
        )
    hardware = f" on {one.device} with {one.memory:g} GB" if one.device else ""
    version = f" {one.version}" if one.version else ""
    return Finding("good", f"Media engine {one.name}{version} answers at {one.url}{hardware}")


def _kind(kind: Kind, recipes: Sequence[Recipe], memory: float) -> Finding:
    """What is ready; else the step for what suits this machine best, the first of those that its memory holds."""
    ready = [one.name for one in recipes if one.ready and not one.needed]
    if ready:
        return Finding("good", f"{_WORDS[kind]}: ready with {', '.join(ready)}")
    begin = [one for one in recipes if not one.needed]
    fitting = [one for one in begin if memory and one.memory <= memory] or sorted(begin, key=lambda one: one.memory)
    if not fitting:
        return Finding("note", f"{_WORDS[kind]}: nothing makes them here; see the manual, pictures-video-music")
    best = fitting[0]
    return Finding("note", f"{_WORDS[kind]}: not ready. For {best.title}: {best.needs}")
