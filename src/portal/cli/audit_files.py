"""Who else on this machine can read or change what Portal keeps, reads and starts."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from portal.settings import Settings
    from portal.settings.mcp import ToolServerSettings

_MOST = 20_000
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found; `bad` makes the exit code 1."""

    check: str
    state: Literal["good", "note", "bad"]
    text: str


def file_checks(settings: "Settings") -> Iterator[Check]:
    """The data folder, the settings, and the programs of tool servers."""
    yield from _private(settings.data_dir)
    yield from _settings_files(settings)
    servers = {**_listed(settings.data_dir), **settings.mcp.servers}
    for name, server in servers.items():
        if server.enabled and server.command:
            yield from _program(name, server)
    if not any(server.command for server in servers.values()):
        yield Check("tool-servers", "good", "No tool server is a program of this machine that others made")
    for folder in settings.skills.folders:
        yield from _changeable("skills", Path(folder).expanduser(), "Skills in it are read to models")


def _private(folder: Path) -> Iterator[Check]:
    if not folder.exists():
        yield Check("data-folder", "note", f"There is no data folder {folder} yet")
        return
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        yield Check("data-folder", "bad", f"Others can look into the data folder; mend it with: chmod 700 '{folder}'")
    open_ones = [path for path in _within(folder) if _others(path, 0o077)]
    for path in open_ones[:_SHOWN]:
        yield Check("data-files", "bad", f"Others can read or change {path}; mend it with: chmod go= '{path}'")
    if len(open_ones) > _SHOWN:
        yield Check("data-files", "bad", f"And {len(open_ones) - _SHOWN} more files of the data folder")
    strangers = [path for path in (folder, *_within(folder)) if _owner(path) not in (os.geteuid(), None)]
    if strangers:
        yield Check("data-owner", "bad", f"{len(strangers)} files belong to another account, the first: {strangers[0]}")
    if not open_ones and not strangers:
        yield Check("data-files", "good", f"Only you can read what is in {folder}")


def _within(folder: Path) -> Iterator[Path]:
    """Files of a folder, links not followed; of very many the first."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            found += 1
            if found > _MOST:
                return
            yield Path(where) / name


def _settings_files(settings: "Settings") -> Iterator[Check]:
    from portal.mcp.server_list import FILE

    chosen = settings.config or settings.data_dir / "portal.toml"
    for path in (chosen, settings.data_dir / FILE, Path(".env")):
        if not path.is_file():
            continue
        yield from _changeable("settings-file", path, "Whoever can write it decides what Portal does")
        if path.parent != settings.data_dir and _others(path, 0o044):
            yield Check("settings-file", "note", f"Others can read {path.absolute()}; secrets in it are theirs, too")


def _listed(data_dir: Path) -> Mapping[str, "ToolServerSettings"]:
    from portal.mcp.server_list import of_file
    from portal.settings.mcp import ToolServerSettings

    return {one.name: ToolServerSettings.model_validate(one.fields) for one in of_file(data_dir) if one.fields}


def _program(name: str, server: "ToolServerSettings") -> Iterator[Check]:
    found = shutil.which(server.command)
    if found is None:
        yield Check("tool-servers", "note", f"The program of the tool server {name} is not there: {server.command}")
        return
    folder = server.cwd or Path.cwd()
    named = [folder / word for word in server.args if word and not word.startswith("-")]
    flaws = [
        flaw
        for path in (Path(found), *(one for one in named if one.is_file()))
        for flaw in _changeable("tool-servers", path, f"It is the tool server {name}, which runs as you")
    ]
    yield from flaws or [Check("tool-servers", "good", f"Only you or the system can change the tool server {name}")]


def _changeable(check: str, path: Path, why: str) -> Iterator[Check]:
    """Whether another account could put something else there: the file, what it leads to, or a folder on the way."""
    for place in dict.fromkeys((path.absolute(), path.resolve())):
        for step in (place, *place.parents):
            if _replaceable(step):
                yield Check(check, "bad", f"Others can change {step}. {why}; mend it with: chmod go-w '{step}'")
                return


def _replaceable(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    return bool(found.st_mode & 0o022 and not sticky) or found.st_uid not in (0, os.geteuid())


def _others(path: Path, rights: int) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(found.st_mode) and bool(stat.S_IMODE(found.st_mode) & rights)


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:
        return None
