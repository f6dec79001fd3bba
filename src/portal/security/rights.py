"""What each person may use: by their role, as the settings say, and by themselves, as those who run this Portal say."""

from collections.abc import Mapping, Sequence

from portal.core.people import People
from portal.core.records import CredentialRecord, Role, UserRecord
from portal.core.terms import Standing, Terms
from portal.security.budgets import Account, Budgets

_NONE = Terms()


class Rights:
    """The standing of people and their keys. Whoever is bounded is known in memory, for what runs by itself."""

    def __init__(self, *, budgets: Budgets, roles: Mapping[Role, Terms]) -> None:
        self._budgets, self._roles = budgets, roles
        self._people: dict[str, Standing] = {}

    async def load(self, people: People) -> None:
        """When a server starts."""
        for user in await people.list():
            await self.note(user)

    async def write(self, roles: Mapping[Role, Terms], people: People) -> None:
        """Hold by these from now on; what was used of a budget counts on."""
        self._roles = roles
        await self.load(people)

    async def note(self, user: UserRecord) -> Standing | None:
        """How somebody stands from now on; None where nothing bounds them."""
        terms = [one for one in (self._roles.get(user.role, _NONE), Terms.of(user.terms)) if one.bounded]
        if not terms or user.role == "owner":
            self._people.pop(user.id, None)
            return None
        accounts = [await self._budgets.of("person", f"{user.id}:{place}", one) for place, one in enumerate(terms)]
        self._people[user.id] = standing = _standing(user.id, terms, accounts)
        return standing

    def of(self, owner: str) -> Standing | None:
        """How a person stands, where no request carries it."""
        return self._people.get(owner)

    async def of_key(self, user: UserRecord, key: CredentialRecord) -> Standing | None:
        """How a person stands who comes with this key."""
        own, terms = await self.note(user), Terms.of(key.terms)
        if not terms.bounded:
            return own
        account = await self._budgets.of("key", key.id, terms)
        calling = [one.calling for one in (account, own) if one is not None]
        spent = [one.spent for one in (account, own) if one is not None]

        def call() -> None:
            for each in calling:
                each()

        def spend(tokens: int) -> None:
            for each in spent:
                each(tokens)

        counted = key.id if account is not None else None
        return Standing(user.id, [terms, *(own.terms if own else ())], counted, call, spend)


def _standing(owner: str, terms: Sequence[Terms], accounts: Sequence[Account | None]) -> Standing:
    known = [one for one in accounts if one is not None]

    def call() -> None:
        for one in known:
            one.calling()

    def spend(tokens: int) -> None:
        for one in known:
            one.spent(tokens)

    return Standing(owner, terms, None, call, spend)
