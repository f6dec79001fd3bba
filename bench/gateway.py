"""What Portal adds in front of a model server, beside what a plain reverse proxy adds, over one fake model server.

    python bench/gateway.py [--rounds 8] [--requests 100000] [--short] [--plain] [--limited] [--command "./launch.sh"]

Portal is started by its public command on a temporary data folder and called by a plain model id with an API key: the
full path, with admission, parsing, the choice of the model, accounting and the usage row. The reference is nginx where
it is installed. Rounds alternate between the two, since machines drift: what counts is the ratio and its span.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from load import Sample, Target, drive
from servers import BOUNDS, Process, gateways
from upstream import MODEL

ALONE, MANY, STREAMS, CHUNKS = 1, 16, 64, 100
PACE = 20
"""Milliseconds between two chunks of a stream, as a fast model has them."""
PROBES, PAUSE = 20, 0.08
"""Answers whose first token is waited for while the streams are under way, and the seconds between two of them."""


@dataclass
class Measured:
    """One gateway, and what each round saw of it."""

    name: str
    target: Target
    process: Process | None = None
    latency: list[float] = field(default_factory=list)
    """p50 in ms, one client."""
    request_cpu: list[float] = field(default_factory=list)
    """Microseconds for one request at 16 clients."""
    chunk_cpu: list[float] = field(default_factory=list)
    """Microseconds for one chunk of 64 streams."""
    first: list[float] = field(default_factory=list)
    """p50 in ms until the first chunk of another answer, 64 streams under way."""
    rate: list[float] = field(default_factory=list)
    """Requests a second at 16 clients."""
    errors: list[str] = field(default_factory=list)

    def cpu(self) -> float:
        return self.process.cpu() if self.process else 0.0


async def one_round(where: Measured, scale: float) -> None:
    alone = await drive(where.target, "words=64", clients=ALONE, each=round(400 * scale), words=64)
    where.latency.append(alone.p50(alone.latencies))

    before = where.cpu()
    many = await drive(where.target, "words=64", clients=MANY, each=round(100 * scale), words=64)
    where.request_cpu.append((where.cpu() - before) / max(many.count, 1) * 1e6)
    where.rate.append(many.count / many.wall)

    before, apart = where.cpu(), PACE / 1000 / STREAMS
    load = f"chunks={CHUNKS} pace={PACE}"
    async with asyncio.TaskGroup() as group:
        streaming = group.create_task(
            drive(where.target, load, clients=STREAMS, each=1, stream=True, words=CHUNKS, apart=apart)
        )
        probing = group.create_task(
            drive(where.target, "chunks=2", clients=1, each=PROBES, stream=True, words=2, pause=PAUSE)
        )
    streams, probes = streaming.result(), probing.result()
    where.chunk_cpu.append((where.cpu() - before) / max(streams.chunks, 1) * 1e6)
    where.first.append(probes.p50(probes.firsts))
    for sample in (alone, many, streams, probes):
        where.errors += sample.errors


async def rounds(all_of_them: list[Measured], count: int, scale: float) -> None:
    for number in range(count + 1):  # the first warms up
        if number == 1:
            for where in all_of_them:
                for values in (where.latency, where.request_cpu, where.chunk_cpu, where.first, where.rate):
                    values.clear()
        for where in all_of_them[number % 2 :] + all_of_them[: number % 2]:
            await one_round(where, scale)


async def growth(portal: Measured, requests: int) -> tuple[float, float]:
    """Megabytes after a tenth of the requests, which fills every cache and pool, and after all of them."""
    assert portal.process is not None
    sizes = []
    for share in (requests // 10, requests - requests // 10):
        sample: Sample = await drive(portal.target, "words=8", clients=MANY, each=share // MANY, words=8)
        portal.errors += sample.errors
        sizes.append(portal.process.memory())
    return sizes[0], sizes[1]


def span(values: list[float], digits: int = 2) -> str:
    ordered = sorted(values)
    return f"{median(ordered):.{digits}f} ({ordered[0]:.{digits}f} to {ordered[-1]:.{digits}f})"


def over(one: list[float], other: list[float], how: Callable[[float, float], float]) -> list[float]:
    return [how(mine, theirs) for mine, theirs in zip(one, other, strict=True)]


def table(direct: Measured, before: Measured, portal: Measured, grown: tuple[float, float], requests: int) -> list[str]:
    def minus(mine: float, theirs: float) -> float:
        return mine - theirs

    def times(mine: float, theirs: float) -> float:
        return mine / theirs

    rows = [
        ("latency added, p50, 1 client (ms)", over(before.latency, direct.latency, minus), portal.latency),
        ("time to first token added, p50, 64 streams (ms)", over(before.first, direct.first, minus), portal.first),
    ]
    lines = [f"| | {before.name} | Portal |", "|---|---|---|"]
    for (label, theirs, mine), straight in zip(rows, (direct.latency, direct.first), strict=True):
        lines.append(f"| {label} | {span(theirs)} | {span(over(mine, straight, minus))} |")
    for label, theirs, mine in (
        ("CPU for a request, 16 clients", before.request_cpu, portal.request_cpu),
        ("CPU for a streamed chunk, 64 streams", before.chunk_cpu, portal.chunk_cpu),
    ):
        lines.append(f"| {label} (µs) | {span(theirs, 0)} | {span(mine, 0)} |")
        lines.append(f"| {label} (ratio) | 1 | {span(over(mine, theirs, times))} |")
    lines.append(f"| requests a second, 16 clients | {median(before.rate):.0f} | {median(portal.rate):.0f} |")
    lines.append(f"| errors | {len(before.errors)} | {len(portal.errors)} |")
    lines.append(f"| memory after {requests // 10} and {requests} requests (MB) | | {grown[0]:.1f}, {grown[1]:.1f} |")
    return lines


async def run(arguments: argparse.Namespace) -> list[str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server, name, reference, running, key = gateways(
            arguments.command.split(),
            folder,
            stack,
            plain=arguments.plain,
            bounds=BOUNDS if arguments.limited else (),
        )
        direct = Measured("direct", Target(url=server.url, model=MODEL))
        before = Measured(name, Target(url=reference.url, model=MODEL), reference)
        portal = Measured("Portal", Target(url=running.url, model=MODEL, key=key), running)
        await rounds([direct, before, portal], arguments.rounds, arguments.scale)
        grown = await growth(portal, arguments.requests)
        for where in (direct, before, portal):
            if where.errors:
                print(f"{where.name}: {len(where.errors)} errors, the first: {where.errors[0]}", file=sys.stderr)
        return table(direct, before, portal, grown, arguments.requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--requests", type=int, default=100_000, help="for the growth of memory")
    parser.add_argument("--short", action="store_true", help="under half a minute")
    parser.add_argument("--plain", action="store_true", help="nginx keeps no connections to the model server")
    parser.add_argument("--limited", action="store_true", help="with a key that has scopes, a rate and budgets")
    parser.add_argument("--command", default=f"{sys.executable} -m portal")
    arguments = parser.parse_args()
    arguments.scale = 1.0
    if arguments.short:
        arguments.rounds, arguments.requests, arguments.scale = min(arguments.rounds, 2), 4_000, 0.5
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        lines = runner.run(run(arguments))
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load {load}, {arguments.rounds} rounds: median (lowest to highest)\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
