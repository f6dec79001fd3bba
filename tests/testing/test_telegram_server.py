"""The stand-in of the Bot API, seen by aiogram and by python-telegram-bot."""

import asyncio
import io
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import telegram as ptb
import telegram.error
import telegram.request
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BotCommand,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InlineQueryResultArticle,
    InputMediaDocument,
    InputMediaPhoto,
    InputTextMessageContent,
    ReactionTypeEmoji,
    ReplyParameters,
)
from aiohttp import web

from portal.testing.telegram_entities import TelegramRefusal, parse_html, utf16
from portal.testing.telegram_limits import TelegramLimits
from portal.testing.telegram_server import TelegramFault, TelegramPerson, TelegramServer, Withheld

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", 40, 30) + b"rest"
ALL = ["message", "edited_message", "callback_query", "message_reaction", "inline_query", "my_chat_member"]


@pytest.fixture
async def server() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(limits=False) as made:
        yield made


@pytest.fixture
async def bot(server: TelegramServer) -> AsyncIterator[Bot]:
    api = TelegramAPIServer.from_base(server.url)
    async with Bot(server.token, session=AiohttpSession(api=api)).context() as made:
        yield made


@pytest.fixture
async def other(server: TelegramServer) -> AsyncIterator[ptb.Bot]:
    """The same bot in the hands of python-telegram-bot."""
    request = telegram.request.HTTPXRequest(httpx_kwargs={"trust_env": False})
    made = ptb.Bot(
        server.token,
        base_url=f"{server.url}/bot",
        base_file_url=f"{server.url}/file/bot",
        request=request,
        get_updates_request=telegram.request.HTTPXRequest(httpx_kwargs={"trust_env": False}),
    )
    async with made:
        yield made


@pytest.fixture
def alice(server: TelegramServer) -> TelegramPerson:
    return server.person("Alice", username="alice_a")


async def test_both_libraries_know_the_bot(bot: Bot, other: ptb.Bot, server: TelegramServer) -> None:
    me = await bot.get_me()
    assert (me.is_bot, me.username, me.supports_inline_queries) == (True, "portal_test_bot", False)
    assert other.bot.id == me.id
    async with Bot("1:wrong", session=AiohttpSession(api=TelegramAPIServer.from_base(server.url))).context() as wrong:
        with pytest.raises(TelegramUnauthorizedError):
            await wrong.get_me()
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}/bot{server.token}/getPizza") as answer:
        assert (answer.status, (await answer.json())["error_code"]) == (404, 404)


async def test_both_libraries_read_what_a_person_does(
    bot: Bot, other: ptb.Bot, server: TelegramServer, alice: TelegramPerson
) -> None:
    first = alice.write("/start code@x @portal_test_bot")
    alice.edit(first, "/help")
    seen = await bot.get_updates(allowed_updates=ALL)
    assert [update.event_type for update in seen] == ["message", "edited_message"]
    message = seen[0].message
    assert message is not None
    assert message.from_user is not None
    assert (message.from_user.is_bot, message.from_user.language_code, message.chat.type) == (False, "en", "private")
    assert [entity.type for entity in message.entities or ()] == ["bot_command", "mention"]
    sent = await bot.send_message(
        alice.id, "x", reply_markup=InlineKeyboardMarkup(inline_keyboard=[[_button("Yes", "y")]])
    )
    alice.press("Yes")
    alice.react(first, "👍")
    alice.block()
    last = seen[-1].update_id
    theirs = await other.get_updates(offset=last + 1, allowed_updates=ALL)
    assert [update.update_id for update in theirs] == [last + 1, last + 2, last + 3]
    query = theirs[0].callback_query
    assert query is not None
    assert query.message is not None
    assert (query.data, query.message.message_id) == ("y", sent.message_id)
    assert theirs[1].message_reaction is not None
    assert theirs[1].message_reaction.new_reaction[0].emoji == "👍"  # type: ignore[attr-defined]
    assert theirs[2].my_chat_member is not None
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await bot.send_message(alice.id, "are you there?")
    alice.unblock()
    await bot.send_message(alice.id, "are you there?")
    with pytest.raises(LookupError):
        alice.press("No")


def _button(text: str, data: str) -> InlineKeyboardButton:
    return InlineKeyboardButton(text=text, callback_data=data)


async def test_updates_stay_until_confirmed_and_only_wanted_kinds_come(
    bot: Bot, server: TelegramServer, alice: TelegramPerson
) -> None:
    alice.react(alice.write("one"), "👍")
    alice.write("two")
    first = await bot.get_updates(limit=1)
    assert [update.update_id for update in await bot.get_updates()] == [first[0].update_id, first[0].update_id + 1]
    (second,) = await bot.get_updates(offset=first[0].update_id + 1)
    assert second.message is not None
    assert second.message.text == "two"
    alice.write("three")
    (newest,) = await bot.get_updates(offset=-1)
    assert await bot.get_updates(offset=newest.update_id + 1) == []
    server.updates.repeat(2)
    assert [update.update_id for update in await bot.get_updates()] == [second.update_id, newest.update_id]
    server.updates.reverse = True
    assert [update.update_id for update in await bot.get_updates()] == [newest.update_id, second.update_id]
    await bot.get_updates(offset=newest.update_id + 1, allowed_updates=["callback_query"])
    alice.write("unheard")
    assert await bot.get_updates() == []


async def test_a_poll_waits_and_only_one_at_a_time(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(_caught(bot.get_updates(timeout=50), TelegramConflictError))
        await _until(lambda: server.updates._poller is not None)
        later = group.create_task(bot.get_updates(timeout=50))
        assert "terminated by other getUpdates" in str(await waiting)
        alice.write("hello")
        assert len(await later) == 1
        stolen = group.create_task(
            _caught(bot.get_updates(timeout=50, offset=later.result()[0].update_id + 1), TelegramConflictError)
        )
        await _until(lambda: not server.updates.pending)
        server.updates.steal()
        await stolen


async def _caught(call: Awaitable[Any], kind: type[Exception]) -> Exception:
    with pytest.raises(kind) as caught:
        await call
    return caught.value


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_updates_can_be_withheld_from_one_who_is_connected(
    bot: Bot, server: TelegramServer, alice: TelegramPerson
) -> None:
    server.updates.withheld = Withheld.EMPTY
    alice.write("hello?")
    assert await bot.get_updates(timeout=0) == []
    server.updates.withheld = Withheld.HANGING
    with pytest.raises(TelegramNetworkError):
        await bot.get_updates(timeout=0, request_timeout=1)
    server.updates.withheld = None
    assert len(await bot.get_updates()) == 1


async def test_a_webhook_gets_them_with_its_secret(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    statuses, seen = [500, 200], []

    async def hook(request: web.Request) -> web.Response:
        seen.append((request.headers["X-Telegram-Bot-Api-Secret-Token"], (await request.json())["message"]["text"]))
        return web.Response(status=statuses.pop(0))

    app = web.Application()
    app.router.add_post("/hook", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    with pytest.raises(TelegramBadRequest, match="HTTPS URL must be provided"):
        await bot.set_webhook("http://example.org/hook")
    with pytest.raises(TelegramBadRequest, match="unallowed characters"):
        await bot.set_webhook("https://example.org/hook", secret_token="no spaces")
    await bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s3cret")
    with pytest.raises(TelegramConflictError, match="while webhook is active"):
        await bot.get_updates()
    alice.write("hello")
    await _until(lambda: not server.updates.pending)
    assert seen == [("s3cret", "hello"), ("s3cret", "hello")]
    await runner.cleanup()
    alice.write("lost?")
    await _until(lambda: "Connection" in server.updates.webhook.get("last_error_message", ""))
    info = await bot.get_webhook_info()
    assert (info.pending_update_count, info.url) == (1, f"http://127.0.0.1:{port}/hook")
    await bot.delete_webhook(drop_pending_updates=True)
    assert (await bot.get_webhook_info()).url == ""
    assert await bot.get_updates() == []


async def test_text_is_parsed_counted_and_compared(bot: Bot, other: ptb.Bot, alice: TelegramPerson) -> None:
    sent = await bot.send_message(alice.id, "<b>a &amp; 😀</b> " + "x" * 4080, parse_mode="HTML")
    assert sent.entities is not None
    assert (sent.entities[0].type, sent.entities[0].length) == ("bold", 6)
    await _refused(bot.send_message(alice.id, "😀" * 2049), "message is too long")
    await _refused(bot.send_message(alice.id, " \n"), "text must be non-empty")
    await _refused(bot.send_message(alice.id, "<b>x", parse_mode="HTML"), "can't parse entities: Can't find end tag")
    await _refused(bot.send_message(alice.id, "x", parse_mode="MarkdownV2"), "unsupported parse_mode")
    await _refused(bot.send_message(12345, "x"), "chat not found")
    edit = bot.edit_message_text
    await _refused(edit("y" * 4097, chat_id=alice.id, message_id=sent.message_id), "MESSAGE_TOO_LONG")
    changed = await edit("y", chat_id=alice.id, message_id=sent.message_id)
    assert changed is not True
    assert (changed.text, changed.entities) == ("y", None)
    await _refused(edit("y", chat_id=alice.id, message_id=sent.message_id), "message is not modified")
    markup = InlineKeyboardMarkup(inline_keyboard=[[_button("A", "a")]])
    await bot.edit_message_reply_markup(chat_id=alice.id, message_id=sent.message_id, reply_markup=markup)
    await _refused(edit("z", chat_id=alice.id, message_id=alice.write("mine")["message_id"]), "can't be edited")
    await bot.delete_message(alice.id, sent.message_id)
    await _refused(edit("z", chat_id=alice.id, message_id=sent.message_id), "message to edit not found")
    await _refused(bot.delete_message(alice.id, sent.message_id), "message to delete not found")
    await _refused(
        bot.send_message(alice.id, "x", reply_parameters=ReplyParameters(message_id=99999)),
        "message to be replied not found",
    )
    with pytest.raises(telegram.error.BadRequest, match="can't find end tag"):
        await other.send_message(alice.id, "<i>x", parse_mode="HTML")
    with pytest.raises(telegram.error.BadRequest, match="Chat not found"):
        await other.send_message(4, "x")


async def _refused(call: Awaitable[Any], words: str) -> None:
    with pytest.raises(TelegramBadRequest) as caught:
        await call
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("source", "text", "kinds"),
    [
        ("a<b>b<i>c</i></b>", "abc", ["bold", "italic"]),
        ("<a href='https://x.y'>z</a>&lt;&#65;&#x42;&nbsp;&", "z<AB&nbsp;&", ["text_link"]),
        ('<pre><code class="language-py">1 &lt; 2</code></pre>', "1 < 2", ["pre"]),
        (
            '<span class="tg-spoiler">s</span><blockquote expandable>q</blockquote>',
            "sq",
            ["spoiler", "expandable_blockquote"],
        ),
        ('<code >c</code ><s>d</><a href="nothing">e</a><u></u>', "cde", ["code", "strikethrough"]),
        ("<B>x</b>", "x", ["bold"]),
    ],
)
def test_html(source: str, text: str, kinds: list[str]) -> None:
    found, entities = parse_html(source)
    assert (found, [entity["type"] for entity in entities]) == (text, kinds)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("é<div>", 'Unsupported start tag "div" at byte offset 2'),
        ("1 < 2 >", 'Unsupported start tag "" at byte offset 2'),
        ("<b>x</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<a href", 'Unclosed start tag "a" at byte offset 0'),
        ("<a href='x", "Unclosed start tag at byte offset 0"),
        ("<a ='x'>y</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<a href=x/y>z</a>", "Unexpected end of name token at byte offset 8"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<i><b>", 'Can\'t find end tag corresponding to start tag "b"'),
    ],
)
def test_html_that_is_refused(source: str, words: str) -> None:
    with pytest.raises(TelegramRefusal) as caught:
        parse_html(source)
    assert caught.value.description == f"Bad Request: can't parse entities: {words}"


async def test_drafts_live_in_private_chats_until_a_message_comes(
    bot: Bot, server: TelegramServer, alice: TelegramPerson
) -> None:
    await bot.send_message_draft(chat_id=alice.id, draft_id=5, text="<i>Hel</i>", parse_mode="HTML", can_stop=True)
    await bot.send_chat_action(alice.id, "typing")
    assert (alice.chat.drafts[5]["text"], alice.chat.actions) == ("Hel", ["typing"])
    alice.stop_draft()
    (stopped,) = await bot.get_updates()
    assert stopped.stopped_message_generation is not None
    assert stopped.stopped_message_generation.draft_id == 5
    await bot.send_message(alice.id, "Hello")
    assert alice.chat.drafts == {}
    group = server.group("Team", alice)
    await _refused(bot.send_message_draft(chat_id=group.id, draft_id=5, text="x"), "only in private chats")
    await _refused(bot.send_message_draft(chat_id=alice.id, draft_id=0, text="x"), "non-zero")
    await _refused(bot.send_message_draft(chat_id=alice.id, draft_id=1, text="x" * 4097), "too long")
    await _refused(bot.send_chat_action(alice.id, "dancing"), "wrong parameter action")


async def test_files_go_both_ways(bot: Bot, other: ptb.Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    alice.send("document", b"%PDF", name="a.pdf", mime="application/pdf", caption="/read this")
    alice.send("voice", b"OggS", mime="audio/ogg")
    alice.send("photo", PNG, name="p.png")
    seen = [update.message for update in await bot.get_updates()]
    assert seen[0] is not None
    assert seen[0].document is not None
    assert (seen[0].document.file_name, seen[0].document.mime_type, seen[0].caption) == (
        "a.pdf",
        "application/pdf",
        "/read this",
    )
    got = await bot.download(seen[0].document, io.BytesIO())
    assert got is not None
    assert got.read() == b"%PDF"
    assert (await (await other.get_file(seen[0].document.file_id)).download_as_bytearray()) == b"%PDF"
    server.fail("file", TelegramFault(status=500))
    with pytest.raises(aiohttp.ClientResponseError):
        await bot.download(seen[0].document.file_id, io.BytesIO())
    big = alice.send("document", bytes(20 * 2**20 + 1), name="big.bin")
    await _refused(bot.get_file(big["document"]["file_id"]), "file is too big")
    await _refused(bot.get_file("none"), "wrong file_id")
    chart = BufferedInputFile(PNG, "chart.png")
    sent = await bot.send_photo(alice.id, chart, caption="<b>c</b>", parse_mode="HTML")
    assert sent.photo is not None
    assert (sent.photo[0].width, sent.caption) == (40, "c")
    await bot.edit_message_caption(chat_id=alice.id, message_id=sent.message_id, caption="d")
    await _refused(bot.edit_message_text("x", chat_id=alice.id, message_id=sent.message_id), "no text in the message")
    assert (await bot.send_photo(alice.id, sent.photo[0].file_id)).photo is not None
    for name in ("document", "audio", "voice", "video", "video_note"):
        made = await getattr(bot, f"send_{name}")(alice.id, BufferedInputFile(b"x", f"x.{name}"))
        assert getattr(made, name).file_size == 1
    theirs = await other.send_document(alice.id, b"words", filename="w.txt")
    assert theirs.document is not None
    assert (theirs.document.mime_type, theirs.document.file_size) == ("text/plain", 5)
    await _refused(bot.send_photo(alice.id, BufferedInputFile(b"no picture", "x.png")), "IMAGE_PROCESS_FAILED")
    thin = PNG[:16] + struct.pack(">II", 3000, 3) + b"rest"
    await _refused(bot.send_photo(alice.id, BufferedInputFile(thin, "x.png")), "PHOTO_INVALID_DIMENSIONS")
    await _refused(bot.send_document(alice.id, BufferedInputFile(b"", "x")), "file must be non-empty")
    await _refused(bot.send_document(alice.id, "no such id"), "wrong file identifier")
    await _refused(bot.send_photo(alice.id, chart, caption="x" * 1025), "caption is too long")
    with pytest.raises(TelegramEntityTooLarge):
        await bot.send_document(alice.id, BufferedInputFile(bytes(50 * 2**20 + 1), "x"))


async def test_albums(bot: Bot, alice: TelegramPerson) -> None:
    photo = InputMediaPhoto(media=BufferedInputFile(PNG, "p.png"), caption="both")
    sent = await bot.send_media_group(alice.id, [photo, photo])
    assert [message.media_group_id for message in sent] == ["1", "1"]
    await _refused(bot.send_media_group(alice.id, [photo]), "from 2 to 10")
    document = InputMediaDocument(media=BufferedInputFile(b"x", "x"))
    await _refused(bot.send_media_group(alice.id, [photo, document]), "can't be mixed")


async def test_buttons_queries_commands_and_reactions(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    async def send(*row: InlineKeyboardButton) -> Any:
        return await bot.send_message(alice.id, "?", reply_markup=InlineKeyboardMarkup(inline_keyboard=[list(row)]))

    await _refused(send(_button("x", "é" * 33)), "BUTTON_DATA_INVALID")
    await _refused(send(InlineKeyboardButton(text="x")), "Text buttons are unallowed")
    await _refused(send(InlineKeyboardButton(text="x", url="nowhere")), "BUTTON_URL_INVALID")
    await _refused(send(*[_button("x", "x")] * 101), "REPLY_MARKUP_TOO_LONG")
    await send(_button("Go", "go"))
    query = alice.press("Go")
    assert await bot.answer_callback_query(query, text="gone")
    assert server.methods.answers[query]["text"] == "gone"
    await _refused(bot.answer_callback_query(query), "query is too old")
    await bot.set_my_commands([BotCommand(command="help", description="What I can do")])
    assert server.methods.commands["default"][0]["command"] == "help"
    await _refused(bot.set_my_commands([BotCommand(command="Help!", description="x")]), "BOT_COMMAND_INVALID")
    await _refused(bot.set_my_commands([BotCommand(command="x", description="")]), "DESCRIPTION_INVALID")
    message = alice.write("nice")
    await bot.set_message_reaction(alice.id, message["message_id"], [ReactionTypeEmoji(emoji="👀")])
    assert alice.chat.reactions[message["message_id"]][0]["emoji"] == "👀"
    await _refused(
        bot.set_message_reaction(alice.id, message["message_id"], [ReactionTypeEmoji(emoji="🧀")]), "REACTION_INVALID"
    )
    await _refused(bot.set_message_reaction(alice.id, 99999), "message to react not found")


async def test_inline_mode(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    def article(number: str) -> InlineQueryResultArticle:
        return InlineQueryResultArticle(
            id=number, title="An answer", input_message_content=InputTextMessageContent(message_text="42")
        )

    query = alice.ask_inline("6 * 7")
    (update,) = await bot.get_updates()
    assert update.inline_query is not None
    await _refused(bot.answer_inline_query(query, [article("1"), article("1")]), "RESULT_ID_DUPLICATE")
    await _refused(bot.answer_inline_query(query, [article(str(count)) for count in range(51)]), "too many")
    assert await bot.answer_inline_query(query, [article("1")])
    alice.choose_inline(query, "1", "6 * 7")
    assert server.methods.answers[query]["results"][0]["id"] == "1"
    assert [one.event_type for one in await bot.get_updates(offset=-1)] == ["chosen_inline_result"]


async def test_groups_topics_and_privacy(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    group = server.group("Team", alice, forum=True)
    topic = await bot.create_forum_topic(group.id, "Plans")
    await bot.edit_forum_topic(group.id, topic.message_thread_id, name="Great plans")
    await _refused(bot.edit_forum_topic(group.id, topic.message_thread_id, name="Great plans"), "TOPIC_NOT_MODIFIED")
    await _refused(bot.edit_forum_topic(group.id, 99999, name="x"), "thread not found")
    await _refused(bot.create_forum_topic(alice.id, "x"), "not a forum")
    await _refused(bot.create_forum_topic(group.id, "x" * 129), "TOPIC_TITLE_INVALID")
    mine = await bot.send_message(group.id, "Plans?", message_thread_id=topic.message_thread_id)
    assert mine.is_topic_message
    await _refused(bot.send_message(group.id, "x", message_thread_id=99999), "thread not found")
    alice.write("just us", chat=group)
    alice.write("@Portal_Test_bot hello", chat=group, thread=topic.message_thread_id)
    alice.write("yes", chat=group, reply_to=server.world.chats[group.id].messages[mine.message_id])
    alice.write("/help", chat=group)
    heard = [update.message.text for update in await bot.get_updates() if update.message]
    assert heard == ["@Portal_Test_bot hello", "yes", "/help"]
    await _refused(bot.delete_message(group.id, alice.write("x", chat=group)["message_id"]), "can't be deleted")
    group.blocked = True
    with pytest.raises(TelegramForbiddenError, match="bot was kicked from the supergroup chat"):
        await bot.send_message(group.id, "x")
    channel = server.group("News", kind="channel")
    assert (await bot.send_message(channel.id, "x")).sender_chat is not None
    assert (await bot.get_chat(channel.id)).type == "channel"
    stranger = server.person("Bob", known=False)
    await _refused(bot.send_message(stranger.id, "x"), "chat not found")


async def test_rates(alice: TelegramPerson) -> None:
    async with TelegramServer() as server:
        bob = server.person("Bob")
        group = server.group("Team")
        api = TelegramAPIServer.from_base(server.url)
        async with Bot(server.token, session=AiohttpSession(api=api)).context() as bot:
            for _ in range(3):
                await bot.send_message(bob.id, "x")
            with pytest.raises(TelegramRetryAfter) as caught:
                await bot.send_message(bob.id, "x")
            assert 1 <= caught.value.retry_after <= 3
            await bot.send_message_draft(chat_id=bob.id, draft_id=1, text="x")
            await bot.send_message(group.id, "x")


def test_rates_in_time() -> None:
    limits = TelegramLimits()
    for second in range(20):
        limits.check(-5, draft=False, now=1000.0 + second)
    with pytest.raises(TelegramRefusal, match="retry after 40"):
        limits.check(-5, draft=False, now=1020.0)
    for chat in range(30):
        limits.check(chat + 1, draft=False, now=2000.0)
    with pytest.raises(TelegramRefusal):
        limits.check(99, draft=False, now=2000.5)
    limits.check(99, draft=False, now=2001.0)
    assert limits.refused == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (TelegramFault(status=429, retry_after=7), TelegramRetryAfter),
        (TelegramFault(status=409), TelegramConflictError),
        (TelegramFault(status=404), TelegramNotFound),
        (TelegramFault(status=500), TelegramServerError),
        (TelegramFault(reply="none"), TelegramNetworkError),
        (TelegramFault(reply="dropped"), TelegramNetworkError),
    ],
)
async def test_faults(
    bot: Bot, server: TelegramServer, alice: TelegramPerson, fault: TelegramFault, kind: type[Exception]
) -> None:
    server.fail("sendMessage", fault)
    with pytest.raises(kind):
        await bot.send_message(alice.id, "x", request_timeout=1)
    assert alice.sees() == []
    await bot.send_message(alice.id, "x")


async def test_what_was_done_although_nobody_was_told(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    server.fail("sendMessage", TelegramFault(reply="lost", when=lambda call: call.given["text"] == "b"))
    await bot.send_message(alice.id, "a")
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(alice.id, "b")
    server.fail("sendMessage", TelegramFault(reply="held"), TelegramFault(status=500))
    server.heal()
    server.fail("sendMessage", TelegramFault(reply="held"))
    with pytest.raises(TelegramNetworkError):
        await bot.send_message(alice.id, "c", request_timeout=1)
    assert [message["text"] for message in alice.sees()] == ["a", "b", "c"]
    assert len(server.called("sendMessage")) == 3
    assert (await alice.reads("b", after=alice.sees()[0]))["text"] == "b"


async def test_it_can_go_away_and_come_back(bot: Bot, server: TelegramServer, alice: TelegramPerson) -> None:
    await server.stop()
    with pytest.raises(TelegramNetworkError):
        await bot.get_me()
    await server.start()
    assert (await bot.get_me()).is_bot


def test_counting_is_in_utf16() -> None:
    assert utf16("a😀") == 3


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("sendMessage", {"text": "x", "reply_parameters": {"quote": "y"}}, "can't parse reply parameters"),
        ("sendMessage", {"text": "x", "reply_markup": ["no"]}, "object expected as reply markup"),
        ("sendMessage", {"text": "x", "reply_markup": {"inline_keyboard": [[{"callback_data": "x"}]]}}, 'Field "text"'),
        ("sendMessage", {}, "message text is empty"),
        ("sendMessage", {"chat_id": "", "text": "x"}, "chat_id is empty"),
        ("sendMessageDraft", {"draft_id": "x"}, "draft_id must be non-zero"),
        ("sendDocument", {}, "there is no document in the request"),
        ("sendDocument", {"document": "attach://nothing"}, "wrong file identifier"),
        ("sendMediaGroup", {"media": "none"}, "album must contain"),
        ("answerCallbackQuery", {"callback_query_id": "1", "text": "x" * 201}, "MESSAGE_TOO_LONG"),
        ("answerInlineQuery", {"inline_query_id": "1", "results": "x"}, "Expected an Array"),
        ("setMyCommands", {"commands": "x"}, "can't parse commands"),
        ("getUpdates", {"offset": "x"}, "can't parse offset"),
        ("getUpdates", {"allowed_updates": "x"}, "can't parse allowed updates"),
        ("editMessageText", {"message_id": "x", "text": "x"}, "message to edit not found"),
    ],
)
async def test_requests_that_no_library_makes(
    server: TelegramServer, alice: TelegramPerson, method: str, given: dict[str, Any], words: str
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/bot{server.token}/{method}", json={"chat_id": alice.id, **given}) as answer,
    ):
        body = await answer.json()
    assert (answer.status, body["ok"], body["error_code"]) == (400, False, 400)
    assert words in body["description"]


async def test_what_forms_and_addresses_may_hold(server: TelegramServer, alice: TelegramPerson) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"{server.url}/bot{server.token}/sendmessage"
        given = {"chat_id": str(alice.id), "text": "[not JSON", "reply_markup": '{"keyboard": []}'}
        async with session.get(url, params=given) as answer:
            assert (await answer.json())["result"]["text"] == "[not JSON"
        reply = '{"message_id": 999, "allow_sending_without_reply": true}'
        async with session.post(url, data={"chat_id": alice.id, "text": "x", "reply_parameters": reply}) as answer:
            assert "reply_to_message" not in (await answer.json())["result"]
        async with session.post(url, data={"chat_id": alice.id, "text": "x", "reply_markup": "{no"}) as answer:
            assert answer.status == 400
