"""Counting tokens without a tokenizer: an estimate for windows and for usage a backend does not report."""

import re
from collections.abc import Iterable

from portal.core.items import JsonObject

_WIDE = re.compile("[\u2e80-\U0010ffff]+")
_PER_MESSAGE = 4
_PER_IMAGE = 800


def estimate(text: str) -> int:
    """Tokens in `text`, roughly: four UTF-8 bytes each in Latin scripts, about one per character in CJK."""
    return _tokens(len(text), _wide(text))


def _wide(text: str) -> int:
    return 0 if text.isascii() else sum(map(len, _WIDE.findall(text)))


def _tokens(length: int, wide: int) -> int:
    return wide + (length - wide + 3) // 4


class Tally:
    """The same of a text that comes in pieces, which are not kept."""

    def __init__(self) -> None:
        self._length = 0
        self._wide = 0

    def add(self, text: str) -> None:
        """More of the text."""
        self._length += len(text)
        if not text.isascii():
            self._wide += _wide(text)

    @property
    def tokens(self) -> int:
        """So far."""
        return _tokens(self._length, self._wide)


def estimate_messages(messages: Iterable[JsonObject]) -> int:
    """Tokens of Chat Completions messages, their framing and images included."""
    return sum(_PER_MESSAGE + _content(message) for message in messages)


def _content(message: JsonObject) -> int:
    content = message.get("content") or ""
    calls = sum(estimate(str(call.get("function", ""))) for call in message.get("tool_calls") or ())
    if isinstance(content, str):
        return estimate(content) + calls
    return calls + sum(_PER_IMAGE if "image_url" in part else estimate(str(part.get("text", ""))) for part in content)
