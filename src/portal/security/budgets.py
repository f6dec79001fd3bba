"""Daily budgets of keys and people: counted in memory, and anew from the usage log when a server starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from portal.core.clock import micros
from portal.core.counts import Counts
from portal.core.ports import Spending
from portal.core.terms import Terms
from portal.errors import RateLimited

DAY = 86_400_000_000
_MOST = 10_000


@dataclass(slots=True)
class Account:
    """What one key or person may still have today. A day ends at midnight UTC."""

    terms: Terms
    what: str
    now: Callable[[], int]
    day: int
    requests: int = 0
    tokens: int = 0
    count: Callable[[int, int], None] = lambda requests, tokens: None
    """Told what was used here."""

    def calling(self) -> None:
        """One more call. Raises RateLimited where the budget is spent."""
        self._turn()
        terms = self.terms
        for name, used, most in (("requests", self.requests, terms.requests), ("tokens", self.tokens, terms.tokens)):
            if most and used >= most:
                left = (self.day + 1) * DAY - self.now()
                raise RateLimited(
                    f"The budget of {self.what} is spent: {most} {name} a day. It begins anew at midnight UTC.",
                    code="insufficient_quota",
                    retry_after=max(left / 1e6, 1),
                )
        self.requests += 1
        self.count(1, 0)

    def spent(self, tokens: int) -> None:
        """What a call came to."""
        self._turn()
        self.tokens += tokens
        self.count(0, tokens)

    def elsewhere(self, requests: int, tokens: int) -> None:
        """So much was used on another server."""
        self._turn()
        self.requests += requests
        self.tokens += tokens

    def at_least(self, day: int, requests: int, tokens: int) -> None:
        """So much is known to have been used on this day."""
        self._turn()
        if day == self.day:
            self.requests, self.tokens = max(self.requests, requests), max(self.tokens, tokens)

    def _turn(self) -> None:
        today = self.now() // DAY
        if today > self.day:  # a clock that is set back gives nothing again
            self.day, self.requests, self.tokens = today, 0, 0


class Budgets:
    """The accounts of those who have a budget."""

    def __init__(self, *, spending: Spending, now: Callable[[], int] = micros, counts: Counts | None = None) -> None:
        """`now` gives microseconds UTC; `counts` is kept of what is used here, for other servers to count as well."""
        self._spending, self._now, self._counts = spending, now, counts
        if counts is not None:
            counts.on("requests", lambda whose, _, more: self._elsewhere(whose, more, 0))
            counts.on("tokens", lambda whose, _, more: self._elsewhere(whose, 0, more))
        self._accounts: dict[str, Account] = {}

    async def of(self, kind: Literal["key", "person"], whose: str, terms: Terms) -> Account | None:
        """None where there is no budget. `whose` is an id; what stands behind a colon tells several accounts apart."""
        if not terms.requests and not terms.tokens:
            return None
        known = self._accounts.get(whose)
        if known is None:
            day = self._now() // DAY
            requests, tokens = await self._spending.spent(kind, whose.partition(":")[0], day * DAY)
            known = self._accounts.get(whose)  # somebody else may have asked meanwhile
            if known is None:
                what = "this key" if kind == "key" else "this person"
                known = Account(terms, what, self._now, day, requests, tokens, self._counting(whose))
                self._keep(whose, known)
        known.terms = terms
        return known

    def _counting(self, whose: str) -> Callable[[int, int], None]:
        counts = self._counts
        if counts is None:
            return lambda requests, tokens: None

        def count(requests: int, tokens: int) -> None:
            counts.add("requests" if requests else "tokens", whose, 0, requests or tokens)

        return count

    def _elsewhere(self, whose: str, requests: int, tokens: int) -> None:
        account = self._accounts.get(whose)
        if account is not None:
            account.elsewhere(requests, tokens)

    async def recount(self) -> None:
        """Count anew from the log: what was used elsewhere may have been missed."""
        for whose, account in list(self._accounts.items()):
            kind: Literal["key", "person"] = "key" if account.what == "this key" else "person"
            day = self._now() // DAY
            requests, tokens = await self._spending.spent(kind, whose.partition(":")[0], day * DAY)
            account.at_least(day, requests, tokens)

    def _keep(self, whose: str, account: Account) -> None:
        if len(self._accounts) >= _MOST:  # whoever is dropped is counted anew from the log
            del self._accounts[next(iter(self._accounts))]
        self._accounts[whose] = account
