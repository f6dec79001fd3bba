"""Portal's own documents and memory without a server around them: for one call of a tool server that runs alone."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from portal.app.embedding import open_embedding
from portal.app.ground import open_ground
from portal.app.knowledge import finding_in, open_knowledge
from portal.app.mcp import own_toolsets
from portal.app.memory import open_memory
from portal.app.speech import open_speech
from portal.core.passages import Embedder
from portal.core.tool_ports import Toolset
from portal.settings import Settings
from portal.storage.data_folder import lock_data_folder


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
        ground = await open_ground(settings, stack)
        speech = open_speech(settings, ground.router, stack)
        choice = await open_embedding(ground, embedder)
        finding = finding_in(ground, choice.current)
        mind = await open_memory(ground, finding)
        knowledge = await open_knowledge(ground, finding, choice, speech.transcriber, watching=False)
        owner = await ground.storage.users.owner()
        yield Stores(owner=owner.id, toolsets=own_toolsets(settings, mind, finding, knowledge))
