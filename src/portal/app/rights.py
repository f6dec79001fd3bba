"""What people may use, and what they have used of it."""

from dataclasses import dataclass

from portal.core.ports import UsageLog
from portal.core.records import Role, UsageRecord
from portal.core.terms import Bounding, Terms, checked, standing_of
from portal.security.budgets import Budgets
from portal.security.rights import Rights
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
