"""Times that are named, seen from a Thursday in November."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from portal.core.clock import micros
from portal.memory.times import span_of

NOW = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)


def days(text: str, now: datetime = NOW) -> tuple[str, str] | None:
    span = span_of(text, now, UTC)
    if span is None:
        return None
    since, until = (datetime.fromtimestamp(edge / 1e6, UTC).date().isoformat() for edge in (span.since, span.until))
    return since, until


def day(text: str) -> str | None:
    found = days(text)
    if found is None:
        return None
    assert date.fromisoformat(found[1]) - date.fromisoformat(found[0]) == timedelta(days=1)
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-26"),
        ("what did we say yesterday?", "2026-11-25"),
        ("last night", "2026-11-25"),
        ("the day before yesterday", "2026-11-24"),
        ("gestern", "2026-11-25"),
        ("Vorgestern war schön", "2026-11-24"),
        ("on a dit quoi hier ?", "2026-11-25"),
        ("avant-hier", "2026-11-24"),
        ("AYER", "2026-11-25"),
        ("hoy", "2026-11-26"),
        ("two days ago", "2026-11-24"),
        ("vor 3 Tagen", "2026-11-23"),
        ("il y a deux jours", "2026-11-24"),
        ("hace un día", "2026-11-25"),
        ("am Montag", "2026-11-23"),
        ("lundi dernier", "2026-11-23"),
        ("el lunes", "2026-11-23"),
        ("on Thursday", "2026-11-19"),
        ("2026-03-05", "2026-03-05"),
        ("5.3.2026", "2026-03-05"),
        ("am 5. März", "2026-03-05"),
        ("5 March 2025", "2025-03-05"),
        ("March 5th", "2026-03-05"),
        ("5 de diciembre", "2025-12-05"),
        ("le 1er mai", "2026-05-01"),
    ],
)
def test_days(text: str, expected: str) -> None:
    assert day(text) == expected


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("last week", "2026-11-16", "2026-11-23"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("letzte Woche", "2026-11-16", "2026-11-23"),
        ("la semaine dernière", "2026-11-16", "2026-11-23"),
        ("la semana pasada", "2026-11-16", "2026-11-23"),
        ("letztes Wochenende", "2026-11-21", "2026-11-23"),
        ("three weeks ago", "2026-11-02", "2026-11-09"),
        ("vor ein paar Wochen", "2026-11-02", "2026-11-09"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("hace un mes", "2026-10-01", "2026-11-01"),
        ("el año pasado", "2025-01-01", "2026-01-01"),
        ("cette année", "2026-01-01", "2027-01-01"),
        ("last 3 months", "2026-08-26", "2026-11-27"),
        ("les trois derniers mois", "2026-08-26", "2026-11-27"),
        ("last spring", "2026-03-01", "2026-06-01"),
        ("im Frühling", "2026-03-01", "2026-06-01"),
        ("au printemps dernier", "2026-03-01", "2026-06-01"),
        ("la primavera pasada", "2026-03-01", "2026-06-01"),
        ("l'été dernier", "2026-06-01", "2026-09-01"),
        ("last winter", "2025-12-01", "2026-03-01"),
        ("in summer 2020", "2020-06-01", "2020-09-01"),
        ("im März", "2026-03-01", "2026-04-01"),
        ("en mars", "2026-03-01", "2026-04-01"),
        ("en marzo", "2026-03-01", "2026-04-01"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("in March 2024", "2024-03-01", "2024-04-01"),
        ("mars dernier", "2026-03-01", "2026-04-01"),
        ("in 2023", "2023-01-01", "2024-01-01"),
        ("im Jahr 2023", "2023-01-01", "2024-01-01"),
    ],
)
def test_stretches(text: str, since: str, until: str) -> None:
    assert days(text) == (since, until)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "may I ask",
        "hier bin ich",
        "31 February",
        "le mois prochain",
        "the week",
        "la primavera es bonita",
        "j'ai été malade",
        "99.99.2020",
        "0000-01-01",
        "9999-12-31",
        "999 years ago 31 February",
        "🎉" * 100,
    ],
)
def test_no_time(text: str) -> None:
    assert days(text) is None or text.startswith("999")


def test_what_cannot_be_is_passed_over() -> None:
    assert day("on 31 February, no, on 2 March") == "2026-03-02"


def test_a_season_under_way() -> None:
    april = datetime(2026, 4, 10, tzinfo=UTC)
    assert days("in spring", april) == ("2026-03-01", "2026-06-01")
    assert days("last spring", april) == ("2025-03-01", "2025-06-01")
    assert days("this spring", april) == ("2026-03-01", "2026-06-01")


def test_leap_days_and_short_months() -> None:
    assert days("last month", datetime(2026, 3, 31, tzinfo=UTC)) == ("2026-02-01", "2026-03-01")
    assert days("a year ago", datetime(2024, 2, 29, tzinfo=UTC)) == ("2023-01-01", "2024-01-01")
    assert days("yesterday", datetime(2024, 3, 1, tzinfo=UTC)) == ("2024-02-29", "2024-03-01")


def test_the_day_is_that_of_its_writer() -> None:
    late = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)
    tokyo = timezone(timedelta(hours=9))
    span = span_of("today", late, tokyo)
    assert span is not None
    assert span.since == micros(datetime(2026, 11, 27, tzinfo=tokyo))


def test_days_on_which_clocks_change() -> None:
    """They have 23 or 25 hours."""
    berlin = ZoneInfo("Europe/Berlin")
    for now, hours in ((datetime(2026, 3, 30, 12, tzinfo=UTC), 23), (datetime(2026, 10, 26, 12, tzinfo=UTC), 25)):
        span = span_of("gestern", now, berlin)
        assert span is not None
        assert span.until - span.since == hours * 3_600_000_000
    assert span_of("gestern", datetime(2026, 10, 26, 12, tzinfo=UTC)) is not None
