import asyncio
import os
import select
import sys
from pathlib import Path

import pytest

from portal.errors import ToolError
from portal.settings.environment import program_environment
from portal.tools.program import run


def gone(pid: int, *, within: float = 30) -> bool:
    """Whether a process ends."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended = bool(select.select([watched], [], [], within)[0])
    os.close(watched)
    return ended


async def test_input_and_output() -> None:
    script = "import sys; data = sys.stdin.read(); print(len(data)); print('oops', file=sys.stderr); sys.exit(3)"
    ended = await run([sys.executable, "-c", script], environment={}, stdin=b"x" * 300_000)

    assert (ended.code, ended.text, ended.complaint, ended.cut) == (3, "300000\n", "oops", False)


async def test_input_that_nobody_reads() -> None:
    assert (await run(["true"], environment=program_environment(), stdin=b"x" * 10**7)).code == 0


async def test_a_flood_is_cut() -> None:
    ended = await run([sys.executable, "-c", "print('x' * 10**7)"], environment={}, output=1000)

    assert len(ended.stdout) == 1000
    assert ended.cut
    assert ended.code == 0


async def test_what_it_leaves_behind_is_killed_or_stays() -> None:
    script = "sleep 300 & echo $!"

    killed = await run(["sh", "-c", script], environment=program_environment())
    left = await run(["sh", "-c", script], environment=program_environment(), leave=True)

    assert gone(int(killed.text))
    assert not gone(int(left.text), within=0)
    os.kill(int(left.text), 9)


async def test_a_daemon_that_holds_the_output_is_not_waited_for() -> None:
    script = "setsid sleep 300 & echo $!"

    ended = await run(["sh", "-c", script], environment=program_environment(), seconds=60)

    assert ended.code == 0
    os.kill(int(ended.text), 9)


@pytest.mark.parametrize("leave", [False, True])
async def test_too_slow(leave: bool) -> None:
    script = "sleep 300 & echo $!; wait"

    ended = await run(["sh", "-c", script], environment=program_environment(), seconds=1, leave=leave)

    assert ended.code is None
    assert gone(int(ended.text))


async def test_cancelled(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    script = f"echo $$ > {tmp_path}/begun; sleep 300"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(run(["sh", "-c", script], environment=program_environment()))
        pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
        running.cancel()

    assert gone(pid)


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/etc/passwd"], ["sh", "-c", "nul\0l"]])
async def test_what_cannot_be_started(argv: list[str]) -> None:
    with pytest.raises(ToolError, match="cannot be started"):
        await run(argv, environment=program_environment())


async def test_no_descriptor_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await run(["true"], environment=program_environment())
    await asyncio.sleep(0)

    assert len(os.listdir("/proc/self/fd")) <= before + 3
