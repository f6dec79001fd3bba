"""Who may use Ollama's API: whoever has the token where there is one; else this machine's own programs, and keys."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable

from portal.errors import Forbidden, Unauthenticated
from portal.security.credentials import Caller, Credentials

_MANAGING = frozenset({"pull", "push", "delete", "copy", "create", "blobs"})
_USING = frozenset(("POST", f"/api/{name}") for name in ("chat", "generate", "embed", "embeddings", "show", "dry-run"))
_READING = frozenset({"GET", "HEAD"})


def manages(method: str, path: str) -> bool:
    """Whether a call changes which models are there, in whatever way its path is written; one that nobody knows may,
    unless it only reads."""
    parts = [part for part in path.lower().split("/") if part not in ("", ".", "..")]
    return not _MANAGING.isdisjoint(parts[1:2]) or (method not in _READING and (method, path) not in _USING)


class OllamaDoor:
    """Identifies the callers of `/api/`. Nothing that lets in here opens any other path."""

    def __init__(self, *, credentials: Credentials, token: str, loopback: bool) -> None:
        """`token` is empty where none is set; `loopback`: Portal listens on this machine only."""
        self._credentials = credentials
        self._token = _digest(token.encode()) if token else b""
        self._loopback = loopback

    async def identify(
        self, method: str, path: str, authorization: str, *, is_here: bool, by_key: Callable[[], Awaitable[Caller]]
    ) -> Caller:
        """The caller. `authorization` is that header; `is_here`: only a program of this machine can have sent this.

        Raises:
            Unauthenticated: the token, or a key, is missing or wrong.
            Forbidden: only an administrator may do this.
        """
        if self._token and self._is_token(authorization):
            return await self._credentials.as_owner("ollama")
        if self._token:
            raise Unauthenticated(
                "Ollama's API wants `Authorization: Bearer` with the token of the setting ollama.token."
            )
        try:
            caller = await by_key()
        except Unauthenticated as error:
            if manages(method, path):
                raise Unauthenticated(f"Changing models needs the key of an administrator. {error.message}") from error
            if not (self._loopback and is_here):
                raise
            return await self._credentials.as_owner("open")
        if manages(method, path) and not await self._credentials.is_admin(caller):
            raise Forbidden("Changing models needs the key of an administrator.")
        return caller

    def _is_token(self, authorization: str) -> bool:
        scheme, _, sent = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(_digest(sent.strip().encode("latin-1")), self._token)


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
