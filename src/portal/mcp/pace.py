"""Holds a server that floods: its notices beyond a measure are dropped, and Portal goes on with other work between."""

import asyncio

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCRequest

_BURST = 200.0
_PER_SECOND = 100.0
_PAUSE = 0.01
_CHATTER = frozenset({"notifications/message", "notifications/progress"})


class Pace:
    """One server's measure."""

    def __init__(self) -> None:
        self._left = _BURST
        self._at = asyncio.get_running_loop().time()
        self._over = 0

    async def passes(self, message: SessionMessage) -> bool:
        """Whether it is to be looked at. Answers always are; waits where there is too much of anything else."""
        said = message.message
        if not isinstance(said, JSONRPCNotification | JSONRPCRequest):
            return True
        now = asyncio.get_running_loop().time()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return True
        self._over += 1
        if said.method in _CHATTER and self._over % 100:
            return False
        await asyncio.sleep(_PAUSE)
        return said.method not in _CHATTER
