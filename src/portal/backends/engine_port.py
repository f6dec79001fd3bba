"""What the embedded backend needs of an inference engine, and what the two tell each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from portal.core.items import JsonObject
from portal.core.model import ChatMessage, FinishReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One answer to make. `schema` forces JSON of that shape, an empty one any JSON object."""

    path: Path
    context: int
    threads: int
    messages: Sequence[ChatMessage] = ()
    tools: Sequence[JsonObject] = ()
    prompt: str | None = None
    parameters: Mapping[str, Any]
    schema: JsonObject | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """The prompt's tokens, and whether it ends inside the model's reasoning."""

    prompt_tokens: int
    thinking: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """More text, with the entries of its tokens where they were asked for."""

    text: str
    logprobs: Sequence[JsonObject]


@dataclass(frozen=True, slots=True)
class Ended:
    """The end, with the tokens generated."""

    reason: FinishReason
    tokens: int


Output: TypeAlias = Begun | Piece | Ended


class InferenceEngine(Protocol):
    """Runs one job at a time, blocking. `run` and `close` are called in one thread, the rest in any."""

    def is_installed(self) -> bool:
        """Whether it can run at all; asked before every listing, so cheap."""

    def is_loaded(self, path: Path) -> bool:
        """Whether this file's model is in memory."""

    def run(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Output]:
        """`Begun`, pieces, `Ended`; looks at `cancelled` between tokens, and then ends without `Ended`.

        Raises:
            BackendError: the model cannot be loaded, or the request is more than it can take.
        """

    def close(self) -> None:
        """Free the model; harmless when there is none."""
