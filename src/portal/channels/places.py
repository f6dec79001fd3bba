"""Places: as what each is kept for its person, where a reply goes on, and by which names they are asked for."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from portal.core.channel_stores import ChatRecord, Chats, LinkRecord, Links, Mode, Outbox
from portal.core.channels import Message, Place
from portal.core.clock import micros
from portal.core.ports import Conversations, Responses
from portal.errors import NotFound

_THREADS = 100
"""How many threads are offered by name: the newest."""


class Places:
    """Of all channels. A room is a place outside any thread."""

    def __init__(
        self,
        *,
        links: Links,
        chats: Chats,
        outbox: Outbox,
        conversations: Conversations,
        responses: Responses,
        channels: Collection[str],
        mode: Mode,
    ) -> None:
        """`channels` are those that there are, by name; `mode` is that of new groups."""
        self._links = links
        self._chats = chats
        self._outbox = outbox
        self._conversations = conversations
        self._responses = responses
        self._channels = channels
        self._mode = mode

    async def of(self, owner: str, place: Place) -> ChatRecord:
        """As it is kept; when it is answered, its room says. A new thread is answered by the model of its room, and
        goes on with what it is under."""
        found = await self._chats.get(owner, place)
        room = await self._chats.get(owner, room_of(place)) if place.thread else None
        if found is not None:
            return replace(found, mode=room.mode) if room else found
        made = ChatRecord(owner=owner, place=place, mode=self._mode, changed_at=micros())
        if room is not None:
            made = replace(made, mode=room.mode, model=room.model)
        return await self._moved(made, place.thread) if place.thread else made

    async def follow(self, event: Message, chat: ChatRecord) -> ChatRecord:
        """The chat; from a reply on with the conversation of what it replies to. One that is only supposed moves
        nothing: what was said in its thread since, such as `/new`, holds."""
        return await self._moved(chat, event.replies_to) if event.replies_to and not event.supposed else chat

    async def _moved(self, chat: ChatRecord, message_id: str) -> ChatRecord:
        """With the conversation of that message, if it is one of Portal's."""
        said = await self._conversation(chat.owner, chat.place, message_id)
        if said is None or said == chat.conversation_id:
            return chat
        moved = replace(chat, conversation_id=said, changed_at=micros())
        await self._chats.save(moved, before=chat)
        return moved

    async def _conversation(self, owner: str, place: Place, message_id: str) -> str | None:
        """That a message of Portal's is of; None where it is of none, of another person's, or of one that is gone."""
        delivery = await self._outbox.of_message(place, message_id)
        if delivery is None or delivery.owner != owner:
            return None
        found: str | None = delivery.content.conversation_id
        try:
            if delivery.response_id is not None:
                found = (await self._responses.get(owner, delivery.response_id)).response.conversation_id
            return (await self._conversations.get(owner, found)).id if found else None
        except NotFound:
            return None

    # ------------------------------------------------------------------ by name

    async def targets(self, owner: str) -> Sequence[tuple[str, str]]:
        """What `find` knows for this owner, each with words for it: people, groups, and threads in them."""
        found = [(link.channel, f"{link.sender.name or link.sender.id}, direct") for link in await self._direct(owner)]
        linked = {link.channel for link in await self._links.list(owner) if link.channel in self._channels}
        known = [one for one in await self._chats.list(owner) if one.place.channel in linked and not one.place.direct]
        rooms: dict[str, str] = {}
        for one in known:
            rooms.setdefault(target_of(room_of(one.place)), one.place.title or one.place.chat)
        threads = [one for one in known if one.place.thread][:_THREADS]
        return [*found, *rooms.items(), *[(target_of(one.place), await self._called(one)) for one in threads]]

    async def _called(self, chat: ChatRecord) -> str:
        """A thread after its conversation, for all of a group have one title."""
        try:
            title = (await self._conversations.get(chat.owner, chat.conversation_id or "")).title
        except NotFound:
            title = ""
        return title or chat.place.title or chat.place.chat

    async def find(self, owner: str, target: str) -> Place:
        """What is asked for by this name. Raises NotFound, which says what there is."""
        channel, _, where = target.partition(":")
        if channel not in self._channels:
            raise NotFound(f"There is no channel {channel!r}. There are: {', '.join(self._channels) or 'none'}.")
        if where:
            place = await self._named(owner, target)
            if place is not None and await self.reaches(owner, place):
                return place
        else:
            for link in await self._direct(owner):
                if link.channel == channel:
                    return Place(channel=channel, chat=link.chat)
        known = ", ".join(name for name, _ in await self.targets(owner))
        raise NotFound(f"There is no chat {target!r} of yours. There are: {known or 'none: write there first'}.")

    async def _direct(self, owner: str) -> Sequence[LinkRecord]:
        links = await self._links.list(owner)
        return [link for link in links if link.channel in self._channels and link.chat]

    async def reaches(self, owner: str, place: Place) -> bool:
        """Whether what is the owner's may be said there still: their account may have been unlinked since."""
        links = [link for link in await self._links.list(owner) if link.channel == place.channel]
        return any(not place.direct or link.chat == place.chat for link in links)

    async def change(self, owner: str, target: str, *, mode: Mode | None, model: str | None) -> ChatRecord:
        """When and by which model a chat is answered; None leaves that as it is. When it is answered is one for a room
        and its threads, also for those to come. Raises NotFound."""
        place = await self._named(owner, target)
        if place is None:
            raise NotFound(f"There is no chat {target!r} of yours.", param="target")
        if mode is not None:
            room = await self.of(owner, room_of(place))
            await self._chats.save(replace(room, mode=mode), before=room)
        chat = await self.of(owner, place)
        if model is not None:
            before, chat = chat, replace(chat, model=model)
            await self._chats.save(chat, before=before)
        return chat

    async def _named(self, owner: str, target: str) -> Place | None:
        """The place of that name, or the room of one. Those that are not among the newest are looked for one by one."""
        places = [place for chat in await self._chats.list(owner) for place in (chat.place, room_of(chat.place))]
        found = next((place for place in places if target_of(place) == target), None)
        if found is not None:
            return found
        channel, _, where = target.partition(":")
        chat, _, thread = where.rpartition("/")
        for place in (Place(channel=channel, chat=where), Place(channel=channel, chat=chat, thread=thread)):
            kept = await self._chats.get(owner, place) if place.chat else None
            if kept is not None:
                return kept.place
        return None


def room_of(place: Place) -> Place:
    """The room that a thread is in; any other place is its own."""
    return replace(place, thread="")


def target_of(place: Place) -> str:
    """What names a place for `Places.find`."""
    return f"{place.channel}:{place.chat}" + (f"/{place.thread}" if place.thread else "")
