"""Telegram as a channel: receiving by polls or posts, sending at Telegram's pace, and noticing when it is deaf."""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from portal.core.channels import (
    COMMANDS,
    Attachment,
    Desk,
    HookReply,
    HookRequest,
    Limits,
    Outgoing,
    Place,
    Surroundings,
)
from portal.errors import (
    ChannelError,
    ChannelRefused,
    ChannelRejected,
    ChannelTaken,
    Forbidden,
    PortalError,
    RateLimited,
    Unauthenticated,
)
from portal.interfaces.telegram.html import length
from portal.interfaces.telegram.incoming import KINDS, Bot, Reader, sender_of
from portal.settings.telegram import TelegramSettings

if TYPE_CHECKING:
    from portal.interfaces.telegram.client import Client

log = logging.getLogger(__name__)

_ALBUM = 0.5
"""Seconds within which the rest of an album arrives."""
_TYPED = 0.8
"""Seconds after which somebody who asks inline has stopped typing."""
_GROUP_INTERVAL = 3.0
"""Seconds between two calls to a group: Telegram takes twenty a minute."""
_NO_DRAFTS = 3600.0
"""Seconds for which answers are edited as they grow, once drafts were refused."""
_SECRET = "x-telegram-bot-api-secret-token"  # noqa: S105 -- the name of a header


class TelegramChannel:
    """Implements Channel, Typing, Drafts, Probes, Hooked and Invites."""

    kind = "telegram"

    def __init__(self, *, token: str, settings: TelegramSettings, around: Surroundings) -> None:
        self.name = around.name
        self.limits = Limits(
            text=4096,
            measure=length,
            file=50 * 2**20,
            fetch=20 * 2**20,
            per_second=20,  # of thirty: calls that leave evenly do not arrive so
            typing=4.5,
            silence=settings.silence,
        )
        self._token = token
        self._settings = settings
        self._hook = around.public_url if settings.webhook else ""
        self._secret = hashlib.sha256(f"portal webhook {token}".encode()).hexdigest()
        self._kinds = (*KINDS, "inline_query") if settings.inline else KINDS
        self._loading = asyncio.Lock()
        self._client: Client | None = None
        self._desk: Desk | None = None
        self._reader: Reader | None = None
        self._asides = _Asides()
        self._free: dict[str, float] = {}
        """When a group may be called again."""
        self._no_drafts: dict[str, float] = {}
        """Chats that are shown no drafts before this moment of the event loop's clock; "" for all."""
        self._settled = False
        """Whether Telegram knows by now how it is to tell what happens."""
        self._heard = 0
        self._waited = (0, 0)
        """How many updates waited at the last look, and how many had been heard by then."""

    async def _connected(self) -> "Client":
        async with self._loading:
            if self._client is None:
                self._client = await asyncio.to_thread(_client, self._token, self._settings.api_base)
        return self._client

    async def aclose(self) -> None:
        """Close the connections, once nothing more is to be sent."""
        if self._client is not None:
            await self._client.aclose()

    # ------------------------------------------------------------------ receiving

    async def run(self, desk: Desk) -> None:
        """See Channel."""
        self._waited, self._settled = (0, 0), False
        client = await self._connected()
        number, username = await client.me()
        self._desk, self._reader = desk, Reader(self.name, Bot(number, username))
        await client.publish(COMMANDS)
        async with self._asides:
            if self._hook:
                await client.use_webhook(self._hook, self._secret, self._kinds)
                desk.alive()
            else:
                await client.use_polling()
            self._settled = True
            await (asyncio.Event().wait() if self._hook else self._poll(client, desk, self._reader))

    async def _poll(self, client: "Client", desk: Desk, reader: Reader) -> None:
        offset, seconds = 0, 0
        while True:
            try:
                updates = await client.poll(offset, seconds, self._kinds)
                if any("media_group_id" in (update.get("message") or ()) for update in updates):
                    await asyncio.sleep(_ALBUM)
                    updates = await client.poll(offset, 0, self._kinds)
            except RateLimited as error:
                await asyncio.sleep(error.retry_after or 1)
                continue
            desk.alive()
            await self._take(updates, desk, reader)
            offset = max((update["update_id"] + 1 for update in updates), default=offset)
            seconds = self._settings.poll

    async def _take(self, updates: Sequence[Mapping[str, Any]], desk: Desk, reader: Reader) -> None:
        self._heard += len(updates)
        for event in reader.events(updates):
            await desk.accept(event)
        for update in updates:
            self._beside(update, desk)

    async def receive(self, request: HookRequest) -> HookReply:
        """See Hooked. What Telegram posts and nobody can read is taken, or it would be posted for ever."""
        if not hmac.compare_digest(request.headers.get(_SECRET, "").encode(), self._secret.encode()):
            raise Unauthenticated("This is not from Telegram.")
        if self._desk is None or self._reader is None:
            return HookReply(status=503)
        try:
            update = json.loads(request.body)
        except ValueError:
            return HookReply(status=400)
        if isinstance(update, dict):
            await self._take([update], self._desk, self._reader)
        return HookReply()

    def _beside(self, update: Mapping[str, Any], desk: Desk) -> None:
        """What Telegram wants to hear at once, and nobody waits for."""
        if (query := update.get("callback_query")) is not None:
            self._asides.put(str(query["id"]), partial(self._pressed, str(query["id"])))
        elif (asked := update.get("inline_query")) is not None:
            self._asides.put(f"inline {asked['from']['id']}", partial(self._ask, asked, desk))

    async def _pressed(self, query: str) -> None:
        await (await self._connected()).pressed(query)

    async def _ask(self, asked: Mapping[str, Any], desk: Desk) -> None:
        """A question is asked anew with each letter; this is cancelled by the next one."""
        question = str(asked.get("query") or "").strip()
        if not question:
            return
        await asyncio.sleep(_TYPED)
        try:
            text = await desk.ask(sender_of(asked["from"]), question)
        except Forbidden as error:
            text = error.message
        await (await self._connected()).offer(str(asked["id"]), question[:60], text[: self.limits.text // 2])

    async def probe(self) -> None:
        """See Probes. Updates that wait although none comes are the sign of a deaf connection, however it is made."""
        client = await self._connected()
        try:
            url, count, why = await client.waiting()
        except (ChannelRefused, ChannelTaken):
            raise
        except ChannelError as error:  # that it cannot be looked says nothing about what is heard
            log.info("it could not be looked whether updates wait at Telegram: %s", error)
            return
        if not self._settled:
            return
        if url != self._hook:
            raise ChannelError(f"Telegram's updates go elsewhere: {url or 'no webhook is set'}.")
        before, heard = self._waited
        self._waited = (count, self._heard)
        if count >= before > 0 and heard == self._heard:
            raise ChannelError(f"{count} updates wait at Telegram and none arrives. {why}".strip())
        if self._hook and self._desk is not None:
            self._desk.alive()

    def invitation(self, code: str) -> str:
        """See Invites."""
        return f"https://t.me/{self._reader.bot.username}?start={code}" if self._reader else ""

    # ------------------------------------------------------------------ sending

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        """See Channel. Telegram keeps no nonce."""
        client = await self._connected()
        self._in_time(place)
        return await client.send(place, outgoing)

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Channel."""
        client = await self._connected()
        self._in_time(place)
        await client.edit(place, message_id, outgoing)

    async def typing(self, place: Place, doing: str) -> None:
        """See Typing. It is not worth waiting for."""
        with suppress(RateLimited):
            await (await self._connected()).typing(place)

    def drafts(self, place: Place) -> bool:
        """See Drafts."""
        closed = max(self._no_drafts.get("", 0), self._no_drafts.get(place.chat, 0))
        return self._settings.drafts and place.direct and closed <= asyncio.get_running_loop().time()

    async def draft(self, place: Place, text: str, nonce: str) -> None:
        """See Drafts. Where they are refused, or a Bot API server does not know them, edits do it meanwhile."""
        client = await self._connected()
        try:
            await client.draft(place, text, nonce)
        except (ChannelRejected, ChannelRefused) as error:
            where = place.chat if isinstance(error, ChannelRejected) else ""
            self._no_drafts[where] = asyncio.get_running_loop().time() + _NO_DRAFTS
            raise

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """See Channel."""
        client = await self._connected()
        async for chunk in client.fetch(attachment.ref):
            yield chunk

    def _in_time(self, place: Place) -> None:
        """Groups have a slower pace than the rest. Raises RateLimited."""
        if place.direct:
            return
        now = asyncio.get_running_loop().time()
        wait = self._free.get(place.chat, 0) - now
        if wait > 0:
            raise RateLimited("A group takes twenty messages a minute.", retry_after=wait)
        self._free[place.chat] = now + _GROUP_INTERVAL


class _Asides:
    """Small works beside receiving, by name: a new one takes the place of one of that name. They end with receiving."""

    def __init__(self) -> None:
        self._group: asyncio.TaskGroup | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> None:
        self._group = await asyncio.TaskGroup().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        group, self._group = self._group, None
        if group is not None:
            await group.__aexit__(None, None, None)

    def put(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin it."""
        if self._group is None:
            return
        if (before := self._tasks.pop(name, None)) is not None:
            before.cancel()
        task = self._tasks[name] = self._group.create_task(_quietly(work))
        task.add_done_callback(lambda done: self._tasks.pop(name) if self._tasks.get(name) is done else None)


async def _quietly(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except PortalError as error:
        log.info("something beside was not done: %s", error)


def _client(token: str, api_base: str) -> "Client":
    from portal.interfaces.telegram.client import Client

    return Client(token=token, api_url=api_base)
