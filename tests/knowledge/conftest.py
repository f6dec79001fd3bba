import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from portal.core.collections import CollectionRecord, DocumentRecord, NewDocument
from portal.core.documents import Block, Extracted
from portal.core.passages import Embedder, Passage, Within
from portal.errors import BackendUnavailable, BadRequest
from portal.knowledge.announcing import AnnouncedDocuments
from portal.knowledge.ingest import Ingest
from portal.knowledge.making import Making
from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, collection, file


class SmallReader:
    """Reads UTF-8; a file may ask to fail, or to wait."""

    def __init__(self) -> None:
        self.read_texts: list[str] = []
        self.reading = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failures: list[Exception] = []

    async def read(self, file: Path | bytes, name: str, content_type: str = "") -> Extracted:
        text = (file if isinstance(file, bytes) else file.read_bytes()).decode()
        self.read_texts.append(text)
        self.reading.set()
        if text.startswith("wait"):
            await self.go_on.wait()
        if self.failures:
            raise self.failures.pop(0)
        if text.startswith("foreign"):
            raise BadRequest("Save it as PDF.", code="unsupported_file")
        warnings = ["A picture was left out."] if "picture" in text else []
        return Extracted(text=text, blocks=[Block("text", 0, len(text))] if text else [], warnings=warnings)


class SmallEmbedder:
    """Three numbers a text."""

    name = "small"

    def __init__(self) -> None:
        self.dimensions = 3
        self.texts: list[str] = []
        self.away = False

    async def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        if self.away:
            raise BackendUnavailable("It is away.")
        self.texts += texts
        made = np.array([[len(text), text.count("e"), 1] for text in texts], np.float32)[:, : self.dimensions]
        return made / np.linalg.norm(made, axis=1, keepdims=True)


@dataclass
class Room:
    """A collection, and workers that read into it while `working`."""

    storage: Storage
    collection: CollectionRecord
    reader: SmallReader = field(default_factory=SmallReader)
    embedder: SmallEmbedder | None = field(default_factory=SmallEmbedder)
    told: list[tuple[str, str, float]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    workers: int = 2
    largest: int = 10_000
    beat: float = 2.0
    queue: Any = None

    def __post_init__(self) -> None:
        def embedder() -> Embedder | None:
            return self.embedder

        making = Making(
            files=self.storage.files,
            passages=self.storage.passages,
            reader=self.reader,
            embedder=embedder,
            largest=self.largest,
        )
        queue = self.queue or self.storage.reading_queue
        self.ingest = Ingest(queue=queue, making=making, changed=self._tell, workers=self.workers, beat=self.beat)
        self.documents = AnnouncedDocuments(documents=self.storage.documents, tell=lambda *_: self.ingest.call())

    def _tell(self, document: DocumentRecord, status: str, progress: float) -> None:
        self.told.append((document.file_id, status, progress))
        self.changed.set()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.ingest.run())
            yield
            task.cancel()

    async def add(self, text: str, name: str = "notes.txt", **fields: object) -> str:
        async def content() -> AsyncIterator[bytes]:
            yield text.encode()

        file_id = (await self.storage.files.create(file(filename=name), content())).id
        new = NewDocument(file_id=file_id, **fields)  # type: ignore[arg-type]
        await self.documents.add(OWNER, self.collection.id, [new])
        return file_id

    async def get(self, file_id: str) -> DocumentRecord:
        return await self.storage.documents.get(OWNER, self.collection.id, file_id)

    async def until(self, fits: Callable[[DocumentRecord], bool], *file_ids: str) -> list[DocumentRecord]:
        """The documents, once all fit."""
        while True:
            self.changed.clear()
            records = [await self.get(one) for one in file_ids]
            if all(map(fits, records)):
                return records
            await self.changed.wait()

    async def settled(self, *file_ids: str) -> list[DocumentRecord]:
        return await self.until(lambda one: one.status != "in_progress", *file_ids)

    async def found(self, text: str) -> list[Passage]:
        hits = await self.storage.passages.words(Within(owner=OWNER, space="documents"), text, 100)
        return list(await self.storage.passages.get(OWNER, [hit.id for hit in hits]))


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with open_storage(Settings(data_dir=tmp_path / "data")) as opened:
        yield opened


@pytest.fixture
async def room(storage: Storage) -> Room:
    record = collection()
    await storage.collections.create(record)
    return Room(storage, record)
