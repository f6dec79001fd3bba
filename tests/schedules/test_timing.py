"""When schedules run: what people write, and wall clocks that are moved."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from portal.core.clock import micros
from portal.core.schedules import Kind, ScheduleRecord, spoken
from portal.errors import BadRequest
from portal.schedules.timing import passed, read, upcoming

BERLIN = "Europe/Berlin"
BLANK = ScheduleRecord(
    id="sched_1",
    owner="o",
    name="n",
    prompt="p",
    workspace="auto",
    kind="cron",
    timing="",
    zone=BERLIN,
    created_at=0,
    changed_at=0,
)


def local(*parts: int, fold: int = 0, zone: str = BERLIN) -> int:
    return micros(datetime(*parts, fold=fold, tzinfo=ZoneInfo(zone)))  # type: ignore[misc, arg-type]


def schedule(kind: Kind, timing: str, **fields: object) -> ScheduleRecord:
    return replace(BLANK, kind=kind, timing=timing, **fields)  # type: ignore[arg-type]


def times(timing: str, after: int, n: int, zone: str = BERLIN) -> list[str]:
    """As UTC."""
    found = islice(upcoming(schedule("cron", timing, zone=zone), after), n)
    return [datetime.fromtimestamp(at / 1e6, UTC).strftime("%d %H:%M") for at in found]


@pytest.mark.parametrize(
    ("written", "kind", "timing"),
    [
        ("0 8 * * 1-5", "cron", "0 8 * * 1-5"),
        ("  0  8 * * MON-FRI ", "cron", "0 8 * * MON-FRI"),
        ("every weekday at 8", "cron", "0 8 * * 1-5"),
        ("weekdays at 8:30", "cron", "30 8 * * 1-5"),
        ("Daily at 7.15 pm", "cron", "15 19 * * *"),
        ("every day at 12 am", "cron", "0 0 * * *"),
        ("every Sunday at 12:05 PM", "cron", "5 12 * * 0"),
        ("on mondays at 9", "cron", "0 9 * * 1"),
        ("every weekend at 10", "cron", "0 10 * * 6,0"),
        ("every 30 minutes", "interval", "1800"),
        ("every 90s", "interval", "90"),
        ("every hour", "interval", "3600"),
        ("every 2 weeks", "interval", "1209600"),
        ("2026-12-24 18:00", "once", "2026-12-24T18:00:00"),
        ("2026-12-24T18:00Z", "once", "2026-12-24T19:00:00"),
        ("webhook", "hook", ""),
    ],
)
def test_what_people_write(written: str, kind: str, timing: str) -> None:
    assert read(written, BERLIN, shortest=60) == (kind, timing)


@pytest.mark.parametrize(
    "written",
    ["", "soon", "61 8 * * *", "* * * *", "0 0 8 * * *", "every 30 s", "every day at 25", "at 9:75", "0 0 30 2 *"],
)
def test_what_nobody_can_tell(written: str) -> None:
    with pytest.raises(BadRequest) as error:
        read(written, BERLIN, shortest=60)
    assert error.value.param == "when"


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../etc/passwd", "Europe/Berlin\0"])
def test_a_zone_that_is_none(zone: str) -> None:
    with pytest.raises(BadRequest, match="no time zone"):
        read("2026-12-24T18:00Z", zone, shortest=60)


def test_the_night_with_an_hour_less() -> None:
    """Clocks go from 2:00 to 3:00 on 29 March 2026: what is missing runs once, as soon as it is over."""
    assert times("30 2 * * *", local(2026, 3, 28, 12), 3) == ["29 01:00", "30 00:30", "31 00:30"]
    assert times("0,15,30 2 * * *", local(2026, 3, 28, 12), 2) == ["29 01:00", "30 00:00"]
    assert times("0 * * * *", local(2026, 3, 29, 0, 30), 3) == ["29 00:00", "29 01:00", "29 02:00"]
    assert times("*/30 1-3 * * *", local(2026, 3, 29, 1, 15), 3) == ["29 00:30", "29 01:00", "29 01:30"]


def test_the_night_that_has_an_hour_twice() -> None:
    """Clocks go from 3:00 back to 2:00 on 25 October 2026: at a time of day it runs in the first of the two hours, and
    every so many minutes through both."""
    assert times("30 2 * * *", local(2026, 10, 24, 12), 3) == ["25 00:30", "26 01:30", "27 01:30"]
    assert times("30 2 * * *", local(2026, 10, 25, 2, 10, fold=1), 1) == ["26 01:30"]
    assert times("*/30 * * * *", local(2026, 10, 25, 1, 45), 5) == [
        "25 00:00",
        "25 00:30",
        "25 01:00",
        "25 01:30",
        "25 02:00",
    ]
    assert times("30 1 * * *", local(2026, 11, 1, 0, 45, zone="America/New_York"), 2, "America/New_York") == [
        "01 05:30",
        "02 06:30",
    ]


def test_one_moment() -> None:
    def at(timing: str) -> list[int]:
        return list(upcoming(schedule("once", timing), local(2026, 1, 1)))

    assert at("2026-12-24T18:00:00") == [local(2026, 12, 24, 18)]
    assert at("2025-12-24T18:00:00") == []
    assert at("2026-03-29T02:30:00") == [local(2026, 3, 29, 3, 30)]  # there is no such time: by elapsed time
    assert at("2026-10-25T02:30:00") == [local(2026, 10, 25, 2, 30, fold=0)]  # the first of the two


def test_an_interval_is_elapsed_time() -> None:
    every = schedule("interval", "5400", created_at=local(2026, 10, 25, 1))
    found = [*islice(upcoming(every, local(2026, 10, 25, 1)), 3)]
    assert found == [local(2026, 10, 25, 1) + n * 5_400_000_000 for n in (1, 2, 3)]
    assert next(upcoming(every, found[1] + 1)) == found[2]
    assert next(upcoming(every, 0)) == found[0]


def test_a_webhook_has_no_times() -> None:
    assert list(upcoming(schedule("hook", ""), 0)) == []


def overdue(kind: Kind, timing: str, since: int, now: int, most: int = 100) -> Sequence[int]:
    return passed(schedule(kind, timing, next_at=since), now, most)


def test_what_has_passed_newest_first() -> None:
    first, day = local(2026, 3, 27, 8), timedelta(days=1)
    days = [micros(datetime(2026, 3, 27, 8, tzinfo=ZoneInfo(BERLIN)) + n * day) for n in range(5)]  # over a moved clock
    now = days[-1]
    assert overdue("cron", "0 8 * * *", first, now) == days[::-1]
    assert overdue("cron", "0 8 * * *", first, now + 500_000) == days[::-1]
    assert overdue("cron", "0 8 * * *", first, now - 1) == days[-2::-1]
    assert overdue("cron", "0 8 * * *", first, now, most=2) == days[:-3:-1]
    assert overdue("cron", "0 8 * * *", first + 60_000_000, first + 60_000_000) == [first + 60_000_000]
    assert overdue("interval", "60", 0, 150_000_000) == [120_000_000, 60_000_000, 0]
    assert overdue("interval", "60", 0, 150_000_000, most=2) == [120_000_000, 60_000_000]
    assert overdue("once", "2026-01-01T00:00:00", 7, 150_000_000) == [7]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("weekdays at 8:30", "every weekday at 8:30"),
        ("daily at 7 pm", "every day at 19:00"),
        ("on mondays at 9", "every Monday at 9:00"),
        ("every Sunday at 0:05", "every Sunday at 0:05"),
        ("every weekend at 10", "every weekend at 10:00"),
        ("every 30 minutes", "every 30 minutes"),
        ("every 24 hours", "every day"),
        ("every 90 s", "every 90 seconds"),
        ("*/5 8-18 * * 1-5", "*/5 8-18 * * 1-5"),
        ("0 8 1 * *", "0 8 1 * *"),
        ("2026-12-24 18:00", "2026-12-24 18:00"),
        ("webhook", "webhook"),
    ],
)
def test_it_is_told_as_people_write_it(written: str, said: str) -> None:
    known = read(written, BERLIN, shortest=60)
    assert spoken(*known) == said
    assert read(said, BERLIN, shortest=60) == known
