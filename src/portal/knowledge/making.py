"""What becomes of a document: its passages, read or taken over from one with the same content, and their vectors."""

import asyncio
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from portal.core.collections import DocumentRecord, ReadText
from portal.core.documents import Extracted
from portal.core.ids import new_id
from portal.core.passages import Embedder, Passage, Passages
from portal.core.ports import Files
from portal.errors import BackendError, TooLarge
from portal.knowledge.chunks import cut

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Texts embedded together."""
_METHOD = 2
"""Rises when the same file is read or cut in another way than before."""
_LONGEST_NOTE = 2000
_SMALL = 2**20
_READ = 0.1
"""The share of the work that reading is, of a document that is embedded."""

Tell = Callable[[float], None]
"""Is told how far a document is, 0 to 1."""


class Reader(Protocol):
    """Reads the text of files."""

    async def read(self, file: Path | bytes, name: str, content_type: str = "") -> Extracted:
        """What a file says.

        Raises:
            BadRequest: it cannot be read, and why; `unsupported_file` where nothing of its kind can.
            TooLarge: it holds too much.
            BackendError: a model that helps with it is away.
        """


class Making:
    """Makes the text of documents."""

    def __init__(
        self,
        *,
        files: Files,
        passages: Passages,
        reader: Reader,
        embedder: Callable[[], Embedder | None],
        largest: int,
    ) -> None:
        """`embedder` is the one in use now, if any; `largest` is in bytes."""
        self._files, self._passages, self._reader = files, passages, reader
        self._embedder, self._largest = embedder, largest

    @staticmethod
    def key(document: DocumentRecord) -> str:
        """The same for documents that the same passages are made of."""
        kind, cutting = Path(document.filename).suffix.lower(), sorted(document.chunking.items())
        return f"{_METHOD}:{document.sha256}:{kind}:{cutting}"

    async def fresh(self, document: DocumentRecord, tell: Tell) -> ReadText:
        """From its file. Raises what Reader does, and NotFound."""
        if document.size > self._largest:
            most = f"{self._largest / 2**20:,.0f} MB"
            raise TooLarge(f"The file is larger than {most} (setting knowledge.max_file). Split it, or allow more.")
        extracted = await self._extracted(document)
        passages = await asyncio.to_thread(_passages, document, extracted)
        tell(_READ)
        made = await self._embedded(passages, {}, tell)
        return replace(made, note="\n".join(extracted.warnings)[:_LONGEST_NOTE])

    async def _extracted(self, document: DocumentRecord) -> Extracted:
        """A large file goes by way of the disk, never into memory."""
        content = self._files.content(document.owner, document.file_id)
        if document.size <= _SMALL:
            return await self._reader.read(b"".join([piece async for piece in content]), document.filename)
        with tempfile.TemporaryDirectory(prefix="portal-read-") as folder:
            path = Path(folder) / "document"
            with path.open("wb") as file:
                async for piece in content:
                    await asyncio.to_thread(file.write, piece)
            return await self._reader.read(path, document.filename)

    async def copied(self, document: DocumentRecord, twin: str, tell: Tell) -> ReadText:
        """From a document with the same content. Raises like `fresh`."""
        taken = await self._passages.of(document.owner, twin)
        if not taken:  # it was empty, or is gone
            return await self.fresh(document, tell)
        made = {
            one.id: replace(one, id=new_id("chunk"), group=document.collection_id, document=document.id)
            for one in taken
        }
        return await self._embedded(list(made.values()), {one.id: old for old, one in made.items()}, tell)

    async def _embedded(self, passages: Sequence[Passage], taken: Mapping[str, str], tell: Tell) -> ReadText:
        """With vectors, `taken` from other passages where those have them; without where no embedder answers."""
        embedder = self._embedder()
        if embedder is None or not passages:
            return ReadText(passages=passages)
        try:
            return await self._with_vectors(embedder, passages, taken, tell)
        except BackendError as error:
            log.warning("documents are found by their words until the embedder is back: %s", error.message)
            return ReadText(passages=passages)

    async def _with_vectors(
        self, embedder: Embedder, passages: Sequence[Passage], taken: Mapping[str, str], tell: Tell
    ) -> ReadText:
        import numpy as np

        owner, made = passages[0].owner, np.empty((len(passages), embedder.dimensions), np.float32)
        for start in range(0, len(passages), AT_ONCE):
            some = passages[start : start + AT_ONCE]
            old = [taken[one.id] for one in some if one.id in taken]
            known = await self._passages.vectors(owner, embedder.name, old) if old else {}
            known = {key: one for key, one in known.items() if len(one) == embedder.dimensions}
            missing = [at for at, one in enumerate(some) if taken.get(one.id) not in known]
            for at, one in enumerate(some):
                if at not in missing:
                    made[start + at] = known[taken[one.id]]
            if missing:
                made[[start + at for at in missing]] = await embedder.embed([some[at].told for at in missing])
            tell(_READ + (1 - _READ) * (start + len(some)) / len(passages))
        return ReadText(passages=passages, embedder=embedder.name, vectors=made)


def _passages(document: DocumentRecord, extracted: Extracted) -> Sequence[Passage]:
    chunking = {"type": "static", "static": document.chunking} if document.chunking else None
    written = extracted.written or document.modified or document.created_at
    return [
        Passage(
            id=new_id("chunk"),
            owner=document.owner,
            space="documents",
            group=document.collection_id,
            document=document.id,
            position=at,
            text=piece.text,
            heading=piece.heading,
            page=piece.page,
            start=piece.start,
            end=piece.end,
            created_at=piece.written or written,
        )
        for at, piece in enumerate(cut(extracted, chunking))
    ]
