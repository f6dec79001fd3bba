"""Sending messages of every kind: their place, their buttons, and the files in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portal.testing.telegram_entities import TelegramRefusal, bad_request, formatted, utf16
from portal.testing.telegram_world import (
    UPLOAD_LIMIT,
    Json,
    TelegramChat,
    TelegramFile,
    TelegramWorld,
    photo_sizes,
)

_CAPTION_LIMIT = 1024
_GROUPED = frozenset({"photo", "document", "audio", "video"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came with a call."""

    name: str
    mime: str
    content: bytes


@dataclass(slots=True)
class TelegramCall:
    """A call as it came in, and what became of it."""

    method: str
    given: Json
    files: Mapping[str, Upload] = field(default_factory=dict)
    result: Any = None
    """What it did; also where the reply was lost."""
    refused: str = ""


class TelegramMedia:
    """The half of the methods that sends."""

    def __init__(self, world: TelegramWorld) -> None:
        self.world = world
        self._groups = 0

    def post(self, chat: TelegramChat, given: Json, content: Json) -> Json:
        """Put a message of the bot into a chat, where it belongs."""
        made = {**content, "reply_markup": self.markup(given), **self._reply(chat, given)}
        kept = {key: value for key, value in made.items() if value is not None}
        return self.world.post(chat, self.world.bot, kept, self.thread(chat, given))

    def thread(self, chat: TelegramChat, given: Json) -> int | None:
        """The topic that is meant."""
        if given.get("message_thread_id") in (None, ""):
            return None
        number = int(given["message_thread_id"])
        if number not in chat.topics:
            raise bad_request("message thread not found")
        return number

    def _reply(self, chat: TelegramChat, given: Json) -> Json:
        wanted = given.get("reply_parameters") or {}
        if not wanted:
            return {}
        if not isinstance(wanted, dict) or "message_id" not in wanted:
            raise bad_request("can't parse reply parameters")
        original = chat.messages.get(int(wanted["message_id"]))
        if original is None and not wanted.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        return {"reply_to_message": original} if original is not None else {}

    def markup(self, given: Json) -> Json | None:
        """The buttons, if they are such as Telegram takes."""
        markup = given.get("reply_markup")
        if not markup:
            return None
        if not isinstance(markup, dict):
            raise bad_request("object expected as reply markup")
        rows = markup.get("inline_keyboard")
        if rows is None:
            return None  # keyboards of other kinds are not kept in messages
        if sum(len(row) for row in rows) > 100:
            raise bad_request("REPLY_MARKUP_TOO_LONG")
        for button in (button for row in rows for button in row):
            _check_button(button)
        return {"inline_keyboard": rows} if any(rows) else None

    def caption(self, given: Json) -> tuple[str, list[Json]]:
        """The words under a file."""
        text, entities = formatted(given.get("caption"), given, "caption_entities")
        if utf16(text) > _CAPTION_LIMIT:
            raise bad_request("message caption is too long")
        return text, entities

    def send_photo(self, call: TelegramCall) -> Json:
        """A picture, which Telegram shows at once."""
        return self._send(call, "photo")

    def send_document(self, call: TelegramCall) -> Json:
        """Any file."""
        return self._send(call, "document")

    def send_audio(self, call: TelegramCall) -> Json:
        """Music."""
        return self._send(call, "audio")

    def send_voice(self, call: TelegramCall) -> Json:
        """A voice note."""
        return self._send(call, "voice")

    def send_video(self, call: TelegramCall) -> Json:
        """A film."""
        return self._send(call, "video")

    def send_video_note(self, call: TelegramCall) -> Json:
        """A round one."""
        return self._send(call, "video_note")

    def _send(self, call: TelegramCall, kind: str) -> Json:
        chat = self.world.chat(call.given.get("chat_id"))
        stored = self._file(call, call.given.get(kind), kind)
        return self.post(chat, call.given, {**media_json(kind, stored), **self._captioned(call.given)})

    def _captioned(self, given: Json) -> Json:
        caption, entities = self.caption(given)
        return {"caption": caption or None, "caption_entities": entities or None}

    def _file(self, call: TelegramCall, named: Any, kind: str) -> TelegramFile:
        """One uploaded with the call, or one that Telegram has."""
        upload = call.files.get(kind)
        if isinstance(named, str) and named.startswith("attach://"):
            upload = call.files.get(named.removeprefix("attach://"))
            if upload is None:
                raise bad_request("wrong file identifier/HTTP URL specified")
        if upload is None:
            if not named:
                raise bad_request(f"there is no {kind.replace('_', ' ')} in the request")
            if str(named) not in self.world.files:
                raise bad_request("wrong file identifier/HTTP URL specified")
            return self.world.files[str(named)]
        if not upload.content:
            raise bad_request("file must be non-empty")
        if len(upload.content) > UPLOAD_LIMIT:
            raise TelegramRefusal(413, "Request Entity Too Large")
        return self.world.store(upload.content, name=upload.name, mime=upload.mime)

    def send_media_group(self, call: TelegramCall) -> list[Json]:
        """An album of two to ten: pictures and films together, documents and music each for themselves."""
        chat = self.world.chat(call.given.get("chat_id"))
        media = call.given.get("media")
        if not isinstance(media, list) or not 2 <= len(media) <= 10:
            raise bad_request("album must contain from 2 to 10 items")
        kinds = {str(entry.get("type")) for entry in media}
        if not kinds <= _GROUPED or (len(kinds) > 1 and kinds != {"photo", "video"}):
            raise bad_request("document and audio can't be mixed with other media types")
        contents = [
            {
                **media_json(entry["type"], self._file(call, entry.get("media"), entry["type"])),
                **self._captioned(entry),
            }
            for entry in media
        ]
        self._groups += 1
        group = {"media_group_id": str(self._groups)}
        return [self.post(chat, call.given, {**content, **group}) for content in contents]


def _check_button(button: Json) -> None:
    if not button.get("text"):
        raise bad_request('can\'t parse inline keyboard button: Field "text" must be of type String')
    actions = [name for name in ("callback_data", "url", "web_app", "copy_text") if button.get(name)]
    if not actions and "switch_inline_query_current_chat" not in button and "switch_inline_query" not in button:
        raise bad_request("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if "callback_data" in actions and len(str(button["callback_data"]).encode()) > 64:
        raise bad_request("BUTTON_DATA_INVALID")
    if "url" in actions and not str(button["url"]).startswith(("http://", "https://", "tg://")):
        raise bad_request("BUTTON_URL_INVALID")


def media_json(kind: str, stored: TelegramFile) -> Json:
    """A file as it stands in a message."""
    made: Json = stored.json()
    if kind == "photo":
        return {kind: photo_sizes(stored)}
    if kind in ("document", "audio", "video"):
        made["file_name"] = stored.name
    if kind in ("document", "audio", "video", "voice"):
        made["mime_type"] = stored.mime
    if kind != "document":
        made["duration"] = 3
    if kind == "video":
        made |= {"width": 320, "height": 240}
    if kind == "video_note":
        made["length"] = 240
    return {kind: made}
