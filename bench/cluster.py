"""Several servers on one PostgreSQL: what a second one brings, how soon a watcher elsewhere sees an event, and what
open streams weigh.

    python bench/cluster.py [--short]

`events` is how much later the same event of a turn reaches a watcher on another server than one on its own, both in
this process. `throughput` is plain calls through one server, and through two with half of them each; generator, model
server, database and servers share the machine, so that the ratio says what is left of a second server there. `streams`
are answers of plain models that are open at once over four servers behind nginx. `rows` is what a stored turn leaves in
PostgreSQL. Needs nginx and the test packages.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median
from time import perf_counter

import aiohttp
import psutil
import psycopg
import uvloop

from load import Sample, Target, drive
from portal.testing.cluster import Cluster
from portal.testing.postgres import postgres_server
from upstream import MODEL

MEGABYTE = 2**20
HERE = Path(__file__).parent


async def upstream(stack: AsyncExitStack) -> str:
    """A model server in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, str(HERE / "upstream.py"), "--port", str(port))

    async def end() -> None:
        process.terminate()
        await process.wait()

    stack.push_async_callback(end)
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return f"http://127.0.0.1:{port}"
        await asyncio.sleep(0.05)


async def arrivals(api: aiohttp.ClientSession, response_id: str) -> dict[int, float]:
    """When each event of a turn came, by its number."""
    seen: dict[int, float] = {}
    async with api.get(f"/v1/responses/{response_id}?stream=true") as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                seen[json.loads(line[6:])["sequence_number"]] = perf_counter()
    return seen


async def events(cluster: Cluster, chunks: int) -> str:
    first, second = cluster.servers[:2]
    async with first.client() as here, second.client() as there:
        body = {"model": MODEL, "input": f"[bench chunks={chunks} pace=10]", "background": True}
        async with here.post("/v1/responses", json=body) as answer:
            response_id = (await answer.json())["id"]
        async with asyncio.TaskGroup() as group:
            own = group.create_task(arrivals(here, response_id))
            other = group.create_task(arrivals(there, response_id))
    both = sorted(own.result().keys() & other.result().keys())[20:]  # without what lay there before they came
    late = sorted((other.result()[number] - own.result()[number]) * 1000 for number in both)
    slow = late[len(late) * 95 // 100]
    return f"events     {len(late)} seen by both; later by p50 {median(late):.2f} ms, p95 {slow:.2f} ms"


async def plain(cluster: Cluster, urls: list[str], each: int, clients: int) -> float:
    """Requests a second, over these servers together."""
    targets = [Target(url=url, model=MODEL, key=cluster.key) for url in urls]
    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        driven = [
            group.create_task(drive(target, "words=16", clients=clients // len(urls), each=each)) for target in targets
        ]
    samples: list[Sample] = [one.result() for one in driven]
    wrong = [error for one in samples for error in one.errors]
    if wrong:
        print(f"{len(wrong)} errors, the first: {wrong[0]}", file=sys.stderr)
    return sum(one.count for one in samples) / (perf_counter() - began)


async def throughput(cluster: Cluster, rounds: int, each: int) -> str:
    urls = [one.file.url for one in cluster.servers[:2]]
    # side by side, for what else goes on here
    pairs = [(await plain(cluster, urls[:1], each, 16), await plain(cluster, urls, each, 16)) for _ in range(rounds)]
    one, two = (median(values) for values in zip(*pairs, strict=True))
    ratio = median(pair[1] / pair[0] for pair in pairs)
    return f"throughput {one:.0f} requests/s with one server, {two:.0f} with two: x {ratio:.2f}"


async def streams(cluster: Cluster, count: int) -> str:
    target = Target(url=f"http://127.0.0.1:{cluster.port}", model=MODEL, key=cluster.key)
    processes = [psutil.Process(one.process.pid) for one in cluster.servers]
    before = [one.memory_info().rss / MEGABYTE for one in processes]
    most = list(before)
    async with asyncio.TaskGroup() as group:
        driven = group.create_task(drive(target, "chunks=30 pace=500", clients=count, each=1, stream=True, apart=0.002))
        while not driven.done():
            await asyncio.sleep(0.5)
            most = [max(old, one.memory_info().rss / MEGABYTE) for old, one in zip(most, processes, strict=True)]
    sample = driven.result()
    if sample.errors:
        print(f"{len(sample.errors)} errors, the first: {sample.errors[0]}", file=sys.stderr)
    told = ", ".join(f"{old:.0f} -> {new:.0f}" for old, new in zip(before, most, strict=True))
    return f"streams    {sample.count} of {count} open over {len(processes)} servers ended well; MB of each: {told}"


SIZES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
SPENT = "SELECT xact_commit, pg_current_wal_lsn() - '0/0' FROM pg_stat_database WHERE datname = current_database()"


def measured(database: str) -> tuple[dict[str, int], int, int]:
    """Bytes of each table with its indexes, commits, and bytes of the log so far."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        sizes: dict[str, int] = dict(connection.execute(SIZES).fetchall())
        commits, log = connection.execute(SPENT).fetchone() or (0, 0)
        return sizes, int(commits), int(log)


async def rows(cluster: Cluster, turns: int) -> str:
    """What a stored turn with 300 words of the manual and an answer of twenty leaves in PostgreSQL."""
    words = " ".join(path.read_text(encoding="utf-8") for path in sorted(HERE.parent.glob("docs/*.md"))).split()

    async with cluster.servers[0].client() as api:

        async def turn(number: int) -> None:
            said = " ".join(words[number * 37 % (len(words) - 300) :][:300])
            question = f"[bench words=20] {said}"
            async with api.post("/v1/responses", json={"model": MODEL, "input": question}) as answer:
                await answer.read()

        await turn(0)
        before = measured(cluster.database)
        for number in range(turns):
            await turn(number)
        await asyncio.sleep(2)  # what is written behind
        after = measured(cluster.database)
    grown = {name: (size - before[0].get(name, 0)) / turns / 1000 for name, size in after[0].items()}
    largest = ", ".join(f"{name} {grown[name]:.1f}" for name in sorted(grown, key=lambda name: -grown[name])[:4])
    commits, log = (after[1] - before[1]) / turns, (after[2] - before[2]) / turns / 1000
    return (
        f"rows       {sum(grown.values()):.1f} kB a stored turn ({largest}); {commits:.1f} commits, {log:.0f} kB of log"
    )


async def run(short: bool) -> list[str]:
    lines = []
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="portal-cluster-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = stack.enter_context(postgres_server())
        model = await upstream(stack)
        count = 2 if short else 4
        opening = Cluster.opened(folder, database=postgres.database(), backend=model, servers=count, model=MODEL)
        cluster = await stack.enter_async_context(opening)
        lines.append(await events(cluster, 200 if short else 1000))
        lines.append(await throughput(cluster, 2 if short else 5, 100 if short else 500))
        lines.append(await streams(cluster, 100 if short else 1000))
        lines.append(await rows(cluster, 100 if short else 1000))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="under a minute: two servers, fewer of everything")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384) if hard > 0 else 16_384, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(run(arguments.short))
    print(f"{platform.system()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
