"""The one place for HTTP, over both of what it stands on: our own client and aiohttp. Real sockets, nasty servers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest
from tests.backends.http.raw import OK, Raw, answering, request

from portal.backends.http import MAX_JSON, Deadlines, HttpClient
from portal.errors import (
    BackendError,
    BackendInterrupted,
    BackendProtocolError,
    BackendTimeout,
    BackendUnavailable,
)

Make: TypeAlias = Callable[..., HttpClient]


@pytest.fixture(params=["own", "library"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(kind: str) -> Make:
    def make(url: str, *, headers: dict[str, str] | None = None, **deadlines: float) -> HttpClient:
        return HttpClient(
            server="test",
            url=url,
            deadlines=Deadlines(**{"first_byte": 5, "idle": 5, **deadlines}),
            headers=headers,
            library=kind == "library",
        )

    return make


async def test_a_pooled_connection_closed_meanwhile_is_no_failure(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        if number > 1:
            writer.write(OK)
            await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url)
        assert await http.json("POST", "/", None) == {}
        assert await http.json("POST", "/", None) == {}
        await http.aclose()
    assert server.connections == 2


async def test_a_fresh_connection_that_closes_is_one(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises(BackendUnavailable):
            await http.json("POST", "/")
        await http.aclose()
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: minus one\r\n\r\n",
    ],
)
async def test_what_is_no_http(client: Make, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises((BackendProtocolError, BackendUnavailable)) as caught:
            await http.json("GET", "/")
        assert server.url in caught.value.message
        await http.aclose()


async def test_broken_chunks_are_a_cut(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n")
        await writer.drain()
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises((BackendInterrupted, BackendProtocolError)):
            await http.json("GET", "/")
        await http.aclose()


async def test_redirects_are_not_followed(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises(BackendProtocolError, match="redirects are not followed"):
            await http.json("GET", "/")
        await http.aclose()


async def test_a_whole_answer_has_a_largest_size(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MAX_JSON * 2))
        while True:
            writer.write(b" " * 65536)
            await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises(BackendProtocolError, match="more than 1000 bytes"):
            await http.json("GET", "/", limit=1000)
        await http.aclose()


async def test_error_bodies_of_every_shape(client: Make) -> None:
    bodies = [
        (b'{"error": {"message": "m1", "code": "c"}}', "m1"),
        (b'{"error": "m2"}', "m2"),
        (b'{"detail": "m3"}', "m3"),
        (b'{"detail": [{"msg": "m4"}]}', "m4"),
        (b"plain m5", "m5"),
        (b"<html>secret</html>", "Bad Request"),
        (b"[1]", "[1]"),
        (b"", "Bad Request"),
    ]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        for body, _ in bodies:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url)
        for _, words in bodies:
            with pytest.raises(BackendError) as caught:
                await http.json("GET", "/")
            assert words in caught.value.message
            assert "secret" not in caught.value.message
        await http.aclose()


async def test_an_answer_that_never_ends_after_it_is_complete(client: Make) -> None:
    """The connection is given up instead of waited for."""
    done = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        await writer.drain()
        await reader.read()
        done.set()

    async with Raw(talk) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        assert await reply.chunk() == b"{}"
        await reply.finish()
        await done.wait()
        await http.aclose()


async def test_nobody_listening_and_no_such_host(client: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://no-such-host.invalid", "http://127.0.0.1:99999"):
        http = client(url)
        with pytest.raises(BackendUnavailable):
            await http.json("GET", "/")
        await http.aclose()


async def test_encryption_where_there_is_none(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.read(1)
        writer.write(b"no")
        await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url.replace("http", "https"))
        with pytest.raises(BackendUnavailable):
            await http.json("GET", "/")
        await http.aclose()


async def test_a_listener_that_does_not_accept(client: Make) -> None:
    """A full backlog: connecting itself runs into its deadline."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        http = client(f"http://127.0.0.1:{port}", connect=0.2)
        with pytest.raises(BackendTimeout, match="did not accept a connection"):
            await http.json("GET", "/")
        await http.aclose()
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("http://127.0.0.1:1", False),
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
        ("http://far.example", True),
    ],
)
async def test_no_proxy_stands_before_this_machine(
    client: Make, monkeypatch: pytest.MonkeyPatch, url: str, through: bool
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()

    async with Raw(talk) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        http = client(url)
        if through:
            assert await http.json("GET", "/") == {}
        else:
            with pytest.raises(BackendUnavailable):
                await http.json("GET", "/")
        await http.aclose()
        assert proxy.connections == int(through)


# What a server may rightly do


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "counted": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
    "chunked": CHUNKED + b"2\r\n12\r\n3;note=x\r\n345\r\n0\r\n\r\n",
    "chunked with trailers": CHUNKED + b"5\r\n12345\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    "after an interim answer": b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
    "then closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345",
    "with bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\n12345",
}


async def body_of(http: HttpClient, method: str = "GET", path: str = "/") -> bytes:
    reply = await http.open(method, path)
    try:
        return await reply.read(MAX_JSON)
    finally:
        reply.close()


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_bodies_of_every_form(client: Make, answer: bytes) -> None:
    async with Raw(answering(answer)) as server:
        http = client(server.url)
        assert await body_of(http) == b"12345"
        await http.aclose()


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE)
async def test_the_same_one_byte_at_a_time(client: Make, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await request(reader)
        for at in range(len(answer)):
            writer.write(answer[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)

    async with Raw(talk) as server:
        http = client(server.url)
        assert await body_of(http) == b"12345"
        await http.aclose()


@pytest.mark.parametrize("name", ["counted", "chunked", "chunked with trailers", "after an interim answer"])
async def test_an_early_close_at_every_byte(client: Make, name: str) -> None:
    """What is not whole is never taken for an answer: `12345` is good JSON, and so is every beginning of it."""
    answer, part = WHOLE[name], b""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(part)
        await writer.drain()

    async with Raw(talk) as server:
        for length in range(len(answer)):
            part = answer[:length]
            http = client(server.url)
            with pytest.raises(BackendError):
                http.parsed(await body_of(http))
            await http.aclose()


async def test_a_body_that_ends_with_its_connection(client: Make) -> None:
    async with Raw(answering(b"HTTP/1.0 200 OK\r\n\r\n12345")) as server:
        http = client(server.url)
        assert await body_of(http) == b"12345"
        await http.aclose()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(client: Make, method: str, answer: bytes) -> None:
    async with Raw(answering(answer, OK)) as server:
        http = client(server.url)
        assert await body_of(http, method) == b""
        assert await body_of(http) == b"{}"
        await http.aclose()
    assert server.connections == 1


async def test_a_head_is_an_answer_without_its_body(client: Make) -> None:
    async with Raw(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\n")) as server:
        http = client(server.url)
        reply = await http.open("HEAD", "/")
        assert (reply.headers["content-length"], reply.headers["ETag"]) == ("5", "x")
        assert await reply.chunk() == b""
        await http.aclose()


async def test_a_connection_serves_one_request_after_another(client: Make) -> None:
    async with Raw(answering(*[WHOLE["counted"], WHOLE["chunked with trailers"]] * 3)) as server:
        http = client(server.url)
        assert [await body_of(http) for _ in range(6)] == [b"12345"] * 6
        await http.aclose()
    assert server.connections == 1


async def test_a_server_that_closes_after_each_answer(client: Make) -> None:
    async with Raw(answering(WHOLE["then closing"])) as server:
        http = client(server.url)
        assert [await body_of(http) for _ in range(3)] == [b"12345"] * 3
        await http.aclose()
    assert server.connections == 3


async def test_what_is_sent(client: Make) -> None:
    heads: list[tuple[str, bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            heads.append(await request(reader))
            writer.write(OK)

    async with Raw(talk) as server:
        http = client(server.url + "/base", headers={"Authorization": "Bearer k"})
        await http.json("POST", "/ä b?q=ü&r=%20", {"a": 1})
        await http.json("GET", f"{server.url}/elsewhere")
        await http.json("POST", "/empty")
        await http.aclose()
    posted, body = heads[0]
    assert posted.startswith("POST /base/%C3%A4%20b?q=%C3%BC&r=%20 HTTP/1.1\r\n")
    assert body == b'{"a":1}'
    for line in ("Authorization: Bearer k", "Content-Type: application/json", "Accept-Encoding: identity"):
        assert line in posted
    assert f"Host: {server.url.removeprefix('http://')}" in posted
    assert heads[1][0].startswith("GET /elsewhere HTTP/1.1\r\n")
    assert "content-length" not in heads[1][0].lower()
    assert "content-length: 0" in heads[2][0].lower()


async def test_a_name_and_password_in_the_address(client: Make) -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        heads.append((await request(reader))[0])
        writer.write(OK)

    async with Raw(talk) as server:
        http = client(server.url.replace("://", "://me:p%40ss@"))
        await http.json("GET", "/")
        await http.aclose()
    assert "Authorization: Basic bWU6cEBzcw==\r\n" in heads[0]
    assert "@" not in heads[0]


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nX-C: d"}, {"X-A": "b\0"}, {"X-A": "€"}])
async def test_headers_that_would_be_others(client: Make, headers: dict[str, str]) -> None:
    heads: list[str] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        heads.append((await request(reader))[0])
        writer.write(OK)

    async with Raw(talk) as server:
        http = client(server.url)
        with contextlib.suppress(BackendUnavailable):
            (await http.open("GET", "/", headers=headers)).close()
        await http.aclose()
    assert not any("\r\nX-C" in head or "\0" in head for head in heads)


# Bodies that are sent in pieces


async def test_a_body_in_pieces(client: Make) -> None:
    got: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        head, body = await request(reader)
        assert "chunked" in head
        got.append(body)
        writer.write(OK)

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"ab", b"", b"c" * 100_000, b"d"):
            yield piece

    async with Raw(talk) as server:
        http = client(server.url)
        reply = await http.open("POST", "/", pieces())
        assert await reply.read(10) == b"{}"
        await http.aclose()
    assert got == [b"ab" + b"c" * 100_000 + b"d"]


async def test_a_large_body_is_read_no_faster_than_it_is_sent(client: Make) -> None:
    pulled = 0
    go_on = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await go_on.wait()
        await request(reader)
        writer.write(OK)

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal pulled
        for _ in range(640):
            pulled += 1
            if pulled == 160:  # far more than all buffers on the way can hold, unless somebody piles it up
                pytest.fail("nobody read, and yet it was all taken")
            yield b"x" * 2**17
            if pulled > 120:
                return

    async with Raw(talk) as server:
        http = client(server.url)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(http.open("POST", "/", pieces()))
            before = -1
            while before != pulled:
                before = pulled
                await asyncio.sleep(0.05)
            assert pulled < 100
            go_on.set()
            reply = await sending
        assert await reply.read(10) == b"{}"
        await http.aclose()


async def test_an_answer_before_the_body_was_sent(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.sleep(0.05)
        for _ in range(1000):
            yield b"y" * 65536

    async with Raw(talk) as server:
        http = client(server.url)
        reply = await http.open("POST", "/", pieces())
        assert reply.status == 413
        reply.close()
        await http.aclose()
        await server.all_closed()


async def test_a_body_that_fails_while_it_is_sent(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.read()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"x"
        raise BackendError("the source is gone")

    async with Raw(talk) as server:
        http = client(server.url)
        with pytest.raises(BackendError):
            await http.open("POST", "/", pieces())
        await http.aclose()
        await server.all_closed()


# Deadlines, and readers who leave


async def test_a_head_that_never_comes(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url, first_byte=0.1)
        with pytest.raises(BackendTimeout, match=r"sent nothing for 0\.1 seconds"):
            await http.open("GET", "/")
        await http.aclose()
        await server.all_closed()


async def test_a_body_that_never_comes_and_one_that_stops(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + (b"1\r\nx\r\n" if number > 1 else b""))
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url, first_byte=0.2, idle=0.1)
        for first, seconds in ((b"", "0.2"), (b"x", "0.1")):
            reply = await http.open("GET", "/")
            if first:
                assert await reply.chunk() == first
            with pytest.raises(BackendTimeout, match=f"sent nothing for {seconds} seconds"):
                await reply.chunk()
            reply.close()
        await http.aclose()
        await server.all_closed()


async def test_a_slow_reader_is_no_silent_server(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\nx\r\n")
        await reader.readexactly(0)
        await asyncio.sleep(0.15)
        writer.write(b"1\r\ny\r\n0\r\n\r\n")
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url, first_byte=5, idle=0.1)
        reply = await http.open("GET", "/")
        assert await reply.chunk() == b"x"
        await asyncio.sleep(0.3)
        assert await reply.chunk() == b"y"
        reply.close()
        await http.aclose()


async def test_closing_a_reply_closes_its_connection(client: Make) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\nx\r\n")
        assert await reader.read() == b""

    async with Raw(talk) as server:
        http = client(server.url)
        for _ in range(3):
            reply = await http.open("GET", "/")
            assert await reply.chunk() == b"x"
            reply.close()
            reply.close()
            await server.all_closed()
        await http.aclose()
    assert server.connections == 3


async def test_cancelling_closes_the_connection(client: Make) -> None:
    asked = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        asked.set()
        await reader.read()

    async with Raw(talk) as server:
        http = client(server.url)
        async with asyncio.TaskGroup() as group:
            opening = group.create_task(http.open("GET", "/"))
            await asked.wait()
            opening.cancel()
        await server.all_closed()
        await http.aclose()


async def test_what_comes_after_the_answer(client: Make) -> None:
    """A connection on which something came that nobody asked for is not used again."""
    for junk in (b"GARBAGE\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad", b"\0" * 1000):
        async with Raw(answering(WHOLE["counted"] + junk)) as server:
            http = client(server.url)
            for _ in range(2):
                with contextlib.suppress(BackendProtocolError):  # aiohttp gives up the answer as well
                    assert await body_of(http) == b"12345"
            await http.aclose()
        assert server.connections == 2


async def test_a_hundred_megabytes(client: Make) -> None:
    """Read slowly at first: the server is held back meanwhile."""
    piece, sent = b"%x\r\n%b\r\n" % (2**16, b"x" * 2**16), 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        nonlocal sent
        await request(reader)
        writer.write(CHUNKED)
        for _ in range(1600):
            writer.write(piece)
            await writer.drain()
            sent += 1
        writer.write(b"0\r\n\r\n")

    async with Raw(talk) as server:
        http = client(server.url)
        reply = await http.open("GET", "/")
        size = len(await reply.chunk())
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 200  # 13 MB: the kernel's buffers and little more
        while more := await reply.chunk():
            size += len(more)
            assert len(more) < 2**20
        assert size == 1600 * 2**16
        reply.close()
        await http.aclose()


@pytest.mark.parametrize("flood", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X-Y: z\r\n"])
async def test_a_head_without_end(client: Make, flood: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        await request(reader)
        if flood.startswith(b"X"):
            writer.write(b"HTTP/1.1 200 OK\r\n")
        for _ in range(100_000):
            writer.write(flood * 100)
            await writer.drain()

    async with Raw(talk) as server:
        http = client(server.url, first_byte=2)
        with pytest.raises((BackendProtocolError, BackendTimeout)):
            await http.open("GET", "/")
        await http.aclose()
