"""What a large file costs: uploaded and downloaded through a running server, and how its memory grows meanwhile.

python bench/files.py [--megabytes 1024]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil

from calibration import calibration
from portal.testing.portal import open_test_portal

PIECE = 2**20


async def pieces(megabytes: int) -> AsyncIterator[bytes]:
    for number in range(megabytes):
        yield number.to_bytes(8, "big") * (PIECE // 8)


class Growth:
    """The most memory of this process beyond what it had, in megabytes."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._before = self._now()
        self.most = 0.0

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, self._now() - self._before)
            await asyncio.sleep(0.02)

    def _now(self) -> float:
        return self._process.memory_info().rss / 2**20


async def run(megabytes: int) -> None:
    settings = {"server": {"max_upload": (megabytes + 1) * 2**20}}
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_test_portal(Path(folder), settings=settings) as portal,
            aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
        ):
            await transfer(client, 8)
            loop = calibration()
            for what, (seconds, growth) in (await transfer(client, megabytes)).items():
                print(f"{what} of {megabytes} MB: {seconds:6.1f} s ({seconds / loop:7.1f} x calibration), "
                      f"memory grew by {growth:5.1f} MB")  # fmt: skip


async def transfer(client: aiohttp.ClientSession, megabytes: int) -> dict[str, tuple[float, float]]:
    """Seconds and growth, client and server being one process."""
    made: dict[str, tuple[float, float]] = {}
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", pieces(megabytes), filename="large.bin", content_type="application/octet-stream")
    began, growth = time.perf_counter(), Growth()
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(growth.watch())
        async with client.post("/v1/files", data=form) as answer:
            answer.raise_for_status()
            file_id = (await answer.json())["id"]
        watching.cancel()
    made["upload"] = time.perf_counter() - began, growth.most
    began, growth, size = time.perf_counter(), Growth(), 0
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(growth.watch())
        async with client.get(f"/v1/files/{file_id}/content") as answer:
            async for piece in answer.content.iter_any():
                size += len(piece)
        watching.cancel()
    if size != megabytes * PIECE:
        raise SystemExit(f"{size} bytes came back")
    made["download"] = time.perf_counter() - began, growth.most
    async with client.delete(f"/v1/files/{file_id}") as answer:
        answer.raise_for_status()
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    asyncio.run(run(parser.parse_args().megabytes))
