"""Keys and links for the commands: through the running server, or straight in the database where none runs."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from portal.cli.client import Client, segment
from portal.cli.options import data_folder, read_settings
from portal.cli.server_file import ServerFile, running
from portal.errors import DataFolderBusy

if TYPE_CHECKING:
    import asyncio

    from portal.security.credentials import Credentials
    from portal.settings import Settings
    from portal.storage.open import Storage


STARTING_SECONDS = 3


class Door(Protocol):
    """What the commands do with credentials. All raise PortalError."""

    def create_key(self, name: str, bounds: dict[str, Any]) -> str:
        """A new key's secret. `bounds` are the fields of the API: scopes, rate, requests, tokens, expires_at."""

    def list_keys(self) -> list[dict[str, Any]]:
        """Each with id, name, hint, its bounds and last_used_at (Unix seconds or None)."""

    def revoke(self, key_id: str) -> None:
        """End a key."""

    def create_link(self) -> str:
        """The address that signs one browser in."""


@contextmanager
def open_door(data_dir: Path | None, settings: "Settings | None" = None) -> Iterator[Door]:
    """The server's door where one runs; else the database, held as a server would hold it.

    Raises:
        PortalError: someone holds the data folder and does not answer, or the database cannot be used.
    """
    from portal.storage.data_folder import lock_data_folder

    server = running(data_folder(data_dir))
    if server is None:
        settings = settings or read_settings(data_dir)
        try:
            with lock_data_folder(settings.data_dir, f"a command (process {os.getpid()})"):
                with _opened(settings) as door:
                    yield door
                return
        except DataFolderBusy:
            server = _starting(settings)
            if server is None:
                raise
    yield _Online(server.client())


def _starting(settings: "Settings") -> ServerFile | None:
    """A server that holds the folder says in a moment where it is."""
    deadline = time.monotonic() + STARTING_SECONDS
    while (server := running(settings.data_dir)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return server


@contextmanager
def _opened(settings: "Settings") -> Iterator[Door]:
    import asyncio

    from portal.security.credentials import Credentials
    from portal.storage.open import open_storage

    with asyncio.Runner() as runner:
        opened = open_storage(settings)
        storage = runner.run(opened.__aenter__())
        try:
            days = settings.server.session_days
            credentials = Credentials(users=storage.users, session_days=days, local_token="", audit=storage.audit)
            yield _Offline(runner, storage, credentials, url=f"http://127.0.0.1:{settings.server.port}")
        finally:
            runner.run(opened.__aexit__(None, None, None))


class _Online:
    def __init__(self, client: Client) -> None:
        self._client = client

    def create_key(self, name: str, bounds: dict[str, Any]) -> str:
        return str(self._client.send("POST", "/portal/v1/keys", {"name": name, **bounds})["key"])

    def list_keys(self) -> list[dict[str, Any]]:
        return list(self._client.get("/portal/v1/keys")["data"])

    def revoke(self, key_id: str) -> None:
        self._client.send("DELETE", f"/portal/v1/keys/{segment(key_id)}")

    def create_link(self) -> str:
        return str(self._client.send("POST", "/portal/v1/links")["url"])


class _Offline:
    def __init__(self, runner: "asyncio.Runner", storage: "Storage", credentials: "Credentials", *, url: str) -> None:
        self._runner = runner
        self._users = storage.users
        self._credentials = credentials
        self._url = url
        self._owner = runner.run(self._users.owner()).id

    def create_key(self, name: str, bounds: dict[str, Any]) -> str:
        from portal.core.terms import Terms, checked

        terms = Terms.of({**bounds, "scopes": checked(bounds.get("scopes", ()))})
        until = round(bounds["expires_at"] * 1_000_000) if "expires_at" in bounds else None
        making = self._credentials.create_key(self._owner, name, terms=terms, expires_at=until)
        return self._runner.run(making)[1]

    def list_keys(self) -> list[dict[str, Any]]:
        from portal.interfaces.web.views import credential

        return [credential(record) for record in self._runner.run(self._users.credentials(self._owner, "key"))]

    def revoke(self, key_id: str) -> None:
        self._runner.run(self._credentials.revoke(self._owner, key_id))

    def create_link(self) -> str:
        _, token = self._runner.run(self._credentials.create_link(self._owner))
        return f"{self._url}/sign-in?token={token}"
