"""Passkeys: signing in with one, and one's own."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from portal.core.items import JsonObject
from portal.core.people import PasskeyRecord
from portal.errors import PortalError
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.requests import Body, Who
from portal.interfaces.web.signing_in import device, set_session

Token = Annotated[str, Field(max_length=100)]


class PasskeyAnswer(Body):
    """What the browser made of the options, and the token that came with them."""

    token: Token
    credential: dict[str, Any]


class NewPasskey(PasskeyAnswer):
    """With a name to tell it from others."""

    name: Annotated[str, Field(max_length=100)] = ""


def passkey_sign_in_routes(*, entrance: Entrance) -> APIRouter:
    """Routes for whoever is not signed in."""
    router = LateRouter(prefix="/sign-in/passkey", tags=["sign-in"])

    @router.post("/options")
    async def options(request: Request) -> JsonObject:
        token, told = await entrance.passkeys.entering(origin=_origin(request))
        return {"token": token, "options": told}

    @router.post("")
    async def enter(request: Request, response: Response, body: PasskeyAnswer) -> JsonObject:
        try:
            user = await entrance.passkeys.enter(body.token, body.credential)
        except PortalError as error:
            await entrance.credentials.refused("passkey", code=error.code, device=device(request))
            raise
        _, secret = await entrance.credentials.open_session(user.id, device=device(request), way="passkey")
        set_session(request, response, secret)
        return {"signed_in": True}

    return router


def passkey_routes(*, entrance: Entrance) -> APIRouter:
    """Routes of the caller's own passkeys."""
    router = LateRouter(prefix="/portal/v1/me/passkeys", tags=["account"])

    @router.get("")
    async def list_passkeys(who: Who) -> JsonObject:
        return views.listing(map(_view, await entrance.kept_passkeys.list(who.owner)))

    @router.post("/options")
    async def passkey_options(who: Who, request: Request) -> JsonObject:
        user = await entrance.users.get(who.owner)
        token, told = await entrance.passkeys.adding(user, origin=_origin(request))
        return {"token": token, "options": told}

    @router.post("", status_code=201)
    async def add_passkey(who: Who, body: NewPasskey) -> JsonObject:
        return _view(await entrance.passkeys.add(who.owner, body.token, body.credential, name=body.name))

    @router.delete("/{passkey_id}")
    async def remove_passkey(who: Who, passkey_id: str) -> JsonObject:
        await entrance.kept_passkeys.remove(who.owner, passkey_id)
        return {"id": passkey_id, "deleted": True}

    return router


def _origin(request: Request) -> str:
    """The page's, which the browser signs: admission has checked the host it is at."""
    return str(request.base_url).rstrip("/")


def _view(record: PasskeyRecord) -> JsonObject:
    return {
        "id": record.id,
        "object": "portal.passkey",
        "name": record.name,
        "created_at": views.when(record.created_at),
        "last_used_at": views.when(record.last_used_at),
    }
