"""A collector of traces on loopback: takes OTLP over HTTP, read by the protocol's own messages."""

import asyncio
import gzip
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What came, in the order in which it came."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: deque[int] = deque()
        """Of the next answers; 200 when there are no more, and with 0 none comes."""
        self.tried = 0
        self._changed = asyncio.Event()

    @property
    def spans(self) -> list[Span]:
        return [
            one
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for one in scope.spans
        ]

    async def until(self, *names: str) -> list[Span]:
        """Once spans of these names are here, all that is."""
        while not set(names) <= {one.name for one in self.spans}:
            await self._changed.wait()
            self._changed.clear()
        return self.spans

    async def until_tried(self, times: int) -> None:
        while self.tried < times:
            await self._changed.wait()
            self._changed.clear()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.tried += 1
        self._changed.set()
        status = self.statuses.popleft() if self.statuses else 200
        if status == 0:
            await asyncio.Event().wait()
        if status == 200:
            assert request.content_type == "application/x-protobuf"
            packed = request.headers.get("Content-Encoding") == "gzip" and body[:2] == b"\x1f\x8b"
            self.requests.append(ExportTraceServiceRequest.FromString(gzip.decompress(body) if packed else body))
            self.headers.append(dict(request.headers))
            self._changed.set()
        return web.Response(status=status)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    try:
        yield made
    finally:
        await runner.cleanup()


def attributes(span: Any) -> dict[str, Any]:
    """Of a span or a resource."""
    found = {}
    for pair in span.attributes:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [each.string_value for each in value.values] if kind == "array_value" else value
    return found
