"""Signing in at an identity provider: OpenID Connect's authorization code flow, with PKCE, state and nonce."""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson

from portal.core.clock import seconds
from portal.core.items import JsonObject
from portal.errors import BadRequest, Unauthenticated
from portal.security.pending import Pending
from portal.settings.people import OidcSettings

if TYPE_CHECKING:
    import aiohttp

_SECONDS = 10
_LONGEST = 1_000_000
LEEWAY = 120
"""Seconds that the provider's clock may be off."""
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""All with a public key: what is signed with the client's secret, or not at all, is refused."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that is under way in one browser."""

    nonce: str
    verifier: str
    redirect: str


class Provider:
    """One identity provider. What it tells of itself is asked for when it is first used, and again for a new key."""

    def __init__(self, *, settings: OidcSettings, now: Any, pending: Pending[Begun] | None = None) -> None:
        """`now` gives microseconds UTC."""
        self._settings, self._now = settings, now
        self._pending = pending or Pending()
        self._about: JsonObject | None = None
        self._keys: JsonObject | None = None

    async def begin(self, redirect: str) -> tuple[str, str]:
        """Where the browser goes, and the state that it must bring back. Raises BadRequest."""
        about = await self._described()
        begun = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(48), redirect)
        state = await self._pending.begin(begun)
        digest = hashlib.sha256(begun.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(self._settings.scopes),
            "state": state,
            "nonce": begun.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        address = str(about["authorization_endpoint"])
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}", state

    async def finish(self, *, state: str, code: str, issuer: str | None) -> JsonObject:
        """The claims of who signed in. `issuer` is what came back with the code, where something did (RFC 9207).

        Raises:
            Unauthenticated: it was not begun here, is too old, done before, or what the provider says does not hold.
            BadRequest: the provider cannot be reached.
        """
        begun = await self._pending.finish(state)
        if begun is None:
            raise Unauthenticated("This sign-in was not begun here, or too long ago.", code="invalid_state")
        about = await self._described()
        if issuer is not None and issuer.rstrip("/") != self._settings.issuer:
            raise Unauthenticated("Another identity provider answered.", code="invalid_issuer")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": begun.redirect,
            "client_id": self._settings.client_id,
            "code_verifier": begun.verifier,
        }
        answer = await _fetch("POST", str(about["token_endpoint"]), form, authorization=self._login(about, form))
        claims = await self.verified(str(answer.get("id_token", "")), nonce=begun.nonce)
        return await self._with_more(claims, about, str(answer.get("access_token", "")))

    def _login(self, about: JsonObject, form: dict[str, str]) -> str:
        """How we say who we are: in the form where the provider says that it takes that, else in a header."""
        if self._settings.client_secret is None:
            return ""
        secret = self._settings.client_secret.get_secret_value()
        if "client_secret_post" in about.get("token_endpoint_auth_methods_supported", ()):
            form["client_secret"] = secret
            return ""
        pair = f"{quote_plus(self._settings.client_id)}:{quote_plus(secret)}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"

    async def verified(self, token: str, *, nonce: str) -> JsonObject:
        """The claims of an id token. Raises Unauthenticated."""
        from joserfc import jwk, jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        for fresh in (False, True):
            keys = jwk.KeySet.import_key_set(await self._signing_keys(fresh=fresh))  # type: ignore[arg-type]
            try:
                decoded = jwt.decode(token, keys, algorithms=_ALGORITHMS)
                self._check(decoded.claims, nonce)
            except InvalidKeyIdError as error:
                if not fresh:
                    continue  # its keys have changed
                raise _forged(error) from error
            except (JoseError, ValueError) as error:
                raise _forged(error) from error
            else:
                return dict(decoded.claims)
        raise AssertionError("unreachable")

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        from joserfc.jwt import JWTClaimsRegistry

        registry = JWTClaimsRegistry(
            now=seconds(self._now()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate({**claims, "iss": str(claims.get("iss", "")).rstrip("/")})
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", self._settings.client_id if not several else None) != self._settings.client_id:
            raise ValueError("it was made for another client")

    async def _with_more(self, claims: JsonObject, about: JsonObject, access_token: str) -> JsonObject:
        """Beside those of the token what the provider tells only when asked, if it is about the same person."""
        address = about.get("userinfo_endpoint")
        if not address or not access_token:
            return claims
        told = await _fetch("GET", str(address), None, authorization=f"Bearer {access_token}")
        return {**told, **claims} if told.get("sub") == claims["sub"] else claims

    async def _described(self) -> JsonObject:
        if self._about is None:
            about = await _fetch("GET", f"{self._settings.issuer}/.well-known/openid-configuration", None)
            if str(about.get("issuer", "")).rstrip("/") != self._settings.issuer:
                raise BadRequest(f"The identity provider calls itself {about.get('issuer')!r}: set issuer to that.")
            self._about = about
        return self._about

    async def _signing_keys(self, *, fresh: bool) -> JsonObject:
        if self._keys is None or fresh:
            self._keys = await _fetch("GET", str((await self._described())["jwks_uri"]), None)
        return self._keys


async def _fetch(
    method: str,
    url: str,
    form: Mapping[str, str] | None,
    *,
    authorization: str = "",
) -> JsonObject:
    import aiohttp  # large, and needed by those alone who sign in this way

    headers = {"Accept": "application/json", **({"Authorization": authorization} if authorization else {})}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as client,
            client.request(method, url, data=form, headers=headers, allow_redirects=False) as answer,
        ):
            found = orjson.loads(await _bounded(answer)) if answer.status == 200 else None
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise BadRequest(f"The identity provider does not answer at {url}.", code="oidc_unreachable") from error
    if not isinstance(found, dict):
        raise BadRequest(f"The identity provider answered with status {answer.status}.", code="oidc_refused")
    return found


async def _bounded(answer: "aiohttp.ClientResponse") -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_any():
        content += piece
        if len(content) > _LONGEST:
            raise ValueError("too long")
    return bytes(content)


def _forged(error: Exception) -> Unauthenticated:
    return Unauthenticated(f"What the identity provider says does not hold: {error}", code="invalid_id_token")
