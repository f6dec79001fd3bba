"""How people come in, of the parts that the settings name."""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.core.agent import Agent
from portal.core.clock import micros
from portal.core.items import JsonObject
from portal.core.ports import UsageLog
from portal.core.records import Role, UsageRecord
from portal.core.terms import Bounding, Terms, checked, standing_of
from portal.interfaces.web.entrance import Entrance
from portal.security.budgets import Budgets
from portal.security.credentials import Credentials
from portal.security.identities import Acquaintance
from portal.security.limiter import Limiter
from portal.security.oidc import Provider
from portal.security.passkeys import PasskeyDoor
from portal.security.passwords import Attempts, PasswordDoor
from portal.security.people import Membership
from portal.security.rights import Rights
from portal.security.throttle import Allowed, Throttle
from portal.settings import Settings
from portal.storage.open import Storage


async def open_rights(settings: Settings, storage: Storage) -> Rights:
    """What each person may use."""
    roles: dict[Role, Terms] = {
        role: Terms(scopes=checked(one.scopes), rate=one.rate, requests=one.requests, tokens=one.tokens)
        for role, one in settings.people.roles.items()
    }
    rights = Rights(budgets=Budgets(spending=storage.spending), roles=roles)
    await rights.load(storage.people)
    return rights


def _throttle(settings: Settings, limiter: Limiter) -> Throttle:
    """The limiter at the doors of HTTP."""
    chosen = settings.limits
    allowed = Allowed(
        person=chosen.person,
        address=chosen.address,
        person_at_once=chosen.person_at_once,
        address_at_once=chosen.address_at_once,
    )
    return Throttle(limiter=limiter, allowed=allowed)


@dataclass(frozen=True, slots=True)
class Counted:
    """Implements UsageLog before another one: what a call came to is taken from the budgets of who made it."""

    log: UsageLog
    bounding: Bounding

    def begun(self) -> None:
        """See UsageLog."""
        self.log.begun()

    def record(self, usage: UsageRecord) -> None:
        """See UsageLog."""
        standing = standing_of(usage.owner, self.bounding)
        if standing is not None:
            standing.spent(usage.input_tokens + usage.output_tokens)
        self.log.record(usage)

    async def summary(self, owner: str, since: int) -> Sequence[JsonObject]:
        """See UsageLog."""
        return await self.log.summary(owner, since)


def open_entrance(
    settings: Settings, storage: Storage, credentials: Credentials, agent: Agent, rights: Rights, limiter: Limiter
) -> Entrance:
    """What the page's routes need of it."""
    chosen = settings.people
    attempts = Attempts(most=chosen.attempts, seconds=chosen.attempt_minutes * 60)
    passwords = PasswordDoor(passwords=storage.passwords, attempts=attempts)
    membership = Membership(
        people=storage.people,
        users=storage.users,
        credentials=credentials,
        passwords=passwords,
        audit=storage.audit,
        stop=agent.cancel_of,
        noted=rights.note,
        logins_known=any(one.match_email for one in chosen.oidc.values()),
    )
    acquaintance = Acquaintance(
        identities=storage.identities, people=storage.people, users=storage.users, credentials=credentials
    )
    return Entrance(
        credentials=credentials,
        membership=membership,
        users=storage.users,
        passwords=passwords,
        kept_passwords=storage.passwords,
        passkeys=PasskeyDoor(passkeys=storage.passkeys, users=storage.users),
        kept_passkeys=storage.passkeys,
        providers={name: (one, Provider(settings=one, now=micros)) for name, one in chosen.oidc.items()},
        acquaintance=acquaintance,
        throttle=_throttle(settings, limiter),
        shares=storage.shares,
    )
