"""Delivery: in order, at the platform's pace, once, and with a way out of everything that a platform refuses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from portal.channels import words
from portal.core.channels import Content, Limits
from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.model import TextDelta
from portal.core.records import FileRecord
from portal.errors import ChannelError, ChannelGone, ChannelRejected, ChannelUncertain, NotFound, RateLimited
from portal.testing.channel import DraftChannel, GrowingChannel, PlatformState

from .conftest import Chat, open_chat

SHORT = Limits(text=40, interval=0.01, per_second=10_000, typing=0, file=1000)


class Once:
    """Fails the first call of a kind."""

    def __init__(self, call: str, error: Exception, times: int = 1) -> None:
        self.call, self.error, self.times = call, error, times

    def __call__(self, call: str, chat: str) -> Exception | None:
        if call != self.call or self.times == 0:
            return None
        self.times -= 1
        return self.error


async def test_a_long_answer_is_several_messages_and_long_code_a_file(tmp_path: Path) -> None:
    async with open_chat(tmp_path, limits=SHORT) as chat:
        await chat.link()
        code = "\n".join(f"line {number}" for number in range(20))
        text = f"First a sentence that fills a message.\n\nThen code:\n\n```python\n{code}\n```\n\nDone."
        chat.backend.script(TextDelta(text))
        chat.write("Hello")
        await chat.until("First a sentence that fills a message.", "Then code:\n\n`code-1.py`\n\nDone.", "")
        assert chat.bubbles()[-1].data.decode() == code + "\n"


async def test_an_answer_that_grows_past_a_message(tmp_path: Path) -> None:
    async with open_chat(tmp_path, limits=SHORT) as chat:
        await chat.link()
        gate, more = asyncio.Event(), asyncio.Event()
        chat.backend.script(TextDelta("One sentence that is here. "), gate, TextDelta("Two sentences. "), more)
        chat.write("Hello")
        await chat.until("One sentence that is here.")
        gate.set()
        await chat.until("One sentence that is here.", "Two sentences.")
        more.set()
        await chat.platform.until(lambda: bool(chat.bubbles()[-1].said.buttons))
        assert chat.texts() == ["One sentence that is here.", "Two sentences."]


@pytest.mark.parametrize("kind", [GrowingChannel, DraftChannel])
async def test_other_ways_to_show_an_answer(tmp_path: Path, kind: type[GrowingChannel | DraftChannel]) -> None:
    platform = PlatformState()
    channel = kind(platform, limits=Limits(text=40, interval=0.01, per_second=10_000, typing=1))
    async with open_chat(tmp_path, platform, channel=channel) as chat:
        await chat.link()
        gates = [asyncio.Event() for _ in range(3)]
        chat.backend.script(
            *(TextDelta("One sentence "), gates[0], TextDelta("that grows. "), gates[1]),
            *(TextDelta("Another one that is long enough."), gates[2], TextDelta(" End.")),
        )
        chat.write("Hello")
        call = "begin" if kind is GrowingChannel else "draft"
        await platform.until(lambda: (call, "c1") in platform.calls)
        gates[0].set()
        if isinstance(channel, DraftChannel):
            await platform.until(lambda: channel.shown[-1:] == ["One sentence that grows."])
            assert chat.texts() == []
        else:
            await chat.until("One sentence that grows.")
        gates[1].set()
        if isinstance(channel, DraftChannel):
            await platform.until(lambda: channel.shown[-1:] == ["Another one that is long enough."])
        else:
            await chat.until("One sentence that grows.", "Another one that is long enough.")
        gates[2].set()
        await chat.until("One sentence that grows.", "Another one that is long enough. End.")
        await platform.until(lambda: bool(chat.bubbles()[-1].said.buttons))


async def test_a_chat_that_is_held_up_holds_up_no_other(chat: Chat) -> None:
    held = RateLimited("Slow down.", retry_after=3600)
    chat.platform.fail = lambda call, name: held if name == "c2" else None
    chat.write("Two", place=chat.place(chat="c2"))
    await chat.platform.until(lambda: ("send", "c2") in chat.platform.calls)
    chat.write("One")
    await chat.until("One")
    assert chat.texts("c2") == []


async def test_what_was_refused_for_its_rate_is_sent_afterwards(chat: Chat) -> None:
    chat.platform.fail = Once("send", RateLimited("Slow down.", retry_after=0.05), times=2)
    chat.write("One")
    await chat.until("One")
    chat.platform.fail = Once("edit", RateLimited("Slow down."))
    gate = asyncio.Event()
    chat.backend.script(TextDelta("a"), gate, TextDelta("b"))
    chat.write("Two")
    await chat.until("One", "a")
    gate.set()
    await chat.until("One", "ab")


async def test_a_call_that_failed_is_made_again(chat: Chat) -> None:
    chat.platform.fail = Once("send", ChannelError("It is down."))
    chat.write("One")
    await chat.until("One")


async def test_a_send_of_unknown_fate_is_marked_where_nobody_can_tell(chat: Chat) -> None:
    chat.platform.cut = Once("send", ChannelUncertain("No answer."))
    chat.write("One")
    await chat.until("One", f"One\n\n{words.REPEATED}")


@pytest.mark.parametrize("call", ["send", "begin", "end"])
async def test_a_call_of_unknown_fate_is_found(tmp_path: Path, call: str) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform, channel=GrowingChannel(platform)) as chat:
        await chat.link()
        platform.cut = Once(call, ChannelUncertain("No answer."))
        gate = asyncio.Event()
        chat.backend.script(TextDelta("One"), gate, TextDelta("."))
        place = chat.place(direct=call != "send")
        chat.write("Hello", place=place)
        await chat.until("One")
        gate.set()
        await chat.until("One.")


async def test_a_send_that_did_not_arrive_is_made_again_where_one_can_tell(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform, channel=GrowingChannel(platform)) as chat:
        await chat.link()
        platform.fail = Once("send", ChannelUncertain("No answer."))
        chat.write("Hello", place=chat.place(direct=False))
        await chat.platform.until(lambda: bool(chat.texts()))
        await chat.until("Hello")


async def test_what_a_platform_does_not_take_is_said_to_be_missing(chat: Chat) -> None:
    chat.platform.fail = Once("send", ChannelRejected("Not like this."))
    chat.write("One")
    await chat.until(words.NOT_SHOWN)
    chat.platform.fail = lambda call, name: ChannelRejected("Never.") if call == "send" else None
    chat.write("Two")
    await chat.platform.until(lambda: chat.platform.calls.count(("send", "c1")) >= 4)
    chat.platform.fail = lambda call, name: None
    chat.write("Three")
    await chat.until(words.NOT_SHOWN, "Three")


async def test_a_chat_that_is_gone_is_given_up(chat: Chat) -> None:
    chat.platform.fail = Once("send", ChannelGone("You are blocked."))
    chat.write("One")
    chat.write("Two")
    await chat.until("Two")


async def test_a_message_that_was_deleted_is_left(chat: Chat) -> None:
    gate = asyncio.Event()
    chat.backend.script(TextDelta("a"), gate, TextDelta("b"))
    chat.write("One")
    await chat.until("a")
    chat.platform.bubbles.clear()
    gate.set()
    chat.write("Two")
    await chat.until("Two")


async def test_without_edits_an_answer_is_sent_when_it_is_over(tmp_path: Path) -> None:
    limits = Limits(interval=0.01, per_second=10_000, typing=0, edits=False)
    async with open_chat(tmp_path, limits=limits) as chat:
        await chat.link()
        chat.write("One")
        await chat.until("One")
        assert ("edit", "c1") not in chat.platform.calls


async def kept(chat: Chat, name: str, kind: str, size: int = 3) -> str:
    async def content() -> AsyncIterator[bytes]:
        yield b"x" * size

    record = FileRecord(
        id=new_id("file"),
        owner=chat.portal.owner,
        filename=name,
        purpose="user_data",
        size=0,
        sha256="",
        content_type=kind,
        created_at=micros(),
    )
    return (await chat.portal.portal.storage.files.create(record, content())).id


async def test_content_goes_to_a_named_chat_once(tmp_path: Path) -> None:
    async with open_chat(tmp_path, limits=replace(SHORT, text=100)) as chat:
        channels, owner = chat.portal.portal.channels, chat.portal.owner
        with pytest.raises(NotFound, match="write there first"):
            await channels.deliver(owner, "test", Content(text="Good morning"))
        await chat.link()
        names = [("a.png", "image/png"), ("a.svg", "image/svg+xml"), ("a.mp3", "audio/mpeg"), ("a.mp4", "video/mp4")]
        files = [await kept(chat, *one) for one in names]
        files += [await kept(chat, "big.bin", "application/octet-stream", 2000), "file_missing"]
        for _ in range(2):
            await channels.deliver(owner, "test", Content(text="Good morning", files=files), key="run_1")
        large = words.LEFT_ON_PAGE.format(name="big.bin")
        bubbles = await chat.until("Good morning", "", "", "", "", large)
        kinds = [bubble.said.file.kind for bubble in bubbles if bubble.said.file]
        assert kinds == ["image", "file", "audio", "video"]
        with pytest.raises(NotFound, match="There is no channel 'fax'"):
            await channels.deliver(owner, "fax", Content(text="?"))
        with pytest.raises(NotFound, match="There are: test"):
            await channels.deliver(owner, "test:c9", Content(text="?"))


async def test_content_goes_to_a_group(chat: Chat) -> None:
    channels, owner = chat.portal.portal.channels, chat.portal.owner
    group = chat.place(chat="g1", thread="7", direct=False, title="Family")
    chat.write("Hello", place=group)
    await chat.until("Hello", chat="g1")
    targets = await channels.targets(owner)
    assert targets == [("test", "Alice, direct"), ("test:g1", "Family"), ("test:g1/7", "Family: Hello")]
    await channels.deliver(owner, "test:g1/7", Content(text="Good morning"))
    await chat.until("Hello", "Good morning", chat="g1")


async def test_a_conversation_goes_on_in_a_chat(chat: Chat) -> None:
    portal, owner = chat.portal.portal, chat.portal.owner
    group = chat.place(chat="g1", direct=False, title="Family")
    chat.write("Hello", place=group)
    await chat.until("Hello", chat="g1")
    (conversation,) = (await portal.storage.conversations.list(owner)).data
    await portal.channels.move_to(owner, conversation.id, "test")
    await chat.until(words.MOVED.format(title="Family", last="Hello"))
    chat.write("And now here")
    await chat.until(words.MOVED.format(title="Family", last="Hello"), "And now here")
    turns = await portal.storage.conversations.turns(owner, conversation.id)
    assert len(turns.data) == 2
