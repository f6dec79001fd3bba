"""The load: connections that are kept, one request at a time on each, on plain asyncio protocols, so that one core
makes several thousand requests a second and the server is what is measured."""

import asyncio
import json
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from urllib.parse import urlsplit

import httptools

PROMPT = "Summarise this note in two sentences. " + "The quick brown fox jumps over the lazy dog. " * 8


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where requests go, and the model they ask."""

    url: str
    model: str
    key: str = ""
    path: str = "/v1/chat/completions"

    def request(self, note: str, *, stream: bool) -> bytes:
        messages = [{"role": "system", "content": "You help."}, {"role": "user", "content": f"{PROMPT}[bench {note}]"}]
        body = json.dumps(
            {"model": self.model, "stream": stream, "temperature": 0.7, "max_tokens": 512, "messages": messages}
        ).encode()
        key = f"Authorization: Bearer {self.key}\r\n" if self.key else ""
        head = f"POST {self.path} HTTP/1.1\r\nHost: {urlsplit(self.url).netloc}\r\nAccept: */*\r\n{key}"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass
class Sample:
    """What one load saw, in seconds."""

    latencies: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    """Time to the first byte of each body."""
    chunks: int = 0
    errors: list[str] = field(default_factory=list)
    wall: float = 0.0

    @property
    def count(self) -> int:
        return len(self.latencies)

    def p50(self, values: list[float]) -> float:
        """In milliseconds."""
        return median(values) * 1000 if values else float("nan")


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self.done is not None and not self.done.done():
            self.done.set_exception(error or ConnectionError("the connection was closed"))

    def send(self, request: bytes) -> asyncio.Future[None]:
        self.parser = httptools.HttpResponseParser(self)
        self.first = 0.0
        self.words = 0
        self.tail = b""
        self.done = asyncio.get_running_loop().create_future()
        self.began = perf_counter()
        self.transport.write(request)
        return self.done

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if not self.first:
            self.first = perf_counter() - self.began
        self.words += body.count(b"word")
        self.tail = body[-32:]

    def on_message_complete(self) -> None:
        self.status = self.parser.get_status_code()
        self.took = perf_counter() - self.began
        if self.done is not None and not self.done.done():
            self.done.set_result(None)


async def drive(
    target: Target,
    note: str,
    *,
    clients: int,
    each: int,
    stream: bool = False,
    words: int = 0,
    apart: float = 0,
    pause: float = 0,
) -> Sample:
    """`each` requests on each of the connections, all at once; the first ones begin `apart` seconds from another, and
    each begins `pause` seconds after the one before. Another number of words than `words`, if given, is an error."""
    sample, request = Sample(), target.request(note, stream=stream)
    parts = urlsplit(target.url)
    loop = asyncio.get_running_loop()

    async def client(number: int) -> None:
        _, connection = await loop.create_connection(Client, parts.hostname, parts.port)
        await barrier.wait()
        await asyncio.sleep(number * apart)
        for _ in range(each):
            await asyncio.sleep(pause)
            try:
                async with asyncio.timeout(60):
                    await connection.send(request)
            except (OSError, httptools.HttpParserError) as error:
                sample.errors.append(repr(error))
                return
            _note(sample, connection, words)
        connection.transport.close()

    barrier = asyncio.Barrier(clients + 1)
    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(number))
        await barrier.wait()
        began = perf_counter()
    sample.wall = perf_counter() - began
    return sample


def _note(sample: Sample, connection: Client, words: int) -> None:
    if connection.status != 200:
        sample.errors.append(f"status {connection.status}")
    elif words and connection.words != words:
        sample.errors.append(f"{connection.words} words instead of {words}")
    else:
        sample.latencies.append(connection.took)
        sample.firsts.append(connection.first)
        sample.chunks += connection.words
