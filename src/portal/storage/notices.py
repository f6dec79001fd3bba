"""Messages between the servers on one PostgreSQL: LISTEN and NOTIFY, on two connections of their own."""

import asyncio
import itertools
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import psycopg
from psycopg import sql

from portal.core.items import JsonObject
from portal.core.peers import Heard
from portal.errors import StorageError
from portal.storage.sessions import STUCK, session

if TYPE_CHECKING:
    from psycopg.rows import DictRow

    Connection = psycopg.AsyncConnection[DictRow]

log = logging.getLogger(__name__)

EVERYBODY = "portal_all"
_PIECE = 1900
"""Characters of one NOTIFY, whose payload is below 8,000 bytes, when each takes four."""
_AT_ONCE = 128
_KEPT = 2000
"""Messages that wait while the database is away; who misses more than that is told that there was something."""
_PAUSE = 0.5
_BEAT = 2.0
"""Seconds between two signs that this server's own notices come back."""
_DEAF = 6.0
_PATIENCE = 15.0
"""Seconds that whoever has something said waits for it."""
_GAP = "gap"

_SEND = """
SELECT pg_notify(channel, payload)
FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS sent (channel, payload, number) ORDER BY number"""


@dataclass(slots=True)
class _Message:
    channel: str
    text: str
    done: "asyncio.Future[None] | None" = None


class PostgresNotices:
    """The Notices port. `run` carries them; until it runs, and while the database is away, few are kept."""

    def __init__(self, *, url: str, me: Callable[[], str], patience: float = _PATIENCE) -> None:
        """`me` is this server's id among the others; it may become another one. `patience` is in seconds."""
        self._url, self._me, self._patience = url, me, patience
        self._heard: dict[str, Heard] = {}
        self._queue: deque[_Message] = deque()
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)
        self._parts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._missed = False
        self.on_gap: Callable[[], None] = lambda: None
        """Called when notices of others may have been missed."""

    def on(self, kind: str, heard: Heard) -> None:
        """See Notices."""
        self._heard[kind] = heard

    def tell(self, kind: str, body: JsonObject, to: str = "") -> None:
        """See Notices."""
        if len(self._queue) >= _KEPT:
            self._missed = True
            return
        self._put(_Message(_channel(to), _text(kind, body)))

    async def say(self, kind: str, body: JsonObject, to: str = "") -> None:
        """See Notices."""
        if len(self._queue) >= _KEPT:
            raise StorageError("The other servers cannot be told anything just now.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(_Message(_channel(to), _text(kind, body), done))
        try:
            async with asyncio.timeout(self._patience):
                await done
        except TimeoutError as error:
            raise StorageError("The other servers could not be told in time: the database does not answer.") from error

    def _put(self, message: _Message) -> None:
        self._queue.append(message)
        self._news.set()

    # ------------------------------------------------------------------ carrying

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._insistently(self._send))
            tasks.create_task(self._insistently(self._listen))

    async def _insistently(self, work: "Callable[[Connection], Awaitable[None]]") -> None:
        told = False
        while True:
            try:
                async with session(self._url) as connection:
                    told = False
                    await work(connection)
            except (psycopg.Error, TimeoutError) as error:
                if not told:
                    log.warning("notices between servers are interrupted: %s", error)
                told = True
            await asyncio.sleep(_PAUSE)

    async def _send(self, connection: "Connection") -> None:
        while True:
            if self._missed:
                self._missed = False
                self._put(_Message(EVERYBODY, _text(_GAP, {})))
            await self._news.wait()
            self._news.clear()
            while self._queue:
                taken = [self._queue.popleft() for _ in range(min(len(self._queue), _AT_ONCE))]
                some = [one for one in taken if one.done is None or not one.done.cancelled()]
                try:
                    await self._carry(connection, some)
                except BaseException as error:
                    self._failed(some, error)
                    raise

    async def _carry(self, connection: "Connection", some: "list[_Message]") -> None:
        pairs = [(one.channel, piece) for one in some for piece in self._pieces(one.text)]
        async with asyncio.timeout(STUCK):
            await connection.execute(_SEND, ([name for name, _ in pairs], [piece for _, piece in pairs]))
        for one in some:
            if one.done is not None and not one.done.done():
                one.done.set_result(None)

    def _failed(self, some: "list[_Message]", error: BaseException) -> None:
        """Whoever waits hears of it; the rest may or may not have been sent."""
        self._missed = True
        for one in some:
            if one.done is not None and not one.done.done():
                one.done.set_exception(StorageError(f"The other servers could not be told: {error}"))

    def _pieces(self, text: str) -> Iterator[str]:
        """Each with who sends it, a number, and how many come after it."""
        size = _PIECE * 4 if text.isascii() else _PIECE
        head, starts = f"{self._me()} {next(self._numbers)}", range(0, len(text), size)
        for place, start in enumerate(starts):
            yield f"{head} {len(starts) - 1 - place} {text[start : start + size]}"

    async def _listen(self, connection: "Connection") -> None:
        me, loop = self._me(), asyncio.get_running_loop()
        for name in (EVERYBODY, _channel(me)):
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(name)))
        self._parts.clear()
        self.on_gap()
        heard = loop.time()
        while me == self._me():
            self.tell("beat", {}, me)
            async for notify in connection.notifies(timeout=_BEAT):
                heard = loop.time()
                self._take(notify.payload)
            if loop.time() - heard > _DEAF:
                raise TimeoutError("nothing comes back")

    def _take(self, payload: str) -> None:
        sender, number, left, text = payload.split(" ", 3)
        if sender == self._me():
            return
        parts = self._parts[sender, number]
        parts.append(text)
        if left != "0":
            return
        del self._parts[sender, number]
        try:
            told = orjson.loads("".join(parts))
        except orjson.JSONDecodeError:  # its beginning came before this server listened
            return
        if told["kind"] == _GAP:
            self.on_gap()
        elif heard := self._heard.get(told["kind"]):  # another version may know more kinds
            try:
                heard(sender, told["body"])
            except (KeyError, TypeError, ValueError) as error:  # or have them otherwise
                log.info("a notice of another server is not understood: %s (%r)", told["kind"], error)


def _text(kind: str, body: JsonObject) -> str:
    return orjson.dumps({"kind": kind, "body": body}).decode()


def _channel(to: str) -> str:
    return f"portal_{to}" if to else EVERYBODY
