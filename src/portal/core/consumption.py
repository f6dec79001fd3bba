"""What model calls came to: asked over days, people and models."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, get_args

from portal.core.items import JsonObject

By: TypeAlias = Literal["day", "user", "model", "workspace", "door", "backend", "key"]
EVERY_BY: Sequence[str] = get_args(By)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is summed up, and by what."""

    since: int
    until: int
    """Microseconds UTC; the second one is not included."""
    by: Sequence[By] = ("day", "model")
    zone: str = "UTC"
    """An IANA name: where the days begin."""
    owner: str | None = None
    """Whose calls; None for everybody's."""
    model: str | None = None
    limit: int = 5000
    """Rows."""


class Consumption(Protocol):
    """Sums up."""

    async def report(self, question: Question) -> Sequence[JsonObject]:
        """Newest day first, then by calls: what `by` names, and {calls, failures, input_tokens, output_tokens,
        milliseconds, first_milliseconds}, the last two on average, None where no call told."""
