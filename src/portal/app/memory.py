"""Memory, put together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from portal.core.bus import Bus
from portal.core.completion import Completions
from portal.core.memories import Switches
from portal.core.passages import Embedder, Search
from portal.memory.keeper import Keeper
from portal.memory.likeness import Likeness
from portal.memory.past import Past
from portal.memory.proposals import Proposals
from portal.memory.recall import MemoryRecall, prepare
from portal.memory.small_model import SmallModel
from portal.routing.router import Router
from portal.settings import Settings
from portal.storage.open import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """What remembers: for the agent's turns, for tools, and for the page's routes."""

    keeper: Keeper
    past: Past
    recall: MemoryRecall
    proposals: Proposals


def open_memory(
    settings: Settings,
    storage: Storage,
    router: Router,
    completions: Completions,
    bus: Bus,
    tasks: asyncio.TaskGroup,
    *,
    search: Search,
    embedder: Callable[[], Embedder | None],
) -> Mind:
    """`tasks` are for what goes on after somebody was answered."""
    chosen = settings.memory
    if chosen.enabled:
        tasks.create_task(asyncio.to_thread(prepare))
    likeness = Likeness(passages=storage.passages, embedder=embedder)
    past = Past(search=search, likeness=likeness, conversations=storage.conversations, responses=storage.responses)
    model = SmallModel(models=router, completions=completions, model=chosen.model)
    keeper = Keeper(
        memories=storage.memories,
        search=search,
        past=past,
        key_values=storage.key_values,
        embedder=embedder,
        bus=bus,
        allowed=Switches(enabled=chosen.enabled, conversations=chosen.conversations, propose=chosen.proposals),
        judge=model if chosen.model else None,
        tasks=tasks,
    )
    return Mind(
        keeper=keeper,
        past=past,
        recall=MemoryRecall(keeper=keeper, past=past, likeness=likeness, tokens=chosen.tokens),
        proposals=Proposals(keeper=keeper, model=model),
    )
