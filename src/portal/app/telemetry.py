"""Traces, where there is somewhere to send them: nothing of it is loaded otherwise."""

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from portal.backends.http import Deadlines, HttpClient
from portal.core.supervisor import Supervisor
from portal.core.tracing import Tracer, current
from portal.settings import Settings

log = logging.getLogger(__name__)


async def open_tracer(settings: Settings, supervisor: Supervisor, stack: AsyncExitStack) -> Tracer:
    """With a sink that sends spans on until the stack is closed, if the settings say where."""
    told = settings.telemetry
    if not told.enabled or not told.endpoint:
        return Tracer()
    from portal.observability.telemetry import PROTOCOL

    if told.protocol != PROTOCOL:
        log.warning("traces are not sent: %r is not known, set telemetry.protocol to %s", told.protocol, PROTOCOL)
        return Tracer()
    return await _sending(settings, supervisor, stack)


async def _sending(settings: Settings, supervisor: Supervisor, stack: AsyncExitStack) -> Tracer:
    from portal.observability.telemetry import Exporter

    told = settings.telemetry
    client = HttpClient(
        server="the collector of traces",
        url=told.endpoint,
        deadlines=Deadlines(connect=min(5, told.timeout), first_byte=told.timeout, idle=told.timeout),
        headers={name: value.get_secret_value() for name, value in told.headers.items()},
    )

    async def post(body: bytes, headers: Mapping[str, str]) -> int:
        reply = await client.open("POST", "", body, headers=headers)
        try:
            await reply.finish()
        finally:
            reply.close()
        return reply.status

    exporter = Exporter(settings=told, post=post)
    stack.push_async_callback(client.aclose)
    stack.push_async_callback(exporter.aclose)
    supervisor.keep_on(stack, traces=exporter.run)
    _name_traces(stack)
    return Tracer(exporter)


def _name_traces(stack: AsyncExitStack) -> None:
    """Each line of the log that is written within a trace says which."""
    plain = logging.getLogRecordFactory()

    def named(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = plain(*args, **kwargs)
        around = current.get()
        if around is not None and around.trace is not None:
            record.trace = around.trace.id.hex()
        return record

    logging.setLogRecordFactory(named)
    stack.callback(logging.setLogRecordFactory, plain)
