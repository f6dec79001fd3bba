"""Two versions side by side: the code of before, from the history of this repository, beside the present one on one
PostgreSQL, while somebody works with it all the time."""

import asyncio
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.cluster.test_processes import begun, members, told, watched

from portal.storage.migrate import packaged
from portal.testing.cluster import Cluster
from portal.testing.model_server import Answer
from portal.testing.openai_server import OpenAIServer
from portal.testing.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "tests/fixtures/releases"
LONG = "Talk for long"
MIGRATIONS = "src/portal/storage/migrations"


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def released() -> int:
    """The schema of the last release, as the data that is kept of it has it."""
    archives = RELEASES.glob("*.tar.xz")
    last = max(archives, key=lambda archive: tuple(map(int, archive.name.removesuffix(".tar.xz").split("."))))
    with tarfile.open(last) as packed:
        data = packed.extractfile("portal.db")
        assert data is not None
        return int.from_bytes(data.read(64)[60:], "big")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The source of before the first migration that the last release does not have, else the newest one, came."""
    known = packaged("postgres")
    first = next((one for one in known if one.version > released()), known[-1])
    newer = f"{first.version:04}_{first.name}"
    came = git("log", "--diff-filter=A", "--format=%H", "-1", "--", f"{MIGRATIONS}/{newer}.*")
    before = git("rev-parse", "--verify", "--quiet", f"{came}^" if came else "HEAD")
    if not before:
        pytest.skip("TWO VERSIONS SIDE BY SIDE ARE NOT TESTED: the history of this repository is not here")
    archive = tmp_path / "older.tar"
    subprocess.run(["git", "archive", "-o", str(archive), before, "src"], cwd=ROOT, check=True)
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "older", filter="data")
    assert not list((tmp_path / "older" / MIGRATIONS).glob(f"{newer}.*"))
    return tmp_path / "older" / "src"


class Talker(OpenAIServer):
    """A model that answers in a word, or for long where that is asked for."""

    def next_answer(self, prompt: str) -> Answer:
        if LONG in prompt:
            return Answer(text=[f"w{n} " for n in range(2000)], pace=0.02)
        return Answer(text=["Yes."])


class Worker:
    """Somebody who has one answer after another, whoever gives it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self.done = cluster, dict[str, str]()

    async def work(self) -> None:
        async with self._cluster.client() as api:
            while True:
                body = {"model": "tiny", "input": f"turn {len(self.done)}"}
                try:
                    async with api.post("/v1/responses", json=body) as answer:
                        if answer.status == 200:
                            response = await answer.json()
                            assert response["id"] not in self.done
                            self.done[response["id"]] = response["status"]
                        else:  # by one that is about to end
                            assert answer.status in (502, 503), await answer.text()
                except aiohttp.ClientError:
                    continue

    async def goes_on(self) -> None:
        before = len(self.done)
        async with asyncio.timeout(60):
            while len(self.done) < before + 5:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def working(cluster: Cluster) -> AsyncIterator[Worker]:
    worker = Worker(cluster)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.work())
        yield worker
        task.cancel()


async def replaced(cluster: Cluster, number: int, *by: str) -> None:
    """Stopped in order, and another one started in its place."""
    process = cluster.servers[number].process
    process.terminate()
    await process.wait()
    cluster.servers[number] = await cluster.start(number, by=by)


async def migrated(folder: Path, database: str) -> str:
    folder.mkdir()
    (folder / "portal.toml").write_text(f'database = "{database}"\n', encoding="utf-8")
    command = [sys.executable, "-P", "-m", "portal", "migrate", "--data-dir", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=folder)
    told, _ = await process.communicate()
    return told.decode()


async def test_servers_are_brought_to_a_new_version_one_after_the_other(
    tmp_path: Path, postgres: PostgresServer, older: Path
) -> None:
    as_before = ("env", f"PYTHONPATH={older}")
    database = postgres.database()
    async with (
        Talker(models=["tiny"]) as models,
        Cluster.opened(tmp_path, database=database, backend=models.url, by=as_before) as cluster,
        working(cluster) as worker,
    ):
        await worker.goes_on()
        assert f"schema {packaged('postgres')[-1].version}" in await migrated(tmp_path / "job", database)
        await worker.goes_on()
        for number in range(3):
            await replaced(cluster, number)
            await worker.goes_on()
            await across(cluster, number, (number + 1) % 3)
        await replaced(cluster, 0, *as_before)  # somebody changes their mind
        await worker.goes_on()
        await across(cluster, 0, 1)
        assert len(await members(cluster, 1)) == 3
        async with cluster.client() as api:
            for one, status in list(worker.done.items()):
                assert (await told(api, one))["status"] == status
        assert set(worker.done.values()) == {"completed"}


async def across(cluster: Cluster, one: int, other: int) -> None:
    """What one of them writes is watched and stopped through the other, both ways."""
    for here, there in ((one, other), (other, one)):
        async with cluster.servers[here].client() as api, cluster.servers[there].client() as beside:
            response_id = await begun(api, LONG)
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watched(beside, response_id))
                await asyncio.sleep(1)
                async with beside.post(f"/v1/responses/{response_id}/cancel") as answer:
                    assert (await answer.json())["status"] == "cancelled"
            last = watching.result()[-1]
            assert last["response"]["status"] in ("cancelled", "incomplete")
