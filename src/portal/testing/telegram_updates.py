"""How updates leave the stand-in: one long poll at a time, or a webhook; kept until confirmed, at most a day."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

import aiohttp

from portal.testing.telegram_entities import TelegramRefusal, bad_request
from portal.testing.telegram_world import Json, seconds

_NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
_MOST = 100
_OTHER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
_WEBHOOK = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
_RETRY = 0.05
"""Seconds until a webhook that failed is tried again; Telegram itself waits longer and longer."""


class Withheld(Enum):
    """How a Telegram that is connected keeps updates to itself."""

    EMPTY = "polls end in time, with nothing in them"
    HANGING = "polls never end"


class TelegramUpdates:
    """The queue of updates and its two doors."""

    def __init__(self) -> None:
        self.pending: list[Json] = []
        self.sent: list[Json] = []
        """Every update that was handed out, in order, repeats too."""
        self.allowed: Sequence[str] = ()
        self.withheld: Withheld | None = None
        self.reverse = False
        """The next batch comes in the wrong order."""
        self.webhook: Json = {}
        self.polls = 0
        """Polls that were completed."""
        self._next = itertools.count(900_001)
        self._confirmed: list[Json] = []
        self._changed = asyncio.Event()
        self._poller: object | None = None

    def add(self, kind: str, content: Json) -> None:
        """Something happened that the bot may hear of."""
        if kind in self.allowed or (not self.allowed and kind not in _NOT_BY_DEFAULT):
            self.pending.append({"update_id": next(self._next), kind: content})
            self.wake()

    def repeat(self, count: int = 1) -> None:
        """Hand out again, with the same numbers, what was already confirmed."""
        self.pending[:0] = self._confirmed[-count:]
        self.wake()

    def wake(self) -> None:
        """Whoever waits for updates looks again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def steal(self) -> None:
        """Another getUpdates began elsewhere: the one that waits here ends with 409."""
        self._poller = object()
        self.wake()

    async def poll(self, given: Json) -> list[Json]:
        """getUpdates."""
        if self.webhook:
            raise TelegramRefusal(409, _WEBHOOK)
        offset, limit, timeout = (_number(given, name) for name in ("offset", "limit", "timeout"))
        self.allow(given)
        me = self._poller = object()
        self.wake()
        if offset:
            self._confirm(offset)
        deadline = asyncio.get_running_loop().time() + (timeout or 0)
        while not self._visible() and await self._wait(deadline):
            self._check(me)
        self._check(me)
        self.polls += 1
        batch = self._visible()[: min(limit or _MOST, _MOST)]
        if self.reverse:
            batch.reverse()
            self.reverse = False
        self.sent += batch
        return batch

    async def _wait(self, deadline: float) -> bool:
        """For a change; whether the poll goes on."""
        left = deadline - asyncio.get_running_loop().time()
        hanging = self.withheld is Withheld.HANGING
        with suppress(TimeoutError):
            async with asyncio.timeout(None if hanging else max(left, 0)):
                await self._changed.wait()
        return left > 0 or self.withheld is Withheld.HANGING

    def _visible(self) -> list[Json]:
        return [] if self.withheld is not None else list(self.pending)

    def _check(self, me: object) -> None:
        if self._poller is not me:
            raise TelegramRefusal(409, _OTHER)

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            kept = self.pending[offset:]
        else:
            kept = [update for update in self.pending if update["update_id"] >= offset]
        self._confirmed += [update for update in self.pending if update not in kept]
        self.pending = kept

    def allow(self, given: Json) -> None:
        """What getUpdates and setWebhook have in common: the kinds wanted from now on."""
        kinds = given.get("allowed_updates")
        if kinds is None:
            return
        if not isinstance(kinds, list):
            raise bad_request("can't parse allowed updates")
        self.allowed = tuple(kinds)

    def set_webhook(self, given: Json, *, drop: bool) -> None:
        """setWebhook and deleteWebhook, once checked."""
        self.webhook = given
        if drop:
            self.pending.clear()
        self.wake()

    def info(self) -> Json:
        """getWebhookInfo."""
        hook = self.webhook
        made: Json = {"url": hook.get("url", ""), "has_custom_certificate": False}
        made["pending_update_count"] = len(self.pending)
        for name in ("last_error_date", "last_error_message", "max_connections"):
            made |= {name: hook[name]} if name in hook else {}
        return {**made, "allowed_updates": list(self.allowed)} if self.allowed else made

    async def deliver(self, send: Callable[[Json, Json], Awaitable[int]]) -> None:
        """Bring updates to the webhook for as long as there is one; runs as a task of the server."""
        while True:
            if not (self.webhook and self._visible()):
                await self._changed.wait()
                continue
            hook, update = self.webhook, self.pending[0]
            status = await send(hook, update)
            self.sent.append(update)
            if 200 <= status < 300:
                self.pending = [other for other in self.pending if other is not update]
                self._confirmed.append(update)
                continue
            words = f"Wrong response from the webhook: {status}" if status else "Connection refused"
            hook |= {"last_error_date": seconds(), "last_error_message": words}
            await asyncio.sleep(_RETRY)


async def post_update(session: aiohttp.ClientSession, hook: Json, update: Json) -> int:
    """The status that the webhook answered with, or 0."""
    headers = {"Content-Type": "application/json"}
    if hook.get("secret_token"):
        headers["X-Telegram-Bot-Api-Secret-Token"] = hook["secret_token"]
    try:
        async with session.post(hook["url"], data=json.dumps(update), headers=headers) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


def _number(given: Json, name: str) -> int:
    value: Any = given.get(name) or 0
    try:
        return int(value)
    except (TypeError, ValueError):
        raise bad_request(f"can't parse {name}") from None
