"""A small model is asked where the classifier is unsure, and never waited for too long."""

import asyncio

import pytest
from tests.routing.test_router import BIG, CODER, Says, ask

from portal.backends.scripted import ScriptedBackend
from portal.core.completion import Completions
from portal.core.model import TextDelta
from portal.core.records import UsageRecord
from portal.core.workspaces import Workspace
from portal.routing.consultant import Consultant
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.workspaces import Workspaces
from portal.settings import Settings


class Log:
    def __init__(self) -> None:
        self.records: list[UsageRecord] = []

    def begun(self) -> None:
        pass

    def record(self, usage: UsageRecord) -> None:
        self.records.append(usage)


class Consulted:
    """A router with a model to ask."""

    def __init__(self, judge: Says | None, *, model: str = "big", deadline: float = 5) -> None:
        self.backend = ScriptedBackend(models=[BIG, CODER])
        self.log = Log()
        self.registry = Registry(settings=Settings())
        self.registry.add(self.backend)
        completions = Completions(usage=self.log)  # type: ignore[arg-type]
        consultant = Consultant(registry=self.registry, completions=completions, model=model, deadline=deadline)
        coding = Workspace(name="auto-coding", task="coding", prefer=("coder*",))
        self.router = Router(
            registry=self.registry,
            workspaces=Workspaces([coding]),
            judge=(lambda: judge) if judge else None,
            consultant=consultant,
        )

    async def decide(self, model: str = "auto") -> str:
        await self.registry.refresh()
        route = await self.router.decide(ask(model, "turn this list around"))
        return f"{route.task} {route.difficulty} {route.model.id}"


async def test_it_is_asked_only_where_the_classifier_is_unsure() -> None:
    sure = Consulted(Says("creative", confidence=0.9))
    assert await sure.decide() == "creative 0.3 big"
    assert await sure.decide("big") == "None None big"
    assert sure.backend.requests == []
    unsure = Consulted(Says("creative", confidence=0.2))
    unsure.backend.answer("coding 40")
    assert await unsure.decide() == "coding 0.4 coder:7b"
    assert unsure.backend.requests[0].model == "big"
    assert [(record.door, record.status) for record in unsure.log.records] == [("route", "completed")]


@pytest.mark.parametrize("answer", ["no idea", "", "codings 40"])
async def test_an_answer_that_is_none_changes_nothing(answer: str) -> None:
    made = Consulted(Says("creative", confidence=0.2))
    made.backend.answer(answer)
    assert await made.decide() == "creative 0.3 big"


async def test_without_a_difficulty_it_is_in_the_middle() -> None:
    made = Consulted(None)
    made.backend.answer("Coding.")
    assert await made.decide() == "coding 0.5 coder:7b"


async def test_a_model_that_is_late_away_or_gone_changes_nothing() -> None:
    late = Consulted(Says("creative", confidence=0.2), deadline=0.05)
    late.backend.script(TextDelta("cod"), asyncio.Event())
    assert await late.decide() == "creative 0.3 big"
    await late.backend.wait_running(0)
    failing = Consulted(Says("creative", confidence=0.2))
    assert await failing.decide() == "creative 0.3 big"  # it has no script: the call fails
    assert await Consulted(Says("creative", confidence=0.2), model="gone").decide() == "creative 0.3 big"
