"""Secrets that Portal must be able to read again, such as other servers' API keys: a file that only its owner can read,
apart from the database, so that neither the database nor a backup without a password holds them."""

import os
from pathlib import Path

import orjson

from portal.errors import StorageError


class SecretFile:
    """Secrets by name in one small JSON file of mode 0600; written whole, then put in its place."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> str | None:
        """None when there is none. Raises StorageError when the file cannot be read."""
        return self._read().get(name)

    def names(self) -> list[str]:
        """Of all that there are. Raises StorageError."""
        return sorted(self._read())

    def set(self, name: str, secret: str | None) -> None:
        """Keep it, or forget it with None. Raises StorageError; then the old ones are still there."""
        secrets = {**self._read(), name: secret}
        kept = {known: value for known, value in secrets.items() if value is not None}
        if kept != self._read():
            self._write(orjson.dumps(kept))

    def _read(self) -> dict[str, str]:
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
