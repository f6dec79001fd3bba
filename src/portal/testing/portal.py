"""A whole Portal on loopback for tests: real server, real storage, your backends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from portal.app import Portal, open_portal
from portal.core.channels import Channel
from portal.core.passages import Embedder
from portal.core.ports import Backend
from portal.core.speech import Transcriber
from portal.core.tool_ports import Toolset
from portal.interfaces.listening import server_config
from portal.settings import Settings, load_settings
from portal.storage.data_folder import make_private_folder


@dataclass(frozen=True, slots=True)
class TestPortal:
    """A running Portal. `key` is an API key of its owner."""

    __test__ = False

    portal: Portal
    url: str
    key: str
    owner: str

    @property
    def headers(self) -> dict[str, str]:
        """What an API client sends."""
        return {"Authorization": f"Bearer {self.key}"}

    async def sign_in_link(self) -> str:
        """A one-time address that signs a browser in."""
        _, secret = await self.portal.credentials.create_link(self.owner)
        return f"{self.url}/sign-in?token={secret}"


@asynccontextmanager
async def open_test_portal(
    data_dir: Path,
    *,
    backends: Sequence[Backend] | None = (),
    toolsets: Sequence[Toolset] | None = (),
    embedder: Embedder | None = None,
    channels: Sequence[Channel] | None = (),
    transcriber: Transcriber | None = None,
    settings: Mapping[str, Any] | None = None,
    watching: bool = False,
) -> AsyncIterator[TestPortal]:
    """Serve on a free loopback port with exactly these backends and the guide, or with None those of the settings, and
    exactly these tools, or with None those of an installation; the models are known when it yields. Documents are
    embedded by `embedder`, if any. `channels` are the chat platforms, with None those of the settings; `transcriber`
    writes down what is spoken there.

    `settings` is a nested mapping over the defaults; titles by the model, discovery, retries and the classifier are off
    unless it says so. With `watching`, portal.toml in the data folder is read again when it changes.
    """
    off = {
        "turns": {"titles": False},
        "discovery": {"enabled": False},
        "faults": {"retries": 0},
        "classifier": {"enabled": False},
    }
    chosen: dict[str, Any] = {**off, **(settings or {})}

    def read() -> Settings:
        return load_settings({"data_dir": data_dir, **chosen})

    loaded = read()
    make_private_folder(data_dir)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with open_portal(
            loaded,
            backends=backends,
            toolsets=toolsets,
            embedder=lambda: embedder,
            channels=channels,
            transcriber=transcriber,
            reread=read if watching else None,
        ) as portal:
            config = server_config(portal.asgi, max_message=loaded.server.max_body, grace=2)
            server = _Server(config)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(server.serve(sockets=[listener]))
                await server.ready.wait()
                await portal.models.refresh()
                owner = await portal.storage.users.owner()
                _, key = await portal.credentials.create_key(owner.id, f"test-{port}")
                try:
                    yield TestPortal(portal, f"http://127.0.0.1:{port}", key, owner.id)
                finally:
                    portal.stop()
                    server.leave.set()
                    await asyncio.wait([serving])  # cancelled instead, it would leave its socket in the event loop


class _Server(uvicorn.Server):
    """A server that says when it listens, leaves signals alone, and ends without uvicorn's naps of a fifth second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready, self.leave = asyncio.Event(), asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Until told to leave; the date in answers stays that of the start."""
        await self.on_tick(0)
        await self.leave.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's: what is under way has the time of grace."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 -- uvicorn has no event for it
                    await asyncio.sleep(0.002)
        for task in state.tasks:
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the test runner."""
        yield
