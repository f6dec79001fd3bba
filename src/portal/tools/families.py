"""The families of built-in tools: `portal.tools.NAME` has `create(needs)` that returns its toolset."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from portal.core.ports import Files
from portal.core.tool_ports import Fetcher, Sandbox, SubAgent, Toolset
from portal.settings import Settings

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
    "skills",
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


def built_in(needs: Needs, names: Sequence[str] = FAMILIES) -> list[Toolset]:
    """Every family. Importing them takes a moment, so this is called when tools are first wanted."""
    return [import_module(f"portal.tools.{name}").create(needs) for name in names]
