"""Everything a model server can do wrong, over real sockets, for both wire protocols."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from portal.backends.failures import retry_after
from portal.backends.http import Deadlines
from portal.backends.ollama import Config as OllamaConfig
from portal.backends.ollama import Ollama
from portal.backends.openai_compatible import Config, OpenAICompatible
from portal.core.model import ModelEvent, ModelRequest, TextDelta
from portal.core.ports import Backend
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendProtocolError,
    BackendTimeout,
    BackendUnavailable,
)
from portal.testing.model_server import Answer, Fault, ModelServer
from portal.testing.ollama_server import OllamaServer
from portal.testing.openai_server import OpenAIServer

SHORT = Deadlines(connect=5, first_byte=0.15, idle=0.15)
LONG = Deadlines(connect=5, first_byte=60, idle=60)
ASK = {"messages": [{"role": "user", "content": "hi there"}]}


class Pair:
    def __init__(self, server: ModelServer, make: Callable[[Deadlines], Backend]) -> None:
        self.server = server
        self.make = make
        self.model = "tiny"
        self.made: list[Backend] = []

    def backend(self, deadlines: Deadlines = LONG) -> Backend:
        self.made.append(self.make(deadlines))
        return self.made[-1]

    async def run(self, backend: Backend) -> list[ModelEvent]:
        async with aclosing(backend.stream(ModelRequest(model=self.model, **ASK))) as events:
            return [event async for event in events]


@pytest.fixture(params=["ollama", "openai_compatible"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    server: ModelServer = OllamaServer() if request.param == "ollama" else OpenAIServer()
    async with server:

        def make(deadlines: Deadlines) -> Backend:
            if request.param == "ollama":
                return Ollama(OllamaConfig(url=server.url, deadlines=deadlines))
            return OpenAICompatible(Config(url=server.url, deadlines=deadlines))

        pair = Pair(server, make)
        yield pair
        for backend in pair.made:
            await backend.aclose()


TEXT = ["à", "é", "î", "ö", "ü"]


@pytest.mark.parametrize(
    ("fault", "after", "error"),
    [
        (Fault.HANG, 0, BackendTimeout),
        (Fault.HANG, 2, BackendTimeout),
        (Fault.RESET, 0, BackendUnavailable),
        (Fault.RESET, 2, BackendInterrupted),
        (Fault.CUT, 0, BackendInterrupted),
        (Fault.CUT, 2, BackendInterrupted),
        (Fault.ERROR, 2, BackendError),
        (Fault.GARBAGE, 0, BackendProtocolError),
        (Fault.GARBAGE, 2, BackendProtocolError),
        (Fault.TRUNCATED_UTF8, 2, BackendInterrupted),
        (Fault.HTML, 0, BackendProtocolError),
    ],
)
async def test_it_raises_and_names_the_server(pair: Pair, fault: Fault, after: int, error: type[BackendError]) -> None:
    backend = pair.backend(SHORT if fault is Fault.HANG else LONG)
    pair.server.script(Answer(text=TEXT, fault=fault, after=after))
    with pytest.raises(error) as caught:
        await pair.run(backend)
    assert type(caught.value) is error
    assert backend.name in caught.value.message
    assert backend.url in caught.value.message
    await pair.server.wait_active(0)


async def test_one_byte_at_a_time_is_only_slow(pair: Pair) -> None:
    pair.server.script(Answer(text=TEXT, fault=Fault.DRIP))
    events = await pair.run(pair.backend())
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "àéîöü"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("soon", None),
        ("", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 -0000", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10**10),
    ],
)
def test_when_to_come_back_is_a_number_or_a_date(header: str, seconds: float | None) -> None:
    read = retry_after({"Retry-After": header})
    assert (read is not None and read > 10**10) if seconds == 10**10 else read == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_a_server_in_trouble_is_unavailable(pair: Pair, status: int) -> None:
    pair.server.script(Answer(status=status, error="overloaded", headers={"Retry-After": "7"}))
    with pytest.raises(BackendUnavailable, match="overloaded") as caught:
        await pair.run(pair.backend())
    assert caught.value.retry_after == 7


async def test_a_server_that_is_gone(pair: Pair) -> None:
    backend = pair.backend()
    await pair.server.stop()
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await pair.run(backend)
    with pytest.raises(BackendUnavailable):
        await backend.models()


async def test_a_server_that_comes_back(pair: Pair) -> None:
    backend = pair.backend()
    await pair.run(backend)
    await pair.server.stop()
    with pytest.raises(BackendUnavailable):
        await pair.run(backend)
    await pair.server.start()
    assert await pair.run(backend)


async def test_a_flood_fills_no_memory(pair: Pair) -> None:
    """The server is held back by a slow reader: only what fits the sockets' buffers is under way."""
    pair.server.script(Answer(text=["x" * 10_000] * 3, fault=Fault.FLOOD, after=1))
    async with aclosing(pair.backend().stream(ModelRequest(model="tiny", **ASK))) as events:
        count = 0
        async for event in events:
            count += isinstance(event, TextDelta)
            for _ in range(50):
                await asyncio.sleep(0)
            if count == 100:
                break
        assert pair.server.bytes_sent < 12 * 2**20
    await pair.server.wait_disconnected()


async def test_an_endless_line_is_refused(pair: Pair) -> None:
    pair.server.script(Answer(frames=[b"data: " + b"x" * 2**20] * 20))
    with pytest.raises(BackendProtocolError, match="a line of more than"):
        await pair.run(pair.backend())


async def test_many_readers_who_leave_free_everything(pair: Pair) -> None:
    backend = pair.backend()
    pair.server.script(*(Answer(text=["a", "b"], gate=asyncio.Event(), after=2) for _ in range(50)))

    async def leave() -> None:
        async with aclosing(backend.stream(ModelRequest(model="tiny", **ASK))) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    return

    async with asyncio.TaskGroup() as group:
        for _ in range(50):
            group.create_task(leave())
    await pair.server.wait_disconnected(50)
    await pair.server.wait_active(0)
