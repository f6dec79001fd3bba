"""What the stand-ins of model servers share: a real loopback server, scripted answers, faults, and a record.

    async with OllamaServer() as server:            # or OpenAIServer
        server.answer("Hel", "lo")                  # the next answer, in two pieces
        server.script(Answer(text=["Hel", "lo"], fault=Fault.RESET, after=1))
        server.script(Answer(text=["Hel", "lo"], gate=gate, after=1))    # waits for `gate.set()` after one piece
        ... server.url ...
        server.requests[-1].body                    # what was received, parsed
        await server.wait_disconnected()            # a client went away in the middle of an answer

Answers are used up in order; with none left, the server repeats the last message word by word.
"""

import asyncio
import itertools
import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

BODY: web.RequestKey[Any] = web.RequestKey("body", object)
"""Where a request keeps its parsed body."""


_MOST_ALTERNATIVES = 20


class Fault(Enum):
    """What goes wrong, after `Answer.after` frames of the answer."""

    HANG = "nothing more comes, the connection stays; before any frame not even headers"
    RESET = "the connection is torn down"
    CUT = "the body ends as if it were complete"
    ERROR = "the server reports a failure, in its own words, inside the stream"
    GARBAGE = "bytes that are no JSON"
    TRUNCATED_UTF8 = "the body ends in the middle of a character"
    DRIP = "from here on one byte at a time"
    FLOOD = "the same frame again and again, until the client goes"
    HTML = "a web page with status 200 instead of an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that the model makes; `arguments` is JSON-serialisable."""

    name: str
    arguments: Mapping[str, object]
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer. `frames` replaces everything it would be made of by raw bytes."""

    text: Sequence[str] = ()
    thinking: Sequence[str] = ()
    tool_calls: Sequence[ToolCall] = ()
    refusal: str = ""
    finish: str = "stop"
    status: int = 200
    """With 4xx or 5xx, `error` is the whole answer, or `frames` are."""
    error: str = "an error was encountered while running the model"
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    gate: asyncio.Event | None = None
    after: int = 0
    """Frames sent before the fault or the gate."""
    frames: Sequence[bytes] | None = None
    pace: float = 0
    """Seconds between frames."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came in; `body` is None where it was empty or no JSON."""

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    body: Any


class ModelServer(ABC):
    """Base of the stand-ins: subclasses give `routes` and make frames."""

    content_type = "text/plain"

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.disconnected = 0
        self.active = 0
        self.bytes_sent = 0
        self.url = ""
        self._answers: deque[Answer] = deque()
        self._changed = asyncio.Event()
        self._port = 0
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """The paths this server answers at."""

    @abstractmethod
    def error_frame(self, message: str) -> bytes:
        """A failure in the middle of a stream."""

    @abstractmethod
    def refusal(self, status: int, message: str, **more: str | None) -> web.Response:
        """A whole error answer."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; at the same port again after `stop`."""
        app = web.Application(client_max_size=256 * 2**20, middlewares=[self._record])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        host, self._port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self._port}"

    async def stop(self) -> None:
        """Go away, closing every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def answer(self, *pieces: str) -> None:
        """Queue an answer of these pieces of text."""
        self.script(Answer(text=pieces))

    def script(self, *answers: Answer) -> None:
        """Queue answers, one for each request to come."""
        self._answers.extend(answers)

    @property
    def scripted(self) -> bool:
        """Whether an answer is queued."""
        return bool(self._answers)

    def next_answer(self, prompt: str) -> Answer:
        """The next scripted answer, or an echo."""
        return self._answers.popleft() if self._answers else Answer(text=list(words(prompt)))

    def failing(self, answer: Answer) -> web.Response:
        """The whole answer where the script says that the status is an error."""
        if answer.frames is None:
            response = self.refusal(answer.status, answer.error)
        else:
            response = web.Response(status=answer.status, body=b"".join(answer.frames))
        response.headers.update(answer.headers)
        return response

    def whole(self, answer: Answer, content: object) -> web.Response:
        """An answer that is not streamed."""
        response = web.json_response(content)
        response.headers.update(answer.headers)
        return response

    async def wait_disconnected(self, count: int = 1) -> None:
        """Until this many clients in all went away in the middle of an answer."""
        await self._until(lambda: self.disconnected >= count)

    async def wait_active(self, count: int) -> None:
        """Until exactly this many answers are under way."""
        await self._until(lambda: self.active == count)

    async def wait_requests(self, count: int) -> None:
        """Until this many requests in all have come in."""
        await self._until(lambda: len(self.requests) >= count)

    async def _until(self, condition: Any) -> None:
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        self.requests.append(
            Received(method=request.method, path=request.path, headers=dict(request.headers), raw=raw, body=body)
        )
        request[BODY] = body
        self._notify()
        answered: web.StreamResponse = await handler(request)
        return answered

    async def play(self, request: web.Request, answer: Answer, frames: Sequence[bytes]) -> web.StreamResponse:
        """Send the frames of an answer, with its fault at its place."""
        self.active += 1
        self._notify()
        try:
            return await self._play(request, answer, answer.frames if answer.frames is not None else frames)
        except (asyncio.CancelledError, ConnectionError):
            self.disconnected += 1
            raise
        finally:
            self.active -= 1
            self._notify()

    async def _play(self, request: web.Request, answer: Answer, frames: Sequence[bytes]) -> web.StreamResponse:
        if answer.fault is Fault.HTML:
            return web.Response(text="<!doctype html><title>Some app</title>", content_type="text/html")
        if answer.after == 0 and answer.fault in (Fault.HANG, Fault.RESET):
            await self._fail(request, answer.fault)
        response = web.StreamResponse(headers={"Content-Type": self.content_type, **answer.headers})
        await response.prepare(request)
        for index, frame in enumerate(frames):
            if index == answer.after:
                if answer.gate is not None:
                    await answer.gate.wait()
                if answer.fault is not None and await self._break(request, response, answer, frame):
                    return response
            if answer.pace:
                await asyncio.sleep(answer.pace)
            await self._send(response, frame, drip=answer.fault is Fault.DRIP and index >= answer.after)
        return response

    async def _break(self, request: web.Request, response: web.StreamResponse, answer: Answer, frame: bytes) -> bool:
        """Whether the answer ends here."""
        if answer.fault in (Fault.HANG, Fault.RESET):
            await self._fail(request, answer.fault)
        elif answer.fault is Fault.ERROR:
            await self._send(response, self.error_frame(answer.error))
        elif answer.fault is Fault.GARBAGE:
            await self._send(response, b"data: \x00\xff this is no JSON\n\n")
        elif answer.fault is Fault.TRUNCATED_UTF8:
            head = next(index for index, byte in enumerate(frame) if byte >= 0xC0)
            await self._send(response, frame[: head + 1])
        elif answer.fault is Fault.FLOOD:
            for _ in itertools.repeat(None):
                await self._send(response, frame)
        return answer.fault is not Fault.DRIP

    async def _fail(self, request: web.Request, fault: Fault | None) -> None:
        if fault is Fault.RESET and request.transport is not None:
            request.transport.abort()
        await asyncio.Event().wait()

    async def _send(self, response: web.StreamResponse, frame: bytes, *, drip: bool = False) -> None:
        for piece in (frame[at : at + 1] for at in range(len(frame))) if drip else (frame,):
            await response.write(piece)
            self.bytes_sent += len(piece)


def words(text: str) -> Iterator[str]:
    """A text in pieces that joined make it again."""
    for index, word in enumerate(text.split(" ")):
        yield word if index == 0 else f" {word}"


def cut_at_stop(pieces: Sequence[str], stops: Sequence[str]) -> Sequence[str]:
    """The pieces up to the first stop sequence."""
    text = "".join(pieces)
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    if not places:
        return pieces
    kept: list[str] = []
    left = min(places)
    for piece in pieces:
        kept.append(piece[:left])
        left = max(left - len(piece), 0)
    return [piece for piece in kept if piece]


def logprob(token: str, top: int) -> dict[str, Any]:
    """A token's entry, with `top` alternatives, at most 20, of which the first is itself."""
    top = min(top, _MOST_ALTERNATIVES)
    entry = {"token": token, "logprob": -0.25, "bytes": list(token.encode())}
    others = [{"token": f"~{rank}", "logprob": -1.0 - rank, "bytes": list(f"~{rank}".encode())} for rank in range(top)]
    return {**entry, "top_logprobs": [entry, *others][:top]}


def vector(text: str, length: int) -> list[float]:
    """A vector of unit length that depends on the text alone."""
    raw = [((hash_of(text) >> shift) % 257) / 257 - 0.5 for shift in range(length)]
    size = sum(value * value for value in raw) ** 0.5 or 1.0
    return [value / size for value in raw]


def hash_of(text: str) -> int:
    """A large number that depends on the text alone, also in another process."""
    return int.from_bytes(text.encode() + b"portal", "big") * 6364136223846793005 + 1442695040888963407
