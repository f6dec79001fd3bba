"""A real server and broken input, each case on a connection of its own: whatever comes, it answers or hangs up, nothing
is unforeseen, nothing is left over, and it goes on serving. Cases are made of a seed and a number: name both to see one
again."""

import asyncio
import gc
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.robustness.conftest import Faults
from tests.robustness.fuzzing import Case, case

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.slow
SEED = 20
AT_ONCE = 24
MOMENT = 0.1
PATIENCE = 60
"""Seconds that one case may take, on a machine that is busy with others."""
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[TestPortal]:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    quiet = {"schedules": {"enabled": False}, "limits": {"person": 0}}
    async with open_test_portal(tmp_path / "data", backends=[backend], settings=quiet) as running:
        yield running


async def answered(portal: TestPortal, text: str) -> dict[str, Any]:
    body = {"model": "tiny", "input": text}
    async with (
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
        client.post("/v1/responses", json=body) as answer,
    ):
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told


async def sent(port: int, one: Case) -> bytes:
    """What the server says to it before it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    try:
        writer.write(one.head)
        if one.frames or one.endless:
            head = await begun(reader, writer, whole=one.whole)
            if one.endless or not head.startswith(b"HTTP/1.1 101"):
                return head
            with suppress(RuntimeError):  # its head came after we had hung up
                for frame in one.frames:
                    writer.write(frame)
                    await writer.drain()
            await rest(reader, writer, whole=one.whole)
            return head
        return await rest(reader, writer, whole=one.whole)
    except asyncio.IncompleteReadError as error:
        return error.partial
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def hang_up(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, RuntimeError):  # the server did already
        writer.write_eof()


async def begun(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, whole: bool) -> bytes:
    """The head of the answer, or what there is of it."""
    if not whole:
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT):
                return await reader.readuntil(b"\r\n\r\n")
        hang_up(writer)
    return await reader.readuntil(b"\r\n\r\n")


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, whole: bool) -> bytes:
    """All that comes until the server hangs up. Where it has to think that there is more, it is told after a moment
    that there is not."""
    told = b""
    if not whole:
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT):
                while more := await reader.read(2**16):
                    told += more
                return told
        hang_up(writer)
    return told + await reader.read()


def wrong_with(told: bytes) -> str:
    """Why an answer is none that a client can live with; empty where nothing is wrong."""
    status = _STATUS.match(told)
    if status is None:
        return f"no HTTP: {told[:80]!r}" if told else ""
    code = int(status[1])
    return f"status {code}: {told[-300:]!r}" if code == 500 or code > 504 else ""


async def test_broken_input_breaks_nothing(portal: TestPortal, faults: Faults, pytestconfig: pytest.Config) -> None:
    cases: int = pytestconfig.getoption("--fuzz-cases")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.note(f"in the loop: {context}", context.get("exception")))
    response = (await answered(portal, "one two three"))["id"]
    port, wrong, near, kinds = int(portal.url.rpartition(":")[2]), [], [], Counter[str]()
    before, numbers = len(asyncio.all_tasks()), iter(range(cases))

    async def worker() -> None:
        for number in numbers:
            one = case(SEED, number, host=f"127.0.0.1:{port}", key=portal.key, response=response)
            seen = len(faults.seen)
            try:
                async with asyncio.timeout(PATIENCE):
                    told = await sent(port, one)
                fault = wrong_with(told)
                kinds[f"{one.kind} {told[9:12].decode()}"] += 1
            except TimeoutError:
                fault = "no answer"
            if fault:
                wrong.append((number, one.kind, fault, one.head[:300], [frame[:60] for frame in one.frames]))
            elif len(faults.seen) > seen:
                near.append(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    assert (await answered(portal, "still there"))["status"] == "completed"
    gc.collect()
    assert not wrong, "\n".join(map(str, wrong[:10]))
    assert not faults.seen, "\n".join([f"near {near[:50]}", *faults.seen[:10]])
    print(cases, "cases:", ", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())))
    async with asyncio.timeout(PATIENCE):
        while len(asyncio.all_tasks()) > before:  # connections end a moment after their last byte
            await asyncio.sleep(0.05)
