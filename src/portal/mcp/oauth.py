"""Signing in at a remote server (OAuth 2.1), by the SDK's own client. Tokens are kept apart from the database."""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

import orjson
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import ValidationError

from portal.mcp.opening import Secrets
from portal.settings.mcp import ToolServerSettings


class SignInNeeded(Exception):
    """Nobody has signed in there yet, or it counts no more."""


class Tokens:
    """The SDK's storage of one server's tokens, as one secret."""

    def __init__(self, *, server: str, secrets: Secrets) -> None:
        self._name = secret_name(server)
        self._secrets = secrets

    def redirect(self) -> str:
        """The address that this installation is registered with there; empty when it is not."""
        return self._kept().get("redirect", "")

    async def begin(self, redirect: str) -> None:
        """Forget who is signed in; and the registration too, where it leads back to another address."""
        kept = {"redirect": redirect, "client": self._kept().get("client", "") if self.redirect() == redirect else ""}
        await self._keep(kept)

    async def get_tokens(self) -> OAuthToken | None:
        """See TokenStorage."""
        try:
            return OAuthToken.model_validate_json(self._kept().get("tokens", ""))
        except ValidationError:
            return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """See TokenStorage."""
        await self._keep({**self._kept(), "tokens": tokens.model_dump_json(exclude_none=True)})

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """See TokenStorage."""
        try:
            return OAuthClientInformationFull.model_validate_json(self._kept().get("client", ""))
        except ValidationError:
            return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """See TokenStorage."""
        await self._keep({**self._kept(), "client": client_info.model_dump_json(exclude_none=True)})

    def _kept(self) -> dict[str, str]:
        return dict(orjson.loads(self._secrets.get(self._name) or "{}"))

    async def _keep(self, kept: Mapping[str, str]) -> None:
        await asyncio.to_thread(self._secrets.set, self._name, orjson.dumps(kept).decode())


class SignIn:
    """One signing in, under way: where the person has to go, and what they come back with."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.address: asyncio.Future[str] = loop.create_future()
        self._answer: asyncio.Future[AuthorizationCodeResult] = loop.create_future()
        self.state = ""

    async def go(self, address: str) -> None:
        """The SDK found out where to go."""
        self.state = parse_qs(urlsplit(address).query).get("state", [""])[0]
        self.address.set_result(address)

    def come_back(self, *, code: str, state: str, iss: str | None) -> None:
        """The person was sent back."""
        if not self._answer.done():
            self._answer.set_result(AuthorizationCodeResult(code=code, state=state, iss=iss))

    async def answer(self) -> AuthorizationCodeResult:
        """Wait for that; the connection's own deadline ends it."""
        return await asyncio.shield(self._answer)


async def provider(
    settings: ToolServerSettings, tokens: Tokens, sign_in: SignIn | None, on_needed: Callable[[], None]
) -> OAuthClientProvider:
    """The SDK's client. Where it wants a person and no `sign_in` waits for one, `on_needed` is told.

    Raises:
        SignInNeeded: nobody ever signed in there.
    """
    if sign_in is None and await tokens.get_tokens() is None:
        raise SignInNeeded("a person has to sign in there first")

    if settings.client_id and await tokens.get_client_info() is None:
        await tokens.set_client_info(_registered(settings, tokens.redirect()))

    async def go(address: str) -> None:
        if sign_in is None or sign_in.address.done():
            on_needed()
            raise SignInNeeded("a person has to sign in there again")
        await sign_in.go(address)

    async def answer() -> AuthorizationCodeResult:
        assert sign_in is not None  # nobody else went
        return await sign_in.answer()

    return OAuthClientProvider(
        server_url=settings.url,
        client_metadata=OAuthClientMetadata(client_name="Portal", redirect_uris=[tokens.redirect()]),
        storage=tokens,
        redirect_handler=go,
        callback_handler=answer,
    )


def _registered(settings: ToolServerSettings, redirect: str) -> OAuthClientInformationFull:
    """What the owner was given when they registered Portal there by hand."""
    secret = settings.client_secret.get_secret_value() if settings.client_secret else None
    return OAuthClientInformationFull(
        client_id=settings.client_id,
        client_secret=secret,
        redirect_uris=[redirect],
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
    )


def secret_name(server: str) -> str:
    """Under which the tokens of a server are kept."""
    return f"mcp-oauth:{server}"
