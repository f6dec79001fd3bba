"""Run the server in this process until a signal ends it."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Generator
from socket import socket

import click
import uvicorn
import uvloop

from portal import __version__
from portal.app import Portal, open_portal
from portal.cli.announcement import announce
from portal.cli.ports import listen, local_url
from portal.cli.server_file import ServerFile, log_path
from portal.core.clock import micros, seconds
from portal.errors import PortalError
from portal.interfaces.listening import server_config
from portal.observability.levels import Levels
from portal.observability.log_file import goes_to
from portal.observability.logging import configure
from portal.settings import Settings
from portal.storage.data_folder import lock_data_folder

GRACE_SECONDS = 5
"""How long connections may take to end once the running answers were ended."""
_GC_YOUNG = 10_000
"""New objects between two looks for rings of them that nobody holds: a request makes hundreds, and few are left."""
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve_forever(settings: Settings, called_as: str, *, announced: bool) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; everything made on the way is readable by its owner alone."""
    os.umask(0o077)
    file = log_path(settings)
    levels = configure(settings.log, file=file if settings.log.file or goes_to(file) else None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, called_as, levels, announced=announced))


class _Server(uvicorn.Server):
    """Tells when it listens; leaves signals to us, since more must end than the connections."""

    def __init__(self, portal: Portal, settings: Settings) -> None:
        config = server_config(portal.asgi, max_message=settings.server.max_body, grace=GRACE_SECONDS)
        super().__init__(config)
        self._portal = portal
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def end(self) -> None:
        """Once: running answers end as incomplete, then the connections. Twice: at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._portal.stop()


async def _serve(settings: Settings, called_as: str, levels: Levels, *, announced: bool) -> None:
    me = f"Portal (process {os.getpid()})"
    with (
        lock_data_folder(settings.data_dir, me) as lock,
        listen(settings.server.host, settings.server.port, called_as=called_as) as listener,
    ):
        url = local_url(listener)
        lock.describe(f"{me[:-1]}, {url})")
        async with open_portal(settings, levels=levels) as portal:
            file = ServerFile(
                pid=os.getpid(), url=url, token=portal.local_token, started_at=seconds(micros()), version=__version__
            )
            await _run(_Server(portal, settings), listener, file, settings, called_as=called_as if announced else None)


async def _run(
    server: _Server, listener: socket, file: ServerFile, settings: Settings, *, called_as: str | None
) -> None:
    for number in ENDING:
        asyncio.get_running_loop().add_signal_handler(number, server.end)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        file.write(settings.data_dir)
        gc.freeze()  # what is there now stays: looking through it again and again would only hold answers up
        gc.set_threshold(_GC_YOUNG, 20, 20)
        try:
            if called_as:
                await asyncio.to_thread(_announce, file, settings, called_as)
            await serving
        finally:
            file.remove(settings.data_dir)


def _announce(file: ServerFile, settings: Settings, called_as: str) -> None:
    try:
        announce(
            file.client(),
            version=file.version,
            data_dir=str(settings.data_dir),
            called_as=called_as,
            stop="Ctrl+C",
            say=click.echo,
        )
    except PortalError as error:
        click.echo(f"  {error.message}", err=True)
