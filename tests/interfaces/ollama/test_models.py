"""Lists and descriptions: models of every kind of server, and workspaces."""

import asyncio
import re

import httpx
import pytest
from tests.interfaces.ollama.conftest import HI, SCRIPTED, asked, refused

from portal.backends.scripted import ScriptedBackend
from portal.knowledge.minilm import MiniLM
from portal.testing.ollama_server import OllamaModel
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def tags(api):
    return {row["name"]: row for row in (await api.get("/api/tags")).json()["models"]}


async def test_every_workspace_and_every_model_with_a_tag(api):
    rows = await tags(api)
    listed = list(rows)
    assert listed[0] == "auto:latest"
    assert {"auto-coding:latest", "qwen3:8b", "tiny:latest", "only:1b", "second/tiny:latest"} <= set(listed)
    assert {"gpt:latest", "script:latest", "portal-guide:latest"} <= set(listed)
    for row in rows.values():
        assert row.keys() == {"name", "model", "modified_at", "size", "digest", "details"}
        assert row["model"] == row["name"]
        assert re.fullmatch("[0-9a-f]{64}", row["digest"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["modified_at"])
    assert (await api.head("/api/tags")).status_code == 200


async def test_a_model_is_described_as_its_server_does(api, server):
    row, theirs = (await tags(api))["qwen3:8b"], server.models["qwen3:8b"]
    assert (row["digest"], row["size"]) == (theirs.digest, theirs.size)
    assert row["details"] == {**theirs.details(), "parameter_size": "8.2B"}
    assert row["modified_at"] == "2026-01-02T03:04:05Z"


async def test_a_workspace_has_the_details_of_the_model_that_would_answer(api):
    rows = await tags(api)
    assert rows["auto:latest"]["details"] == rows["qwen3:8b"]["details"]
    assert rows["auto:latest"]["size"] == 0


async def test_where_nothing_else_embeds_the_embedded_one_does(tmp_path):
    async with (
        open_test_portal(
            tmp_path / "data", backends=[ScriptedBackend(models=SCRIPTED[:1])], embedder=MiniLM()
        ) as portal,
        httpx.AsyncClient(base_url=portal.url) as client,
    ):
        answer = await client.post("/api/embed", json={"model": "auto", "input": "a"})
        assert answer.headers["x-portal-model"] == "all-minilm-l6-v2"
        assert len(answer.json()["embeddings"][0]) == 384


async def test_a_model_comes_before_a_workspace_of_its_name(api, server, portal):
    server.models["auto:latest"] = OllamaModel(name="auto:latest")
    await portal.portal.models.refresh()
    listed = (await tags(api))["auto:latest"]
    assert listed["size"] == 750_000
    body = {"messages": HI, "stream": False}
    plain = await api.post("/api/chat", json={"model": "auto:latest", **body})
    assert plain.headers["x-portal-reason"] == "asked for by name"
    virtual = await api.post("/api/chat", json={"model": "auto", **body})
    assert virtual.headers["x-portal-reason"].startswith("auto: ")


@pytest.mark.parametrize("name", ["qwen3:8b", "tiny", "second/tiny:latest"])
async def test_show_asks_the_server_that_has_it(api, server, second, name):
    asked_one = second if name.startswith("second/") else server
    shown = await api.post("/api/show", json={"model": name, "verbose": True})
    assert shown.json()["modelfile"].startswith("FROM ")
    last = asked(asked_one, "/api/show")[-1].body
    assert last["verbose"] is True
    assert last["model"] == {"tiny": "tiny:latest"}.get(name, name.removeprefix("second/"))


@pytest.mark.parametrize(
    ("name", "capabilities", "about"),
    [
        ("gpt:latest", ["completion"], "Served by compatible, not by Ollama."),
        ("script", ["completion", "tools"], "Served by scripted, not by Ollama."),
        ("script-embed:latest", ["embedding"], "Served by scripted, not by Ollama."),
        ("auto", ["completion", "thinking", "tools", "vision"], "The workspace auto."),
        ("auto-coding:latest", ["completion", "thinking", "tools", "vision"], "The workspace auto-coding."),
    ],
)
async def test_show_of_what_no_ollama_server_has(api, name, capabilities, about):
    shown = (await api.post("/api/show", json={"name": name})).json()
    assert shown["capabilities"] == capabilities
    assert about in shown["modelfile"]
    assert (".Tools" in shown["template"]) is ("tools" in capabilities)
    assert shown["model_info"]["general.architecture"]
    if name == "script":
        assert shown["model_info"] == {"general.architecture": "unknown", "unknown.context_length": 4096}


async def test_show_of_a_model_that_was_pulled_elsewhere(api, server):
    server.models["fresh:latest"] = OllamaModel(name="fresh:latest")
    assert (await api.post("/api/show", json={"model": "fresh"})).status_code == 200
    assert refused(await api.post("/api/show", json={"model": "qwen3:9b"}), 404) == (
        "model 'qwen3:9b' not found. Did you mean 'qwen3:8b'?"
    )
    server.models.pop("tiny:latest")
    assert refused(await api.post("/api/show", json={"model": "tiny"}), 404)
    assert "model is required" in refused(await api.post("/api/show", json={}), 400)
    assert "missing request body" in refused(await api.post("/api/show"), 400)


async def test_what_is_in_memory(api, server, second):
    await api.post("/api/chat", json={"model": "qwen3:8b", "messages": HI, "options": {"num_ctx": 2048}})
    await api.post("/api/generate", json={"model": "only:1b", "prompt": "x"})
    rows = {row["name"]: row for row in (await api.get("/api/ps")).json()["models"]}
    assert list(rows)[:2] == ["qwen3:8b", "only:1b"]
    assert set(rows) == {"qwen3:8b", "only:1b", "script-embed:latest", "portal-guide:latest"}
    assert rows["qwen3:8b"]["context_length"] == 2048
    assert rows["script-embed:latest"].keys() == rows["qwen3:8b"].keys()
    await server.stop()
    assert (await api.get("/api/ps")).json()["models"][0]["name"] == "only:1b"


async def test_a_server_that_hangs_does_not_hide_the_others(api, server):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    port = int(server.url.rpartition(":")[2])
    await server.stop()
    async with await asyncio.start_server(silent, "127.0.0.1", port):
        rows = (await api.get("/api/ps")).json()["models"]
    assert {row["name"] for row in rows} == {"script-embed:latest", "portal-guide:latest"}


async def test_the_version_is_the_servers(api, server, second):
    assert (await api.get("/api/version")).json() == {"version": "0.13.0"}
    assert (await api.head("/api/version")).status_code == 200
    assert asked(server, "/api/version")
    assert not asked(second, "/api/version")


@pytest.mark.parametrize(
    ("headers", "greets"),
    [
        ({"Accept": "application/json"}, True),
        ({"Accept": "*/*"}, True),
        ({"Accept": ""}, True),
        ({"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, False),
        ({"Accept": "TEXT/HTML"}, False),
        ({"Accept": "*/*", "Sec-Fetch-Mode": "cors"}, False),
    ],
)
async def test_the_greeting_at_the_root(api, headers, greets):
    answer = await api.get("/", headers=headers)
    assert (answer.status_code, "accept" in answer.headers["vary"].split(", ")) == (200, True)
    assert (answer.text == "Ollama is running") is greets
    assert ("<!doctype html>" in answer.text.lower()) is not greets
    head = await api.head("/", headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/plain" if greets else "text/html")
