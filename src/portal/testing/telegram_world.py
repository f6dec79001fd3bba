"""What Telegram knows in the stand-in: people, chats with their messages and topics, files, and the bot itself."""

import hashlib
import itertools
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from portal.testing.telegram_entities import TelegramRefusal, bad_request

Json = dict[str, Any]
Kind = Literal["private", "group", "supergroup", "channel"]
DOWNLOAD_LIMIT = 20 * 2**20
UPLOAD_LIMIT = 50 * 2**20
PHOTO_LIMIT = 10 * 2**20


def seconds() -> int:
    """Now, as Telegram dates things."""
    return int(datetime.now(UTC).timestamp())


@dataclass(slots=True)
class TelegramChat:
    """A chat as the server has it; `messages` by number, deleted ones are gone."""

    id: int
    kind: Kind
    title: str
    members: set[int] = field(default_factory=set)
    forum: bool = False
    messages: dict[int, Json] = field(default_factory=dict)
    topics: dict[int, Json] = field(default_factory=dict)
    drafts: dict[int, Json] = field(default_factory=dict)
    """What the bot is writing, by the draft's number; gone once a message is sent."""
    actions: list[str] = field(default_factory=list)
    reactions: dict[int, list[Json]] = field(default_factory=dict)
    """The bot's own, by message."""
    blocked: bool = False
    moved_to: int = 0
    """The supergroup that it became."""
    known: bool = True
    """False: the bot has not met this person in private."""
    history: list[Json] = field(default_factory=list)
    """Every state of every message of the bot, in the order in which they were shown."""

    def json(self) -> Json:
        """As it stands in messages."""
        made: Json = {"id": self.id, "type": self.kind}
        made |= {"first_name": self.title} if self.kind == "private" else {"title": self.title}
        return {**made, "is_forum": True} if self.forum else made


@dataclass(frozen=True, slots=True)
class TelegramFile:
    """A file on Telegram's servers."""

    id: str
    unique_id: str
    path: str
    content: bytes
    name: str
    mime: str

    def json(self) -> Json:
        """What every kind of file has."""
        return {"file_id": self.id, "file_unique_id": self.unique_id, "file_size": len(self.content)}


class TelegramWorld:
    """Everything that lasts on Telegram's side."""

    def __init__(self, *, username: str) -> None:
        self.bot: Json = {"id": 7000001, "is_bot": True, "first_name": "Portal", "username": username}
        self.people: dict[int, Json] = {}
        self.chats: dict[int, TelegramChat] = {}
        self.files: dict[str, TelegramFile] = {}
        self.reads_everything = False
        """Privacy mode off, or the bot is an administrator of its groups."""
        self._numbers = itertools.count(1)
        self._people_ids = itertools.count(501)
        self._group_ids = itertools.count(1)

    def add_person(self, name: str, *, username: str, language: str, known: bool) -> Json:
        """A person, with their private chat with the bot."""
        number = next(self._people_ids)
        person: Json = {"id": number, "is_bot": False, "first_name": name, "language_code": language}
        person |= {"username": username} if username else {}
        self.people[number] = person
        self.chats[number] = TelegramChat(number, "private", name, {number}, known=known)
        return person

    def add_group(self, title: str, *, members: Sequence[int], forum: bool, kind: Kind) -> TelegramChat:
        """A group, supergroup or channel with the bot in it."""
        count = next(self._group_ids)
        number = -count if kind == "group" else -1_000_000_000_000 - count
        self.chats[number] = TelegramChat(number, kind, title, set(members), forum=forum)
        return self.chats[number]

    def upgrade(self, chat: TelegramChat, by: Json) -> Sequence[Json]:
        """A group becomes a supergroup; the messages that tell so there and here."""
        made = self.add_group(chat.title, members=[*chat.members], forum=False, kind="supergroup")
        told = [self.post(chat, by, {"migrate_to_chat_id": made.id})]
        chat.moved_to = made.id
        return [*told, self.post(made, by, {"migrate_from_chat_id": chat.id})]

    def chat(self, given: object) -> TelegramChat:
        """The chat that a method names, if the bot may write there."""
        try:
            chat = self.chats[int(str(given))]
        except (ValueError, KeyError):
            raise bad_request("chat not found" if given not in (None, "") else "chat_id is empty") from None
        if not chat.known:
            raise bad_request("chat not found")
        if chat.moved_to:
            words = "Bad Request: group chat was upgraded to a supergroup chat"
            raise TelegramRefusal(400, words, {"migrate_to_chat_id": chat.moved_to})
        if chat.blocked:
            what = "bot was blocked by the user" if chat.kind == "private" else f"bot was kicked from the {chat.kind}"
            raise TelegramRefusal(403, f"Forbidden: {what}{' chat' if chat.kind != 'private' else ''}")
        return chat

    def message(self, chat: TelegramChat, given: object, *, doing: str) -> Json:
        """A message that a method names."""
        text = str(given or "")
        if not re.fullmatch(r"\d+", text) or int(text) not in chat.messages:
            raise bad_request(f"message to {doing} not found")
        return chat.messages[int(text)]

    def post(self, chat: TelegramChat, sender: Json, content: Mapping[str, Any], thread: int | None = None) -> Json:
        """Put a message into a chat."""
        number = next(self._numbers)
        made: Json = {"message_id": number, "date": seconds(), "chat": chat.json()}
        made |= {"sender_chat": chat.json()} if chat.kind == "channel" else {"from": sender}
        if thread is not None:
            made |= {"message_thread_id": thread, "is_topic_message": True}
        chat.messages[number] = {**made, **content}
        if sender["is_bot"]:
            chat.history.append(chat.messages[number])
            chat.drafts.clear()
        return chat.messages[number]

    def change(self, chat: TelegramChat, message: Json, content: Mapping[str, Any]) -> Json:
        """Edit one: a new object, so that who holds the old one keeps what they saw."""
        made = {key: value for key, value in {**message, **content}.items() if value is not None}
        chat.messages[message["message_id"]] = made
        if message.get("from", {}).get("is_bot"):
            chat.history.append(made)
        return made

    def store(self, content: bytes, *, name: str, mime: str) -> TelegramFile:
        """Keep a file; the same bytes have the same unique id."""
        digest = hashlib.sha256(content).hexdigest()
        ending = name.rpartition(".")[2] if "." in name else "bin"
        number = len(self.files) + 1
        made = TelegramFile(
            f"AgAC{number:06d}{digest[:16]}", digest[:15], f"files/file_{number}.{ending}", content, name, mime
        )
        self.files[made.id] = made
        return made

    def topic(self, chat: TelegramChat, name: str) -> Json:
        """A new topic of a forum."""
        number = next(self._numbers)
        chat.topics[number] = {"message_thread_id": number, "name": name, "icon_color": 7322096}
        return chat.topics[number]

    def to_bot(self, chat: TelegramChat, message: Json) -> bool:
        """Whether privacy mode lets the bot see what a person wrote."""
        if chat.kind in ("private", "channel") or self.reads_everything:
            return True
        text = message.get("text") or message.get("caption") or ""
        replied = message.get("reply_to_message", {}).get("from", {}).get("id") == self.bot["id"]
        return replied or text.startswith("/") or f"@{self.bot['username']}".lower() in text.lower()


def photo_sizes(stored: TelegramFile) -> list[Json]:
    """The sizes of a photo, or the refusal of what is no picture."""
    width, height = _dimensions(stored.content)
    if len(stored.content) > PHOTO_LIMIT:
        raise bad_request("file must be smaller than 10 MB to be sent as a photo")
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    return [{**stored.json(), "width": width, "height": height}]


def _dimensions(content: bytes) -> tuple[int, int]:
    if content.startswith(b"\x89PNG\r\n\x1a\n") and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content.startswith((b"\xff\xd8\xff", b"GIF8")) or content[8:12] == b"WEBP":
        return 320, 240
    raise bad_request("IMAGE_PROCESS_FAILED")
