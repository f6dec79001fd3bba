"""Where the time of a request goes: spans within each other, each found by what is under way around it.

    with span("model", "qwen3:8b", backend="ollama") as one:
        ...
        one.note(output_tokens=12)

Nothing is made where nobody keeps it: of stored turns a short list stays with the answer (`Kept`), and whatever a Sink
collects leaves as it ends. Names and figures only; what was said leaves with a span where a Sink asks for it, and is
never kept.
"""

from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar, Token
from random import getrandbits
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from portal.core.items import JsonObject
from portal.core.model import TokenUsage
from portal.errors import PortalError

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["turn", "prepare", "route", "store", "recall", "model", "tool", "approval", "aside", ""]
"""What somebody waited for; empty for what came from outside."""
Value: TypeAlias = str | int | float | bool | None

MOST = 200
"""Spans of a turn that are kept; of more only their number is."""
_LONGEST_ERROR = 200
_SILENT: dict[str, object] = {}
"""Of every span that tells nothing."""
_MILLI = 1_000_000
_WORTH = 5 * _MILLI
"""Nanoseconds from which storing something is worth a line."""


class Sink(Protocol):
    """Takes spans on their way out."""

    content: bool
    """Whether what was said goes with them."""

    def samples(self, trace: bytes, parent: bool | None) -> bool:
        """Whether a trace is collected; `parent` is whether its caller collects it, None where nobody called."""

    def take(self, ended: "Span") -> None:
        """One that has ended; never waits, never raises."""


class Trace:
    """What spans that belong together share, also with those of other programs (W3C Trace Context)."""

    __slots__ = ("id", "sampled", "sink", "state")

    def __init__(self, sink: Sink, known: bytes = b"", parent: bool | None = None, state: str = "") -> None:
        """`known` is the id that a caller gave it, `state` its `tracestate`."""
        self.id = known or getrandbits(128).to_bytes(16, "big")
        self.state = state
        self.sink = sink
        self.sampled = sink.samples(self.id, parent)


class Kept:
    """The spans of one turn, in the order in which they began."""

    __slots__ = ("dropped", "spans")

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.dropped = 0

    def add(self, begun: "Span") -> None:
        """One more."""
        if len(self.spans) < MOST:
            self.spans.append(begun)
        else:
            self.dropped += 1


class Span:
    """One step, from its making to `end`; as a context manager it is around what goes on within it."""

    __slots__ = (
        "_token",
        "attributes",
        "began",
        "content",
        "ended",
        "error",
        "id",
        "kept",
        "kind",
        "name",
        "parent",
        "trace",
    )

    def __init__(
        self,
        kind: Kind,
        name: str,
        attributes: dict[str, Value],
        *,
        parent: "Span | None" = None,
        trace: Trace | None = None,
        kept: Kept | None = None,
        id: bytes | None = None,
    ) -> None:
        """`id` is that of a span of another program's."""
        self.kind, self.name, self.attributes = kind, name, attributes
        self.parent, self.trace, self.kept = parent, trace, kept
        self.id = id if id is not None else getrandbits(64).to_bytes(8, "big") if trace is not None else b""
        self.error = ""
        self.ended = 0
        self.content: dict[str, object] = _SILENT
        self._token: Token[Span | None] | None = None
        if kept is not None:
            kept.add(self)
        self.began = perf_counter_ns()

    def note(self, **attributes: Value) -> None:
        """Figures and names; None says nothing."""
        self.attributes.update(attributes)

    def lap(self, name: str, least: float = 0) -> None:
        """Note the milliseconds since it began, the first time, if there are so many."""
        if name not in self.attributes:
            passed = (perf_counter_ns() - self.began) / _MILLI
            if passed >= least:
                self.attributes[name] = passed

    def spent(self, usage: TokenUsage | None) -> None:
        """Note the tokens of a model's call."""
        if usage is None:
            return
        noted = self.attributes
        noted["input_tokens"], noted["output_tokens"] = usage.input_tokens, usage.output_tokens
        if usage.cached_tokens:
            noted["cached_tokens"] = usage.cached_tokens
        if usage.reasoning_tokens:
            noted["reasoning_tokens"] = usage.reasoning_tokens
        if usage.estimated:
            noted["estimated"] = True

    def tell(self, name: str, made: Callable[[], object]) -> None:
        """What was said: `input`, `output`, `arguments` or `result`; made only where somebody asks for it."""
        trace = self.trace
        if trace is not None and trace.sampled and trace.sink.content:
            self.content = {**self.content, name: made()}

    def called(self, arguments: str, result: str, *, failed: bool) -> None:
        """What came of the call of a tool."""
        if failed:
            self.fail("tool_error")
        self.tell("arguments", lambda: arguments)
        self.tell("result", lambda: result)

    def fail(self, error: str) -> None:
        """It failed, and why."""
        self.error = error[:_LONGEST_ERROR] or "failed"

    def failed(self, error: BaseException) -> None:
        """The same of an exception: Portal's own say it in words, of others the name is enough."""
        if isinstance(error, PortalError):
            self.attributes["error_type"] = error.code or error.type
            self.fail(error.message)
        else:
            name = type(error).__name__
            self.fail("cancelled" if name in ("CancelledError", "ClientGone") else name)

    def end(self) -> None:
        """It is over."""
        if not self.ended:
            self.ended = perf_counter_ns()
            if self.trace is not None and self.trace.sampled:
                self.trace.sink.take(self)

    @contextmanager
    def beginning(self) -> "Iterator[None]":
        """Around what it begins with: it ends here only if that fails."""
        with self.around():
            try:
                yield
            except PortalError as error:
                self.failed(error)
                self.end()
                raise

    @contextmanager
    def around(self) -> "Iterator[None]":
        """What begins within is part of it; it does not end here."""
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)

    def __enter__(self) -> "Span":
        self._token = current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._token is not None
        current.reset(self._token)
        if error is not None:
            self.failed(error)
        self.end()


class _Nothing(Span):
    """Where nobody keeps any."""

    __slots__ = ()

    def note(self, **attributes: Value) -> None:
        """Not kept."""

    def lap(self, name: str, least: float = 0) -> None:
        """Not kept."""

    def spent(self, usage: TokenUsage | None) -> None:
        """Not kept."""

    def fail(self, error: str) -> None:
        """Not kept."""

    def failed(self, error: BaseException) -> None:
        """Not kept."""

    def end(self) -> None:
        """Not kept."""

    @contextmanager
    def around(self) -> "Iterator[None]":
        """Nothing is around it."""
        yield

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


NOTHING = _Nothing("", "", {})
current: ContextVar[Span | None] = ContextVar("span", default=None)
"""The innermost one under way; None where nobody keeps any."""


def span(kind: Kind, name: str, **attributes: Value) -> Span:
    """A step of what is under way."""
    parent = current.get()
    if parent is None:
        return NOTHING
    return Span(kind, name, attributes, parent=parent, trace=parent.trace, kept=parent.kept)


def here() -> Span:
    """The innermost one under way."""
    return current.get() or NOTHING


class Tracer:
    """Begins what spans are within."""

    def __init__(self, sink: Sink | None = None) -> None:
        """Without a sink there is nothing but what stored turns keep."""
        self.sink = sink

    def turn(self, name: str, *, stored: bool, **attributes: Value) -> Span:
        """A turn; a stored one keeps its spans. One within another's tool call is a part of that one."""
        around = current.get()
        trace, kept = (around.trace, around.kept) if around is not None else (None, None)
        if trace is None and self.sink is not None:
            trace = Trace(self.sink)
        if stored:
            kept = Kept()
        if trace is None and kept is None:
            return NOTHING
        return Span("turn", name, attributes, parent=around, trace=trace, kept=kept)


def listed(root: Span) -> list[JsonObject]:
    """The spans of a turn as they are stored: {id, parent, kind, name, start, ms, error, attributes}; times in
    milliseconds, `start` from the turn's beginning, `parent` by id. What still goes on ends now."""
    kept, now = root.kept, perf_counter_ns()
    if kept is None:
        return []
    worth = [one for one in kept.spans if one.kind != "store" or one.error or one.ended - one.began >= _WORTH]
    places = {id(one): place for place, one in enumerate(worth)}
    return [_row(one, place, places.get(id(one.parent)), root.began, now) for place, one in enumerate(worth)]


def _row(one: Span, place: int, parent: int | None, zero: int, now: int) -> JsonObject:
    noted = one.attributes.items()
    known = {name: round(value, 1) if type(value) is float else value for name, value in noted if value is not None}
    return {
        "id": place,
        "parent": parent,
        "kind": one.kind,
        "name": one.name,
        "start": round((one.began - zero) / _MILLI, 1),
        "ms": round(((one.ended or now) - one.began) / _MILLI, 1),
        **({"error": one.error} if one.error else {}),
        **({"attributes": known} if known else {}),
    }
