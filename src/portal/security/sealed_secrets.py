"""The secrets of servers that share a database: kept in it, each encrypted with the key of this installation, which is
never in it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from portal.errors import StorageError
from portal.extras import add_command
from portal.security.cipher import Cipher

log = logging.getLogger(__name__)

_SECONDS = 10.0
_PAUSE = 1.0


class Sealed(Protocol):
    """Where they are kept."""

    async def all(self) -> Mapping[str, str]:
        """Every one."""

    async def set(self, name: str, sealed: str | None) -> None:
        """Keep it, or forget it with None."""


class SealedSecrets:
    """Implements Secrets: read from memory, kept in the database. `run` keeps what is set."""

    def __init__(self, *, kept: Sealed, key: bytes) -> None:
        """`key` is that of the installation, 32 random bytes. Raises SettingsError where nothing can encrypt."""
        self._cipher = Cipher(key, install=f"`{add_command('postgres')}`")
        self._kept = kept
        self._known: dict[str, str] = {}
        self._unsaved: dict[str, str | None] = {}
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.changed: Callable[[], None] = lambda: None
        """Called when one was kept or forgotten here."""

    async def load(self) -> None:
        """Read them again. Raises StorageError; what cannot be unsealed is left out, and the log says so."""
        found = {}
        for name, sealed in (await self._kept.all()).items():
            try:
                found[name] = self._cipher.unseal(name, sealed)
            except ValueError:
                log.error("the secret %s was sealed with another key, and cannot be used", name)
        self._known = {**found, **{name: one for name, one in self._unsaved.items() if one is not None}}

    def get(self, name: str) -> str | None:
        """None when there is none."""
        return self._known.get(name)

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None. In a thread of its own it waits until that is done, and raises StorageError;
        within the event loop it is done as soon as can be."""
        before = self._known.get(name)
        if before == secret:
            return
        self._note(name, secret)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            keeping = asyncio.run_coroutine_threadsafe(self._keep(name, secret), self._loop)
            try:
                keeping.result(_SECONDS)
            except TimeoutError as error:
                self._note(name, before)
                raise StorageError("The secret could not be stored: the database does not answer.") from error
            except StorageError:
                self._note(name, before)
                raise
        else:
            self._unsaved[name] = secret
            self._news.set()

    def _note(self, name: str, secret: str | None) -> None:
        if secret is None:
            self._known.pop(name, None)
        else:
            self._known[name] = secret

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            for name, secret in list(self._unsaved.items()):
                try:
                    await self._keep(name, secret)
                except StorageError as error:
                    log.warning("the secret %s could not be stored, it will be tried again: %s", name, error)
                    await asyncio.sleep(_PAUSE)
                    self._news.set()
                    continue
                if self._unsaved.get(name, "") == secret:
                    del self._unsaved[name]

    async def _keep(self, name: str, secret: str | None) -> None:
        await self._kept.set(name, None if secret is None else self._cipher.seal(name, secret))
        self.changed()
