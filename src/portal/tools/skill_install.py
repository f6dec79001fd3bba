"""Installing skills out of a folder, an archive or a git repository; they can be looked at before."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import IO

from portal.errors import ToolError
from portal.tools import git, unpacking
from portal.tools.file_search import walk
from portal.tools.folders import Place
from portal.tools.skill import MANIFEST, Skill, read_skill

MOST_BYTES = 20 * 2**20
"""Of a skill, and of all that an archive unpacks to."""
_DEPTH = 4


@asynccontextmanager
async def arrived(source: str) -> AsyncIterator[list[Skill]]:
    """The skills in a folder, a zip or tar file, or a git repository, until the block ends. Raises ToolError."""
    with TemporaryDirectory(prefix="portal-skills-") as made:
        if git.is_address(source) or source.startswith("file://"):
            copy = Path(made, "repository")
            await git.clone(source, copy)
            yield skills_in(copy)
        else:
            yield _local(source, Path(made))


def _local(source: str, scratch: Path) -> list[Skill]:
    path = Path(source).expanduser()
    if path.is_dir():
        return skills_in(path)
    if not path.is_file():
        raise ToolError(f"{source} is neither a folder nor an archive nor the address of a git repository.")
    with path.open("rb") as file:
        return unpacked(file, path.name, scratch)


def unpacked(file: IO[bytes], name: str, scratch: Path) -> list[Skill]:
    """The skills in an archive, unpacked into an empty folder. Raises ToolError."""
    target = Place(scratch.resolve(), Path(), own=True)
    with unpacking.opened(file, name) as archive:
        unpacking.unpack(archive, target.below, most_bytes=MOST_BYTES)
    return skills_in(scratch)


def skills_in(folder: Path) -> list[Skill]:
    """The skill that a folder is, or those in it, each small enough. Raises ToolError, also where there is none."""
    top = Place(folder.resolve(), Path(), own=True)
    manifests = [one.path for one in walk(top, depth=_DEPTH) if one.path.name == MANIFEST and one.path.is_file()]
    if top.path / MANIFEST in manifests:
        manifests = [top.path / MANIFEST]
    found = [read_skill(manifest.parent) for manifest in manifests]
    if not found:
        raise ToolError(f"There is no skill in it: no folder with a {MANIFEST}.")
    if len({skill.name for skill in found}) < len(found):
        raise ToolError("Two skills in it have the same name.")
    for skill in found:
        if sum(file.size for file in skill.files()) > MOST_BYTES:
            raise ToolError(f"The skill {skill.name} is larger than {MOST_BYTES // 2**20} MB.")
    return found


def install(skill: Skill, home: Path) -> None:
    """Copy it into the data folder's skills, in place of one of its name: all of it or nothing. Raises ToolError."""
    fresh = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        fresh = Path(mkdtemp(dir=home, prefix=".new-")).resolve()
        fresh.chmod(0o755)  # the sandbox reads it as another user
        for file in skill.files():
            Place(fresh, Path(file.path), own=True).write(skill.place(file.path).read(MOST_BYTES))
        _put(fresh, home / skill.name)
    except OSError as error:
        raise ToolError(f"The skill {skill.name} cannot be installed: {error.strerror}.") from error
    finally:
        if fresh:
            shutil.rmtree(fresh, ignore_errors=True)


def _put(fresh: Path, target: Path) -> None:
    old = target.with_name(f".old-{os.urandom(4).hex()}")
    with suppress(FileNotFoundError):
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def remove(skill: Skill) -> None:
    """Delete its folder. Raises ToolError."""
    try:
        shutil.rmtree(skill.folder)
    except OSError as error:
        raise ToolError(f"The skill {skill.name} cannot be removed: {error.strerror}.") from error
