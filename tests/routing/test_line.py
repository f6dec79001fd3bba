"""The line before a server: fair, bounded, and no place is ever lost."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from portal.routing.line import Line, Place


def test_whoever_waits_is_told_of_every_move() -> None:
    line, moves = Line(slots=1, length=2), []
    places = [line.enter() for _ in range(4)]
    assert places[3] is None
    first, second, third = (place for place in places if place)
    second.on_move = lambda: moves.append(("second", second.admitted))
    third.on_move = lambda: moves.append(("third", line.before(third)))
    assert (line.before(second), line.before(third)) == (0, 1)
    line.leave(first)
    assert moves == [("second", True), ("third", 0)]


def test_without_a_limit_nobody_waits() -> None:
    line = Line(slots=0, length=0)
    places = [line.enter() for _ in range(1000)]
    assert all(place and place.admitted for place in places)
    assert (line.running, line.waiting) == (1000, 0)


class LineMachine(RuleBasedStateMachine):
    """Held against a list."""

    @initialize(slots=st.integers(0, 3), length=st.integers(0, 4))
    def begin(self, slots: int, length: int) -> None:
        self.slots, self.length = slots, length
        self.line = Line(slots=slots, length=length)
        self.inside: list[Place] = []

    @rule()
    def enter(self) -> None:
        place = self.line.enter()
        if place is None:
            assert len(self.inside) == self.slots + self.length
        else:
            self.inside.append(place)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.line.leave(self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1))))

    @invariant()
    def the_first_ones_run(self) -> None:
        running = self.inside[: self.slots] if self.slots else self.inside
        assert [place.admitted for place in self.inside] == [place in running for place in self.inside]
        assert (self.line.running, self.line.waiting) == (len(running), len(self.inside) - len(running))

    @invariant()
    def everybody_knows_how_many_come_first(self) -> None:
        waiting = [place for place in self.inside if not place.admitted]
        assert [self.line.before(place) for place in waiting] == list(range(len(waiting)))


LineMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLine = LineMachine.TestCase
