"""/portal/v1/channels: how they are, who is linked, codes, requests and chats; and what platforms post to /channels."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Request, Response
from pydantic import Field

from portal.channels.house import Channels
from portal.channels.places import room_of, target_of
from portal.core.channel_stores import ChatRecord, LinkRecord, PairingRecord
from portal.core.channels import HookRequest
from portal.core.items import JsonObject
from portal.errors import Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Who
from portal.security.credentials import Caller

Target = Annotated[str, Field(min_length=1, max_length=500)]


class PairingVerdict(Body):
    """Whether somebody who asked is let in, as the caller."""

    approve: bool


class Continue(Body):
    """A conversation, and the chat in which it is to go on."""

    conversation_id: str
    target: Target


class ChatChanges(Body):
    """Only what is sent is changed."""

    target: Target
    mode: Literal["mentioned", "always"] | None = None
    model: Annotated[str, Field(max_length=200)] | None = None


def channel_routes(*, channels: Channels, is_admin: Callable[[Caller], Awaitable[bool]]) -> APIRouter:
    """Routes of channels. Those who run this installation let people in."""
    router = LateRouter(prefix="/portal/v1/channels", tags=["channels"])

    async def may_admit(caller: Caller) -> None:
        if not await is_admin(caller):
            raise Forbidden("Only those who run this installation can let people in.")

    @router.get("")
    async def list_channels(who: Who) -> JsonObject:
        return views.listing(channels.status())

    @router.get("/links")
    async def list_links(who: Who) -> JsonObject:
        return views.listing(_link(record) for record in await channels.links.list(who.owner))

    @router.delete("/links/{link_id}")
    async def remove_link(who: Who, link_id: str) -> JsonObject:
        await channels.unlink(who.owner, link_id)
        return {"id": link_id, "deleted": True}

    @router.post("/codes", status_code=201)
    async def make_code(who: Who) -> JsonObject:
        code, until = await channels.linking.offer(who.owner)
        invitations = channels.invitations(code)
        return {
            "code": code,
            "expires_at": views.when(until),
            "invitations": [{"channel": name, "url": url} for name, url in invitations.items()],
        }

    @router.get("/pairings")
    async def list_pairings(who: Who) -> JsonObject:
        await may_admit(who)
        return views.listing(_pairing(record) for record in await channels.pairing.pending())

    @router.post("/pairings/{pairing_id}")
    async def decide_pairing(who: Who, pairing_id: str, body: PairingVerdict) -> JsonObject:
        await may_admit(who)
        return _pairing(await channels.approve(who.owner, pairing_id, body.approve))

    @router.get("/chats")
    async def list_chats(who: Who) -> JsonObject:
        return views.listing(_chat(record) for record in await channels.chats.list(who.owner))

    @router.patch("/chats")
    async def change_chat(who: Who, body: ChatChanges) -> JsonObject:
        return _chat(await channels.places.change(who.owner, body.target, mode=body.mode, model=body.model))

    @router.get("/targets")
    async def list_targets(who: Who) -> JsonObject:
        found = await channels.targets(who.owner)
        return views.listing({"target": target, "title": title} for target, title in found)

    @router.post("/continue")
    async def continue_conversation(who: Who, body: Continue) -> JsonObject:
        await channels.move_to(who.owner, body.conversation_id, body.target)
        return {"conversation_id": body.conversation_id, "target": body.target}

    return router


def hook_routes(*, channels: Channels) -> APIRouter:
    """What platforms post to. Each verifies by itself who it is."""
    router = LateRouter(tags=["channels"])

    @router.post("/channels/{name}")
    async def receive(request: Request, name: str) -> Response:
        """Events of a chat platform, in its own format and under its own signature."""
        asked = HookRequest(headers=dict(request.headers), body=await request.body(), query=dict(request.query_params))
        reply = await channels.receive(name, asked)
        return Response(reply.body, status_code=reply.status, media_type=reply.content_type)

    return router


def _link(record: LinkRecord) -> JsonObject:
    return {
        "id": record.id,
        "object": "portal.channel_link",
        "channel": record.channel,
        "sender": record.sender.id,
        "name": record.sender.name,
        "direct": bool(record.chat),
        "created_at": views.when(record.created_at),
    }


def _pairing(record: PairingRecord) -> JsonObject:
    return {
        "id": record.id,
        "object": "portal.channel_pairing",
        "channel": record.place.channel,
        "sender": record.sender.id,
        "name": record.sender.name,
        "place": record.place.title,
        "status": record.status,
        "created_at": views.when(record.created_at),
    }


def _chat(record: ChatRecord) -> JsonObject:
    return {
        "object": "portal.channel_chat",
        "channel": record.place.channel,
        "target": target_of(record.place),
        "room": target_of(room_of(record.place)),
        "title": record.place.title,
        "direct": record.place.direct,
        "conversation_id": record.conversation_id,
        "model": record.model,
        "mode": record.mode,
        "changed_at": views.when(record.changed_at),
    }
