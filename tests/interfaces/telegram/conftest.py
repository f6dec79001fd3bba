"""A Portal with a Telegram bot, before the stand-in of Telegram, and a linked person who writes to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.channels import Surroundings
from portal.core.speech import Transcriber
from portal.core.tool_ports import Toolset
from portal.interfaces.telegram import create
from portal.interfaces.telegram.channel import TelegramChannel
from portal.settings.telegram import TelegramSettings
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.telegram_server import TelegramPerson, TelegramServer


@dataclass
class Room:
    portal: TestPortal
    telegram: TelegramServer
    channel: TelegramChannel
    backend: ScriptedBackend
    alice: TelegramPerson

    async def link(self, person: TelegramPerson) -> None:
        """By the address that opens the bot's chat."""
        made = await self.api("/portal/v1/channels/codes", {})
        (invitation,) = made["invitations"]
        bot, _, code = invitation["url"].partition("?start=")
        assert bot == "https://t.me/portal_test_bot"
        person.write(f"/start {code}")
        await person.reads("You are linked")

    async def api(self, path: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession(headers=self.portal.headers) as session,
            session.request(method, f"{self.portal.url}{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def state(self) -> dict[str, Any]:
        (status,) = self.portal.portal.channels.status()
        return dict(status)


def made_channel(telegram: TelegramServer, *, public_url: str = "", **settings: Any) -> TelegramChannel:
    """Without the pauses that the real Telegram wants."""
    given = TelegramSettings.model_validate({"token": telegram.token, "api_base": telegram.url, **settings})
    channel = create(given, Surroundings(name="telegram", public_url=public_url))
    assert isinstance(channel, TelegramChannel)
    channel.limits = replace(channel.limits, interval=0.01, per_second=1000.0)
    return channel


@asynccontextmanager
async def open_room(
    folder: Path,
    telegram: TelegramServer,
    *,
    alice: TelegramPerson | None = None,
    backend: ScriptedBackend | None = None,
    toolsets: Sequence[Toolset] = (),
    settings: dict[str, Any] | None = None,
    channel: TelegramChannel | None = None,
    transcriber: Transcriber | None = None,
    **options: Any,
) -> AsyncIterator[Room]:
    channel = channel or made_channel(telegram, **options)
    backend = backend or ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(
        folder,
        backends=[backend],
        channels=[channel],
        toolsets=toolsets,
        settings=settings,
        transcriber=transcriber,
    ) as portal:
        room = Room(portal, telegram, channel, backend, alice or telegram.person("Alice"))
        if alice is None:
            await until(lambda: portal.portal.channels.invitations("x"))
            await room.link(room.alice)
        yield room


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramServer]:
    async with TelegramServer(limits=False) as server:
        yield server


@pytest.fixture
async def room(tmp_path: Path, telegram: TelegramServer) -> AsyncIterator[Room]:
    async with open_room(tmp_path, telegram) as opened:
        yield opened


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that has no event of its own."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
