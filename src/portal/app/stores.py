"""Portal's own documents and memory without a server around them: for one call of a tool server that runs alone."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from portal.app.embedding import open_embedding
from portal.app.knowledge import finding_in, open_knowledge
from portal.app.mcp import own_toolsets
from portal.app.memory import open_memory
from portal.app.models import open_routing
from portal.app.people import open_rights
from portal.app.speech import open_speech
from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.passages import Embedder
from portal.core.tool_ports import Toolset
from portal.routing.families import load as load_families
from portal.routing.registry import Registry
from portal.settings import Settings
from portal.storage.data_folder import lock_data_folder
from portal.storage.open import open_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What is open."""

    owner: str
    """The owner of this installation."""
    toolsets: Sequence[Toolset]


@asynccontextmanager
async def open_stores(settings: Settings, embedder: Embedder | None) -> AsyncIterator[Stores]:
    """Within it nobody else has the data folder: documents that are added are read before it ends.

    Raises:
        DataFolderBusy: a Portal has it.
        StorageError: the database cannot be used.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_data_folder(settings.data_dir, f"a tool server (process {os.getpid()})"))
        storage = await stack.enter_async_context(open_storage(settings))
        await storage.database.own()
        bus, completions = Bus(), Completions(usage=storage.usage)
        registry = Registry(settings=settings, families=load_families(settings.data_dir), on_change=lambda: None)
        stack.push_async_callback(registry.aclose)
        rights = await open_rights(settings, storage)
        router, _ = await open_routing(settings, storage, registry, completions, bus, rights.of)
        speech = open_speech(settings, router, stack)
        choice = await open_embedding(settings, storage, router, bus, embedder, stack)
        finding = finding_in(settings, storage, router, choice.current)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        mind = open_memory(
            settings, storage, router, completions, bus, tasks, search=finding.search, embedder=finding.embedder
        )
        stack.callback(mind.keeper.cancel)
        knowledge = await open_knowledge(
            settings, storage, bus, finding, choice, router, completions, speech.transcriber, stack, watching=False
        )
        owner = await storage.users.owner()
        yield Stores(owner=owner.id, toolsets=own_toolsets(settings, mind, finding, knowledge))
