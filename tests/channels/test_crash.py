"""A Portal that is stopped anywhere goes on where it was: nothing lost, nothing twice."""

import asyncio
from pathlib import Path

import pytest

from portal.channels import words
from portal.core.agent import Turn
from portal.core.approvals import Decision
from portal.core.model import TextDelta
from portal.testing.channel import GrowingChannel, PlatformState, TestChannel
from portal.testing.records import said

from .conftest import open_chat
from .desk import Desk, able, calls, says


async def test_what_was_not_acknowledged_comes_again_and_is_known(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform) as chat:
        await chat.link()
        message = chat.write("One")
        await chat.until("One")
    platform.deliver(message)
    async with open_chat(tmp_path, platform) as chat:
        chat.write("Two")
        await chat.until("One", "Two")


async def test_what_was_accepted_is_answered_by_the_next(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform) as chat:
        await chat.link()
        gate = asyncio.Event()
        chat.backend.script(gate, TextDelta("never"))
        chat.write("One")
        chat.write("Two")
        await platform.until(lambda: not platform.pending)
        while not chat.backend.requests:
            await asyncio.sleep(0)
    async with open_chat(tmp_path, platform) as chat:
        await chat.until(words.INTERRUPTED, "Two")


async def test_what_still_waits_when_portal_is_told_to_stop_is_answered_by_the_next(tmp_path: Path) -> None:
    """Behind a turn that the page began, which goes on to its end."""
    platform = PlatformState()
    async with open_chat(tmp_path, platform) as chat:
        await chat.link()
        chat.write("One")
        await chat.until("One")
        portal = chat.portal.portal
        (talk,) = (await portal.storage.conversations.list(chat.portal.owner)).data
        chat.backend.script(TextDelta("On the page."), gate := asyncio.Event())
        page = Turn(owner=chat.portal.owner, model="tiny", input=[said("x")], conversation_id=talk.id, background=True)
        run = await portal.agent.start(page)
        chat.write("Two")
        await platform.until(lambda: not platform.pending)
        for _ in range(20):
            await asyncio.sleep(0.01)
        portal.drain()
        gate.set()
        await run.ended()
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert chat.texts() == ["One"]
    async with open_chat(tmp_path, platform) as chat:
        await chat.until("One", "Two")


async def test_what_is_decided_while_portal_stops_goes_on_with_the_next(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.write("Note it")
        await platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
        agent, approvals = chat.portal.portal.agent, chat.portal.portal.storage.approvals
        (record,) = (await approvals.list(chat.portal.owner, status="pending")).data
        chat.portal.portal.drain()
        decision = Decision(approve=True, by=chat.portal.owner, door="web")
        assert await agent.decide(chat.portal.owner, {record.id: decision}) is None
    backend = able()
    backend.script(*says("Noted."))
    async with open_chat(tmp_path, platform, backend=backend, toolsets=desk.toolsets()) as chat:
        await chat.until("✅ Allowed: **write_note**", "Noted.")


@pytest.mark.parametrize("kind", [TestChannel, GrowingChannel])
async def test_an_answer_that_was_cut_off_is_completed_in_place(tmp_path: Path, kind: type[TestChannel]) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform, channel=kind(platform)) as chat:
        await chat.link()
        chat.backend.script(TextDelta("Half"), asyncio.Event())
        chat.write("One")
        await chat.until("Half")
        platform.fail = lambda call, name: RuntimeError("The process is gone.") if call != "run" else None
    platform.fail = lambda call, name: None
    async with open_chat(tmp_path, platform, channel=kind(platform)) as chat:
        (bubble,) = await chat.until(f"Half\n\n{words.INTERRUPTED}")
        chat.press(bubble, "↻")
        await chat.until(f"Half\n\n{words.INTERRUPTED}", "One")


async def test_a_question_decided_elsewhere_meanwhile_goes_on(tmp_path: Path) -> None:
    platform, desk = PlatformState(), Desk()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.link()
        chat.backend.script(*calls(("write_note", {"text": "milk"})))
        chat.write("Note it")
        await platform.until(lambda: bool(chat.texts()) and "Allow write_note" in chat.texts()[-1])
        owner = chat.portal.owner
    async with open_chat(tmp_path, PlatformState(), backend=able(), toolsets=desk.toolsets(), channel=_Other()) as page:
        page.backend.script(*says("Noted."))
        (record,) = (await page.portal.portal.storage.approvals.list(owner, status="pending")).data
        run = await page.portal.portal.agent.decide(owner, {record.id: Decision(approve=True, by=owner, door="web")})
        assert run is not None
        await run.ended()
    async with open_chat(tmp_path, platform, backend=able(), toolsets=desk.toolsets()) as chat:
        await chat.until("✅ Allowed: **write_note**", "Noted.")


class _Other(TestChannel):
    """Another platform, while the first is not configured."""

    def __init__(self) -> None:
        super().__init__(PlatformState(), name="other")


async def test_a_send_cut_off_by_the_end_is_repeated_with_a_mark(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform) as chat:
        await chat.link()
        platform.hold = asyncio.Event()  # the call is carried out, its answer never comes
        chat.write("One")
        await chat.until("One")
    platform.hold = None
    async with open_chat(tmp_path, platform) as chat:
        await chat.until("One", f"One\n\n{words.REPEATED}")


async def test_a_send_cut_off_by_the_end_is_found_by_its_nonce(tmp_path: Path) -> None:
    platform = PlatformState()
    async with open_chat(tmp_path, platform, channel=GrowingChannel(platform)) as chat:
        await chat.link()
        platform.hold = asyncio.Event()
        chat.write("One")
        await chat.until("One")
    platform.hold = None
    async with open_chat(tmp_path, platform, channel=GrowingChannel(platform)) as chat:
        await platform.until(lambda: bool(chat.bubbles()[-1].said.buttons))
        assert chat.texts() == ["One"]
