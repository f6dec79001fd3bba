"""Makes `src/portal/knowledge/tool_turn.bin`, by which the vector of a request is turned towards those of tools.

    python training/tools/build.py [--judge]

A ridge regression towards the identity, from requests to the tools that they need: those of `requests.txt` beside this
file, and those of tests/fixtures/tools that the choice is tuned with. `--judge` instead tells how often the right tool
is among eight of all, by likeness alone, for an eighth of the requests or a server's requests that were held out.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portal.core.items import JsonObject
from portal.core.tools import ToolSpec
from portal.knowledge import likeness
from portal.knowledge.minilm import DIMENSIONS, MiniLM

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "tools"
TUNED = ("requests_dev.jsonl", "requests_later_dev.jsonl")
TARGET = Path(likeness.__file__).with_name("tool_turn.bin")
DECAY, FOLDS, SHOWN = 3.0, 8, 8


@dataclass(frozen=True)
class Pair:
    """A request, its server, and the tools that do it."""

    request: str
    server: str
    tools: Sequence[str]


def spec(server: str, name: str, description: str) -> ToolSpec:
    """As likeness wants it."""
    return ToolSpec(name=f"{server}__{name}", description=description, parameters={}, risk="read", toolset=server)


def ours() -> tuple[list[ToolSpec], list[Pair]]:
    """Those of requests.txt."""
    specs, pairs, server = [], [], ""
    for line in (Path(__file__).with_name("requests.txt")).read_text(encoding="utf-8").splitlines():
        head, *requests = line.split(" | ")
        name, told, description = head.partition(": ")
        if line.startswith("# "):
            server = line.removeprefix("# ")
        elif told:
            specs.append(spec(server, name, description))
            pairs += [Pair(request, server, [specs[-1].name]) for request in requests]
    return specs, pairs


def stored() -> tuple[list[ToolSpec], list[Pair]]:
    """Those of the fixtures."""
    servers: list[JsonObject] = [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("*.json"))
    ]
    specs = [spec(one["server"], tool["name"], tool["description"]) for one in servers for tool in one["tools"]]
    lines = [line for name in TUNED for line in (FIXTURES / name).read_text(encoding="utf-8").splitlines()]
    asked = [json.loads(line) for line in lines]
    return specs, [Pair(one["request"], one["tools"][0].partition("__")[0], one["tools"]) for one in asked]


def fit(asked: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The matrix that is added to the identity."""
    return np.linalg.solve(asked.T @ asked + DECAY * np.eye(DIMENSIONS), asked.T @ (wanted - asked))


def judge(asked: np.ndarray, wanted: np.ndarray, tools: np.ndarray, pairs: list[Pair], own: list[list[int]]) -> None:
    """Print the shares."""
    dice = np.random.default_rng(0).integers(0, FOLDS, len(pairs)).tolist()
    for told, groups in (("requests", dice), ("servers", [pair.server for pair in pairs])):
        right = {"as it is": 0, "turned": 0}
        for group in set(groups):
            held = np.array([one == group for one in groups])
            turn = np.concatenate([np.zeros((1, DIMENSIONS)), fit(asked[~held], wanted[~held])])
            for name, vectors in (("as it is", asked[held]), ("turned", likeness.turned(asked[held], turn))):
                best = np.argsort(-(vectors @ tools.T), axis=1)[:, :SHOWN]
                right[name] += sum(
                    bool({*row} & {*own[at]}) for row, at in zip(best.tolist(), np.flatnonzero(held), strict=True)
                )
        print(f"{told} held out:", *(f"{name} {count / len(pairs):.3f}" for name, count in right.items()))


async def main() -> None:
    """Embed, fit, write."""
    (specs, pairs), (others, more) = stored(), ours()
    specs, pairs = [*specs, *others], [*pairs, *more]
    embedder = MiniLM()
    tools = await embedder.embed([likeness.described(one) for one in specs])
    asked = await embedder.embed([likeness.shortened(pair.request) for pair in pairs])
    place = {one.name: at for at, one in enumerate(specs)}
    own = [[place[name] for name in pair.tools] for pair in pairs]
    middle = tools.mean(axis=0)
    wanted = np.stack([tools[each].mean(axis=0) for each in own]) - middle
    if "--judge" in sys.argv:
        judge(asked, wanted, likeness.centred(tools, middle[None]), pairs, own)
    else:
        TARGET.write_bytes(likeness.packed(embedder, np.concatenate([middle[None], fit(asked, wanted)])))


if __name__ == "__main__":
    asyncio.run(main())
