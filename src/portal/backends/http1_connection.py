"""One connection of `http1`. It has one deadline at a time, kept by one timer that is moved only when it fires too
early."""

import asyncio
from dataclasses import dataclass, field
from typing import cast

import httptools

from portal.backends.failures import Failures
from portal.backends.http1_answer import Headers, Http1Answer
from portal.backends.transport import Request

_MOST_OVERHEAD = 64 * 2**10
"""Bytes that may come without any of a body: heads, trailers, the sizes of chunks."""


@dataclass(slots=True, kw_only=True)
class Pool:
    """What the connections to one server share. A request holds a slot until its answer is over."""

    failures: Failures
    idle: float
    """Seconds between two pieces of a body."""
    keep: float
    """Seconds that a connection may be free."""
    slots: asyncio.Semaphore
    free: list["Connection"] = field(default_factory=list)
    all: set["Connection"] = field(default_factory=set)


class Stale(Exception):
    """A kept connection had been closed by the server: it answered nothing, not one byte."""


class Connection(asyncio.Protocol):
    """One connection, and the parser of what comes over it. It has an answer or is free, never both."""

    def __init__(self, pool: Pool) -> None:
        self.loop = asyncio.get_running_loop()
        self.pool = pool
        self.deadline: float | None = None
        self.held = False
        """Whether what was written waits for the server to read it."""
        self._answer: Http1Answer | None = None
        self._used = self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._parser = httptools.HttpResponseParser(self)
        # Servers written by hand forget carriage returns and put spaces where none belong.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    @property
    def closing(self) -> bool:
        """Whether it cannot be used any more."""
        return self._transport.is_closing()

    def begin(self, until: float, request: Request) -> Http1Answer:
        """The answer to a request, which is yet to be asked."""
        self.deadline = None
        self._lines: list[tuple[bytes, bytes]] = []
        self._heard = self._interim = self._until_closed = self._over = False
        self._overhead = 0
        self._broken: str | None = None
        self._answer = Http1Answer(self, until, request)
        return self._answer

    def give_up(self, answer: Http1Answer) -> None:
        """Close the connection if this answer is still under way on it."""
        if self._answer is answer:
            self._end(self.pool.failures.cut())

    def abort(self) -> None:
        """Close it at once, whatever is under way."""
        self._transport.abort()

    def write(self, content: bytes) -> None:
        """Send; `held` says whether to wait before sending more."""
        self._transport.write(content)

    def write_soon(self, content: bytes) -> None:
        """Send at the end of this turn of the loop: of requests that go out together only the first one has to wake
        the server up, which costs more than sending."""
        self.loop.call_soon(self._write_now, content)

    def _write_now(self, content: bytes) -> None:
        if not self.closing:
            self._transport.write(content)

    def pause(self) -> None:
        """Leave what else the server sends in the network."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def expect(self, deadline: float) -> None:
        """Something must come before this time of the loop's."""
        self.deadline = deadline
        if self._timer is None or deadline < self._due:
            self._set(deadline)

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self.loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self.deadline is None:
            return
        if self.loop.time() < self.deadline:
            self._set(self.deadline)
        elif self._answer is None:
            self.abort()
        else:
            self._end(self.pool.failures.silent(self._answer.seconds))

    def _end(self, error: Exception | None) -> None:
        """The exchange is over, whole or with an error: the connection becomes free if it can be used again."""
        answer, self._answer = self._answer, None
        assert answer is not None
        if error is not None:
            answer.fail(error)
        pool = self.pool
        pool.slots.release()
        if error is not None or self._over or self._broken or answer.uploading or self.closing:
            self.abort()
            return
        self.resume()
        self._used = True
        self.expect(self.loop.time() + pool.keep)
        pool.free.append(self)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        self.pool.all.add(self)

    def data_received(self, data: bytes) -> None:
        """More of the answer."""
        answer = self._answer
        if answer is None:  # nobody asked: what would come next could not be trusted
            self.abort()
            return
        self._heard = True
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._broken = self._broken or str(error)
        answer.hand_on()
        if answer.done:
            self._end(None)
        elif self._broken or self._overhead > _MOST_OVERHEAD:
            failures = self.pool.failures
            self._end(failures.cut() if answer.begun else failures.no_http(self._broken or "its head has no end"))

    def pause_writing(self) -> None:
        """The server reads slower than we write."""
        self.held = True

    def resume_writing(self) -> None:
        """It has read most of what was written."""
        self.held = False
        if self._answer is not None:
            self._answer.wake()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by either side."""
        pool, answer = self.pool, self._answer
        pool.all.discard(self)
        if self in pool.free:
            pool.free.remove(self)
        if self._timer is not None:
            self._timer.cancel()
        if answer is None:
            return
        if answer.begun and self._until_closed and error is None:
            answer.end()
            self._end(None)
        elif answer.begun:
            self._end(pool.failures.cut())
        else:
            self._end(Stale() if self._used and not self._heard else pool.failures.unreachable(error))

    # What the parser calls. More may follow the end of the answer in the same data: it makes the connection unfit.

    def on_message_begin(self) -> None:
        """The answer, the final one after an interim one, or one that nobody asked for."""
        self._over = self._over or self._message.done

    def on_status(self, status: bytes) -> None:
        """A piece of the reason."""
        if not self._message.begun:
            self._message.reason += status.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head, or of the trailers, which nobody needs."""
        if not self._message.begun:
            self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole; that of an interim answer is not the answer's."""
        answer, status = self._message, self._parser.get_status_code()
        if answer.begun:
            return
        if status < 200:
            self._interim, self._lines, answer.reason = True, [], ""
            self._broken = "it switches to another protocol" if status == 101 else None
            return
        if sum(len(name) + len(value) + 4 for name, value in self._lines) > _MOST_OVERHEAD:
            self._broken = "its head is too long"
            return
        headers = Headers(self._lines)
        encoding = headers.sent(b"content-encoding")
        if encoding is not None and encoding.lower() != b"identity":
            self._broken = f"the encoding {encoding.decode('latin-1')!r} was not asked for"
            return
        self._until_closed = headers.sent(b"content-length") is None and headers.sent(b"transfer-encoding") is None
        answer.begin(status, headers)
        if answer.bodiless:
            answer.end()
            self._over = True

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        answer = self._message
        if answer.begun and not answer.done:
            self._overhead = 0
            answer.take(body)

    def on_message_complete(self) -> None:
        """The end of the answer, or of an interim one."""
        answer = self._message
        if self._interim:
            self._interim = False
        elif answer.begun and not answer.done:
            self._over = not self._parser.should_keep_alive()
            answer.end()

    @property
    def _message(self) -> Http1Answer:
        assert self._answer is not None
        return self._answer
