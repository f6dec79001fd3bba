"""The gate before a model: its turn in the line, and whether it rests."""

import asyncio
import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from portal.core.gate import Permit
from portal.core.model import Progress
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendKeyRefused,
    BackendProtocolError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)
from portal.routing.gates import Gates, ModelGate
from portal.settings.turns import FaultSettings


class Bench:
    def __init__(self, **faults: Any) -> None:
        self.now = 0.0
        self.changes = 0
        self.gone: list[str] = []
        self.waits: list[str] = []
        self.gates = Gates(
            FaultSettings(**{"breaker_failures": 2, "breaker_rest": 10, **faults}),
            on_change=self._changed,
            on_gone=self.gone.append,
            on_wait=lambda server, seconds: self.waits.append(server),
            clock=lambda: self.now,
        )

    def _changed(self) -> None:
        self.changes += 1

    def gate(self, max_concurrency: int = 0) -> ModelGate:
        return self.gates.open("box", max_concurrency=max_concurrency).of("tiny")


async def use(gate: ModelGate, error: BackendError | None = None) -> None:
    permit = await gate.enter()
    if error is None:
        permit.begin()
    else:
        permit.failed(error)
    permit.leave()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailable("gone"),
        BackendTimeout("late"),
        BackendInterrupted("cut"),
        BackendProtocolError("nonsense"),
        BackendError("boom"),
        BackendRejected("too many", status=429),
    ],
)
async def test_what_makes_a_model_rest(error: BackendError) -> None:
    bench = Bench()
    gate = bench.gate()
    for _ in range(2):
        await use(gate, error)
    assert gate.rest() == "resting for 10 s after 2 failures"
    assert bench.changes == 1
    with pytest.raises(BackendUnavailable, match="tiny on box is resting") as caught:
        await gate.enter()
    assert (caught.value.code, caught.value.retry_after) == ("model_resting", 10)
    (resting,) = bench.gates.of("box").resting()
    assert (resting.model, resting.failures) == ("tiny", 2)
    bench.now += 10
    await use(gate)
    assert (gate.resting(), bench.changes) == (0, 2)


@pytest.mark.parametrize(
    "error", [BackendRejected("no", status=400), BackendKeyRefused("key"), BackendRejected("unknown", status=404)]
)
async def test_what_does_not(error: BackendError) -> None:
    bench = Bench()
    gate = bench.gate()
    for _ in range(5):
        await use(gate, error)
    assert gate.resting() == 0
    assert bench.gone == (["box"] * 5 if error.status == 404 else [])


async def test_a_failure_after_the_first_words_counts_as_well() -> None:
    gate = Bench().gate()
    for _ in range(2):
        permit = await gate.enter()
        permit.begin()
        permit.failed(BackendInterrupted("cut"))
        permit.leave()
    assert gate.resting()


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_trial_that_is_cancelled_or_forgotten_makes_room_for_the_next(forgotten: bool) -> None:
    bench = Bench()
    gate = bench.gate(max_concurrency=1)
    for _ in range(2):
        await use(gate, BackendUnavailable("gone"))
    bench.now += 10
    trial: Permit | None = await gate.enter()
    with pytest.raises(BackendUnavailable):
        await gate.enter()
    assert trial is not None
    if not forgotten:
        trial.leave()
    del trial
    gc.collect()
    assert gate.outstanding() == 0
    await use(gate)
    assert gate.resting() == 0


async def test_calls_wait_in_order_and_are_told_how_many_come_first() -> None:
    gate = Bench().gate(max_concurrency=1)
    told: dict[str, list[str]] = {"a": [], "b": []}
    done: list[str] = []

    def tell(name: str) -> Callable[[Progress], None]:
        return lambda progress: told[name].append(progress.detail)

    async def call(name: str) -> None:
        permit = await gate.enter(tell(name))
        done.append(name)
        await until(lambda: len(told["b"]) >= 2)
        permit.leave()

    first = await gate.enter(tell("a"))
    async with asyncio.TaskGroup() as group:
        for name in told:
            group.create_task(call(name))
            await until(lambda: bool(told[name]))  # noqa: B023
        assert gate.outstanding() == 3
        first.leave()
    assert done == ["a", "b"]
    assert told == {
        "a": ["box is busy: you are next.", "box begins."],
        "b": ["box is busy: 1 before you.", "box is busy: you are next.", "box begins."],
    }
    assert gate.outstanding() == 0


async def test_a_full_line_refuses_at_once() -> None:
    gate = Bench(queue_length=0).gate(max_concurrency=1)
    permit = await gate.enter()
    with pytest.raises(BackendUnavailable) as caught:
        await gate.enter()
    assert (caught.value.code, caught.value.retry_after) == ("queue_full", 5)
    permit.leave()
    await use(gate)


async def test_waiting_has_an_end() -> None:
    gate = Bench(queue_deadline=0.02).gate(max_concurrency=1)
    permit = await gate.enter()
    with pytest.raises(BackendTimeout) as caught:
        await gate.enter()
    assert (caught.value.status, caught.value.code) == (504, "queue_timeout")
    assert gate.outstanding() == 1
    permit.leave()


async def test_who_leaves_gives_up_the_place_at_once() -> None:
    gate = Bench().gate(max_concurrency=1)
    permit = await gate.enter()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(gate.enter())
        await until(lambda: gate.outstanding() == 2)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
    assert gate.outstanding() == 1
    permit.leave()
    assert gate.outstanding() == 0


async def test_a_model_that_rests_once_it_is_ones_turn() -> None:
    bench = Bench()
    gate = bench.gate(max_concurrency=1)
    first = await gate.enter()

    async def wait() -> BackendUnavailable:
        with pytest.raises(BackendUnavailable) as caught:
            await gate.enter()
        return caught.value

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wait())
        await until(lambda: gate.outstanding() == 2)
        first.failed(BackendUnavailable("gone", retry_after=7))
        first.leave()
    assert (waiting.result().code, waiting.result().retry_after) == ("model_resting", 7)
    assert gate.outstanding() == 0


async def test_what_is_gone_and_comes_back_begins_anew() -> None:
    bench = Bench()
    gate = bench.gate()
    for _ in range(2):
        await use(gate, BackendUnavailable("gone"))
    server = bench.gates.of("box")
    server.keep({"tiny"})
    assert server.of("tiny") is gate
    server.keep(set())
    assert server.of("tiny").resting() == 0
    bench.gates.close("box")
    with pytest.raises(KeyError):
        bench.gates.of("box")


async def test_a_wait_is_told_of_and_so_is_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    bench = Bench()
    gate = bench.gate(max_concurrency=1)
    assert bench.gates.of("box").breakers() == {}
    first = await gate.enter()
    async with asyncio.TaskGroup() as group:
        second = group.create_task(gate.enter())
        await until(lambda: gate.outstanding() == 2)
        first.leave()
    second.result().leave()
    assert bench.waits == ["box"]

    await use(gate, BackendError("boom"))
    assert bench.gates.of("box").breakers() == {"tiny": "closed"}
    await use(gate, BackendError("boom"))
    assert bench.gates.of("box").breakers() == {"tiny": "open"}
    bench.now = 10
    assert bench.gates.of("box").breakers() == {"tiny": "half-open"}
    await use(gate)
    assert bench.gates.of("box").breakers() == {}
    told = [(record.getMessage(), record.__dict__["event"]) for record in caplog.records]
    assert told == [
        ("tiny on box is resting for 10 s after 2 failures", "breaker"),
        ("tiny on box answers again", "breaker"),
    ]
