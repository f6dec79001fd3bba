"""Moments as people write them in options: a span such as 12h or 30d, or a date."""

import re
from datetime import UTC, datetime, timedelta

from portal.core.clock import now
from portal.errors import BadRequest

_UNITS = {"h": "hours", "d": "days"}


def ahead(when: str) -> float:
    """Unix seconds; a span counts from now on. Raises BadRequest."""
    return _moment(when, 1)


def ago(when: str) -> float:
    """Unix seconds; a span counts back from now. Raises BadRequest."""
    return _moment(when, -1)


def _moment(when: str, sign: int) -> float:
    match = re.fullmatch(r"(\d{1,5})\s*([hd])", when.strip())
    if match is not None:
        return (now() + sign * timedelta(**{_UNITS[match[2]]: int(match[1])})).timestamp()
    try:
        moment = datetime.fromisoformat(when.strip())
    except ValueError as error:
        raise BadRequest(f"{when!r} is no time, such as 12h, 30d or 2027-01-31.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
