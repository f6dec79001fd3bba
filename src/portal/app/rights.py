"""What people may use, and what they have used of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from portal.app.cluster import Cluster
from portal.core.ports import UsageLog
from portal.core.records import Role, UsageRecord
from portal.core.terms import Bounding, Terms, checked, standing_of
from portal.security.budgets import Budgets
from portal.security.rights import Rights
from portal.settings import Settings
from portal.storage.open import Storage


async def open_rights(settings: Settings, storage: Storage, cluster: Cluster | None = None) -> Rights:
    """What each person may use, and has used of it on any server."""
    cluster = cluster or Cluster()
    budgets = Budgets(spending=storage.spending, counts=cluster.counts)
    rights = Rights(budgets=budgets, roles=roles_of(settings))
    await rights.load(storage.people)

    async def renewed() -> None:
        await rights.load(storage.people)
        await budgets.recount()

    cluster.renew({"rights": renewed})
    return rights


def roles_of(settings: Settings) -> Mapping[Role, Terms]:
    """What people of each role may use. Raises BadRequest for a scope that is none."""
    return {
        role: Terms(scopes=checked(one.scopes), rate=one.rate, requests=one.requests, tokens=one.tokens)
        for role, one in settings.people.roles.items()
    }


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
