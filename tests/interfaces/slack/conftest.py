"""A Portal that talks to the stand-in of Slack over loopback, and a person there whom it knows."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.channels import Place, Sender
from portal.core.tool_ports import Toolset
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.channel import SlackChannel
from portal.interfaces.slack.limits import LIMITS
from portal.interfaces.slack.manifest import manifest
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.slack_server import SlackServer

FAST = replace(LIMITS, interval=0.02, per_second=10_000)


@dataclass
class Slack:
    """A workspace, and the Portal in it."""

    server: SlackServer
    portal: TestPortal
    backend: ScriptedBackend

    @property
    def room(self) -> str:
        """Where U1 and Portal are alone."""
        return self.server.world.direct("U1").id

    def spoken(self, room: str = "", thread: str = "") -> list[str]:
        return self.server.world.spoken(room or self.room, thread)

    async def until(self, condition: Callable[[], Any]) -> None:
        await self.server.wait(condition, 60)

    async def heard(self, *texts: str, room: str = "", thread: str = "") -> None:
        """Until Portal said just this there."""
        try:
            await self.until(lambda: self.spoken(room, thread) == list(texts) and not self.streaming())
        except TimeoutError:
            assert (self.spoken(room, thread), self.streaming()) == (list(texts), set())

    def streaming(self) -> set[str]:
        return {ts for room in self.server.world.rooms.values() for ts in room.streaming}

    async def link(self, user: str = "U1") -> None:
        linking = self.portal.portal.channels.linking
        code, _ = await linking.offer(self.portal.owner)
        room = self.server.world.direct(user).id
        await linking.redeem(Place(channel="slack", chat=room), Sender(id=user, name=user), code)


def channel(server: SlackServer, **more: Any) -> SlackChannel:
    made = {"name": "slack", "app_token": server.app_token, "signing_secret": "", "by_http": False, "limits": FAST}
    made["prompts"] = ("One", "Two", "Three")
    return SlackChannel(**{**made, "api": SlackApi(token=server.bot_token, base=server.api), **more})


@asynccontextmanager
async def open_slack(
    folder: Path,
    server: SlackServer,
    *,
    backend: ScriptedBackend | None = None,
    toolsets: Sequence[Toolset] = (),
    **more: Any,
) -> AsyncIterator[Slack]:
    backend = backend or ScriptedBackend(models=["tiny"], default=echo)
    made = channel(server, **more)
    async with open_test_portal(folder, backends=[backend], channels=[made], toolsets=toolsets) as portal:
        opened = Slack(server, portal, backend)
        if not made._by_http:
            await opened.until(lambda: server.sockets)
        yield opened
    await made.aclose()


@pytest.fixture
async def server() -> AsyncIterator[SlackServer]:
    async with SlackServer(post_interval=0) as made:
        made.install(manifest())
        made.limited = False
        made.world.add_channel("C1", "U1", "U2")
        made.world.direct("U1")
        yield made


@pytest.fixture
async def slack(tmp_path: Path, server: SlackServer) -> AsyncIterator[Slack]:
    async with open_slack(tmp_path, server) as opened:
        await opened.link()
        yield opened
