"""The Recall port of memory: what a turn is told of the user, and what is saved because the user says so."""

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from portal.core.clock import now
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.memories import Kept, MemoryRecord, PastTurn, Said, Switches, Wanted
from portal.core.recall import Recalled, Seeking
from portal.core.tokens import estimate
from portal.errors import BadRequest, PortalError
from portal.memory.asked import Wish, wish_of
from portal.memory.keeper import Keeper
from portal.memory.likeness import Likeness
from portal.memory.past import Past
from portal.memory.phrases import PAST_TALK
from portal.memory.subjects import content_words, contradicts, same
from portal.memory.times import Span, span_of

log = logging.getLogger(__name__)

_CANDIDATES = 20
_PREFERENCES = 12
_NEAR = 0.27
"""How alike a question and a memory without a word in common are that it is told of. With the packaged embedder 240
unrelated pairs stay below it, "Tell me a joke" and "I have a bad knee" with .26 the nearest; of 20 related ones most
reach it, from "What does my puppy eat?" and "My dog is called Rex" with .28 on."""
_TURNS = 3
_READ = 1500
"""Characters of a message that are looked at, at its beginning and at its end."""
_EXCERPT = 700
_SHORT = 40
_TELLING = 3
"""A question shorter than that, with fewer words that say something, may mean what was said just before."""
_OVERLAP = 0.75
"""Of the words of what is to be forgotten, those that a memory must have."""
_PAST_TALK = re.compile(PAST_TALK, re.IGNORECASE)

_KNOWN = "What you remember about the user, in their own words; use it where it helps, and do not recite it:"
_SAID = "From earlier conversations with the user:"


@dataclass(slots=True)
class _Told:
    """What a turn is told, as it comes together."""

    lines: list[str] = field(default_factory=list)
    memories: list[MemoryRecord] = field(default_factory=list)
    turns: list[PastTurn] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


class MemoryRecall:
    """See Recall. Reads what fits; writes only what the user's own words ask for."""

    looks = "memory"

    def __init__(
        self, *, keeper: Keeper, past: Past, likeness: Likeness, tokens: int, clock: Callable[[], datetime] = now
    ) -> None:
        """`tokens` is the most that a turn is told."""
        self._keeper = keeper
        self._past = past
        self._likeness = likeness
        self._tokens = tokens
        self._clock = clock

    async def recall(self, seeking: Seeking) -> Recalled:
        """See Recall."""
        if not seeking.workspace.memory or seeking.private or not seeking.text.strip():
            return Recalled()
        try:
            switches = await self._keeper.switches(seeking.owner)
            return await self._recalled(seeking, switches) if switches.enabled else Recalled()
        except PortalError:
            log.exception("nothing was recalled")
            return Recalled()

    async def _recalled(self, seeking: Seeking, switches: Switches) -> Recalled:
        told = _Told()
        wish = wish_of(seeking.text) if seeking.kept else None
        seeking = replace(seeking, text=_ends(seeking.text))
        if wish is not None and wish.action == "remember":
            await self._save(seeking, wish, told)
        elif wish is not None:
            await self._forget(seeking, wish, told)
        room = min(self._tokens, seeking.room)
        span = span_of(seeking.text, self._clock())
        left = self._fill(told, await self._fitting(seeking, span), room)
        if switches.conversations and wish is None and _PAST_TALK.search(seeking.text):
            await self._look_back(seeking, span, told, left)
        return _recalled_of(told)

    # ------------------------------------------------------------------ what the user asks for

    async def _save(self, seeking: Seeking, wish: Wish, told: _Told) -> None:
        said = Said(owner=seeking.owner, text=wish.text, source=seeking.response_id)
        try:
            kept = await self._keeper.remember(said)
        except BadRequest as error:
            told.lines.append(f"What the user asks you to remember could not be saved: {error.message}")
            return
        told.saved.append(kept.memory.id)
        told.lines.append(_saved_line(kept))

    async def _forget(self, seeking: Seeking, wish: Wish, told: _Told) -> None:
        """Only what is surely meant: one memory that says it."""
        found = await self._keeper.search(seeking.owner, wish.text, Wanted(), limit=_CANDIDATES)
        asked = content_words(wish.text)
        meant = [one for one in found if same(wish.text, one.text) or _covers(asked, content_words(one.text))]
        if len(meant) == 1:
            told.forgotten += await self._keeper.forget(seeking.owner, [meant[0].id])
            told.lines.append(
                f'The memory "{meant[0].text}" has just been deleted for the user; say so in a few words.'
            )
        elif meant:
            said = "; ".join(f'"{one.text}"' for one in meant[:5])
            told.lines.append(f"Nothing was forgotten yet: ask which of these memories the user means: {said}")
        else:
            told.lines.append("You have no memory of what the user wants forgotten; say so in a few words.")

    # ------------------------------------------------------------------ what fits

    async def _fitting(self, seeking: Seeking, span: Span | None) -> list[MemoryRecord]:
        """Preferences always, then what was at the time that is named, then what has to do with it; best first."""
        scopes = _scopes(seeking)
        preferences = await self._newest(seeking.owner, Wanted(kind="preference"), scopes, _PREFERENCES)
        then = await self._at(seeking, span, scopes) if span else []
        alone = len(seeking.text) > _SHORT or len(content_words(seeking.text)) >= _TELLING
        question = seeking.text if alone else f"{seeking.before}\n{seeking.text}".strip()
        found = await self._keeper.search(seeking.owner, question, Wanted(), limit=_CANDIDATES, scopes=scopes)
        near = await self._near(seeking.owner, question, found)
        return list({one.id: one for one in (*then, *near, *preferences)}.values())

    async def _at(self, seeking: Seeking, span: Span, scopes: Sequence[str]) -> list[MemoryRecord]:
        wanted = Wanted(kind="episode", since=span.since, until=span.until)
        return await self._newest(seeking.owner, wanted, scopes, _CANDIDATES)

    async def _newest(self, owner: str, wanted: Wanted, scopes: Sequence[str], limit: int) -> list[MemoryRecord]:
        """So many of each scope: what is remembered elsewhere takes no room."""
        pages = [await self._keeper.list(owner, replace(wanted, scope=scope), limit=limit) for scope in scopes]
        return sorted((one for page in pages for one in page.data), key=lambda one: -one.when)

    async def _near(self, owner: str, text: str, found: Sequence[MemoryRecord]) -> list[MemoryRecord]:
        """Those that share a word with the question or mean something like it."""
        like = await self._likeness.of(owner, text, [one.id for one in found])
        asked = content_words(text)
        return [one for one in found if asked & content_words(one.text) or like.get(one.id, 0.0) >= _NEAR]

    @staticmethod
    def _fill(told: _Told, fitting: Sequence[MemoryRecord], room: int) -> int:
        """As many as there is room for; how much is left."""
        for memory in fitting:
            cost = estimate(_line(memory))
            if cost <= room and memory.id not in told.saved:
                told.memories.append(memory)
                room -= cost
        return room

    async def _look_back(self, seeking: Seeking, span: Span | None, told: _Told, room: int) -> None:
        bounds = (span.since, span.until) if span else (None, None)
        turns = await self._past.turns(
            seeking.owner,
            seeking.text,
            since=bounds[0],
            until=bounds[1],
            limit=_TURNS,
            without=seeking.conversation_id,
        )
        for turn in turns:
            cost = estimate(_excerpt(turn))
            if cost <= room:
                told.turns.append(turn)
                room -= cost


def prepare() -> None:
    """Compile what else is compiled when it is first used, so that no turn waits for it."""
    span_of("", now())
    contradicts("", "")


def _ends(text: str) -> str:
    """Beginning and end of a long text, where its question is."""
    return text if len(text) <= 2 * _READ else f"{text[:_READ]}\n{text[-_READ:]}"


def _scopes(seeking: Seeking) -> Sequence[str]:
    here = [f"conversation:{seeking.conversation_id}"] if seeking.conversation_id else []
    return ["user", f"workspace:{seeking.workspace.name}", *here]


def _covers(asked: frozenset[str], known: frozenset[str]) -> bool:
    return bool(asked) and len(asked & known) >= _OVERLAP * len(asked)


def _saved_line(kept: Kept) -> str:
    text = kept.memory.text
    if not kept.new:
        return f'You remember this already: "{text}". Say so in a few words.'
    old = "; ".join(f'"{one.text}"' for one in kept.superseded)
    instead = f", in place of {old}" if old else ""
    return f'This has just been saved to your memory: "{text}"{instead}. Say so in a few words.'


def _line(memory: MemoryRecord) -> str:
    day = _day(memory.happened_at) if memory.happened_at is not None else ""
    return f"- {memory.text}" + (f" ({day})" if day else "")


def _excerpt(turn: PastTurn) -> str:
    text = turn.text if len(turn.text) <= _EXCERPT else f"{turn.text[:_EXCERPT]}…"
    return f"[{_day(turn.created_at)}, {turn.title or 'untitled'}]\n{text}"


def _day(stored: int) -> str:
    return datetime.fromtimestamp(stored / 1_000_000, UTC).astimezone().date().isoformat()


def _recalled_of(told: _Told) -> Recalled:
    parts = ["\n".join(told.lines)] if told.lines else []
    if told.memories:
        parts.append("\n".join([_KNOWN, *map(_line, told.memories)]))
    if told.turns:
        parts.append("\n\n".join([_SAID, *map(_excerpt, told.turns)]))
    if not parts:
        return Recalled()
    untrusted = any(turn.untrusted for turn in told.turns)
    return Recalled(text="\n\n".join(parts), items=[_item(told, untrusted=untrusted)], untrusted=untrusted)


def _item(told: _Told, *, untrusted: bool) -> Item:
    """Names what was used; the texts stay where they can be forgotten."""
    item: JsonObject = {
        "type": "portal:memory",
        "id": new_id("mrc"),
        "status": "completed",
        "memories": [{"id": one.id, "kind": one.kind, "scope": one.scope} for one in told.memories],
        "turns": [{"conversation_id": one.conversation_id, "response_id": one.response_id} for one in told.turns],
        "saved": told.saved,
        "forgotten": told.forgotten,
    }
    return {**item, "portal:untrusted": True} if untrusted else item
