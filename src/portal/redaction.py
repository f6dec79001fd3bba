"""What must not be read by others: keys, tokens, passwords and e-mail addresses, found in any text by how they look."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

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


def redact(text: str) -> str:
    """The text with keys, tokens, passwords and e-mail addresses replaced by three dots."""
    return _pattern(_KEYS + _ADDRESSES).sub(_beginning, text)


def without_keys(text: str) -> str:
    """The text with keys, tokens and passwords replaced by three dots: e-mail addresses are somebody's own to keep."""
    return _pattern(_KEYS).sub(_beginning, text)


def redacted(value: Any, by: Callable[[str], str] = redact) -> Any:
    """The same JSON with nothing of the kind in any text of it."""
    if isinstance(value, str):
        return by(value) if len(value) > 8 else value
    if isinstance(value, list):
        return [redacted(each, by) for each in value]
    if isinstance(value, dict):
        return {name: redacted(each, by) for name, each in value.items()}
    return value


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when it is first needed: every command imports this."""
    return re.compile(text, re.IGNORECASE)


def _beginning(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None) + "..."
