"""Fetching model files from a real server: resumed, checked, cancelled, refused."""

import asyncio
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from portal.backends.pulls import ChecksumWrong, Plan, fetch, plan_pull
from portal.errors import (
    BackendInterrupted,
    BackendProtocolError,
    BackendRejected,
    BadRequest,
    Conflict,
    NotFound,
    StorageFull,
)

CONTENT = b"GGUF" + os.urandom(3 * 2**20)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Catalog:
    """A model catalog: redirects to its store, which serves ranges; `stop_after` breaks off there, once."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.linked: str | None = DIGEST
        self.etag: str | None = '"v1"'
        self.stop_after: int | None = None
        self.hold: asyncio.Event | None = None
        self.ranges: list[str | None] = []
        self.reached = asyncio.Event()
        self.wrong_range = False
        self.claimed: int | None = None
        self.location = "/store/file"

    async def __aenter__(self) -> "Catalog":
        app = web.Application()
        app.router.add_get("/owner/repo/resolve/main/{file:.+}", self._resolve)
        app.router.add_get("/store/{file}", self._store)
        app.router.add_get("/loop.gguf", self._loop)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _resolve(self, request: web.Request) -> web.Response:
        if request.match_info["file"].startswith("missing"):
            return web.Response(status=404, text="Entry not found")
        headers = {"Location": self.location}
        if self.linked:
            headers["X-Linked-ETag"] = f'"{self.linked}"'
        return web.Response(status=302, headers=headers)

    async def _loop(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/loop.gguf"})

    async def _store(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        fresh = request.headers.get("If-Range") in (None, self.etag)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and fresh else 0
        if start >= len(self.content):
            return web.Response(status=416)
        body = self.content[start:]
        response = web.StreamResponse(status=206 if start else 200)
        response.content_length = self.claimed or len(body)
        if self.etag:
            response.headers["ETag"] = self.etag
        if start:
            shown = 0 if self.wrong_range else start
            response.headers["Content-Range"] = f"bytes {shown}-{len(self.content) - 1}/{len(self.content)}"
        await response.prepare(request)
        stop, self.stop_after = self.stop_after, None
        for at in range(0, len(body), 65536):
            if stop is not None and at >= stop:
                if self.hold is None:
                    assert request.transport
                    request.transport.abort()
                    return response
                self.reached.set()
                await self.hold.wait()
            await response.write(body[at : at + 65536])
        return response


@pytest.fixture
async def catalog() -> AsyncIterator[Catalog]:
    async with Catalog() as made:
        yield made


def plan(catalog: Catalog, folder: Path, source: str = "owner/repo/m.gguf", sha256: str | None = None) -> Plan:
    return plan_pull(source, folder=folder, catalog=catalog.url, sha256=sha256)


class Progress:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None) -> None:
        self.seen.append((done, total))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_model_of_the_catalog(catalog: Catalog, tmp_path: Path) -> None:
    progress = Progress()
    made = await fetch(plan(catalog, tmp_path / "models"), on_progress=progress)
    assert made.read_bytes() == CONTENT
    assert names(tmp_path / "models") == ["m.gguf"]
    assert progress.seen[0] == (0, len(CONTENT))
    assert progress.seen[-1] == (len(CONTENT), len(CONTENT))
    assert len(progress.seen) >= 4


async def test_a_url_and_a_subfolder(catalog: Catalog, tmp_path: Path) -> None:
    made = await fetch(
        plan(catalog, tmp_path, f"{catalog.url}/owner/repo/resolve/main/a%2Bb.gguf?x=1"), on_progress=Progress()
    )
    assert made.name == "a+b.gguf"
    made = await fetch(plan(catalog, tmp_path, "owner/repo/sub/folder/n.gguf"), on_progress=Progress())
    assert made.name == "n.gguf"


async def test_interrupted_and_resumed(catalog: Catalog, tmp_path: Path) -> None:
    catalog.stop_after = 2**20 + 65536
    with pytest.raises(BackendInterrupted):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    assert names(tmp_path) == ["m.gguf.part", "m.gguf.part.json"]
    have = (tmp_path / "m.gguf.part").stat().st_size
    assert 2**20 <= have < len(CONTENT)
    progress = Progress()
    made = await fetch(plan(catalog, tmp_path), on_progress=progress)
    assert made.read_bytes() == CONTENT
    assert catalog.ranges == [None, f"bytes={have}-"]
    assert progress.seen[0] == (have, len(CONTENT))


async def test_cancelled_and_resumed(catalog: Catalog, tmp_path: Path) -> None:
    catalog.stop_after, catalog.hold = 2 * 2**20, asyncio.Event()
    async with asyncio.TaskGroup() as group:
        pull = group.create_task(fetch(plan(catalog, tmp_path), on_progress=Progress()))
        await catalog.reached.wait()
        pull.cancel()
    assert not (tmp_path / "m.gguf").exists()
    catalog.hold = None
    assert (await fetch(plan(catalog, tmp_path), on_progress=Progress())).read_bytes() == CONTENT


async def test_another_file_meanwhile_is_fetched_anew(catalog: Catalog, tmp_path: Path) -> None:
    catalog.stop_after = 2**20
    with pytest.raises(BackendInterrupted):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    catalog.content, catalog.etag = b"GGUF" + os.urandom(2**20), '"v2"'
    catalog.linked = hashlib.sha256(catalog.content).hexdigest()
    assert (await fetch(plan(catalog, tmp_path), on_progress=Progress())).read_bytes() == catalog.content


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
async def test_what_cannot_be_told_apart_is_fetched_anew(catalog: Catalog, tmp_path: Path, etag: str | None) -> None:
    catalog.etag, catalog.stop_after = etag, 2**20
    with pytest.raises(BackendInterrupted):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    assert (await fetch(plan(catalog, tmp_path), on_progress=Progress())).read_bytes() == CONTENT
    assert catalog.ranges == [None, None]


async def test_a_part_of_another_source_is_not_continued(catalog: Catalog, tmp_path: Path) -> None:
    catalog.stop_after = 2**20
    with pytest.raises(BackendInterrupted):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    url = f"{catalog.url}/store/m.gguf"
    assert (await fetch(plan(catalog, tmp_path, url), on_progress=Progress())).read_bytes() == CONTENT
    assert catalog.ranges == [None, None]


async def test_a_part_that_is_longer_than_the_file(catalog: Catalog, tmp_path: Path) -> None:
    wanted = plan(catalog, tmp_path)
    wanted.part.write_bytes(CONTENT + b"more")
    wanted.note.write_text(json.dumps({"url": wanted.url, "etag": catalog.etag}), encoding="utf-8")
    assert (await fetch(wanted, on_progress=Progress())).read_bytes() == CONTENT


async def test_another_range_than_asked_for(catalog: Catalog, tmp_path: Path) -> None:
    catalog.stop_after = 2**20
    with pytest.raises(BackendInterrupted):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    catalog.wrong_range = True
    with pytest.raises(BackendProtocolError, match="another part"):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())


@pytest.mark.parametrize("given", [True, False])
async def test_a_wrong_checksum_touches_nothing_else(catalog: Catalog, tmp_path: Path, given: bool) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"GGUF mine")
    if not given:
        catalog.linked = "0" * 64
    with pytest.raises(ChecksumWrong, match="nothing else was touched"):
        await fetch(plan(catalog, tmp_path, sha256="A" * 64 if given else None), on_progress=Progress())
    assert names(tmp_path) == ["other.gguf"]
    assert other.read_bytes() == b"GGUF mine"


async def test_a_right_checksum_and_none(catalog: Catalog, tmp_path: Path) -> None:
    await fetch(plan(catalog, tmp_path, sha256=DIGEST.upper()), on_progress=Progress())
    catalog.linked = None
    await fetch(plan(catalog, tmp_path, "owner/repo/n.gguf"), on_progress=Progress())
    assert names(tmp_path) == ["m.gguf", "n.gguf"]


async def test_what_is_no_model_is_thrown_away(catalog: Catalog, tmp_path: Path) -> None:
    catalog.content, catalog.linked = b"<html>Sign in</html>", None
    with pytest.raises(BadRequest, match="no GGUF"):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    assert names(tmp_path) == []


async def test_what_is_not_there(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(BackendRejected, match="404"):
        await fetch(plan(catalog, tmp_path, "owner/repo/missing.gguf"), on_progress=Progress())


async def test_going_round_in_circles(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(BackendProtocolError, match="on and on"):
        await fetch(plan(catalog, tmp_path, f"{catalog.url}/loop.gguf"), on_progress=Progress())


@pytest.mark.parametrize(
    "location",
    ["http://[x", "http://[abc/m.gguf", "https://", "http://host:99999/", "mailto:a@b", "file:///etc/passwd"],
)
async def test_led_astray(catalog: Catalog, tmp_path: Path, location: str) -> None:
    catalog.location = location
    with pytest.raises(BackendProtocolError, match="no address"):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    assert names(tmp_path) == []


@pytest.mark.parametrize("note", ["[1]", "7", '"x"', '{"url": 1}', "{", '{"url": %s, "etag": ["v1"]}'])
async def test_a_note_that_says_nothing(catalog: Catalog, tmp_path: Path, note: str) -> None:
    wanted = plan(catalog, tmp_path)
    wanted.part.write_bytes(CONTENT[:1000])
    wanted.note.write_text(note.replace("%s", json.dumps(wanted.url)), encoding="utf-8")
    assert (await fetch(wanted, on_progress=Progress())).read_bytes() == CONTENT
    assert catalog.ranges == [None]


async def test_a_full_disk_is_said_before(catalog: Catalog, tmp_path: Path) -> None:
    catalog.claimed = 10**16
    with pytest.raises(StorageFull, match="the disk has"):
        await fetch(plan(catalog, tmp_path), on_progress=Progress())
    assert names(tmp_path) == []


async def test_a_disk_that_fills_meanwhile_keeps_the_part(catalog: Catalog, tmp_path: Path) -> None:
    def full(done: int, total: int | None) -> None:
        if done:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFull, match="go on once there is room"):
        await fetch(plan(catalog, tmp_path), on_progress=full)
    assert (tmp_path / "m.gguf.part").exists()
    assert (await fetch(plan(catalog, tmp_path), on_progress=Progress())).read_bytes() == CONTENT


async def test_a_folder_that_cannot_be_written(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file", encoding="utf-8")
    with pytest.raises(BadRequest, match="cannot be stored"):
        await fetch(plan(catalog, tmp_path / "models"), on_progress=Progress())


async def test_a_file_of_this_machine(catalog: Catalog, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(CONTENT)
    folder = tmp_path / "models"
    progress = Progress()
    made = await fetch(plan(catalog, folder, str(mine), DIGEST), on_progress=progress)
    assert made.samefile(mine)
    assert progress.seen == [(len(CONTENT), len(CONTENT))]
    other = tmp_path / "other.gguf"
    other.write_bytes(CONTENT)
    with pytest.raises(ChecksumWrong):
        await fetch(plan(catalog, folder, str(other), "0" * 64), on_progress=Progress())
    other.write_bytes(b"text")
    with pytest.raises(BadRequest):
        await fetch(plan(catalog, folder, str(other)), on_progress=Progress())
    assert other.exists()


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="there is no second file system here")
async def test_a_file_of_another_disk_is_copied(catalog: Catalog, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as far:
        source = Path(far) / "far.gguf"
        source.write_bytes(CONTENT)
        made = await fetch(plan(catalog, tmp_path, str(source)), on_progress=Progress())
    assert made.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("", BadRequest),
        ("qwen3", BadRequest),
        ("owner/repo", BadRequest),
        ("owner/repo/model.bin", BadRequest),
        ("../../etc/passwd.gguf", NotFound),
        ("owner/repo/../../x.gguf", BadRequest),
        ("/no/such/file.gguf", NotFound),
        ("ftp://host/m.gguf", BadRequest),
        ("https://host/", BadRequest),
        ("https://host/.hidden.gguf", BadRequest),
        ("https://host/%2e%2e%2fm.gguf", BadRequest),
        ("http://[abc/x.gguf", BadRequest),
        ("http://[::1/x.gguf", BadRequest),
        ("http://host:99999/x.gguf", BadRequest),
        ("http://host:port/x.gguf", BadRequest),
        ("http:///x.gguf", BadRequest),
        ("://x.gguf", BadRequest),
        (f"https://host/{'x' * 300}.gguf", BadRequest),
        (f"owner/repo/{'é' * 120}.gguf", BadRequest),
        (f"/{'x' * 300}.gguf", BadRequest),
        ("~nobody-of-this-name/x.gguf", BadRequest),
        ("/x\0.gguf", (BadRequest, NotFound)),
    ],
)
def test_what_is_no_source(tmp_path: Path, source: str, error: Any) -> None:
    with pytest.raises(error):
        plan_pull(source, folder=tmp_path, catalog="https://example.org")


def test_a_model_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").touch()
    with pytest.raises(Conflict):
        plan_pull("owner/repo/m.gguf", folder=tmp_path, catalog="https://example.org")
