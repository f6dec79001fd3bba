"""Families that speak or listen, without a Portal: by the engines of the settings and of this machine."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import SettingsError, ToolError

if TYPE_CHECKING:
    from portal.core.speech import Speech
    from portal.core.tool_ports import Toolset
    from portal.tools.families import Needs

FAMILIES = ("speech", "transcription")


class Voices:
    """One of them. Its engines are looked for at the first call: what finds them takes a second to load."""

    def __init__(self, name: str, needs: "Needs") -> None:
        self.name = name
        self._needs = needs
        self._stack = AsyncExitStack()
        self._looking = asyncio.Lock()
        self._made: Toolset | None = None

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return self._with(cast("Speech", _Unknown())).tools()

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        async with self._looking:
            if self._made is None:
                speech = await asyncio.to_thread(import_module, "portal.app.speech")
                try:
                    self._made = self._with(speech.open_speech(self._needs.settings, None, self._stack))
                except SettingsError as error:
                    raise ToolError(error.message) from error
        return await self._made.call(name, arguments, context)

    async def aclose(self) -> None:
        """See Toolset."""
        await self._stack.aclose()

    def _with(self, speech: "Speech") -> "Toolset":
        made: Toolset = import_module(f"portal.tools.{self.name}").create(replace(self._needs, speech=speech))
        return made


class _Unknown:
    """In the place of engines, as long as nobody calls them."""

    speaker = transcriber = None
