"""What is tried until there is an answer, and what never is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend
from portal.core.attempts import attempted
from portal.core.decision import Candidate, Route, decision, rerouted
from portal.core.gate import OpenGate, Patience, Permit, Told
from portal.core.model import ModelInfo
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendKeyRefused,
    BackendProtocolError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadRequest,
    PortalError,
)

QUICK = Patience(retries=2, pause=0.001, deadline=5, fallbacks=2)


class Watched(OpenGate):
    """Counts who came and went."""

    def __init__(self, closed: BackendError | None = None, rests: float = 0) -> None:
        self.closed = closed
        self.rests = rests
        self.seen: list[str] = []

    def resting(self) -> float:
        return self.rests

    async def enter(self, told: Told | None = None) -> Permit:
        if self.closed is not None:
            raise self.closed
        return Noted(self.seen)


class Noted(Permit):
    def __init__(self, seen: list[str]) -> None:
        self._seen = seen

    def failed(self, error: BackendError) -> None:
        self._seen.append("failed")

    def leave(self) -> None:
        self._seen.append("left" if self.begun else "left early")


class Case:
    """Runs a script: for each try of a model an error, or its name as the answer."""

    def __init__(self, *places: str, patience: Patience = QUICK, gates: Sequence[Watched] = ()) -> None:
        self.tries: list[str] = []
        self.routes: list[Route] = []
        self.gates = gates or [Watched() for _ in places]
        self.route = Route(
            requested="auto",
            reason="auto: the best",
            patience=patience,
            candidates=[
                Candidate(ScriptedBackend(name=server), ModelInfo(id=model, backend=server), gate=gate)
                for (model, server), gate in zip((place.split("@") for place in places), self.gates, strict=True)
            ],
        )

    async def run(self, *script: PortalError | None, begin: bool = False) -> str:
        steps = list(script)

        async def attempt(permit: Permit) -> str:
            route = self.routes[-1] if self.routes else self.route
            name = f"{route.model.id}@{route.model.backend}"
            self.tries.append(name)
            step = steps.pop(0) if steps else None
            if begin:
                permit.begin()
            if step is not None:
                raise step
            return name

        return await attempted(self.route, attempt, rerouted=self.routes.append)


@pytest.mark.parametrize(
    "error",
    [BackendUnavailable("down"), BackendInterrupted("cut"), BackendError("boom"), BackendRejected("x", status=429)],
)
async def test_a_passing_failure_is_tried_again(error: BackendError) -> None:
    noted: list[tuple[str, bool]] = []
    case = Case("big@one", "small@one", patience=replace(QUICK, noted=lambda *one: noted.append(one)))
    assert await case.run(error, error) == "big@one"
    assert noted == [("big", True)] * 2
    assert case.tries == ["big@one"] * 3
    assert case.gates[0].seen == ["failed", "left early", "failed", "left early", "left"]
    assert case.routes == []


@pytest.mark.parametrize(
    "error",
    [
        BackendTimeout("late"),
        BackendProtocolError("nonsense"),
        BackendKeyRefused("key"),
        BackendRejected("unknown", status=404),
    ],
)
async def test_one_that_does_not_pass_leads_to_the_next(error: BackendError) -> None:
    case = Case("big@one", "small@one")
    assert await case.run(error) == "small@one"
    (route,) = case.routes
    assert f"big failed ({error.lasting}), so small answers" in route.reason
    told = rerouted(decision(case.route, 0.001), route)
    assert told["fallbacks"] == [{"model": "big", "backend": "one", "error": error.lasting}]
    assert (told["resolved_model"], told["requested_model"]) == ("small", "auto")
    assert [row["model"] for row in told["candidates"]] == ["big", "small"]


@pytest.mark.parametrize("error", [BackendRejected("no", status=400), BadRequest("no")])
async def test_what_the_client_did_is_its_own(error: PortalError) -> None:
    case = Case("big@one", "small@one")
    with pytest.raises(type(error)):
        await case.run(error)
    assert case.tries == ["big@one"]
    assert case.gates[0].seen[-1] == "left early"


async def test_once_the_answer_has_begun_nothing_is_tried_again() -> None:
    case = Case("big@one", "small@one")
    with pytest.raises(BackendInterrupted):
        await case.run(BackendInterrupted("cut"), begin=True)
    assert case.tries == ["big@one"]
    assert case.gates[0].seen == ["failed", "left"]


async def test_another_server_of_the_same_model_is_asked_at_once() -> None:
    down = BackendUnavailable("down")
    case = Case("big@one", "big@two", patience=Patience(retries=1, pause=0.001, fallbacks=0))
    assert await case.run(down, down) == "big@two"
    assert case.tries == ["big@one", "big@two", "big@two"]
    assert "one failed (down), so two answers" in case.routes[-1].reason


async def test_there_is_an_end() -> None:
    case = Case("a@one", "b@one", "c@one", "d@one")
    late = BackendTimeout("late")
    with pytest.raises(BackendTimeout):
        await case.run(late, late, late, late)
    assert case.tries == ["a@one", "b@one", "c@one"]


async def test_one_that_rests_is_passed_over_and_the_last_failure_is_told() -> None:
    rests = BackendUnavailable("a is resting", code="model_resting", retry_after=9)
    case = Case("a@one", "b@one", gates=[Watched(rests), Watched()])
    assert await case.run() == "b@one"
    assert case.tries == ["b@one"]
    alone = Case("a@one", gates=[Watched(rests)])
    with pytest.raises(BackendUnavailable) as caught:
        await alone.run()
    assert caught.value.retry_after == 9
    assert alone.tries == []


async def test_nobody_waits_for_one_that_has_begun_to_rest() -> None:
    case = Case("a@one", gates=[Watched(rests=10)])
    with pytest.raises(BackendUnavailable):
        await case.run(BackendUnavailable("down"))
    assert case.tries == ["a@one"]


@pytest.mark.parametrize(("deadline", "tries"), [(5, 2), (0.01, 1)])
async def test_a_server_that_says_when_is_asked_then_if_that_is_soon(deadline: float, tries: int) -> None:
    case = Case("a@one", patience=Patience(retries=1, pause=0.001, deadline=deadline))
    began = asyncio.get_running_loop().time()
    soon = BackendUnavailable("busy", retry_after=0.05)
    if tries == 2:
        assert await case.run(soon) == "a@one"
        assert asyncio.get_running_loop().time() - began >= 0.05
    else:
        with pytest.raises(BackendUnavailable):
            await case.run(soon)
    assert len(case.tries) == tries


async def test_a_client_that_leaves_ends_it() -> None:
    case = Case("a@one", "b@one", patience=Patience(retries=1, pause=60, deadline=600))
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(case.run(BackendUnavailable("down")))
        while "left early" not in case.gates[0].seen:
            await asyncio.sleep(0)
        asking.cancel()
    assert case.tries == ["a@one"]


async def test_without_a_gate_everybody_is_let_through() -> None:
    gate = OpenGate()
    assert (gate.resting(), gate.rest(), gate.outstanding()) == (0, "", 0)
    permit = await gate.enter()
    permit.failed(BackendError("boom"))
    permit.leave()
    assert not permit.begun


def test_a_long_explanation_is_cut() -> None:
    route: Any = Case("a@one", "b@one").route.without_first("x" * 1000)
    assert len(route.reason) < 300
    assert route.alone().candidates == [route.candidates[0]]
