"""Memory, put together."""

import asyncio
from dataclasses import dataclass

from portal.app.ground import Ground
from portal.app.knowledge import Finding
from portal.core.memories import Switches
from portal.memory.keeper import Keeper
from portal.memory.likeness import Likeness
from portal.memory.past import Past
from portal.memory.proposals import Proposals
from portal.memory.recall import MemoryRecall, prepare
from portal.memory.small_model import SmallModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Mind:
    """What remembers: for the agent's turns, for tools, and for the page's routes."""

    keeper: Keeper
    past: Past
    recall: MemoryRecall
    proposals: Proposals


async def open_memory(ground: Ground, finding: Finding) -> Mind:
    """What it does after answers ends with the ground."""
    storage, search, embedder = ground.storage, finding.search, finding.embedder
    chosen, tasks = ground.settings.memory, await ground.tasks()
    if chosen.enabled:
        ground.keep_going(words_of_memory=_prepared)
    likeness = Likeness(passages=storage.passages, embedder=embedder)
    past = Past(search=search, likeness=likeness, conversations=storage.conversations, responses=storage.responses)
    model = SmallModel(models=ground.router, completions=ground.completions, model=chosen.model)
    keeper = Keeper(
        memories=storage.memories,
        search=search,
        past=past,
        key_values=storage.key_values,
        embedder=embedder,
        bus=ground.bus,
        allowed=Switches(enabled=chosen.enabled, conversations=chosen.conversations, propose=chosen.proposals),
        judge=model if chosen.model else None,
        tasks=tasks,
    )
    ground.stack.callback(keeper.cancel)
    return Mind(
        keeper=keeper,
        past=past,
        recall=MemoryRecall(keeper=keeper, past=past, likeness=likeness, tokens=chosen.tokens),
        proposals=Proposals(keeper=keeper, model=model),
    )


async def _prepared() -> None:
    await asyncio.to_thread(prepare)
