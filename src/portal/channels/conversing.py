"""From what arrived to what is to be sent: messages begin turns of the linked person's own conversations."""

import asyncio
import logging
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from portal.channels import words
from portal.channels.asking import Asking
from portal.channels.border import border
from portal.channels.commands import Commands, command_in, spelled
from portal.channels.linking import Linking
from portal.channels.places import Places
from portal.channels.spoken import Voice, spoken_part
from portal.core.agent import Agent, Turn
from portal.core.bus import Bus
from portal.core.channel_stores import (
    Arrival,
    ChatRecord,
    Chats,
    Delivery,
    Inbox,
    Links,
    Mode,
    Outbox,
    Pairing,
    new_delivery,
)
from portal.core.channels import Attachment, Channel, Content, Message, Moved, Press, Reaction
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.ports import Conversations, Files, Responses
from portal.core.records import ConversationRecord, FileRecord
from portal.core.run import Run
from portal.core.speech import Listening, Transcriber, whole
from portal.core.tool_ports import Approvals
from portal.errors import Conflict, NotFound, PortalError, Stopping

log = logging.getLogger(__name__)

DOOR = "portal:door"
"""In a conversation's metadata: the kind of channel in which it was begun."""
_BEGINNING = 60
"""Characters of what a thread begins with that are in its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """What conversing works on."""

    agent: Agent
    linking: Linking
    commands: Commands
    links: Links
    pairing: Pairing
    chats: Chats
    inbox: Inbox
    outbox: Outbox
    conversations: Conversations
    responses: Responses
    approvals: Approvals
    files: Files
    bus: Bus
    transcriber: Transcriber
    voice: Voice
    model: str = "auto"
    mode: Mode = "mentioned"
    admit: Callable[[str], object] = lambda owner: None
    """Asked before a message of somebody begins a turn. Raises RateLimited."""


class Conversing:
    """For one channel: `handle` says what is to be sent, which is stored by then."""

    def __init__(self, *, channel: Channel, desks: Desks, places: Places) -> None:
        self._channel = channel
        self._desks = desks
        self._places = places
        self._asking = Asking(
            agent=desks.agent,
            approvals=desks.approvals,
            outbox=desks.outbox,
            conversations=desks.conversations,
            door=channel.kind,
        )

    async def handle(self, arrival: Arrival, *, before: bool = False) -> Sequence[Delivery]:
        """Deal with an event; what is to be delivered for it. `before`: it arrived before this Portal started, and may
        have been dealt with in part."""
        event = arrival.event
        if isinstance(event, Moved):
            await self._desks.chats.move(event.place.channel, event.place.chat, event.chat)
            return await self._reply(arrival, "", None)
        link = await self._desks.links.of(event.place.channel, event.sender.id)
        if isinstance(event, Message):
            if link is None:
                said = await self._desks.linking.greet(event) if event.addressed else None
                return await self._reply(arrival, "", said)
            if event.place.direct and link.chat != event.place.chat:
                await self._desks.links.settle(link.id, event.place.chat)
            return await self._message(arrival, event, link.owner, before)
        if link is None:
            return await self._reply(arrival, "", None)
        try:
            if isinstance(event, Press):
                return await self._press(arrival, event, link.owner, before)
            await self._react(event, link.owner)
        except Stopping:  # it is done with the next start
            return ()
        except PortalError as error:
            return await self._reply(arrival, link.owner, Content(text=words.FAILED.format(why=error.message)))
        return await self._reply(arrival, link.owner, None)

    async def aside(self, arrival: Arrival) -> Sequence[Delivery] | None:
        """What is to be delivered for a message that answers a question for which a call waits; None for any other."""
        event, desks = arrival.event, self._desks
        link = await desks.links.of(event.place.channel, event.sender.id)
        chat = await desks.chats.get(link.owner, event.place) if link else None
        if link is None or chat is None or not isinstance(event, Message) or command_in(event.text):
            return None
        try:
            if not await self._asking.tell_aside(event, link.owner, chat):
                return None
        except PortalError as error:
            return await self._reply(arrival, link.owner, Content(text=words.FAILED.format(why=error.message)))
        return await self._reply(arrival, link.owner, None)

    async def _reply(self, arrival: Arrival, owner: str, content: Content | None) -> Sequence[Delivery]:
        """Something of Portal's own."""
        if content is not None:
            content = replace(content, text=spelled(content.text, self._channel.limits.slash))
        made = [] if content is None else [new_delivery(owner, arrival.event.place, content=content)]
        return made if await self._desks.inbox.finish(arrival.id, made) else []

    # ------------------------------------------------------------------ messages

    async def _message(self, arrival: Arrival, event: Message, owner: str, before: bool) -> Sequence[Delivery]:
        desks, chat = self._desks, await self._places.of(owner, event.place)
        if not (event.place.direct or event.addressed or chat.mode == "always"):
            return await self._reply(arrival, owner, None)
        command = command_in(event.text)
        try:
            if command is not None:
                return await self._reply(arrival, owner, await desks.commands.run(*command, chat=chat, event=event))
            if before and await self._begun(owner, arrival.response_id):
                return await self._answered(arrival, owner, arrival.response_id)
            if await self._asking.tell(event, owner, chat):
                return await self._reply(arrival, owner, None)
            desks.admit(owner)
            chat = await self._places.follow(event, chat)
            run = await self._start(await self._turn(arrival, event, chat))
        except Stopping:  # it is answered with the next start
            return ()
        except PortalError as error:
            log.info("a message could not be answered: %s", error, extra={"channel": self._channel.name})
            return await self._reply(arrival, owner, Content(text=words.FAILED.format(why=error.message)))
        return await self._answered(arrival, owner, run.id)

    async def _answered(self, arrival: Arrival, owner: str, response_id: str) -> Sequence[Delivery]:
        made = [new_delivery(owner, arrival.event.place, response_id=response_id)]
        return made if await self._desks.inbox.finish(arrival.id, made) else []

    async def _begun(self, owner: str, response_id: str) -> bool:
        try:
            await self._desks.responses.get(owner, response_id)
        except NotFound:
            return False
        return True

    async def _start(self, turn: Turn) -> Run:
        """Once what runs in the conversation, from wherever, is over."""
        agent, desks = self._desks.agent, self._desks
        while True:
            try:
                return await agent.start(turn)
            except Conflict as error:
                if error.code != "conversation_locked" or turn.conversation_id is None:
                    raise
                head = (await desks.conversations.get(turn.owner, turn.conversation_id)).head
                if head is not None:
                    await agent.ended(turn.owner, head)

    async def _turn(self, arrival: Arrival, event: Message, chat: ChatRecord) -> Turn:
        conversation = await self._conversation(chat, event)
        turn = Turn(
            owner=chat.owner,
            model=chat.model or conversation.model or self._desks.model,
            input=[await self._input(chat.owner, event)],
            door=self._channel.kind,
            conversation_id=conversation.id,
            background=True,
            private=not event.place.direct,
            response_id=arrival.response_id,
        )
        return await self._branch(arrival, event, turn) if event.edited else turn

    async def _branch(self, arrival: Arrival, event: Message, turn: Turn) -> Turn:
        """From where the message stood before it was edited. What answers it still is stopped."""
        desks = self._desks
        first = await desks.inbox.of_message(event.place, event.id, arrival.id)
        if first is None:
            return turn
        await desks.agent.cancel_in(turn.owner, [turn.conversation_id or ""])
        try:
            edited = (await desks.responses.get(turn.owner, first.response_id)).response
        except NotFound:
            return turn
        if edited.conversation_id != turn.conversation_id:
            return turn
        return replace(turn, previous_response_id=edited.previous_id, branch=edited.previous_id is None)

    async def _conversation(self, chat: ChatRecord, event: Message) -> ConversationRecord:
        desks, now = self._desks, micros()
        if chat.conversation_id is not None:
            try:
                return await desks.conversations.get(chat.owner, chat.conversation_id)
            except NotFound:
                log.info("a chat's conversation was deleted: another one is begun")
        made = ConversationRecord(
            id=new_id("conv"),
            owner=chat.owner,
            created_at=now,
            updated_at=now,
            title=_title(event),
            title_source="user" if event.place.title else "none",
            metadata={DOOR: self._channel.kind},
        )
        await desks.conversations.create(made)
        begun = replace(chat, place=event.place, conversation_id=made.id, changed_at=now)
        try:
            await desks.chats.save(begun, before=chat, still=True)
        except Conflict as error:  # its person has moved another one here at this moment
            if error.code != "chat_moved":
                raise
            await desks.conversations.delete(chat.owner, [made.id])
            return await self._conversation(await desks.chats.get(chat.owner, event.place) or chat, event)
        desks.bus.publish(chat.owner, "conversation.changed", id=made.id)
        return made

    # ------------------------------------------------------------------ files

    async def _input(self, owner: str, event: Message) -> Item:
        said: list[JsonObject] = [{"type": "input_text", "text": event.text}] if event.text else []
        parts = [*said, *[await self._part(owner, file) for file in event.files]]
        return message_item(parts or [{"type": "input_text", "text": ""}])

    async def _part(self, owner: str, file: Attachment) -> JsonObject:
        """A picture or file, kept as the person's own; speech as what was said. Raises PortalError."""
        limit = self._channel.limits.fetch
        if file.size > limit:
            raise PortalError(words.TOO_LARGE.format(name=file.name, limit=limit // 2**20))
        if file.voice:
            return await self._heard(file)
        stored = await self._keep(owner, file)
        if file.kind == "image":
            return {"type": "input_image", "file_id": stored.id, "detail": "auto"}
        return {"type": "input_file", "file_id": stored.id, "filename": stored.filename}

    async def _heard(self, file: Attachment) -> JsonObject:
        """What is said in a voice message or video note. Raises PortalError."""
        transcriber = self._desks.transcriber
        if why := transcriber.refusal():
            raise PortalError(words.NO_SPEECH.format(why=why))
        with tempfile.TemporaryDirectory(prefix="portal-heard-") as folder:
            ending = PurePath(file.name).suffix or mimetypes.guess_extension(file.content_type) or ""
            recording = Path(folder, f"voice{ending}")
            with await asyncio.to_thread(recording.open, "wb") as kept:
                async for chunk in self._bounded(file):
                    kept.write(chunk)
            made = await whole(transcriber.transcribe(recording, Listening()))
        if not made.text:
            raise PortalError(words.NOTHING_HEARD)
        return spoken_part(made.text, made.language)

    async def _keep(self, owner: str, file: Attachment) -> FileRecord:
        record = FileRecord(
            id=new_id("file"),
            owner=owner,
            filename=file.name,
            purpose="user_data",
            size=0,
            sha256="",
            content_type=file.content_type,
            created_at=micros(),
        )
        return await self._desks.files.create(record, self._bounded(file))

    async def _bounded(self, file: Attachment) -> AsyncIterator[bytes]:
        size, limit = 0, self._channel.limits.fetch
        with border(self._channel):
            async for chunk in self._channel.fetch(file):
                size += len(chunk)
                if size > limit:
                    raise PortalError(words.TOO_LARGE.format(name=file.name, limit=limit // 2**20))
                yield chunk

    # ------------------------------------------------------------------ buttons

    async def _press(self, arrival: Arrival, event: Press, owner: str, before: bool) -> Sequence[Delivery]:
        desks = self._desks
        action, _, value = event.data.partition(":")
        if action in ("approve", "deny", "answer"):
            await self._asking.press(owner, action, value, before=before)
        elif action == "stop":
            await desks.agent.cancel(owner, value)
        elif action == "regenerate":
            if not (before and await self._begun(owner, arrival.response_id)):
                await self._start(await self._again(arrival, owner, value))
            return await self._answered(arrival, owner, arrival.response_id)
        elif action == "choose":
            chat = await self._places.of(owner, event.place)
            return await self._reply(arrival, owner, await desks.commands.choose(value, chat))
        return await self._reply(arrival, owner, None)

    async def _again(self, arrival: Arrival, owner: str, response_id: str) -> Turn:
        """Another try at what a response answers."""
        tried = await self._desks.responses.get(owner, response_id)
        asked = tried.response
        said = [stored.item for stored in tried.items if stored.side == "input"]
        if any(item["type"] == "mcp_approval_response" for item in said):
            raise PortalError("What was decided cannot be done again from here; Portal's page can.")
        return Turn(
            owner=owner,
            model=asked.model,
            input=[{**item, "id": new_id("msg")} for item in said],
            request=asked.request,
            door=self._channel.kind,
            previous_response_id=asked.previous_id,
            conversation_id=asked.conversation_id,
            branch=asked.previous_id is None,
            background=True,
            private=not arrival.event.place.direct,
            response_id=arrival.response_id,
        )

    async def _react(self, event: Reaction, owner: str) -> None:
        delivery = await self._desks.outbox.of_message(event.place, event.message_id)
        if delivery is not None and delivery.response_id is not None:
            await self._desks.responses.feedback(owner, delivery.response_id, event.rating)


def _title(event: Message) -> str:
    """A group's name; of a thread in it with what it begins with, or all of them would look the same."""
    group, begun = event.place.title, " ".join(event.text.split())[:_BEGINNING]
    return f"{group}: {begun}" if group and event.place.thread and begun else group


def message_item(content: Sequence[JsonObject]) -> Item:
    """What a person said."""
    return {"type": "message", "id": new_id("msg"), "status": "completed", "role": "user", "content": list(content)}
