"""Reckoning with dates and times: plain functions on text."""

import datetime
import re
from calendar import monthrange
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from portal.core.clock import now
from portal.errors import ToolError

Moment = datetime.date | datetime.datetime
_PARTS = {"y": "years", "mo": "months", "w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises ToolError."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(f"There is no time zone {name!r}; use a name such as Europe/Berlin or UTC.") from error


def moment(text: str, where: ZoneInfo) -> Moment:
    """A date or a time with its zone; `today`, `now`, `tomorrow` and `yesterday` are understood. Raises ToolError."""
    here = now().astimezone(where)
    words = {"": here, "now": here, "today": here.date()}
    for word, days in (("tomorrow", 1), ("yesterday", -1)):
        words[word] = here.date() + datetime.timedelta(days)
    plain = text.strip()
    if plain.lower() in words:
        return words[plain.lower()]
    try:
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d|\d{4}-?W\d\d(-?\d)?", plain):
            return datetime.date.fromisoformat(plain)
        read = datetime.datetime.fromisoformat(plain)
    except ValueError as error:
        raise ToolError(f"{text!r} is not a date; write 2026-03-31 or 2026-03-31T14:30.") from error
    return read if read.tzinfo else read.replace(tzinfo=where)


def add(start: Moment, amount: str) -> Moment:
    """Later by an amount such as `2 weeks 3 days` or `-1 month`; the last of a month stays its last. ToolError."""
    found = re.findall(r"([+-]?)\s*(\d{1,9})\s*([A-Za-z]+)", amount)
    if not found or re.sub(r"[+-]?\s*\d+\s*[A-Za-z]+|\band\b|[\s,]", "", amount):
        raise ToolError(f"{amount!r} is not an amount of time; write `3 days`, `-2 weeks` or `1 year 6 months`.")
    sign, negative = 1, False
    try:
        for mark, count, unit in found:
            negative = mark == "-" if mark else negative
            sign = -1 if negative else 1
            start = _later(start, sign * int(count), _unit(unit))
    except (OverflowError, ValueError) as error:
        raise ToolError("That is too far away for a calendar.") from error
    return start


def _unit(word: str) -> str:
    lower = word.lower()
    for short, long in _PARTS.items():
        if lower in (short, long, long[:-1]) or (short not in ("y", "w", "d") and lower in (long[:3], f"{long[:3]}s")):
            return long
    raise ToolError(f"{word!r} is not a unit of time.")


def _later(start: Moment, count: int, unit: str) -> Moment:
    if unit in ("years", "months"):
        months = start.year * 12 + start.month - 1 + count * (12 if unit == "years" else 1)
        year, month = divmod(months, 12)
        return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))
    if unit in ("hours", "minutes", "seconds"):
        if not isinstance(start, datetime.datetime):
            start = datetime.datetime.combine(start, datetime.time(), datetime.UTC)
        # An hour is an hour, also where the clocks are changed.
        return (start.astimezone(datetime.UTC) + datetime.timedelta(**{unit: count})).astimezone(start.tzinfo)
    return start + datetime.timedelta(**{unit: count})


def difference(start: Moment, end: Moment) -> str:
    """In days, in words and, where there are times, in hours."""
    if start_is_later := _instant(end) < _instant(start):
        start, end = end, start
    span = _instant(end) - _instant(start)
    years, months, days = _calendar(_day(start), _day(end))
    words = ", ".join(
        f"{n} {w}{'' if n == 1 else 's'}" for n, w in ((years, "year"), (months, "month"), (days, "day")) if n
    )
    lines = [f"{span.days} days{' (the first is later)' if start_is_later else ''}", f"{words or '0 days'}"]
    lines.append(f"{span.days // 7} weeks and {span.days % 7} days")
    if isinstance(start, datetime.datetime) or isinstance(end, datetime.datetime):
        seconds = int(span.total_seconds())
        lines.append(f"{seconds // 3600} hours, {seconds % 3600 // 60} minutes, {seconds % 60} seconds in all")
    else:
        lines.append(f"{business_days(start, end)} business days (Monday to Friday, the last day not counted)")
    return "\n".join(lines)


def _day(one: Moment) -> datetime.date:
    return one.date() if isinstance(one, datetime.datetime) else one


def _instant(one: Moment) -> datetime.datetime:
    if isinstance(one, datetime.datetime):
        return one.astimezone(datetime.UTC)
    return datetime.datetime.combine(one, datetime.time(), datetime.UTC)


def _calendar(start: datetime.date, end: datetime.date) -> tuple[int, int, int]:
    months = (end.year - start.year) * 12 + end.month - start.month
    if _day(_later(start, months, "months")) > end:
        months -= 1
    return *divmod(months, 12), (end - _day(_later(start, months, "months"))).days


def business_days(start: Moment, end: Moment) -> int:
    """Mondays to Fridays from the first day on, the last one not counted."""
    first, last = sorted((_day(start), _day(end)))
    weeks, rest = divmod((last - first).days, 7)
    return weeks * 5 + sum((first.weekday() + day) % 7 < 5 for day in range(rest))


def add_business_days(start: Moment, count: int) -> datetime.date:
    """The day so many business days later; weekends are skipped, holidays are not known. Raises ToolError."""
    if abs(count) > 1_000_000:
        raise ToolError("That is too far away for a calendar.")
    day, step = _day(start), 1 if count > 0 else -1
    try:
        while day.weekday() > 4 and count:
            day -= datetime.timedelta(step)
        weeks, rest = divmod(abs(count), 5)
        day += datetime.timedelta(step * weeks * 7)
        while rest:
            day += datetime.timedelta(step)
            rest -= day.weekday() < 5
    except OverflowError as error:
        raise ToolError("That is too far away for a calendar.") from error
    return day


def shown(one: Moment) -> str:
    """With weekday, week and, for a time, its zone."""
    week = f"week {one.isocalendar().week}, day {one.timetuple().tm_yday} of the year"
    if isinstance(one, datetime.datetime):
        return f"{one.isoformat(timespec='seconds')} ({one:%A}, {one.tzname()}, {week})"
    return f"{one.isoformat()} ({one:%A}, {week})"
