"""SIGKILL in the middle of an import, again and again: it goes on by itself, and nothing is there twice or missing."""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.exchange import samples

from portal.cli.server_file import ServerFile, read

SETTINGS = "[discovery]\nenabled = false\n[turns]\ntitles = false\n"
CONVERSATIONS = 40
LONG = 300
"""Messages of each."""


def long(number: int) -> dict[str, Any]:
    """A conversation of several batches, with a picture of its own."""
    nodes: list[dict[str, Any]] = []
    for at in range(LONG):
        role = "user" if at % 2 == 0 else "assistant"
        text = f"message {at} of conversation {number}"
        nodes.append(samples.node(f"n{at}", f"n{at - 1}" if at else None, role, text, at=1_700_000_000.0 + at))
    part = {"content_type": "image_asset_pointer", "asset_pointer": f"sediment://file_{number:04x}"}
    nodes[0]["message"]["content"] = {"content_type": "multimodal_text", "parts": [part, "look"]}
    mapping = {node["id"]: node for node in nodes}
    title = f"Talk {number}"
    times = {"create_time": 1_700_000_000.0 + number, "update_time": 1_700_001_000.0 + number}
    return {"id": f"c{number}", "title": title, **times, "mapping": mapping, "current_node": f"n{LONG - 1}"}


def export() -> bytes:
    pictures = {f"file_{number:04x}-p.png": samples.PNG + bytes([number]) for number in range(CONVERSATIONS)}
    return samples.packed({"conversations.json": [long(number) for number in range(CONVERSATIONS)], **pictures})


@asynccontextmanager
async def serving(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, aiohttp.ClientSession]]:
    """`portal up` in a process of its own, once it answers; killed at the end, if it lives."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "portal", "up", "--unannounced", "--port", "0", "--data-dir", str(data_dir)),
        cwd=data_dir,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        file: ServerFile | None = None
        while file is None or file.pid != process.pid:
            assert process.returncode is None
            await asyncio.sleep(0.02)
            file = read(data_dir)
        async with aiohttp.ClientSession(file.url, headers={"Authorization": f"Bearer {file.token}"}) as api:
            yield process, api
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def told(api: aiohttp.ClientSession, path: str) -> Any:
    async with api.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


async def stored(api: aiohttp.ClientSession) -> tuple[dict[str, int], int]:
    """Messages by title, and files."""
    found: dict[str, int] = {}
    for talk in (await told(api, "/portal/v1/conversations?limit=200"))["data"]:
        export = await told(api, f"/portal/v1/conversations/{talk['id']}/export?format=json")
        items = [item for one in export["responses"] for item in (*one["input"], *one["output"])]
        assert talk["title"] not in found
        found[talk["title"]] = len(items)
    return found, len((await told(api, "/v1/files"))["data"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_killed_again_and_again_it_comes_in_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "portal.toml").write_text(SETTINGS, encoding="utf-8")
    chance = random.Random(11)
    async with serving(data_dir) as (process, api):
        async with api.post("/portal/v1/imports?filename=x.zip&start=true", data=export()) as answer:
            identity = (await answer.json())["id"]
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
    for _ in range(4):
        async with serving(data_dir) as (process, api):
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            talks = (await told(api, "/portal/v1/conversations?limit=200"))["data"]
            assert all(talk["head"] for talk in talks)  # what shows is whole
            process.send_signal(signal.SIGKILL)
    async with serving(data_dir) as (_, api):
        while (record := await told(api, f"/portal/v1/imports/{identity}"))["status"] == "importing":
            await asyncio.sleep(0.1)
        assert record["status"] == "done", record["problem"]
        report = record["report"]
        assert report["whole"]
        assert report["reasons"] == []
        assert report["found"]["messages"] == CONVERSATIONS * LONG
        talks, files = await stored(api)
        assert talks == {f"Talk {number}": LONG for number in range(CONVERSATIONS)}
        assert files == CONVERSATIONS
        query = "conversation 7"
        assert (await told(api, f"/portal/v1/conversations?q={query}"))["data"]
    assert not list((data_dir / "imports").iterdir())
