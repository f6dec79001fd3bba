"""A Portal killed while a platform carries out its call: nothing is lost, at most that one message repeated."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from portal.channels import words

from .portal_process import ANSWER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PROCESS = Path(__file__).with_name("portal_process.py")
WHOLE = "".join(ANSWER).rstrip()
PATIENCE = 150
"""Seconds in which a process starts and answers, however busy the machine."""


@dataclass
class Said:
    text: str
    nonce: str


@dataclass
class Wire:
    """The platform: carries a call out, and may kill whoever made it before it answers."""

    deadly: str = ""
    messages: dict[str, Said] = field(default_factory=dict)
    pending: list[dict[str, str]] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    kills: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        kind, _, rest = request.path.strip("/").partition("/")
        told: dict[str, str] = await request.json() if request.can_read_body else {}
        made = await self._carried_out(kind, rest, told)
        if kind == self.deadly and self.process is not None:
            self.deadly = ""
            self.kill()
            await asyncio.Event().wait()
        return web.json_response(made)

    async def _carried_out(self, kind: str, rest: str, told: dict[str, str]) -> dict[str, object]:
        if kind == "updates":
            await asyncio.sleep(0.01)
            return {"data": self.pending[:1]}
        if kind == "acknowledged":
            self.pending = [one for one in self.pending if one["id"] != rest]
        elif kind == "send":
            identity = f"s{len(self.messages)}"
            self.messages[identity] = Said(**told)
            return {"id": identity}
        elif kind == "edit":
            self.messages[rest].text = told["text"]
        elif kind == "find":
            return {"id": next((key for key, one in self.messages.items() if one.nonce == told["nonce"]), None)}
        return {}

    def kill(self) -> None:
        assert self.process is not None
        self.kills += 1
        os.kill(self.process.pid, signal.SIGKILL)

    def write(self, text: str) -> None:
        self.pending.append({"id": f"e-{text}", "text": text, "chat": "c1"})

    def texts(self) -> list[str]:
        return [one.text for one in self.messages.values()]


@asynccontextmanager
async def serve(wire: Wire) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", wire.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def begin(wire: Wire, folder: Path, address: str, kind: str, database: str = "") -> None:
    wire.process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), str(folder), address, database, kind
    )


async def ended(wire: Wire) -> None:
    assert wire.process is not None
    await wire.process.wait()


def settled(wire: Wire, asked: list[str]) -> bool:
    """Whether everything that was asked has an answer that is over."""
    texts = wire.texts()
    return not wire.pending and all(any(_answers(text, one) for text in texts) for one in asked)


def _answers(text: str, asked: str) -> bool:
    whole = text.removesuffix(f"\n\n{words.REPEATED}")
    return whole == f"{asked}: {WHOLE}" or whole.endswith(words.INTERRUPTED)


def repeated(wire: Wire) -> list[str]:
    return [text for text in wire.texts() if text.endswith(words.REPEATED)]


def over(wire: Wire, asked: list[str]) -> bool:
    """Whether everything has its answer besides what was repeated, and the last of them is over."""
    texts = wire.texts()
    if wire.pending or len(texts) < len(asked) + len(repeated(wire)):
        return False
    return texts[-1].removesuffix(f"\n\n{words.REPEATED}").endswith((WHOLE, words.INTERRUPTED))


async def until_settled(wire: Wire, asked: list[str]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            while not settled(wire, asked):
                await asyncio.sleep(0.05)
    except TimeoutError:
        assert wire.texts() == asked


@pytest.mark.parametrize("kind", ["finds", "blind"])
@pytest.mark.parametrize("call", ["updates", "acknowledged", "send", "edit"])
async def test_killed_before_the_answer_to_a_call(tmp_path: Path, kind: str, call: str) -> None:
    wire = Wire()
    async with serve(wire) as address:
        await begin(wire, tmp_path / "data", address, kind)
        wire.write("one")
        wire.deadly = call
        await ended(wire)
        assert wire.kills == 1
        await begin(wire, tmp_path / "data", address, kind)
        await until_settled(wire, ["one"])
        wire.write("two")
        async with asyncio.timeout(PATIENCE):
            while f"two: {WHOLE}" not in wire.texts():
                await asyncio.sleep(0.05)
        wire.kill()
        await ended(wire)
    expected = 3 if (kind, call) == ("blind", "send") else 2
    assert len(wire.messages) == expected, wire.texts()
    assert len(repeated(wire)) == expected - 2


@pytest.mark.parametrize("kind", ["finds", "blind"])
async def test_killed_at_any_moment(tmp_path: Path, kind: str) -> None:
    chance, wire, asked = random.Random(7), Wire(), [f"q{number}" for number in range(6)]
    async with serve(wire) as address:
        for text in asked:
            await begin(wire, tmp_path / "data", address, kind)
            wire.write(text)
            before = len(wire.messages)
            async with asyncio.timeout(PATIENCE):
                while len(wire.messages) == before and chance.random() < 0.9:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(chance.random() * 0.3)
            wire.kill()
            await ended(wire)
        await begin(wire, tmp_path / "data", address, kind)
        async with asyncio.timeout(PATIENCE):
            while not over(wire, asked):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # whatever came twice would be there by now
        wire.kill()
        await ended(wire)
    assert len(wire.messages) == len(asked) + len(repeated(wire)), wire.texts()
    assert kind == "blind" or not repeated(wire)
