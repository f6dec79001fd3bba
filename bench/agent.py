"""What a round of tool calls costs: `python bench/agent.py [--rounds N] [--turns N]`.

A scripted model calls one tool that does nothing, several times, then answers. Portal's own time for a round is the
difference to a turn that only answers, for each round; its reference is what storing has to take: two commits of the
same database, one before the tool runs and one after. And how large the prompt is with 100 tools installed.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.calibration import calibration

from portal.app.agent import Told, open_agent
from portal.app.ground import open_ground
from portal.backends.scripted import ScriptedBackend
from portal.core.agent import Agent, Turn
from portal.core.model import TextDelta, ToolCallDelta
from portal.core.tokens import estimate
from portal.core.toolbox import Toolbox
from portal.core.workspaces import Workspace
from portal.knowledge.shelf import ConversationShelf
from portal.settings import Settings
from portal.storage.database import Database, Statement
from portal.testing.records import OWNER, said
from portal.testing.scripted_speech import ScriptedTranscriber
from portal.tools.function import Functions, tool

ROUNDS = 10
COMMIT = "INSERT INTO key_values (name, value) VALUES (:name, '') ON CONFLICT (name) DO UPDATE SET value = ''"


@tool(risk="read")
async def nothing(number: int) -> str:
    """Do nothing."""
    return f"nothing {number}"


def many(count: int) -> list[Callable[[], str]]:
    """Tools with a description of an ordinary length."""

    def made(number: int) -> Callable[[], str]:
        def run() -> str:
            return ""

        run.__name__ = f"tool_{number}"
        run.__doc__ = f"Work on the things of kind {number}: list them, change one, or say what is known about it."
        return tool(risk="read")(run)

    return [made(number) for number in range(count)]


async def turn(agent: Agent, backend: ScriptedBackend, rounds: int) -> float:
    """Seconds of a stored turn with this many rounds of tool calls."""
    for number in range(rounds):
        backend.script(ToolCallDelta(0, f"call_{number}", "nothing", f'{{"number": {number}}}'))
    backend.script(TextDelta("Done."))
    began = perf_counter()
    run = await agent.start(Turn(owner=OWNER, model="auto", input=[said("go")]))
    done = await run.ended()
    took = perf_counter() - began
    assert done["status"] == "completed", done
    return took


async def commits(database: Database, count: int) -> float:
    began = perf_counter()
    for _ in range(count):
        await database.batch([Statement(COMMIT, {"name": "bench"})])
    return perf_counter() - began


async def measured(folder: Path, turns: int) -> tuple[float, float, float]:
    """Milliseconds of a round, of its two commits, and of the calibration loop."""
    settings = Settings(data_dir=folder, turns={"titles": False})
    async with AsyncExitStack() as stack:
        ground = await open_ground(settings, stack)
        storage, backend = ground.storage, ScriptedBackend(models=["scripted"])
        ground.registry.add(backend, source="settings")
        await ground.registry.refresh()
        toolsets = [Functions("bench", [nothing])]
        shelf = ConversationShelf(
            collections=storage.collections,
            documents=storage.documents,
            files=storage.files,
            transcriber=ScriptedTranscriber(),
            seconds=0,
        )
        brain = await open_agent(ground, lambda: toolsets, Told(shelf=shelf))
        await turn(brain.agent, backend, 2)
        rounds, plain, reference = [], [], []
        for _ in range(turns):
            plain.append(await turn(brain.agent, backend, 0))
            rounds.append(await turn(brain.agent, backend, ROUNDS))
            reference.append(await commits(storage.database, 2 * ROUNDS) / ROUNDS)
        each = [(whole - alone) / ROUNDS for whole, alone in zip(rounds, plain, strict=True)]
        return median(each) * 1000, median(reference) * 1000, calibration() * 1000


async def prompt(installed: int) -> tuple[int, int]:
    """How many tools a model is shown of so many, and the tokens that they take."""
    toolbox = Toolbox(toolsets=lambda: [Functions("many", many(installed))])
    offer = await toolbox.offer(Workspace(name="auto"), "change the things of kind 7, then list those of kind 12")
    assert offer is not None
    return len(offer.names()), estimate(str(offer.parameters({})["tools"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=20)
    chosen = parser.parse_args()
    print("| round of a tool call | ms | two commits, ms | ratio | in calibration loops |\n|---|---|---|---|---|")
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            each, reference, loop = asyncio.run(measured(Path(folder), chosen.turns))
        print(f"| in process, stored | {each:.2f} | {reference:.2f} | {each / reference:.2f} | {each / loop:.4f} |")
    shown, tokens = asyncio.run(prompt(100))
    print(f"\nof 100 tools a model is shown {shown}, in about {tokens} tokens")


if __name__ == "__main__":
    main()
