"""A stream under a password: argon2id makes the key, AES-256-GCM seals pieces of a mebibyte.

The nonce of each piece has its number and whether it is the last one, so that pieces can be neither exchanged, left
out nor cut off; everything in clear before them is bound to each. See "STREAM" (Hoang, Reyhanitabar, Rogaway, Vizár).
"""

import hashlib
import hmac
import os
from typing import BinaryIO, Protocol

import orjson

from portal.errors import BackupUnusable, NotInstalled
from portal.extras import add_command
from portal.storage.backups.manifest import Head, changed, cut_short, decoded_head

MAGIC = b"PORTAL-BACKUP-SEALED\n"
PIECE = 2**20
TAG = 16
_LONGEST_HEAD = 2**16
_MEMORY_KIB, _TIMES, _LANES = 2**16, 3, 4
_MOST_MEMORY_KIB, _MOST_TIMES = 2**21, 64
"""More than that no backup of ours asks for."""


class Cipher(Protocol):
    """Of the library: seals and opens one piece."""

    def encrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        """With its tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Raises the library's InvalidTag."""


class Sink(Protocol):
    """What sealed bytes go to."""

    def write(self, data: bytes, /) -> int:
        """All of it. Raises OSError."""


def require_library() -> None:
    """Raises NotInstalled where no library for it is there."""
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    except ImportError as error:
        raise NotInstalled(f"A password needs the extra `encryption`: {add_command('encryption')}") from error


def _key(password: str, asked: dict[str, object]) -> tuple[Cipher, str]:
    """The cipher, and what tells a wrong password from a damaged file."""
    require_library()
    from argon2.low_level import Type, hash_secret_raw
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    memory, times, lanes = (int(str(asked[name])) for name in ("memory_kib", "times", "lanes"))
    if not (8 * lanes <= memory <= _MOST_MEMORY_KIB and 0 < times <= _MOST_TIMES and 0 < lanes <= 16):
        raise changed("its beginning asks for an impossible key")
    salt = bytes.fromhex(str(asked["salt"]))
    raw = hash_secret_raw(password.encode("utf-8"), salt, times, memory, lanes, 64, Type.ID)
    return AESGCM(raw[:32]), hashlib.sha256(raw[32:]).hexdigest()


class Sealer:
    """Writes to a file; `close` writes the last piece. The file stays open."""

    def __init__(self, file: Sink, head: Head, password: str) -> None:
        """Writes the head. Raises NotInstalled."""
        asked: dict[str, object] = {
            "salt": os.urandom(16).hex(),
            "memory_kib": _MEMORY_KIB,
            "times": _TIMES,
            "lanes": _LANES,
        }
        self._cipher, check = _key(password, asked)
        self._prefix = os.urandom(7)
        clear = orjson.dumps({"head": head, "key": asked, "check": check, "nonce": self._prefix.hex()})
        self._bound = hashlib.sha256(clear).digest()
        self._file, self._waiting, self._number, self._taken = file, bytearray(), 0, 0
        file.write(MAGIC + len(clear).to_bytes(4, "big") + clear)

    def write(self, data: bytes | memoryview) -> int:
        """All of it, sooner or later."""
        self._waiting += data
        done = 0
        with memoryview(self._waiting) as waiting:
            while len(waiting) - done > PIECE:
                self._put(waiting[done : done + PIECE], last=False)
                done += PIECE
        del self._waiting[:done]
        self._taken += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes it was handed."""
        return self._taken

    def close(self) -> None:
        """The rest, marked as the end."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, piece: bytes | memoryview, *, last: bool) -> None:
        nonce = self._prefix + self._number.to_bytes(4, "big") + bytes([last])
        self._file.write(self._cipher.encrypt(nonce, piece, self._bound))
        self._number += 1


def sealed_head(file: BinaryIO) -> Head:
    """The head of a sealed file that is read from its beginning. Raises BackupUnusable."""
    return _clear(file)[0]


def _clear(file: BinaryIO) -> tuple[Head, dict[str, object], bytes]:
    size = file.read(len(MAGIC) + 4)[len(MAGIC) :]
    length = int.from_bytes(size, "big")
    content = file.read(min(length, _LONGEST_HEAD))
    if len(size) < 4 or len(content) < length:
        raise cut_short()
    try:
        read = orjson.loads(content)
        return decoded_head(orjson.dumps(read["head"])), read, hashlib.sha256(content).digest()
    except (ValueError, KeyError, TypeError) as error:
        raise changed("its beginning cannot be read") from error


class Opener:
    """Reads what a Sealer wrote; nothing is handed out that was not made under the password."""

    def __init__(self, file: BinaryIO, password: str) -> None:
        """Reads the head. Raises BackupUnusable, also for a wrong password, and NotInstalled."""
        self.head, read, self._bound = _clear(file)
        try:
            self._cipher, check = _key(password, read["key"])  # type: ignore[arg-type]
            self._prefix = bytes.fromhex(str(read["nonce"]))
            right = hmac.compare_digest(check, str(read["check"]))
        except (ValueError, KeyError, TypeError) as error:
            raise changed("its beginning cannot be read") from error
        if not right:
            raise BackupUnusable("The password is not the one that this backup was made with.", code="wrong_password")
        self._file, self._next, self._number = file, file.read(PIECE + TAG), 0
        self._ready, self._ended = bytearray(), False

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end only. Raises BackupUnusable."""
        while len(self._ready) < size and not self._ended:
            self._ready += self._piece()
        out = bytes(self._ready[:size])
        del self._ready[:size]
        return out

    def _piece(self) -> bytes:
        from cryptography.exceptions import InvalidTag

        sealed, self._next = self._next, self._file.read(PIECE + TAG)
        self._ended = not self._next
        nonce = self._prefix + self._number.to_bytes(4, "big") + bytes([self._ended])
        self._number += 1
        try:
            return self._cipher.decrypt(nonce, sealed, self._bound)
        except InvalidTag as error:
            raise cut_short() if self._ended else changed(f"piece {self._number} of it") from error
