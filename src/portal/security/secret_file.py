"""Secrets that Portal must be able to read again, such as other servers' API keys: a file that only its owner can read,
apart from the database, so that neither the database nor a backup without a password holds them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from portal.errors import StorageError
from portal.security.cipher import Cipher

_SEALED = "sealed:"
"""What begins so is encrypted."""


class SecretFile:
    """Secrets by name in one small JSON file of mode 0600; written whole, then put in its place. Where the sealing key
    is in a keyring they are sealed with it; else they would be no safer, since the key would lie beside them."""

    def __init__(self, path: Path, *, cipher: Callable[[], Cipher] | None = None, sealed: bool = False) -> None:
        """`cipher` reads what is sealed in it, and with `sealed` everything is."""
        self._path, self._cipher, self._sealed = path, cipher, sealed

    def get(self, name: str) -> str | None:
        """None when there is none. Raises StorageError when the file cannot be read."""
        return self._read().get(name)

    def names(self) -> list[str]:
        """Of all that there are. Raises StorageError."""
        return sorted(self._kept())

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None. Raises StorageError; then the old ones are still there."""
        secrets = {**self._read(), name: secret}
        kept = {known: value for known, value in secrets.items() if value is not None}
        if kept != self._read():
            self.write(kept)

    def write(self, secrets: Mapping[str, str]) -> None:
        """Keep these, and no others. Raises StorageError."""
        self._write(orjson.dumps({name: self._shut(name, secret) for name, secret in secrets.items()}))

    def settle(self) -> None:
        """Seal what is not sealed, or the other way round, as it is to be now. Raises StorageError."""
        kept = self._kept()
        if any(value.startswith(_SEALED) != self._sealed for value in kept.values()):
            self.write(self._read())

    def opened(self) -> "SecretFile":
        """The same file with nothing in it sealed from now on: `settle` seals it again."""
        return SecretFile(self._path, cipher=self._cipher)

    def legible(self) -> dict[str, str]:
        """Those that no key is needed for. Raises StorageError."""
        return {name: value for name, value in self._kept().items() if not value.startswith(_SEALED)}

    def all(self) -> dict[str, str]:
        """All of them. Raises StorageError."""
        return self._read()

    def _shut(self, name: str, secret: str) -> str:
        return f"{_SEALED}{self._cipher().seal(name, secret)}" if self._sealed and self._cipher else secret

    def _read(self) -> dict[str, str]:
        return {name: self._opened(name, value) for name, value in self._kept().items()}

    def _opened(self, name: str, value: str) -> str:
        if not value.startswith(_SEALED):
            return value
        if self._cipher is None:
            raise StorageError(f"The secret {name} is sealed, and the key is not at hand.")
        try:
            return self._cipher().unseal(name, value.removeprefix(_SEALED))
        except ValueError as error:
            raise StorageError(
                f"The secret {name} in {self._path} was sealed with another key: set it again where it is from."
            ) from error

    def _kept(self) -> dict[str, str]:
        try:
            content = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError) as error:
            raise StorageError(f"The file of secrets {self._path} cannot be read: {error}.") from error
        if not isinstance(content, dict):
            raise StorageError(f"The file of secrets {self._path} is damaged.")
        return content

    def _write(self, content: bytes) -> None:
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with open(handle, "wb") as file:
                os.fchmod(handle, 0o600)
                file.write(content)
                file.flush()
                os.fsync(handle)
            draft.replace(self._path)
        except OSError as error:
            raise StorageError(f"The file of secrets {self._path} cannot be written: {error.strerror}.") from error
