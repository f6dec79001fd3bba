"""The tools of a shipped server, made as Portal makes its own: the same families, the same sandbox, the same guard."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure, sound
from portal.errors import ToolError
from portal.shipped.bounds import folder_of, linked, usable
from portal.shipped.face import Face
from portal.shipped.voices import FAMILIES, Voices

if TYPE_CHECKING:
    from portal.core.outbound import OutboundRequest, OutboundResponse
    from portal.core.ports import Files
    from portal.core.tool_ports import Fetcher, Sandbox, Toolset
    from portal.interfaces.mcp.serving import Asker
    from portal.settings import Settings
    from portal.tools.families import Needs

log = logging.getLogger(__name__)

OWNER = "local"
"""Whose the tools are that know no people."""


class Toolbox:
    """Offers the families of a face. They are loaded beside the first messages: importing takes a moment."""

    def __init__(self, face: Face, settings: "Settings", *, folders: Sequence[Path], read_only: bool) -> None:
        """`folders` are those that a person gave; with `read_only` there are only tools that change nothing."""
        self._face = face
        self._settings = settings
        self._folder = folder_of(face, settings, folders)
        self._read_only = read_only
        self._toolsets: Sequence[Toolset] = ()
        self._loading: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def loaded(self) -> AsyncIterator["Toolbox"]:
        """Within it the tools can be used."""
        async with asyncio.TaskGroup() as tasks:
            self._loading = tasks.create_task(self._load())
            try:
                yield self
            finally:
                self._loading.cancel()
                for toolset in self._toolsets:
                    await toolset.aclose()

    async def tools(self, asker: "Asker") -> Sequence[ToolSpec]:
        """See Offer."""
        assert self._loading is not None
        await asyncio.shield(self._loading)
        known = [spec for toolset in self._toolsets for spec in toolset.tools()]
        return usable(known, self._settings, read_only=self._read_only)

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: "Asker") -> ToolResult:
        """See Offer."""
        from portal.core.arguments import read_arguments

        toolset = next(one for one in self._toolsets if any(each.name == spec.name for each in one.tools()))
        read = read_arguments(json.dumps(arguments), spec.parameters)
        limit = spec.timeout or self._settings.tools.timeout
        try:
            async with asyncio.timeout(limit):
                result = sound(await toolset.call(spec.name, read, self._context(asker)))
        except TimeoutError:
            return failure(f"It did not end within {limit:g} seconds.")
        except ToolError:
            raise
        except Exception:  # a fault of one tool ends its call, not the server
            log.exception("the tool %s failed unexpectedly", spec.name)
            return failure("The tool failed for a reason of its own; the server's log has it.")
        return linked(result, self._folder) if asker.request is None else result

    def _context(self, asker: "Asker") -> ToolContext:
        from portal.core.ids import new_id

        call = new_id("mcp")
        return ToolContext(
            owner=OWNER,
            call_id=call,
            response_id=call,
            workspace=self._face.name,
            folder=self._folder,
            report=asker.report,
        )

    async def _load(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sandbox = await _sandbox(self._settings, self._face)
        self._toolsets = await asyncio.to_thread(_made, self._face, self._settings, sandbox)


async def _sandbox(settings: "Settings", face: Face) -> "Sandbox":
    """Looking for one takes a moment, so that only who needs one does."""
    if not face.sandbox:
        from portal.security.sandbox.none import NoSandbox

        return NoSandbox(reason="This server runs no programs.")
    choice = await asyncio.to_thread(import_module, "portal.security.sandbox.choice")
    found: Sandbox = await choice.find_sandbox(settings)
    return found


def _made(face: Face, settings: "Settings", sandbox: "Sandbox") -> "Sequence[Toolset]":
    from portal.tools.families import Needs

    needs = Needs(settings=settings, sandbox=sandbox, fetcher=_Way(settings), files=cast("Files", _NoStore()))
    made = [_family(name, needs) for name in face.families]
    return [_Chosen(one, names) if names else one for one, names in zip(made, face.families.values(), strict=True)]


def _family(name: str, needs: "Needs") -> "Toolset":
    if name in FAMILIES:
        return Voices(name, needs)
    made: Toolset = import_module(f"portal.tools.{name}").create(needs)
    return made


class _Way:
    """Implements Fetcher: the outbound guard, whose HTTP client is loaded when something goes out."""

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings

    @cached_property
    def _guard(self) -> "Fetcher":
        from portal.security.outbound import Guard

        return Guard(self._settings)

    async def fetch(self, request: "OutboundRequest") -> "OutboundResponse":
        """See Fetcher."""
        return await self._guard.fetch(request)

    async def check(self, url: str) -> Sequence[str]:
        """See Fetcher."""
        return await self._guard.check(url)


class _NoStore:
    """In the place of a store, which a server alone does not have."""

    def __getattr__(self, name: str) -> Any:
        raise ToolError("This needs a running Portal; use its own endpoint /mcp.")


class _Chosen:
    """Some tools of a toolset."""

    def __init__(self, toolset: "Toolset", names: Sequence[str]) -> None:
        self.name = toolset.name
        self._toolset, self._names = toolset, names
        self.call, self.aclose = toolset.call, toolset.aclose

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [spec for spec in self._toolset.tools() if spec.name in self._names]
