"""Telegram's updates as events of a channel. They are read as plain JSON, so that one of a new shape does no harm."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from portal.core.channels import Attachment, Event, FileKind, Message, Moved, Place, Press, Reaction, Sender

log = logging.getLogger(__name__)

Json = Mapping[str, Any]

KINDS = ("message", "edited_message", "callback_query", "message_reaction", "stopped_message_generation")
"""What is asked for, besides `inline_query` where that is wanted."""

_LIKED = frozenset("👍 ❤ ❤️ 🔥 👏 🎉 💯 😍 🙏 👌 🥰 🤩 🏆 😁 🤝 😘 ⚡ 🫡 🆒".split())  # noqa: SIM905
_DISLIKED = frozenset("👎 💩 🤮 😡 🤬 😢 🥴 🤡 🖕 😭 🥱 💔 😨".split())  # noqa: SIM905
_FILES: Mapping[str, tuple[FileKind, str, str]] = {
    "voice": ("audio", "voice.ogg", "audio/ogg"),
    "video_note": ("video", "video-note.mp4", "video/mp4"),
    "audio": ("audio", "audio.mp3", "audio/mpeg"),
    "video": ("video", "video.mp4", "video/mp4"),
    "animation": ("video", "animation.mp4", "video/mp4"),
    "document": ("file", "document", "application/octet-stream"),
}
_UNSEEN: Mapping[str, str] = {
    "story": "A story",
    "game": "A game",
    "paid_media": "Paid media",
    "giveaway": "A giveaway",
    "invoice": "An invoice",
}
"""What people send and would wait in vain for an answer to."""


@dataclass(frozen=True, slots=True)
class Bot:
    """Whom updates are for."""

    id: int
    username: str


@dataclass(frozen=True, slots=True)
class Reader:
    """Updates of one channel."""

    channel: str
    bot: Bot

    def events(self, updates: Sequence[Json]) -> Iterable[Event]:
        """What happened, as far as it concerns Portal. Pictures and files of one album are one message."""
        albums: dict[str, int] = {}
        found: list[Event] = []
        for update in updates:
            event = self._read(update)
            album = (update.get("message") or {}).get("media_group_id")
            if album in albums and isinstance(event, Message):
                first = found[albums[album]]
                assert isinstance(first, Message)
                text = "\n".join(part for part in (first.text, event.text) if part)
                found[albums[album]] = replace(first, files=(*first.files, *event.files), text=text)
            elif event is not None:
                if album and isinstance(event, Message):
                    albums[album] = len(found)
                found.append(event)
        return found

    def _read(self, update: Json) -> Event | None:
        try:
            return self._event(f"{self.bot.id}:{update['update_id']}", update)
        except (KeyError, TypeError, ValueError, AttributeError):
            log.warning("an update of Telegram's has a shape that is not known", exc_info=True)
            return None

    def _event(self, number: str, update: Json) -> Event | None:
        if (query := update.get("callback_query")) is not None:
            return self._press(number, query)
        if (reaction := update.get("message_reaction")) is not None:
            return self._reaction(number, reaction)
        if (stopped := update.get("stopped_message_generation")) is not None:
            return self._stopped(number, stopped)
        message = update.get("message") or update.get("edited_message")
        if message and (message.get("migrate_to_chat_id") or message.get("migrate_from_chat_id")):
            return self._moved(number, message)
        return self._message(number, message, edited="edited_message" in update) if message else None

    def _moved(self, number: str, message: Json) -> Moved:
        """A group became a supergroup, which both of them are told."""
        here, there = str(message["chat"]["id"]), str(message.get("migrate_to_chat_id") or "")
        was, now = (here, there) if there else (str(message["migrate_from_chat_id"]), here)
        place = replace(self._place(message), chat=was, thread="")
        return Moved(event_id=number, place=place, sender=sender_of(message.get("from") or {"id": ""}), chat=now)

    def _message(self, number: str, message: Json, *, edited: bool) -> Message | None:
        author = message.get("from")
        if author is None or author.get("is_bot") or ("location" in message and edited):
            return None  # channels' own posts have nobody who could be linked; a live location is edited all the time
        place = self._place(message)
        original = message.get("reply_to_message") or {}
        original = {} if "forum_topic_created" in original else original
        to_portal = (original.get("from") or {}).get("id") == self.bot.id
        text, mentioned, elsewhere = self._said(message)
        files = _files(message)
        if elsewhere or not (text or files):
            return None
        if original and not to_portal and (quoted := _words(original)):
            text = "\n".join((*(f"> {line}" for line in quoted.splitlines()), "", text))
        return Message(
            event_id=number,
            place=place,
            sender=sender_of(author),
            id=str(message["message_id"]),
            text=text,
            files=files,
            addressed=place.direct or mentioned or to_portal,
            edited=edited,
            replies_to=str(original["message_id"]) if to_portal else "",
        )

    def _said(self, message: Json) -> tuple[str, bool, bool]:
        """The words without the bot's own name; whether it is named; whether they are a command for another bot."""
        text = _words(message)
        mine = f"@{self.bot.username}".lower()
        begun = text.split(maxsplit=1)
        if begun and begun[0].startswith("/"):
            command, _, bot = begun[0].partition("@")
            if bot and f"@{bot}".lower() != mine:
                return "", False, True
            return _linked(command, begun[1:]), True, False
        mentioned = mine in text.lower()
        for entity in message.get("entities") or message.get("caption_entities") or ():
            mentioned = mentioned or (entity.get("user") or {}).get("id") == self.bot.id
        if mentioned:
            at = text.lower().find(mine)
            text = f"{text[:at].rstrip()} {text[at + len(mine) :].lstrip(' ,:')}".strip() if at >= 0 else text
        return text, mentioned, False

    def _place(self, message: Json) -> Place:
        chat = message["chat"]
        direct = chat["type"] == "private"
        thread = message.get("message_thread_id") if message.get("is_topic_message") else None
        return Place(
            channel=self.channel,
            chat=str(chat["id"]),
            thread=str(thread or ""),
            direct=direct,
            title="" if direct else str(chat.get("title") or ""),
        )

    def _press(self, number: str, query: Json) -> Press | None:
        message = query.get("message")
        if message is None or "data" not in query:
            return None
        return Press(
            event_id=number,
            place=self._place(message),
            sender=sender_of(query["from"]),
            message_id=str(message["message_id"]),
            data=str(query["data"]),
        )

    def _reaction(self, number: str, reaction: Json) -> Reaction | None:
        if reaction.get("user") is None:
            return None
        emoji = {str(one.get("emoji")) for one in reaction.get("new_reaction") or ()}
        rating: Literal[-1, 0, 1] = 1 if emoji & _LIKED else -1 if emoji & _DISLIKED else 0
        return Reaction(
            event_id=number,
            place=self._place(reaction),
            sender=sender_of(reaction["user"]),
            message_id=str(reaction["message_id"]),
            rating=rating,
        )

    def _stopped(self, number: str, stopped: Json) -> Message:
        """In a private chat, whose number is that of the person."""
        topic = {"is_topic_message": "message_thread_id" in stopped}
        place = self._place({**stopped, **topic})
        return Message(
            event_id=number, place=place, sender=sender_of(stopped["chat"]), id=f"stop-{number}", text="/stop"
        )


def _linked(command: str, rest: Sequence[str]) -> str:
    """A link that opens the chat brings its code with /start."""
    if command.lower() == "/start" and rest:
        command = "/link"
    return " ".join((command, *rest))


def sender_of(user: Json) -> Sender:
    """A person of Telegram's."""
    names = (user.get("first_name"), user.get("last_name"))
    name = " ".join(str(part) for part in names if part)
    return Sender(id=str(user["id"]), name=name or str(user.get("username") or ""))


def _words(message: Json) -> str:
    text = str(message.get("text") or message.get("caption") or "").strip()
    if text:
        return text
    if (sticker := message.get("sticker")) is not None:
        return str(sticker.get("emoji") or "")
    if (dice := message.get("dice")) is not None:
        return f"{dice.get('emoji', '')} {dice.get('value', '')}".strip()
    if (contact := message.get("contact")) is not None:
        return f"Contact: {sender_of({**contact, 'id': ''}).name}, {contact.get('phone_number', '')}"
    if (poll := message.get("poll")) is not None:
        options = "".join(f"\n- {option.get('text')}" for option in poll.get("options") or ())
        return f"Poll: {poll.get('question')}{options}"
    if (location := message.get("location")) is not None:
        title = (message.get("venue") or {}).get("title")
        return f"Location: {f'{title}, ' if title else ''}{location['latitude']}, {location['longitude']}"
    if (checklist := message.get("checklist")) is not None:
        tasks = "".join(f"\n- {task.get('text')}" for task in checklist.get("tasks") or ())
        return f"Checklist: {checklist.get('title')}{tasks}"
    return next((f"({what}, which bots cannot see.)" for name, what in _UNSEEN.items() if name in message), "")


def _files(message: Json) -> tuple[Attachment, ...]:
    if sizes := message.get("photo"):
        largest = max(sizes, key=lambda size: int(size.get("width", 0)) * int(size.get("height", 0)))
        return (_attachment(largest, "image", f"photo-{message['message_id']}.jpg", "image/jpeg"),)
    for field, (kind, name, mime) in _FILES.items():
        if (found := message.get(field)) is not None:
            made = _attachment(found, kind, name, mime)
            return (replace(made, voice=field in ("voice", "video_note")),)
    return ()


def _attachment(found: Json, kind: FileKind, name: str, mime: str) -> Attachment:
    content_type = str(found.get("mime_type") or mime)
    family = content_type.partition("/")[0]
    if kind == "file" and content_type in ("image/jpeg", "image/png", "image/webp", "image/gif"):
        kind = "image"
    elif kind == "file" and family in ("audio", "video"):
        kind = "audio" if family == "audio" else "video"
    return Attachment(
        ref=str(found["file_id"]),
        kind=kind,
        name=str(found.get("file_name") or name),
        content_type=content_type,
        size=int(found.get("file_size") or 0),
    )
