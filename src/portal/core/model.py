"""What crosses the border to a model server: the models it has, a request, and the events of its answer.

Requests are Chat Completions shaped: every model server speaks a dialect of it, and what a client sent
reaches the backend unchanged.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from portal.core.items import JsonObject

ChatMessage: TypeAlias = JsonObject
"""A Chat Completions message: role, content (text or parts), tool_calls, tool_call_id, ..."""

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]

Speed: TypeAlias = Literal["fast", "medium", "slow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model that is really there, as its backend reports it."""

    id: str
    """The name clients use, such as `qwen3:8b`."""
    backend: str
    """Name of the backend that serves it."""
    capabilities: frozenset[str] = frozenset({"chat"})
    """Among: chat, completion, embeddings, rerank, vision, audio, tools, thinking, speech, transcription."""
    context_window: int | None = None
    """Tokens."""
    given: int | None = None
    """As many of them as Portal asks its server for at most, where a server leaves that to its clients."""
    parameters: int | None = None
    """Number of weights."""
    quantization: str | None = None
    size: int | None = None
    """Bytes on disk."""
    family: str | None = None
    loaded: bool | None = None
    """In memory now; None where the server does not say."""
    held: int | None = None
    """Bytes of memory that it takes now; None where it is not loaded or the server does not say."""
    created: int = 0
    """Unix seconds; 0 where unknown."""
    description: str | None = None
    told: bool = True
    """Whether the server itself said the capabilities; else they are read from the name."""
    active: int | None = None
    """Weights used for each token, where that is not all of them."""
    quality: float = 0.4
    """0 to 1, beside other models."""
    skills: Mapping[str, float] = field(default_factory=dict, hash=False)
    """The same for tasks in which it differs."""
    speed: Speed = "medium"
    paid: bool = False
    """On somebody else's machine: a service, which mostly costs money. What it is asked leaves this one."""
    pace: float | None = None
    """Tokens a second, as seen in its answers."""
    first_token: float | None = None
    """Seconds until an answer begins, as seen when it was in memory."""
    digest: str = ""
    """What its server names these very weights by; empty where it does not."""

    @property
    def window(self) -> int | None:
        """Tokens that it really takes; None where nobody knows."""
        return self.given or self.context_window


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One call of one model."""

    model: str
    messages: Sequence[ChatMessage] = ()
    prompt: str | list[str] | None = None
    """Set for a raw text completion (`/v1/completions`); then `messages` is empty."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """Every other field by its Chat Completions name: temperature, stop, seed, n, tools, tool_choice,
    response_format, logprobs, max_tokens or max_completion_tokens, reasoning_effort, ...; nothing is dropped
    silently: what a backend's protocol has no place for is passed under the same name."""
    chosen: bool = False
    """The model is Portal's choice: nobody could know that it does not think, so effort is not asked of one that says
    so."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More answer text. `logprobs` has Chat Completions' `logprobs.content` entries."""

    text: str
    choice: int = 0
    logprobs: Sequence[JsonObject] | None = None


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More of a refusal (OpenAI's structured refusals)."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More reasoning text."""

    text: str
    choice: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of tool call number `index`; `id` and `name` come with its first delta."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Citation:
    """A source of the text so far: an Open Responses annotation (`url_citation`)."""

    annotation: JsonObject
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """What the wait is for, before text comes: queued or loading, with words for a person."""

    state: Literal["queued", "loading", "thinking"]
    detail: str = ""


def loading(model: str, *, by: str, size: int | None) -> Progress:
    """The wait for a server that reads a model into memory: which, and how big it is in bytes where that is known."""
    big = f"{size / 1e9:.1f} GB" if size and size >= 1e9 else f"{(size or 0) / 1e6:.0f} MB"
    return Progress("loading", f"{by} is loading {model}{f' ({big})' if size else ''} into memory.")


@dataclass(frozen=True, slots=True)
class Finished:
    """A choice is complete. Each choice of a stream ends with exactly one of these; a stream that ends without
    is cut, and the backend raises BackendInterrupted."""

    reason: FinishReason
    choice: int = 0


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Token counts of the whole call; `estimated` when Portal counted because the backend did not."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    def plus(self, more: "TokenUsage") -> "TokenUsage":
        """Both together."""
        return TokenUsage(
            self.input_tokens + more.input_tokens,
            self.output_tokens + more.output_tokens,
            self.cached_tokens + more.cached_tokens,
            self.reasoning_tokens + more.reasoning_tokens,
            estimated=self.estimated or more.estimated,
        )


ModelEvent: TypeAlias = (
    TextDelta | RefusalDelta | ReasoningDelta | ToolCallDelta | Citation | Progress | Finished | TokenUsage
)


Sink: TypeAlias = Callable[[bytes], Awaitable[None] | None]
"""Takes a piece at once; what it gives back is awaited before there is another. Raises BackendError, OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request relayed byte for byte to a backend that speaks the door's API."""

    method: str
    path: str
    """Below the API's root, such as `/chat/completions`."""
    body: bytes | AsyncIterable[bytes] = b""
    """Whole, or in pieces as they come."""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResponse:
    """The backend's answer to a RawRequest; `aclose` must be awaited, and cancels the upstream call."""

    status: int
    content_type: str
    body: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]
    pour: Callable[[Sink], Awaitable[None]]
    """Hands pieces of the body on as they come, without anybody waiting for them; `body` has what it leaves, and tells
    the end and what went wrong."""
    retry_after: float | None = None
    """Seconds after which a server that refused wants to be asked again."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the inputs, and the input tokens counted."""

    vectors: Sequence[Sequence[float]]
    input_tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Relevances:
    """How well documents answer a query, in their order, and the input tokens counted. Higher is better; which numbers
    are high is the model's own affair."""

    scores: Sequence[float]
    input_tokens: int
    estimated: bool = False
