"""Tools for zip and tar archives, in the folders of `Folders`."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated

from portal.core.tool_ports import Toolset
from portal.core.tools import ToolContext
from portal.errors import ToolError
from portal.tools.families import Needs
from portal.tools.file_search import walk
from portal.tools.folders import Folders, Place, granted
from portal.tools.function import Functions, tool
from portal.tools.unpacking import MOST_FILES, Archive, opened, unpack

MOST_BYTES = 1 * 2**30
"""Unpacked."""
SHOWN = 200
_ENDINGS = {".tar": "w", ".tgz": "w:gz", ".tar.gz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


class Archives:
    """The family, with the folders it may use."""

    def __init__(self, *, folders: Folders, most_bytes: int = MOST_BYTES) -> None:
        self._folders = folders
        self._most_bytes = most_bytes

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    def list_archive(self, path: Annotated[str, "A zip or tar file"], context: ToolContext) -> str:
        """List what a zip or tar archive contains."""
        with _archive(self._folders.file(path, context, largest=MOST_BYTES)) as archive:
            lines, count, total = [], 0, 0
            for one in archive.members():
                count, total = count + 1, total + one.size
                if count > MOST_FILES or total > 10 * self._most_bytes:
                    raise ToolError(f"This archive is too large to list: {count:,} entries, {total:,} bytes so far.")
                if count <= SHOWN:
                    lines.append(f"{one.size:>12,}  {one.name}{'' if one.kind == 'file' else f' ({one.kind})'}")
        more = [f"... and {count - SHOWN} more"] if count > SHOWN else []
        return "\n".join([f"{count} entries, {total:,} bytes unpacked", *lines, *more])

    @tool(risk="write", scopes={"path": "path", "into": "path"})
    def extract_archive(
        self,
        path: Annotated[str, "A zip or tar file"],
        context: ToolContext,
        into: Annotated[str, "Folder for the files; one named like the archive by default"] = "",
    ) -> str:
        """Unpack a zip or tar archive into a folder. Files that are there already are kept, and the call fails."""
        source = self._folders.file(path, context, largest=MOST_BYTES)
        into = into or source.path.name.split(".")[0] or "unpacked"
        with _archive(source) as archive:
            written, left_out = unpack(
                archive, lambda name: self._folders.at(f"{into}/{name}", context), most_bytes=self._most_bytes
            )
        note = (
            f" Left out, because they are links, lead outside or are git's: {', '.join(left_out[:10])}."
            if left_out
            else ""
        )
        return f"Unpacked {written} files into {into}.{note}"

    @tool(risk="write", scopes={"path": "path", "sources": "path"})
    def create_archive(
        self,
        path: Annotated[str, "The archive to make: .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz"],
        sources: Annotated[list[str], "Files and folders to put in"],
        context: ToolContext,
    ) -> str:
        """Pack files and folders into a new zip or tar archive."""
        target = self._folders.target(path, context)
        if os.path.lexists(target.path):
            raise ToolError(f"{path!r} exists already; choose another name.")
        if not sources:
            raise ToolError("Name at least one file or folder.")
        files = list(self._collected(sources, context))
        try:
            _pack(target, files)
        except OSError as error:
            target.remove()
            raise ToolError(f"{path!r} could not be made: {error.strerror}.") from error
        return f"Packed {len(files)} files into {path} ({target.path.stat().st_size:,} bytes)."

    def _collected(self, sources: list[str], context: ToolContext) -> Iterator[tuple[Place, str]]:
        """Files and their names in the archive; links, and what tools may not use, are left out."""
        count = total = 0
        for source in (self._folders.at(path, context) for path in sources):
            if not source.path.exists():
                raise ToolError(f"There is no file {source.shown!r}.")
            for one in [source, *walk(source)]:
                if one.path.is_symlink() or not one.path.is_file():
                    continue
                count, total = count + 1, total + one.path.stat().st_size
                if count > MOST_FILES or total > self._most_bytes:
                    raise ToolError(
                        f"This is too much for one archive: {MOST_FILES:,} files or {self._most_bytes:,} bytes."
                    )
                yield one, one.path.relative_to(source.path.parent).as_posix()


@contextmanager
def _archive(place: Place) -> Iterator[Archive]:
    with os.fdopen(place.open(), "rb") as file, opened(file, place.path.name) as archive:
        yield archive


def _pack(target: Place, files: list[tuple[Place, str]]) -> None:
    name = target.path.name.lower()
    mode = next((mode for ending, mode in _ENDINGS.items() if name.endswith(ending)), "")
    if not mode and not name.endswith(".zip"):
        raise ToolError("The archive's name must end in .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz.")
    with os.fdopen(target.open(os.O_RDWR | os.O_CREAT | os.O_EXCL, make=True), "w+b") as made:
        if mode:
            _tar(made, mode, files)
        else:
            _zip(made, files)


def _zip(made: IO[bytes], files: list[tuple[Place, str]]) -> None:
    with zipfile.ZipFile(made, "w") as packed:
        for place, name in files:
            info = zipfile.ZipInfo.from_file(place.path, name, strict_timestamps=False)
            info.compress_type = zipfile.ZIP_DEFLATED
            with os.fdopen(place.open(), "rb") as file, packed.open(info, "w") as entry:
                shutil.copyfileobj(file, entry)


def _tar(made: IO[bytes], mode: str, files: list[tuple[Place, str]]) -> None:
    with tarfile.open(fileobj=made, mode=mode, dereference=True) as tar:  # type: ignore[call-overload]
        for place, name in files:
            with os.fdopen(place.open(), "rb") as file:
                tar.addfile(tar.gettarinfo(arcname=name, fileobj=file), file)


def create(needs: Needs) -> Toolset:
    """The family `archives`."""
    archives = Archives(folders=granted(needs.settings))
    return Functions("archives", [archives.list_archive, archives.extract_archive, archives.create_archive])
