"""Scores the choice of tools on requests; shared by the test and bench/tools.py."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from portal.core.items import JsonObject
from portal.core.selection import Ranking
from portal.core.thesaurus import Thesaurus
from portal.core.tool_ports import Likeness
from portal.core.tools import ToolSpec
from portal.knowledge.likeness import EmbeddedLikeness
from portal.knowledge.minilm import MiniLM

HERE = Path(__file__).parent.parent / "fixtures" / "tools"
SHOWN = 8


@dataclass(frozen=True)
class Asked:
    name: str
    path: Path
    tuned: bool
    """Whether the choice was tuned with it; the misses of the others were never looked at."""
    without: Sequence[str] = ()
    """Servers that are not installed."""


LATER_SERVERS = ("excel", "kubernetes")
SETS = (
    Asked("first, tuned with", HERE / "requests_dev.jsonl", True, LATER_SERVERS),
    Asked("first, unseen", HERE / "requests_unseen.jsonl", False, LATER_SERVERS),
    Asked("later, tuned with", HERE / "requests_later_dev.jsonl", True),
    Asked("later, unseen", HERE / "requests_later_unseen.jsonl", False),
    Asked("strangers'", HERE / "requests_strangers.jsonl", False),
)


@dataclass(frozen=True)
class Choice:
    request: str
    fitting: Sequence[str]
    shown: Sequence[str]

    @property
    def right(self) -> bool:
        return bool({*self.fitting} & {*self.shown})


def installed(without: Sequence[str] = ()) -> list[ToolSpec]:
    """Every tool of the stored servers, as an MCP toolset presents it."""
    paths = sorted(path for path in HERE.glob("*.json") if path.stem not in without)
    servers = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [_spec(server["server"], tool) for server in servers for tool in server["tools"]]


def _spec(server: str, tool: JsonObject) -> ToolSpec:
    return ToolSpec(
        name=f"{server}__{tool['name']}",
        title=tool["title"],
        description=tool["description"],
        parameters=tool["inputSchema"],
        risk="network",
        toolset=server,
    )


async def learned(specs: Sequence[ToolSpec]) -> EmbeddedLikeness:
    """The likeness of the install, once it knows these tools; it may take its time."""
    likeness = EmbeddedLikeness(embedder=MiniLM(), seconds=60)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(likeness.run())
        while not await likeness.of("", specs):
            await asyncio.sleep(0.01)
        running.cancel()
    return likeness


async def choices(
    specs: Sequence[ToolSpec], path: Path, *, thesaurus: Thesaurus, likeness: Likeness | None = None
) -> list[Choice]:
    """What is chosen of these tools for each request of a file."""
    asked = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ranking = Ranking(specs, thesaurus=thesaurus)
    made = []
    for request, tools in ((one["request"], one["tools"]) for one in asked):
        alike = await likeness.of(request, specs) if likeness else ()
        made.append(Choice(request, tools, [spec.name for spec in ranking.best(request, SHOWN, alike=alike)]))
    return made


def recall(made: Sequence[Choice]) -> float:
    return sum(one.right for one in made) / len(made)
