"""One delivery on its way: which message says what, so that nothing is said twice."""

import logging
from collections.abc import Awaitable, Callable

from portal.channels import words
from portal.channels.border import border
from portal.channels.courier import Courier
from portal.core.channel_stores import Delivery, Sent
from portal.core.channels import Channel, Outgoing, Streams
from portal.errors import ChannelError, ChannelRejected, NotFound

log = logging.getLogger(__name__)


class Sending:
    """The messages of a delivery by their position; `known` are those of an earlier try."""

    def __init__(self, *, channel: Channel, courier: Courier, delivery: Delivery, known: dict[int, Sent]) -> None:
        self.channel = channel
        self.courier = courier
        self.delivery = delivery
        self.place = delivery.place
        self.known = known
        self.said: dict[int, Outgoing] = {}
        self.streamed: int | None = None
        """The position of a message that grows."""

    async def put(self, position: int, outgoing: Outgoing) -> None:
        """Have the message there say this. What the platform refuses is replaced by a note. Raises ChannelGone."""
        sent = self.known.get(position)
        if position == self.streamed:  # also where it says all by now: it goes on waiting for more until it is ended
            if await self.end_stream(outgoing):
                return
        elif self.said.get(position) == outgoing or (outgoing.file and sent and sent.platform_id):
            return
        try:
            await self._put(position, outgoing)
        except (ChannelRejected, NotFound) as error:  # the second: a file that was deleted meanwhile
            log.warning("a message was refused: %s", error, extra={"channel": self.channel.name})
            try:
                await self._put(position, Outgoing(text=words.NOT_SHOWN))
            except ChannelRejected:
                log.warning("nothing can be said there", extra={"channel": self.channel.name})

    async def _put(self, position: int, outgoing: Outgoing) -> None:
        self.known[position] = await self.courier.put(self.delivery, position, outgoing, self.known)
        self.said[position] = outgoing

    async def send(self, position: int, outgoing: Outgoing, how: Callable[[str], Awaitable[str]] | None = None) -> None:
        """A message that was not there. Raises as Courier.send."""
        self.known[position] = await self.courier.send(self.delivery, position, outgoing, how)
        self.said[position] = outgoing

    async def end_stream(self, outgoing: Outgoing) -> bool:
        """Whether the message that grows says this now, and is complete; else an edit makes good for it."""
        position, channel, self.streamed = self.streamed, self.channel, None
        if position is None or not isinstance(channel, Streams):
            return False
        message_id = self.known[position].platform_id
        try:
            with border(channel):
                await self.courier.pace.call(self.place.chat, lambda: channel.end(self.place, message_id, outgoing))
        except ChannelError as error:
            log.info("a stream was not ended: %s", error, extra={"channel": channel.name})
            return False
        self.said[position] = outgoing
        return True
