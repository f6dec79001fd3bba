"""A body that is handed on as it comes, over both of what HTTP stands on: what is not poured can be asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
from tests.backends.http.raw import Raw, request

from portal.backends.http import Deadlines, HttpClient, Reply
from portal.errors import BackendError, BackendInterrupted, BackendProtocolError, BackendTimeout

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
Make: TypeAlias = Callable[[str], HttpClient]


@pytest.fixture(params=["own", "library"])
def client(request: pytest.FixtureRequest) -> Make:
    def make(url: str) -> HttpClient:
        return HttpClient(
            server="test", url=url, deadlines=Deadlines(first_byte=5, idle=0.2), library=request.param == "library"
        )

    return make


def sending(*pieces: bytes, apart: float = 0.02, end: bytes = END, stays: bool = True) -> Raw:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(HEAD)
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(apart)
        writer.write(end)
        if stays:
            await reader.read()

    return Raw(talk)


async def rest(reply: Reply, got: list[bytes] | None = None) -> bytes:
    """What can be asked for, also put into `got`."""
    got = [] if got is None else got
    begun = len(got)
    while piece := await reply.chunk():
        got.append(piece)
    return b"".join(got[begun:])


async def test_poured_and_asked_for_are_the_whole(client: Make) -> None:
    sent, got = [b"%d," % number for number in range(20)], []
    async with sending(*sent) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        got.append(await reply.chunk())
        await reply.pour(got.append)
        await rest(reply, got)
        assert b"".join(got) == b"".join(sent)
        reply.close()
        await http.aclose()


async def test_one_that_waits_is_given_nothing_meanwhile(client: Make) -> None:
    got, waiting = [], 0

    async def wait() -> None:
        nonlocal waiting
        await asyncio.sleep(0.03)
        waiting -= 1

    def sink(piece: bytes) -> Awaitable[None] | None:
        nonlocal waiting
        assert waiting == 0
        got.append(piece)
        if len(got) % 2:
            return None
        waiting += 1
        return wait()

    async with sending(*[b"x" * 50_000] * 12, apart=0.001) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        await reply.pour(sink)
        assert len(b"".join(got) + await rest(reply)) == 600_000
        reply.close()
        await http.aclose()


@pytest.mark.parametrize("error", [BackendProtocolError("no"), ConnectionResetError("gone")])
async def test_what_the_taker_raises_is_told_where_the_rest_is_asked_for(client: Make, error: Exception) -> None:
    asked: list[bytes] = []

    def sink(piece: bytes) -> None:
        asked.append(piece)
        raise error

    async with sending(b"a", b"b", b"c", apart=0.05) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        assert await reply.chunk() == b"a"
        await reply.pour(sink)
        if asked:
            with pytest.raises(type(error), match=str(error)):
                await rest(reply)
        else:
            assert await rest(reply) == b"bc"
        reply.close()
        await http.aclose()
        await server.all_closed()


@pytest.mark.parametrize(("stays", "expected"), [(True, BackendTimeout), (False, BackendInterrupted)])
async def test_one_that_stops_or_breaks_off(client: Make, stays: bool, expected: type[BackendError]) -> None:
    got: list[bytes] = []
    async with sending(b"a", b"b", b"c", end=b"", stays=stays) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        await reply.pour(got.append)
        with pytest.raises(expected):
            await rest(reply, got)
        assert b"".join(got) == b"abc"
        reply.close()
        await http.aclose()


async def test_whoever_stops_pouring_closes_the_connection(client: Make) -> None:
    async with sending(*[b"x"] * 5, end=b"") as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        async with asyncio.TaskGroup() as group:
            task = group.create_task(reply.pour(lambda piece: None))
            await asyncio.sleep(0)
            task.cancel()
        reply.close()
        await server.all_closed()
        await http.aclose()


async def test_what_the_taker_raises_is_told_also_at_the_end_of_the_answer(client: Make) -> None:
    asked: list[bytes] = []

    def sink(piece: bytes) -> None:
        asked.append(piece)
        raise BackendProtocolError("no lines")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(HEAD + b"1\r\na\r\n")
        await told.wait()
        writer.write(b"1\r\nb\r\n" + END)
        await reader.read()

    told = asyncio.Event()
    async with Raw(talk) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        assert await reply.chunk() == b"a"
        asyncio.get_running_loop().call_soon(told.set)
        await reply.pour(sink)
        if asked:
            with pytest.raises(BackendProtocolError, match="no lines"):
                await rest(reply)
        else:
            assert await rest(reply) == b"b"
        reply.close()
        await http.aclose()
