"""Portal's own documents and memory without a server around them: for one call of a tool server that runs alone."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from portal.app.embedding import open_embedding
from portal.app.ground import Ground, open_ground
from portal.app.knowledge import finding_in, open_knowledge
from portal.app.mcp import own_toolsets
from portal.app.media import media_toolsets, open_media
from portal.app.memory import open_memory
from portal.app.speech import open_speech
from portal.core.passages import Embedder
from portal.core.ports import Files
from portal.core.tool_ports import Toolset
from portal.settings import Settings
from portal.storage.data_folder import lock_data_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """What is open."""

    owner: str
    """The owner of this installation."""
    toolsets: Sequence[Toolset]
    files: Files


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Ground]:
    """Within it nobody else has the data folder. Raises DataFolderBusy and StorageError."""
    async with AsyncExitStack() as stack:
        stack.enter_context(lock_data_folder(settings.data_dir, f"a tool server (process {os.getpid()})"))
        yield await open_ground(settings, stack, serves=False)


@asynccontextmanager
async def open_studio(settings: Settings) -> AsyncIterator[Stores]:
    """What makes pictures, videos and music; within it jobs are done, those that were left as well.

    Raises:
        DataFolderBusy: a Portal has the data folder.
        StorageError: the database cannot be used.
    """
    async with _opened(settings) as ground:
        files = ground.storage.files
        toolsets = media_toolsets(await open_media(ground), files)
        yield Stores(owner=(await ground.storage.users.owner()).id, toolsets=toolsets, files=files)


@asynccontextmanager
async def open_stores(settings: Settings, embedder: Embedder | None) -> AsyncIterator[Stores]:
    """Within it nobody else has the data folder: documents that are added are read before it ends.

    Raises:
        DataFolderBusy: a Portal has it.
        StorageError: the database cannot be used.
    """
    async with _opened(settings) as ground:
        speech = open_speech(settings, ground.router, ground.stack)
        choice = await open_embedding(ground, embedder)
        finding = finding_in(ground, choice.current)
        mind = await open_memory(ground, finding)
        knowledge = await open_knowledge(ground, finding, choice, speech.transcriber, watching=False)
        owner = await ground.storage.users.owner()
        toolsets = own_toolsets(settings, mind, finding, knowledge)
        yield Stores(owner=owner.id, toolsets=toolsets, files=knowledge.files)
