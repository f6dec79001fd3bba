"""What a kill suite kills: one server alone on SQLite, or one of three on PostgreSQL behind nginx, whose work others
must take over. Both are used by the same address all the time."""

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import aiohttp
import apsw
import psycopg

from portal.cli.server_file import ServerFile, read
from portal.testing.cluster import SETTINGS, Cluster

RUNNING = "SELECT COUNT(*) FROM responses WHERE status IN ('queued', 'in_progress')"
LEADER = "SELECT i.pid FROM duties d JOIN instances i ON i.id = d.holder"
SOON = 60.0
"""Seconds until the others have taken over, on a machine that does other things besides."""


class Standing(Protocol):
    """One server or several."""

    def rounds(self, wanted: int) -> int:
        """How often it is killed when that often is wanted; three servers take their time."""

    async def kill(self, *, leader: bool = True) -> None:
        """SIGKILL the one that does what one does for all, or whichever."""

    async def again(self, *, ready: bool = True) -> None:
        """After that: what was killed is started anew. `ready`: it answers, and nothing is left as it was."""

    def client(self) -> aiohttp.ClientSession:
        """As the owner."""

    def stored(self, sql: str) -> Sequence[tuple[Any, ...]]:
        """What the database says."""


Opening: TypeAlias = Callable[..., AbstractAsyncContextManager[Standing]]


async def launched(data_dir: Path, backend: str) -> asyncio.subprocess.Process:
    """A server in a process of its own."""
    with data_dir.with_name("errors.txt").open("ab") as errors:  # for whoever looks into a failure
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "portal", "up", "--unannounced", "--port", "0", "--data-dir", str(data_dir)),
            *("--backend", f"openai_compatible={backend}"),
            cwd=data_dir,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=errors,
        )


async def started(data_dir: Path, backend: str) -> tuple[asyncio.subprocess.Process, ServerFile]:
    """The same, once it answers."""
    process = await launched(data_dir, backend)
    while True:
        assert process.returncode is None, "portal up ended"
        file = read(data_dir)
        if file is not None and file.pid == process.pid:
            break
        await asyncio.sleep(0.01)
    async with client(file) as api:
        while True:
            async with api.get("/v1/models") as answer:
                if any(model["id"] == "tiny" for model in (await answer.json())["data"]):
                    return process, file
            await asyncio.sleep(0.01)


def client(file: ServerFile) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(file.url, headers={"Authorization": f"Bearer {file.token}"})


class Alone:
    """One `portal up`."""

    def __init__(self, folder: Path, backend: str) -> None:
        self._data, self._backend = folder / "data", backend
        self._process: asyncio.subprocess.Process | None = None
        self._file: ServerFile | None = None

    def rounds(self, wanted: int) -> int:
        return wanted

    async def kill(self, *, leader: bool = True) -> None:
        assert self._process is not None
        assert self._process.returncode is None, "portal up ended"
        self._process.kill()
        await self._process.wait()

    async def again(self, *, ready: bool = True) -> None:
        if ready:
            self._process, self._file = await started(self._data, self._backend)
        else:
            self._process = await launched(self._data, self._backend)

    def client(self) -> aiohttp.ClientSession:
        assert self._file is not None
        return client(self._file)

    def stored(self, sql: str) -> Sequence[tuple[Any, ...]]:
        connection = apsw.Connection(str(self._data / "portal.db"), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            return list(connection.execute(sql))
        finally:
            connection.close()


class Three:
    """Three of them; the killed one comes back once the others have taken over."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._killed, self._chooser = cluster, -1, random.Random(9)

    def rounds(self, wanted: int) -> int:
        return max(1, wanted // 4)

    async def kill(self, *, leader: bool = True) -> None:
        self._killed = await self._leader() if leader else self._chooser.randrange(3)
        process = self._cluster.servers[self._killed].process
        process.kill()
        await process.wait()

    async def again(self, *, ready: bool = True) -> None:
        await self._leader()
        if ready:
            async with asyncio.timeout(SOON):
                while self.stored(RUNNING) != [(0,)]:
                    await asyncio.sleep(0.05)
        self._cluster.servers[self._killed] = await self._cluster.start(self._killed)

    async def _leader(self) -> int:
        """Which one leads, once it is one that lives."""
        async with asyncio.timeout(SOON):
            while True:
                pids = [pid for (pid,) in self.stored(LEADER)]
                for number, one in enumerate(self._cluster.servers):
                    if one.process.returncode is None and one.file.pid in pids:
                        return number
                await asyncio.sleep(0.05)

    def client(self) -> aiohttp.ClientSession:
        return self._cluster.client()

    def stored(self, sql: str) -> Sequence[tuple[Any, ...]]:
        with psycopg.connect(self._cluster.database) as connection:
            return connection.execute(sql.encode()).fetchall()


@asynccontextmanager
async def open_standing(
    folder: Path, database: str, *, backend: str, settings: str = "", plugins: Sequence[Path] = ()
) -> AsyncIterator[Standing]:
    """One without a database, else three on it. `plugins` are files of tools of one's own."""
    homes = [folder / f"server-{number}" for number in range(3)] if database else [folder / "data"]
    for home in homes:
        (home / "tools").mkdir(mode=0o700, parents=True)
        home.chmod(0o700)
        for plugin in plugins:
            shutil.copy(plugin, home / "tools" / plugin.name.replace("_plugin", ""))
    if database:
        async with Cluster.opened(folder, database=database, backend=backend, settings=settings) as cluster:
            yield Three(cluster)
        return
    (folder / "data" / "portal.toml").write_text(SETTINGS + settings, encoding="utf-8")
    alone = Alone(folder, backend)
    await alone.again()
    try:
        yield alone
    finally:
        await alone.kill()
