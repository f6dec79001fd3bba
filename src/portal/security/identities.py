"""From what an identity provider says of somebody to who that is here."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.people import RANKS, Identities, People
from portal.core.ports import Users
from portal.core.records import Role, UserRecord
from portal.errors import Conflict, Forbidden
from portal.security.credentials import Credentials
from portal.settings.people import OidcSettings


class Acquaintance:
    """Knows people by their identity, or makes their acquaintance where the settings say so."""

    def __init__(self, *, identities: Identities, people: People, users: Users, credentials: Credentials) -> None:
        self._identities, self._people, self._users = identities, people, users
        self._credentials = credentials

    async def of(self, claims: Mapping[str, Any], settings: OidcSettings) -> UserRecord:
        """Who that is, with the role that their groups give.

        Raises:
            Forbidden: nobody is known by it and nobody new is let in, they lack the group, or they are suspended.
        """
        groups = _groups(claims.get(settings.groups_claim))
        if settings.required_group and settings.required_group not in groups:
            raise Forbidden("Your account is not in the group that may use this Portal.", code="not_in_group")
        role = _role(groups, settings)
        user = await self._known(claims, settings) or await self._new(claims, settings, role or settings.default_role)
        if user.suspended_at is not None:
            raise Forbidden("Your account is suspended here.", code="suspended")
        if role is not None and user.role not in (role, "owner"):
            before, user = user, replace(user, role=role)
            await self._people.save(user, before=before)
            self._credentials.shut_out(user.id)
        return user

    async def _known(self, claims: Mapping[str, Any], settings: OidcSettings) -> UserRecord | None:
        subject = str(claims["sub"])
        found = await self._identities.find(settings.issuer, subject)
        if found is not None:
            return await self._users.get(found)
        email = str(claims.get("email") or "").strip().lower()
        if not settings.match_email or not email or claims.get("email_verified") is not True:
            return None
        user = await self._identities.with_login(email)
        if user is not None:
            return await self._acquainted(settings.issuer, subject, user)
        return None

    async def _new(self, claims: Mapping[str, Any], settings: OidcSettings, role: Role) -> UserRecord:
        if not settings.create:
            raise Forbidden("Nobody here is known by this account. Ask who runs this Portal.", code="unknown_account")
        email = str(claims.get("email") or "").strip().lower()
        name = str(claims.get("name") or claims.get("preferred_username") or email or claims["sub"])
        login = email if claims.get("email_verified") is True and email else None
        user = UserRecord(id=new_id("user"), name=name[:100], role=role, created_at=micros(), login=login)
        try:
            await self._people.add(user)
        except Conflict:  # somebody else has that sign-in name: theirs it stays
            user = replace(user, login=None)
            await self._people.add(user)
        known = await self._acquainted(settings.issuer, str(claims["sub"]), user)
        return known if known.id == user.id else await self._one_of(known, user)

    async def _one_of(self, known: UserRecord, other: UserRecord) -> UserRecord:
        """The first, for both are the same person: with the sign-in name, whichever of them had got it."""
        await self._people.remove(other.id, None)
        if other.login is not None and known.login is None:
            with suppress(Conflict):  # somebody else has taken it meanwhile
                named = replace(known, login=other.login)
                await self._people.save(named, before=known)
                return named
        return known

    async def _acquainted(self, issuer: str, subject: str, user: UserRecord) -> UserRecord:
        """Known by it from now on; or whoever became so in the same moment, in another window."""
        try:
            await self._identities.add(issuer, subject, user.id)
        except Conflict:
            known = await self._identities.find(issuer, subject)
            if known is None:
                raise
            return await self._users.get(known)
        return user


def _groups(claim: object) -> frozenset[str]:
    if isinstance(claim, str):
        return frozenset({claim})
    return frozenset(one for one in claim if isinstance(one, str)) if isinstance(claim, list) else frozenset()


def _role(groups: frozenset[str], settings: OidcSettings) -> Role | None:
    """The highest that one of the groups gives; None where roles are not the provider's business."""
    if not settings.roles:
        return None
    given = [role for group, role in settings.roles.items() if group in groups]
    return max(given, key=lambda role: RANKS[role], default=settings.default_role)
