"""The room of knowledge, put together: collections, the workers that read documents, and the places they follow."""

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from portal.app.ground import Ground
from portal.core.collections import DocumentRecord, Documents, DocumentStatus, Sources
from portal.core.passages import Embedder, Reranker, Search
from portal.core.ports import Files
from portal.core.recall import Recall
from portal.core.shelving import Shelf
from portal.core.speech import Transcriber
from portal.core.tool_ports import Fetcher, Toolset
from portal.errors import BadRequest
from portal.interfaces.library import EmbedderChoice, Library
from portal.knowledge.announcing import AnnouncedBatches, AnnouncedCollections, AnnouncedDocuments, AnnouncedSources
from portal.knowledge.describing import PictureDescriber
from portal.knowledge.extract import Reader
from portal.knowledge.extract_kind import kind_of
from portal.knowledge.files import KnownFiles
from portal.knowledge.ingest import Ingest
from portal.knowledge.making import Making
from portal.knowledge.places import Grants, Places
from portal.knowledge.previews import Previews
from portal.knowledge.recall import KnowledgeRecall
from portal.knowledge.rerankers import LikenessReranker, reranker_named
from portal.knowledge.search import HybridSearch
from portal.knowledge.shelf import ConversationShelf
from portal.knowledge.toolset import KnowledgeTools
from portal.knowledge.watch import Watch
from portal.settings import Settings
from portal.storage.open import Storage

_CHANGED = "knowledge.changed"
_GLIMPSE = 60
"""Seconds that reading a file to show it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What others look at."""

    library: Library
    previews: Previews
    files: Files
    """As all doors have them: one that is deleted leaves its collections."""
    shelf: Shelf
    """For long files of conversations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """How what is in documents is found and told."""

    embedder: Callable[[], Embedder | None]
    """The one in use now."""
    search: Search
    recall: Recall
    tools: Toolset

    def compares(self) -> Reranker | None:
        """What ranks documents where no model server does."""
        embedder = self.embedder()
        return None if embedder is None else LikenessReranker(embedder)


def finding_in(ground: Ground, embedder: Callable[[], Embedder | None]) -> Finding:
    """In the documents of its stores."""
    storage, models, named = ground.storage, ground.router, ground.settings.knowledge.reranker
    search = HybridSearch(
        passages=storage.passages, embedder=embedder, reranker=lambda: reranker_named(models, named) if named else None
    )
    return Finding(
        embedder=embedder,
        search=search,
        recall=KnowledgeRecall(
            search=search,
            passages=storage.passages,
            collections=storage.collections,
            documents=storage.documents,
        ),
        tools=KnowledgeTools(
            search=search,
            passages=storage.passages,
            collections=storage.collections,
            documents=storage.documents,
            workspaces=models.workspaces,
            conversations=storage.conversations,
        ),
    )


async def open_knowledge(
    ground: Ground, finding: Finding, embedder: EmbedderChoice, transcriber: Transcriber, *, watching: bool = True
) -> Knowledge:
    """Documents are read, and with `watching` places followed, until the ground is closed."""
    settings, storage, bus = ground.settings, ground.storage, ground.bus
    wanted = settings.knowledge
    workers = wanted.workers or os.cpu_count() or 1
    news: list[Callable[[], None]] = []

    def told(document: DocumentRecord, status: DocumentStatus, progress: float) -> None:
        more = {"file_id": document.file_id, "status": status, "progress": round(progress, 3)}
        bus.publish(document.owner, _CHANGED, collection=document.collection_id, **more)
        for tell in news:
            tell()

    describer = await _describer(ground)
    making = Making(
        files=storage.files,
        passages=storage.passages,
        reader=Reader(largest=wanted.max_file, at_once=workers, describer=describer, transcriber=transcriber),
        embedder=finding.embedder,
        largest=wanted.max_file,
    )
    ingest = Ingest(queue=storage.reading_queue, making=making, changed=told, workers=workers)

    def changed(owner: str, collection_id: str) -> None:
        bus.publish(owner, _CHANGED, collection=collection_id)
        ground.cluster.hurry("reading")

    collections = AnnouncedCollections(collections=storage.collections, tell=changed)
    documents = AnnouncedDocuments(documents=storage.documents, tell=changed)
    shelf = ConversationShelf(
        collections=collections,
        documents=documents,
        files=storage.files,
        transcriber=transcriber,
        seconds=wanted.attachment_wait,
    )
    news.append(shelf.tell)
    sources = AnnouncedSources(sources=storage.sources, tell=changed)
    grants = Grants(granted=wanted.folders, own=settings.data_dir)
    watch = _watch(settings, storage, sources, documents, grants, transcriber)
    if storage.database.dialect == "sqlite":  # nobody but this server has claimed anything
        await storage.reading_queue.release()
    ground.cluster.works("reading", ingest.call)
    ground.cluster.renew({_CHANGED: _telling(news)})
    ground.on_duty(documents=ingest.run, **({"watched_places": watch.run} if watching else {}))
    library = Library(
        collections=collections,
        documents=documents,
        batches=AnnouncedBatches(batches=storage.batches, tell=changed),
        passages=storage.passages,
        search=finding.search,
        places=Places(sources=sources, grants=grants, look=_looking(ground, watch)),
        embedder=embedder,
    )
    known = KnownFiles(files=storage.files, documents=documents)
    return Knowledge(library=library, previews=_previews(storage), files=known, shelf=shelf)


def _looking(ground: Ground, watch: Watch) -> Callable[[str], None]:
    """Have the server that follows somebody's places look at them now."""
    notices = ground.cluster.notices
    if notices is None:
        return watch.look
    notices.on("look", lambda _, body: watch.look(body["owner"]))

    def look(owner: str) -> None:
        watch.look(owner)
        notices.tell("look", {"owner": owner})

    return look


def _telling(news: Sequence[Callable[[], None]]) -> Callable[[], Awaitable[None]]:
    """Tell all of them what another server has said."""

    async def told() -> None:
        for tell in news:
            tell()

    return told


def _previews(storage: Storage) -> Previews:
    return Previews(files=storage.files, reader=Reader(seconds=_GLIMPSE, longest=2_000_000, memory=2**30))


def _watch(
    settings: Settings,
    storage: Storage,
    sources: Sources,
    documents: Documents,
    grants: Grants,
    transcriber: Transcriber,
) -> Watch:
    return Watch(
        sources=sources,
        documents=documents,
        files=storage.files,
        fetcher=_guard(settings),
        readable=lambda head, name: _readable(head, name, hears=not transcriber.refusal()),
        interval=settings.knowledge.watch_interval,
        largest=settings.knowledge.max_file,
        own=settings.data_dir.resolve(),
        grants=grants,
    )


async def _describer(ground: Ground) -> PictureDescriber | None:
    """Who says what pictures show, where that is wanted."""
    if not ground.settings.knowledge.describe_pictures:
        return None
    owner = await ground.storage.users.owner()
    return PictureDescriber(models=ground.router, completions=ground.completions, owner=owner.id)


def _guard(settings: Settings) -> Callable[[], Fetcher]:
    @cache
    def guard() -> Fetcher:
        from portal.security.outbound import Guard

        return Guard(settings)

    return guard


def _readable(head: bytes, name: str, *, hears: bool) -> bool:
    """Whether a file of a watched folder is taken: recordings are not, as long as nobody writes them down."""
    try:
        return hears or kind_of(head, name)[0] != "recording"
    except BadRequest:
        return False
