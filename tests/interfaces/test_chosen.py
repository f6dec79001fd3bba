"""What Portal chooses a model for does not fail over what nobody who asks a workspace could know of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.backends.scripted import ScriptedBackend
from portal.core.ports import Backend
from portal.testing.comfyui_server import ComfyUIServer
from portal.testing.model_server import ModelServer
from portal.testing.ollama_server import OllamaModel, OllamaServer
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import TestPortal, open_test_portal

HI = [{"role": "user", "content": "hi there"}]
DOORS: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": HI, "reasoning_effort": "high"}),
    ("/v1/responses", {"input": "hi there", "reasoning": {"effort": "high"}}),
    ("/v1/messages", {"messages": HI, "max_tokens": 50, "thinking": {"type": "enabled", "budget_tokens": 9000}}),
    ("/api/chat", {"messages": HI, "think": True, "stream": False}),
    ("/api/generate", {"prompt": "hi there", "think": "high", "stream": False}),
]


def body_of_last(server: ModelServer) -> dict[str, Any]:
    """What the model was sent last; lists are asked for at any time."""
    paths = ("/api/chat", "/api/generate", "/v1/chat/completions")
    (*_, last) = (request.body for request in server.requests if request.path in paths)
    return dict(last)


@asynccontextmanager
async def client(
    folder: Path, *backends: Backend, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, TestPortal]]:
    async with (
        open_test_portal(folder / "data", backends=backends, settings=settings) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=portal.headers, timeout=20) as made,
    ):
        yield made, portal


@pytest.mark.parametrize(("path", "body"), DOORS)
async def test_a_model_that_does_not_think_is_not_asked_to(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    """Ollama refuses effort for such a model; by its name it still gets what the client sent."""
    async with OllamaServer(models=[OllamaModel(name="plain:7b", capabilities=("completion",))]) as server:
        backend = Ollama(OllamaConfig(url=server.url))
        eager = {"eager": {"parameters": {"reasoning_effort": "high"}}}
        async with client(tmp_path, backend, workspaces=eager) as (asked, _):
            for model in ("auto", "eager"):
                got = await asked.post(path, json={**body, "model": model})
                assert got.status_code == 200, got.text
                assert "think" not in body_of_last(server)
            if path != "/v1/messages":  # agents send it to every model
                refused = await asked.post(path, json={**body, "model": "plain:7b"})
                assert refused.status_code in (400, 503), refused.text
                assert "does not support thinking" in refused.text


@pytest.mark.parametrize(("path", "body"), DOORS)
async def test_one_that_thinks_is(tmp_path: Path, path: str, body: dict[str, Any]) -> None:
    async with OllamaServer(models=[OllamaModel(name="deep", capabilities=("completion", "thinking"))]) as server:
        async with client(tmp_path, Ollama(OllamaConfig(url=server.url))) as (asked, _):
            assert (await asked.post(path, json={**body, "model": "auto"})).status_code == 200
        assert body_of_last(server)["think"]


async def test_a_workspaces_context_is_for_ollama_alone(tmp_path: Path) -> None:
    async with OpenAIServer(models=["strict"]) as server:
        backend = OpenAICompatible(Config(url=server.url))
        async with client(tmp_path, backend, workspaces={"wide": {"parameters": {"num_ctx": 8192}}}) as (asked, _):
            got = await asked.post("/v1/chat/completions", json={"model": "wide", "messages": HI})
        assert got.status_code == 200, got.text
        assert "num_ctx" not in body_of_last(server)


async def test_what_a_model_is_really_given_decides_whether_it_holds_all(tmp_path: Path) -> None:
    """Portal asks Ollama for `ollama.max_context` at most, whatever the model could take."""
    big = OllamaModel(name="big:70b", context_length=131_072, parameter_count=70_000_000_000)
    long = [{"role": "user", "content": "word " * 40_000}]
    async with (
        OllamaServer(models=[big]) as one,
        OpenAIServer(models=[{"id": "small-8b", "max_model_len": 131_072}]) as two,
    ):
        backends = Ollama(OllamaConfig(url=one.url)), OpenAICompatible(Config(url=two.url))
        async with client(tmp_path, *backends) as (asked, _):
            short = (await asked.post("/api/dry-run", json={"model": "auto", "messages": HI})).json()
            told = (await asked.post("/api/dry-run", json={"model": "auto", "messages": long})).json()
            listed = (await asked.get("/v1/models/big:70b")).json()
        assert (short["resolved_model"], told["resolved_model"]) == ("big:70b", "small-8b")
        assert listed["context_window"] == 131_072


async def test_an_engine_that_is_there_is_not_missed(tmp_path: Path) -> None:
    body = {"model": "auto-image", "messages": HI}
    async with client(tmp_path / "without", ScriptedBackend(models=["tiny"])) as (asked, _):
        assert "takes an engine that is not here" in (await asked.post("/api/dry-run", json=body)).json()["reason"]
    async with ComfyUIServer() as comfy:
        engines = {"engines": [{"kind": "comfyui", "url": comfy.url}]}
        async with client(tmp_path / "with", ScriptedBackend(models=["tiny"]), media=engines) as (asked, _):
            async with asyncio.timeout(20):  # it is looked at beside the start
                while "engine" in (await asked.post("/api/dry-run", json=body)).json()["reason"]:
                    await asyncio.sleep(0.05)
