"""/portal/v1/users: the people of this installation, for those who run it. Admission keeps everybody else out."""

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from portal.core.bus import Bus
from portal.core.items import JsonObject
from portal.core.terms import Terms, checked
from portal.errors import BadRequest
from portal.interfaces.late import LateRouter
from portal.interfaces.web import views
from portal.interfaces.web.requests import Body, Who
from portal.security.people import Changes, Membership

Name = Annotated[str, Field(max_length=100)]
Login = Annotated[str, Field(max_length=200)]
GivenRole = Literal["admin", "member", "guest"]


class NewUser(Body):
    """Somebody new. With a `login` they can have a password; `invite` makes a link that signs them in."""

    name: Name
    login: Login = ""
    role: GivenRole = "member"
    invite: bool = True


class Bounds(Body):
    """What somebody may use beside what their role says, and how much of it; 0 is any number."""

    scopes: Annotated[tuple[Annotated[str, Field(max_length=300)], ...], Field(max_length=100)] = ()
    rate: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    requests: Annotated[int, Field(ge=0, le=2**53)] = 0
    tokens: Annotated[int, Field(ge=0, le=2**53)] = 0

    @property
    def terms(self) -> Terms:
        """Raises BadRequest."""
        return Terms(scopes=checked(self.scopes), rate=self.rate, requests=self.requests, tokens=self.tokens)


class UserChanges(Body):
    """Only what is sent is changed; an empty `login` takes it away."""

    name: Name | None = None
    login: Login | None = None
    role: GivenRole | None = None
    suspended: bool | None = None
    password: Annotated[str, Field(max_length=512)] | None = None
    limits: Bounds | None = None


def people_routes(*, membership: Membership, bus: Bus) -> APIRouter:
    """Routes of people. Each is managed by somebody above them."""
    router = LateRouter(prefix="/portal/v1/users", tags=["people"])

    @router.get("")
    async def list_users(who: Who) -> JsonObject:
        return views.listing(map(views.person, await membership.list()))

    @router.post("", status_code=201)
    async def create_user(who: Who, request: Request, body: NewUser) -> JsonObject:
        user = await membership.add(who, name=body.name, login=body.login, role=body.role)
        return {**views.person(user), **(await _invitation(who, request, user.id) if body.invite else {})}

    @router.get("/{user_id}")
    async def get_user(who: Who, user_id: str) -> JsonObject:
        return views.person(await membership.get(user_id))

    @router.patch("/{user_id}")
    async def change_user(who: Who, user_id: str, body: UserChanges) -> JsonObject:
        user = await membership.change(who, user_id, _changes(body))
        bus.publish(user_id, "credentials.changed")  # also ends the event streams of who was shut out
        return views.person(user)

    @router.delete("/{user_id}")
    async def delete_user(who: Who, user_id: str, heir: str = "", everything: bool = False) -> JsonObject:
        """With all that is theirs (`everything`), or after handing what they made to `heir`."""
        if bool(heir) == everything:
            raise BadRequest("Say who takes over what they made (heir), or that everything goes (everything).")
        await membership.remove(who, user_id, heir=heir or None)
        bus.publish(user_id, "credentials.changed")
        return {"id": user_id, "deleted": True}

    @router.post("/{user_id}/invitation", status_code=201)
    async def invite_user(who: Who, request: Request, user_id: str) -> JsonObject:
        return await _invitation(who, request, user_id)

    async def _invitation(who: Who, request: Request, user_id: str) -> JsonObject:
        token, until = await membership.invite(who, user_id)
        return {
            "url": f"{str(request.base_url).rstrip('/')}/sign-in?token={token}",
            "expires_at": views.when(until),
        }

    return router


def _changes(body: UserChanges) -> Changes:
    terms = body.limits.terms if body.limits else None
    return Changes(**body.model_dump(exclude={"limits"}), terms=terms)
