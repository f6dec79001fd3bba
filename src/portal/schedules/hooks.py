"""Webhooks: requests from outside that begin runs."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from portal.core.clock import micros, seconds
from portal.core.counts import Counts
from portal.core.schedules import RunQueue, RunRecord, ScheduleRecord, ScheduleRuns, Schedules
from portal.errors import BadRequest, Conflict, NotFound, RateLimited, Unauthenticated
from portal.schedules.keeper import Secrets, hashed, new_run, secret_name
from portal.schedules.signatures import Headers, named, verify

_MINUTE = 60_000_000
_KNOWN = ("application/json", "application/x-www-form-urlencoded", "text/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooked:
    """What became of a request."""

    run: RunRecord
    again: bool
    """It came before: nothing new began."""


class Hooks:
    """Takes requests in."""

    def __init__(
        self,
        *,
        schedules: Schedules,
        runs: ScheduleRuns,
        queue: RunQueue,
        secrets: Secrets,
        a_minute: int,
        most: int,
        hurry: Callable[[], None],
        now: Callable[[], int] = micros,
        counts: Counts | None = None,
    ) -> None:
        """`a_minute` is how many requests of one webhook begin runs in a minute, `most` how many of its runs wait or
        are under way. `counts` is kept of those that came here, for other servers to count as well."""
        self._schedules = schedules
        self._runs = runs
        self._queue = queue
        self._secrets = secrets
        self._a_minute, self._most = a_minute, most
        self._hurry = hurry
        self._now = now
        self._taken: dict[str, deque[int]] = {}
        self._counts = counts
        if counts is not None:
            counts.on("hooked", lambda schedule_id, _, times: self._note(schedule_id, times))

    async def take(self, token: str, headers: Headers, body: bytes) -> Hooked:
        """Begin a run, once for each name that the sender gives what it sends; stored when this returns.

        Raises:
            NotFound: no webhook has this token, or it is paused.
            Unauthenticated: it is not signed as it should be.
            RateLimited: too many of them.
            BadRequest: it is neither JSON nor text.
        """
        schedule = await self._schedules.by_token(hashed(token))
        if schedule is None or schedule.paused:
            raise NotFound("There is no such webhook.")
        now = self._now()
        self._verify(schedule, headers, body, now)
        name = named(schedule.signature, headers, body)
        before = await self._runs.sent(schedule.id, name) if name else None
        if before is not None:
            return Hooked(run=before, again=True)
        self._count(schedule.id, now)
        payload = _text(headers.get("content-type", ""), body)
        run = new_run(schedule, cause="hook", due_at=now, ready_at=now, payload=payload, delivery_id=name)
        try:
            await self._queue.add_hooked(run, self._most)
        except Conflict:  # the very same came at the same moment
            first = await self._runs.sent(schedule.id, name or "")
            if first is None:
                raise
            return Hooked(run=first, again=True)
        self._hurry()
        return Hooked(run=run, again=False)

    def _verify(self, schedule: ScheduleRecord, headers: Headers, body: bytes, now: int) -> None:
        secret = self._secrets.get(secret_name(schedule.id)) if schedule.signature else ""
        if secret is None:
            raise Unauthenticated("The secret of this webhook is not there any more: set it again.")
        verify(schedule.signature, secret, headers, body, now=seconds(now))

    def _count(self, schedule_id: str, now: int) -> None:
        taken = self._taken.get(schedule_id, deque())
        while taken and taken[0] <= now - _MINUTE:
            taken.popleft()
        if len(taken) >= self._a_minute:
            wait = (taken[0] + _MINUTE - now) / 1_000_000
            raise RateLimited("This webhook is called too often.", retry_after=wait)
        self._note(schedule_id, 1)
        if self._counts is not None:
            self._counts.add("hooked", schedule_id, 0, 1)

    def _note(self, schedule_id: str, times: int) -> None:
        taken = self._taken.setdefault(schedule_id, deque(maxlen=self._a_minute))
        taken.extend([self._now()] * min(times, self._a_minute))


def _text(content_type: str, body: bytes) -> str:
    """What the body says, as it was sent: made to look better, a little could become a lot."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind and not kind.startswith(_KNOWN) and not kind.endswith("+json"):
        raise BadRequest("A webhook takes JSON, text or a form.", code="unsupported_content", param="content-type")
    try:
        if kind.endswith("json"):
            orjson.loads(body)
        return body.decode("utf-8")
    except ValueError as error:
        raise BadRequest("The body is not what its content type says.", code="bad_body") from error
