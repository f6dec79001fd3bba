"""All channels of a Portal: opened, watched, asked for by name, and told what happens elsewhere."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType

from portal.channels import words
from portal.channels.answers import text_so_far
from portal.channels.asked import Asked
from portal.channels.border import border
from portal.channels.connection import Connection, Patience
from portal.channels.conversing import Conversing, Desks
from portal.channels.courier import Courier
from portal.channels.delivering import Delivering
from portal.channels.lines import Lines
from portal.channels.pace import Pace
from portal.channels.places import Places
from portal.channels.reception import Reception
from portal.channels.shared import Alone
from portal.core.channel_stores import Delivery, PairingRecord, new_delivery
from portal.core.channels import (
    Channel,
    Closes,
    Content,
    Hooked,
    HookReply,
    HookRequest,
    Invites,
)
from portal.core.clock import micros, seconds
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.records import ConversationRecord
from portal.core.supervisor import Part, Supervisor
from portal.errors import NotFound, PortalError

log = logging.getLogger(__name__)

_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Open:
    """One channel at work."""

    channel: Channel
    reception: Reception
    connection: Connection
    courier: Courier
    lines: Lines


class Channels:
    """Everything about channels that the rest of Portal asks for, inside `async with`."""

    def __init__(
        self,
        *,
        channels: Sequence[Channel],
        broken: Mapping[str, str],
        desks: Desks,
        supervisor: Supervisor,
        patience: Patience = Patience(),  # noqa: B008 -- frozen
        shared: Alone | None = None,
    ) -> None:
        """`broken` says of configured channels why they could not be made; `shared` is for one of several servers."""
        self._shared = shared or Alone()
        self._channels = channels
        self._broken = broken
        self.linking, self.pairing, self.links, self.chats = desks.linking, desks.pairing, desks.links, desks.chats
        self._desks = desks
        self._supervisor = supervisor
        asked = Asked(desks=desks, health=self.health, slash=lambda name: self._open[name].channel.limits.slash)
        self.home, self.ask = asked.home, asked.ask
        self._patience = patience
        self.places = Places(
            links=desks.links,
            chats=desks.chats,
            outbox=desks.outbox,
            conversations=desks.conversations,
            responses=desks.responses,
            channels=[channel.name for channel in channels],
            mode=desks.mode,
        )
        self.on_given_up: Callable[[Delivery, str], Awaitable[None]] = _nothing
        """Told of a delivery that cannot be sent, and why."""
        self._open: dict[str, Open] = {}
        self._tasks = asyncio.TaskGroup()
        self._working: list[Part] = []
        self._keeping: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------ working

    async def __aenter__(self) -> "Channels":
        """Goes on with what a stopped Portal left, and connects; of several servers the one with the duty does."""
        await self._tasks.__aenter__()
        self._open = {channel.name: self._made(channel) for channel in self._channels}
        self._shared.serve(self._receive, self._look, self._tell)
        if begun := self._shared.duty.held:
            await self._begin()
        self._keeping = self._tasks.create_task(self._keep(begun=begun))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves everything as it is, but for messages under way: what is stored is gone on with by the next start."""
        if self._keeping is not None:
            self._keeping.cancel()
        await self._rest()
        await self._tasks.__aexit__(None, None, None)
        for channel in self._channels:
            if isinstance(channel, Closes):
                with suppress(PortalError), border(channel):
                    await channel.aclose()

    async def _keep(self, *, begun: bool) -> None:
        """Hold the channels whenever this server has the duty."""
        duty = self._shared.duty
        while True:
            await duty.given()
            try:
                if not begun:
                    await self._begin()
            except PortalError:
                log.exception("the channels could not be taken over: it will be tried again")
                await asyncio.sleep(_PAUSE)
                continue
            begun = False
            await duty.lost()
            await self._rest()
            self._open = {channel.name: self._made(channel) for channel in self._channels}

    async def _begin(self) -> None:
        for one in self._open.values():
            await one.reception.resume()
            await self._follow_up(one)
        works = {f"channel {name}": one.connection.run for name, one in self._open.items()}
        works["news of channels"] = self._listen
        self._working = [self._supervisor.keep(name, work) for name, work in works.items()]

    async def _rest(self) -> None:
        await self._supervisor.end(*self._working)
        async with asyncio.TaskGroup() as group:
            for one in self._open.values():
                group.create_task(one.courier.stop())
        for one in self._open.values():
            one.lines.stop()
            one.reception.stop()

    def _look(self, delivery_id: str) -> None:
        """Another server has stored this for a channel."""
        if self._shared.duty.held:
            for one in self._open.values():
                self._tasks.create_task(one.reception.look(delivery_id))

    def _tell(self) -> None:
        if self._shared.duty.held:
            self._shared.tell(self.status(), self.invitations)

    def stop(self) -> None:
        """Begin nothing more; what is on its way may still be shown."""
        for one in self._open.values():
            one.reception.closing = True

    def _made(self, channel: Channel) -> Open:
        desks, limits, tasks = self._desks, channel.limits, self._tasks
        pace = Pace(interval=limits.interval, per_second=limits.per_second)
        courier = Courier(channel=channel, outbox=desks.outbox, pace=pace)
        delivering = Delivering(
            channel=channel,
            courier=courier,
            outbox=desks.outbox,
            agent=desks.agent,
            responses=desks.responses,
            approvals=desks.approvals,
            files=desks.files,
            given_up=lambda delivery, why: self.on_given_up(delivery, why),
            voice=desks.voice,
        )
        lines = Lines(tasks=tasks)
        reception = Reception(
            channel=channel,
            inbox=desks.inbox,
            outbox=desks.outbox,
            conversing=Conversing(channel=channel, desks=desks, places=self.places),
            delivering=delivering,
            lines=lines,
            tasks=tasks,
            home=self.home,
            ask=self.ask,
        )
        connection = Connection(channel=channel, reception=reception, changed=self._changed, patience=self._patience)
        return Open(channel, reception, connection, courier, lines)

    def _changed(self) -> None:
        self._tell()
        self._desks.bus.publish(None, "channels.changed")

    async def _listen(self) -> None:
        with self._desks.bus.subscribe(None) as news:
            while (event := await news.get()) is not None:
                try:
                    await self._heard(event)
                except Exception:  # the border of a task: one event that fails costs neither the next ones nor Portal
                    log.exception("a channel could not be told what happened elsewhere")

    async def _heard(self, event: JsonObject) -> None:
        if event["type"] == "conversation.changed" and event.get("status") == "in_progress":
            await self._began(event["response_id"])
        elif event["type"] == "resync" or (event["type"] == "conversation.changed" and event.get("status") == "failed"):
            await self._catch_up()  # what was missed, or a turn that could not even begin
        elif event["type"] == "approvals.changed" and event.get("id"):
            await self._decided(event["id"])

    async def _began(self, response_id: str) -> None:
        """A turn that goes on with what was decided on a question in a chat is shown there, wherever it was decided."""
        run = self._desks.agent.running(response_id)
        if run is None:  # it is over already
            await self._catch_up()
        elif run.record.previous_id is not None:
            for one in self._open.values():
                asked = await self._desks.outbox.of_response(one.channel.name, run.record.previous_id)
                if asked is not None and asked.owner == run.record.owner:
                    one.reception.refresh(asked)
                    await self._show(one, asked, response_id)

    async def _show(self, one: Open, asked: Delivery, response_id: str) -> None:
        turn = await self._desks.responses.get(asked.owner, response_id)
        decided = any(stored.item["type"] == "mcp_approval_response" for stored in turn.items)
        if not (decided and await self.places.reaches(asked.owner, asked.place)):
            return
        delivery = new_delivery(asked.owner, asked.place, response_id=response_id)
        if await self._desks.outbox.add(delivery):
            one.reception.follow(delivery)

    async def _follow_up(self, one: Open) -> None:
        """What was decided while Portal was stopping, or too fast to be seen."""
        for asked, response_id in await self._desks.outbox.followed(one.channel.name):
            one.reception.refresh(asked)
            await self._show(one, asked, response_id)

    async def _catch_up(self) -> None:
        for one in self._open.values():
            await self._follow_up(one)
            await one.reception.look()

    async def _decided(self, approval_id: str) -> None:
        for one in self._open.values():
            found = await self._desks.outbox.of_approval(one.channel.name, approval_id)
            if found is None:
                continue
            record = await self._desks.approvals.get(found.owner, approval_id)
            if record.call_id is None:
                one.reception.refresh(found)
            else:
                one.reception.ask_aside(found, record)

    # ------------------------------------------------------------------ asked from elsewhere

    async def deliver(self, owner: str, target: str, content: Content, *, key: str = "") -> str:
        """Have this sent to the owner: `target` is a channel (their direct chat there), or `CHANNEL:CHAT` or
        `CHANNEL:CHAT/THREAD` of one of their chats. Awaited means kept, and sent as soon as can be, also after a
        restart. Of two with the same `key` only the first is sent. The delivery's id.

        Raises:
            NotFound: there is no such channel, or they have no such chat there; says what there is.
        """
        return await self._send(new_delivery(owner, await self.places.find(owner, target), content=content, key=key))

    async def deliver_answer(self, owner: str, target: str, response_id: str) -> str:
        """The same with an answer: as it is written, with its files and questions. Raises as `deliver`."""
        return await self._send(new_delivery(owner, await self.places.find(owner, target), response_id=response_id))

    async def _send(self, delivery: Delivery) -> str:
        one = self._open.get(delivery.place.channel)
        if await self._desks.outbox.add(delivery) and one is not None:
            (one.reception.deliver if self._shared.duty.held else self._shared.hurry)(delivery)
        return delivery.id

    async def targets(self, owner: str) -> Sequence[tuple[str, str]]:
        """What `deliver` can be given for this owner, each with words for it."""
        return await self.places.targets(owner)

    async def move_to(self, owner: str, conversation_id: str, target: str) -> None:
        """Go on with a conversation in a chat: what is said there belongs to it from now on. Raises NotFound."""
        place, desks = await self.places.find(owner, target), self._desks
        record = await desks.conversations.get(owner, conversation_id)
        chat = await self.places.of(owner, place)
        moved = replace(chat, conversation_id=conversation_id, model="", changed_at=micros())
        await desks.chats.save(moved, before=chat)
        title = record.title or words.UNTITLED
        said = words.MOVED.format(title=title, last=await self._last(record))
        await self.deliver(owner, target, Content(text=said, conversation_id=conversation_id))

    async def _last(self, record: ConversationRecord) -> str:
        if record.head is None:
            return ""
        turn = await self._desks.responses.get(record.owner, record.head)
        return text_so_far([stored.item for stored in turn.items if stored.side == "output"])

    async def unlink(self, owner: str, link_id: str) -> None:
        """That account speaks for nobody any more. Raises NotFound."""
        await self._desks.links.remove(owner, link_id)
        self._changed()

    def invitations(self, code: str) -> Mapping[str, str]:
        """By channel, an address that opens a chat there with this code."""
        if not self._shared.duty.held:
            return self._shared.invitations(code)
        opened = [one.channel for one in self._open.values()]
        told = {one.name: one.invitation(code) for one in opened if isinstance(one, Invites)}
        return {name: url for name, url in told.items() if url}

    async def receive(self, name: str, request: HookRequest) -> HookReply:
        """What a platform's server posts. Raises NotFound where none is expected, and what the channel raises."""
        if name in self._open and not self._shared.duty.held:
            return await self._shared.posted(name, request)
        return await self._receive(name, request)

    async def _receive(self, name: str, request: HookRequest) -> HookReply:
        one = self._open.get(name)
        if one is None or not isinstance(one.channel, Hooked):
            raise NotFound(f"Nothing is received at {name!r}.")
        with border(one.channel):
            return await one.channel.receive(request)

    def status(self) -> Sequence[JsonObject]:
        """Of each channel: {name, kind, state, detail, since, heard, events, repairs}."""
        if not self._shared.duty.held:
            return self._shared.status
        now = asyncio.get_running_loop().time()
        opened = [
            {
                "name": one.channel.name,
                "kind": one.channel.kind,
                "state": one.connection.state,
                "detail": one.connection.detail,
                "since": seconds(one.connection.since),
                "quiet": round(now - one.reception.alive_at, 1),
                "events": one.reception.accepted,
                "repairs": one.connection.repairs,
            }
            for one in self._open.values()
        ]
        broken = [{"name": name, "kind": name, "state": "broken", "detail": why} for name, why in self._broken.items()]
        return [*opened, *broken]

    def health(self) -> Sequence[str]:
        """How they are, in lines."""
        return [words.ALIVE, *(f"{one['name']}: {one['state']} {one['detail']}".strip() for one in self.status())]

    async def approve(self, owner: str, pairing_id: str, approve: bool) -> PairingRecord:
        """Let somebody in who asked, as this owner, or refuse it. Raises NotFound."""
        decided = await self._desks.pairing.decide(owner, pairing_id, approve, new_id("link"), micros())
        self._changed()
        if approve:
            await self._send(new_delivery(owner, decided.place, content=Content(text=words.LINKED)))
        return decided


async def _nothing(delivery: Delivery, why: str) -> None:
    """Where nobody wants to know."""
