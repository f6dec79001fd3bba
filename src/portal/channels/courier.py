"""Carries single messages to a platform: the intent is stored before the call, the message's id after it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from portal.channels import words
from portal.channels.border import border
from portal.channels.pace import Pace
from portal.core.channel_stores import Delivery, Outbox, Sent
from portal.core.channels import Channel, Finds, Outgoing, Place
from portal.core.clock import micros
from portal.errors import ChannelError, ChannelGone, ChannelRejected, ChannelUncertain

log = logging.getLogger(__name__)

T = TypeVar("T")

_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_PATIENCE = 24 * 3600.0
"""Seconds after which what a platform did not take is given up."""
_GRACE = 5.0
"""Seconds that calls under way have to end when Portal stops."""
_MARGIN = 300_000_000
"""Microseconds that a platform's clock may be behind."""


class Courier:
    """Sends and edits for one channel."""

    def __init__(self, *, channel: Channel, outbox: Outbox, pace: Pace) -> None:
        self._channel = channel
        self._outbox = outbox
        self.pace = pace
        self._stopped = False
        self._under_way: set[asyncio.Future[None]] = set()

    async def stop(self) -> None:
        """Begin no message more, and wait for those under way: one that is cut off would have to be sent again."""
        self._stopped = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_GRACE)

    async def put(self, delivery: Delivery, position: int, outgoing: Outgoing, known: Mapping[int, Sent]) -> Sent:
        """Have this message say this: sent, or edited where it was sent before.

        Raises:
            ChannelGone: nothing can be sent there any more.
            ChannelRejected: the platform does not take it.
        """
        before = known.get(position)
        if before is None:
            return await self.send(delivery, position, outgoing)
        if not before.platform_id:
            return await self._settled(delivery.place, before, outgoing)
        return await self._changed(delivery.place, before, outgoing)

    async def send(
        self,
        delivery: Delivery,
        position: int,
        outgoing: Outgoing,
        how: Callable[[str], Awaitable[str]] | None = None,
    ) -> Sent:
        """A new message; `how` is another way to begin one, which is given the nonce. Raises as `put`."""
        place, sent = delivery.place, Sent(delivery_id=delivery.id, position=position, began_at=micros())
        try:
            return await self._patiently(lambda: self._sent(place, sent, outgoing, how), harmless=False)
        except ChannelUncertain:
            log.warning("it is not known whether a message was sent", extra={"channel": self._channel.name})
            return await self._settled(place, sent, outgoing)

    async def _settled(self, place: Place, sent: Sent, outgoing: Outgoing) -> Sent:
        """A message of which nobody knows whether it was sent: looked for, or sent again and marked."""
        again = outgoing
        if not isinstance(self._channel, Finds):
            again = replace(outgoing, text=f"{outgoing.text}\n\n{words.REPEATED}".strip())

        async def settle() -> Sent:
            found = await self._found(place, sent)
            if found is not None:
                return await self._changed(place, found, outgoing)
            return await self._sent(place, sent, again)

        return await self._patiently(settle)

    async def _sent(
        self, place: Place, sent: Sent, outgoing: Outgoing, how: Callable[[str], Awaitable[str]] | None = None
    ) -> Sent:
        async def call() -> Sent:
            over = asyncio.get_running_loop().create_future()
            if self._stopped:
                await over  # until everything is cancelled
            self._under_way.add(over)
            try:
                return await carry()
            finally:
                self._under_way.discard(over)
                over.set_result(None)

        async def carry() -> Sent:
            await self._outbox.keep(place, sent)
            try:
                made = await (how or (lambda nonce: self._channel.send(place, outgoing, nonce)))(sent.nonce)
            except ChannelUncertain:
                raise
            except Exception:
                await self._outbox.withdraw(sent)
                raise
            done = replace(sent, platform_id=made)
            await self._outbox.keep(place, done)
            return done

        return await self.pace.call(place.chat, call)

    async def _changed(self, place: Place, sent: Sent, outgoing: Outgoing) -> Sent:
        """A file that was sent is as it is."""
        if outgoing.file is None and self._channel.limits.edits:
            try:
                await self.edit(place, sent.platform_id, outgoing)
            except ChannelRejected as error:  # deleted by a person, or too old
                log.info("a message was not changed: %s", error, extra={"channel": self._channel.name})
        return sent

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """Change a message; that twice is once. Raises ChannelGone and ChannelRejected."""
        change = lambda: self._channel.edit(place, message_id, outgoing)  # noqa: E731
        await self._patiently(lambda: self.pace.call(place.chat, change))

    async def _found(self, place: Place, sent: Sent) -> Sent | None:
        """What became of a call of which nobody knows: None where it was not carried out, or nobody can tell."""
        channel = self._channel
        if not isinstance(channel, Finds):
            return None
        look = lambda: channel.find(place, sent.nonce, sent.began_at - _MARGIN)  # noqa: E731
        found = await self._patiently(lambda: self.pace.call(place.chat, look))
        if found is None:
            return None
        done = replace(sent, platform_id=found)
        await self._outbox.keep(place, done)
        return done

    async def _patiently(self, call: Callable[[], Awaitable[T]], *, harmless: bool = True) -> T:
        """Until the platform takes it; `harmless` is what may be done twice."""
        pause, waited = _PAUSE, 0.0
        while True:
            try:
                with border(self._channel):
                    return await call()
            except (ChannelGone, ChannelRejected):
                raise
            except ChannelError as error:
                if isinstance(error, ChannelUncertain) and not harmless:
                    raise
                if waited > _PATIENCE:
                    raise ChannelGone(f"It was not taken for a day: {error.message}") from error
                log.info("a call is tried again: %s", error, extra={"channel": self._channel.name})
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE)
