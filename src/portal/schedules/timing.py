"""When a schedule runs: what people write, and the times that follow from it.

A cron expression means the wall clock of its time zone. In the night that has an hour less, what would run in the
missing hour runs as soon as it is over; in the one that has an hour twice, it runs in the first of them. Expressions
for every so many minutes or hours run by elapsed time, so they leave nothing out and do nothing twice. Intervals are
elapsed time always.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from portal.core.clock import micros
from portal.core.schedules import Kind, ScheduleRecord
from portal.errors import BadRequest

_MICROS = 1_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}
_INTERVAL = re.compile(
    r"every\s+(?:(\d{1,7})\s*)?(s|m|h|d|w|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?)", re.IGNORECASE
)
_DAYS = {
    "day": "*",
    "weekday": "1-5",
    "workday": "1-5",
    "weekend": "6,0",
    "monday": "1",
    "tuesday": "2",
    "wednesday": "3",
    "thursday": "4",
    "friday": "5",
    "saturday": "6",
    "sunday": "0",
}
_DAILY = re.compile(
    rf"(?:every\s+|on\s+)?(daily|{'|'.join(_DAYS)})s?\s+at\s+(\d{{1,2}})(?:[:.](\d\d))?\s*(am|pm)?", re.IGNORECASE
)
HOOK = "webhook"
EXAMPLES = "`0 8 * * 1-5` (cron), `every weekday at 8:00`, `every 30 minutes`, `2026-12-24 18:00` or `webhook`"


def zone_of(name: str) -> ZoneInfo:
    """Raises BadRequest for a name that is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadRequest(f"{name!r} is no time zone, such as Europe/Berlin or UTC.", param="zone") from error


def read(when: str, zone: str, *, shortest: int) -> tuple[Kind, str]:
    """The kind and the timing that somebody wrote. `shortest` is the least seconds of an interval.

    Raises:
        BadRequest: nobody can tell what it means.
    """
    text = " ".join(when.split())
    if text.lower() in (HOOK, "hook"):
        return "hook", ""
    if found := _DAILY.fullmatch(text):
        return "cron", _daily(*found.groups())
    if found := _INTERVAL.fullmatch(text):
        seconds = int(found[1] or 1) * _UNITS[found[2][0].lower()]
        if seconds < shortest:
            raise BadRequest(f"{shortest} seconds are the least from one run to the next.", param="when")
        return "interval", str(seconds)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "cron", _cron(text)
    local = moment.astimezone(zone_of(zone)) if moment.tzinfo else moment
    return "once", local.replace(tzinfo=None, microsecond=0).isoformat()


def _daily(day: str, hour: str, minute: str | None, half: str | None) -> str:
    hours, minutes = int(hour), int(minute or 0)
    if half:
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    if hours > 23 or minutes > 59:
        raise BadRequest(f"{hour}:{minutes:02} is no time of day.", param="when")
    return f"{minutes} {hours} * * {_DAYS.get(day.lower(), '*')}"


def _cron(text: str) -> str:
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields")
        next(CronSim(text, datetime.now(UTC)))
    except (CronSimError, StopIteration) as error:
        raise BadRequest(f"{text!r} is no time to run at: write {EXAMPLES}.", param="when") from error
    return text


def upcoming(schedule: ScheduleRecord, after: int) -> Iterator[int]:
    """The times after a moment, soonest first; microseconds UTC."""
    match schedule.kind:
        case "cron":
            start = datetime.fromtimestamp(after / _MICROS, zone_of(schedule.zone))
            yield from _unique(map(micros, CronSim(schedule.timing, start)), after)
        case "interval":
            every = int(schedule.timing) * _MICROS
            at = schedule.created_at + (max(after - schedule.created_at, 0) // every + 1) * every
            while True:
                yield at
                at += every
        case "once":
            at = micros(datetime.fromisoformat(schedule.timing).replace(tzinfo=zone_of(schedule.zone)))
            if at > after:
                yield at
        case "hook":
            return


def passed(schedule: ScheduleRecord, now: int, most: int) -> list[int]:
    """The times from the one that is due until now, newest first, at most so many."""
    first = schedule.next_at
    assert first is not None
    if schedule.kind == "interval":
        every = int(schedule.timing) * _MICROS
        count = (now - first) // every
        return [first + n * every for n in range(count, max(count - most, -1), -1)]
    if schedule.kind == "once":
        return [first]
    zone = zone_of(schedule.zone)
    moment = datetime.fromtimestamp(now // _MICROS, zone)
    until = moment.replace(microsecond=1)  # so that a time that is just now is among them
    backwards = (micros(one) for one in CronSim(schedule.timing, until, reverse=True))
    found: list[int] = []
    for at in islice(backwards, most):
        if at < first:
            break
        found.append(at)
    return found or [first]


def _unique(times: Iterator[int], after: int) -> Iterator[int]:
    """In their order; what falls together in a missing hour runs once."""
    last = after
    for at in times:
        if at > last:
            yield at
            last = at
