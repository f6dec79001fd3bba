"""Every embedder keeps the port's promises."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import numpy as np
import pytest

from portal.backends import ollama, openai_compatible
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.knowledge.minilm import MiniLM
from portal.knowledge.served import ServedEmbedder
from portal.routing.registry import Registry
from portal.settings import load_settings
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer


async def served(stack: AsyncExitStack, kind: str) -> Embedder:
    backend: Backend
    if kind == "ollama":
        model = OllamaModel(name="bge-m3:latest", capabilities=("embedding",))
        server = await stack.enter_async_context(OllamaServer(models=[model]))
        backend = ollama.Ollama(ollama.Config(url=server.url))
    else:
        other = await stack.enter_async_context(OpenAIServer(models=["bge-m3"]))
        backend = openai_compatible.OpenAICompatible(openai_compatible.Config(url=other.url))
    registry = Registry(settings=load_settings())
    stack.push_async_callback(registry.aclose)
    registry.add(backend)
    await registry.refresh()
    return ServedEmbedder(model="bge-m3", models=registry)


@pytest.fixture(params=["minilm", "ollama", "openai"])
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    async with AsyncExitStack() as stack:
        yield MiniLM() if request.param == "minilm" else await served(stack, request.param)


async def test_one_row_a_text_in_order_each_of_length_1(embedder: Embedder) -> None:
    texts = ["The first.", "", "Ein zweiter, auf Deutsch.", "日本語", "🙂" * 50, "long " * 5000]

    vectors = await embedder.embed(texts)
    again = await embedder.embed(texts[::-1])

    assert (vectors.shape, vectors.dtype) == ((len(texts), embedder.dimensions), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, again[::-1], atol=1e-5)


async def test_no_texts_have_no_rows(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dimensions)


async def test_many_texts_and_several_callers_at_once(embedder: Embedder) -> None:
    texts = [f"text number {number}" for number in range(100)]

    async with asyncio.TaskGroup() as tasks:
        every = [tasks.create_task(embedder.embed(texts)) for _ in range(2)]
        one = tasks.create_task(embedder.embed(texts[40:41]))

    assert np.allclose(every[0].result(), every[1].result())
    assert np.allclose(one.result()[0], every[0].result()[40], atol=1e-5)
