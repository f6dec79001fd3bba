"""Several servers on one PostgreSQL: what a second one brings, how soon a watcher elsewhere sees an event, and what
open streams weigh.

    python bench/cluster.py [--short]

`events` is how much later the same event of a turn reaches a watcher on another server than one on its own, both in
this process. `throughput` is plain calls through one server, and through two with half of them each; generator, model
server, database and servers share the machine, so that the ratio says what is left of a second server there. `streams`
are answers of plain models that are open at once over four servers behind nginx. `rows` is what a stored turn leaves in
PostgreSQL, `flushes` what it costs there while it is written slowly. `commits`, `notices` and `line` are of the
database alone: a small write, a message from one server to another, and a call's place in a line that servers share.
Needs nginx and the test packages.
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
from portal.core.items import JsonObject
from portal.settings import Settings
from portal.storage.notices import PostgresNotices
from portal.storage.open import open_storage
from portal.storage.shared_calls import PostgresCalls
from portal.testing.cluster import Cluster
from portal.testing.postgres import postgres_server
from upstream import MODEL

MEGABYTE = 2**20
_IDLE = 6.0
"""Seconds in which a cluster at rest is looked at."""
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
SPENT = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_wal_lsn() - '0/0'"


def measured(database: str) -> tuple[dict[str, int], int, int]:
    """Bytes of each table with its indexes, transactions that wrote something, and bytes of the log so far."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        sizes: dict[str, int] = dict(connection.execute(SIZES).fetchall())
        commits, log = connection.execute(SPENT).fetchone() or (0, 0)
        return sizes, int(commits), int(log)


async def rows(cluster: Cluster, turns: int) -> str:
    """What a stored turn leaves in PostgreSQL: 150 words of the manual, and an answer of as many."""
    words = " ".join(path.read_text(encoding="utf-8") for path in sorted(HERE.parent.glob("docs/*.md"))).split()

    async with cluster.servers[0].client() as api:

        async def turn(number: int) -> None:
            said = " ".join(words[number * 37 % (len(words) - 150) :][:150])
            question = f"[bench words=150] {said}"
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


async def flushes(cluster: Cluster, turns: int) -> str:
    """Commits and log of turns that are written in six seconds, side by side."""

    async with cluster.servers[0].client() as api:

        async def turn() -> None:
            question = "[bench chunks=60 pace=100] Tell me."
            async with api.post("/v1/responses", json={"model": MODEL, "input": question, "stream": True}) as answer:
                await answer.read()

        idle = measured(cluster.database)
        await asyncio.sleep(_IDLE)
        before = measured(cluster.database)
        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(turns):
                group.create_task(turn())
        took = perf_counter() - began
        await asyncio.sleep(2)
        after = measured(cluster.database)
    share = (took + 2) / _IDLE  # of what is written while nobody asks anything
    commits = (after[1] - before[1] - (before[1] - idle[1]) * share) / turns
    log = (after[2] - before[2] - (before[2] - idle[2]) * share) / turns / 1000
    each = f"about {commits:.0f} commits and {log:.0f} kB of log each"
    return f"flushes    {turns} turns of {took:.1f} s side by side: {each}"


async def commits(database: str, folder: Path, count: int) -> str:
    """Small writes that reach the disk, one after the other and together."""
    with psycopg.connect(database, autocommit=True) as connection:  # which tests do without
        connection.execute("ALTER SYSTEM SET fsync = on")
        connection.execute("SELECT pg_reload_conf()")
    async with open_storage(Settings(data_dir=folder / "commits", database=database)) as storage:
        times = []
        for number in range(count):
            began = perf_counter()
            await storage.key_values.set(f"bench.{number % 50}", {"number": number})
            times.append((perf_counter() - began) * 1000)

        async def many(whose: int) -> None:
            for number in range(count // 4):
                await storage.key_values.set(f"bench.{whose}", {"number": number})

        began = perf_counter()
        async with asyncio.TaskGroup() as group:
            for whose in range(32):
                group.create_task(many(whose))
        rate = 32 * (count // 4) / (perf_counter() - began)
    return f"commits    one after the other {median(times):.2f} ms each; by one server together {rate:.0f} a second"


async def notices(database: str, count: int) -> str:
    """Messages of the size of a few words of an answer."""
    sender, hearer = (PostgresNotices(url=database, me=name.__str__) for name in ("inst_a", "inst_b"))
    heard, all_heard = 0, asyncio.Event()

    def hear(_: str, body: JsonObject) -> None:
        nonlocal heard
        heard += 1
        if heard >= count:
            all_heard.set()

    hearer.on("bench", hear)
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(one.run()) for one in (sender, hearer)]
        await asyncio.sleep(1)  # until it listens

        async def say(many: int) -> None:
            for _ in range(many):
                await sender.say("bench", {"events": [{"type": "response.output_text.delta", "delta": "x" * 60}]})

        began = perf_counter()
        async with asyncio.TaskGroup() as saying:
            for _ in range(100):
                saying.create_task(say(count // 100))
        await all_heard.wait()
        rate = count / (perf_counter() - began)
        for task in running:
            task.cancel()
    return f"notices    {rate:.0f} a second from one server to another"


async def line(database: str, me: str, count: int) -> str:
    """A call that comes to a shared line and leaves it again."""
    calls, times = PostgresCalls(url=database, me=lambda: me), []
    for number in range(count):
        began = perf_counter()
        await calls.settle("bench", [f"bench-{number}"])
        times.append((perf_counter() - began) * 1000)
    await calls.settle("bench", [])
    await calls.aclose()
    times.sort()
    return (
        f"line       a call waits p50 {median(times):.2f} ms, p95 {times[len(times) * 95 // 100]:.2f} ms for its place"
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
        lines.append(await flushes(cluster, 10 if short else 50))
        async with cluster.servers[0].client() as api, api.get("/portal/v1/cluster") as answer:
            me = (await answer.json())["data"][0]["id"]
        lines.append(await line(cluster.database, me, 100 if short else 1000))
        alone = postgres.database()
        lines.append(await commits(alone, folder, 200 if short else 1000))
        lines.append(await notices(alone, 2000 if short else 20_000))
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
