"""Questions between servers: one asks all the others, and whoever can answers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from portal.core.ids import uuid7
from portal.core.items import JsonObject
from portal.core.peers import Notices
from portal.errors import PortalError, StorageError

log = logging.getLogger(__name__)

Answer = Callable[[JsonObject], Awaitable[JsonObject | None]]
"""None where this server is not the one to answer."""


class Questions:
    """Of one kind each: `ask` here what `answer` answers there."""

    def __init__(self, *, notices: Notices, tasks: asyncio.TaskGroup) -> None:
        """`tasks` is where answers are found."""
        self._notices, self._tasks = notices, tasks
        self._open: dict[str, asyncio.Future[JsonObject]] = {}
        notices.on("answer", self._answered)

    async def ask(self, kind: str, body: JsonObject, seconds: float) -> JsonObject:
        """The first answer. Raises StorageError where none came in time."""
        name = uuid7()
        answer: asyncio.Future[JsonObject] = asyncio.get_running_loop().create_future()
        self._open[name] = answer
        try:
            await self._notices.say(f"ask {kind}", {"name": name, "body": body})
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError as error:
            raise StorageError("No other server answers just now.", code="not_answered", retry_after=5) from error
        finally:
            del self._open[name]

    def answer(self, kind: str, how: Answer) -> None:
        """Answer these from now on."""

        def asked(sender: str, body: JsonObject) -> None:
            self._tasks.create_task(self._find(how, sender, body))

        self._notices.on(f"ask {kind}", asked)

    async def _find(self, how: Answer, sender: str, asked: JsonObject) -> None:
        try:
            found = await how(asked["body"])
        except PortalError as error:
            log.warning("another server's question could not be answered: %s", error)
            return
        if found is not None:
            self._notices.tell("answer", {"name": asked["name"], "body": found}, sender)

    def _answered(self, sender: str, body: JsonObject) -> None:
        waiting = self._open.get(body["name"])
        if waiting is not None and not waiting.done():
            waiting.set_result(body["body"])
