"""A line that several Portals share: each one's part in it, over a database in memory."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from portal.core.items import JsonObject
from portal.core.peers import Heard, Standing
from portal.errors import BackendUnavailable, SettingsError, StorageUnavailable
from portal.routing.gates import Gates
from portal.routing.line import Place
from portal.routing.shared_line import SharedLine, SharedLines
from portal.settings import load_settings
from portal.settings.turns import FaultSettings


@dataclass
class Table:
    """What the database has: for each model server the calls in order, and whose each is."""

    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    away: bool = False
    portals: "list[Portal]" = field(default_factory=list)


class Portal:
    """Implements SharedCalls and Notices for one of them."""

    def __init__(self, table: Table, name: str) -> None:
        self.table, self.name = table, name
        self.heard: dict[str, Heard] = {}
        self.asked: Counter[str] = Counter()
        self.open = False
        table.portals.append(self)
        self.lines = SharedLines(calls=self, notices=self, servers=lambda: len(table.portals))

    async def settle(self, backend: str, calls: Sequence[str]) -> Standing:
        self.asked[backend] += 1
        self.open = True
        await asyncio.sleep(0)
        if self.table.away:
            raise StorageUnavailable("away")
        before = self.table.rows.get(backend, [])
        rows = [one for one in before if one[0] != self.name or one[1] in calls]
        rows += [(self.name, call) for call in calls if (self.name, call) not in rows]
        self.table.rows[backend] = rows
        return Standing(
            before={call: place for place, (whose, call) in enumerate(rows) if whose == self.name},
            others=[place for place, (whose, _) in enumerate(rows) if whose != self.name],
            changed=rows != before,
        )

    async def aclose(self) -> None:
        self.open = False

    def on(self, kind: str, heard: Heard) -> None:
        self.heard[kind] = heard

    def tell(self, kind: str, body: JsonObject, to: str = "") -> None:
        for other in self.table.portals:
            if other is not self:
                other.heard[kind](self.name, body)

    async def say(self, kind: str, body: JsonObject, to: str = "") -> None:
        self.tell(kind, body, to)


@asynccontextmanager
async def running(*portals: Portal) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.lines.run()) for one in portals]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0)


def entered(line: SharedLine) -> Place:
    place = line.enter()
    assert place is not None
    return place


def two() -> tuple[Table, Portal, Portal]:
    table = Table()
    return table, Portal(table, "a"), Portal(table, "b")


async def test_places_are_those_among_all() -> None:
    _, a, b = two()
    here, there = (one.lines.open("box", slots=1, length=5) for one in (a, b))
    async with running(a, b):
        first = entered(here)
        assert not first.admitted, "the database knows"
        assert here.before(first) is None
        await until(lambda: first.admitted)
        second = entered(there)
        await until(lambda: there.before(second) == 0)
        third = entered(here)
        await until(lambda: here.before(third) == 1)
        assert (here.elsewhere, there.elsewhere) == (0, 1)
        here.leave(first)
        await until(lambda: second.admitted)
        await until(lambda: here.before(third) == 0)
        there.leave(second)
        await until(lambda: third.admitted)
        here.leave(third)
    assert (a.open, b.open) == (False, False)


async def test_those_who_come_when_too_many_wait_are_refused_and_nobody_else() -> None:
    _, a, b = two()
    here, there = (one.lines.open("box", slots=1, length=1) for one in (a, b))
    async with running(a, b):
        runs, waits = entered(here), entered(there)
        await until(lambda: runs.admitted and there.before(waits) == 0)
        late = entered(here)
        await until(lambda: late.refused)
        here.leave(late)
        there.length = here.length = 0
        here.leave(runs)
        await until(lambda: waits.admitted)
        assert not waits.refused


async def test_before_the_first_look_only_so_many_are_taken_in() -> None:
    _, a, _ = two()
    line = a.lines.open("box", slots=2, length=1)
    assert [line.enter() is not None for _ in range(5)] == [True, True, True, False, False]


async def test_while_the_database_is_away_each_has_its_share() -> None:
    table, a, b = two()
    here = a.lines.open("box", slots=5, length=9)
    async with running(a, b):
        table.away = True
        places = [entered(here) for _ in range(4)]
        await until(lambda: not here.shared)
        assert ([place.admitted for place in places], here.slots) == ([True, True, False, False], 2)
        new = a.lines.open("other", slots=1, length=9)
        assert entered(new).admitted, "nobody waits for a database that is known to be away"
        table.away = False
        await until(lambda: all(place.admitted for place in places))
        assert (here.shared, here.slots) == (True, 5)


async def test_after_an_outage_lines_without_calls_are_shared_again() -> None:
    table, a, _ = two()
    here, idle = a.lines.open("box", slots=1, length=5), a.lines.open("idle", slots=1, length=5)
    async with running(a):
        place = entered(here)
        await until(lambda: place.admitted)
        table.away = True
        await until(lambda: not idle.shared)
        table.away = False
        await until(lambda: here.shared)
        await until(lambda: idle.shared)
        assert not entered(idle).admitted, "the database knows"


async def test_who_was_taken_in_during_an_outage_waits_on_after_it() -> None:
    table, a, b = two()
    lines = [one.lines.open("box", slots=1, length=1) for one in (a, b)]
    async with running(a, b):
        table.away = True
        runs = [entered(line) for line in lines]
        await until(lambda: all(place.admitted for place in runs))
        waits = [entered(line) for line in lines]
        refused: list[bool] = []
        for place in waits:
            place.on_move = partial(lambda place: refused.append(place.refused), place)
        table.away = False
        await until(lambda: len(table.rows.get("box", ())) == 4)
        late = entered(lines[0])
        await until(lambda: late.refused)
        for line, place in zip(lines, runs, strict=True):
            line.leave(place)
        await until(lambda: any(place.admitted for place in waits))
        assert not any(refused)


async def test_a_full_line_of_several_portals_tells_no_number_of_one() -> None:
    _, a, b = two()
    there = b.lines.open("box", slots=1, length=0)
    gates = Gates(FaultSettings(queue_length=0), on_change=lambda: None, on_gone=lambda server: None, shared=a.lines)
    gate = gates.open("box", max_concurrency=1, across_servers=True).of("tiny")
    async with running(a, b):
        place = entered(there)
        await until(lambda: place.admitted)
        with pytest.raises(BackendUnavailable, match="too many calls wait") as caught:
            await gate.enter()
        assert caught.value.code == "queue_full"


async def test_what_runs_on_a_line_of_before_counts() -> None:
    table, a, b = two()
    old = a.lines.open("box", slots=2, length=5)
    async with running(a, b):
        places = [entered(old) for _ in range(2)]
        await until(lambda: all(place.admitted for place in places))
        old.close()
        new = a.lines.open("box", slots=1, length=5)
        waits = entered(new)
        await until(lambda: new.before(waits) == 1)
        old.leave(places[0])
        await until(lambda: new.before(waits) == 0)
        old.leave(places[1])
        await until(lambda: waits.admitted)
        new.close()
        new.leave(waits)
        await until(lambda: table.rows["box"] == [])


async def test_whoever_has_calls_there_looks_for_what_it_was_not_told() -> None:
    table, a, b = two()
    line = a.lines.open("box", slots=1, length=5)
    table.rows["box"] = [("gone", "call")]
    async with running(a, b):
        waits = entered(line)
        await until(lambda: line.before(waits) == 0)
        table.rows["box"].remove(("gone", "call"))  # as when its Portal is gone
        await until(lambda: waits.admitted)
        table.rows["box"].clear()  # as when this one was taken for gone
        await until(lambda: bool(table.rows["box"]))


async def test_whoever_knows_of_calls_elsewhere_sees_them_go_without_being_told() -> None:
    table, a, b = two()
    here, there = (one.lines.open("box", slots=1, length=5) for one in (a, b))
    async with running(a):
        async with running(b):
            place = entered(there)
            await until(lambda: place.admitted)
            await until(lambda: here.elsewhere == 1)
        table.rows["box"].clear()  # as when the other one was killed
        await until(lambda: here.elsewhere == 0)


async def test_who_has_no_calls_there_is_at_rest() -> None:
    _, a, b = two()
    here, there = (one.lines.open("box", slots=3, length=5) for one in (a, b))
    beside = [one.lines.open("beside", slots=3, length=5) for one in (a, b)]
    async with running(a, b):
        place = entered(here)
        await until(lambda: place.admitted)
        await until(lambda: there.elsewhere == 1)
        here.leave(place)
        await until(lambda: there.elsewhere == 0)
        for line in beside:
            entered(line)
        await until(lambda: min(line.running + line.elsewhere for line in beside) == 2)
        asked, looks = (a.asked["box"], b.asked["box"]), min(a.asked["beside"], b.asked["beside"])
        await until(lambda: min(a.asked["beside"], b.asked["beside"]) >= looks + 2)  # by looking: nothing changes there
        assert (a.asked["box"], b.asked["box"]) == asked


def test_it_is_a_limit_that_is_shared() -> None:
    with pytest.raises(SettingsError, match="max_concurrency"):
        load_settings({"backends": [{"kind": "ollama", "url": "http://x", "across_servers": True}]})
