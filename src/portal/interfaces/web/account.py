"""/portal/v1 for the person: who am I, keys, sessions, sign-in links, preferences, usage, and what just changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from portal import __version__
from portal.core.bus import Bus
from portal.core.items import JsonObject
from portal.core.ports import Users
from portal.errors import BadRequest, TooLarge
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.entrance import Entrance
from portal.interfaces.web.people import Bounds
from portal.interfaces.web.requests import Body, Moment, Who, stored
from portal.security.admission import COOKIE
from portal.security.credentials import Credentials
from portal.settings import ServerSettings

_PREFERENCES_LIMIT = 64 * 1024
_PING_SECONDS = 15.0
_LONGEST_NUMBER = 18
"""Digits of the number of an event; Python refuses to read thousands."""


class AboutMe(Body):
    """Only what is sent is changed; an empty `login` takes it away."""

    name: Annotated[str, Field(max_length=100)] | None = None
    login: Annotated[str, Field(max_length=200)] | None = None


class NewKey(Bounds):
    """A key's name, unique among one's keys, what bounds it, and when it ends."""

    name: Annotated[str, Field(max_length=200)]
    expires_at: Moment = None


def account_routes(
    *,
    users: Users,
    entrance: Entrance,
    server: ServerSettings,
    channels: Callable[[], Sequence[JsonObject]],
) -> APIRouter:
    """Routes about the caller. `channels` tells which there are."""
    router = LateRouter(prefix="/portal/v1", tags=["account"])

    @router.get("/me")
    async def me(who: Who, request: Request) -> JsonObject:
        return {
            "user": {**views.user(await users.get(who.owner)), "password": await entrance.passwords.has(who.owner)},
            "version": __version__,
            "guide_model": "portal-guide",
            "api_base": f"{str(request.base_url).rstrip('/')}/v1",
            "channels": [one["name"] for one in channels()],
            "limits": {"max_body": server.max_body, "max_upload": server.max_upload},
        }

    @router.patch("/me")
    async def change_me(who: Who, body: AboutMe) -> JsonObject:
        return views.user(await entrance.membership.rename(who, name=body.name, login=body.login))

    @router.put("/preferences")
    async def set_preferences(who: Who, preferences: JsonObject) -> JsonObject:
        try:
            size = len(orjson.dumps(preferences))
        except orjson.JSONEncodeError as error:
            raise BadRequest(f"Preferences that cannot be kept: {error}.") from error
        if size > _PREFERENCES_LIMIT:
            raise TooLarge("Preferences are limited to 64 kB.")
        await users.set_preferences(who.owner, preferences)
        return preferences

    @router.post("/sign-out")
    async def sign_out(who: Who, response: Response) -> JsonObject:
        if who.kind == "session":
            await entrance.credentials.revoke(who.owner, who.credential_id)
        response.delete_cookie(COOKIE)
        return {"signed_out": True}

    return router


def credential_routes(*, users: Users, credentials: Credentials, bus: Bus) -> APIRouter:
    """Routes of the caller's keys, sessions and sign-in links."""
    router = LateRouter(prefix="/portal/v1", tags=["account"])

    @router.get("/keys")
    async def list_keys(who: Who) -> JsonObject:
        return views.listing(views.credential(record) for record in await users.credentials(who.owner, "key"))

    @router.post("/keys", status_code=201)
    async def create_key(who: Who, body: NewKey) -> JsonObject:
        """Requests are those of a minute (`rate`) and calls of models of a day, tokens those of a day."""
        until = stored(body.expires_at)
        record, secret = await credentials.create_key(who.owner, body.name, terms=body.terms, expires_at=until)
        return {**views.credential(record), "key": secret}

    @router.get("/sessions")
    async def list_sessions(who: Who) -> JsonObject:
        rows = await users.credentials(who.owner, "session")
        return views.listing({**views.credential(row), "current": row.id == who.credential_id} for row in rows)

    @router.delete("/keys/{credential_id}")
    @router.delete("/sessions/{credential_id}")
    async def revoke(who: Who, credential_id: str) -> JsonObject:
        await credentials.revoke(who.owner, credential_id)
        bus.publish(who.owner, "credentials.changed")  # also ends the event streams of the revoked one
        return {"id": credential_id, "deleted": True}

    @router.post("/links", status_code=201)
    async def create_link(who: Who, request: Request) -> JsonObject:
        record, secret = await credentials.create_link(who.owner)
        url = f"{str(request.base_url).rstrip('/')}/sign-in?token={secret}"
        return {"url": url, "expires_at": views.credential(record)["expires_at"]}

    return router


def event_routes(*, bus: Bus) -> APIRouter:
    """`/portal/v1/events`: what changed, as server-sent events, until the client leaves or the server stops. Behind the
    number of `starting_after` or, as browsers send it, `Last-Event-ID`, what was missed comes first."""
    router = LateRouter(prefix="/portal/v1", tags=["events"])

    @router.get("/events")
    async def events(
        who: Who, starting_after: int | None = None, last_event_id: Annotated[str, Header()] = ""
    ) -> StreamingResponse:
        known = starting_after is None and last_event_id.isdecimal() and len(last_event_id) <= _LONGEST_NUMBER
        after = int(last_event_id) if known else starting_after
        return StreamingResponse(
            _changes(bus, who.owner, after), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    return router


async def _changes(bus: Bus, owner: str, after: int | None) -> AsyncIterator[bytes]:
    """Each change as a `data:` line, its number as `id:`; a comment every 15 s keeps the connection known as alive."""
    with bus.subscribe(owner, after) as changes:
        yield b": connected\n\n"
        while True:
            try:
                async with asyncio.timeout(_PING_SECONDS):
                    event = await changes.get()
            except TimeoutError:
                yield b": ping\n\n"
                continue
            if event is None:
                return
            number = b"id: %d\n" % event["sequence_number"] if "sequence_number" in event else b""
            yield b"%bdata: %b\n\n" % (number, orjson.dumps(event))
