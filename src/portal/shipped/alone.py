"""Runs one tool server by itself: over the standard streams, or on a port of its own."""

import asyncio
import gc
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, socket
from typing import TYPE_CHECKING, Any

from portal.errors import SettingsError
from portal.extras import add_command
from portal.shipped.face import Face

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server

    from portal.interfaces.mcp.serving import Identity, Offer
    from portal.settings import Settings
    from portal.shipped.relay import Running

KEY = "tool_server_key"
"""Name of the secret."""
PATH = "/mcp"
INSTALL = f"This needs the Model Context Protocol's SDK: `{add_command('mcp')}`."


_GRACE = 2
"""Seconds in which open requests may end when it is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where it listens."""

    host: str
    port: int

    def listen(self) -> socket:
        """Raises SettingsError where it cannot."""
        try:
            return create_server((self.host, self.port), family=AF_INET6 if ":" in self.host else AF_INET)
        except OSError as error:
            raise SettingsError(f"Cannot listen on {self.host} port {self.port}: {error.strerror or error}.") from error


def run(
    face: Face,
    settings: "Settings",
    *,
    folders: Sequence[Path] = (),
    read_only: bool = False,
    port: Port | None = None,
    running: "Running" = lambda: None,
) -> None:
    """Serve it until its client leaves, or on a port until it is stopped. `running` tells which Portal runs.

    Raises:
        SettingsError: the SDK is not installed, or a folder is not there.
    """
    for folder in folders:
        if not folder.is_dir():
            raise SettingsError(f"There is no folder {folder}.")
    with _unhurried_by_garbage():
        serving = _sdk()
    identity = serving.Identity(name=face.name, title=face.title, instructions=face.instructions)
    given = [folder.absolute() for folder in folders]
    tools = settings.tools.model_copy(update={"folders": (*given, *settings.tools.folders)})
    settings = settings.model_copy(update={"tools": tools})
    asyncio.run(_served(_offer(face, settings, given, running, read_only=read_only), identity, settings, port))


async def _served(
    offer: "AbstractAsyncContextManager[Offer]", identity: "Identity", settings: "Settings", port: Port | None
) -> None:
    from portal.interfaces.mcp.serving import make_server

    async with offer as opened:
        server = make_server(identity, opened)
        await (_over_streams(server) if port is None else _on_port(server, port, settings))


def _offer(
    face: Face, settings: "Settings", folders: Sequence[Path], running: "Running", *, read_only: bool
) -> "AbstractAsyncContextManager[Offer]":
    if face.relays:
        from portal.shipped.relay import Relay

        return nullcontext(Relay(running))
    if face.makes:
        from portal.shipped.studio import StudioTools

        return nullcontext(StudioTools(face, settings, running, folders=folders, read_only=read_only))
    if face.stores:
        from portal.shipped.stores import StoreTools

        return nullcontext(StoreTools(face, settings, running, read_only=read_only))
    from portal.shipped.toolbox import Toolbox

    return Toolbox(face, settings, folders=folders, read_only=read_only).loaded()


def _sdk() -> Any:
    try:
        return import_module("portal.interfaces.mcp.serving")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "anyio"):
            raise
        raise SettingsError(INSTALL) from error


async def _over_streams(server: "Server[Any]") -> None:
    from mcp.server.stdio import stdio_server

    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def _on_port(server: "Server[Any]", port: Port, settings: "Settings") -> None:
    import uvicorn

    from portal.interfaces.mcp.door import guarded
    from portal.security.hosts import is_loopback

    key = "" if is_loopback(port.host) else _key(settings)
    hosts, origins = settings.server.allowed_hosts, settings.server.allowed_origins
    app = guarded(server, path=PATH, key=key, hosts=hosts, origins=origins)
    with port.listen() as listener:
        _announce(listener, port.host, key)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_GRACE)
        await uvicorn.Server(config).serve(sockets=[listener])


def _key(settings: "Settings") -> str:
    """The key of this installation's tool servers, made when it is first needed."""
    from portal.app.sealing import secret_file
    from portal.storage.data_folder import make_private_folder

    make_private_folder(settings.data_dir)
    file = secret_file(settings)
    key = file.get(KEY)
    if key is None:
        key = secrets.token_urlsafe(32)
        file.set(KEY, key)
    return key


def _announce(listener: socket, host: str, key: str) -> None:
    shown = f"[{host}]" if ":" in host else host
    print(f"Serving at http://{shown}:{listener.getsockname()[1]}{PATH}", file=sys.stderr, flush=True)
    if key:
        print(f"Others can reach it. They need the header  Authorization: Bearer {key}", file=sys.stderr, flush=True)


@contextmanager
def _unhurried_by_garbage() -> Iterator[None]:
    """The SDK makes many thousand objects that stay; looking through them again and again slows the start down."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
