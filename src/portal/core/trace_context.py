"""W3C Trace Context: how a trace goes on from one program to the next, in two HTTP headers."""

import re
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from portal.core.tracing import Sink, Span, Trace, current

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT, STATE = "traceparent", "tracestate"
_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")
_NOTHING: Mapping[str, str] = {}
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


def arrived(sink: Sink, parent: str = "", state: str = "") -> Span:
    """What a request from outside is within: its caller's span, or nobody's. Headers that are none are left aside."""
    if parent and _PARENT.fullmatch(parent) is not None:
        trace_id, span_id = bytes.fromhex(parent[3:35]), bytes.fromhex(parent[36:52])
        if trace_id != _NO_TRACE and span_id != _NO_SPAN:
            kept = state if state and _STATE.fullmatch(state) else ""
            return Span("", "", {}, trace=Trace(sink, trace_id, parent[54] in "13579bdf", kept), id=span_id)
    return Span("", "", {}, trace=Trace(sink), id=b"")


def from_headers(sink: Sink, headers: Mapping[bytes, bytes]) -> Span:
    """The same of a request's headers, by their names in small letters."""
    parent = headers.get(b"traceparent")
    if parent is None:
        return arrived(sink)
    return arrived(sink, parent.decode("latin-1"), headers.get(b"tracestate", b"").decode("latin-1"))


def leaving(one: Span | None) -> Mapping[str, str]:
    """The headers with which what goes out from this span goes on with its trace; none where nobody collects it."""
    if one is None or one.trace is None or not one.id:
        return _NOTHING
    trace = one.trace
    told = f"00-{trace.id.hex()}-{one.id.hex()}-{'01' if trace.sampled else '00'}"
    return {PARENT: told, STATE: trace.state} if trace.state else {PARENT: told}


@contextmanager
def within(carried: Mapping[str, object]) -> "Iterator[None]":
    """What is done for a message that brings its own context, such as a call of a tool in a session that goes on."""
    around = current.get()
    parent, state = carried.get(PARENT), carried.get(STATE)
    if around is None or around.trace is None or not isinstance(parent, str):
        yield
        return
    with arrived(around.trace.sink, parent, state if isinstance(state, str) else "").around():
        yield
