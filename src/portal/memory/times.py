"""Times that people name: "last spring", "vor drei Wochen", "en mars", "ayer"; which time they mean is worked out from
the clock. Things remembered are past, so the newest such time that has begun is meant."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, datetime, time, timedelta, tzinfo
from functools import cache

from portal.core.clock import micros

Days = tuple[date, date]
"""From a day up to another one, not included."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in microseconds UTC, its end not included."""

    since: int
    until: int


def _table(*rows: str) -> dict[str, int]:
    """Word -> number of its row, from 1."""
    return {word: at for at, row in enumerate(rows, start=1) for word in row.split("|")}


MONTHS = _table(
    "january|jan|januar|jänner|janvier|enero",
    "february|feb|februar|février|fevrier|febrero",
    "march|mar|märz|maerz|mars|marzo",
    "april|apr|avril|abril",
    "may|mai|mayo",
    "june|jun|juni|juin|junio",
    "july|jul|juli|juillet|julio",
    "august|aug|août|aout|agosto",
    "september|sep|sept|septembre|septiembre|setiembre",
    "october|oct|oktober|okt|octobre|octubre",
    "november|nov|novembre|noviembre",
    "december|dec|dezember|dez|décembre|decembre|diciembre",
)
WEEKDAYS = _table(
    "monday|montag|lundi|lunes",
    "tuesday|dienstag|mardi|martes",
    "wednesday|mittwoch|mercredi|miércoles|miercoles",
    "thursday|donnerstag|jeudi|jueves",
    "friday|freitag|vendredi|viernes",
    "saturday|samstag|sonnabend|samedi|sábado|sabado",
    "sunday|sonntag|dimanche|domingo",
)
SEASONS = _table(
    "spring|frühling|frühjahr|fruehling|printemps|primavera",
    "summer|sommer|été|verano",
    "autumn|fall|herbst|automne|otoño",
    "winter|hiver|invierno",
)
NUMBERS = _table(
    "1|a|an|one|ein|einem|einer|eine|einen|un|une|una|uno",
    "2|two|a couple of|couple of|zwei|deux|dos",
    "3|three|a few|few|drei|ein paar|paar|trois|quelques|tres|unos|unas",
    "4|four|vier|quatre|cuatro",
    "5|five|fünf|cinq|cinco",
    "6|six|sechs|seis",
    "7|seven|sieben|sept|siete",
    "8|eight|acht|huit|ocho",
    "9|nine|neun|neuf|nueve",
    "10|ten|zehn|dix|diez",
    "11|eleven|elf|onze|once",
    "12|twelve|zwölf|douze|doce",
)
UNITS = {
    **dict.fromkeys(("day", "days", "tag", "tage", "tagen", "jour", "jours", "día", "días", "dia", "dias"), "day"),
    **dict.fromkeys(("week", "weeks", "woche", "wochen", "semaine", "semaines", "semana", "semanas"), "week"),
    **dict.fromkeys(("month", "months", "monat", "monate", "monaten", "mois", "mes", "meses"), "month"),
    **dict.fromkeys(
        ("year", "years", "jahr", "jahre", "jahren", "an", "ans", "année", "années", "año", "años"), "year"
    ),
    **dict.fromkeys(("weekend", "wochenende", "week-end", "fin de semana"), "weekend"),
}
DAYS_AGO = {
    **dict.fromkeys(("today", "this morning", "this afternoon", "heute", "aujourd'hui", "ce matin", "hoy"), 0),
    **dict.fromkeys(("yesterday", "last night", "gestern", "letzte nacht", "ayer", "anoche"), 1),
    **dict.fromkeys(("the day before yesterday", "day before yesterday", "vorgestern", "avant-hier", "anteayer"), 2),
}
_FRENCH_YESTERDAY = "hier"
_FRENCH = re.compile(r"\b(?:je|j'|nous|on|tu|vous|avons|avez|est-ce|qu'|qu|que|le|la|les|c'|as-tu|dit)(?:\b|(?<='))")
"""What a text has in which "hier" means yesterday, not here."""


def _any(words: Mapping[str, object]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_MONTH, _WEEKDAY, _SEASON, _UNIT = (_any(table) for table in (MONTHS, WEEKDAYS, SEASONS, UNITS))
_NUMBER = rf"\d{{1,3}}|{_any(NUMBERS)}"
_LAST = (
    r"last|past|previous|letzte[nrsm]?|vorige[nrsm]?|vergangene[nrsm]?|la|le|l'|el|derni[eè]re?|pasad[oa]|this|"
    r"diese[nrsm]?|cette?|cet|ce|este|esta"
)
_THIS = re.compile(r"this|diese[nrsm]?|cette?|cet|ce|este|esta")
_BEHIND = r"(?: (?P<behind>derni[eè]re?|pass[eé]e?|pasad[oa]|anterior))?"
_YEAR = r"(?:,? (?:of |de |del )?(?P<year>(?:19|20)\d\d)\b)?"


def _bounded(pattern: str) -> str:
    """{B} and {E} are where a word begins and ends."""
    return pattern.replace("{B}", r"(?<![\w-])").replace("{E}", r"(?![\w-])")


_ISO = _bounded(r"{B}(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2}){E}")
_DOTTED = _bounded(r"{B}(?P<day>\d{1,2})[./](?P<month>\d{1,2})[./](?P<year>\d{4}){E}")
_DAY_MONTH = _bounded(rf"{{B}}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.|er)?(?: of| de)? (?P<month>{_MONTH})\.?{{E}}{_YEAR}")
_MONTH_DAY = _bounded(rf"{{B}}(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?:st|nd|rd|th)?{{E}}{_YEAR}")
_AGO = _bounded(
    rf"{{B}}(?:(?P<n1>{_NUMBER}) (?P<u1>{_UNIT}) ago|(?:vor|il y a|hace) (?P<n2>{_NUMBER}) (?P<u2>{_UNIT})){{E}}"
)
_WITHIN = _bounded(
    rf"{{B}}(?:(?:last|past|previous|letzten|vergangenen|últimos|últimas|ultimos|ultimas) (?P<n1>{_NUMBER}) "
    rf"(?P<u1>{_UNIT})|(?P<n2>{_NUMBER}) derni[eè]re?s (?P<u2>{_UNIT})){{E}}"
)
_RELATIVE = _bounded(rf"{{B}}(?P<word>{_any(DAYS_AGO)}|{_FRENCH_YESTERDAY}){{E}}")
_LAST_UNIT = _bounded(rf"{{B}}(?P<last>{_LAST}) ?(?P<unit>{_UNIT}){_BEHIND}{{E}}")
_LAST_SEASON = _bounded(
    rf"{{B}}(?P<last>{_LAST}|in|in the|during|during the|im|au|en|en el|en la) ?(?P<season>{_SEASON})"
    rf"{_BEHIND}{{E}}{_YEAR}"
)
_LAST_MONTH = _bounded(
    rf"{{B}}(?P<last>{_LAST}|in|since|im|seit|en|mois de|mes de) (?P<month>{_MONTH}){_BEHIND}{{E}}{_YEAR}"
)
_MONTH_LAST = _bounded(rf"{{B}}(?P<month>{_MONTH}) (?P<behind>derni[eè]re?|pass[eé]|pasado){{E}}")
_LAST_WEEKDAY = _bounded(
    rf"{{B}}(?:{_LAST}|on|am) (?P<weekday>{_WEEKDAY}){{E}}|{{B}}(?P<weekday2>{_WEEKDAY}) dernier{{E}}"
)
_IN_YEAR = _bounded(r"{B}(?:in|im jahre?|en|during|l'année|el año) (?P<year>(?:19|20)\d\d){E}")

Read = Callable[["re.Match[str]", date], Days | None]


def span_of(text: str, now: datetime, zone: tzinfo | None = None) -> Span | None:
    """The time that a text names, seen from `now`; None where it names none. `zone` is where its writer lives, by
    default this machine's."""
    plain = unicodedata.normalize("NFC", text[:2000]).replace("’", "'").lower()
    today = now.astimezone(zone).date()
    for days in _found(plain, today):
        if days[0].year > MINYEAR and days[1].year < MAXYEAR:
            since, until = (micros(datetime.combine(day, time(), tzinfo=zone)) for day in days)
            return Span(since, until)
    return None


def _found(text: str, today: date) -> Iterator[Days]:
    for pattern, read in _readers():
        for match in pattern.finditer(text):
            try:
                days = read(match, today)
            except (ValueError, OverflowError):  # the 31st of February, or 999 years ago
                continue
            if days is not None:
                yield days


def _day(day: date) -> Days:
    return day, day + timedelta(days=1)


def _numeric(match: "re.Match[str]", today: date) -> Days:
    return _day(date(int(match["year"]), int(match["month"]), int(match["day"])))


def _named_day(match: "re.Match[str]", today: date) -> Days:
    month, day = MONTHS[match["month"]], int(match["day"])
    if match["year"]:
        return _day(date(int(match["year"]), month, day))
    this = date(today.year, month, day)
    return _day(this if this <= today else date(today.year - 1, month, day))


def _ago(match: "re.Match[str]", today: date) -> Days:
    count, unit = _count(match["n1"] or match["n2"]), UNITS[match["u1"] or match["u2"]]
    return _unit(_back(today, count, unit), unit)


def _within(match: "re.Match[str]", today: date) -> Days:
    count, unit = _count(match["n1"] or match["n2"]), UNITS[match["u1"] or match["u2"]]
    return _back(today, count, unit), today + timedelta(days=1)


def _relative(match: "re.Match[str]", today: date) -> Days | None:
    if match["word"] == _FRENCH_YESTERDAY:
        return _day(today - timedelta(days=1)) if _FRENCH.search(match.string) else None
    return _day(today - timedelta(days=DAYS_AGO[match["word"]]))


def _last_unit(match: "re.Match[str]", today: date) -> Days | None:
    unit = UNITS[match["unit"]]
    if _THIS.fullmatch(match["last"]):
        return _unit(today, unit)
    if match["last"] in ("la", "le", "l'", "el") and not match["behind"]:
        return None
    return _unit(_back(today, 1, unit), unit)


def _season(match: "re.Match[str]", today: date) -> Days | None:
    if match["last"] in ("la", "le", "el") and not (match["behind"] or match["year"]):
        return None
    at = SEASONS[match["season"]]
    if match["year"]:
        return _season_of(int(match["year"]), at)
    ended = bool(match["behind"]) or match["last"].startswith(
        ("last", "past", "previous", "letzte", "vorige", "vergang")
    )
    seasons = (_season_of(today.year - back, at) for back in range(3))
    return next(days for days in seasons if days[1] <= today or (not ended and days[0] <= today))


def _season_of(year: int, at: int) -> Days:
    """As the north counts them; winter is that which begins in the year."""
    begins = date(year, 3 * at, 1)
    return begins, _months_on(begins, 3)


def _month(match: "re.Match[str]", today: date) -> Days:
    month = MONTHS[match["month"]]
    year = match.groupdict().get("year")
    if year:
        return _unit(date(int(year), month, 1), "month")
    this = date(today.year, month, 1)
    return _unit(this if this <= today else date(today.year - 1, month, 1), "month")


def _weekday(match: "re.Match[str]", today: date) -> Days:
    wanted = WEEKDAYS[match["weekday"] or match["weekday2"]]
    return _day(today - timedelta(days=(today.isoweekday() - wanted - 1) % 7 + 1))


def _in_year(match: "re.Match[str]", today: date) -> Days:
    return _unit(date(int(match["year"]), 1, 1), "year")


def _count(word: str) -> int:
    return int(word) if word.isdecimal() else NUMBERS[word]


def _unit(day: date, unit: str) -> Days:
    """The day, week, weekend, month or year that a day is in."""
    monday = day - timedelta(days=day.weekday())
    if unit == "day":
        return _day(day)
    if unit == "week":
        return monday, monday + timedelta(days=7)
    if unit == "weekend":
        return monday + timedelta(days=5), monday + timedelta(days=7)
    begins = day.replace(day=1) if unit == "month" else date(day.year, 1, 1)
    return begins, _months_on(begins, 1 if unit == "month" else 12)


def _back(day: date, count: int, unit: str) -> date:
    if unit in ("day", "week", "weekend"):
        return day - timedelta(days=count * (1 if unit == "day" else 7))
    return _months_on(day, -count * (12 if unit == "year" else 1))


def _months_on(day: date, months: int) -> date:
    """So many months later, or earlier; the 31st becomes the last day of a shorter month."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


_READERS: tuple[tuple[str, Read], ...] = (
    (_ISO, _numeric),
    (_DOTTED, _numeric),
    (_DAY_MONTH, _named_day),
    (_MONTH_DAY, _named_day),
    (_AGO, _ago),
    (_WITHIN, _within),
    (_RELATIVE, _relative),
    (_LAST_UNIT, _last_unit),
    (_LAST_SEASON, _season),
    (_LAST_MONTH, _month),
    (_MONTH_LAST, _month),
    (_LAST_WEEKDAY, _weekday),
    (_IN_YEAR, _in_year),
)


@cache
def _readers() -> Sequence[tuple["re.Pattern[str]", Read]]:
    """Compiled when first used, which takes a moment."""
    return [(re.compile(pattern), read) for pattern, read in _READERS]
