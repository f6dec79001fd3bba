"""/portal/v1/approvals, /portal/v1/grants and /portal/v1/audit: what people are asked, allowed for longer, and did."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from portal.core.approvals import ApprovalStatus, Decision, Extent
from portal.core.audit import Place, line
from portal.core.bus import Bus
from portal.core.items import JsonObject
from portal.core.tool_ports import Approvals, Audit, Grants
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.turns import DOORS
from portal.interfaces.web import views
from portal.interfaces.web.ports import Deciding, Tools
from portal.interfaces.web.requests import Body, Limit, Who


class Verdict(Body):
    """Yes or no. `extent` is how far a yes goes, `arguments` are run instead of those asked for, `answer` is the answer
    to a question, or why not; `content` fills in the form of a tool server."""

    approve: bool
    extent: Extent = "once"
    arguments: JsonObject | None = None
    answer: Annotated[str, Field(max_length=100_000)] = ""
    content: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approving:
    """What is asked, allowed and done, and who is told of decisions."""

    approvals: Approvals
    grants: Grants
    audit: Audit
    audit_days: Callable[[], int]
    """After how many its lines are deleted by now, 0 for never."""
    deciding: Deciding
    tools: Tools


def approval_routes(*, approvals: Approvals, deciding: Deciding) -> APIRouter:
    """Routes of questions to the caller."""
    router = LateRouter(prefix="/portal/v1/approvals", tags=["approvals"])

    @router.get("")
    async def list_approvals(
        who: Who, status: ApprovalStatus | None = None, limit: Limit = 50, cursor: str | None = None
    ) -> JsonObject:
        found = await approvals.list(who.owner, status=status, limit=limit, cursor=cursor)
        return views.page(found, views.approval)

    @router.get("/{approval_id}")
    async def get_approval(who: Who, approval_id: str) -> JsonObject:
        return views.approval(await approvals.get(who.owner, approval_id))

    @router.post("/{approval_id}")
    async def decide_approval(who: Who, approval_id: str, body: Verdict) -> JsonObject:
        said = body.model_dump(exclude={"content"})
        if body.content is not None:
            said["answer"] = json.dumps(body.content, ensure_ascii=False)
        decision = Decision(**said, by=who.owner, door=DOORS[who.kind])
        response_id = await deciding.decide(who.owner, {approval_id: decision})
        decided = await approvals.get(who.owner, approval_id)
        return {"approval": views.approval(decided), "response_id": response_id}

    return router


def grant_routes(*, grants: Grants, audit: Audit, audit_days: Callable[[], int], bus: Bus) -> APIRouter:
    """Routes of what the caller allowed for longer, and of the audit."""
    router = LateRouter(prefix="/portal/v1", tags=["approvals"])

    @router.get("/grants")
    async def list_grants(who: Who) -> JsonObject:
        return views.listing(views.grant(record) for record in await grants.list(who.owner))

    @router.delete("/grants/{grant_id}")
    async def remove_grant(who: Who, grant_id: str) -> JsonObject:
        await grants.remove(who.owner, grant_id)
        detail = {"door": DOORS[who.kind]}
        await audit.record(line(who.owner, "grant.removed", grant_id, detail))
        bus.publish(who.owner, "grants.changed", id=grant_id)
        return {"id": grant_id, "deleted": True}

    @router.get("/audit")
    async def list_audit(who: Who, limit: Limit = 100, cursor: str | None = None) -> JsonObject:
        return views.page(await audit.list(who.owner, limit=limit, cursor=cursor), views.audit)

    @router.get("/audit/log")
    async def whole_audit(limit: Limit = 100, cursor: str | None = None) -> JsonObject:
        return views.page(await audit.whole(limit=limit, cursor=cursor), views.audit)

    @router.get("/audit/verification")
    async def verify_audit(anchor: Annotated[str, Field(max_length=110)] = "") -> JsonObject:
        place = Place.read(anchor) if anchor else None
        return views.verified(await audit.verify(place, days=audit_days()))

    return router
