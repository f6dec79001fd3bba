"""What goes wrong in a platform's code or between two steps costs no answer, and doubles none."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from portal.channels import words
from portal.channels.splitting import split
from portal.core.approvals import Decision
from portal.core.channels import Attachment, Content, Limits
from portal.core.clock import micros
from portal.core.model import TextDelta
from portal.core.records import ResponseRecord
from portal.errors import ChannelUncertain, NotFound, RateLimited
from portal.testing.channel import GrowingChannel, PlatformState, TestChannel
from portal.testing.portal import open_test_portal
from portal.testing.scripted_speech import ScriptedTranscriber

from .conftest import Chat, open_chat
from .desk import Desk, able, calls, says

TYPING = Limits(interval=0.01, per_second=10_000, typing=0.01)


async def _all_sent(chat: Chat) -> None:
    async with asyncio.timeout(10):
        while await chat.portal.portal.storage.outbox.open("test"):
            await asyncio.sleep(0.01)


async def test_a_typing_mark_refused_for_its_rate_costs_no_answer(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    platform.fail = lambda call, chat: RateLimited("slow", retry_after=1) if call.startswith("typing") else None
    channel = GrowingChannel(platform, limits=TYPING)
    async with open_chat(tmp_path, platform, channel=channel, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("wait_long", {})))
        chat.backend.script(*says("There."))
        chat.write("Wait")
        await platform.until(lambda: ("typing is using wait_long", "c1") in platform.calls)
        desk.gate.set()
        await chat.until("There.")
        await _all_sent(chat)


@pytest.mark.parametrize("call", ["send", "edit"])
async def test_a_fault_in_a_platforms_code_leaves_nothing_open(chat: Chat, call: str) -> None:
    done = asyncio.Event()
    chat.platform.fail = lambda name, _: KeyError("ok") if name == call else None
    chat.backend.script(TextDelta("One"), done, TextDelta(" two"))
    chat.write("Count")
    await chat.platform.until(lambda: (call, "c1") in chat.platform.calls or bool(chat.texts()))
    done.set()
    await _all_sent(chat)
    assert not await chat.portal.portal.storage.inbox.open("test")


async def test_a_file_that_a_platforms_code_cannot_fetch_is_told(chat: Chat) -> None:
    photo = Attachment(ref="none", kind="image", name="cat.png", content_type="image/png")
    chat.write("Look", files=[photo])
    (told,) = await chat.until(words.FAILED.format(why="The chat platform's part of Portal failed unexpectedly."))
    assert told.place.chat == "c1"
    await _all_sent(chat)


async def test_a_send_of_unknown_fate_again_and_again_is_marked_once(chat: Chat) -> None:
    failed = [ChannelUncertain("cut")] * 3
    chat.platform.fail = lambda call, _: failed.pop() if call == "send" and failed else None
    chat.write("Hello")
    await chat.until(f"Hello\n\n{words.REPEATED}")


async def test_a_question_decided_before_it_is_sent_is_sent_once(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        owner, portal = chat.portal.owner, chat.portal.portal
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.backend.script(*says("Noted."))
        platform.hold = asyncio.Event()
        chat.write("Note it")
        await platform.until(lambda: ("send", "c1") in platform.calls)
        (pending,) = (await portal.storage.approvals.list(owner, status="pending", limit=5)).data
        run = await portal.agent.decide(owner, {pending.id: Decision(approve=True, by=owner, door="page")})
        assert run is not None
        await run.ended()
        platform.hold.set()
        platform.hold = None
        await chat.until("✅ Allowed: **write_note**", "Noted.")
        await _all_sent(chat)
        assert len(platform.bubbles) == 2


async def test_speech_is_bounded_by_what_comes(tmp_path: Path) -> None:
    platform = PlatformState()
    platform.files = {"v": b"x" * 2_000_000}
    channel = TestChannel(platform, limits=Limits(interval=0.01, per_second=10_000, typing=0, fetch=2**20))
    async with open_chat(tmp_path, platform, channel=channel, transcriber=ScriptedTranscriber()) as chat:
        await chat.link()
        chat.write("", files=[Attachment(ref="v", kind="audio", name="v.ogg", voice=True)])
        await chat.until(words.FAILED.format(why=words.TOO_LARGE.format(name="v.ogg", limit=1)))


async def test_an_account_that_was_unlinked_gets_nothing_more(chat: Chat) -> None:
    channels, owner = chat.portal.portal.channels, chat.portal.owner
    chat.write("Hello")
    await chat.until("Hello")
    group = chat.place(chat="g1", direct=False, title="Team")
    chat.write("Hi", place=group, addressed=True)
    await chat.until("Hi", chat="g1")
    (link,) = await channels.links.list(owner)
    await channels.unlink(owner, link.id)
    assert list(await channels.targets(owner)) == []
    for target in ("test:c1", "test:g1", "test"):
        with pytest.raises(NotFound):
            await channels.deliver(owner, target, Content(text="Secret"))


async def test_a_decision_is_followed_also_after_too_much_news(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        owner, portal = chat.portal.owner, chat.portal.portal
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.write("Note it")
        await platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
        (pending,) = (await portal.storage.approvals.list(owner, status="pending", limit=5)).data
        await portal.storage.approvals.decide(owner, {pending.id: Decision(approve=True, by=owner, door="page")})
        asked = (await portal.storage.responses.get(owner, pending.response_id)).response
        answer = {"type": "mcp_approval_response", "id": "mcpr_1", "approval_request_id": pending.id, "approve": True}
        now = micros()
        record = ResponseRecord(
            id="resp_2",
            owner=owner,
            model="tiny",
            status="in_progress",
            created_at=now,
            conversation_id=asked.conversation_id,
            previous_id=asked.id,
        )
        await portal.storage.turn_log.begin(record, [answer])
        await portal.storage.turn_log.finish(replace(record, status="completed", completed_at=now))
        portal.bus.publish(None, "resync")
        await chat.until("✅ Allowed: **write_note**", words.NO_ANSWER)


async def test_a_turn_that_could_not_begin_is_told_where_it_was_asked(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        owner, portal = chat.portal.owner, chat.portal.portal
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.write("Note it")
        await platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
        (pending,) = (await portal.storage.approvals.list(owner, status="pending", limit=5)).data
        await portal.storage.approvals.decide(owner, {pending.id: Decision(approve=True, by=owner, door="page")})
        await portal.agent.give_up(owner, pending.response_id, "No model is there.")
        await chat.until("✅ Allowed: **write_note**", words.FAILED.format(why="No model is there."))


async def test_one_channel_that_does_not_close_keeps_no_other_open(tmp_path: Path) -> None:
    closed: list[str] = []

    class Closing(TestChannel):
        async def aclose(self) -> None:
            closed.append(self.name)
            raise KeyError("odd")

    both = [Closing(PlatformState(), name=name) for name in ("one", "two")]
    async with open_test_portal(tmp_path, channels=both):
        pass
    assert closed == ["one", "two"]


def test_text_is_measured_in_pieces() -> None:
    longest = 0

    def measure(text: str) -> int:
        nonlocal longest
        longest = max(longest, len(text))
        return len(text)

    split("word " * 40_000, 4000, measure)
    assert longest <= 20_000
