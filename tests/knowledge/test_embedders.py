import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import numpy as np
import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.model import ModelInfo
from portal.core.passages import Passage, vector_of_question
from portal.errors import BackendProtocolError, BackendUnavailable, BadRequest, ModelNotFound, StorageError
from portal.knowledge.embedders import Embedders
from portal.knowledge.served import ServedEmbedder
from portal.routing.registry import Registry
from portal.settings import load_settings

OWN, OTHER = "own", "bge-m3"


class Index:
    """The part of `Passages` that a change of the embedder needs, in memory."""

    def __init__(self, count: int) -> None:
        self.passages = {f"chunk_{number}": _passage(f"chunk_{number}") for number in range(count)}
        self.vectors: dict[str, dict[str, Any]] = defaultdict(dict)
        self.failure: Exception | None = None

    async def unembedded(self, embedder: str, limit: int) -> Sequence[Passage]:
        return [one for key, one in self.passages.items() if key not in self.vectors[embedder]][:limit]

    async def embed(self, embedder: str, ids: Sequence[str], vectors: Any) -> None:
        if any(len(one) != len(vectors[0]) for one in self.vectors[embedder].values() if isinstance(one, list)):
            raise BadRequest("They are of another size.")
        self.vectors[embedder].update(zip(ids, vectors, strict=True))

    async def embedders(self) -> Mapping[str, int]:
        if self.failure:
            raise self.failure
        return {name: len(vectors) for name, vectors in self.vectors.items() if vectors}

    async def forget_embedder(self, embedder: str) -> None:
        del self.vectors[embedder]


class Notes:
    """Key and value, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, JsonObject | None] = {}

    async def get(self, key: str) -> JsonObject | None:
        return self.kept.get(key)

    async def set(self, key: str, value: JsonObject | None) -> None:
        self.kept[key] = value

    async def change(self, key: str, change: Callable[[JsonObject | None], JsonObject]) -> JsonObject:
        self.kept[key] = changed = change(self.kept.get(key))
        return changed


class Own:
    name, dimensions = OWN, 3

    async def embed(self, texts: Sequence[str]) -> Any:
        return np.tile(np.array([[1, 0, 0]], np.float32), (len(texts), 1))


def _passage(key: str) -> Passage:
    return Passage(
        id=key, owner="o", space="documents", group="g", document="d", text=f"Text of {key}", created_at=micros()
    )


def _can_embed(name: str) -> ModelInfo:
    return ModelInfo(id=name, backend="", capabilities=frozenset({"embeddings"}))


class Desk:
    """The choice of embedders, with what stands around it."""

    def __init__(self, count: int) -> None:
        self.index, self.notes = Index(count), Notes()
        self.server = ScriptedBackend(models=["chat", _can_embed("small"), _can_embed(OTHER)])
        self.registry = Registry(settings=load_settings())
        self.registry.add(self.server)
        self.changed = asyncio.Event()

    def embedders(self, model: str = "") -> Embedders:
        return Embedders(
            own=Own(), model=model, models=self.registry, passages=self.index, key_values=self.notes,  # type: ignore[arg-type]
            on_change=self.changed.set,
        )  # fmt: skip

    @asynccontextmanager
    async def running(self, embedders: Embedders) -> AsyncIterator[Embedders]:
        task = asyncio.ensure_future(embedders.run())  # noqa: TID251
        yield embedders
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def until(self, embedders: Embedders, **shown: object) -> None:
        """Until its status says so."""
        async with asyncio.timeout(20):
            while not shown.items() <= (await embedders.status()).items():
                await asyncio.sleep(0.002)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk(150)
    await made.registry.refresh()
    yield made
    await made.registry.aclose()


async def test_passages_stored_without_vectors_get_them(desk: Desk) -> None:
    async with desk.running(desk.embedders()) as embedders:
        await desk.until(embedders, name=OWN, embedded=150, detail="", dimensions=3)
        await desk.changed.wait()

        assert embedders.current() is not None


async def test_the_old_one_answers_until_the_new_one_is_complete(desk: Desk) -> None:
    async with desk.running(desk.embedders()) as embedders:
        await desk.until(embedders, embedded=150)
        desk.server.failure = BackendUnavailable("gone")
        await embedders.choose(OTHER)
        await desk.until(embedders, detail="gone", name=OWN, wanted=OTHER, embedded=0, waiting=150, available=True)

        desk.server.failure = None
        embedders.hurry()
        await desk.until(embedders, name=OTHER, wanted=OTHER, embedded=150, waiting=0)

    assert set(await desk.index.embedders()) == {OTHER}


async def test_a_change_goes_on_after_a_restart(desk: Desk) -> None:
    await desk.index.embed(OWN, list(desk.index.passages), [0] * 150)
    await desk.index.embed(OTHER, list(desk.index.passages)[:40], [0] * 40)
    desk.server.failure = BackendUnavailable("gone")
    await desk.notes.set("knowledge.embedder", {"model": OTHER})

    async with desk.running(desk.embedders()) as embedders:
        await desk.until(embedders, detail="gone", name=OWN)
        desk.server.failure = None
        embedders.hurry()
        await desk.until(embedders, name=OTHER)

    assert len({text for texts in desk.server.embedded for text in texts}) == 110


async def test_back_to_the_embedded_one_though_the_old_ones_server_is_gone(desk: Desk) -> None:
    await desk.index.embed("lost", list(desk.index.passages), [0] * 150)

    async with desk.running(desk.embedders()) as embedders:
        await desk.until(embedders, name=OWN, embedded=150)

    assert set(await desk.index.embedders()) == {OWN}


async def test_a_server_that_is_away_means_words_alone_and_says_so(desk: Desk) -> None:
    desk.server.failure = BackendUnavailable("It is away.")

    async with desk.running(desk.embedders(OTHER)) as embedders:
        await desk.until(embedders, detail="It is away.", available=False)
        assert embedders.current() is None

        desk.server.failure = None
        embedders.hurry()
        await desk.until(embedders, available=True, detail="")


@pytest.mark.parametrize("failure", [StorageError("The disk failed."), RuntimeError("odd")])
async def test_whatever_fails_is_tried_again(desk: Desk, failure: Exception) -> None:
    desk.index.failure = failure

    async with desk.running(desk.embedders()) as embedders:
        await desk.changed.wait()
        desk.index.failure = None
        embedders.hurry()
        await desk.until(embedders, embedded=150)


async def test_vectors_of_another_size_give_way(desk: Desk) -> None:
    desk.index.vectors[OWN] = {"chunk_0": [1.0, 0.0]}
    async with desk.running(desk.embedders()) as embedders:
        await desk.until(embedders, embedded=150)


async def test_choosing(desk: Desk) -> None:
    embedders = desk.embedders()
    shown = await embedders.status()
    assert (shown["suggested"], shown["choices"]) == (OTHER, [OWN, "small", OTHER])

    with pytest.raises(BadRequest, match="cannot embed"):
        await embedders.choose("chat")
    with pytest.raises(ModelNotFound):
        await embedders.choose("nothing")
    await embedders.choose(OTHER)
    await embedders.choose(OTHER)
    await desk.until(embedders, wanted=OTHER, suggested="")
    await embedders.choose("")
    await desk.until(embedders, wanted=OWN)


async def test_a_served_model_that_is_not_there_or_cannot_embed(desk: Desk) -> None:
    with pytest.raises(BackendUnavailable, match="not there"):
        await ServedEmbedder(model="nothing", models=desk.registry).embed(["a"])
    with pytest.raises(BackendUnavailable, match="cannot embed"):
        await ServedEmbedder(model="x", models=_Mute()).embed(["a"])  # type: ignore[arg-type]


class _Mute:
    def find(self, model: str) -> tuple[object, ModelInfo]:
        return object(), _can_embed(model)


class _Odd(_Mute):
    """Answers with these rows."""

    def __init__(self, *rows: Sequence[float]) -> None:
        self.rows = rows

    def find(self, model: str) -> tuple[object, ModelInfo]:
        return self, _can_embed(model)

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> Any:
        return type("Made", (), {"vectors": self.rows})


@pytest.mark.parametrize("rows", [([1.0], [1.0, 2.0]), ([], []), ([0.0], [1.0]), ([float("nan")], [1.0])])
async def test_rows_that_are_no_vectors_are_refused(rows: Sequence[Sequence[float]]) -> None:
    with pytest.raises(BackendProtocolError):
        await ServedEmbedder(model="x", models=_Odd(*rows)).embed(["a", "b"])  # type: ignore[arg-type]


async def test_a_model_whose_vectors_changed_their_length_is_refused() -> None:
    models = _Odd([1.0, 0.0])
    embedder = ServedEmbedder(model="x", models=models)  # type: ignore[arg-type]
    await embedder.embed(["a"])
    models.rows = ([1.0, 0.0, 0.0],)

    with pytest.raises(BackendProtocolError):
        await embedder.embed(["a"])


class _Heard(_Odd):
    """Remembers what it embedded."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None = None) -> Any:
        self.heard += texts
        self.rows = tuple([1.0, 0.0] for _ in texts)
        return await super().embed(model, texts, dimensions)


@pytest.mark.parametrize(
    ("model", "asked", "told"),
    [
        ("nomic-embed-text:latest", "search_query: ", "search_document: "),
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("jeffh/intfloat-e5-base-v2:f16", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "", ""),
        ("e5-mistral-7b", "", ""),
        ("bge-m3", "", ""),
    ],
)
async def test_families_that_were_taught_prefixes_get_them(model: str, asked: str, told: str) -> None:
    models = _Heard()
    embedder = ServedEmbedder(model=model, models=models)  # type: ignore[arg-type]
    await embedder.embed(["a pear"])
    assert (await vector_of_question(embedder, "what is it?")).tolist() == [1.0, 0.0]
    assert models.heard == [f"{told}a pear", f"{asked}what is it?"]
    assert embedder.prefixed == bool(asked)


async def test_vectors_of_before_there_were_prefixes_are_made_anew(desk: Desk) -> None:
    name = "nomic-embed-text"
    desk.server.set_models(["chat", _can_embed(name)])
    await desk.registry.refresh()
    desk.index.vectors[name] = dict.fromkeys(desk.index.passages, "old")
    made: list[object] = []
    async with desk.running(desk.embedders(name)) as embedders, asyncio.timeout(20):
        while len(made) < 150 or any(isinstance(one, str) for one in made):
            await asyncio.sleep(0.002)
            made = list(desk.index.vectors[name].values())
    async with desk.running(desk.embedders(name)) as embedders:
        await desk.until(embedders, name=name, available=True, embedded=150)
    assert all(one is other for one, other in zip(made, desk.index.vectors[name].values(), strict=True))
