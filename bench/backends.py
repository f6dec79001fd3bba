"""What Portal's backends cost over asking the model server directly: the performance regression suite.

    python bench/backends.py [--rounds 5] [--short] [--save] [--compare]

For each kind and 1, 16 and 64 streams at once, in one process and in turn: an answer is read straight from a fake model
server by the leanest client there is, and through the backend. The figures are ratios of the two, so that they mean the
same on any machine; a span is the lowest to the highest of the rounds. The scripted backend is compared with a bare
generator. Memory is what Python holds for one stream under way, in kB.

    cpu     CPU for a token           first   time to the first token
    rate    tokens a second           memory  of one stream

`--compare` sets the spans beside those in `bench/baseline/backends.json`: `same` where they overlap or the medians are
within a quarter of each other, else `better` or `worse`. `--save` replaces that file.
"""

import argparse
import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from load import PROMPT, Target, drive
from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config as OpenAIConfig
from portal.backends.openai_compatible import OpenAICompatible
from portal.backends.scripted import ScriptedBackend
from portal.core.model import Finished, ModelEvent, ModelRequest, TextDelta, TokenUsage
from portal.core.ports import Backend
from servers import upstream
from upstream import MODEL

BASELINE = Path(__file__).parent / "baseline" / "backends.json"
LEVELS = (1, 16, 64)
MEASURES = ("cpu", "first", "rate", "memory")
TOLERANCE = 1.25
CHUNKS = 200
FLOOD = f"chunks={CHUNKS}"
PACED = "chunks=20 pace=10"
FEW = "chunks=3 pace=10"


@dataclass(frozen=True)
class Seen:
    """One load: seconds of CPU for a token, seconds to the first token, tokens a second."""

    cpu: float
    first: float
    rate: float


@dataclass(frozen=True)
class Side:
    """One way to a model's answer."""

    run: Callable[[str, int, int], Awaitable[tuple[list[float], int]]]
    """What the model is told, streams at once, how often: each one's time to the first token, and all their tokens."""


async def timed(side: Side, level: int, each: int) -> Seen:
    began, cpu = time.perf_counter(), time.process_time()
    _, tokens = await side.run(FLOOD, level, each)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    firsts, _ = await side.run(FEW, level, max(8 // level, 1))
    return Seen(cpu / tokens, median(firsts), tokens / wall)


async def held(side: Side, level: int) -> float:
    """kB for each of the streams while all of them are under way."""
    await side.run(PACED, 1, 1)
    tracemalloc.start()
    try:
        async with asyncio.TaskGroup() as group:
            streams = group.create_task(side.run(PACED, level, 1))
            before, most = tracemalloc.get_traced_memory()[0], 0
            while not streams.done():
                await asyncio.sleep(0.02)
                most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return (most - before) / level / 1000


def direct(url: str, path: str) -> Side:
    """Straight from the model server."""
    target = Target(url=url, model=MODEL, path=path)

    async def run(note: str, level: int, each: int) -> tuple[list[float], int]:
        sample = await drive(target, note, clients=level, each=each, stream=True)
        if sample.errors:
            raise SystemExit(f"{path}: {sample.errors[0]}")
        return sample.firsts, sample.chunks

    return Side(run)


def through(stream: Callable[[ModelRequest], AsyncGenerator[ModelEvent, None]], pause: float = 0) -> Side:
    """Through a backend's stream."""

    async def one(note: str) -> tuple[float, int]:
        messages = [{"role": "system", "content": "You help."}, {"role": "user", "content": f"{PROMPT}[bench {note}]"}]
        parameters = {"temperature": 0.7, "max_tokens": 512}
        began, first, tokens = time.perf_counter(), 0.0, 0
        async with aclosing(stream(ModelRequest(model=MODEL, messages=messages, parameters=parameters))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    first = first or time.perf_counter() - began
                    tokens += 1
                    if pause and note is PACED:
                        await asyncio.sleep(pause)
        return first, tokens

    async def run(note: str, level: int, each: int) -> tuple[list[float], int]:
        firsts: list[float] = []
        total = 0

        async def client() -> None:
            nonlocal total
            for _ in range(each):
                first, tokens = await one(note)
                firsts.append(first)
                total += tokens

        async with asyncio.TaskGroup() as group:
            for _ in range(level):
                group.create_task(client())
        return firsts, total

    return Side(run)


async def bare(request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
    """What the scripted backend is compared with."""
    for _ in range(CHUNKS):
        yield TextDelta(" word")
    yield Finished("stop")
    yield TokenUsage(20, CHUNKS)


def pairs(url: str) -> dict[str, tuple[Side, Side, Backend]]:
    """Of each kind the direct side, the backend's side, and the backend."""
    ollama = Ollama(OllamaConfig(url=url))
    compatible = OpenAICompatible(OpenAIConfig(url=url))
    scripted = ScriptedBackend(models=[MODEL], default=lambda request: [TextDelta(" word")] * CHUNKS)
    return {
        "ollama": (direct(url, "/api/chat"), through(ollama.stream), ollama),
        "openai_compatible": (direct(url, "/v1/chat/completions"), through(compatible.stream), compatible),
        "scripted": (through(bare, pause=0.001), through(scripted.stream, pause=0.001), scripted),
    }


Figures = dict[str, dict[str, dict[str, list[float]]]]
"""Kind, streams, measure: lowest, median, highest."""


async def figures(rounds: int, each: int) -> Figures:
    made: Figures = {}
    with upstream() as server:
        for kind, (straight, own, backend) in pairs(server.url).items():
            await backend.models()
            for level in LEVELS:
                streams = max(each // level, 1) * (20 if kind == "scripted" else 1)
                seen: dict[str, list[float]] = {measure: [] for measure in MEASURES}
                for number in range(rounds + 1):  # the first warms up
                    one, other = await timed(straight, level, streams), await timed(own, level, streams)
                    if number:
                        seen["cpu"].append(other.cpu / one.cpu)
                        seen["first"].append(other.first / one.first)
                        seen["rate"].append(other.rate / one.rate)
                        seen["memory"].append(await held(own, level) if number < 3 else seen["memory"][-1])
                spans = {measure: [min(values), median(values), max(values)] for measure, values in seen.items()}
                made.setdefault(kind, {})[str(level)] = {
                    measure: [round(value, 3) for value in span] for measure, span in spans.items()
                }
            await backend.aclose()
    return made


def verdict(measure: str, now: list[float], before: list[float]) -> str:
    """Against the baseline; a higher rate is better, of everything else less is."""
    alike = now[0] <= before[2] and before[0] <= now[2]
    if alike or 1 / TOLERANCE <= now[1] / before[1] <= TOLERANCE:
        return "same"
    return "better" if (now[1] > before[1]) == (measure == "rate") else "worse"


def table(made: Figures, before: Figures | None) -> list[str]:
    lines = ["| kind | streams | " + " | ".join(MEASURES) + " |", "|---|---|" + "---|" * len(MEASURES)]
    for kind, levels in made.items():
        for level, spans in levels.items():
            cells = []
            for measure, (low, middle, high) in spans.items():
                cell = f"{middle:.2f} ({low:.2f} to {high:.2f})"
                if before is not None:
                    known = before.get(kind, {}).get(level, {}).get(measure)
                    cell += f", {verdict(measure, [low, middle, high], known)}" if known else ", new"
                cells.append(cell)
            lines.append(f"| {kind} | {level} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="under half a minute")
    parser.add_argument("--save", action="store_true", help="these figures become the baseline")
    parser.add_argument("--compare", action="store_true", help="better, same or worse than the baseline")
    arguments = parser.parse_args()
    rounds, each = (2, 16) if arguments.short else (arguments.rounds, 64)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        made = runner.run(figures(rounds, each))
    before: Figures | None = None
    if arguments.compare:
        before = json.loads(BASELINE.read_text(encoding="utf-8"))
    print("\n".join(table(made, before)))
    if arguments.save:
        BASELINE.parent.mkdir(exist_ok=True)
        BASELINE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
