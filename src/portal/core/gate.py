"""What stands before a model of a server: how many may call it at once, and whether it rests after failures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from portal.core.model import Progress
from portal.errors import BackendError, BackendKeyRefused

Told: TypeAlias = Callable[[Progress], None]
"""Is told what a call waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How hard Portal tries before the first sign of an answer; times in seconds."""

    retries: int = 0
    """Times the same server is asked again."""
    pause: float = 0.25
    """Before the first retry, with jitter; doubled for each further one."""
    deadline: float = 20
    """From the beginning of the call, after which no retry begins."""
    fallbacks: int = 3
    """Other models that are asked, one after the other."""
    noted: Callable[[str, bool], None] = field(default=lambda model, again: None, compare=False)
    """Is told whenever a model has to be asked `again`, or another one takes over from it."""


class Permit:
    """One call that was let through. `leave` it, whatever happens; this one counts nothing."""

    begun = False
    """The first sign of an answer has come: nothing is tried again from here on."""

    def begin(self) -> None:
        """Say so."""
        self.begun = True

    def failed(self, error: BackendError) -> None:
        """How the call failed; before `leave`."""

    def leave(self) -> None:
        """The call is over, or nobody waits for it any more."""


class Gate(Protocol):
    """Before one model of one server."""

    def resting(self) -> float:
        """Seconds until a call is let through again; 0 when one would be now, unless it has to wait its turn."""

    def rest(self) -> str:
        """Since when and why it rests, in words for a person."""

    def outstanding(self) -> int:
        """Calls of its server that run or wait."""

    async def enter(self, told: Told | None = None) -> Permit:
        """Wait for its turn.

        Raises:
            BackendUnavailable: `model_resting` or `queue_full`, at once, with retry_after.
            BackendTimeout: `queue_timeout`.
        """


class OpenGate:
    """Lets everybody through."""

    def resting(self) -> float:
        """Never."""
        return 0.0

    def rest(self) -> str:
        """Nothing."""
        return ""

    def outstanding(self) -> int:
        """Not counted."""
        return 0

    async def enter(self, told: Told | None = None) -> Permit:
        """At once."""
        return Permit()


def is_fault(error: BackendError) -> bool:
    """Whether it is the server that fails: 429 and 5xx, timeouts, connections, nonsense; not what a client did."""
    return (error.status >= 500 or error.status == 429) and not isinstance(error, BackendKeyRefused)
