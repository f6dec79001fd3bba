"""The circuit breaker: what opens it, what closes it, and that it cannot stick."""

import gc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portal.routing.breaker import LONGEST, Breaker, Tolerance


class Call:
    """Anything that can be referred to weakly."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(Tolerance(failures=3, window=60, rest=10), clock=clock)


def fail(breaker: Breaker, times: int = 1, retry_after: float | None = None) -> None:
    for _ in range(times):
        call = Call()
        breaker.enter(call)
        breaker.failed(call, retry_after)
        breaker.left(call, well=False)


def test_it_opens_after_so_many_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.is_closed
    call = Call()
    breaker.enter(call)
    breaker.left(call, well=True)
    fail(breaker, 2)
    assert breaker.resting() == 0
    fail(breaker)
    assert (breaker.resting(), breaker.failures, breaker.is_closed) == (10, 3, False)
    assert breaker.enter(Call()) == 10


def test_failures_long_ago_do_not_count(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 2)
    clock.now += 61
    fail(breaker, 2)
    assert breaker.is_closed
    fail(breaker)
    assert not breaker.is_closed


def test_half_open_lets_exactly_one_through_and_its_answer_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 10
    probe, other = Call(), Call()
    assert breaker.enter(probe) == 0
    assert breaker.enter(other) > 0
    breaker.answered(other)
    assert not breaker.is_closed
    breaker.answered(probe)
    assert breaker.is_closed
    assert breaker.enter(other) == 0


def test_a_failed_trial_opens_it_for_longer(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    rests = []
    for _ in range(5):
        clock.now += breaker.resting()
        fail(breaker)
        rests.append(breaker.resting())
    assert rests == [20, 40, 80, 80, 80]
    assert breaker.failures == 8


@pytest.mark.parametrize("way", ["left", "collected"])
def test_a_trial_that_ends_without_a_word_holds_nothing_up(breaker: Breaker, clock: Clock, way: str) -> None:
    fail(breaker, 3)
    clock.now += 10
    probe = Call()
    assert breaker.enter(probe) == 0
    assert breaker.resting() > 0
    if way == "left":
        breaker.left(probe, well=False)
    else:
        del probe
        gc.collect()
    assert breaker.resting() == 0
    assert breaker.enter(Call()) == 0


def test_a_server_may_say_itself_how_long(breaker: Breaker, clock: Clock) -> None:
    running = Call()
    breaker.enter(running)
    fail(breaker, 1, retry_after=42)
    assert (breaker.resting(), breaker.failures) == (42, 1)
    breaker.failed(running, 60)
    assert breaker.resting() == 60
    breaker.failed(running)
    assert breaker.resting() == 60
    clock.now += 60
    fail(breaker, 1, retry_after=10**9)
    assert breaker.resting() == LONGEST


def test_it_may_be_turned_off(clock: Clock) -> None:
    breaker = Breaker(Tolerance(failures=0), clock=clock)
    fail(breaker, 100, retry_after=5)
    assert breaker.is_closed


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, ends and waits."""

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.breaker = Breaker(Tolerance(failures=3, window=60, rest=10), clock=self.clock)
        self.running: list[Call] = []
        self.trials: list[Call] = []

    @rule()
    def enter(self) -> None:
        call, was_closed = Call(), self.breaker.is_closed
        expected = self.breaker.resting()
        assert self.breaker.enter(call) == expected
        if not expected:
            self.running.append(call)
            if not was_closed:
                self.trials.append(call)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), end=st.sampled_from(["answered", "failed", "left", "collected"]))
    def end(self, data: st.DataObject, end: str) -> None:
        call = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        if end == "answered":
            self.breaker.answered(call)
            if call in self.trials:
                assert self.breaker.is_closed
        elif end == "failed":
            self.breaker.failed(call, data.draw(st.sampled_from([None, 5, 10**7])))
        self.trials = [trial for trial in self.trials if trial is not call]
        if end != "collected":
            self.breaker.left(call, well=end == "answered")
        del call

    @rule(seconds=st.integers(0, 100))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds

    @invariant()
    def one_trial_at_most(self) -> None:
        assert len(self.trials) <= 1

    @invariant()
    def it_never_rests_for_ever(self) -> None:
        assert 0 <= self.breaker.resting() <= LONGEST

    def teardown(self) -> None:
        """Whatever happened: once nobody is under way and the time is over, a call goes through and closes it."""
        if not hasattr(self, "breaker"):
            return
        self.running.clear()
        self.trials.clear()
        self.clock.now += LONGEST
        call = Call()
        assert self.breaker.enter(call) == 0
        self.breaker.answered(call)
        self.breaker.left(call, well=True)
        assert self.breaker.is_closed


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreaker = BreakerMachine.TestCase
