"""What our own HTTP client promises beyond the contract of `test_http.py`."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.backends.http.raw import OK, Raw, answering, request

from portal.backends.failures import Failures
from portal.backends.http import Deadlines, HttpClient
from portal.backends.http1 import Http1
from portal.backends.transport import Request
from portal.errors import BackendError, BackendInterrupted, BackendProtocolError, BackendTimeout, BackendUnavailable

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def http1(url: str, **more: float) -> Http1:
    return Http1(origin=url, headers={}, failures=Failures(f"test ({url})"), **{"connect": 5, "idle": 5, **more})  # type: ignore[arg-type]


def get(server: Raw, *, seconds: float = 5, method: str = "GET", body: bytes | None = None) -> Request:
    return Request(method=method, url=f"{server.url}/", headers={}, body=body, seconds=seconds)


async def whole(client: Http1, asked: Request) -> bytes:
    answer = await client.send(asked)
    body = b""
    while piece := await answer.chunk():
        body += piece
    return body


@pytest.mark.parametrize("answer", [OK, CHUNKED + b"2\r\n{}\r\n0\r\nX: y\r\n\r\n"])
async def test_an_early_close_at_every_byte_is_told_apart(answer: bytes) -> None:
    part = b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(part)
        await writer.drain()

    async with Raw(talk) as server:
        client = http1(server.url)
        head = answer.index(b"\r\n\r\n") + 4
        for length in range(len(answer)):
            part = answer[:length]
            with pytest.raises(BackendUnavailable if length < head else BackendInterrupted):
                await whole(client, get(server))
        part = answer
        assert await whole(client, get(server)) == b"{}"
        await client.aclose()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "switches"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", "'gzip' was not asked for"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "its head has no end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "does not speak HTTP"),
    ],
)
async def test_answers_that_are_refused(answer: bytes, words: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(answer)
        await reader.read()

    async with Raw(talk) as server:
        client = http1(server.url)
        with pytest.raises(BackendProtocolError, match=words):
            await client.send(get(server))
        await server.all_closed()
        await client.aclose()


async def test_trailers_without_end_are_a_cut() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + b"2\r\n{}\r\n0\r\n")
        while True:
            writer.write(b"X: y\r\n" * 1000)
            await writer.drain()

    async with Raw(talk) as server:
        client = http1(server.url)
        answer = await client.send(get(server))
        assert await answer.chunk() == b"{}"
        with pytest.raises(BackendInterrupted):
            await answer.chunk()
        await server.all_closed()
        await client.aclose()


async def test_more_requests_than_the_limit_wait_their_turn() -> None:
    go_on = asyncio.Event()
    at_once = most = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal at_once, most
        while True:
            await request(reader)
            at_once += 1
            most = max(most, at_once)
            await go_on.wait()
            at_once -= 1
            writer.write(OK)

    async with Raw(talk) as server:
        client = http1(server.url, limit=3)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(whole(client, get(server))) for _ in range(10)]
            while at_once < 3:
                await asyncio.sleep(0)
            with pytest.raises(BackendTimeout, match="3 requests under way"):
                await client.send(get(server, seconds=0.1))
            tasks[9].cancel()
            go_on.set()
        assert most == 3
        assert [task.result() for task in tasks[:9]] == [b"{}"] * 9
        assert await whole(client, get(server)) == b"{}"
        assert server.connections == 3
        await client.aclose()


async def test_failures_give_their_place_back() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        if number > 5:
            writer.write(OK)

    async with Raw(talk) as server:
        client = http1(server.url, limit=1)
        for _ in range(5):
            with pytest.raises(BackendUnavailable, match="it closed the connection"):
                await client.send(get(server))
        assert await whole(client, get(server)) == b"{}"
        await client.aclose()
    gone = http1(server.url, limit=1)
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            await gone.send(get(server))


async def test_a_request_is_sent_again_only_if_nothing_was_answered() -> None:
    bodies: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(OK)
        bodies.append((await request(reader))[1])
        writer.write(OK if number > 1 else OK[:5])
        await writer.drain()

    async with Raw(talk) as server:
        client = http1(server.url)
        assert await whole(client, get(server)) == b"{}"
        with pytest.raises(BackendUnavailable):  # five bytes had come
            await client.send(get(server, method="POST", body=b"one"))
        assert await whole(client, get(server)) == b"{}"
        assert await whole(client, get(server, method="POST", body=b"two")) == b"{}"
        await client.aclose()
    assert bodies == [b"one", b"two"]
    assert server.connections == 2


async def test_all_kept_connections_are_as_old_as_the_one_that_was_closed() -> None:
    together = asyncio.Barrier(3)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        if number <= 3:
            await together.wait()
        writer.write(OK)
        await request(reader)  # and goes without an answer

    async with Raw(talk) as server:
        client = http1(server.url)
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(whole(client, get(server)))
        assert await whole(client, get(server, method="POST", body=b"x" * 100_000)) == b"{}"
        assert server.connections == 4
        await client.aclose()
        await server.all_closed()


async def test_a_body_in_pieces_is_never_sent_twice() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    async with Raw(answering(OK)) as server:
        http = HttpClient(server="test", url=server.url, deadlines=Deadlines())
        assert await http.json("GET", "/") == {}
        reply = await http.open("POST", "/", pieces())
        assert await reply.read(10) == b"{}"
        assert server.connections == 2
        await http.aclose()


async def test_what_comes_unasked_ends_the_connection() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        assert await reader.read() == b""

    async with Raw(talk) as server:
        client = http1(server.url)
        assert await whole(client, get(server)) == b"{}"
        await server.all_closed()
        assert await whole(client, get(server)) == b"{}"
        assert server.connections == 2
        await client.aclose()


async def test_a_connection_is_kept_for_a_while() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        for _ in range(2):
            await request(reader)
            writer.write(OK)
        assert await reader.read() == b""

    async with Raw(talk) as server:
        client = http1(server.url, keep=0.1)
        for _ in range(2):
            assert await whole(client, get(server)) == b"{}"
        await server.all_closed()
        assert server.connections == 1
        await client.aclose()


async def test_a_deadline_that_is_moved() -> None:
    """The timer of an early deadline does not end what came later, and a later one is not waited for."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED)
        for _ in range(6):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.3)
        await reader.read()

    async with Raw(talk) as server:
        client = http1(server.url, idle=1)
        answer = await client.send(get(server, seconds=60))
        assert [await answer.chunk() for _ in range(6)] == [b"x"] * 6
        with pytest.raises(BackendTimeout, match="nothing for 1 second"):
            await answer.chunk()
        await server.all_closed()
        await client.aclose()


async def test_closing_while_answers_are_under_way() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\nx\r\n")
        await reader.read()

    async with Raw(talk) as server:
        client = http1(server.url)
        answer = await client.send(get(server))
        await client.aclose()
        assert await answer.chunk() == b"x"
        with pytest.raises(BackendInterrupted):
            await answer.chunk()
        with pytest.raises(BackendUnavailable, match="does not use it any more"):
            await client.send(get(server))


async def test_what_came_before_a_cut_is_given_first() -> None:
    sent = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\nx\r\n")
        await writer.drain()
        sent.set()

    async with Raw(talk) as server:
        client = http1(server.url)
        answer = await client.send(get(server))
        await sent.wait()
        await server.all_closed()
        assert await answer.chunk() == b"x"
        with pytest.raises(BackendInterrupted):
            await answer.chunk()
        answer.close()
        await client.aclose()


async def test_a_name_with_several_addresses() -> None:
    async with Raw(answering(OK, OK)) as server:
        client = http1(server.url.replace("127.0.0.1", "localhost"))
        for _ in range(2):
            asked = get(server)
            asked.url = asked.url.replace("127.0.0.1", "localhost")
            assert await whole(client, asked) == b"{}"
        await client.aclose()


@pytest.mark.parametrize("origin", ["http://", "http://127.0.0.1:99999", "http://a..b", f"http://{'x' * 70}.example"])
async def test_addresses_that_cannot_be_used(origin: str) -> None:
    http = HttpClient(server="test", url=origin, deadlines=Deadlines())
    with pytest.raises(BackendUnavailable, match="an address that cannot be used"):
        await http.open("GET", "/")
    await http.aclose()


async def test_a_place_elsewhere_is_the_librarys() -> None:
    async with Raw(answering(OK)) as server, Raw(answering(OK)) as other:
        http = HttpClient(server="test", url=server.url, deadlines=Deadlines())
        assert await http.json("GET", f"{other.url}/x") == {}
        assert (server.connections, other.connections) == (0, 1)
        with pytest.raises(BackendError):
            await http.json("GET", f"{server.url}1/x")
        await http.aclose()
