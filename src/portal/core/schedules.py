"""What runs by itself: schedules and webhooks, their runs, and the ports that keep and deliver them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from portal.core.records import Page

Kind: TypeAlias = Literal["cron", "interval", "once", "hook"]
"""What begins a run: a cron expression, so many seconds, one moment, or a request from outside."""
CatchUp: TypeAlias = Literal["skip", "once", "all"]
"""What becomes of times that passed while Portal was off: none is made up for, the last one, or the last few."""
Signature: TypeAlias = Literal["", "github", "stripe", "standard"]
"""How a webhook's sender signs what it sends."""
Cause: TypeAlias = Literal["time", "late", "person", "hook"]
"""Why a run began: its time came, its time had passed while Portal was off, somebody said so, a request came."""
RunStatus: TypeAlias = Literal[
    "queued",
    "starting",
    "running",
    "waiting",
    "completed",
    "failed",
    "cancelled",
    "unanswered",
    "unknown",
    "missed",
]
"""`waiting` for a person's approval; `unanswered` if that never came; `unknown`: Portal was stopped in the middle, so
nobody knows what it did, and it is never run again; `missed`: it never began."""
DeliveryStatus: TypeAlias = Literal["pending", "sending", "sent", "failed"]

ENDED: frozenset[RunStatus] = frozenset({"completed", "failed", "cancelled", "unanswered", "unknown", "missed"})
PAGE = "page"
"""The target that is always there."""


_DAYS = {
    "*": "day",
    "1-5": "weekday",
    "6,0": "weekend",
    **dict(zip("1234560", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True)),
}
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def spoken(kind: Kind, timing: str) -> str:
    """When something runs as a person would write it, who may write it so; a cron expression where there are no words
    for it."""
    match kind:
        case "hook":
            return "webhook"
        case "once":
            return timing.replace("T", " ").removesuffix(":00")
        case "interval":
            seconds = int(timing)
            unit, size = next(one for one in _UNITS if seconds % one[1] == 0)
            return f"every {unit}" if seconds == size else f"every {seconds // size} {unit}s"
    minute, hour, *rest = timing.split()
    day = _DAYS.get(rest[-1]) if rest[:-1] == ["*", "*"] else None
    if day is None or not (minute.isdecimal() and hour.isdecimal()):
        return timing
    return f"every {day} at {int(hour)}:{int(minute):02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """A tool that runs may use without asking, fixed when the schedule was made."""

    toolset: str
    tool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord:
    """A schedule or a webhook."""

    id: str
    """`sched_...`"""
    owner: str
    name: str
    prompt: str
    """What each run asks."""
    workspace: str
    kind: Kind
    timing: str
    """The cron expression, the seconds, or the local time; empty for a webhook."""
    zone: str
    """IANA name of the time zone that it is meant in."""
    continued: bool = False
    """Whether all runs go on in one conversation."""
    conversation_id: str | None = None
    """That one, once there was a run."""
    catch_up: CatchUp = "once"
    jitter: int = 0
    """Seconds by which a run may begin later."""
    parallel: int = 1
    """Runs of it at once."""
    targets: Sequence[str] = (PAGE,)
    permits: Sequence[Permit] = ()
    permitted_at: int = 0
    """When the permits were fixed."""
    signature: Signature = ""
    paused: bool = False
    next_at: int | None = None
    """Microseconds UTC, as all times here; None where no time is to come."""
    created_at: int
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An answer on its way to one target."""

    target: str
    status: DeliveryStatus = "pending"
    attempts: int = 0
    ready_at: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. Ids of response and conversation are given before anything begins, so that no run begins twice."""

    id: str
    """`run_...`"""
    schedule_id: str
    owner: str
    cause: Cause
    status: RunStatus = "queued"
    due_at: int
    ready_at: int
    """When it begins: later than due by its jitter."""
    response_id: str
    last_id: str
    """The response that it has come to: another one where people were asked in between."""
    conversation_id: str
    started_at: int | None = None
    ended_at: int | None = None
    error: str = ""
    """Why it failed, was missed, or what is unknown."""
    payload: str = ""
    """What a webhook's sender sent; empty once the run began."""
    delivery_id: str | None = None
    """The sender's name for what it sent: a second request of that name begins nothing."""
    deliveries: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is delivered."""

    text: str
    """Markdown."""
    files: Sequence[str] = ()
    """Ids of the owner's files that the answer brought."""
    conversation_id: str = ""
    """That a reply to it goes on with."""
    key: str
    """The same for a delivery that is tried again, and for no other."""


class Schedules(Protocol):
    """Schedules and webhooks, by owner."""

    async def save(
        self,
        schedule: ScheduleRecord,
        *,
        before: ScheduleRecord | None = None,
        token_hash: str | None = None,
        most: int = 0,
    ) -> None:
        """Create, or replace `before` where that is what is stored; permits that its runs have are withdrawn unless
        they stay the same. A new `token_hash` takes the place of the old one. With `most` somebody has that many at the
        most, however many are made at the same moment.

        Raises:
            Conflict: it is another one by now; nothing was stored.
            BadRequest: there are that many.
        """

    async def get(self, owner: str, schedule_id: str) -> ScheduleRecord:
        """Raises NotFound."""

    async def list(self, owner: str) -> Sequence[ScheduleRecord]:
        """Oldest first."""

    async def by_token(self, token_hash: str) -> ScheduleRecord | None:
        """The webhook behind a token."""

    async def delete(self, owner: str, schedule_id: str) -> None:
        """With its runs and their permits; their conversations stay. Raises NotFound."""


class ScheduleRuns(Protocol):
    """The history of runs, by owner."""

    async def list(
        self, owner: str, schedule_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page[RunRecord]:
        """Newest first. Raises BadRequest for a cursor of another list, NotFound for the schedule."""

    async def newest(self, owner: str) -> Mapping[str, RunRecord]:
        """The newest run of each schedule."""

    async def sent(self, schedule_id: str, delivery_id: str) -> RunRecord | None:
        """The run of a webhook that a sender's delivery began."""


class RunQueue(Protocol):
    """What is to run: the server's own, whoever's it is. Awaited means committed."""

    async def due(self, now: int) -> Sequence[ScheduleRecord]:
        """Schedules whose time has come, the longest overdue first."""

    async def next_after(self, now: int) -> int | None:
        """The next moment at which something is to be done."""

    async def add(
        self, runs: Sequence[RunRecord], schedule: ScheduleRecord | None = None, next_at: int | None = None
    ) -> bool:
        """Put runs into the queue. With a `schedule` only if its time is still the one it says, which `next_at` takes
        the place of: of several that see a time come, one gets True."""

    async def add_hooked(self, run: RunRecord, most: int) -> None:
        """Put the run of a webhook into the queue, while fewer than `most` of its runs have not ended, however many
        come at the same moment.

        Raises:
            Conflict: this delivery began a run before.
            RateLimited: there are that many.
        """

    async def claim(self, now: int, most: int) -> tuple[ScheduleRecord, RunRecord] | None:
        """Take the next run, which is `starting` from here on: nobody else gets it. None where none is ready, `most`
        are under way, or the schedule's own bound is reached."""

    async def change(self, run: RunRecord, status: RunStatus) -> bool:
        """Store a run that was of this status; whether it was. One that has ended has no permits any more; one that
        goes back into the queue is not one that was claimed anew."""

    async def permit(self, schedule: ScheduleRecord, run: RunRecord) -> None:
        """Let the conversation of a run that is `starting` use what its schedule permits, unless that is another by
        now; whatever strangers said in it came after."""

    async def among(self, statuses: Sequence[RunStatus]) -> Sequence[RunRecord]:
        """Runs of these statuses, oldest first."""

    async def followed(self, run: RunRecord) -> str | None:
        """The newest response that follows the one that the run has come to."""

    async def prune(self, schedule_id: str, keep: int, before: int) -> None:
        """Forget ended runs but the newest `keep` and those due after `before`."""


class DeliveryQueue(Protocol):
    """Answers on their way: the server's own."""

    async def take(self, now: int) -> tuple[ScheduleRecord, RunRecord, Delivery] | None:
        """The next one that is due, which is `sending` from here on: nobody else gets it."""

    async def settle(self, run_id: str, delivery: Delivery) -> None:
        """How it went."""

    async def refused(self, run_id: str, target: str, error: str) -> bool:
        """What was handed over could not be brought there, now or ever; whether there is such a delivery."""

    async def interrupted(self) -> None:
        """At start: what was being handed over is handed over again."""


class Deliverer(Protocol):
    """Brings answers to people."""

    async def targets(self, owner: str) -> Sequence[tuple[str, str]]:
        """Where it can, such as `telegram`, each with words for it; the page is no matter of its."""

    async def deliver(self, owner: str, target: str, content: Content) -> None:
        """Bring it there. Awaited means that it will come; of two with the same key only the first does.

        Raises:
            PortalError: it could not, now or ever; a `retry_after` says when to try again.
        """

    async def ask(self, owner: str, target: str, response_id: str, name: str) -> None:
        """Show there what a response asks, in the name of its schedule, to be decided there; what follows it is
        shown there as well. Raises as `deliver`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A schedule as somebody asks for it; None leaves a field as it is, or to Portal."""

    name: str | None = None
    prompt: str | None = None
    when: str | None = None
    zone: str | None = None
    workspace: str | None = None
    continued: bool | None = None
    catch_up: CatchUp | None = None
    jitter: int | None = None
    parallel: int | None = None
    targets: Sequence[str] | None = None
    tools: Sequence[str] | None = None
    """Names of the tools that runs may use without asking."""
    signature: Signature | None = None
    secret: str | None = None
    """That a webhook's sender signs with."""
    paused: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When something runs, in words and times."""

    kind: Kind
    timing: str
    zone: str
    next: Sequence[int]
    """The next few times."""


class Scheduling(Protocol):
    """What people, tools and interfaces do to schedules."""

    def plan(self, when: str, zone: str | None = None) -> Plan:
        """What `when` means. Raises BadRequest where that cannot be understood or is in the past."""

    async def create(self, owner: str, wanted: Wanted) -> tuple[ScheduleRecord, str]:
        """Make one; a webhook's token, which is never told again. Raises BadRequest, Conflict."""

    async def find(self, owner: str, name: str) -> ScheduleRecord:
        """By its id or name. Raises NotFound."""

    async def list(self, owner: str) -> Sequence[ScheduleRecord]:
        """Oldest first."""

    async def change(self, owner: str, schedule_id: str, wanted: Wanted) -> ScheduleRecord:
        """Raises NotFound, BadRequest, Conflict."""

    async def delete(self, owner: str, schedule_id: str) -> None:
        """Raises NotFound."""

    async def run_now(self, owner: str, schedule_id: str) -> RunRecord:
        """Put a run into the queue. Raises NotFound, or BadRequest for a webhook."""

    def explain(self, wanted: Wanted) -> str:
        """What making it would mean, in words: when, the next times, where to, what it may do. Raises BadRequest."""
