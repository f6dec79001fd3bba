"""The embedder: which one, and the background work that its change is; also where nothing can embed."""

import asyncio
from contextlib import AsyncExitStack

from portal.core.bus import Bus
from portal.core.items import JsonObject
from portal.core.passages import Embedder, Passages
from portal.core.ports import KeyValues, Models
from portal.errors import BadRequest
from portal.knowledge.embedders import Embedders
from portal.knowledge.likeness import EmbeddedLikeness
from portal.knowledge.minilm import MiniLM, is_installed, missing
from portal.settings import Settings
from portal.storage.open import Storage


async def open_embedders(
    settings: Settings,
    *,
    own: Embedder,
    models: Models,
    passages: Passages,
    key_values: KeyValues,
    bus: Bus,
    stack: AsyncExitStack,
) -> Embedders:
    """The choice of embedders; passages without vectors get them until the stack is closed."""
    embedders = Embedders(
        own=own,
        model=settings.knowledge.embedder,
        models=models,
        passages=passages,
        key_values=key_values,
        on_change=lambda: bus.publish(None, "embedder.changed"),
    )
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(tasks.create_task(embedders.run()).cancel)
    return embedders


class NoEmbedder:
    """The choice where there is none."""

    def current(self) -> None:
        """Nothing."""

    async def status(self) -> JsonObject:
        """See Choice."""
        nothing = {"name": "", "dimensions": 0, "wanted": "", "embedded": 0, "waiting": 0}
        return {**nothing, "available": False, "detail": missing(), "choices": [], "suggested": ""}

    async def choose(self, model: str) -> None:
        """See Choice."""
        raise BadRequest(missing())


def packaged_embedder() -> Embedder | None:
    """The one that comes with the install, where what it needs is there."""
    return MiniLM() if is_installed() else None


async def open_likeness(own: Embedder | None, stack: AsyncExitStack) -> EmbeddedLikeness | None:
    """What helps to choose tools until the stack is closed, where there is an embedder."""
    if own is None:
        return None
    likeness = EmbeddedLikeness(embedder=own)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(tasks.create_task(likeness.run()).cancel)
    return likeness


async def open_embedding(
    settings: Settings, storage: Storage, models: Models, bus: Bus, own: Embedder | None, stack: AsyncExitStack
) -> Embedders | NoEmbedder:
    """The choice of embedders, if there is any."""
    if own is None:
        return NoEmbedder()
    return await open_embedders(
        settings,
        own=own,
        models=models,
        passages=storage.passages,
        key_values=storage.key_values,
        bus=bus,
        stack=stack,
    )
