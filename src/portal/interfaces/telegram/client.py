"""Calls to the Bot API through aiogram, and its errors as ours. Loading aiogram takes seconds."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, TypeVar

import aiohttp
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.session.middlewares.base import NextRequestMiddlewareType
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    AiogramError,
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods.base import TelegramMethod
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputTextMessageContent,
    LinkPreviewOptions,
    Message,
)

from portal.core.channels import Button, Command, Outgoing, OutgoingFile, Place
from portal.errors import (
    ChannelError,
    ChannelGone,
    ChannelRefused,
    ChannelRejected,
    ChannelTaken,
    ChannelUncertain,
    PortalError,
    RateLimited,
)
from portal.interfaces.telegram.html import plain, telegram_html

T = TypeVar("T")

_TEXT, _FILE, _FETCH = 20, 180, 60
"""Seconds that a call may take."""
_CAPTION = 1024
_PHOTO = 10 * 2**20
_CHUNK = 2**16
_GONE = (
    "chat not found",
    "peer_id_invalid",
    "message thread not found",
    "topic_closed",
    "topic_deleted",
    "not enough rights",
    "chat_write_forbidden",
    "user_is_deactivated",
    "group chat was deactivated",
)
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
"""What a model writes must not make Telegram's servers fetch an address."""


class _Updates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates as plain JSON: one update that the library does not know would make it lose all of them."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int
    timeout: int
    allowed_updates: list[str]


class Client:
    """One bot. Every method raises the errors that the port Channel names."""

    def __init__(self, *, token: str, api_url: str) -> None:
        server = TelegramAPIServer.from_base(api_url.rstrip("/"))
        self._receiving = Bot(token, session=AiohttpSession(api=server))
        self._bot = Bot(token, session=AiohttpSession(api=server))
        """Has connections of its own, so that receiving can begin anew without breaking what is being sent."""
        self._bot.session.middleware(_followed)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._receiving.session.close()
        await self._bot.session.close()

    async def me(self) -> tuple[int, str]:
        """Number and name of the bot."""
        me = await _harmless(self._bot.get_me(request_timeout=_TEXT))
        return me.id, me.username or ""

    async def publish(self, commands: Sequence[Command]) -> None:
        """Put them into the menu."""
        made = [BotCommand(command=command.name, description=command.does) for command in commands]
        await _harmless(self._bot.set_my_commands(made, request_timeout=_TEXT))

    async def poll(self, offset: int, seconds: int, kinds: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """Updates from this number on; those before it are confirmed."""
        asked = _Updates(offset=offset, timeout=seconds, allowed_updates=list(kinds))
        return await _harmless(self._receiving(asked, request_timeout=seconds + 10))

    async def use_webhook(self, url: str, secret: str, kinds: Sequence[str]) -> None:
        """Have updates posted there."""
        call = self._bot.set_webhook(url, secret_token=secret, allowed_updates=list(kinds), request_timeout=_TEXT)
        await _harmless(call)

    async def use_polling(self) -> None:
        """Without losing what waits."""
        await _harmless(self._bot.delete_webhook(drop_pending_updates=False, request_timeout=_TEXT))

    async def waiting(self) -> tuple[str, int, str]:
        """The webhook's address, how many updates wait, and what Telegram last said about it."""
        info = await _harmless(self._bot.get_webhook_info(request_timeout=_TEXT))
        return info.url, info.pending_update_count, info.last_error_message or ""

    async def send(self, place: Place, outgoing: Outgoing) -> str:
        """A new message; its number."""
        chat, more = int(place.chat), _where(place)
        markup = _markup(outgoing.buttons)
        if outgoing.file is not None:
            return str((await self._send_file(chat, outgoing, markup, more)).message_id)
        text = telegram_html(outgoing.text)

        async def call(words: str, mode: str | None) -> Message:
            return await self._bot.send_message(
                chat,
                words,
                parse_mode=mode,
                reply_markup=markup,
                link_preview_options=_NO_PREVIEW,
                request_timeout=_TEXT,
                **more,
            )

        return str((await _once(_readable(call, text))).message_id)

    async def _send_file(
        self, chat: int, outgoing: Outgoing, markup: InlineKeyboardMarkup | None, more: Mapping[str, Any]
    ) -> Message:
        file = outgoing.file
        assert file is not None
        content = b"".join([chunk async for chunk in file.content()])
        upload = BufferedInputFile(content, file.name, chunk_size=_CHUNK)
        caption = plain(telegram_html(outgoing.text))[: _CAPTION // 2] if outgoing.text else None
        given = {"caption": caption, "reply_markup": markup, "request_timeout": _FILE, **more}
        how = getattr(self._bot, f"send_{_as_what(file)}")
        try:
            return await _once(how(chat, upload, **given))
        except ChannelRejected:
            if how == self._bot.send_document:
                raise
            return await _once(self._bot.send_document(chat, upload, **given))

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """Have a message say this. That it does already is fine."""
        text, markup = telegram_html(outgoing.text), _markup(outgoing.buttons)

        async def call(words: str, mode: str | None) -> object:
            return await self._bot.edit_message_text(
                words,
                chat_id=int(place.chat),
                message_id=int(message_id),
                parse_mode=mode,
                reply_markup=markup,
                link_preview_options=_NO_PREVIEW,
                request_timeout=_TEXT,
            )

        try:
            await _once(_readable(call, text))
        except ChannelRejected as error:
            if "message is not modified" not in error.message:
                raise

    async def draft(self, place: Place, text: str, nonce: str) -> None:
        """Show what is being written, with a button to stop it."""
        number = int.from_bytes(hashlib.sha256(nonce.encode()).digest()[:4], "big") % (2**31 - 1) + 1
        call = self._bot.send_message_draft(
            chat_id=int(place.chat),
            draft_id=number,
            text=telegram_html(text),
            parse_mode="HTML",
            can_stop=True,
            request_timeout=_TEXT,
            **_where(place),
        )
        await _harmless(call)

    async def typing(self, place: Place) -> None:
        """For five seconds."""
        await _harmless(self._bot.send_chat_action(int(place.chat), "typing", request_timeout=_TEXT, **_where(place)))

    async def pressed(self, query: str) -> None:
        """The button stops to wait."""
        await _harmless(self._bot.answer_callback_query(query, request_timeout=_TEXT))

    async def offer(self, query: str, title: str, text: str) -> None:
        """Answer a question asked inline, for the person who asked."""
        content = InputTextMessageContent(
            message_text=telegram_html(text), parse_mode="HTML", link_preview_options=_NO_PREVIEW
        )
        result = InlineQueryResultArticle(
            id="1", title=title, description=plain(telegram_html(text))[:200], input_message_content=content
        )
        await _harmless(
            self._bot.answer_inline_query(query, [result], cache_time=0, is_personal=True, request_timeout=_TEXT)
        )

    async def fetch(self, ref: str) -> AsyncIterator[bytes]:
        """The content of a file. An error says nothing of the address: the token is in it."""
        found = await _harmless(self._bot.get_file(ref, request_timeout=_TEXT))
        url = self._bot.session.api.file_url(self._bot.token, found.file_path or "")
        try:
            async for chunk in self._bot.session.stream_content(url, timeout=_FETCH, chunk_size=_CHUNK):
                yield chunk
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ChannelError(f"Telegram did not give the file ({type(error).__name__}).") from None


async def _followed(make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]) -> Any:
    """What goes to a group that became a supergroup is refused with the new id, and goes there."""
    try:
        return await make_request(bot, method)
    except TelegramMigrateToChat as error:
        return await make_request(bot, method.model_copy(update={"chat_id": error.migrate_to_chat_id}))


async def _readable(call: Any, text: str) -> Any:
    """As HTML, or should Telegram ever not read that, as plain text."""
    try:
        return await call(text, "HTML")
    except TelegramBadRequest as error:
        if "can't parse entities" not in error.message:
            raise
        return await call(plain(text), None)


def _where(place: Place) -> dict[str, Any]:
    return {"message_thread_id": int(place.thread)} if place.thread else {}


def _markup(rows: Sequence[Sequence[Button]]) -> InlineKeyboardMarkup | None:
    made = [[InlineKeyboardButton(text=one.label, callback_data=one.data) for one in row] for row in rows if row]
    return InlineKeyboardMarkup(inline_keyboard=made) if made else None


def _as_what(file: OutgoingFile) -> str:
    """The kind of message that shows a file best."""
    kind = file.content_type.partition(";")[0]
    if kind in ("image/png", "image/jpeg", "image/webp") and file.size <= _PHOTO:
        return "photo"
    if kind in ("audio/ogg", "audio/opus"):
        return "voice"
    if kind in ("audio/mpeg", "audio/mp4", "audio/x-m4a"):
        return "audio"
    return "video" if kind == "video/mp4" else "document"


async def _once(call: Awaitable[T]) -> T:
    """A call that must not be made twice."""
    try:
        return await call
    except AiogramError as error:
        raise translated(error) from error


async def _harmless(call: Awaitable[T]) -> T:
    """A call that may be made twice: what is not known to have failed is just tried again."""
    try:
        return await _once(call)
    except ChannelUncertain as error:
        raise ChannelError(error.message) from error


def translated(error: AiogramError) -> PortalError:
    """An error of the library as one of ours."""
    if isinstance(error, TelegramRetryAfter):
        return RateLimited("Telegram asks for a pause.", retry_after=error.retry_after)
    if isinstance(error, TelegramEntityTooLarge):
        return ChannelRejected("Telegram finds the file too large.")
    if isinstance(error, TelegramNetworkError):
        refused = isinstance(error.__cause__, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        kind = ChannelError if refused else ChannelUncertain
        return kind(f"Telegram cannot be reached: {type(error.__cause__ or error).__name__}.")
    if isinstance(error, ClientDecodeError):
        return ChannelUncertain("What answered is no Bot API.")
    words = error.message if isinstance(error, TelegramAPIError) else str(error)
    return _kind(error, words)(f"Telegram: {words}")


def _kind(error: AiogramError, words: str) -> type[ChannelError]:
    if isinstance(error, TelegramUnauthorizedError | TelegramNotFound):
        return ChannelRefused
    if isinstance(error, TelegramConflictError):
        return ChannelTaken
    if isinstance(error, TelegramForbiddenError | TelegramMigrateToChat):
        return ChannelGone
    if isinstance(error, TelegramBadRequest):
        return ChannelGone if any(sign in words.lower() for sign in _GONE) else ChannelRejected
    if isinstance(error, TelegramServerError) and "gateway" in words.lower():
        return ChannelUncertain
    return ChannelError
