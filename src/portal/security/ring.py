"""The sealing key in the keyring of the operating system: of macOS, Windows, GNOME, KDE.

It moves there from its file, and back, when the settings say so. What is moved is read back before the other copy goes.
A mark in the data folder says that the keyring has it, so that a key is never made anew while the old one is only out
of reach.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from portal.errors import StorageError
from portal.extras import add_command
from portal.security.seal import fresh_key, load_key

if TYPE_CHECKING:
    import keyring

SERVICE = "portal"
_MARK = "seal.keyring"


def key_in_ring(folder: Path) -> bytes:
    """The key of the installation in this data folder: from the keyring, where it is put if it is not there yet.

    Raises:
        StorageError: the keyring cannot be reached, or does not have it although it should; says what to do.
    """
    file, mark = folder / "seal.key", folder / _MARK
    with _ring() as ring:
        kept = ring.get_password(SERVICE, _name(folder))
        if kept is None or file.exists():  # a file beside the mark is newer: a restore put it there
            if mark.exists() and not file.exists():
                raise _lost(folder)
            key = load_key(file) if file.exists() else fresh_key()
            ring.set_password(SERVICE, _name(folder), key.hex())
            kept = ring.get_password(SERVICE, _name(folder))
            if kept != key.hex():
                raise StorageError("The keyring does not give back what was put into it: use secrets.store = 'file'.")
    mark.touch(mode=0o600)
    file.unlink(missing_ok=True)
    return bytes.fromhex(kept)


def key_in_file(folder: Path) -> bytes:
    """The key from its file, where it is put if the keyring has it still. Raises StorageError."""
    file, mark = folder / "seal.key", folder / _MARK
    if not file.exists() and mark.exists():
        with _ring() as ring:
            kept = ring.get_password(SERVICE, _name(folder))
            if kept is not None:
                file.touch(mode=0o600)
                file.write_bytes(bytes.fromhex(kept))
    key = load_key(file)
    if mark.exists():
        _leave(folder)
    return key


def look(folder: Path) -> None:
    """Whether the keyring answers, and has the key if it should. Changes nothing. Raises StorageError."""
    if is_lost(folder):
        raise _lost(folder)


def is_lost(folder: Path) -> bool:
    """Whether the keyring should have it, answers, and has not. Raises StorageError."""
    with _ring() as ring:
        kept = ring.get_password(SERVICE, _name(folder))
    return kept is None and (folder / _MARK).exists() and not (folder / "seal.key").exists()


def forget_key(folder: Path) -> None:
    """Let go of it, wherever it is: the next start makes a new one. Raises StorageError where the keyring is away."""
    (folder / "seal.key").unlink(missing_ok=True)
    if (folder / _MARK).exists():
        _leave(folder)


def _leave(folder: Path) -> None:
    with _ring() as ring:
        kept = ring.get_password(SERVICE, _name(folder))
        (folder / _MARK).unlink()  # first: a mark without a key is a key that was lost
        if kept is not None:
            ring.delete_password(SERVICE, _name(folder))


def _lost(folder: Path) -> StorageError:
    where = f"{SERVICE}, {_name(folder)}"
    return StorageError(
        f"The sealing key should be in the keyring ({where}), and is not. Put it back, or make a new one with: "
        "portal reset-secrets"
    )


def _name(folder: Path) -> str:
    """Of one installation among several of one person."""
    return str(folder.resolve())


@contextmanager
def _ring() -> Iterator["keyring.backend.KeyringBackend"]:
    """The keyring in use; what it raises becomes a StorageError."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError as error:
        raise StorageError(
            f"secrets.store is 'keyring', and that needs a package that is not installed: {add_command('keyring')}"
        ) from error
    try:
        yield keyring.get_keyring()
    except (KeyringError, RuntimeError, OSError) as error:
        raise StorageError(
            f"The keyring of this system cannot be used ({error or type(error).__name__}). Unlock it, or start Portal "
            "in a session that has one; without one keep the key in a file: secrets.store = 'file'."
        ) from error
