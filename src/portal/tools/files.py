"""Files: look, read, search, write, edit, move, copy and delete, in the folders of `Folders`."""

import errno
import mimetypes
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

from portal.core.clock import now
from portal.core.tools import ToolContext, ToolFile, ToolResult
from portal.errors import ToolError
from portal.tools.families import Needs
from portal.tools.file_search import MOST_FILES, TRASH, UNSEEN, Search, walk
from portal.tools.file_text import changed, decoded, encoded, excerpt, replaced
from portal.tools.folders import Folders, Place, granted
from portal.tools.function import Functions, tool

LARGEST_EDIT = 20 * 2**20
LARGEST_PICTURE = 20 * 2**20
MOST_ENTRIES = 200

P = ParamSpec("P")
R = TypeVar("R")
WhichFile = Annotated[str, "Path of the file"]
WhichFolder = Annotated[str, "Path of the folder; . is the conversation's own"]


def create(needs: Needs) -> Functions:
    """The family."""
    files = FileTools(granted(needs.settings))
    return Functions(
        "files",
        [
            files.list_folder,
            files.read_file,
            files.search_files,
            files.write_file,
            files.edit_file,
            files.move_file,
            files.copy_file,
            files.delete_file,
        ],
    )


def told(function: Callable[P, R]) -> Callable[P, R]:
    """What the system refuses, in words for a model."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            raise ToolError(_refused(error)) from error

    return call


class FileTools:
    """The tools. What changes files runs one at a time, so that two edits of a file never lose one."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._changing = threading.Lock()

    @tool(risk="read", scopes={"path": "path"})
    @told
    def list_folder(
        self,
        context: ToolContext,
        path: WhichFolder = ".",
        depth: Annotated[int, "Levels of folders to go down"] = 1,
    ) -> str:
        """List what is in a folder, with sizes and dates. Without a path it also tells where you may work."""
        place = self._folders.at(path, context)
        lines = [_line(place, entry) for entry in _entries(place, max(1, min(depth, 10)))]
        shown = [
            *lines[:MOST_ENTRIES],
            *([f"... more than {MOST_ENTRIES} entries"] if len(lines) > MOST_ENTRIES else []),
        ]
        if path == "." and self._folders.granted:
            shown.append(f"Other folders you may use: {', '.join(map(str, self._folders.granted))}")
        return "\n".join(shown) or "The folder is empty."

    @tool(risk="read", scopes={"path": "path"}, untrusted=True)
    @told
    def read_file(
        self,
        context: ToolContext,
        path: WhichFile,
        first: Annotated[int, "First line; a negative number counts from the end"] = 1,
        lines: Annotated[int, "How many lines"] = 500,
    ) -> ToolResult:
        """Read a text file, or look at a picture. For a long file name the lines you want."""
        place = self._folders.at(path, context)
        kind = mimetypes.guess_type(place.path.name)[0] or ""
        if kind.startswith("image/") and kind != "image/svg+xml":
            data = place.read(LARGEST_PICTURE + 1)
            if len(data) > LARGEST_PICTURE:
                raise ToolError(f"The picture is larger than {_size(LARGEST_PICTURE)}.")
            return ToolResult(
                text=f"Picture {place.shown}, {_size(len(data))}.",
                files=[ToolFile(name=place.path.name, content_type=kind, data=data)],
            )
        with os.fdopen(place.open(), "rb") as file:
            return ToolResult(text=excerpt(file, first=first, lines=max(1, lines), name=place.shown, kind=kind))

    @tool(risk="read", scopes={"path": "path"}, timeout=60, untrusted=True)
    @told
    def search_files(
        self,
        context: ToolContext,
        path: WhichFolder = ".",
        name: Annotated[str, "Pattern of the file's name or path, such as *.py or src/**/*.md"] = "*",
        text: Annotated[str, "Words that a line must hold, capitals or not; empty finds by name alone"] = "",
        limit: Annotated[int, "Most lines of the answer"] = 100,
    ) -> str:
        """Find files by name, or lines of files that hold a text. What .gitignore names is left out."""
        place = self._folders.at(path, context)
        search = Search(name=name, text=text, limit=max(1, min(limit, 1000)))
        found = list(search.found(place))
        return "\n".join([*found, *search.notes()]) or "Nothing found."

    @tool(risk="write", scopes={"path": "path"})
    @told
    def write_file(
        self,
        context: ToolContext,
        path: WhichFile,
        text: Annotated[str, "What the file holds"],
        overwrite: Annotated[bool, "Replace a file that is there"] = False,
    ) -> ToolResult:
        """Write a text file; missing folders are made. To change a part of a file use edit_file."""
        place, data = self._folders.target(path, context), text.encode()
        with self._changing:
            try:
                place.write(data, exclusive=not overwrite)
            except FileExistsError:
                raise ToolError(f"{place.shown} is there already: set overwrite, or use edit_file.") from None
        return _made(place, data, f"Wrote {place.shown}, {_size(len(data))}.")

    @tool(risk="write", scopes={"path": "path"})
    @told
    def edit_file(
        self,
        context: ToolContext,
        path: WhichFile,
        old: Annotated[str, "Text that is in the file exactly once, with its spaces and line ends"],
        new: Annotated[str, "Text that takes its place"],
        all: Annotated[bool, "Replace it wherever it is"] = False,
    ) -> ToolResult:
        """Replace a piece of a text file. Read the file first, and copy the old text exactly."""
        place = self._folders.target(path, context)
        with self._changing:
            data = place.read(LARGEST_EDIT + 1)
            if len(data) > LARGEST_EDIT:
                raise ToolError(f"The file is larger than {_size(LARGEST_EDIT)}.")
            before, encoding = decoded(data, place.shown)
            after = replaced(before, old, new, everywhere=all)
            data = encoded(after, encoding)
            place.write(data)
        return _made(place, data, changed(before, after, place.shown))

    @tool(risk="write", scopes={"source": "path", "target": "path"})
    @told
    def move_file(self, context: ToolContext, source: WhichFile, target: Annotated[str, "Its new path"]) -> str:
        """Move or rename a file or folder. It never replaces one that is there."""
        start, end = self._folders.target(source, context), self._folders.target(target, context)
        with self._changing, _free(start, end):
            _rename(start, end)
        return f"Moved {start.shown} to {end.shown}."

    @tool(risk="write", scopes={"source": "path", "target": "path"})
    @told
    def copy_file(self, context: ToolContext, source: WhichFile, target: Annotated[str, "Path of the copy"]) -> str:
        """Copy a file or folder. It never replaces one that is there."""
        start, end = self._folders.at(source, context), self._folders.target(target, context)
        with self._changing, _free(start, end):
            for entry in _with_contents(start):
                copy = Place(end.root, end.relative / entry.relative.relative_to(start.relative), end.own)
                _copy(entry, copy)
        return f"Copied {start.shown} to {end.shown}."

    @tool(risk="write", scopes={"path": "path"})
    @told
    def delete_file(self, context: ToolContext, path: WhichFile) -> str:
        """Delete a file or folder: it goes to a trash folder, from where move_file brings it back."""
        place = self._folders.target(path, context)
        if not place.relative.parts:
            raise ToolError("A granted folder itself cannot be deleted.")
        with self._changing:
            if TRASH in place.relative.parts:
                _remove(place)
                return f"Deleted {place.shown} for good."
            kept = Place(place.root, Path(TRASH, f"{now():%Y%m%d-%H%M%S-%f}-{place.path.name}"), place.own)
            _rename(place, kept)
            Place(place.root, Path(TRASH, ".gitignore"), place.own).write(b"*\n")
        return f"Deleted {place.shown}; it is kept as {kept.shown}."


def _entries(place: Place, depth: int) -> Iterator[Place]:
    """The conversation's own folder is empty before it is made."""
    if place.own and not place.relative.parts:
        place.root.mkdir(parents=True, exist_ok=True)
    os.close(place.open(os.O_RDONLY | os.O_DIRECTORY))
    return walk(place, depth=depth, most=MOST_ENTRIES + 1)


def _line(folder: Place, entry: Place) -> str:
    seen = entry.path.lstat()
    name = entry.relative.relative_to(folder.relative).as_posix()
    when = datetime.fromtimestamp(seen.st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
    if entry.path.is_symlink():
        return f"{name} (link)"
    return f"{name}/" if entry.path.is_dir() else f"{name}  {_size(seen.st_size)}  {when}"


def _made(place: Place, data: bytes, text: str) -> ToolResult:
    """A file of the conversation's own folder is the person's only copy: it becomes a file of the answer."""
    if not place.own:
        return ToolResult(text=text)
    kind = mimetypes.guess_type(place.path.name)[0] or "text/plain"
    return ToolResult(text=text, files=[ToolFile(name=place.path.name, content_type=kind, data=data)])


@contextmanager
def _free(start: Place, end: Place) -> Iterator[None]:
    if not start.relative.parts:
        raise ToolError("Name something in the folder, not the whole folder.")
    if os.path.lexists(end.path):
        raise ToolError(f"{end.shown} is there already.")
    if end.path.is_relative_to(start.path):
        raise ToolError(f"{end.shown} is inside {start.shown}.")
    os.close(start.open())
    yield


def _rename(start: Place, end: Place) -> None:
    with start.parent() as (source, name), end.parent(make=True) as (target, new):
        try:
            os.rename(name, new, src_dir_fd=source, dst_dir_fd=target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.move(start.path, end.path)


def _with_contents(start: Place) -> list[Place]:
    """A file, or a folder and all in it but the trash and what is git's."""
    found = [start, *walk(start)] if start.path.is_dir() else [start]
    if len(found) > MOST_FILES:
        raise ToolError("The folder holds too much to be copied at once.")
    return [entry for entry in found if entry.path.name not in UNSEEN or entry == start]


def _copy(start: Place, end: Place) -> None:
    if start.path.is_symlink():
        return
    if start.path.is_dir():
        with end.below("x").parent(make=True):
            return
    with os.fdopen(start.open(), "rb") as source:
        opened = end.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True)
        with os.fdopen(opened, "wb") as target:
            shutil.copyfileobj(source, target)
            os.fchmod(opened, os.fstat(source.fileno()).st_mode & 0o777)


def _remove(place: Place) -> None:
    with place.parent() as (folder, name):
        if place.path.is_dir():
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def _refused(error: OSError) -> str:
    names = {
        errno.ENOENT: "There is no such file or folder.",
        errno.EISDIR: "It is a folder; list it with list_folder.",
        errno.ENOTDIR: "A part of the path is a file or a link, not a folder.",
        errno.ELOOP: "It is a link; links are not followed.",
        errno.EACCES: "The system does not allow it.",
        errno.EPERM: "The system does not allow it.",
        errno.ENOSPC: "The disk is full.",
    }
    return names.get(error.errno or 0, f"It did not work: {error.strerror or error}")


def _size(count: int) -> str:
    """Bytes, as people say it."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"
