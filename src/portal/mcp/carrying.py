"""The trace of a call goes on to its tool server: the SDK tells it what OpenTelemetry's current span is (SEP-414), so
that is made ours. Not the caller's, whose the SDK took in where Portal itself serves tools."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace

from portal.core.tracing import current


@contextmanager
def carrying() -> Iterator[None]:
    """What is asked within belongs to Portal's current span, if somebody collects it."""
    around = current.get()
    if around is None or around.trace is None or not around.id:
        yield
        return
    told = trace.SpanContext(
        trace_id=int.from_bytes(around.trace.id, "big"),
        span_id=int.from_bytes(around.id, "big"),
        is_remote=False,
        trace_flags=trace.TraceFlags(int(around.trace.sampled)),
        trace_state=trace.TraceState.from_header([around.trace.state]),
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(told)))
    try:
        yield
    finally:
        context.detach(token)
