"""A conversation shared by a link: made and revoked by its owner, read by whoever has the link, and by nobody else."""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from portal.core.clock import micros
from portal.core.items import JsonObject, text_of
from portal.core.ports import Conversations
from portal.core.records import TurnRecord
from portal.core.sharing import ShareRecord, Shares
from portal.errors import Forbidden, NotFound
from portal.interfaces.web import views
from portal.interfaces.web.pages import content_security_policy
from portal.interfaces.web.requests import Who

_PAGE = Path(__file__).parent / "static" / "share.html"
_AT_ONCE = 200


def share_routes(*, shares: Shares, conversations: Conversations, allowed: bool) -> APIRouter:
    """The owner's routes. With `allowed` off no link is made, and those that were made lead nowhere."""
    router = APIRouter(prefix="/portal/v1/conversations/{conversation_id}/share", tags=["conversations"])

    @router.get("")
    async def get_share(who: Who, conversation_id: str) -> JsonObject:
        await conversations.get(who.owner, conversation_id)
        found = await shares.of(who.owner, conversation_id)
        since = views.when(found.created_at) if found else None
        return {"conversation_id": conversation_id, "allowed": allowed, "shared_at": since if allowed else None}

    @router.post("", status_code=201)
    async def share_conversation(who: Who, request: Request, conversation_id: str) -> JsonObject:
        """The address is told this once; an earlier one ends."""
        if not allowed:
            raise Forbidden("Sharing is off here: people.sharing turns it on.", code="sharing_off")
        token, now = secrets.token_urlsafe(32), micros()
        await shares.save(ShareRecord(conversation_id=conversation_id, owner=who.owner, created_at=now), _hash(token))
        url = f"{str(request.base_url).rstrip('/')}/share/{token}"
        return {"conversation_id": conversation_id, "url": url, "shared_at": views.when(now)}

    @router.delete("")
    async def unshare_conversation(who: Who, conversation_id: str) -> JsonObject:
        await shares.remove(who.owner, conversation_id)
        return {"conversation_id": conversation_id, "deleted": True}

    return router


def shared_routes(*, shares: Shares, conversations: Conversations, allowed: bool) -> APIRouter:
    """Routes for whoever has a link."""
    router = APIRouter(prefix="/share", tags=["conversations"])
    html = _PAGE.read_text(encoding="utf-8")
    headers = {
        "content-security-policy": content_security_policy(html),
        "cache-control": "no-store",
        "x-robots-tag": "noindex, nofollow",
    }

    @router.get("/{token}")
    async def show_shared(token: str) -> Response:
        """The page; whether the link is good, it finds out itself."""
        return HTMLResponse(html, headers=headers)

    @router.get("/{token}/conversation")
    async def read_shared(token: str, response: Response) -> JsonObject:
        response.headers["cache-control"] = "no-store"
        found = await shares.by_token(_hash(token)) if allowed else None
        if found is None:
            raise NotFound("This link leads nowhere: it was revoked, or never was.")
        record = await conversations.get(found.owner, found.conversation_id)
        turns: list[TurnRecord] = []
        before: str | None = None
        while True:
            page = await conversations.turns(found.owner, found.conversation_id, before=before, limit=_AT_ONCE)
            turns[:0] = page.data
            if (before := page.next) is None:
                break
        said = [one for turn in turns if turn.response.created_at <= found.created_at for one in _said(turn)]
        return {"title": record.title, "shared_at": views.when(found.created_at), "messages": said}

    return router


def _said(turn: TurnRecord) -> Iterator[JsonObject]:
    """What was asked and answered, in words: no tools, no files, no reasoning, no names."""
    for stored in turn.items:
        item = stored.item
        if item.get("type") == "message" and item.get("role") in ("user", "assistant"):
            text = text_of(item)
            if text:
                yield {"role": item["role"], "text": text}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
