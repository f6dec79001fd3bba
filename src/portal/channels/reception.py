"""The desk of one channel: what arrives is stored, acknowledged, and dealt with in the order of its place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress

from portal.channels.border import border
from portal.channels.commands import command_in
from portal.channels.conversing import Conversing
from portal.channels.delivering import Delivering
from portal.channels.lines import Lines
from portal.core.approvals import ApprovalRecord
from portal.core.channel_stores import Arrival, Delivery, Inbox, Outbox
from portal.core.channels import Channel, Content, Event, Message, Place, Sender, Typing
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.errors import PortalError

log = logging.getLogger(__name__)

_LONG = 30_000_000
"""Microseconds after which nobody else can be about to deliver something."""
_AT_ONCE = frozenset({"stop", "health"})
"""Commands that do not wait for the answer before them."""


class Reception:
    """Implements Desk."""

    def __init__(
        self,
        *,
        channel: Channel,
        inbox: Inbox,
        outbox: Outbox,
        conversing: Conversing,
        delivering: Delivering,
        lines: Lines,
        tasks: asyncio.TaskGroup,
        home: Callable[[str, Sender], Awaitable[Content]],
        ask: Callable[[str, Sender, str], Awaitable[str]],
    ) -> None:
        self.since = 0
        self.alive_at = 0.0
        self.accepted = 0
        self.closing = False
        """What is accepted from now on is for the next start."""
        self.heard: Callable[[], None] = lambda: None
        """Called at each proof of life."""
        self._typing: set[asyncio.Task[None]] = set()
        self._taken: set[str] = set()
        """Deliveries under way here."""
        self._asides: dict[str, tuple[Hashable, ...]] = {}
        """Questions for which calls wait, and the line of the place where each was put."""
        self._channel = channel
        self._inbox = inbox
        self._outbox = outbox
        self._conversing = conversing
        self._delivering = delivering
        self._lines = lines
        self._tasks = tasks
        self._home = home
        self._ask = ask

    async def resume(self) -> None:
        """Go on with what a stopped Portal left, first what was to be sent."""
        self.since = await self._inbox.newest(self._channel.name)
        for delivery in await self._outbox.open(self._channel.name):
            self.follow(delivery)
        for arrival in await self._inbox.open(self._channel.name):
            self._put(arrival, before=True)

    async def look(self, delivery_id: str = "") -> None:
        """Take what another server has stored: this one, or whatever lies there for long."""
        before = f"dlv_{(micros() - _LONG) // 1000:012x}"
        try:
            for delivery in await self._outbox.open(self._channel.name):
                wanted = delivery.id == delivery_id if delivery_id else delivery.id < before
                if wanted and delivery.id not in self._taken:
                    self.deliver(delivery)
        except PortalError as error:
            log.warning("what is to be sent could not be looked for: %s", error)

    async def accept(self, event: Event) -> bool:
        """See Desk."""
        now = micros()
        arrival = Arrival(id=new_id("arr"), event=event, response_id=new_id("resp"), received_at=now)
        self.alive()
        if not await self._inbox.accept(arrival):
            return False
        self.since = max(self.since, now)
        self.accepted += 1
        self._put(arrival)
        return True

    def alive(self) -> None:
        """See Desk."""
        self.alive_at = asyncio.get_running_loop().time()
        self.heard()

    async def home(self, sender: Sender) -> Content:
        """See Desk."""
        return await self._home(self._channel.name, sender)

    async def ask(self, sender: Sender, text: str) -> str:
        """See Desk."""
        return await self._ask(self._channel.name, sender, text)

    def deliver(self, delivery: Delivery) -> None:
        """What does not answer: beside the answers of its place, in an order of its own."""
        self._lines.put(("beside", *_line(delivery.place)), self._taking(delivery))

    def stop(self) -> None:
        """Nothing more is shown."""
        for task in self._typing:
            task.cancel()

    def follow(self, delivery: Delivery) -> None:
        """An answer, behind those before it in its place."""
        self._lines.put(_line(delivery.place), self._taking(delivery))

    def _taking(self, delivery: Delivery) -> Callable[[], Awaitable[None]]:
        self._taken.add(delivery.id)

        async def deliver() -> None:
            try:
                await self._delivering.deliver(delivery)
            finally:
                self._taken.discard(delivery.id)

        return deliver

    def refresh(self, delivery: Delivery) -> None:
        """Show what became of the questions of a delivery."""
        self._lines.put(("beside", *_line(delivery.place)), _job(self._delivering.ask, delivery))

    def ask_aside(self, delivery: Delivery, record: ApprovalRecord) -> None:
        """Show a question for which a call of that answer waits."""
        if record.status == "pending":
            self._asides[record.id] = _line(delivery.place)
        else:
            self._asides.pop(record.id, None)
        self._lines.put(("beside", *_line(delivery.place)), lambda: self._delivering.aside(delivery, record))

    def _put(self, arrival: Arrival, *, before: bool = False) -> None:
        event = arrival.event

        async def handle() -> None:
            if self.closing:
                return
            deliveries = await self._conversing.handle(arrival, before=before)
            if key is None:  # an answer that it begins keeps its place in line
                for delivery in deliveries:
                    self.follow(delivery)
                return
            for delivery in deliveries:
                await self._taking(delivery)()

        def put(line: Hashable) -> None:
            self._lines.put(arrival.id if line is None else line, handle)

        key = None if _urgent(event) else _line(event.place)
        if isinstance(event, Message) and event.addressed and key is not None:
            typing = self._tasks.create_task(self._type(event.place))
            self._typing.add(typing)
            typing.add_done_callback(self._typing.discard)
        if key is not None and key in self._asides.values():
            self._lines.put(("beside", arrival.id), lambda: self._answer_aside(arrival, lambda: put(key)))
        else:
            put(key)

    async def _answer_aside(self, arrival: Arrival, otherwise: Callable[[], None]) -> None:
        """What is said while a call waits for its person may be the answer, and cannot wait behind that call."""
        deliveries = await self._conversing.aside(arrival)
        if deliveries is None:
            otherwise()
        for delivery in deliveries or ():
            self.deliver(delivery)

    async def _type(self, place: Place) -> None:
        """At once, whoever it is; what goes wrong shows with the answer."""
        if isinstance(self._channel, Typing) and self._channel.limits.typing:
            with suppress(PortalError), border(self._channel):
                await self._channel.typing(place, "")


def _urgent(event: Event) -> bool:
    if not isinstance(event, Message):
        return True
    command = command_in(event.text)
    return command is not None and command[0] in _AT_ONCE


def _line(place: Place) -> tuple[Hashable, ...]:
    return place.chat, place.thread


def _job(work: Callable[[Delivery], Awaitable[None]], delivery: Delivery) -> Callable[[], Awaitable[None]]:
    return lambda: work(delivery)
