"""A Portal with a chat platform in memory, and a person who talks there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.channels import Limits, Message, Place, Press, Sender
from portal.core.speech import Transcriber
from portal.core.tool_ports import Toolset
from portal.testing.channel import ALICE, Bubble, PlatformState, TestChannel
from portal.testing.portal import TestPortal, open_test_portal

LIMITS = Limits(interval=0.01, per_second=10_000, typing=0)


@dataclass
class Chat:
    """A chat of the platform with a linked person in it."""

    portal: TestPortal
    platform: PlatformState
    channel: TestChannel
    backend: ScriptedBackend
    chat: str = "c1"

    def place(self, **fields: Any) -> Place:
        return Place(**{"channel": "test", "chat": self.chat, **fields})

    def write(self, text: str, *, sender: Sender = ALICE, place: Place | None = None, **fields: Any) -> Message:
        number = self.platform.next_id()
        message = Message(
            **{
                "event_id": f"e{number}",
                "place": place or self.place(),
                "sender": sender,
                "id": f"m{number}",
                "text": text,
                **fields,
            }
        )
        self.platform.deliver(message)
        return message

    def press(self, bubble: Bubble, label: str, *, sender: Sender = ALICE) -> None:
        number = self.platform.next_id()
        data = bubble.button(label).data
        self.platform.deliver(
            Press(event_id=f"e{number}", place=bubble.place, sender=sender, message_id=bubble.id, data=data)
        )

    def bubbles(self, chat: str = "") -> list[Bubble]:
        return [one for one in self.platform.bubbles.values() if one.place.chat == (chat or self.chat)]

    def texts(self, chat: str = "") -> list[str]:
        return self.platform.texts(chat or self.chat)

    async def until(self, *texts: str, chat: str = "") -> list[Bubble]:
        """Until the chat's messages are just these."""
        try:
            await self.platform.until(lambda: self.texts(chat) == list(texts))
        except TimeoutError:
            assert self.texts(chat) == list(texts)
        return self.bubbles(chat)

    async def link(self, sender: Sender = ALICE) -> None:
        linking = self.portal.portal.channels.linking
        code, _ = await linking.offer(self.portal.owner)
        await linking.redeem(self.place(), sender, code)


@asynccontextmanager
async def open_chat(
    folder: Path,
    platform: PlatformState | None = None,
    *,
    backend: ScriptedBackend | None = None,
    channel: TestChannel | None = None,
    limits: Limits = LIMITS,
    toolsets: Sequence[Toolset] = (),
    settings: dict[str, Any] | None = None,
    transcriber: Transcriber | None = None,
) -> AsyncIterator[Chat]:
    platform = platform or PlatformState()
    backend = backend or ScriptedBackend(models=["tiny"], default=echo)
    channel = channel or TestChannel(platform, limits=limits)
    async with open_test_portal(
        folder, backends=[backend], channels=[channel], toolsets=toolsets, settings=settings, transcriber=transcriber
    ) as portal:
        yield Chat(portal, platform, channel, backend)


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    async with open_chat(tmp_path) as opened:
        await opened.link()
        yield opened
