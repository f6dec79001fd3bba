"""Keeps one channel connected, and makes sure that it hears: a connection without proof of life is made anew."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from portal.channels.reception import Reception
from portal.core.channels import Channel, Probes
from portal.core.clock import micros
from portal.errors import ChannelError, ChannelRefused, ChannelTaken, PortalError, RateLimited

log = logging.getLogger(__name__)

State: TypeAlias = Literal["starting", "up", "deaf", "down", "refused", "taken"]

_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_STOOD_BACK = 300.0
"""Seconds until a refused token or a taken bot is tried again."""
_LOOKS = 10
"""How often within the silence that counts as deaf it is looked."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds between tries."""

    pause: float = _PAUSE
    longest: float = _LONGEST_PAUSE
    stood_back: float = _STOOD_BACK


class Connection:
    """Runs a channel until cancelled."""

    def __init__(
        self,
        *,
        channel: Channel,
        reception: Reception,
        changed: Callable[[], None],
        patience: Patience = Patience(),
    ) -> None:
        self._channel = channel
        self._reception = reception
        self._changed = changed
        self._patience = patience
        self.state: State = "starting"
        self.detail = ""
        self.since = micros()
        self.repairs = 0
        """How often it was deaf and connected anew."""

    async def run(self) -> None:
        """Connect, again and again."""
        pause = self._patience.pause
        while True:
            error = await self._once()
            if isinstance(error, (ChannelRefused, ChannelTaken)):
                self._become("refused" if isinstance(error, ChannelRefused) else "taken", error.message)
                await asyncio.sleep(self._patience.stood_back)
                continue
            pause = self._patience.pause if self.state == "up" else pause
            self._lost(error)
            await asyncio.sleep(max(pause, getattr(error, "retry_after", None) or 0))
            pause = min(pause * 2, self._patience.longest)

    def _lost(self, error: Exception | None) -> None:
        if isinstance(error, PortalError):
            self._become("deaf" if isinstance(error, Deaf) else "down", error.message)
        elif error is not None:
            log.error("a channel failed unexpectedly", exc_info=error, extra={"channel": self._channel.name})
            self._become("down", "It failed unexpectedly; the log has the details.")
        else:
            self._become("down", "The connection ended.")

    async def _once(self) -> Exception | None:
        """One connection, until it is lost or found deaf: why."""
        self._reception.alive_at = asyncio.get_running_loop().time()
        self._reception.heard = lambda: self._become("up", "")
        silence = self._channel.limits.silence
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._received())
            while True:
                done, _ = await asyncio.wait({running}, timeout=silence / _LOOKS)
                trouble = running.result() if done else await self._look(silence)
                if done or trouble is not None:
                    break
            running.cancel()
        self._reception.heard = _nothing
        return trouble

    async def _received(self) -> Exception | None:
        try:
            await self._channel.run(self._reception)
        except Exception as error:
            return error
        return None

    async def _look(self, silence: float) -> Exception | None:
        """What is wrong, where it does not hear."""
        quiet = asyncio.get_running_loop().time() - self._reception.alive_at
        if quiet > silence:
            return self._deaf(f"Nothing was heard for {quiet:.0f} seconds.")
        if isinstance(self._channel, Probes):
            try:
                await self._channel.probe()
            except RateLimited:
                return None
            except (ChannelRefused, ChannelTaken) as error:
                return error
            except ChannelError as error:
                return self._deaf(error.message)
            except Exception as error:  # as below
                return error
        return None

    def _deaf(self, why: str) -> "Deaf":
        self.repairs += 1
        log.warning("a channel is connected anew: %s", why, extra={"channel": self._channel.name})
        return Deaf(why)

    def _become(self, state: State, detail: str) -> None:
        if (state, detail) != (self.state, self.detail):
            self.state, self.detail, self.since = state, detail, micros()
            level = logging.INFO if state in ("up", "starting") else logging.WARNING
            told = f"the channel {self._channel.name} is {state}{f': {detail}' if detail else ''}"
            log.log(level, "%s", told, extra={"event": "channel"})
            self._changed()


class Deaf(ChannelError):
    """It is connected and hears nothing."""


def _nothing() -> None:
    """Nobody wants to know."""
