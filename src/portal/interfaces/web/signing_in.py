"""Signing in to the page: the ways there are, and a password. No key or session comes with these: each checks by
itself. They take JSON alone, which no form of another page can send, and admission checks the origin."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field

from portal.core.items import JsonObject
from portal.errors import Unauthenticated
from portal.interfaces.late import LateRouter
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.requests import Body, Who
from portal.security.admission import COOKIE

COOKIE_SECONDS = 400 * 86_400
"""As long as browsers keep one; when a session ends, the server decides."""


class ByPassword(Body):
    """A sign-in name or e-mail address, and the password."""

    login: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=512)]


class NewPassword(Body):
    """The current one is asked for where there is one."""

    current: Annotated[str, Field(max_length=512)] = ""
    password: Annotated[str, Field(max_length=512)]


def set_session(request: Request, response: Response, secret: str) -> None:
    """The cookie of a session that has just begun."""
    response.set_cookie(
        COOKIE,
        secret,
        max_age=COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def device(request: Request) -> str:
    """What the list of sessions calls this browser."""
    return request.headers.get("user-agent", "")


def address(request: Request) -> str:
    """Where it comes from, as far as a trusted proxy tells."""
    return request.client.host if request.client else ""


def sign_in_routes(*, entrance: Entrance) -> APIRouter:
    """Routes for whoever is not signed in."""
    router = LateRouter(prefix="/sign-in", tags=["sign-in"])

    @router.get("/ways")
    async def list_ways() -> JsonObject:
        named = [{"name": name, "label": one.label or name} for name, (one, _) in entrance.providers.items()]
        return {
            "password": await entrance.kept_passwords.any(),
            "passkey": entrance.passkeys.there and await entrance.kept_passkeys.any(),
            "oidc": named,
        }

    @router.post("/password")
    async def by_password(request: Request, response: Response, body: ByPassword) -> JsonObject:
        browser = device(request)
        try:
            entered = await entrance.passwords.enter(body.login, body.password, address=address(request))
            _, secret = await entrance.credentials.open_session(
                entered.user.id, device=browser, way="password", holds=lambda: entrance.passwords.holds(entered)
            )
        except Unauthenticated:
            told = {"login": body.login[:100], "address": address(request)}
            await entrance.credentials.refused("password", device=browser, **told)
            raise
        set_session(request, response, secret)
        return {"signed_in": True}

    return router


def password_routes(*, entrance: Entrance) -> APIRouter:
    """Routes of the caller's own password."""
    router = LateRouter(prefix="/portal/v1/me", tags=["account"])

    @router.put("/password")
    async def set_password(who: Who, body: NewPassword) -> JsonObject:
        """Ends the other sessions. Whoever has this machine need not know the current one."""
        current = None if who.kind == "local" else body.current
        await entrance.passwords.change(who.owner, new=body.password, current=current)
        ended = await entrance.credentials.sign_out_everywhere(who.owner, but=who.credential_id)
        return {"changed": True, "signed_out": ended}

    @router.post("/sign-out-everywhere")
    async def sign_out_everywhere(who: Who) -> JsonObject:
        """All browsers but this one."""
        return {"signed_out": await entrance.credentials.sign_out_everywhere(who.owner, but=who.credential_id)}

    return router
