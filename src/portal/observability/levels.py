"""How much is logged, and by whom: changeable while Portal runs, for a while or until it ends.

Portal's own loggers always tell what is notable, which the event log keeps; what the handlers let through is decided
here.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from portal.core.clock import micros, seconds
from portal.core.items import JsonObject
from portal.errors import BadRequest, SettingsError

NAMES = ("DEBUG", "INFO", "WARNING", "ERROR")
_QUIET = {"uvicorn.access": logging.WARNING, "asyncio": logging.WARNING}
_MOST = 50
"""Loggers with a level of their own."""


@dataclass(slots=True)
class _For:
    """A level that ends."""

    before: int | None
    until: int
    timer: asyncio.TimerHandle


class Levels:
    """The level of everything, and of loggers that have one of their own, which goes for those below them."""

    def __init__(self, level: str = "INFO", loggers: Mapping[str, str] | None = None) -> None:
        """Raises SettingsError where there is no such level."""
        self._levels = {**_QUIET, "": _of(level, "log.level")}
        for name, wanted in (loggers or {}).items():
            self._levels[name] = _of(wanted, f"log.levels.{name}")
        self._for: dict[str, _For] = {}

    def apply(self) -> None:
        """Tell the loggers."""
        for name, level in self._levels.items():
            self._tell(name, level)

    def take(self, other: "Levels") -> None:
        """Be as this one is from now on; what was to end by itself ends here."""
        self.stop()
        self._for.clear()
        for name in self._levels.keys() - other._levels.keys():
            self._tell(name, None)
        self._levels = dict(other._levels)
        self.apply()

    def allows(self, record: logging.LogRecord) -> bool:
        """Whether it is written; the filter of the handlers."""
        return record.levelno >= self._level(record.name)

    def _level(self, logger: str) -> int:
        name = logger
        while name and name not in self._levels:
            name = name.rpartition(".")[0]
        return self._levels[name]

    def change(self, level: str, logger: str = "", *, for_seconds: float | None = None) -> None:
        """From now on; with `for_seconds` it then goes back to what it was. Within a running event loop.

        Raises:
            BadRequest: there is no such level, or there are too many loggers.
        """
        try:
            wanted = _of(level, "level")
        except SettingsError as error:
            raise BadRequest(error.message, param="level") from error
        if logger not in self._levels and len(self._levels) >= _MOST:
            raise BadRequest("So many loggers have a level of their own already: restart to begin anew.")
        running = self._for.pop(logger, None)
        before = running.before if running else self._levels.get(logger)
        if running:
            running.timer.cancel()
        self._set(logger, wanted)
        if for_seconds is not None:
            timer = asyncio.get_running_loop().call_later(for_seconds, self._end, logger)
            self._for[logger] = _For(before, seconds(micros()) + round(for_seconds), timer)

    def _end(self, logger: str) -> None:
        self._set(logger, self._for.pop(logger).before)

    def _set(self, logger: str, level: int | None) -> None:
        if level is None:
            self._levels.pop(logger, None)
        else:
            self._levels[logger] = level
        self._tell(logger, level)

    def _tell(self, logger: str, level: int | None) -> None:
        told = logging.NOTSET if level is None else level
        logging.getLogger(logger or None).setLevel(told if logger else min(told, logging.INFO))

    def stop(self) -> None:
        """Let nothing change by itself any more."""
        for one in self._for.values():
            one.timer.cancel()

    def view(self) -> JsonObject:
        """{level, until, loggers: [{name, level, until}]}; `until` in Unix seconds where it ends by itself."""
        told = [
            {"name": name, "level": logging.getLevelName(level), "until": self._until(name)}
            for name, level in sorted(self._levels.items())
        ]
        return {"level": told[0]["level"], "until": told[0]["until"], "loggers": told[1:]}

    def _until(self, logger: str) -> int | None:
        return self._for[logger].until if logger in self._for else None


def _of(level: str, setting: str) -> int:
    name = level.upper()
    if name not in NAMES:
        raise SettingsError(f"{setting} cannot be {level!r}: it is DEBUG, INFO, WARNING or ERROR.")
    return logging.getLevelNamesMapping()[name]
