"""The log: one handler on the root logger, secrets taken out before anything is written."""

import logging
import re
import sys
from datetime import UTC, datetime

import orjson

from portal.errors import SettingsError
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
    r"|(eyJ[A-Za-z0-9_-]{4})[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"
    r"|(-----BEGIN [A-Z ]*PRIVATE KEY-----)[A-Za-z0-9+/=\r\n\\]*"
    r"|(://[^\s:/@]*:)[^\s/@]+(?=@)"
)
_SECRETS = re.compile(_KEYS + r"|\b([A-Za-z0-9])[A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+", re.IGNORECASE)
_ONLY_KEYS = re.compile(_KEYS, re.IGNORECASE)
_EXTRA = ("response", "backend", "trace")


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
        text += "".join(f" {name}={getattr(record, name)}" for name in _EXTRA if hasattr(record, name))
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
            **{name: getattr(record, name) for name in _EXTRA if hasattr(record, name)},
        }
        if record.exc_info:
            entry["exception"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(entry).decode("utf-8")


def level_of(settings: LogSettings) -> str:
    """The level that is written from. Raises SettingsError where there is no such level."""
    level = settings.level.upper()
    if level not in logging.getLevelNamesMapping():
        raise SettingsError(f"log.level cannot be {settings.level!r}: it is DEBUG, INFO, WARNING or ERROR.")
    return level


def configure(settings: LogSettings) -> None:
    """Make the root logger write to standard error as the settings say; replaces earlier handlers. Raises
    SettingsError."""
    level = level_of(settings)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.json_lines else _Lines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("uvicorn.access", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
