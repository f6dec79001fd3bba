"""Real servers as programs and on loopback, in surroundings of a test's own."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from portal.core.items import JsonObject
from portal.core.tool_dialogue import Elicitor, Sampler
from portal.core.tools import ToolContext
from portal.mcp.opening import Surroundings
from portal.mcp.servers import ToolServers
from portal.security.secret_file import SecretFile
from portal.settings import load_settings

HERE = Path(__file__).parent


class Kept:
    """KeyValues in memory."""

    def __init__(self) -> None:
        self.values: dict[str, JsonObject] = {}

    async def get(self, key: str) -> JsonObject | None:
        return self.values.get(key)

    async def set(self, key: str, value: JsonObject | None) -> None:
        self.values.pop(key, None)
        if value is not None:
            self.values[key] = value

    async def change(self, key: str, change: Callable[[JsonObject | None], JsonObject]) -> JsonObject:
        self.values[key] = change(self.values.get(key))
        return self.values[key]


@dataclass
class Workshop:
    """Opens tool servers as a Portal does; what they keep outlives each opening."""

    folder: Path
    kept: Kept = field(default_factory=Kept)
    sampler: Sampler | None = None
    elicitor: Elicitor | None = None
    changes: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def marks(self) -> Path:
        return self.folder / "marks"

    def marked(self, name: str) -> int:
        """How often a server left this mark."""
        path = self.marks / name
        return len(path.read_text()) if path.exists() else 0

    def program(self, script: str, *args: str, **fields: Any) -> dict[str, Any]:
        """The settings of a server of this folder."""
        env = {"MARKS": str(self.marks), **{n: v for n, v in os.environ.items() if n[:9] == "COVERAGE_"}}  # noqa: TID251
        return {"command": sys.executable, "args": [str(HERE / script), *args], "env": env, **fields}

    def faulty(self, mode: str = "", **fields: Any) -> dict[str, Any]:
        return self.program("faulty.py", mode, **fields)

    @asynccontextmanager
    async def open(
        self, servers: Mapping[str, Any] | None = None, *, settings: Mapping[str, Any] | None = None, **mcp: Any
    ) -> AsyncIterator[ToolServers]:
        chosen = {"data_dir": self.folder, "mcp": {"servers": servers or {}, **mcp}, **(settings or {})}
        async with asyncio.TaskGroup() as tasks:
            made = ToolServers(
                Surroundings(
                    settings=load_settings(chosen),
                    key_values=self.kept,
                    secrets=SecretFile(self.folder / "secrets.json"),
                    tasks=tasks,
                    on_change=self.changes.set,
                    sampler=self.sampler,
                    elicitor=self.elicitor,
                )
            )
            await made.restore()
            try:
                yield made
            finally:
                await made.aclose()

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for changes until this holds."""
        async with asyncio.timeout(30):
            while not true():
                self.changes.clear()
                if true():
                    return
                await self.changes.wait()

    async def until_marked(self, name: str) -> None:
        async with asyncio.timeout(30):
            while not (self.marks / name).exists():
                await asyncio.sleep(0.02)

    def context(self, call_id: str = "mcp_1", reports: list[str] | None = None) -> ToolContext:
        said = reports if reports is not None else []
        return ToolContext(
            owner="user_1",
            call_id=call_id,
            response_id="resp_1",
            workspace="auto",
            folder=self.folder / "conversation",
            report=said.append,
        )


class Quiet(uvicorn.Server):
    """A server that leaves signals alone and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(app: Any, port: int = 0) -> AsyncIterator[str]:
    """An ASGI application on loopback; its address."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        server = Quiet(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, ws="none"))
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(server.serve([listener]))
            await server.ready.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True
                await asyncio.wait([serving])
