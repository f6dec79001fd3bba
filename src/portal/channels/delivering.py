"""Deliveries: content, and answers while they are written and when they are over. Done again after a crash, a delivery
comes to the same messages in the same places."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from mimetypes import guess_type
from weakref import WeakValueDictionary

from portal.channels import words
from portal.channels.answers import Shown, shown
from portal.channels.courier import Courier
from portal.channels.live import Live
from portal.channels.questions import question
from portal.channels.sending import Sending
from portal.channels.splitting import Snippet, split
from portal.channels.spoken import Voice
from portal.core.agent import Agent
from portal.core.approvals import ApprovalRecord
from portal.core.channel_stores import Delivery, Outbox
from portal.core.channels import Button, Channel, FileKind, Outgoing, OutgoingFile
from portal.core.ports import Files, Responses
from portal.core.records import FileRecord, TurnRecord
from portal.core.tool_ports import Approvals
from portal.errors import ChannelGone, NotFound

log = logging.getLogger(__name__)

SNIPPETS, SPEECH, FILES, QUESTIONS, ASIDES = 1000, 1999, 2000, 3000, 4000
"""Where in a delivery they begin, behind its texts."""
_AGAIN = "↻"


class Delivering:
    """Delivers for one channel."""

    def __init__(
        self,
        *,
        channel: Channel,
        courier: Courier,
        outbox: Outbox,
        agent: Agent,
        responses: Responses,
        approvals: Approvals,
        files: Files,
        given_up: Callable[[Delivery, str], Awaitable[None]],
        voice: Voice,
    ) -> None:
        """`given_up` hears of what cannot be sent, and why."""
        self._channel = channel
        self._courier = courier
        self._outbox = outbox
        self._agent = agent
        self._responses = responses
        self._approvals = approvals
        self._files = files
        self._given_up = given_up
        self._voice = voice
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        """By delivery: a question may be decided elsewhere while it is on its way."""

    async def deliver(self, delivery: Delivery) -> None:
        """Send it whole, or find that it cannot be."""
        sending = await self._begin(delivery)
        try:
            if delivery.response_id is None:
                content = delivery.content
                await self._texts(sending, content.text, content.buttons)
                await self._send_files(sending, content.files)
            else:
                await self._answer(sending, delivery.response_id)
        except ChannelGone as error:
            log.warning("a delivery was given up: %s", error, extra={"channel": self._channel.name})
            await self._given_up(delivery, str(error))
        await self._outbox.finish(delivery.id)

    async def ask(self, delivery: Delivery) -> None:
        """Put the questions that its response ended with, or show what became of them. Raises ChannelGone."""
        async with self._asking.setdefault(delivery.id, asyncio.Lock()):
            await self._ask(await self._begin(delivery))

    async def aside(self, delivery: Delivery, record: ApprovalRecord) -> None:
        """Put a question for which a call of its response waits, or show what became of it. Raises ChannelGone."""
        sending, position = await self._begin(delivery), aside_position(record)
        if record.status == "pending" or position in sending.known:
            text, buttons = question(record, alone=delivery.place.direct)
            await sending.put(position, Outgoing(text=text, buttons=buttons))

    async def _begin(self, delivery: Delivery) -> Sending:
        known = {sent.position: sent for sent in await self._outbox.messages(delivery.id)}
        return Sending(channel=self._channel, courier=self._courier, delivery=delivery, known=known)

    async def _answer(self, sending: Sending, response_id: str) -> None:
        """Also where it is over already, or was stopped in the middle by a crash."""
        delivery, run = sending.delivery, self._agent.running(response_id)
        if run is not None:
            await Live(sending).show(run)
        try:
            if run is None:  # on another server it may run still
                await self._agent.ended(delivery.owner, response_id)
            turn = await self._responses.get(delivery.owner, response_id)
        except NotFound:
            return
        answer = shown(turn)
        await self._texts(sending, answer.text, _again(delivery, answer, response_id))
        await self._speak(sending, turn, answer)
        await self._send_files(sending, answer.files)
        if answer.asks:
            await self.ask(delivery)

    async def _speak(self, sending: Sending, turn: TurnRecord, answer: Shown) -> None:
        """As a voice message as well, where that is wanted; not again where it was sent before a crash."""
        if answer.again or SPEECH in sending.known:
            return
        if (spoken := await self._voice.reply(turn, answer.text, self._channel.limits.file)) is not None:
            await sending.put(SPEECH, Outgoing(file=spoken))

    async def _ask(self, sending: Sending) -> None:
        delivery = sending.delivery
        records = await self._approvals.of_response(delivery.owner, delivery.response_id or "")
        for number, record in enumerate(records):
            text, buttons = question(record, alone=delivery.place.direct)
            await sending.put(QUESTIONS + number, Outgoing(text=text, buttons=buttons))

    async def _texts(self, sending: Sending, text: str, buttons: Sequence[Sequence[Button]]) -> None:
        limits = self._channel.limits
        parts = split(text, limits.text, limits.measure)
        for position, part in enumerate(parts.texts):
            last = position == len(parts.texts) - 1
            await sending.put(position, Outgoing(text=part, buttons=buttons if last else ()))
        for position in sorted(sending.known):
            if len(parts.texts) <= position < SNIPPETS:  # shown while it was written, and in another message by now
                await sending.put(position, Outgoing(text=words.WORKING))
        for number, snippet in enumerate(parts.snippets):
            await sending.put(SNIPPETS + number, Outgoing(file=_file_of(snippet)))

    async def _send_files(self, sending: Sending, file_ids: Sequence[str]) -> None:
        owner = sending.delivery.owner
        for number, file_id in enumerate(file_ids):
            try:
                record = await self._files.get(owner, file_id)
            except NotFound:
                continue
            outgoing = Outgoing(file=self._outgoing(owner, record))
            if record.size > self._channel.limits.file:
                outgoing = Outgoing(text=words.LEFT_ON_PAGE.format(name=record.filename))
            await sending.put(FILES + number, outgoing)

    def _outgoing(self, owner: str, record: FileRecord) -> OutgoingFile:
        return OutgoingFile(
            kind=kind_of(record.content_type),
            name=record.filename,
            content_type=record.content_type,
            size=record.size,
            content=lambda: self._files.content(owner, record.id),
        )


def aside_position(record: ApprovalRecord) -> int:
    """Where in a delivery the question of a call that waits stands."""
    return ASIDES + int(record.id[-8:], 16)


def kind_of(content_type: str) -> FileKind:
    """As what a file is shown."""
    family = content_type.partition("/")[0]
    if content_type == "image/svg+xml":
        return "file"
    return family if family in ("image", "audio", "video") else "file"  # type: ignore[return-value]


def _file_of(snippet: Snippet) -> OutgoingFile:
    data = snippet.code.encode("utf-8", "replace")

    async def content() -> AsyncIterator[bytes]:
        yield data

    kind = guess_type(snippet.name)[0] or "text/plain"
    return OutgoingFile(kind="file", name=snippet.name, content_type=kind, size=len(data), content=content)


def _again(delivery: Delivery, answer: Shown, response_id: str) -> Sequence[Sequence[Button]]:
    if answer.asks or not (answer.again or delivery.place.direct):
        return ()
    return [[Button(action="regenerate", value=response_id, label=_AGAIN)]]
