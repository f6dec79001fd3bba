"""SIGKILL in the middle of an import, again and again, while others ask: it goes on by itself, nothing is there twice,
nothing is missing, and what was answered meanwhile stays."""

import asyncio
import json
import random
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
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
IN_PIECES = 1100
"""Responses of one that a Portal's export is read in two pieces for."""


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


def of_portal() -> bytes:
    """The same as another Portal exports it, JSON Lines; the first conversation is longer."""
    talks, responses, files, pictures = [], [], [], {}
    for number in range(CONVERSATIONS):
        mine = list(turns(number, IN_PIECES if number == 0 else LONG // 2))
        responses += mine
        times = {"created_at": mine[0]["created_at"], "updated_at": mine[-1]["created_at"]}
        talks.append({"id": f"conv_{number:032x}", "title": f"Talk {number}", "head": mine[-1]["id"], **times})
        path = f"files/{number}.png"
        pictures[path] = samples.PNG + bytes([number])
        files.append({"id": f"file_{number:032x}", "filename": f"{number}.png", "path": path})
    lines = {"conversations": talks, "responses": responses, "files": files}
    members = {f"{name}.jsonl": "\n".join(map(json.dumps, rows)) for name, rows in lines.items()}
    return samples.packed({"portal-export.json": {"owner": {"id": "user_elsewhere"}}, **members, **pictures})


def turns(number: int, count: int) -> Iterator[dict[str, Any]]:
    for at in range(count):
        own = f"{number:06x}{at:026x}"
        asked = {"id": f"msg_1{own}", "type": "message", "role": "user"}
        said = {"id": f"msg_2{own}", "type": "message", "role": "assistant", "status": "completed"}
        words = f"{at} of conversation {number}"
        yield {
            "id": f"resp_{own}",
            "conversation_id": f"conv_{number:032x}",
            "previous_response_id": f"resp_{number:06x}{at - 1:026x}" if at else None,
            "status": "completed",
            "model": "tiny",
            "created_at": 1_700_000_000 + at,
            "input": [{**asked, "content": [{"type": "input_text", "text": f"question {words}"}]}],
            "output": [{**said, "content": [{"type": "output_text", "text": f"answer {words}", "annotations": []}]}],
        }


async def asking(api: aiohttp.ClientSession, answered: list[str]) -> None:
    """Others, until the server is gone: the ids of what they were told was answered."""
    body = {"model": "portal-guide", "input": "How do I make a backup?"}
    try:
        while True:
            async with api.post("/v1/responses", json=body) as answer:
                told = await answer.json()
                assert (answer.status, told["status"]) == (200, "completed")
                answered.append(told["id"])
    except (aiohttp.ClientError, ConnectionError):
        return


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
@pytest.mark.parametrize("make", [export, of_portal])
async def test_killed_again_and_again_it_comes_in_once(tmp_path: Path, make: Callable[[], bytes]) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "portal.toml").write_text(SETTINGS, encoding="utf-8")
    chance, data, answered = random.Random(11), make(), list[str]()
    async with serving(data_dir) as (process, api):
        async with api.post("/portal/v1/imports?filename=x.zip&start=true", data=data) as answer:
            identity = (await answer.json())["id"]
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
    for last in (False, False, False, True):
        async with serving(data_dir) as (process, api), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(asking(api, answered))
            await asyncio.sleep(chance.uniform(0.05, 0.6))
            while last and not answered:
                await asyncio.sleep(0.02)
            talks = (await told(api, "/portal/v1/conversations?limit=200"))["data"]
            assert all(talk["head"] for talk in talks)  # what shows is whole
            process.send_signal(signal.SIGKILL)
    lengths = {f"Talk {number}": LONG for number in range(CONVERSATIONS)}
    if make is of_portal:
        lengths["Talk 0"] = 2 * IN_PIECES
    async with serving(data_dir) as (_, api):
        await whole(api, await through(api, identity), lengths, 2 if make is of_portal else 1)
        async with api.post("/portal/v1/imports?filename=x.zip&start=true", data=data) as answer:
            again = await through(api, (await answer.json())["id"])
        await whole(api, again, lengths, 2 if make is of_portal else 1)
        assert again["report"]["known"] == again["report"]["found"]
        assert (await told(api, "/portal/v1/conversations?q=conversation 7"))["data"]
        for one in answered:
            assert (await told(api, f"/v1/responses/{one}"))["status"] == "completed"
    assert not list((data_dir / "imports").iterdir())


async def through(api: aiohttp.ClientSession, identity: str) -> Any:
    while (record := await told(api, f"/portal/v1/imports/{identity}"))["status"] in ("reading", "importing"):
        await asyncio.sleep(0.1)
    return record


async def whole(api: aiohttp.ClientSession, record: Any, lengths: dict[str, int], counted_as_one: int) -> None:
    """All of it is there, once; `counted_as_one` are the messages that the report counts as one."""
    assert record["status"] == "done", record["problem"]
    assert (record["report"]["whole"], record["report"]["reasons"]) == (True, [])
    assert record["report"]["found"]["messages"] == sum(lengths.values()) // counted_as_one
    talks, files = await stored(api)
    assert talks == lengths
    assert files == CONVERSATIONS
