"""Programs in the event loop that a server runs in."""

import asyncio

import pytest
import uvloop

from portal.security.sandbox import process


@pytest.mark.parametrize("stdin", [b"", b"x" * 100_000])
def test_a_program_that_ends_before_it_is_fed_has_simply_ended(stdin: bytes) -> None:
    command = process.Command(argv=["true"], environment=None, stdin=stdin, seconds=20, output=1000)

    async def run() -> list[int]:
        return [(await process.run(command, lambda pid: "")).code for _ in range(15)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == [0] * 15
