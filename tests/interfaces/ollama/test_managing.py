"""What changes models, and what Portal does not know itself: an Ollama server's own work, streamed through."""

import asyncio
import hashlib
import json
from collections import Counter

import httpx
import orjson
import pytest
from tests.interfaces.ollama.conftest import asked, lines, refused

from portal.backends.ollama import Config, Ollama
from portal.backends.scripted import ScriptedBackend
from portal.testing.model_server import Answer, Fault
from portal.testing.ollama_server import OllamaModel
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = b"GGUF" + b"\0" * 3_000_000
DIGEST = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"


async def names(api):
    return [row["name"] for row in (await api.get("/api/tags")).json()["models"]]


async def audited(api):
    """How often the audit tells of each subject."""
    return Counter(line["subject"] for line in (await api.get("/portal/v1/audit")).json()["data"])


@pytest.mark.parametrize("field", ["model", "name"])
async def test_pull_tells_its_progress_and_the_model_is_there(api, server, field):
    raw = json.dumps({field: "new", "insecure": False}, indent=1).encode()
    parts = lines(await api.post("/api/pull", content=raw))
    assert [part["status"] for part in parts[-2:]] == ["writing manifest", "success"]
    assert [part["completed"] for part in parts if "completed" in part] == [187500, 375000, 562500, 750000]
    assert asked(server, "/api/pull")[0].raw == raw
    assert "new:latest" in await names(api)


async def test_pull_at_once(api, server):
    answer = await api.post("/api/pull", json={"model": "new", "stream": False})
    assert answer.json() == {"status": "success"}
    assert "new:latest" in await names(api)
    assert (await api.post("/api/chat", json={"model": "new", "messages": []})).status_code == 200


async def test_a_model_nobody_has(api, server):
    parts = lines(await api.post("/api/pull", json={"model": "ghost"}))
    assert parts[-1] == {"error": "pull model manifest: file does not exist"}
    assert refused(await api.post("/api/pull", json={"model": "ghost", "stream": False}), 500)


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.RESET])
async def test_progress_that_breaks_off(api, server, fault):
    server.script(Answer(fault=fault, after=3))
    parts = lines(await api.post("/api/pull", json={"model": "new"}))
    assert "broke off" in parts[-1]["error"]
    assert not any(part.get("status") == "success" for part in parts)


async def test_a_client_that_leaves_stops_the_pull(api, server):
    server.script(Answer(gate=asyncio.Event(), after=2))
    async with api.stream("POST", "/api/pull", json={"model": "new"}) as answer:
        assert orjson.loads(await anext(answer.aiter_lines())) == {"status": "pulling manifest"}
    await server.wait_disconnected()
    await server.wait_active(0)
    assert "new:latest" not in await names(api)


async def test_progress_faster_than_the_client_reads(api, server):
    server.script(Answer(frames=[b'{"status":"%b"}\n' % (b"x" * 10_000)] * 3, fault=Fault.FLOOD, after=1))
    async with api.stream("POST", "/api/pull", json={"model": "new"}) as answer:
        read = 0
        async for _ in answer.aiter_lines():
            read += 1
            for _ in range(50):
                await asyncio.sleep(0)
            if read == 100:
                break
        assert server.bytes_sent < 20 * 2**20
    await server.wait_disconnected()


async def test_push(api, server, second):
    assert lines(await api.post("/api/push", json={"model": "qwen3:8b"}))[-1] == {"status": "success"}
    assert server.pushed == ["qwen3:8b"]
    assert lines(await api.post("/api/push", json={"model": "second/tiny:latest"}))[-1] == {"status": "success"}
    assert second.pushed == ["tiny:latest"]
    assert lines(await api.post("/api/push", json={"model": "ghost"}))[-1] == {"error": "file does not exist"}


async def test_copy_and_delete(api, server, second):
    before = await audited(api)
    made = await api.post("/api/copy", json={"source": "qwen3:8b", "destination": "mine"})
    assert (made.status_code, made.content) == (200, b"")
    assert "mine:latest" in await names(api)
    assert (await api.post("/api/copy", json={"source": "only:1b", "destination": "other"})).status_code == 200
    assert "other:latest" in second.models
    assert "other:latest" not in server.models
    for name in ("mine", "other"):
        gone = await api.request("DELETE", "/api/delete", json={"model": name})
        assert (gone.status_code, gone.content) == (200, b"")
        assert f"{name}:latest" not in await names(api)
    assert (await api.request("DELETE", "/api/delete", json={"name": "second/tiny:latest"})).status_code == 200
    assert "tiny:latest" in server.models
    assert "tiny:latest" not in second.models
    written = await audited(api) - before
    assert (written["/api/copy"], written["/api/delete"]) == (2, 3)


async def test_what_is_not_there_has_near_names(api):
    gone = await api.request("DELETE", "/api/delete", json={"model": "qwen4:8b"})
    assert refused(gone, 404) == "model 'qwen4:8b' not found. Did you mean 'qwen3:8b'?"
    assert "'qwen3:8b'" in refused(await api.post("/api/copy", json={"source": "qwen3:9b", "destination": "x"}), 404)
    assert "not found" in refused(await api.request("DELETE", "/api/delete", json={"model": "~~~~"}), 404)


async def test_create_from_a_model(api, server, second):
    body = {"model": "mario", "from": "only:1b", "system": "You are Mario."}
    assert lines(await api.post("/api/create", json=body))[-1] == {"status": "success"}
    assert "mario:latest" in second.models
    await api.post("/api/create", json={"model": "luigi", "from": "second/tiny:latest"})
    assert asked(second, "/api/create")[-1].body["from"] == "tiny:latest"
    assert {"mario:latest", "luigi:latest"} <= set(await names(api))
    assert "not found" in refused(await api.post("/api/create", json={"model": "x", "from": "ghost"}), 404)


async def test_create_from_a_file(api, server):
    assert (await api.head(f"/api/blobs/{DIGEST}")).status_code == 404

    async def pieces():
        for at in range(0, len(MODEL), 65536):
            yield MODEL[at : at + 65536]

    assert (await api.post(f"/api/blobs/{DIGEST}", content=pieces())).status_code == 201
    assert server.blobs[DIGEST] == MODEL
    assert (await api.head(f"/api/blobs/{DIGEST}")).status_code == 200
    assert (await api.post(f"/api/blobs/{DIGEST}", content=MODEL)).status_code == 200
    body = {"model": "made", "files": {"m.gguf": DIGEST}}
    assert lines(await api.post("/api/create", json=body))[-1] == {"status": "success"}
    assert "made:latest" in await names(api)


async def test_a_file_that_is_another(api, server):
    wrong = f"sha256:{'0' * 64}"
    assert "digest mismatch" in refused(await api.post(f"/api/blobs/{wrong}", content=b"x"), 400)
    assert "invalid digest" in refused(await api.post("/api/blobs/md5:1", content=b"x"), 400)
    assert not server.blobs


async def test_a_file_has_no_limit_of_size(tmp_path, server):
    settings = {"server": {"max_body": 1000}}
    async with (
        open_test_portal(tmp_path / "data", backends=[Ollama(Config(url=server.url))], settings=settings) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
    ):
        assert (await client.post(f"/api/blobs/{DIGEST}", content=MODEL)).status_code == 201
        assert refused(await client.post("/api/pull", content=b" " * 1001), 413)


async def test_a_client_that_leaves_in_the_middle_of_a_file(api, portal, server):
    host, port = portal.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/blobs/{DIGEST} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(MODEL)}\r\n"
    writer.write(head.encode() + f"Authorization: Bearer {portal.key}\r\n\r\n".encode() + MODEL[:100_000])
    await writer.drain()
    writer.close()
    assert (await api.get("/api/version")).status_code == 200
    assert DIGEST not in server.blobs


async def test_what_portal_does_not_know_is_passed_on(api, server):
    for method, path in (("GET", "/api/status?verbose=1"), ("POST", "/api/me"), ("GET", "/api/chat")):
        answer = await api.request(method, path, content=b'{"x": 1}' if method == "POST" else None)
        assert answer.status_code in (404, 405)
        assert asked(server, path.partition("?")[0])[0].method == method
    assert asked(server, "/api/me")[0].raw == b'{"x": 1}'


@pytest.mark.parametrize("path", ["/api/", "/api//me", "/api/x/%2e%2e/pull", "/api/me/"])
async def test_odd_paths_are_passed_to_nobody(portal, server, path):
    before = len([request for request in server.requests if request.method == "PATCH"])
    host, port = portal.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"PATCH {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"
    writer.write(head.encode() + f"Authorization: Bearer {portal.key}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert b" 400 " in answer.splitlines()[0]
    assert len([request for request in server.requests if request.method == "PATCH"]) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "words"),
    [
        ("POST", "/api/pull", b"", "missing request body"),
        ("POST", "/api/pull", b"{", "could not parse"),
        ("POST", "/api/pull", b"[]", "must be a JSON object"),
        ("POST", "/api/pull", b"{}", "model is required"),
        ("POST", "/api/push", b'{"model": ""}', "model is required"),
        ("DELETE", "/api/delete", b'{"model": 1}', "model must be a string"),
        ("POST", "/api/create", b'{"name": []}', "model is required"),
        ("POST", "/api/copy", b"{}", "source is required"),
        ("POST", "/api/copy", b'{"source": "a", "destination": 1}', "destination is required"),
        ("POST", "/api/copy", b"", "body is empty"),
    ],
)
async def test_bad_input(api, method, path, body, words):
    assert words in refused(await api.request(method, path, content=body), 400)


class TestWithoutAnOllamaServer:
    @pytest.fixture
    async def alone(self, tmp_path):
        async with (
            open_test_portal(tmp_path / "data", backends=[ScriptedBackend(models=["tiny"])]) as portal,
            httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
        ):
            yield client

    @pytest.mark.asyncio(loop_scope="function")
    async def test_it_is_said_what_could_be_done(self, alone):
        for method, path, body in (
            ("POST", "/api/pull", {"model": "qwen3:8b"}),
            ("POST", "/api/push", {"model": "tiny"}),
            ("DELETE", "/api/delete", {"model": "tiny"}),
            ("POST", "/api/copy", {"source": "tiny", "destination": "x"}),
            ("POST", "/api/create", {"model": "x", "from": "tiny"}),
            ("POST", "/api/create", {"model": "x"}),
            ("POST", "/api/blobs/sha256:1", None),
        ):
            words = refused(await alone.request(method, path, json=body), 503)
            assert "No Ollama server is connected" in words
            assert "portal models pull" in words
        assert "no Ollama server" in refused(await alone.get("/api/anything"), 404)
        assert refused(await alone.post("/api/show", json={"model": "tini"}), 404) == (
            "model 'tini' not found. Did you mean 'tiny'?"
        )
        assert (await alone.get("/api/version")).json().keys() == {"version"}
        assert (await names(alone))[0] == "auto:latest"

    @pytest.mark.asyncio(loop_scope="function")
    async def test_one_that_does_not_answer(self, tmp_path):
        backend = Ollama(Config(url="http://127.0.0.1:9", name="away"))
        async with (
            open_test_portal(tmp_path / "data", backends=[backend]) as portal,
            httpx.AsyncClient(base_url=portal.url, headers=portal.headers) as client,
        ):
            assert "away (http://127.0.0.1:9) cannot be reached" in refused(
                await client.post("/api/pull", json={"model": "x"}), 503
            )
            assert (await client.get("/api/ps")).json()["models"][0]["name"] == "portal-guide:latest"


async def test_the_server_that_a_new_model_is_meant_for(api, server, second):
    second.library["new:latest"] = OllamaModel(name="new:latest")
    assert lines(await api.post("/api/pull", json={"model": "second/new"}))[-1] == {"status": "success"}
    assert asked(second, "/api/pull")[0].body == {"model": "new"}
    assert not asked(server, "/api/pull")


def whole(content, *, kind="application/json", length=None):
    """A server's answer to anything, with this content."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length or len(content)}\r\n\r\n"
        writer.write(head.encode() + content)
        await writer.drain()
        writer.close()

    return answer


class TestAnswersToWhatPortalDoesNotKnow:
    async def ask(self, server, api, answer, path="/api/status"):
        port = int(server.url.rpartition(":")[2])
        await server.stop()
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            return await api.get(path)

    async def test_come_back_as_they_are(self, api, server):
        got = await self.ask(server, api, whole(b'{"cloud": {}}', kind="application/json; charset=utf-8"))
        assert (got.status_code, got.content) == (200, b'{"cloud": {}}')
        assert got.headers["content-type"] == "application/json; charset=utf-8"

    async def test_streams_too(self, api, server):
        got = await self.ask(server, api, whole(b'{"a":1}\n{"b":2}\n', kind="application/x-ndjson"))
        assert lines(got) == [{"a": 1}, {"b": 2}]

    async def test_one_that_breaks_off_is_broken_off(self, api, server):
        with pytest.raises(httpx.RemoteProtocolError):
            await self.ask(server, api, whole(b'{"a":', length=100))

    async def test_a_description_in_another_form(self, api, server):
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\noops")
            await writer.drain()
            writer.close()

        port = int(server.url.rpartition(":")[2])
        await server.stop()
        async with await asyncio.start_server(answer, "127.0.0.1", port):
            assert "oops" in refused(await api.post("/api/show", json={"model": "qwen3:8b"}), 502)
            assert (await api.get("/api/version")).json() == {"version": "0.13.0"}
