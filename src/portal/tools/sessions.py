"""Sessions of running code, for clients that have no conversations: each is a folder of its own, which keeps its files
and installed packages from call to call."""

import mimetypes
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from portal.core.items import JsonObject
from portal.core.tool_ports import Sandbox, Toolset
from portal.core.tools import ToolContext, ToolFile, ToolResult, ToolSpec
from portal.errors import ToolError
from portal.tools import code, python_env
from portal.tools.families import Needs
from portal.tools.folders import Place
from portal.tools.function import Functions, tool

_USUAL = "main"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHOWN = 200
_LARGEST = 20 * 2**20
_WHICH: JsonObject = {
    "type": "string",
    "default": _USUAL,
    "description": "Name of the session, whose files and packages it uses; a new name begins an empty one",
}
Name = Annotated[str, "Name of the session"]


def create(needs: Needs) -> "Sessions":
    """The tools of `code` and `python_env`, in sessions; none where nothing can be run safely."""
    return Sessions([code.create(needs), python_env.create(needs)], needs.sandbox)


class Sessions:
    """Implements Toolset, over toolsets that work in the folder of their context."""

    name = "sessions"

    def __init__(self, toolsets: Sequence[Toolset], sandbox: Sandbox) -> None:
        self._toolsets = toolsets
        self._sandbox = sandbox
        self._own = Functions(
            self.name, [self.list_sessions, self.session_files, self.read_session_file, self.end_session]
        )

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        inner = [_with_session(spec) for toolset in self._toolsets for spec in toolset.tools()]
        return [*inner, *self._own.tools()] if inner else []

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        for toolset in self._toolsets:
            if any(spec.name == name for spec in toolset.tools()):
                given = {key: value for key, value in arguments.items() if key != "session"}
                place = _place(context, arguments.get("session", _USUAL))
                place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                return await toolset.call(name, given, replace(context, folder=place.path))
        return await self._own.call(name, arguments, context)

    async def aclose(self) -> None:
        """See Toolset."""
        for toolset in self._toolsets:
            await toolset.aclose()

    @tool(risk="read")
    def list_sessions(self, context: ToolContext) -> str:
        """List the sessions there are, and when each was last used."""
        lines = [
            f"{path.name}\t{datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone():%Y-%m-%d %H:%M}"
            for path in sorted(context.folder.glob("*"))
            if path.is_dir() and not path.is_symlink() and _NAME.fullmatch(path.name)
        ]
        return "\n".join(lines) or f"There are none yet; the first program begins {_USUAL!r}."

    @tool(risk="read")
    def session_files(self, context: ToolContext, session: Name = _USUAL) -> str:
        """List the files of a session."""
        names = sorted(_files(_there(context, session).path))
        more = [f"... and {len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
        return "\n".join([*names[:_SHOWN], *more]) or "The session has no files."

    @tool(risk="read")
    async def read_session_file(
        self,
        context: ToolContext,
        path: Annotated[str, "Of the file, as session_files lists it"],
        session: Name = _USUAL,
    ) -> ToolResult:
        """Fetch a file that programs of a session wrote."""
        place = _there(context, session)
        data = await self._sandbox.read(place.path, path, _LARGEST)
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        file = ToolFile(name=Path(path).name, content_type=kind, data=data)
        return ToolResult(text=f"{path} ({kind}, {len(data):,} bytes)", files=[file])

    @tool(risk="write")
    def end_session(self, context: ToolContext, session: Name) -> str:
        """Delete a session with its files and packages."""
        place = _there(context, session)
        try:
            shutil.rmtree(place.path)
        except OSError as error:
            raise ToolError(f"The session {session!r} could not be deleted whole: {error.strerror}.") from error
        return f"The session {session!r} is gone."


def _place(context: ToolContext, session: str) -> Place:
    if not _NAME.fullmatch(session):
        raise ToolError(
            "The name of a session has up to 64 letters, digits, _ and -, and begins with none of these two."
        )
    root = context.folder.resolve()
    if (root / session).is_symlink():
        raise ToolError(f"{session!r} is a link, not a session.")
    return Place(root / session, Path(), own=True)


def _there(context: ToolContext, session: str) -> Place:
    place = _place(context, session)
    if not place.path.is_dir():
        raise ToolError(f"There is no session {session!r}; list_sessions tells which there are.")
    return place


def _files(folder: Path) -> Iterator[str]:
    """What programs wrote, without hidden files and packages."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not code.aside(Path(name))]
        inner = Path(here).relative_to(folder)
        yield from ((inner / name).as_posix() for name in names if not code.aside(Path(name)))


def _with_session(spec: ToolSpec) -> ToolSpec:
    properties = {**spec.parameters.get("properties", {}), "session": _WHICH}
    words = spec.description.replace("in this conversation", "in a session").replace(
        "this conversation's", "a session's"
    )
    words = words.replace("the conversation's files", "the session's files")
    return replace(spec, parameters={**spec.parameters, "properties": properties}, description=words)
