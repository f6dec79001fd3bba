"""A strict stand-in of Telegram's Bot API on loopback, and of the people who write to the bot.

    async with TelegramServer() as telegram:
        bot = Bot(telegram.token, session=AiohttpSession(api=TelegramAPIServer.from_base(telegram.url)))
        alice = telegram.person("Alice")
        alice.write("hello")                                        # an update for the bot
        await alice.reads("Hello, Alice")                           # what the bot sent her
        alice.press("Approve")
        telegram.fail("sendMessage", TelegramFault(status=429, retry_after=3))
        telegram.fail("sendMessage", TelegramFault(reply="lost"))   # done, and nobody is told
        telegram.updates.withheld = Withheld.HANGING                # connected and deaf

Written from Telegram's documentation and TDLib's words for errors. Rates are checked unless `limits=False`: three
messages at once and one a second for each chat, 30 a second overall, 20 a minute for a group. `calls` holds every call.

Not covered: payments, games, stickers, polls, business accounts, stories, gifts, passport, member administration,
other keyboards than inline ones, Markdown parse modes, custom emoji, entities found in the bot's own plain text,
automatic thumbnails and transcoding, files by URL, answers in a webhook's reply, IP addresses and certificates of
webhooks, message effects, ephemeral and rich messages, the day after which updates are forgotten,
the 48 hours for editing and deleting, and the exact rates, which Telegram does not publish.
"""

import asyncio
import json
import mimetypes
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
from aiohttp import web

from portal.testing.telegram_entities import TelegramRefusal
from portal.testing.telegram_limits import TelegramLimits
from portal.testing.telegram_media import TelegramCall, Upload
from portal.testing.telegram_methods import CALLS, LIMITED, TelegramMethods
from portal.testing.telegram_people import TelegramPerson
from portal.testing.telegram_updates import TelegramUpdates, Withheld, post_update
from portal.testing.telegram_world import Json, Kind, TelegramChat, TelegramWorld

__all__ = ["TelegramFault", "TelegramPerson", "TelegramServer", "Withheld"]

_NAMES = {name.lower(): name for name in CALLS}
_WORDS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramFault:
    """What goes wrong with one call: an error, or a reply that does not come.

    `reply`: "none" does nothing and never answers, "dropped" does nothing and closes the connection, "lost" does what
    was asked and closes the connection, "held" does it and never answers. With a `gate` it is done, and answered once
    that is set.
    """

    status: int = 0
    description: str = ""
    retry_after: int = 0
    reply: Literal["", "none", "dropped", "lost", "held"] = ""
    gate: asyncio.Event | None = None
    when: Callable[[TelegramCall], bool] = lambda call: True


class TelegramServer:
    """Telegram, with one bot."""

    def __init__(self, *, username: str = "portal_test_bot", limits: bool = True) -> None:
        self.token = "7000001:AAE-stand_in-of-a-token-0123456789abc"  # noqa: S105 -- no secret
        self.url = ""
        self.world = TelegramWorld(username=username)
        self.updates = TelegramUpdates()
        self.methods = TelegramMethods(self.world, self.updates)
        self.limits = TelegramLimits() if limits else None
        self.calls: list[TelegramCall] = []
        """Those that were done or refused, in order; getUpdates is left out."""
        self._faults: dict[str, deque[TelegramFault]] = defaultdict(deque)
        self._changed = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._group: asyncio.TaskGroup | None = None
        self._delivering: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._group = await asyncio.TaskGroup().__aenter__()
        self._delivering = self._group.create_task(self._deliver())
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._delivering is not None:
            self._delivering.cancel()
        await self.stop()
        if self._group is not None:
            await self._group.__aexit__(None, None, None)

    async def start(self) -> None:
        """Listen; at the same port again after `stop`."""
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/file/bot{token}/{path:.+}", self._download)
        app.router.add_route("*", "/bot{token}/{method}", self._call)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        host, self._port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self._port}"

    async def stop(self) -> None:
        """Be unreachable."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def person(
        self, name: str = "Alice", *, username: str = "", language: str = "en", known: bool = True
    ) -> TelegramPerson:
        """Somebody; `known=False`: they never wrote to the bot."""
        return TelegramPerson(self, self.world.add_person(name, username=username, language=language, known=known))

    def group(
        self, title: str, *members: TelegramPerson, forum: bool = False, kind: Kind = "supergroup"
    ) -> TelegramChat:
        """A group with these people and the bot."""
        return self.world.add_group(title, members=[one.id for one in members], forum=forum, kind=kind)

    def fail(self, method: str, *faults: TelegramFault) -> None:
        """The next calls of a method go wrong, one fault for each."""
        self._faults[method.lower()].extend(faults)

    def heal(self) -> None:
        """Forget the faults that are still to come."""
        self._faults.clear()

    def called(self, method: str) -> Sequence[TelegramCall]:
        """The calls of a method that did what was asked."""
        return [call for call in self.calls if call.method == method and not call.refused]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that calls bring about, at most a minute."""
        async with asyncio.timeout(60):
            while not condition():
                await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _deliver(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
            await self.updates.deliver(lambda hook, update: post_update(session, hook, update))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        found = [one for one in self.world.files.values() if one.path == request.match_info["path"]]
        if request.match_info["token"] != self.token or not found:
            return _refuse(TelegramRefusal(404, "Not Found"))
        fault = self._fault(TelegramCall("file", {}))
        if fault is not None:
            return await self._broken(request, fault)
        return web.Response(body=found[0].content, content_type=found[0].mime)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["token"] != self.token:
            return _refuse(TelegramRefusal(401, "Unauthorized"))
        named = request.match_info["method"].lower()
        method = _NAMES.get(named, "getUpdates" if named == "getupdates" else "")
        if not method:
            return _refuse(TelegramRefusal(404, "Not Found"))
        call = await _read(request, method)
        fault = self._fault(call)
        if fault is not None and fault.gate is None and fault.reply not in ("lost", "held"):
            call.refused = fault.description or _WORDS.get(fault.status, fault.reply)
            self._record(call)
            return await self._broken(request, fault)
        try:
            call.result = await self._do(call)
        except TelegramRefusal as refusal:
            call.refused = refusal.description
            self._record(call)
            return _refuse(refusal)
        self._record(call)
        if fault is not None and fault.gate is not None:
            await fault.gate.wait()
        elif fault is not None:
            return await self._broken(request, fault)
        return web.json_response({"ok": True, "result": call.result})

    async def _do(self, call: TelegramCall) -> Any:
        if call.method == "getUpdates":
            return await self.updates.poll(call.given)
        if self.limits is not None and call.method in LIMITED:
            chat = self.world.chat(call.given.get("chat_id"))
            now = asyncio.get_running_loop().time()
            self.limits.check(chat.id, draft=call.method == "sendMessageDraft", now=now)
        return CALLS[call.method](self.methods, call)

    def _record(self, call: TelegramCall) -> None:
        if call.method != "getUpdates":
            self.calls.append(call)
        self._notify()

    def _fault(self, call: TelegramCall) -> TelegramFault | None:
        waiting = self._faults[call.method.lower()]
        for fault in waiting:
            if fault.when(call):
                waiting.remove(fault)
                return fault
        return None

    async def _broken(self, request: web.Request, fault: TelegramFault) -> web.StreamResponse:
        if fault.reply in ("dropped", "lost") and request.transport is not None:
            request.transport.abort()
        if fault.reply:
            await asyncio.Event().wait()
        words = fault.description or _WORDS.get(fault.status, "Internal Server Error")
        if not fault.retry_after:
            return _refuse(TelegramRefusal(fault.status, words))
        words = f"{words}: retry after {fault.retry_after}"
        return _refuse(TelegramRefusal(fault.status, words, {"retry_after": fault.retry_after}))


def _refuse(refusal: TelegramRefusal) -> web.Response:
    body: Json = {"ok": False, "error_code": refusal.status, "description": refusal.description}
    if refusal.parameters:
        body["parameters"] = dict(refusal.parameters)
    return web.json_response(body, status=refusal.status)


async def _read(request: web.Request, method: str) -> TelegramCall:
    """Parameters come in the address, as a form, as parts or as JSON."""
    given: Json = {name: _value(value, name) for name, value in request.query.items()}
    files: dict[str, Upload] = {}
    if request.content_type == "application/json":
        given |= await request.json()
    elif request.can_read_body:
        for name, value in (await request.post()).items():
            if isinstance(value, web.FileField):
                mime = mimetypes.guess_type(value.filename)[0] or value.content_type
                files[name] = Upload(value.filename, mime, value.file.read())
            else:
                given[name] = _value(str(value), name)
    return TelegramCall(method, given, files)


_WORDS_ONLY = frozenset({"text", "caption", "name", "secret_token", "url", "callback_query_id", "inline_query_id"})


def _value(text: str, name: str = "") -> Any:
    """Objects, arrays and booleans come as JSON; a person's words stay what they are."""
    if name in _WORDS_ONLY or not text.startswith(("{", "[", "true", "false")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
