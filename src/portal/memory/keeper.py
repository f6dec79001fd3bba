"""Keeps memories: what is known is not kept twice, and what contradicts an older memory takes its place."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from portal.core.bus import Bus
from portal.core.clock import micros, now
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.core.memories import (
    LONGEST,
    Embedded,
    Kept,
    Memories,
    MemoryRecord,
    PastTurn,
    Said,
    Switches,
    Wanted,
    folded,
)
from portal.core.passages import Embedder, Search, Within
from portal.core.records import Page
from portal.errors import BadRequest, Conflict, NotFound, PortalError
from portal.memory.asked import kind_of
from portal.memory.exchange import read_export
from portal.memory.past import Past
from portal.memory.subjects import claims, content_words, contradicts, same
from portal.memory.times import span_of

log = logging.getLogger(__name__)

_NEWEST = 200
"""Memories that a new one is compared with, beside those that are found near it."""
_NEAR = 20
_ATTEMPTS = 10
_EMBED_SECONDS = 2.0
_QUERY = 2000
"""Characters of a query that are searched for."""
_SPARE = 3
"""Times as many are searched for where proposals or other scopes are among what is found, and left out."""
_MOST = 200


class Judge(Protocol):
    """A small model that is asked where rules cannot tell."""

    async def contradicted(self, owner: str, text: str, others: Sequence[str]) -> Sequence[int]:
        """Which of the others, by their places, cannot be true any more once the text is; none where no model may be
        asked, or none answers in time."""


class Keeper:
    """The Memory port, and what the page's routes do beyond it."""

    def __init__(
        self,
        *,
        memories: Memories,
        search: Search,
        past: Past,
        key_values: KeyValues,
        embedder: Callable[[], Embedder | None],
        bus: Bus,
        allowed: Switches,
        judge: Judge | None = None,
        tasks: asyncio.TaskGroup | None = None,
    ) -> None:
        """`embedder` is the one in use; `allowed` is what the settings let anybody do; `judge` is asked in `tasks`,
        after a memory was kept."""
        self._memories = memories
        self._search = search
        self._past = past
        self._key_values = key_values
        self._embedder = embedder
        self._bus = bus
        self._allowed = allowed
        self._judge = judge
        self._tasks = tasks
        self.judging: set[asyncio.Task[None]] = set()
        """Verdicts under way."""
        self._locks: dict[str, asyncio.Lock] = {}

    # ------------------------------------------------------------------ switches

    async def switches(self, owner: str) -> Switches:
        """See Memory."""
        kept = await self._key_values.get(_switch_key(owner)) or {}
        may = self._allowed
        return Switches(
            enabled=may.enabled and bool(kept.get("enabled", True)),
            conversations=may.conversations and bool(kept.get("conversations", True)),
            propose=may.enabled and may.propose and bool(kept.get("propose", False)),
        )

    async def switch(self, owner: str, changes: Mapping[str, bool]) -> Switches:
        """Change what memory may do for this person; how it stands then."""
        async with self._lock(owner):
            await self._key_values.change(_switch_key(owner), lambda kept: {**(kept or {}), **changes})
        self._changed(owner)
        return await self.switches(owner)

    # ------------------------------------------------------------------ keeping

    async def remember(self, said: Said) -> Kept:
        """See Memory."""
        if not (await self.switches(said.owner)).enabled:
            raise Conflict("Memory is off.", code="memory_off")
        memory = _record(said)
        async with self._lock(said.owner):
            kept = await self._keep(memory)
        if kept.new:
            self._changed(said.owner, memory.id)
            self._judge_later(kept)
        return kept

    async def _keep(self, memory: MemoryRecord, before: MemoryRecord | None = None) -> Kept:
        """Under the owner's lock; other processes may be at it even so."""
        embedded = await self._embedded(memory.text)
        for _ in range(_ATTEMPTS):
            others = [one for one in await self._near(memory) if one.id != memory.id]
            known = next((one for one in others if _same(memory, one)), None)
            if known is not None:
                return Kept(known, new=False)
            old = [one for one in others if _supersedes(memory, one)] if memory.status == "active" else []
            try:
                await self._memories.save(memory, before=before, supersedes=[one.id for one in old], embedded=embedded)
            except Conflict as error:
                if before is not None or error.code not in ("memory_changed", "memory_exists"):
                    raise
                continue  # another process was quicker: look again
            return Kept(memory, new=True, superseded=old)
        raise Conflict("Your memories are being changed by others just now: try again.", code="memory_changed")

    async def _near(self, memory: MemoryRecord) -> Sequence[MemoryRecord]:
        """What a memory could be the same as, or contradict."""
        wanted = Wanted(scope=memory.scope)
        newest = (await self._memories.list(memory.owner, wanted, limit=_NEWEST)).data
        proposed = Wanted(scope=memory.scope, status="proposed")
        waiting = (await self._memories.list(memory.owner, proposed, limit=_NEWEST)).data
        found = await self.search(memory.owner, memory.text, wanted, limit=_NEAR) if len(newest) == _NEWEST else ()
        own = waiting if memory.status == "proposed" else ()
        return list({one.id: one for one in [*newest, *found, *own]}.values())

    async def _embedded(self, text: str) -> Embedded | None:
        """Its vector; without one it is found by words, until one is added in the background."""
        embedder = self._embedder()
        if embedder is None:
            return None
        try:
            async with asyncio.timeout(_EMBED_SECONDS):
                return Embedded(embedder.name, await embedder.embed([text]))
        except (PortalError, TimeoutError) as error:
            log.info("a memory is kept without its vector: %s", error or "the embedder is too slow")
            return None

    def _judge_later(self, kept: Kept) -> None:
        if self._judge is not None and self._tasks is not None and kept.memory.status == "active":
            task = self._tasks.create_task(self._judged(self._judge, kept.memory))
            self.judging.add(task)
            task.add_done_callback(self.judging.discard)

    def cancel(self) -> None:
        """Give up what goes on after a memory was kept."""
        for task in self.judging:
            task.cancel()

    async def _judged(self, judge: Judge, memory: MemoryRecord) -> None:
        """Let a model look for what it contradicts that rules did not find."""
        try:
            near = await self.search(memory.owner, memory.text, Wanted(scope=memory.scope), limit=5)
            others = [one for one in near if one.id != memory.id and _comparable(memory, one)]
            places = await judge.contradicted(memory.owner, memory.text, [one.text for one in others])
            old = [others[at].id for at in places]
            if old:
                changed = replace(memory, changed_at=micros())
                await self._memories.save(changed, before=memory, supersedes=old)
                self._changed(memory.owner, memory.id)
        except PortalError as error:
            log.info("whether a memory contradicts others was not found out: %s", error)
        except Exception:  # the boundary of this task: the memory is kept, whatever its judge does
            log.exception("whether a memory contradicts others was not found out")

    # ------------------------------------------------------------------ looking

    async def search(
        self, owner: str, text: str, wanted: Wanted, *, limit: int = 10, scopes: Sequence[str] | None = None
    ) -> Sequence[MemoryRecord]:
        """See Memory; `scopes` are the only ones of active memories to look in."""
        text = text.strip()[:_QUERY]
        if not text:
            return (await self._memories.list(owner, wanted, limit=limit)).data
        if wanted.status == "superseded":
            return await self._leafed(owner, text, wanted, limit)
        groups = scopes if scopes is not None else _groups(wanted)
        within = Within(
            owner=owner,
            space="memories",
            groups=groups,
            filters={"type": "eq", "key": "kind", "value": wanted.kind} if wanted.kind else None,
            since=wanted.since,
            until=wanted.until,
        )
        most = limit if groups is not None else limit * _SPARE
        found = await self._search.search(within, text, limit=most, rerank=False)
        records = await self._memories.get(owner, [one.passage.id for one in found])
        fitting = [one for one in records if wanted.status in (None, one.status) and wanted.scope in (None, one.scope)]
        return fitting[:limit]

    async def _leafed(self, owner: str, text: str, wanted: Wanted, limit: int) -> Sequence[MemoryRecord]:
        """Of history, which is in no index, the newest that share a word with the text."""
        page = await self._memories.list(owner, wanted, limit=1000)
        asked = content_words(text)
        return [one for one in page.data if asked & content_words(one.text)][:limit]

    async def past(
        self, owner: str, text: str, *, since: int | None = None, until: int | None = None, limit: int = 5
    ) -> Sequence[PastTurn]:
        """See Memory."""
        return await self._past.turns(owner, text[:_QUERY], since=since, until=until, limit=limit)

    async def list(
        self, owner: str, wanted: Wanted, *, limit: int = 50, cursor: str | None = None
    ) -> Page[MemoryRecord]:
        """See Memories."""
        return await self._memories.list(owner, wanted, limit=limit, cursor=cursor)

    async def get(self, owner: str, ids: Sequence[str]) -> Sequence[MemoryRecord]:
        """See Memories."""
        return await self._memories.get(owner, ids)

    async def history(self, owner: str, memory_id: str) -> Sequence[MemoryRecord]:
        """See Memories."""
        return await self._memories.history(owner, memory_id)

    # ------------------------------------------------------------------ changing

    async def edit(self, owner: str, memory_id: str, changes: Mapping[str, object]) -> MemoryRecord:
        """Change text, kind, scope or happened_at; another wording makes the earlier one history.

        Raises:
            NotFound: there is no such memory.
            BadRequest: the text is empty or too long.
            Conflict: it is history itself, or another one says the same.
        """
        async with self._lock(owner):
            before = await self._one(owner, memory_id)
            changed = replace(before, **changes, changed_at=micros())  # type: ignore[arg-type]
            changed = replace(changed, text=_checked(changed.text))
            embedded = await self._embedded(changed.text)
            await self._memories.save(changed, before=before, embedded=embedded)
        self._changed(owner, memory_id)
        return changed

    async def accept(self, owner: str, memory_id: str) -> Kept:
        """Use a proposal from now on; one that is known by now goes. Raises NotFound, or Conflict for what is no
        proposal."""
        async with self._lock(owner):
            before = await self._one(owner, memory_id)
            if before.status != "proposed":
                raise Conflict("This is no proposal.", code="memory_accepted")
            kept = await self._keep(replace(before, status="active", changed_at=micros()), before)
            if not kept.new:
                await self._memories.forget(owner, [memory_id])
        self._changed(owner, memory_id)
        return kept

    async def merge(self, owner: str, ids: Sequence[str], text: str = "") -> MemoryRecord:
        """Make one of several, which become its history; without a text of theirs one after the other.

        Raises:
            NotFound: one is not there.
            Conflict: one is not active.
            BadRequest: fewer than two, or too long.
        """
        wanted = list(dict.fromkeys(ids))
        async with self._lock(owner):
            merged = await self._memories.get(owner, wanted)
            if len(merged) < len(wanted):
                missing = next(one for one in wanted if one not in {memory.id for memory in merged})
                raise NotFound(f"There is no memory {missing!r}.", param="ids")
            if len(merged) < 2:
                raise BadRequest("Merging takes two memories or more.", param="ids")
            first, said = merged[0], ". ".join(one.text.rstrip(".") for one in merged)
            moments = [one.happened_at for one in merged if one.happened_at is not None]
            new = replace(
                first,
                id=new_id("mem"),
                text=_checked(text or said),
                created_at=micros(),
                changed_at=micros(),
                happened_at=max(moments, default=None),
                confidence=min(one.confidence for one in merged),
            )
            await self._memories.save(new, supersedes=wanted, embedded=await self._embedded(new.text))
        self._changed(owner, new.id)
        return new

    async def take_over(self, owner: str, content: str, *, dry_run: bool) -> Sequence[JsonObject]:
        """Keep what an export of memories holds; per entry {text, new}, with `dry_run` only what there is.

        Raises:
            BadRequest: it holds none, or too many.
            Conflict: memory is off.
        """
        said = await asyncio.to_thread(read_export, owner, content)
        if dry_run:
            return [{"text": one.text, "new": None} for one in said]
        return [{"text": one.text, "new": (await self.remember(one)).new} for one in said]

    async def forget(self, owner: str, ids: Sequence[str] | None) -> Sequence[str]:
        """See Memory."""
        gone = await self._memories.forget(owner, ids)
        if gone:
            self._changed(owner)
        return gone

    async def _one(self, owner: str, memory_id: str) -> MemoryRecord:
        """A memory that can be changed."""
        memory = next(iter(await self._memories.history(owner, memory_id)))
        if memory.status == "superseded":
            raise Conflict("This memory is history; change the one that took its place.", code="memory_superseded")
        return memory

    def _lock(self, owner: str) -> asyncio.Lock:
        return self._locks.setdefault(owner, asyncio.Lock())

    def _changed(self, owner: str, memory_id: str | None = None) -> None:
        self._bus.publish(owner, "memory.changed", id=memory_id)


def _record(said: Said) -> MemoryRecord:
    text, stamp = _checked(said.text), micros()
    span = span_of(text, now())
    dated = (said.happened_at is not None or span is not None) and not claims(text)
    kind = said.kind or kind_of(text, dated=dated)
    happened = said.happened_at
    if happened is None and span is not None and kind == "episode":
        happened = min(span.since, stamp)
    return MemoryRecord(
        id=new_id("mem"),
        owner=said.owner,
        kind=kind,
        text=text,
        scope=said.scope,
        source=said.source,
        created_at=min(said.created_at or stamp, stamp),
        changed_at=stamp,
        happened_at=happened,
        confidence=said.confidence,
        status=said.status,
    )


def _checked(text: str) -> str:
    """Raises BadRequest for one that is empty or too long."""
    text = text.strip()
    if not text:
        raise BadRequest("A memory needs a text.", param="text")
    if len(text) > LONGEST:
        raise BadRequest(f"A memory has at most {LONGEST:,} characters.", param="text")
    return text


def _same(memory: MemoryRecord, other: MemoryRecord) -> bool:
    """Whether it is known by the other: by the same words, or by the same claim."""
    return folded(memory.text) == folded(other.text) or (_comparable(memory, other) and same(memory.text, other.text))


def _supersedes(memory: MemoryRecord, other: MemoryRecord) -> bool:
    return other.status == "active" and _comparable(memory, other) and contradicts(memory.text, other.text)


def _comparable(memory: MemoryRecord, other: MemoryRecord) -> bool:
    """What happened once stays true."""
    return "episode" not in (memory.kind, other.kind)


def _groups(wanted: Wanted) -> Sequence[str] | None:
    """The groups of passages to look in; None for all."""
    if wanted.status == "proposed":
        return ["proposed"]
    return None if wanted.scope is None or wanted.status is None else [wanted.scope]


def _switch_key(owner: str) -> str:
    return f"memory:{owner}"
