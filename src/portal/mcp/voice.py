"""What a server says beside its answers, its log and its standard error: to Portal's log, and not without bound."""

import asyncio
import logging
from collections import deque

log = logging.getLogger(__name__)

_LONGEST = 500
_PER_MINUTE = 60
_KEPT = 5
_LEVELS = {"warning": logging.WARNING, "error": logging.ERROR, "critical": logging.ERROR, "alert": logging.ERROR}


class Voice:
    """Lines of one server; more than 60 a minute are dropped, and how many were is said."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._last: deque[str] = deque(maxlen=_KEPT)
        self._minute = 0
        self._said = 0

    def say(self, line: str, level: str = "info") -> None:
        """One line."""
        line = "".join(each if each.isprintable() else " " for each in line[:_LONGEST]).strip()
        if not line:
            return
        self._last.append(line)
        minute = int(asyncio.get_running_loop().time() // 60)
        if minute != self._minute:
            if self._said > _PER_MINUTE:
                log.info("%s: %d further lines were left out", self._server, self._said - _PER_MINUTE)
            self._minute, self._said = minute, 0
        self._said += 1
        if self._said <= _PER_MINUTE:
            log.log(_LEVELS.get(level, logging.INFO), "%s: %s", self._server, line)

    def last_words(self) -> str:
        """The newest lines, for whoever asks why it ended."""
        return " / ".join(self._last)
