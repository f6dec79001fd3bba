"""The toolsets of an installation: the built-in families, plug-ins, and what comes and goes."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from importlib import import_module

from portal.core.media import Studio
from portal.core.memories import Memory
from portal.core.ports import Files
from portal.core.schedules import Scheduling
from portal.core.speech import Speech
from portal.core.tool_ports import Sandbox, SubAgent, Toolset
from portal.security.own_hosts import OwnHosts
from portal.settings import Settings

log = logging.getLogger(__name__)


class Toolsets:
    """Loads them beside the first requests: importing takes a moment, and so does looking for a sandbox."""

    def __init__(
        self,
        *,
        settings: Settings,
        files: Files,
        memory: Memory,
        schedules: Scheduling,
        media: Studio,
        speech: Speech,
        servers: Callable[[], Sequence[Toolset]],
        changed: Callable[[], None],
    ) -> None:
        """`servers` are those that come and go; `changed` is called when there are more or fewer.

        Raises:
            SettingsError: an address in the settings is none.
        """
        self._settings = settings
        self._files = files
        self._memory = memory if settings.memory.enabled else None
        self._schedules = schedules if settings.schedules.enabled else None
        self._media = media
        self._speech = speech
        self._servers = servers
        self._changed = changed
        self._loaded: Sequence[Toolset] = ()
        self._ready = asyncio.Event()
        OwnHosts(settings.tools.private_hosts)

    def __call__(self) -> Sequence[Toolset]:
        """What there is now."""
        return [*self._loaded, *self._servers()] if self._settings.tools.enabled else []

    async def ready(self) -> None:
        """Until they are loaded."""
        await self._ready.wait()

    async def load(self, agent: SubAgent) -> None:
        """Find out what there is; whoever waits for `ready` goes on, whatever comes of it. `agent` is whom tools hand
        tasks to."""
        if not self._settings.tools.enabled:
            self._ready.set()
            return
        try:
            self._loaded = await asyncio.to_thread(self._load, await self._sandbox(), agent)
        except Exception:  # a chat without tools is better than no chat
            log.exception("tools could not be loaded")
        finally:
            self._ready.set()
        self._changed()

    def _load(self, sandbox: Sandbox, agent: SubAgent) -> list[Toolset]:
        """What is imported here takes a moment, so it comes beside the first requests."""
        from portal.security.outbound import Guard
        from portal.tools import plugins
        from portal.tools.families import Needs, built_in

        needs = Needs(
            settings=self._settings,
            sandbox=sandbox,
            fetcher=Guard(self._settings),
            files=self._files,
            agent=agent,
            memory=self._memory,
            schedules=self._schedules,
            media=self._media,
            speech=self._speech,
        )
        return [*built_in(needs), *plugins.load(needs)]

    async def _sandbox(self) -> Sandbox:
        """One that works, or one that says why it does not: the other tools are there even so."""
        choice = await asyncio.to_thread(import_module, "portal.security.sandbox.choice")
        try:
            found: Sandbox = await choice.find_sandbox(self._settings)
        except Exception as error:  # whatever a machine answers to being tried out
            log.exception("no sandbox could be looked for")
            found = choice.NoSandbox(reason=f"Programs cannot be run safely here: {error or type(error).__name__}.")
        return found

    async def aclose(self) -> None:
        """Release what they hold."""
        for toolset in self._loaded:
            await toolset.aclose()
