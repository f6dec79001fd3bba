"""The log: to standard error, to a file or to both; secrets are taken out before anything is written."""

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from portal.errors import SettingsError
from portal.observability.context import ids
from portal.observability.levels import Levels
from portal.observability.log_file import LogFile
from portal.redaction import redact, redacted
from portal.settings import LogSettings

_EXTRA = ("response", "backend", "channel", "tool", "event", "trace")


class _Lines(logging.Formatter):
    """Plain lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"{when} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        text += "".join(f" {name}={value}" for name, value in _details(record).items())
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return redact(text)


class _Json(logging.Formatter):
    """One JSON object a line for machines."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **redacted(_details(record)),
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(entry).decode("utf-8")


def _details(record: logging.LogRecord) -> dict[str, object]:
    """What it is about, and because of what it was written."""
    return {**{name: getattr(record, name) for name in _EXTRA if hasattr(record, name)}, **ids()}


def configure(settings: LogSettings, *, file: Path | None = None) -> Levels:
    """Make the root logger write as the settings say, to standard error, and to the file if there is one; replaces
    earlier handlers. What comes back changes how much that is.

    Raises:
        SettingsError: there is no such level, or the file cannot be written.
    """
    levels = Levels(settings.level, settings.levels)
    handlers: list[logging.Handler] = []
    if file is not None:
        handlers.append(_file(settings, file))
    if not any(isinstance(one, LogFile) and one.has_output for one in handlers):
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(_Json() if settings.json_lines else _Lines())
        handler.addFilter(levels.allows)
    logging.basicConfig(handlers=handlers, force=True)
    levels.apply()
    return levels


def _file(settings: LogSettings, file: Path) -> LogFile:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return LogFile(file, max_size=settings.max_size, keep=settings.keep, days=settings.rotate_days)
    except OSError as error:
        raise SettingsError(
            f"The log file {file} cannot be written: {error.strerror or error}. See log.file."
        ) from error
