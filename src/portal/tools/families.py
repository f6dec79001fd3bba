"""The families of built-in tools: `portal.tools.NAME` has `create(needs)` that returns its toolset."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from portal.core.media import Studio
from portal.core.memories import Memory
from portal.core.ports import Files
from portal.core.schedules import Scheduling
from portal.core.speech import Speech
from portal.core.tool_ports import Fetcher, Sandbox, SubAgent, Toolset
from portal.settings import Settings

log = logging.getLogger(__name__)

FAMILIES: tuple[str, ...] = (
    "person",
    "tasks",
    "files",
    "code",
    "python_env",
    "git",
    "docker",
    "system",
    "web",
    "browser",
    "sql",
    "tables",
    "maths",
    "text",
    "archives",
    "qr",
    "documents",
    "speech",
    "transcription",
    "images",
    "video",
    "music",
    "skills",
    "memory",
    "schedule",
)
"""In the order people see them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What families are made with."""

    settings: Settings
    sandbox: Sandbox
    fetcher: Fetcher
    files: Files
    agent: SubAgent | None = None
    """Who hands tasks to other workspaces."""
    memory: Memory | None = None
    schedules: Scheduling | None = None
    media: Studio | None = None
    """Makes pictures, videos and music."""
    speech: Speech | None = None


def built_in(needs: Needs, names: Sequence[str] = FAMILIES) -> list[Toolset]:
    """Every family. Importing them takes a moment, so this is called when tools are first wanted."""
    return [*filter(None, (_created(name, needs) for name in names))]


def _created(name: str, needs: Needs) -> Toolset | None:
    try:
        made: Toolset = import_module(f"portal.tools.{name}").create(needs)
    except Exception:  # one family that this machine does not like leaves the others alone
        log.exception("the tools of the family %s could not be loaded", name)
        return None
    return made
