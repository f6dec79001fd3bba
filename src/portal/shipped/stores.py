"""Tools over Portal's own stores: by the Portal that runs, else in its database, which is opened for the call."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from portal.core.arguments import read_arguments
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolResult, ToolSpec, failure, sound
from portal.errors import DataFolderBusy, ToolError
from portal.interfaces.mcp.serving import Asker, Outcome
from portal.shipped.bounds import usable
from portal.shipped.face import Face
from portal.shipped.relay import Relay, Running

if TYPE_CHECKING:
    from portal.app.stores import Stores
    from portal.core.passages import Embedder
    from portal.core.tool_ports import Toolset
    from portal.settings import Settings

_TRIES, _PAUSE = 40, 0.25
"""For a Portal that is just starting, or another such server that is just at it."""


class StoreTools:
    """Implements Offer."""

    def __init__(self, face: Face, settings: "Settings", running: Running, *, read_only: bool) -> None:
        self._face = face
        self._settings = settings
        self._running = running
        self._read_only = read_only
        self._relay = Relay(running)

    async def tools(self, asker: Asker) -> Sequence[ToolSpec]:
        """See Offer."""
        return usable(self._specs, self._settings, read_only=self._read_only)

    @cached_property
    def _specs(self) -> Sequence[ToolSpec]:
        """Known without opening anything."""
        from portal.knowledge.keeping import KnowledgeKeeping
        from portal.knowledge.toolset import KnowledgeTools
        from portal.tools.memory import MemoryTools

        nothing = cast(Any, None)
        known: list[Toolset] = [
            KnowledgeTools(
                search=nothing, passages=nothing, collections=nothing, documents=nothing, workspaces=nothing
            ),
            KnowledgeKeeping(collections=nothing, documents=nothing, files=nothing),
            MemoryTools(cast(Any, object())),
        ]
        return [spec for toolset in known if toolset.name in self._face.stores for spec in toolset.tools()]

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> Outcome:
        """See Offer."""
        for left in reversed(range(_TRIES)):
            if self._running() is not None:
                return await self._relayed(spec, arguments, asker)
            try:
                return await self._own(spec, arguments, asker)
            except DataFolderBusy:
                if not left:
                    raise
            await asyncio.sleep(_PAUSE)
        raise AssertionError

    async def _relayed(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> Outcome:
        return await self._relay.call(spec, arguments, asker)

    async def _own(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> ToolResult:
        read = read_arguments(json.dumps(arguments), spec.parameters)
        async with self._opened() as stores:
            try:
                return await self._called(stores, spec, read, asker)
            except ToolError as error:  # the stores' own tasks would wrap it
                return failure(error.message)

    def _opened(self) -> "AbstractAsyncContextManager[Stores]":
        from portal.app.stores import open_stores

        return open_stores(self._settings, self._embedder)

    async def _called(self, stores: "Stores", spec: ToolSpec, read: JsonObject, asker: Asker) -> ToolResult:
        for toolset in stores.toolsets:
            if any(each.name == spec.name for each in toolset.tools()):
                context = ToolContext(
                    owner=stores.owner,
                    call_id=new_id("mcp"),
                    response_id="",
                    workspace="auto",
                    folder=self._settings.data_dir / "work",
                    report=asker.report,
                )
                return sound(await toolset.call(spec.name, read, context))
        return failure("Memory is turned off in Portal's settings.")

    @cached_property
    def _embedder(self) -> "Embedder | None":
        """One for all calls: it takes a moment to load."""
        from portal.app.embedding import packaged_embedder

        return packaged_embedder()
