"""Run the server in this process until a signal ends it."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Generator
from socket import socket
from typing import Any

import click
import uvicorn
import uvloop

from portal import __version__
from portal.app import Portal, open_portal
from portal.app.rereading import Watched
from portal.cli.announcement import announce, found_by_now
from portal.cli.lookout import Lookout
from portal.cli.ports import listen, local_url
from portal.cli.server_file import ServerFile, log_path
from portal.core.clock import micros, seconds
from portal.errors import PortalError, SettingsError
from portal.interfaces.listening import server_config
from portal.observability.levels import Levels
from portal.observability.log_file import goes_to
from portal.observability.logging import configure
from portal.security.guards import refuse
from portal.security.tls import Certificate
from portal.settings import Settings
from portal.storage.data_folder import lock_data_folder

log = logging.getLogger(__name__)

GRACE_SECONDS = 5
"""How long connections may take to end once the running answers were ended."""
_LOOK_SECONDS = 0.05
"""Between two looks at what still runs."""
_GC_YOUNG = 10_000
"""New objects between two looks for rings of them that nobody holds: a request makes hundreds, and few are left."""
ENDING = (signal.SIGINT, signal.SIGTERM)


def serve_forever(settings: Settings, called_as: str, *, announced: bool, reread: Callable[[], Settings]) -> None:
    """Serve until SIGINT or SIGTERM, or where there is a terminal SIGHUP; everything made on the way is readable by its
    owner alone. `reread` gives the settings as they are now."""
    os.umask(0o077)
    file = log_path(settings)
    levels = configure(settings.log, file=file if settings.log.file or goes_to(file) else None)
    refuse(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, called_as, levels, announced=announced, reread=reread))


class _Server(uvicorn.Server):
    """Tells when it listens; leaves signals to us, since more must end than the connections."""

    def __init__(self, portal: Portal, settings: Settings, certificate: Certificate | None) -> None:
        tls = None if certificate is None else certificate.context
        config = server_config(portal.asgi, max_message=settings.server.max_body, grace=GRACE_SECONDS, tls=tls)
        super().__init__(config)
        self._portal = portal
        self._ending = asyncio.Event()
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    def end(self) -> None:
        """Once: nothing more is begun, and what runs has its time. Twice: at once."""
        if self._ending.is_set():
            self.force_exit = True
            self._leave()
        else:
            self._ending.set()
            self._portal.drain()

    async def drained(self) -> None:
        """Once it is to end: give answers under way their time, then end those left as incomplete, and the
        connections."""
        await self._ending.wait()
        patience = self._portal.current.settings.server.drain_seconds
        if self._portal.busy:
            log.info("Portal is stopping; answers under way have %g seconds", patience)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._portal.busy and not self.should_exit:  # noqa: ASYNC110 -- looked at for seconds, once
                    await asyncio.sleep(_LOOK_SECONDS)
        self._leave()

    def read_settings(self) -> None:
        """Read them again soon, as services are told to."""
        self._portal.rereading.hurry()

    def _leave(self) -> None:
        self.should_exit = True
        self._portal.stop()


async def _serve(
    settings: Settings, called_as: str, levels: Levels, *, announced: bool, reread: Callable[[], Settings]
) -> None:
    me = f"Portal (process {os.getpid()})"
    certificate = _certificate(settings)
    with (
        lock_data_folder(settings.data_dir, me) as lock,
        listen(settings.server.host, settings.server.port, called_as=called_as) as listener,
    ):
        url = local_url(listener, "http" if certificate is None else "https")
        lock.describe(f"{me[:-1]}, {url})")
        async with open_portal(settings, reread=reread, levels=levels) as portal:
            file = ServerFile(
                pid=os.getpid(),
                url=url,
                token=portal.local_token,
                started_at=seconds(micros()),
                version=__version__,
                certificate="" if certificate is None else str(certificate.path.absolute()),
            )
            if certificate is not None:
                portal.health.add(certificate.check)
                portal.rereading.watch(Watched(lambda: certificate.watched, certificate.renew))
            server = _Server(portal, settings, certificate)
            await _run(server, listener, file, settings, called_as=called_as if announced else None)


def _certificate(settings: Settings) -> Certificate | None:
    """The one of the settings. Raises SettingsError where it cannot be used."""
    chosen = settings.server
    if chosen.tls_cert is None:
        if chosen.tls_key is not None:
            raise SettingsError("server.tls_key is set, and server.tls_cert is not: name the certificate as well")
        return None
    key = None if chosen.tls_key is None else chosen.tls_key.expanduser()
    return Certificate(chosen.tls_cert.expanduser(), key)


def _has_terminal() -> bool:
    """Whether SIGHUP means that the terminal was closed, rather than that somebody changed the settings."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def _run(
    server: _Server, listener: socket, file: ServerFile, settings: Settings, *, called_as: str | None
) -> None:
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, server.end)
    loop.add_signal_handler(signal.SIGHUP, server.end if _has_terminal() else server.read_settings)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        file.write(settings.data_dir)
        gc.freeze()  # what is there now stays: looking through it again and again would only hold answers up
        gc.set_threshold(_GC_YOUNG, 20, 20)
        draining = group.create_task(server.drained())
        try:
            with contextlib.ExitStack() as stack:
                if called_as and not await asyncio.to_thread(_announce, file, settings, called_as):
                    stack.enter_context(Lookout(file.client(), _tell_found))
                await serving
        finally:
            draining.cancel()
            file.remove(settings.data_dir)


def _announce(file: ServerFile, settings: Settings, called_as: str) -> bool:
    """False where somebody at a terminal has no model yet: it is told when there is one."""
    try:
        there = announce(
            file.client(),
            version=file.version,
            data_dir=str(settings.data_dir),
            called_as=called_as,
            stop="Ctrl+C",
            say=click.echo,
        )
    except PortalError as error:
        click.echo(f"  {error.message}", err=True)
        return True
    return there or not sys.stdout.isatty()


def _tell_found(seen: dict[str, Any]) -> None:
    click.echo(f"  Found    {found_by_now(seen)}\n")
