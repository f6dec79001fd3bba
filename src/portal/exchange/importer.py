"""Takes an export over, a piece at a time: files first, then what refers to them. What is there already stays as it is,
so that an import that broke off goes on where it was, and a second one changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Protocol

from portal.core.clock import micros
from portal.core.exchange import STEP, STEP_BYTES, Arrivals, Arriving, derived_id, size_of
from portal.core.memories import Kept as KeptMemory
from portal.core.memories import Memories, MemoryRecord, Said
from portal.core.ports import Files, Folders
from portal.core.records import ConversationRecord, FolderRecord
from portal.errors import BadRequest, Conflict, NotFound
from portal.exchange.archive import Archive
from portal.exchange.bunches import Bunches
from portal.exchange.fields import mapping, moment, text
from portal.exchange.files import Arrived
from portal.exchange.own import Own
from portal.exchange.recognise import Export
from portal.exchange.shape import STRUCTURE, Fact, Left, Persona, Piece, Shelf, Talk, Threads, Upload
from portal.exchange.tally import Tally
from portal.exchange.tree import Grown, grow

_LONGEST_TITLE = 300
_LONGEST_NAME = 200
_LONGEST_INSTRUCTIONS = 100_000
_MOST_FILES = 50
"""Files of one folder."""
_AGAIN = "it is in the export twice"


class Remembering(Protocol):
    """Keeps what is told."""

    async def remember(self, said: Said) -> KeptMemory:
        """Raises BadRequest, and Conflict where memory is off."""


class Personas(Protocol):
    """Makes workspaces."""

    async def bring(self, owner: str, persona: Persona, *, dry_run: bool) -> str:
        """`new`, `known`, or why it cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where what comes in goes."""

    arrivals: Arrivals
    files: Files
    folders: Folders
    memories: Memories
    remembering: Remembering
    personas: Personas


@dataclass(frozen=True, slots=True)
class _Ready:
    """A conversation in one piece that waits for others to be stored with; what is counted then."""

    record: ConversationRecord
    turns: Sequence[Arriving]
    here: Callable[[Collection[str]], None]
    """Hears which of its responses are new."""
    refused: Callable[[str], None]
    """Hears why it cannot be."""


class Importer:
    """One import under way; `tally` says how far it has come."""

    def __init__(
        self,
        *,
        home: Home,
        archive: Archive,
        export: Export,
        import_id: str,
        owner: str,
        source: str,
        dry: bool,
        told: Callable[[], Awaitable[None]],
    ) -> None:
        """With `dry` nothing is stored; `told` is called now and then, when there is news."""
        self._home, self._export, self._archive, self._told = home, export, archive, told
        self._import, self._owner, self._source, self._dry = import_id, owner, source, dry
        self.tally = Tally()
        self._files = Arrived(files=home.files, archive=archive, owner=owner, source=source, tally=self.tally, dry=dry)
        self._folders: dict[str, str] = {}
        self._seen: set[str] = set()
        self._ready: list[_Ready] = []
        self._size = 0
        """Of what is ready, in bytes."""

    async def run(self) -> None:
        """To the end. Raises BadRequest for what is damaged, NotFound where the import was deleted, StorageError."""
        try:
            await self._all()
        except ValueError as error:
            await self._flush()
            raise BadRequest(f"The file cannot be read: {error}.", code="invalid_file") from error
        except BadRequest:
            await self._flush()
            raise

    async def _all(self) -> None:
        bunches = Bunches(self._export.pieces(), self._archive)
        while bunch := await asyncio.to_thread(bunches.next):
            for are_talks, pieces in groupby(bunch, lambda piece: isinstance(piece, Talk)):
                if are_talks:
                    await self._talks([piece for piece in pieces if isinstance(piece, Talk)])
                    continue
                for piece in pieces:
                    await self._take(piece)
                    await self._told()
            await self._flush()
            await self._told()

    async def _put(self, one: _Ready) -> None:
        """Store it with others, in order, as many as one step takes: most of the time goes into steps."""
        size = await asyncio.to_thread(size_of, one.turns)
        waiting = sum(max(len(each.turns), 1) for each in self._ready)
        if self._ready and (waiting + len(one.turns) > STEP or self._size + size > STEP_BYTES):
            await self._flush()
        self._ready.append(one)
        self._size += size

    async def _flush(self) -> None:
        """Store what waits. Where one of them cannot be, the others are."""
        ready, self._ready, self._size = self._ready, [], 0
        if len(ready) > 1:
            with suppress(Conflict):
                coming = [(one.record, one.turns) for one in ready]
                new = await self._home.arrivals.take_all(self._import, coming, owner=self._owner)
                for one in ready:
                    one.here(new)
                return
        for one in ready:
            try:
                one.here(await self._home.arrivals.take(self._import, one.record, one.turns, owner=self._owner))
            except Conflict as error:
                one.refused(error.message.rstrip("."))

    async def _take(self, piece: Piece) -> None:
        match piece:
            case Threads():
                await self._threads(piece)
            case Upload():
                wanted = self._export.mapped(piece.file.key) if isinstance(self._export, Own) else ""
                await self._files.take(piece.file, None, file_id=wanted)
            case Shelf():
                await self._shelf(piece)
            case Fact():
                await self._fact(piece)
            case Persona():
                await self._persona(piece)
            case Left():
                self.tally.find(piece.kind, piece.count)
                self.tally.leave(piece.kind, piece.name, piece.reason, piece.count)

    async def _talks(self, talks: Sequence[Talk]) -> None:
        wanted = [talk for talk in talks if self._wanted(talk)]
        for talk in wanted:
            for one in talk.messages:
                for file in one.files:
                    await self._files.take(file, one.created or talk.created)
                    await self._told()
        for talk, identity, grown in await asyncio.to_thread(self._grown, wanted):
            self.tally.leave_messages(talk.title, grown.left)
            if grown.turns:
                await self._store(self._conversation(talk, identity, grown), grown)
            else:
                self.tally.leave("conversations", talk.title, "it has no message that can be taken over")

    def _wanted(self, talk: Talk) -> bool:
        """Counts it; whether it comes for the first time."""
        said = sum(1 for one in talk.messages if one.skipped != STRUCTURE)
        self.tally.find("conversations")
        self.tally.find("messages", said)
        if talk.id in self._seen:
            self.tally.leave("conversations", talk.title, _AGAIN)
            self.tally.leave("messages", talk.title, _AGAIN, said)
            return False
        self._seen.add(talk.id)
        return True

    def _grown(self, talks: Sequence[Talk]) -> Sequence[tuple[Talk, str, Grown]]:
        """Each with the id that it gets here; in a thread."""
        made = []
        for talk in talks:
            identity = derived_id("conv", talk.created or 0, self._owner, self._source, talk.id)
            scope = {"owner": self._owner, "source": self._source, "conversation_id": identity}
            made.append((talk, identity, grow(talk, **scope, files=self._files.kept)))
        return made

    def _conversation(self, talk: Talk, identity: str, grown: Grown) -> ConversationRecord:
        times = [turn.response.completed_at or turn.response.created_at for turn in grown.turns]
        began = talk.created or min(turn.response.created_at for turn in grown.turns) or micros()
        title = " ".join(talk.title.split())[:_LONGEST_TITLE]
        return ConversationRecord(
            id=identity,
            owner=self._owner,
            created_at=min(began, micros()),
            updated_at=min(max(talk.updated or 0, *times) or began, micros()),
            title=title,
            title_source="user" if title else "none",
            head=grown.head,
            folder_id=self._folders.get(talk.folder or ""),
            pinned=talk.pinned,
            metadata={"imported": {"from": self._source, "id": talk.id[:200]}},
        )

    async def _store(self, record: ConversationRecord, grown: Grown) -> None:
        every = {each for turn in grown.turns for each in turn.messages}
        if self._dry:
            self.tally.take("conversations", new=1)
            self.tally.take("messages", new=len(every))
            return
        dated = [replace(turn, response=_dated(turn.response, record.created_at)) for turn in grown.turns]

        def here(new: Collection[str]) -> None:
            there = {each for turn in grown.turns if turn.response.id not in new for each in turn.messages}
            self.tally.take("conversations", **{"known" if there == every else "new": 1})
            self.tally.take("messages", new=len(every - there), known=len(there))

        def refused(why: str) -> None:
            self.tally.leave("conversations", record.title, why)
            self.tally.leave("messages", record.title, why, len(every))

        await self._put(_Ready(record, dated, here, refused))

    async def _threads(self, threads: Threads) -> None:
        """Of a Portal: a conversation may come in several pieces."""
        more, count = threads.fields.get("more") is True, len(threads.turns)
        self.tally.find("messages", count)
        first = threads.id is not None and threads.id not in self._seen
        if first:
            self._seen.add(threads.id or "")
            self.tally.find("conversations")
        record = None if threads.id is None else self._own_conversation(threads)
        if self._dry:
            self.tally.take("messages", new=count)
            self.tally.take("conversations", new=int(first))
            return
        ids = {one.response.id for one in threads.turns}

        def here(new: Collection[str]) -> None:
            stored = len(ids & set(new))
            self.tally.take("messages", new=stored, known=count - stored)
            if first:
                self.tally.take("conversations", **{"new" if stored else "known": 1})

        def refused(why: str) -> None:
            title = record.title if record else ""
            self.tally.leave("messages", title, why, count)
            if first:
                self.tally.leave("conversations", title, why)

        if record is not None and first and not more:
            return await self._put(_Ready(record, threads.turns, here, refused))
        await self._flush()
        try:
            here(await self._home.arrivals.take(self._import, record, threads.turns, owner=self._owner, more=more))
        except Conflict as error:
            refused(error.message.rstrip("."))

    def _own_conversation(self, threads: Threads) -> ConversationRecord:
        fields = threads.fields
        began = moment(fields.get("created_at")) or micros()
        titled = fields.get("title_source")
        return ConversationRecord(
            id=threads.id or "",
            owner=self._owner,
            created_at=began,
            updated_at=moment(fields.get("updated_at")) or began,
            title=text(fields.get("title"))[:_LONGEST_TITLE],
            title_source=titled if titled in ("none", "model", "user") else "none",
            head=text(fields.get("head")) or None,
            folder_id=self._folders.get(text(fields.get("folder_id"))),
            model=text(fields.get("model")) or None,
            pinned=fields.get("pinned") is True,
            metadata=dict(mapping(fields.get("metadata"))),
        )

    async def _shelf(self, shelf: Shelf) -> None:
        self.tally.find("folders")
        own = isinstance(self._export, Own)
        identity = self._shelf_id(shelf)
        self._folders[identity if own else shelf.id] = identity
        file_ids = self._own_files(shelf) if own else await self._shelf_files(shelf)
        if self._dry:
            self.tally.take("folders", new=1)
            return
        try:
            await self._home.folders.get(self._owner, identity)
            self.tally.take("folders", known=1)
        except NotFound:
            await self._new_shelf(shelf, identity, file_ids)

    def _own_files(self, shelf: Shelf) -> list[str]:
        """Of a Portal: files that came before it."""
        kept = (self._files.kept.get(one.key) for one in shelf.files)
        return [one.id for one in kept if one is not None and one.id]

    async def _shelf_files(self, shelf: Shelf) -> list[str]:
        kept = [await self._files.take(one, shelf.created) for one in shelf.files[:_MOST_FILES]]
        for one in shelf.files[_MOST_FILES:]:
            self.tally.find("files")
            self.tally.leave("files", one.filename, f"a folder has {_MOST_FILES} files at most")
        return [one.id for one in kept if one.id]

    def _shelf_id(self, shelf: Shelf) -> str:
        if isinstance(self._export, Own):
            return self._export.mapped(shelf.id)
        return derived_id("fold", shelf.created or 0, self._owner, self._source, shelf.id)

    async def _new_shelf(self, shelf: Shelf, identity: str, file_ids: list[str]) -> None:
        record = FolderRecord(
            id=identity,
            owner=self._owner,
            name=shelf.name[:_LONGEST_NAME],
            created_at=shelf.created or micros(),
            instructions=shelf.instructions[:_LONGEST_INSTRUCTIONS],
            model=shelf.model,
            file_ids=file_ids,
        )
        try:
            await self._home.folders.save(record)
            self.tally.take("folders", new=1)
        except NotFound:
            self.tally.leave("folders", shelf.name, "its id is in use by somebody else")

    async def _fact(self, fact: Fact) -> None:
        self.tally.find("memories")
        if self._dry:
            self.tally.take("memories", new=1)
            return
        try:
            new = await (self._exactly(fact.record) if fact.record else self._remembered(fact))
            self.tally.take("memories", **{"new" if new else "known": 1})
        except (BadRequest, Conflict) as error:
            self.tally.leave("memories", fact.text, error.message.rstrip("."))

    async def _remembered(self, fact: Fact) -> bool:
        said = Said(owner=self._owner, text=fact.text, created_at=fact.created)
        return (await self._home.remembering.remember(said)).new

    async def _exactly(self, record: MemoryRecord) -> bool:
        if await self._home.memories.get(self._owner, [record.id]):
            return False
        try:
            await self._home.memories.save(record)
        except Conflict as error:
            if error.code == "memory_exists":
                return False
            raise
        return True

    async def _persona(self, persona: Persona) -> None:
        self.tally.find("workspaces")
        outcome = await self._home.personas.bring(self._owner, persona, dry_run=self._dry)
        if outcome in ("new", "known"):
            self.tally.take("workspaces", **{outcome: 1})
        else:
            self.tally.leave("workspaces", persona.name, outcome)


def _dated(record: Any, began: int) -> Any:
    """A response without a time is as old as its conversation; none is of tomorrow."""
    now = micros()
    created = min(record.created_at or began, now)
    return replace(record, created_at=created, completed_at=min(max(record.completed_at or 0, created), now))
