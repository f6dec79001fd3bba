"""What keeps the parts of a server going: begun again, given up loudly, ended even when one does not listen."""

import asyncio
import logging

import pytest

from portal.core.duty import Duty
from portal.core.supervisor import Patience, Supervisor

QUICK = Patience(pause=0.001, longest=0.004, tries=4, stop=0.05)


async def settled(supervisor: Supervisor, state: str) -> None:
    async with asyncio.timeout(5):
        while supervisor.parts()[0].state != state:
            await asyncio.sleep(0.001)


class Part:
    """Fails so many times, then works until it is ended."""

    def __init__(self, failures: int) -> None:
        self.failures, self.begun, self.works = failures, 0, asyncio.Event()

    async def run(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise ValueError("no luck")
        self.works.set()
        await asyncio.Event().wait()


async def test_a_part_that_fails_once_is_begun_again_and_everybody_else_goes_on() -> None:
    told: list[str] = []
    supervisor = Supervisor(patience=QUICK, changed=lambda: told.append(supervisor.parts()[0].state))
    failing, other = Part(1), Part(0)
    supervisor.keep("failing", failing.run)
    supervisor.keep("other", other.run)

    await asyncio.wait_for(failing.works.wait(), 5)

    first, second = supervisor.parts()
    assert (first.state, first.restarts, first.error) == ("running", 1, "ValueError: no luck")
    assert (second.state, second.restarts, other.begun) == ("running", 0, 1)
    assert told == ["waiting", "running"]
    await supervisor.end()
    assert supervisor.parts() == ()


async def test_what_failed_in_a_group_is_named() -> None:
    supervisor, part = Supervisor(patience=QUICK), Part(100)
    supervisor.keep("on duty", lambda: Duty().while_held(part.run))
    await settled(supervisor, "given_up")
    assert supervisor.parts()[0].error == "ValueError: no luck"
    await supervisor.end()


async def test_one_that_fails_again_and_again_is_given_up_loudly(caplog: pytest.LogCaptureFixture) -> None:
    supervisor, part = Supervisor(patience=QUICK), Part(100)
    supervisor.keep("hopeless", part.run)

    await settled(supervisor, "given_up")

    assert (part.begun, supervisor.parts()[0].restarts) == (4, 3)
    loud = [one for one in caplog.records if one.levelno == logging.CRITICAL]
    assert [one.getMessage() for one in loud] == ["hopeless failed 4 times in a row and is given up: restart Portal"]
    await supervisor.end()


async def test_after_a_long_time_that_was_well_failures_are_counted_anew() -> None:
    supervisor = Supervisor(patience=Patience(pause=0, longest=0, tries=2, well=-1))
    part = Part(20)
    supervisor.keep("now and then", part.run)

    await asyncio.wait_for(part.works.wait(), 5)

    assert supervisor.parts()[0].restarts == 20
    await supervisor.end()


async def test_one_that_is_through_is_not_begun_again() -> None:
    supervisor, begun = Supervisor(patience=QUICK), []

    async def once() -> None:
        begun.append(1)

    supervisor.keep("once", once)
    await settled(supervisor, "done")
    assert begun == [1]
    await supervisor.end()


async def test_one_that_cannot_begin_and_one_cancelled_from_within_have_failed() -> None:
    supervisor = Supervisor(patience=QUICK)

    async def cancelled() -> None:
        raise asyncio.CancelledError

    supervisor.keep("never", lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    supervisor.keep("cancelled", cancelled)
    await settled(supervisor, "given_up")
    assert [part.error.partition(":")[0] for part in supervisor.parts()] == ["ZeroDivisionError", "CancelledError"]
    await supervisor.end()


async def test_one_that_hangs_at_its_end_is_left_behind_and_named(caplog: pytest.LogCaptureFixture) -> None:
    supervisor, enough = Supervisor(patience=QUICK), asyncio.Event()

    async def deaf() -> None:
        while not enough.is_set():
            try:
                await enough.wait()
            except asyncio.CancelledError:
                continue

    async def clumsy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("at the end")

    supervisor.keep("deaf", deaf)
    supervisor.keep("clumsy", clumsy)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await asyncio.wait_for(supervisor.end(), 5)

    said = [record.getMessage() for record in caplog.records]
    assert "deaf does not stop after 0.05 seconds: it is left behind" in said
    assert "clumsy failed when it was stopped" in said
    enough.set()


async def test_each_ends_what_it_had_kept() -> None:
    supervisor, one, other = Supervisor(patience=QUICK), Part(0), Part(0)
    first = supervisor.keep("one", one.run)
    supervisor.keep("other", other.run)
    await supervisor.end(first)
    assert [part.name for part in supervisor.parts()] == ["other"]
    await supervisor.end(first)  # once more does no harm
    await supervisor.end()
