"""An inference engine that answers what it was told, so that the embedded backend is tested without llama.cpp.

    engine = ScriptedEngine()
    engine.script("Hel", gate, "lo")                # waits until `gate.set()`, or until it is stopped
    engine.script(Begun(9, True), "hm</think>yes")  # `Begun` and `Ended` are added where the script leaves them out
    engine.script("Hel", BackendInterrupted("cut"))  # fails
    engine.jobs[-1].schema                          # what the last run was asked

It is strict: a run without a script (or `default`), two at once, a second thread, or one after `close` all fail.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from portal.backends.engine_port import Begun, Ended, Job, Output, Piece

_TICK = 0.001
"""Seconds between two looks at a gate."""


@runtime_checkable
class Gate(Protocol):
    """An event of asyncio or of threading."""

    def is_set(self) -> bool:
        """Whether to go on."""


EngineStep: TypeAlias = str | Output | Gate | Exception
EngineAnswerer: TypeAlias = Callable[[Job], Sequence[EngineStep]]


def echo_job(job: Job) -> Sequence[EngineStep]:
    """The prompt or the last message, word by word."""
    text: str = job.messages[-1]["content"] if job.prompt is None else job.prompt
    return [word if index == 0 else f" {word}" for index, word in enumerate(text.split(" "))]


class ScriptedEngine:
    """Implements InferenceEngine. `jobs` has every run, `stopped` counts those that ended because they had to."""

    def __init__(self, *, installed: bool = True, default: EngineAnswerer | None = None) -> None:
        self.installed = installed
        self.default = default
        self.jobs: list[Job] = []
        self.stopped = 0
        self.closed = False
        self._loaded: Path | None = None
        self._scripts: deque[Sequence[EngineStep]] = deque()
        self._thread: int | None = None
        self._running = False
        self._idle = threading.Condition()

    def script(self, *steps: EngineStep) -> None:
        """Queue one answer, step by step."""
        self._scripts.append(steps)

    def is_installed(self) -> bool:
        """As it was made."""
        return self.installed

    def is_loaded(self, path: Path) -> bool:
        """Whether the last run was of this file."""
        return self._loaded == path

    def wait_idle(self, seconds: float = 10) -> bool:
        """Block until no run is under way; False if that took too long."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, seconds)

    def run(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Output]:
        """Play the next script."""
        self._check()
        self.jobs.append(job)
        self._running = True
        try:
            self._loaded = job.path
            yield from self._play(job, cancelled)
        finally:
            with self._idle:
                self._running = False
                self._idle.notify_all()

    def _check(self) -> None:
        """Fail where a real engine would break."""
        self._thread = self._thread or threading.get_ident()
        if self._running or self.closed or not self.installed or self._thread != threading.get_ident():
            raise AssertionError("the engine runs one job at a time, in one thread, while it is installed and open")

    def _play(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Output]:
        steps = deque(self._scripts.popleft() if self._scripts else self._unscripted(job))
        first = steps[0] if steps else None
        if isinstance(first, Begun):
            steps.popleft()
        yield first if isinstance(first, Begun) else Begun(_size(job), thinking=False)
        count = 0
        for step in steps:
            while isinstance(step, Gate) and not step.is_set() and not cancelled():
                time.sleep(_TICK)
            if cancelled():
                self.stopped += 1
                return
            match step:
                case Exception():
                    raise step
                case Ended():
                    yield step
                    return
                case str() | Begun() | Piece():
                    yield Piece(step, ()) if isinstance(step, str) else step
                    count += 1
        yield Ended("stop", count)

    def _unscripted(self, job: Job) -> Sequence[EngineStep]:
        if self.default is None:
            raise AssertionError("the engine was asked for more answers than it was given")
        return self.default(job)

    def close(self) -> None:
        """No run may follow."""
        self._check()
        self.closed = True
        self._loaded = None


def _size(job: Job) -> int:
    """A prompt's tokens, counted as words."""
    texts = [job.prompt] if job.prompt is not None else [str(message["content"]) for message in job.messages]
    return sum(len(text.split()) for text in texts)
