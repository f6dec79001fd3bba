"""Sealed text: readable by Portal, not forgeable by anyone else.

A token is `portal1.` + base64url(text) + `.` + base64url(HMAC-SHA256 over the part before it). The text is the user's
own, so it is signed rather than encrypted: what must hold is that no client can put words into a summary.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path

from portal.errors import BadRequest, SettingsError, StorageError

_VERSION = "portal1"
_KEY_BYTES = 32


class SignedSealer:
    """Seals with one key."""

    def __init__(self, *, key: bytes) -> None:
        """`key` is 32 random bytes."""
        self._key = key

    def seal(self, text: str) -> str:
        """An opaque token."""
        body = f"{_VERSION}.{_encode(text.encode('utf-8'))}"
        return f"{body}.{_encode(self._sign(body))}"

    def unseal(self, token: str) -> str:
        """The text. Raises BadRequest for a token that this installation did not make."""
        body, _, signature = token.rpartition(".")
        try:
            genuine = body.startswith(f"{_VERSION}.") and hmac.compare_digest(_decode(signature), self._sign(body))
            if genuine:
                return _decode(body.removeprefix(f"{_VERSION}.")).decode("utf-8")
        except (binascii.Error, UnicodeError, ValueError) as error:
            raise _foreign() from error
        raise _foreign()

    def _sign(self, body: str) -> bytes:
        return hmac.new(self._key, body.encode("utf-8"), hashlib.sha256).digest()


def _foreign() -> BadRequest:
    return BadRequest(
        "This compaction item was not made by this Portal.", param="input", code="invalid_encrypted_content"
    )


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_of(written: str) -> bytes:
    """The key that the settings name. Raises SettingsError."""
    try:
        key = bytes.fromhex(written)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SettingsError("seal_key: 64 hexadecimal digits are needed, such as `openssl rand -hex 32` makes.")
    return key


def fingerprint(key: bytes) -> str:
    """Tells two keys apart, and nothing about either."""
    return hmac.new(key, b"portal seal key", hashlib.sha256).hexdigest()


def fresh_key() -> bytes:
    """A new one."""
    return secrets.token_bytes(_KEY_BYTES)


def load_key(path: Path) -> bytes:
    """The key kept in this 0600 file, made at the first call.

    Raises:
        StorageError: the file cannot be read or written, or does not hold a key.
    """
    try:
        if not path.exists():
            fresh = path.with_suffix(f".{secrets.token_hex(4)}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(fresh_key())
            fresh.replace(path)
        key = path.read_bytes()
    except OSError as error:
        raise StorageError(f"The key file {path} cannot be used: {error.strerror}.") from error
    if len(key) != _KEY_BYTES:
        raise StorageError(f"The key file {path} is damaged. Remove it: what was sealed with it cannot be read again.")
    return key
