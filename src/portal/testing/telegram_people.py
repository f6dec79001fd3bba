"""The people's side of the stand-in: what a person does in Telegram, and what they see there."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from portal.testing.telegram_entities import plain_entities
from portal.testing.telegram_media import media_json
from portal.testing.telegram_methods import TelegramMethods
from portal.testing.telegram_updates import TelegramUpdates
from portal.testing.telegram_world import Json, TelegramChat, TelegramWorld, seconds


class Telegram(Protocol):
    """What a person needs of the server."""

    world: TelegramWorld
    updates: TelegramUpdates
    methods: TelegramMethods

    async def until(self, condition: Callable[[], object]) -> None: ...  # noqa: D102


class TelegramPerson:
    """Somebody with the app open. What is done is told to the bot at once."""

    def __init__(self, telegram: Telegram, user: Json) -> None:
        self.user = user
        self.id: int = user["id"]
        self._telegram = telegram
        self._queries = itertools.count(1)

    @property
    def chat(self) -> TelegramChat:
        """The private chat with the bot."""
        return self._telegram.world.chats[self.id]

    def write(
        self,
        text: str,
        *,
        chat: TelegramChat | None = None,
        reply_to: Json | None = None,
        thread: int | None = None,
        **more: Any,
    ) -> Json:
        """Send a text; `more` goes into the message as it is."""
        content = {"text": text, "entities": plain_entities(text) or None, **more}
        return self._post(chat, content, reply_to, thread)

    def _post(self, chat: TelegramChat | None, content: Json, reply_to: Json | None, thread: int | None) -> Json:
        chat = chat or self.chat
        chat.known = True
        content |= {"reply_to_message": reply_to}
        kept = {key: value for key, value in content.items() if value is not None}
        message = self._telegram.world.post(chat, self.user, kept, thread)
        if self._telegram.world.to_bot(chat, message):
            self._telegram.updates.add("channel_post" if chat.kind == "channel" else "message", message)
        return message

    def upgrade(self, chat: TelegramChat) -> TelegramChat:
        """Make a group a supergroup, as happens with some of its settings."""
        for message in self._telegram.world.upgrade(chat, self.user):
            self._telegram.updates.add("message", message)
        return self._telegram.world.chats[chat.moved_to]

    def edit(self, message: Json, text: str) -> Json:
        """Change what was written."""
        chat = self._telegram.world.chats[message["chat"]["id"]]
        content = {"text": text, "entities": plain_entities(text) or None, "edit_date": seconds()}
        changed = self._telegram.world.change(chat, message, content)
        if self._telegram.world.to_bot(chat, changed):
            self._telegram.updates.add("edited_message", changed)
        return changed

    def delete(self, message: Json) -> None:
        """Take a message away, also one of the bot; the bot is not told."""
        self._telegram.world.chats[message["chat"]["id"]].messages.pop(message["message_id"], None)

    def send(
        self,
        kind: str,
        content: bytes,
        *,
        name: str = "",
        mime: str = "application/octet-stream",
        caption: str = "",
        chat: TelegramChat | None = None,
        group: str | None = None,
        thread: int | None = None,
    ) -> Json:
        """Send a `photo`, `document`, `audio`, `voice`, `video` or `video_note`."""
        stored = self._telegram.world.store(content, name=name or kind, mime=mime)
        made = {**media_json(kind, stored), "caption": caption or None, "media_group_id": group}
        if caption:
            made["caption_entities"] = plain_entities(caption) or None
        return self._post(chat, made, None, thread)

    def press(self, button: str, *, message: Json | None = None, chat: TelegramChat | None = None) -> str:
        """Press the button with these words, on the newest message that has one; the query's id."""
        chat = chat or self.chat
        for candidate in [message] if message is not None else reversed(chat.messages.values()):
            for entry in buttons(candidate):
                if entry["text"] == button:
                    return self._callback(candidate, entry["callback_data"])
        raise LookupError(f"no button {button!r}")

    def _callback(self, message: Json, data: str) -> str:
        query = f"cb{self.id}{next(self._queries)}"
        made = {"id": query, "from": self.user, "message": message, "chat_instance": "1", "data": data}
        self._telegram.methods.queries[query] = made
        self._telegram.updates.add("callback_query", made)
        return query

    def ask_inline(self, text: str) -> str:
        """Type `@bot text` in some other chat; the query's id."""
        query = f"in{self.id}{next(self._queries)}"
        made = {"id": query, "from": self.user, "query": text, "offset": ""}
        self._telegram.methods.queries[query] = made
        self._telegram.updates.add("inline_query", made)
        return query

    def choose_inline(self, query: str, result: str, text: str = "") -> None:
        """Choose one of the results."""
        made = {"result_id": result, "from": self.user, "query": text}
        self._telegram.updates.add("chosen_inline_result", made)

    def react(self, message: Json, *emoji: str) -> None:
        """React to a message, or with no emoji take the reaction back."""
        chat = self._telegram.world.chats[message["chat"]["id"]]
        new = [{"type": "emoji", "emoji": one} for one in emoji]
        made = {"chat": chat.json(), "message_id": message["message_id"], "user": self.user, "date": seconds()}
        self._telegram.updates.add("message_reaction", {**made, "old_reaction": [], "new_reaction": new})

    def stop_draft(self) -> None:
        """Press the stop button of what the bot is writing."""
        for number, draft in list(self.chat.drafts.items()):
            if draft["can_stop"]:
                self._telegram.updates.add("stopped_message_generation", {"chat": self.chat.json(), "draft_id": number})

    def block(self) -> None:
        """Block the bot."""
        self._membership(blocked=True)

    def unblock(self) -> None:
        """Let it write again."""
        self._membership(blocked=False)

    def _membership(self, *, blocked: bool) -> None:
        self.chat.blocked = blocked
        bot = self._telegram.world.bot
        free, barred = {"user": bot, "status": "member"}, {"user": bot, "status": "kicked", "until_date": 0}
        old, new = (free, barred) if blocked else (barred, free)
        made = {"chat": self.chat.json(), "from": self.user, "date": seconds()}
        self._telegram.updates.add("my_chat_member", {**made, "old_chat_member": old, "new_chat_member": new})

    def sees(self, chat: TelegramChat | None = None) -> list[Json]:
        """The bot's messages that stand in a chat, oldest first."""
        return [one for one in (chat or self.chat).messages.values() if one.get("from", {}).get("is_bot")]

    async def reads(
        self, wanted: str | Callable[[Json], object], *, chat: TelegramChat | None = None, after: Json | None = None
    ) -> Json:
        """Wait for a message of the bot with these words in it, or for which `wanted` holds."""
        fits = (lambda message: wanted in words(message)) if isinstance(wanted, str) else wanted
        floor = after["message_id"] if after is not None else 0
        found: list[Json] = []

        def look() -> bool:
            found[:] = [one for one in self.sees(chat) if one["message_id"] > floor and fits(one)]
            return bool(found)

        await self._telegram.until(look)
        return found[0]


def words(message: Json) -> str:
    """The text or caption of a message."""
    return str(message.get("text") or message.get("caption") or "")


def buttons(message: Json) -> Sequence[Json]:
    """The buttons under a message."""
    rows = (message.get("reply_markup") or {}).get("inline_keyboard") or []
    return [button for row in rows for button in row]
