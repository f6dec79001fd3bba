"""What the doors of knowledge open onto; app hands it in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from portal.core.collections import Batches, Collections, Documents, SourceRecord
from portal.core.items import JsonObject
from portal.core.passages import Passages, Search


class Places(Protocol):
    """Places that collections follow, by owner."""

    @property
    def granted(self) -> Sequence[Path]:
        """Folders that may be followed from afar, with all below them."""

    async def list(self, owner: str, collection_id: str | None = None) -> Sequence[SourceRecord]:
        """Oldest first. Raises NotFound."""

    async def follow(self, owner: str, collection_id: str, place: str, *, trusted: bool) -> SourceRecord:
        """Follow a folder of this machine or an address from now on; `trusted` is a person at this machine.

        Raises:
            NotFound: there is no such collection.
            BadRequest: there is no such folder, or the place is neither folder nor address.
            Forbidden: nobody granted this folder.
            Conflict: the collection follows it already.
        """

    async def leave(self, owner: str, source_id: str, *, documents: bool) -> None:
        """Follow it no more; forget what came from it, or keep it as it is. Raises NotFound."""

    def look(self, owner: str) -> None:
        """Look at all of the owner's now instead of in a while; at addresses once a minute at most."""


class EmbedderChoice(Protocol):
    """What turns text into vectors here: one for the whole installation."""

    async def status(self) -> JsonObject:
        """{name, dimensions, available, detail, wanted, embedded, waiting, choices, suggested}."""

    async def choose(self, model: str) -> None:
        """Change to this one, empty for the embedded one. Raises ModelNotFound, BadRequest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Collections, what is in them, and how it is found."""

    collections: Collections
    documents: Documents
    batches: Batches
    passages: Passages
    search: Search
    places: Places
    embedder: EmbedderChoice
