"""The workspace behind the stand-in of Slack: people, rooms, messages, files; no I/O."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from portal.core.clock import micros
from portal.testing.slack_server_rules import Refused

Kind = Literal["channel", "group", "im", "mpim"]
TEAM, APP, BOT, BOT_USER = "T0001", "A0001", "B0001", "U0BOT"


@dataclass(slots=True, kw_only=True)
class SlackPerson:
    """A member of the workspace."""

    id: str
    name: str
    deleted: bool = False
    bot: bool = False
    tz: str = "Europe/Amsterdam"

    def shown(self) -> dict[str, Any]:
        """As `users.info` shows them."""
        profile = {"real_name": self.name, "display_name": self.name}
        person = {"id": self.id, "team_id": TEAM, "name": self.name.lower().replace(" ", ""), "real_name": self.name}
        return {**person, "profile": profile, "is_bot": self.bot, "deleted": self.deleted, "tz": self.tz}


@dataclass(slots=True, kw_only=True)
class SlackRoom:
    """A channel, private group or direct message. `messages` by their ts, in order."""

    id: str
    name: str = ""
    kind: Kind = "channel"
    members: set[str] = field(default_factory=set)
    archived: bool = False
    deleted: bool = False
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    streaming: set[str] = field(default_factory=set)
    """The ts of messages that are being streamed."""

    def shown(self) -> dict[str, Any]:
        """As `conversations.info` shows it."""
        kinds = {"is_channel": "channel", "is_group": "group", "is_im": "im", "is_mpim": "mpim"}
        made: dict[str, Any] = {"id": self.id, **{name: self.kind == kind for name, kind in kinds.items()}}
        if self.kind == "im":
            return {**made, "user": next(iter(self.members - {BOT_USER}), ""), "is_archived": self.archived}
        return {**made, "name": self.name, "is_archived": self.archived, "is_member": BOT_USER in self.members}

    def thread(self, ts: str) -> Iterator[dict[str, Any]]:
        """The root and its replies."""
        yield from (one for one in self.messages.values() if ts in (one["ts"], one.get("thread_ts")))


class World:
    """Everything a workspace holds."""

    def __init__(self, emit: Callable[[dict[str, Any]], None]) -> None:
        self.emit = emit
        """Where events of the workspace go."""
        self.people: dict[str, SlackPerson] = {}
        self.rooms: dict[str, SlackRoom] = {}
        self.files: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.modals: list[dict[str, Any]] = []
        self.ephemerals: list[dict[str, Any]] = []
        self.statuses: list[tuple[str, str, str]] = []
        """Channel, thread and words of each status that was set."""
        self.prompts: dict[tuple[str, str], list[dict[str, str]]] = {}
        self.titles: dict[tuple[str, str], str] = {}
        self._last = 0
        self._numbers = itertools.count(1)
        self.add_person(BOT_USER, "Portal", bot=True)

    def add_person(self, person: str, name: str = "", *, bot: bool = False) -> SlackPerson:
        """Someone of the workspace."""
        self.people[person] = SlackPerson(id=person, name=name or person, bot=bot)
        return self.people[person]

    def add_channel(self, room: str, *members: str, kind: Kind = "channel", bot: bool = True) -> SlackRoom:
        """A channel with these people, who are made where they are not there yet."""
        for member in members:
            if member not in self.people:
                self.add_person(member)
        inside = {*members, BOT_USER} if bot else set(members)
        self.rooms[room] = SlackRoom(id=room, name=room.lower(), kind=kind, members=inside)
        return self.rooms[room]

    def direct(self, person: str) -> SlackRoom:
        """The direct message between a person and the app."""
        if person not in self.people:
            self.add_person(person)
        room = "D" + hashlib.sha256(person.encode()).hexdigest()[:9].upper()
        return self.rooms.get(room) or self.add_channel(room, person, kind="im")

    def number(self, prefix: str) -> str:
        """A new id."""
        return f"{prefix}{next(self._numbers):09d}"

    def moment(self) -> str:
        """A new ts: unique and rising."""
        self._last = max(self._last + 1, micros())
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def room(self, name: Any, *, write: bool = False) -> SlackRoom:
        """A room by its id, or a person's direct message. Raises Refused."""
        if isinstance(name, str) and name in self.people and name != BOT_USER:
            return self.direct(name)
        room = self.rooms.get(str(name))
        if room is None or room.deleted:
            raise Refused("channel_not_found")
        if room.kind != "channel" and BOT_USER not in room.members:
            raise Refused("channel_not_found")
        if write and room.archived:
            raise Refused("is_archived")
        if write and BOT_USER not in room.members:
            raise Refused("not_in_channel")
        return room

    def say(self, room: SlackRoom, **fields: Any) -> dict[str, Any]:
        """Put a message into a room; None is left out."""
        message = {"type": "message", "ts": self.moment(), "team": TEAM, **fields}
        kept = {name: value for name, value in message.items() if value is not None}
        room.messages[kept["ts"]] = kept
        root = room.messages.get(kept.get("thread_ts", ""))
        if root is not None and root is not kept:
            root["thread_ts"] = root["ts"]
            root["reply_count"] = root.get("reply_count", 0) + 1
            root["latest_reply"] = kept["ts"]
            kept["parent_user_id"] = root.get("user", "")
        return kept

    def tell(self, room: SlackRoom, event: dict[str, Any]) -> None:
        """An event about a room; of those that the app is not in it hears nothing."""
        if BOT_USER not in room.members:
            return
        self.emit({**event, "channel": room.id, "channel_type": room.kind, "event_ts": event.get("ts", self.moment())})

    def change(self, room: SlackRoom, message: dict[str, Any], **fields: Any) -> None:
        """Make a message say something else, and tell so."""
        before = dict(message)
        message.update(fields)
        for name in [name for name, value in message.items() if value is None]:
            del message[name]
        event = {"type": "message", "subtype": "message_changed", "message": _told(message), "ts": self.moment()}
        self.tell(room, {**event, "previous_message": _told(before), "hidden": True})

    def remove(self, room: SlackRoom, message: dict[str, Any]) -> None:
        """Delete a message, and tell so."""
        del room.messages[message["ts"]]
        event = {"type": "message", "subtype": "message_deleted", "deleted_ts": message["ts"], "ts": self.moment()}
        self.tell(room, {**event, "previous_message": _told(message), "hidden": True})

    def own(self, room: SlackRoom, ts: Any, *, refusal: str) -> dict[str, Any]:
        """A message of the app. Raises Refused."""
        message = room.messages.get(str(ts))
        if message is None:
            raise Refused("message_not_found")
        if message.get("bot_id") != BOT:
            raise Refused(refusal)
        return message

    def messages(self, room: str, thread: str = "") -> list[dict[str, Any]]:
        """What is in a room, oldest first, or in one of its threads: for tests."""
        found = self.rooms[room]
        return list(found.thread(thread)) if thread else list(found.messages.values())

    def spoken(self, room: str, thread: str = "") -> list[str]:
        """The visible text of the app's own messages there, oldest first: for tests."""
        return [shown(one) for one in self.messages(room, thread) if one.get("bot_id") == BOT]


def _told(message: dict[str, Any]) -> dict[str, Any]:
    """A message inside an event: without its metadata."""
    return {name: value for name, value in message.items() if name not in ("metadata", "streamed")}


def shown(message: dict[str, Any]) -> str:
    """What people read of a message: its blocks' text where it has any, else its text."""
    parts = []
    for block in message.get("blocks") or ():
        text = block.get("text", "")
        parts.append(text if isinstance(text, str) else text.get("text", ""))
    blocks = "\n".join(part for part in parts if part)
    return str(message["streamed"] if "streamed" in message else blocks or message.get("text", ""))
