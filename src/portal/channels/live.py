"""An answer while it is written: shown as its place allows, at its pace, without a step for each word."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from portal.channels.answers import doing, text_so_far
from portal.channels.border import border
from portal.channels.sending import Sending
from portal.channels.splitting import split
from portal.core.channel_stores import Sent
from portal.core.channels import Button, Drafts, Outgoing, Streams, Typing
from portal.core.run import Run
from portal.errors import ChannelError, ChannelGone, RateLimited

log = logging.getLogger(__name__)

_EAGER, _PATIENT = 0.05, 0.5
"""Seconds between two looks while nothing of the answer is shown yet, at first and in the end."""


class Live:
    """Shows one run; what follows is for `Sending.put`."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._channel = sending.channel
        self._pace = sending.courier.pace
        self._place = sending.place
        self._text = self._grown = ""
        self._typed_at, self._doing = 0.0, ""

    async def show(self, run: Run) -> None:
        """Until it has ended. Raises ChannelGone."""
        stop = [[Button(action="stop", value=run.id, label="Stop")]]
        pause = _EAGER
        while not run.finished:
            await _ended(run, self._channel.limits.interval if self._text else pause)
            pause = min(pause * 1.1, _PATIENT)
            if run.finished:
                return
            items = run.assembler.snapshot()
            text = text_so_far(items)
            try:
                with border(self._channel):
                    if text == self._text or not await self._update(text, stop):
                        await self._type(doing(items))
            except ChannelGone:
                raise
            except (ChannelError, RateLimited) as error:  # the end makes good for it
                log.info("an answer is not shown while it is written: %s", error, extra={"channel": self._channel.name})

    async def _update(self, text: str, stop: Sequence[Sequence[Button]]) -> bool:
        """Show it, unless it is not the time; whether that was done."""
        channel, limits, place = self._channel, self._channel.limits, self._place
        parts = split(text, limits.text, limits.measure).texts
        if not parts:
            return False
        if isinstance(channel, Drafts) and channel.drafts(place):
            nonce = Sent(delivery_id=self._sending.delivery.id, position=0, began_at=0).nonce
            done = await self._pace.attempt(place.chat, lambda: channel.draft(place, parts[-1], nonce))
        elif isinstance(channel, Streams) and channel.streams(place):
            done = await self._stream(channel, parts)
        else:
            done = limits.edits and await self._edit(parts, stop)
        if done:
            self._text = text
        return done

    async def _edit(self, parts: Sequence[str], stop: Sequence[Sequence[Button]]) -> bool:
        """By messages that are changed; the last one can be stopped."""
        sending = self._sending
        for position, part in enumerate(parts):
            outgoing = Outgoing(text=part, buttons=stop if position == len(parts) - 1 else ())
            sent = sending.known.get(position)
            if sending.said.get(position) == outgoing:
                continue
            if sent is None:
                await sending.send(position, outgoing)
                continue
            change = partial(self._channel.edit, self._place, sent.platform_id, outgoing)
            if not await self._pace.attempt(self._place.chat, change):
                return False
            sending.said[position] = outgoing
        return True

    async def _stream(self, channel: Streams, parts: Sequence[str]) -> bool:
        """By a message that grows; one that is full is ended, and another begun."""
        sending, last = self._sending, len(parts) - 1
        if sending.streamed is not None and sending.streamed < last:
            await sending.end_stream(Outgoing(text=parts[sending.streamed]))
        for position in range(len(sending.known), last):
            await sending.send(position, Outgoing(text=parts[position]))
        if last not in sending.known:
            begin = partial(channel.begin, self._place, parts[last])
            await sending.send(last, Outgoing(text=parts[last]), begin)
            sending.streamed, self._grown = last, parts[last]
            return True
        if sending.streamed != last or not parts[last].startswith(self._grown):
            return True
        more, message_id = parts[last][len(self._grown) :], sending.known[last].platform_id
        append = partial(channel.append, self._place, message_id, more)
        done = not more or await self._pace.attempt(self._place.chat, append)
        if done:
            self._grown = parts[last]
            sending.said.pop(last, None)
        return done

    async def _type(self, what: str) -> None:
        channel, every, now = self._channel, self._channel.limits.typing, asyncio.get_running_loop().time()
        if isinstance(channel, Typing) and every and (now - self._typed_at >= every or what != self._doing):
            self._typed_at, self._doing = now, what
            await channel.typing(self._place, what)


async def _ended(run: Run, seconds: float) -> None:
    """Wait for its end, but not for longer."""
    if run.task is not None:
        await asyncio.wait({run.task}, timeout=seconds)
