"""The rates that Telegram's documentation asks bots to keep, and the 429 for those who do not."""

import math
from collections import defaultdict, deque

from portal.testing.telegram_entities import TelegramRefusal

_BURST = 3
"""Telegram lets short bursts to one chat pass."""
_OVERALL = 30
_GROUP_A_MINUTE = 20
_DRAFTS_A_SECOND = 10
"""Not documented; generous on purpose."""


class TelegramLimits:
    """One message a second for each chat, thirty overall, twenty a minute for a group."""

    def __init__(self) -> None:
        self._sent: dict[tuple[int, str], deque[float]] = defaultdict(deque)
        self.refused = 0

    def check(self, chat: int, *, draft: bool, now: float) -> None:
        """Count a call, or refuse it and say how long to wait."""
        if draft:
            rules = [(chat, "draft", _DRAFTS_A_SECOND, 1.0)]
        else:
            rules = [(chat, "burst", _BURST, float(_BURST)), (0, "overall", _OVERALL, 1.0)]
            if chat < 0:
                rules.append((chat, "group", _GROUP_A_MINUTE, 60.0))
        waits = [self._wait((scope, name), most, window, now) for scope, name, most, window in rules]
        if any(waits):
            self.refused += 1
            seconds = max(1, math.ceil(max(waits)))
            raise TelegramRefusal(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
        for scope, name, _, _ in rules:
            self._sent[scope, name].append(now)

    def _wait(self, key: tuple[int, str], most: int, window: float, now: float) -> float:
        times = self._sent[key]
        while times and times[0] <= now - window:
            times.popleft()
        return times[0] + window - now if len(times) >= most else 0
