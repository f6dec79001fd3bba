"""Traces on their way to a collector: they wait in memory, leave in batches, and nothing waits for them."""

import asyncio
import gzip
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import islice
from time import perf_counter_ns, time_ns

from portal import __version__
from portal.core.tracing import Span
from portal.errors import BackendError
from portal.observability.otlp import request_bytes, resource_bytes, span_bytes
from portal.settings.telemetry import TelemetrySettings

log = logging.getLogger(__name__)

PROTOCOL = "http/protobuf"
LONGEST_QUEUE = 20_000
"""Spans that may wait; of more the oldest are lost."""
_BATCH = 256
_FULL = 4 * _BATCH
"""So many are sent before their time."""
_LONGEST_PAUSE = 60.0
_LAST = 2.0
"""Seconds for what is left at the end."""
_PASSING = frozenset({408, 429, 502, 503, 504})
_HALF = 2**63

Post = Callable[[bytes, Mapping[str, str]], Awaitable[int]]
"""Sends a body with these headers to the collector, and brings the status. Raises BackendError."""


class Exporter:
    """Implements Sink. `run` has to go on beside it; `aclose` sends what is left."""

    def __init__(self, *, settings: TelemetrySettings, post: Post) -> None:
        self.content = settings.content
        self._settings = settings
        self._post = post
        self._samples = sampler(settings.sampler, settings.ratio)
        self._resource = resource_bytes(
            {
                **settings.resource,
                "service.name": settings.service_name,
                "service.version": __version__,
                "telemetry.sdk.name": "portal",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.version": __version__,
            }
        )
        self._queue: deque[bytes] = deque(maxlen=LONGEST_QUEUE)
        self._lost = 0
        self._broken = False
        self._wake = asyncio.Event()
        self._offset = time_ns() - perf_counter_ns()

    def samples(self, trace: bytes, parent: bool | None) -> bool:
        """See Sink."""
        return self._samples(trace, parent)

    def take(self, ended: Span) -> None:
        """See Sink."""
        queue = self._queue
        if len(queue) == LONGEST_QUEUE:
            self._lost += 1
        queue.append(span_bytes(ended, self._offset))
        if len(queue) == _FULL:
            self._wake.set()

    async def run(self) -> None:
        """Send what comes, every few seconds; less often while nobody takes it."""
        pause = self._settings.interval
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()
            self._offset = time_ns() - perf_counter_ns()
            sent = await self.send()
            pause = self._settings.interval if sent else min(pause * 2, _LONGEST_PAUSE)
            if not sent:
                await asyncio.sleep(pause)

    async def aclose(self) -> None:
        """Send what is left, within a moment."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST):
                await self.send()

    async def send(self) -> bool:
        """Send all that waits; whether nothing of it has to be tried again."""
        while self._queue:
            batch, lost = list(islice(self._queue, _BATCH)), self._lost
            status, why = await self._sent(batch)
            if status in _PASSING or status == 0:
                self._failing(why)
                return False
            for _ in range(len(batch) - (self._lost - lost)):  # those at the front that were not pushed out meanwhile
                self._queue.popleft()
            if status >= 400:
                self._failing(why)
            elif self._broken:
                self._broken = False
                log.info("traces are sent again; %d spans were lost", self._lost)
                self._lost = 0
        return True

    async def _sent(self, batch: list[bytes]) -> tuple[int, str]:
        """The status, 0 for none, and what is wrong in words."""
        body = request_bytes(self._resource, "portal", __version__, batch)
        headers = {"Content-Type": "application/x-protobuf"}
        if self._settings.compression == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body, 1, mtime=0), "gzip"
        try:
            async with asyncio.timeout(self._settings.timeout):
                status = await self._post(body, headers)
        except BackendError as error:
            return 0, error.message
        except TimeoutError:
            return 0, f"it did not answer within {self._settings.timeout:g} seconds"
        return status, f"it answered with status {status}"

    def _failing(self, why: str) -> None:
        """Once, until it works again."""
        if not self._broken:
            self._broken = True
            log.warning("traces cannot be sent to %s: %s", self._settings.endpoint, why)


def sampler(name: str, ratio: float) -> Callable[[bytes, bool | None], bool]:
    """Which traces are sent, by OpenTelemetry's name for it; one that is not known is the usual one."""
    by_parent, plain = name.startswith("parentbased_"), name.removeprefix("parentbased_")
    if plain not in ("always_on", "always_off", "traceidratio"):
        log.warning("there is no sampler %r of traces: all are sent, unless their caller decided otherwise", name)
        by_parent, plain = True, "always_on"
    share = {"always_on": 1.0, "always_off": 0.0}.get(plain, ratio)
    bound = round(share * _HALF)

    def samples(trace: bytes, parent: bool | None) -> bool:
        if by_parent and parent is not None:
            return parent
        return share >= 1 or int.from_bytes(trace[8:], "big") >> 1 < bound

    return samples
