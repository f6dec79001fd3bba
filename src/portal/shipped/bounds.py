"""What every shipped server is held to, and where it works: its folder, its tools, the files that it hands on."""

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from portal.core.tools import ToolFile, ToolResult, ToolSpec
from portal.shipped.face import Face

if TYPE_CHECKING:
    from portal.settings import Settings

_SENT = ("image/", "audio/")
"""Kinds of files that models see and hear: they are always sent."""


def folder_of(face: Face, settings: "Settings", folders: Sequence[Path]) -> Path:
    """Where relative paths begin. Portal's own folder is closed to tools, so that none above it will do."""
    first = next(iter(folders), None) if face.where == "given" else None
    if first is not None and not settings.data_dir.resolve().is_relative_to(first.resolve()):
        return first
    return settings.data_dir / "servers" / face.name


def usable(specs: Sequence[ToolSpec], settings: "Settings", *, read_only: bool) -> Sequence[ToolSpec]:
    """Those that are not turned off; with `read_only` those that change nothing."""
    off = settings.tools.off
    return [
        spec
        for spec in specs
        if not any(fnmatchcase(name, one) for one in off for name in (spec.name, spec.toolset))
        and not (read_only and spec.risk not in ("read", "fetch"))
    ]


def linked(result: ToolResult, folder: Path) -> ToolResult:
    """For a client of this machine: what lies in a folder that it can read is named, not sent."""
    files, kept = list[ToolFile](), list(result.kept)
    for file in result.files:
        path = folder / file.name
        if file.content_type.startswith(_SENT) or not path.is_file() or path.stat().st_size != len(file.data):
            files.append(file)
            continue
        told = {"filename": file.name, "content_type": file.content_type, "size": len(file.data)}
        kept.append({"uri": path.resolve().as_uri(), **told})
    return replace(result, files=files, kept=kept)
