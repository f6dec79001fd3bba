"""The workspaces in use: Portal's own, and those that the user wrote over and beside them."""

import difflib
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

from portal.core.workspaces import Workspace
from portal.errors import SettingsError
from portal.routing.personas import packaged_personas

AUTO = "auto"
TASK_WORKSPACES: Mapping[str, str] = {
    "coding": "auto-coding",
    "math": "auto-reasoning",
    "reasoning": "auto-reasoning",
    "creative": "auto-creative",
    "documents": "auto-documents",
    "research": "auto-research",
    "vision": "auto-vision",
    "image_generation": "auto-image",
    "audio": "auto-audio",
    "video_generation": "auto-video",
}
"""Whose preferences count when a workspace without a task of its own gets such a request."""


def packaged_workspaces() -> Sequence[Workspace]:
    """Those that Portal brings."""
    text = (files("portal.routing") / "workspaces.toml").read_text(encoding="utf-8")
    return [workspace(name, fields, source="built-in") for name, fields in tomllib.loads(text).items()]


def workspace(name: str, fields: Mapping[str, Any], **more: Any) -> Workspace:
    """A workspace of TOML or JSON values; lists become tuples. Raises SettingsError for an unknown persona."""
    made: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    return in_character(Workspace(name=name, **made, **more))


def in_character(one: Workspace) -> Workspace:
    """The same workspace with its persona looked up. Raises SettingsError where there is no such persona."""
    if not one.persona:
        return one
    known = packaged_personas()
    if one.persona not in known:
        near = difflib.get_close_matches(one.persona, known, n=3) or known
        raise SettingsError(
            f"workspaces.{one.name}.persona: there is no persona {one.persona!r}; there are {', '.join(near)}",
            param="persona",
        )
    return replace(one, character=known[one.persona])


class Workspaces:
    """The workspaces by name. A person's own come first, then those of the settings, then Portal's; what others share
    comes last, so that nobody can put theirs in the place of one that all know."""

    def __init__(self, workspaces: Iterable[Workspace] = ()) -> None:
        self._everyones = {one.name: one for one in (*packaged_workspaces(), *workspaces)}
        self._made: dict[tuple[str, str], Workspace] = {}
        self._names = set(self._everyones)

    def get(self, name: str, owner: str = "") -> Workspace | None:
        """What this name means to this person, theirs to use or not; None where it means nothing to them."""
        if name not in self._names:  # every call of a plain model comes by here
            return None
        own = self._made.get((owner, name)) or self._everyones.get(name)
        return own or next((one for one in self._shared(owner) if one.name == name), None)

    def everyones(self, name: str) -> Workspace | None:
        """The one of the settings, or Portal's own."""
        return self._everyones.get(name)

    def for_task(self, task: str, owner: str = "") -> Workspace | None:
        """The one whose preferences hold for a task."""
        return self.get(TASK_WORKSPACES.get(task, ""), owner)

    def list(self, owner: str = "") -> Sequence[Workspace]:
        """Each name once, as this person sees it, `auto` first; every one where nobody is named."""
        found = dict(self._everyones)
        found |= {name: one for (maker, name), one in self._made.items() if maker == owner}
        for one in self._shared(owner) if owner else self._made.values():
            found.setdefault(one.name, one)
        return list(found.values())

    def _shared(self, owner: str) -> Iterable[Workspace]:
        return (one for one in self._made.values() if one.owner != owner and one.allows(owner))

    def write(self, workspaces: Iterable[Workspace]) -> None:
        """Take these as those of the settings."""
        self._everyones = {one.name: one for one in (*packaged_workspaces(), *workspaces)}
        self._names = {*self._everyones, *(name for _, name in self._made)}

    def put(self, one: Workspace) -> None:
        """Take in what a person made; at once in use."""
        self._made[one.owner, one.name] = one
        self._names.add(one.name)

    def keep_only(self, made: Collection[tuple[str, str]]) -> None:
        """Let go of what people made, but for these, by maker and name."""
        for owner, name in [one for one in self._made if one not in made]:
            self.drop(owner, name)

    def drop(self, owner: str, name: str) -> None:
        """Let go of what a person made."""
        self._made.pop((owner, name), None)
        self._names = {*self._everyones, *(other for _, other in self._made)}
