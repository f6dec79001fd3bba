"""Short secrets, encrypted with the key of this installation, each bound to its name (AES-256 in GCM)."""

import base64
import binascii
import hashlib
import hmac
import os

from portal.errors import SettingsError

_NONCE = 12


class Cipher:
    """Seals with one key."""

    def __init__(self, key: bytes, *, install: str) -> None:
        """`key` is that of the installation, 32 random bytes; `install` is the command that adds what encrypts. Raises
        SettingsError where that is not there."""
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise SettingsError(f"Sealing secrets needs a package that is not installed: {install}") from error
        self._cipher = AESGCM(hmac.new(key, b"portal secrets", hashlib.sha256).digest())

    def seal(self, name: str, secret: str) -> str:
        """As it may be kept by others."""
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, secret.encode("utf-8"), name.encode("utf-8"))
        return base64.b64encode(nonce + sealed).decode("ascii")

    def unseal(self, name: str, sealed: str) -> str:
        """The secret. Raises ValueError where it was sealed with another key, or under another name."""
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.b64decode(sealed, validate=True)
            return self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], name.encode("utf-8")).decode("utf-8")
        except (InvalidTag, binascii.Error) as error:
            raise ValueError(name) from error
