"""A deterministic backend for tests and demos: it answers what it was told, and remembers what it was asked.

    backend = ScriptedBackend(models=["tiny"])
    backend.answer("Hel", "lo")                                   # one answer, two deltas
    backend.script(TextDelta("Hel"), gate, TextDelta("lo"))       # waits until `gate.set()` (an asyncio.Event)
    backend.script(TextDelta("Hel"), CUT)                         # breaks off: BackendInterrupted
    backend.script(BackendTimeout("too slow"))                    # fails at once
    backend.requests[-1].parameters                               # what the last call was sent

Answers are used up in order; a call that finds none fails, unless `default` makes one from the request.
`Finished` and `TokenUsage` are added where the script leaves them out.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any, Final, Literal, TypeAlias, get_args

from portal.core.items import JsonObject
from portal.core.model import (
    Embeddings,
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from portal.core.tokens import estimate, estimate_messages
from portal.errors import BackendError, BackendInterrupted, BackendRejected, PortalError
from portal.settings import BackendSettings, Settings


class _Cut(Enum):
    CUT = "cut"


CUT: Final = _Cut.CUT
"""A step of a script: the connection breaks here."""

Step: TypeAlias = ModelEvent | PortalError | asyncio.Event | Literal[_Cut.CUT]
Answerer: TypeAlias = Callable[[ModelRequest], Sequence[Step]]
_EVENTS = get_args(ModelEvent)


def echo(request: ModelRequest) -> Sequence[Step]:
    """An answer that repeats the last message, word by word."""
    content: Any = request.messages[-1].get("content") if request.messages else request.prompt
    parts = [content] if isinstance(content, str) else content or ()
    text = "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts)
    words = text.split(" ")
    return [TextDelta(word if index == 0 else f" {word}") for index, word in enumerate(words)]


class ScriptedBackend:
    """Implements Backend and Embedding.

    `requests` holds every call in order, `embedded` every list of texts; `listed` counts the looks at its models,
    `running` the open streams, and `cancelled` those that were closed before their end. Set `failure` to make `models`
    and `embed` raise it.
    """

    kind = "scripted"
    url = ""

    def __init__(
        self,
        *,
        name: str = "scripted",
        models: Iterable[str | ModelInfo] = ("scripted",),
        default: Answerer | None = None,
    ) -> None:
        self.name = name
        self.default = default
        self.requests: list[ModelRequest] = []
        self.embedded: list[tuple[str, ...]] = []
        self.failure: BackendError | None = None
        self.listed = 0
        self.running = 0
        self.cancelled = 0
        self.closed = False
        self._scripts: deque[Sequence[Step]] = deque()
        self._changed = asyncio.Event()
        self.set_models(models)

    def set_models(self, models: Iterable[str | ModelInfo]) -> None:
        """What `models` reports from now on."""
        self._models = [self._info(model) for model in models]

    def _info(self, model: str | ModelInfo) -> ModelInfo:
        if isinstance(model, str):
            return ModelInfo(id=model, backend=self.name, capabilities=frozenset({"chat", "completion", "tools"}))
        return replace(model, backend=self.name)

    def script(self, *steps: Step) -> None:
        """Queue one answer, step by step.

        Raises:
            TypeError: something that is no step.
        """
        for step in steps:
            if not isinstance(step, (*_EVENTS, PortalError, asyncio.Event, _Cut)):
                raise TypeError(f"{step!r} is no step of a script")
        self._scripts.append(steps)

    def answer(self, *pieces: str) -> None:
        """Queue one answer of these text deltas."""
        self.script(*(TextDelta(piece) for piece in pieces))

    async def models(self) -> Sequence[ModelInfo]:
        """The models it was given, or `failure`."""
        self.listed += 1
        if self.failure is not None:
            raise self.failure
        return list(self._models)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Play the next script. Raises BackendRejected for a model it does not have, like any server."""
        self.requests.append(request)
        if request.model not in {info.id for info in self._models}:
            message = f"{self.name} has no model {request.model!r}."
            raise BackendRejected(message, status=404, code="model_not_found")
        steps = self._next(request)
        finished = False
        self._count(1)
        try:
            for event in _completed(request, steps):
                if isinstance(event, asyncio.Event):
                    await event.wait()
                elif isinstance(event, PortalError):
                    finished = True
                    raise event
                elif event is CUT:
                    finished = True
                    raise BackendInterrupted(f"{self.name} broke off in the middle of its answer.")
                else:
                    yield event
            finished = True
        finally:
            self.cancelled += not finished
            self._count(-1)

    def _next(self, request: ModelRequest) -> Sequence[Step]:
        if self._scripts:
            return self._scripts.popleft()
        if self.default is not None:
            return self.default(request)
        raise BackendError(f"{self.name} was asked, but has no answer left in its script.")

    def _count(self, change: int) -> None:
        self.running += change
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_running(self, count: int) -> None:
        """Until exactly this many streams are open."""
        while self.running != count:
            await self._changed.wait()

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """Vectors that depend on the text alone, of length 8 or `dimensions`."""
        self.embedded.append(tuple(texts))
        if self.failure is not None:
            raise self.failure
        vectors = [_vector(text, dimensions or 8) for text in texts]
        return Embeddings(vectors, sum(estimate(text) for text in texts))

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.closed = True


def _completed(request: ModelRequest, steps: Sequence[Step]) -> Sequence[Step]:
    """The script with what it leaves out: Finished for every choice, and the usage."""
    if any(isinstance(step, PortalError) or step is CUT for step in steps):
        return steps
    called = any(isinstance(step, ToolCallDelta) for step in steps)
    choices = {step.choice for step in steps if isinstance(step, TextDelta | ToolCallDelta)} or {0}
    open_choices = choices - {step.choice for step in steps if isinstance(step, Finished)}
    endings: list[Step] = [Finished("tool_calls" if called else "stop", choice) for choice in sorted(open_choices)]
    if not any(isinstance(step, TokenUsage) for step in steps):
        words = sum(1 for step in steps if isinstance(step, TextDelta | ToolCallDelta))
        endings.append(TokenUsage(estimate_messages(request.messages), words))
    return [*steps, *endings]


def _vector(text: str, length: int) -> list[float]:
    digest = hashlib.shake_256(text.encode()).digest(length)
    return [byte / 127.5 - 1 for byte in digest]


def create(server: BackendSettings, settings: Settings) -> ScriptedBackend:
    """A backend that repeats what it is told: enough to try a door or a page without a model."""
    return ScriptedBackend(name=server.name or "scripted", models=["echo"], default=echo)
