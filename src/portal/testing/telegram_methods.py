"""The methods of the Bot API that the stand-in knows: text, edits, buttons, drafts, topics, commands, reactions."""

import re

from portal.testing.telegram_entities import bad_request, formatted, utf16, visible
from portal.testing.telegram_media import TelegramCall, TelegramMedia
from portal.testing.telegram_updates import TelegramUpdates
from portal.testing.telegram_world import DOWNLOAD_LIMIT, Json, TelegramChat, TelegramWorld

TEXT_LIMIT = 4096
_SAME = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_OLD = "query is too old and response timeout expired or query ID is invalid"
_ACTIONS = frozenset(
    """typing upload_photo record_video upload_video record_voice upload_voice upload_document choose_sticker
    find_location record_video_note upload_video_note""".split()  # noqa: SIM905
)
REACTIONS = frozenset("👍 👎 ❤ 🔥 🥰 👏 😁 🤔 🤯 😱 😢 🎉 🙏 👌 😍 💯 👀 ✍ 🤝 🫡 😎 🤗 🤷".split())  # noqa: SIM905
_COMMAND = re.compile(r"[a-z0-9_]{1,32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")


class TelegramMethods(TelegramMedia):
    """Each public method answers the one of that name; `CALLS` maps them."""

    def __init__(self, world: TelegramWorld, updates: TelegramUpdates) -> None:
        super().__init__(world)
        self.updates = updates
        self.queries: dict[str, Json] = {}
        """Callback and inline queries that may still be answered."""
        self.answers: dict[str, Json] = {}
        self.commands: dict[str, list[Json]] = {}
        """By scope."""
        self.inline = False

    def get_me(self, call: TelegramCall) -> Json:
        """The bot."""
        abilities = {"can_join_groups": True, "can_read_all_group_messages": self.world.reads_everything}
        return {**self.world.bot, **abilities, "supports_inline_queries": self.inline}

    def set_webhook(self, call: TelegramCall) -> bool:
        """Updates are posted from now on; plain http only to loopback, as a Bot API server of one's own allows."""
        url, secret = str(call.given.get("url") or ""), call.given.get("secret_token")
        if url and not re.match(r"https://|http://(?:127\.0\.0\.1|localhost)[:/]", url):
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        if secret is not None and not _SECRET.fullmatch(str(secret)):
            raise bad_request("secret token contains unallowed characters")
        self.updates.allow(call.given)
        hook = {"url": url, "secret_token": secret, "max_connections": call.given.get("max_connections", 40)}
        self.updates.set_webhook(hook if url else {}, drop=bool(call.given.get("drop_pending_updates")))
        return True

    def delete_webhook(self, call: TelegramCall) -> bool:
        """Back to polling."""
        self.updates.set_webhook({}, drop=bool(call.given.get("drop_pending_updates")))
        return True

    def get_webhook_info(self, call: TelegramCall) -> Json:
        """How the webhook does."""
        return self.updates.info()

    def send_message(self, call: TelegramCall) -> Json:
        """A text."""
        chat = self.world.chat(call.given.get("chat_id"))
        content = self._text(call.given, "message text is empty", "message is too long")
        return self.post(chat, call.given, content)

    def _text(self, given: Json, empty: str, long: str) -> Json:
        text, entities = formatted(given.get("text"), given, "entities")
        if not visible(text):
            raise bad_request(empty if not given.get("text") else "text must be non-empty")
        if utf16(text) > TEXT_LIMIT:
            raise bad_request(long)
        return {"text": text, "entities": entities or None}

    def edit_message_text(self, call: TelegramCall) -> Json:
        """A text replaced; where it and the buttons stay the same, Telegram refuses."""
        chat, message = self._editable(call.given)
        if "text" not in message:
            raise bad_request("there is no text in the message to edit")
        content = self._text(call.given, "message text is empty", "MESSAGE_TOO_LONG")
        return self._change(chat, message, {**content, "reply_markup": self.markup(call.given)})

    def edit_message_caption(self, call: TelegramCall) -> Json:
        """The words under a picture or file."""
        chat, message = self._editable(call.given)
        caption, entities = self.caption(call.given)
        content = {"caption": caption or None, "caption_entities": entities or None}
        return self._change(chat, message, {**content, "reply_markup": self.markup(call.given)})

    def edit_message_reply_markup(self, call: TelegramCall) -> Json:
        """The buttons alone."""
        chat, message = self._editable(call.given)
        return self._change(chat, message, {"reply_markup": self.markup(call.given)})

    def _editable(self, given: Json) -> tuple[TelegramChat, Json]:
        chat = self.world.chat(given.get("chat_id"))
        message = self.world.message(chat, given.get("message_id"), doing="edit")
        if chat.kind != "channel" and message["from"]["id"] != self.world.bot["id"]:
            raise bad_request("message can't be edited")
        return chat, message

    def _change(self, chat: TelegramChat, message: Json, content: Json) -> Json:
        if all(message.get(key) == value for key, value in content.items()):
            raise bad_request(_SAME)
        return self.world.change(chat, message, {**content, "edit_date": message["date"]})

    def delete_message(self, call: TelegramCall) -> bool:
        """Gone; people's messages only where they are in private with the bot."""
        chat = self.world.chat(call.given.get("chat_id"))
        message = self.world.message(chat, call.given.get("message_id"), doing="delete")
        if chat.kind != "private" and message.get("from", self.world.bot)["id"] != self.world.bot["id"]:
            raise bad_request("message can't be deleted")
        del chat.messages[message["message_id"]]
        return True

    def send_message_draft(self, call: TelegramCall) -> bool:
        """What is being written, in private chats only; an empty text is a placeholder."""
        chat = self.world.chat(call.given.get("chat_id"))
        if chat.kind != "private":
            raise bad_request("message drafts are supported only in private chats")
        try:
            number = int(call.given.get("draft_id") or 0)
        except ValueError:
            number = 0
        if number == 0:
            raise bad_request("draft_id must be non-zero")
        text, entities = formatted(call.given.get("text"), call.given, "entities")
        if utf16(text) > TEXT_LIMIT:
            raise bad_request("message is too long")
        thread = self.thread(chat, call.given)
        chat.drafts[number] = {"text": text, "entities": entities, "can_stop": bool(call.given.get("can_stop"))}
        chat.drafts[number] |= {"message_thread_id": thread} if thread is not None else {}
        chat.history.append({"draft_id": number, **chat.drafts[number]})
        return True

    def send_chat_action(self, call: TelegramCall) -> bool:
        """ "typing" and the like, for five seconds."""
        chat = self.world.chat(call.given.get("chat_id"))
        if call.given.get("action") not in _ACTIONS:
            raise bad_request("wrong parameter action in request")
        chat.actions.append(call.given["action"])
        return True

    def answer_callback_query(self, call: TelegramCall) -> bool:
        """The pressed button stops waiting."""
        text = str(call.given.get("text") or "")
        if len(text) > 200:
            raise bad_request("MESSAGE_TOO_LONG")
        return self._answer(call, "callback_query_id", {"text": text, "show_alert": call.given.get("show_alert")})

    def answer_inline_query(self, call: TelegramCall) -> bool:
        """What the person may choose from."""
        results = call.given.get("results")
        if not isinstance(results, list):
            raise bad_request("can't parse inline query results: Expected an Array")
        if len(results) > 50:
            raise bad_request("too many inline query results specified")
        if len({entry.get("id") for entry in results}) < len(results):
            raise bad_request("RESULT_ID_DUPLICATE")
        for entry in results:
            content = entry.get("input_message_content")
            if content is not None:
                given = {**content, "text": content.get("message_text")}
                self._text(given, "message text is empty", "MESSAGE_TOO_LONG")
        return self._answer(call, "inline_query_id", {"results": results})

    def _answer(self, call: TelegramCall, field_name: str, answer: Json) -> bool:
        query = str(call.given.get(field_name))
        if self.queries.pop(query, None) is None:
            raise bad_request(_OLD)
        self.answers[query] = answer
        return True

    def set_my_commands(self, call: TelegramCall) -> bool:
        """The menu."""
        commands = call.given.get("commands")
        if not isinstance(commands, list) or len(commands) > 100:
            raise bad_request("can't parse commands: Expected an Array of at most 100 BotCommand")
        for entry in commands:
            if not _COMMAND.fullmatch(str(entry.get("command", "")).removeprefix("/")):
                raise bad_request("BOT_COMMAND_INVALID")
            if not 1 <= len(str(entry.get("description", ""))) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        scope = call.given.get("scope") or {"type": "default"}
        self.commands[scope["type"]] = commands
        return True

    def set_message_reaction(self, call: TelegramCall) -> bool:
        """The bot's own reaction: at most one, of the common emoji."""
        chat = self.world.chat(call.given.get("chat_id"))
        message = self.world.message(chat, call.given.get("message_id"), doing="react")
        reaction = call.given.get("reaction") or []
        if len(reaction) > 1 or any(entry.get("emoji") not in REACTIONS for entry in reaction):
            raise bad_request("REACTION_INVALID")
        chat.reactions[message["message_id"]] = reaction
        return True

    def create_forum_topic(self, call: TelegramCall) -> Json:
        """A topic of a forum."""
        chat = self.world.chat(call.given.get("chat_id"))
        name = str(call.given.get("name") or "")
        if not chat.forum:
            raise bad_request("the chat is not a forum")
        if not 1 <= len(name) <= 128:
            raise bad_request("TOPIC_TITLE_EMPTY" if not name else "TOPIC_TITLE_INVALID")
        return self.world.topic(chat, name)

    def edit_forum_topic(self, call: TelegramCall) -> bool:
        """Its name."""
        chat = self.world.chat(call.given.get("chat_id"))
        thread = self.thread(chat, call.given)
        topic = chat.topics.get(thread or 0)
        if topic is None:
            raise bad_request("message thread not found")
        if topic["name"] == call.given.get("name"):
            raise bad_request("TOPIC_NOT_MODIFIED")
        topic["name"] = call.given.get("name")
        return True

    def get_chat(self, call: TelegramCall) -> Json:
        """What the bot may know of a chat."""
        chat = self.world.chat(call.given.get("chat_id"))
        gifts = {"unlimited_gifts": False, "limited_gifts": False, "unique_gifts": False, "premium_subscription": False}
        types = {**gifts, "gifts_from_channels": False}
        return {**chat.json(), "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": types}

    def get_file(self, call: TelegramCall) -> Json:
        """Where a file can be fetched; not above 20 MB."""
        stored = self.world.files.get(str(call.given.get("file_id")))
        if stored is None:
            raise bad_request("wrong file_id or the file is temporarily unavailable")
        if len(stored.content) > DOWNLOAD_LIMIT:
            raise bad_request("file is too big")
        return {**stored.json(), "file_path": stored.path}


CALLS = {
    name: getattr(TelegramMethods, re.sub(r"([A-Z])", lambda match: "_" + match[1].lower(), name))
    for name in """getMe setWebhook deleteWebhook getWebhookInfo sendMessage editMessageText editMessageCaption
    editMessageReplyMarkup deleteMessage sendMessageDraft sendChatAction answerCallbackQuery answerInlineQuery
    setMyCommands setMessageReaction createForumTopic editForumTopic getChat getFile sendPhoto sendDocument sendAudio
    sendVoice sendVideo sendVideoNote sendMediaGroup""".split()  # noqa: SIM905
}
"""By the names of the Bot API, which in calls are compared without regard to case."""
LIMITED = frozenset({name for name in CALLS if name.startswith(("sendM", "sendP", "sendD", "sendA", "sendV", "edit"))})
"""Those that count for the rates."""
