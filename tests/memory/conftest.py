"""Memory on a real database with the real search, and an embedder that knows a few words of the same meaning."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pytest

from portal.core.bus import Bus
from portal.core.clock import micros
from portal.core.memories import Kept, Memories, MemoryRecord, Said, Switches, Wanted
from portal.core.recall import Recalled, Seeking
from portal.core.records import Page
from portal.core.workspaces import Workspace
from portal.errors import BackendUnavailable
from portal.knowledge.search import HybridSearch
from portal.memory.keeper import Keeper
from portal.memory.likeness import Likeness
from portal.memory.past import Past
from portal.memory.recall import MemoryRecall
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, answered, conversation, output, response, said

if TYPE_CHECKING:
    from portal.core.passages import Vectors

_SAME = {"puppy": "dog", "hound": "dog", "car": "vehicle", "automobile": "vehicle", "ship": "ferry", "boat": "ferry"}
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Embedder:
    """A place for each word, words of the same meaning in one; `away` makes it fail, `gate` wait."""

    name = "words"
    dimensions = 256

    def __init__(self) -> None:
        self.away = False
        self.asked = 0

    async def embed(self, texts: Sequence[str]) -> "Vectors":
        self.asked += 1
        if self.away:
            raise BackendUnavailable("the embedder is away")
        rows = np.full((len(texts), self.dimensions), 1e-6, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.lower()):
                row[crc32(_SAME.get(word, word).encode()) % self.dimensions] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Judge:
    """Says what it is told to say, or fails."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[tuple[str, Sequence[str]]] = []
        self.verdict: Sequence[int] = ()

    async def contradicted(self, owner: str, text: str, others: Sequence[str]) -> Sequence[int]:
        self.asked.append((text, others))
        if self.error:
            raise self.error
        return self.verdict


class Contended:
    """Memories that others change as well: what is in `others` happens just before the next saves."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories
        self.others: list[Callable[[], Awaitable[None]]] = []

    async def save(self, memory: MemoryRecord, **more: Any) -> None:
        if self.others:
            await self.others.pop(0)()
        await self._memories.save(memory, **more)

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[MemoryRecord]:
        return await self._memories.get(owner, ids)

    async def history(self, owner: str, memory_id: str) -> Sequence[MemoryRecord]:
        return await self._memories.history(owner, memory_id)

    async def list(self, owner: str, wanted: Wanted, **more: Any) -> Page[MemoryRecord]:
        return await self._memories.list(owner, wanted, **more)

    async def forget(self, owner: str, ids: Sequence[str] | None) -> Sequence[str]:
        return await self._memories.forget(owner, ids)


@dataclass
class Rig:
    storage: Storage
    memories: Contended
    keeper: Keeper
    past: Past
    recall: MemoryRecall
    embedder: Embedder
    judge: Judge
    bus: Bus
    now: datetime = NOW
    turns: list[str] = field(default_factory=list)

    async def remember(self, text: str, **fields: Any) -> Kept:
        return await self.keeper.remember(Said(**{"owner": OWNER, "text": text, **fields}))

    async def active(self) -> list[str]:
        return [one.text for one in (await self.keeper.list(OWNER, Wanted(), limit=200)).data]

    async def find(self, text: str, **wanted: Any) -> list[str]:
        return [one.text for one in await self.keeper.search(OWNER, text, Wanted(**wanted))]

    async def told(self, text: str, **fields: Any) -> Recalled:
        known: dict[str, Any] = {
            "owner": OWNER,
            "workspace": Workspace(name="auto"),
            "response_id": "resp_now",
            "conversation_id": "conv_now",
            "room": 2000,
        }
        return await self.recall.recall(Seeking(**{**known, "text": text, **fields}))

    async def say(self, asked: str, answer: str, *, created_at: int | None = None, title: str = "A talk") -> str:
        """A turn of a conversation of its own; the conversation's id."""
        talk = conversation(title=title)
        await self.storage.conversations.create(talk)
        record = response(conversation_id=talk.id, created_at=created_at or micros())
        await self.storage.turn_log.begin(record, [said(asked)])
        await self.storage.turn_log.finish(record, [output(record.id, answered(answer))])
        return talk.id

    async def embed_all(self) -> None:
        """As the background does."""
        waiting = await self.storage.passages.unembedded(self.embedder.name, 1000)
        if waiting:
            vectors = await self.embedder.embed([one.told for one in waiting])
            await self.storage.passages.embed(self.embedder.name, [one.id for one in waiting], vectors)


@pytest.fixture
def allowed() -> Switches:
    return Switches(propose=True)


@pytest.fixture
async def rig(tmp_path: Path, allowed: Switches) -> AsyncIterator[Rig]:
    embedder, judge, bus = Embedder(), Judge(), Bus()
    async with open_storage(Settings(data_dir=tmp_path)) as storage, asyncio.TaskGroup() as tasks:
        search = HybridSearch(passages=storage.passages, embedder=lambda: embedder)
        likeness = Likeness(passages=storage.passages, embedder=lambda: embedder)
        past = Past(search=search, likeness=likeness, conversations=storage.conversations, responses=storage.responses)
        memories = Contended(storage.memories)
        keeper = Keeper(
            memories=memories,
            search=search,
            past=past,
            key_values=storage.key_values,
            embedder=lambda: embedder,
            bus=bus,
            allowed=allowed,
            judge=judge,
            tasks=tasks,
        )
        made = Rig(storage, memories, keeper, past, None, embedder, judge, bus)  # type: ignore[arg-type]
        made.recall = MemoryRecall(keeper=keeper, past=past, likeness=likeness, tokens=400, clock=lambda: made.now)
        yield made
        keeper.cancel()


def texts(memories: Sequence[MemoryRecord]) -> list[str]:
    return [one.text for one in memories]
