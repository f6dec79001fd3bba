"""The log: to standard error, to a file or to both; secrets are taken out before anything is written."""

import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from portal.errors import SettingsError
from portal.observability.context import ids
from portal.observability.levels import Levels
from portal.observability.log_file import LogFile
from portal.settings import LogSettings

_KEYS = (
    r"(portal-[A-Za-z0-9_-]{8})[A-Za-z0-9_-]{20,}"
    r"|(sk-[A-Za-z0-9]{2})[A-Za-z0-9_-]{16,}"
    r"|((?:authorization|x-api-key|api[_-]?key|token|password|secret|cookie|portal_session)[\"']?\s*[:=]\s*"
    r"[\"']?(?:(?:bearer|basic)\s+)?)"
    r"[^\s\"'&,;)}]{6,}"
    r"|(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"
    r"|((?:hf|gh[a-z])_[A-Za-z0-9]{2})[A-Za-z0-9]{16,}"
    r"|(x(?:ox[a-z]|app)-)[A-Za-z0-9-]{10,}"
    r"|(AKIA)[A-Z0-9]{16}"
    r"|(\d{6,12}:)[A-Za-z0-9_-]{35}"
    r"|((?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{4})[A-Za-z0-9_-]++\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|(-----BEGIN [A-Z ]*PRIVATE KEY-----)[A-Za-z0-9+/=\r\n\\]*"
    r"|(://[^\s:/@]*:)[^\s/@]+(?=@)"
)
_ADDRESSES = r"|\b([A-Za-z0-9])[A-Za-z0-9._%+-]{0,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_SECRETS = re.compile(_KEYS + _ADDRESSES, re.IGNORECASE)
_ONLY_KEYS = re.compile(_KEYS, re.IGNORECASE)
_EXTRA = ("response", "backend", "channel", "tool", "event", "trace")


def redact(text: str) -> str:
    """The text with keys, tokens, passwords and e-mail addresses replaced by three dots."""
    return _SECRETS.sub(lambda match: next(group for group in match.groups() if group is not None) + "...", text)


def without_keys(text: str) -> str:
    """The text with keys, tokens and passwords replaced by three dots: e-mail addresses are somebody's own to keep."""
    return _ONLY_KEYS.sub(lambda match: next(group for group in match.groups() if group is not None) + "...", text)


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
            **_details(record),
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
