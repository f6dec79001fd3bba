"""OAuth 2.1 for `/mcp`: Portal lets programs in that a person said yes to (RFC 6749, 7591, 7636, 8707, 9700).

What a program gets is a key of the person's: with scopes, good for an hour, for `/mcp` alone, and listed and revoked as
every other key. A refresh token, good once, gets it a new secret for the same key.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.oauth import Client, Clients, Refresh, Refreshes
from portal.core.terms import ADMIN, Terms, checked
from portal.errors import BadRequest, Conflict, NotFound
from portal.security.credentials import KEY_PREFIX, Credentials, hash_of
from portal.security.limiter import Limiter
from portal.security.pending import Pending
from portal.security.redirects import MOST, is_allowed, matches

SCOPE = "tools:*"
"""What a program gets that asks for nothing in particular: all the person may, but not to run this installation."""
ACCESS_SECONDS = 3600
REFRESH_SECONDS = 30 * 86_400
_MICROS = 1_000_000
_CLIENTS, _IDLE, _REGISTRATIONS = 500, 900 * _MICROS, 20
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
Refused = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_scope",
    "invalid_target",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_redirect_uri",
    "invalid_client_metadata",
]


class OAuthError(BadRequest):
    """A refusal with its code of OAuth."""

    def __init__(self, code: Refused, message: str) -> None:
        super().__init__(message, code=code)
        self.status = 401 if code == "invalid_client" else 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a program wants of a person."""

    client_id: str
    client_name: str
    redirect: str
    state: str
    challenge: str
    resource: str
    scopes: tuple[str, ...]
    owner: str = ""
    """Who is asked, and later who said yes."""

    def packed(self) -> JsonObject:
        """As it is kept."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def unpacked(cls, kept: JsonObject) -> "Asked":
        """As it was kept."""
        return cls(**{**kept, "scopes": tuple(kept["scopes"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What a program gets."""

    access: str
    refresh: str
    scopes: tuple[str, ...]
    seconds: int = ACCESS_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a code got."""

    owner: str
    key_id: str
    """Empty before there is one."""

    def packed(self) -> JsonObject:
        """As it is kept."""
        return {"owner": self.owner, "key_id": self.key_id}

    @classmethod
    def unpacked(cls, kept: JsonObject) -> "Spent":
        """As it was kept."""
        return cls(**kept)


class OAuth:
    """The authorization server. `questions` wait for a person, `codes` for the program; `spent` is there as soon as a
    code is, until it is brought again."""

    def __init__(
        self,
        *,
        clients: Clients,
        refreshes: Refreshes,
        credentials: Credentials,
        questions: Pending[Asked],
        codes: Pending[Asked],
        spent: Pending[Spent],
        limiter: Limiter,
    ) -> None:
        self._clients, self._refreshes, self._credentials = clients, refreshes, credentials
        self._questions, self._codes, self._spent, self._limiter = questions, codes, spent, limiter

    async def register(self, name: str, redirects: Sequence[str], *, address: str) -> Client:
        """A program makes itself known.

        Raises:
            OAuthError: an address that nobody may be sent to. RateLimited: too many register.
        """
        self._limiter.take(f"oauth {address}", _REGISTRATIONS)
        if not 0 < len(redirects) <= MOST or not all(is_allowed(one) for one in redirects):
            raise OAuthError(
                "invalid_redirect_uri",
                f"Name 1 to {MOST} redirect_uris: https, http on this machine, or a scheme of the program's own.",
            )
        now = micros()
        client = Client(
            id=new_id("client"), name=shown(name) or "A program without a name", redirects=redirects, created_at=now
        )
        await self._clients.add(client, most=_CLIENTS, idle_before=now - _IDLE)
        return client

    async def client(self, client_id: str, redirect: str) -> Client:
        """The program, if it may have people sent back there. Raises OAuthError: then nobody is sent anywhere."""
        client = await self._clients.get(client_id)
        if client is None:
            raise OAuthError("invalid_client", "This program is not registered here. Have it register anew.")
        if not matches(redirect, client.redirects):
            raise OAuthError("invalid_redirect_uri", "The program did not register the address it wants you sent to.")
        return client

    @staticmethod
    def asked(
        client: Client,
        *,
        redirect: str,
        kind: str,
        challenge: str,
        method: str,
        state: str,
        scope: str,
        resource: str,
        ours: str,
    ) -> Asked:
        """What it wants. `ours` is the address of the one resource there is. Raises OAuthError."""
        if kind != "code":
            raise OAuthError("unsupported_response_type", "response_type is code.")
        if method != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise OAuthError("invalid_request", "A code_challenge with code_challenge_method S256 is needed.")
        if resource and resource.rstrip("/") != ours:
            raise OAuthError("invalid_target", f"The resource here is {ours}.")
        return Asked(
            client_id=client.id,
            client_name=client.name,
            redirect=redirect,
            state=state,
            challenge=challenge,
            resource=ours,
            scopes=_scopes(scope),
        )

    async def ask(self, asked: Asked, owner: str) -> str:
        """The token by which this person answers, once."""
        return await self._questions.begin(replace(asked, owner=owner))

    async def answer(self, token: str, owner: str, *, scope: str | None) -> tuple[Asked, str]:
        """The person said yes with these scopes, or no with None: what it was about, and the code for the program.

        Raises:
            OAuthError: it was answered before, is too old, was asked of somebody else, or is no scope.
        """
        asked = await self._questions.finish(token)
        if asked is None or asked.owner != owner:
            raise OAuthError("invalid_request", "This was answered already, or is too old. Begin again in the program.")
        if scope is None:
            return asked, ""
        asked, code = replace(asked, scopes=_scopes(scope)), secrets.token_urlsafe(32)
        await self._spent.put(code, Spent(owner=owner, key_id=""))
        await self._codes.put(code, asked)
        return asked, code

    async def exchange(self, *, code: str, client_id: str, redirect: str, verifier: str, resource: str) -> Granted:
        """A code for a key. Raises OAuthError; for a code that comes again what it got is taken away."""
        asked = await self._codes.finish(code)
        if asked is None:
            await self._take_back(code)
            raise OAuthError("invalid_grant", "This code was used already, is too old, or was never given out.")
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        good = _VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(digest, asked.challenge)
        if asked.client_id != client_id or asked.redirect != redirect or not good:
            raise OAuthError("invalid_grant", "The code was given to another program, address or code_verifier.")
        if resource and resource.rstrip("/") != asked.resource:
            raise OAuthError("invalid_target", f"The code is for {asked.resource}.")
        granted, key_id = await self._granted(asked)
        if not await self._spent.change(code, Spent(owner=asked.owner, key_id=key_id)):  # it came again meanwhile
            await self._revoke(asked.owner, key_id)
            raise OAuthError("invalid_grant", "This code came twice at once.")
        return granted

    async def _granted(self, asked: Asked) -> tuple[Granted, str]:
        """A new key of the person's, named after the program."""
        now = micros()
        terms = Terms(scopes=asked.scopes)
        more = {"resource": asked.resource, "until": now + ACCESS_SECONDS * _MICROS}
        for number in range(1, 100):
            name = f"{asked.client_name} (MCP)" if number == 1 else f"{asked.client_name} (MCP {number})"
            try:
                key, secret = await self._credentials.create_key(
                    asked.owner, name, terms=terms, expires_at=now + REFRESH_SECONDS * _MICROS, more=more
                )
                break
            except Conflict:  # it was let in before, perhaps on another machine
                continue
        else:
            raise OAuthError("invalid_request", "This program was let in too often; revoke some of its keys first.")
        refresh = secrets.token_urlsafe(32)
        record = Refresh(owner=asked.owner, credential_id=key.id, client_id=asked.client_id, created_at=now)
        await self._refreshes.add(hash_of(refresh), record)
        return Granted(access=secret, refresh=refresh, scopes=asked.scopes), key.id

    async def _take_back(self, code: str) -> None:
        found = await self._spent.finish(code)
        if found is not None and found.key_id:
            await self._revoke(found.owner, found.key_id)

    async def refresh(self, *, token: str, client_id: str, scope: str, resource: str) -> Granted:
        """A new secret for the key that this token is for. Raises OAuthError; for a token that comes again the key is
        taken away: somebody else may have it."""
        found = await self._refreshes.get(hash_of(token))
        if found is None or found.client_id != client_id:
            raise OAuthError("invalid_grant", "This refresh token is not known. Sign in again.")
        key = await self._refreshes.key(found)
        if found.used_at is not None or key is None:
            await self._revoke(found.owner, found.credential_id)
            raise OAuthError("invalid_grant", "This refresh token is over. Sign in again.")
        scopes = Terms.of(key.terms).scopes
        if scope and not set(_scopes(scope)) <= set(scopes):
            raise OAuthError("invalid_scope", "A refresh token gets no more than was granted.")
        if resource and resource.rstrip("/") != key.terms["resource"]:
            raise OAuthError("invalid_target", f"The token is for {key.terms['resource']}.")
        now, access, following = micros(), KEY_PREFIX + secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        renewed = replace(
            key,
            hint=access[-4:],
            expires_at=now + REFRESH_SECONDS * _MICROS,
            terms={**key.terms, "until": now + ACCESS_SECONDS * _MICROS},
        )
        kept = await self._refreshes.rotate(
            hash_of(token),
            replace(found, created_at=now),
            next_hash=hash_of(following),
            key=renewed,
            key_hash=hash_of(access),
        )
        if not kept:
            await self._revoke(found.owner, found.credential_id)
            raise OAuthError("invalid_grant", "This refresh token is over. Sign in again.")
        return Granted(access=access, refresh=following, scopes=scopes)

    async def revoke(self, token: str, client_id: str) -> None:
        """The program gives back what it got, by either token; what is not its own stays (RFC 7009)."""
        found = await self._refreshes.get(hash_of(token))
        if found is None:
            key = await self._credentials.key_of(token)
            found = await self._refreshes.of_key(key.id) if key is not None else None
        if found is not None and found.client_id == client_id:
            await self._revoke(found.owner, found.credential_id)

    async def _revoke(self, owner: str, key_id: str) -> None:
        try:
            await self._credentials.revoke(owner, key_id)
        except NotFound:  # the person did already
            return


def shown(name: str) -> str:
    """What a program calls itself, as people see it."""
    return " ".join("".join(one for one in name if one.isprintable()).split())[:60]


def _scopes(scope: str) -> tuple[str, ...]:
    """Raises OAuthError."""
    try:
        found = checked(scope.split() or [SCOPE])
    except BadRequest as error:
        raise OAuthError("invalid_scope", error.message) from error
    if ADMIN in found:
        raise OAuthError("invalid_scope", "No program gets the scope admin this way.")
    return found
