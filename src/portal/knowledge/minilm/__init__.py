"""The embedded embedder: all-MiniLM-L6-v2 through onnxruntime, from files beside this one (extra `knowledge`).

Nothing is loaded before the first text, and after some minutes without any it is freed again. The model reads one text
at a time in one thread: no padding, memory that does not grow with the number of texts, and the same vector whoever
else is embedded; several threads share the texts of a call. `training/embedder/build.py` made the files.
"""

import asyncio
import os
import platform
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from portal.errors import BackendError, BackendUnavailable, PortalError
from portal.extras import add_command

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    from portal.core.passages import Vectors

MODEL = "all-minilm-l6-v2"
DIMENSIONS, TOKENS = 384, 256
"""The length of a vector, and how much of a text it is made of."""

_LONGEST = 32 * TOKENS
"""Characters that are looked at: what follows them is beyond the model's length in any language."""
_PORTION = 8
"""Texts that a thread takes at a time: for so long a cancelled call keeps it busy."""
_NEEDS = ("numpy", "onnxruntime", "tokenizers")


def missing() -> str:
    """What to tell whoever wants it where it is not installed."""
    return f"The embedded embedder needs onnxruntime: install it with `{add_command('knowledge')}`."


def is_installed() -> bool:
    """Whether what it needs is here, without importing it."""
    return all(find_spec(name) for name in _NEEDS)


class MiniLM:
    """Implements Embedder inside this process, with nothing but the install."""

    name = f"portal/{MODEL}"
    dimensions = DIMENSIONS

    def __init__(self, *, threads: int = 0, idle: float = 600, exact: bool | None = None) -> None:
        """`threads` 0 for one per core, four at most; after `idle` seconds without texts the model is freed; `exact`
        multiplies more slowly, as processors need whose fast way overflows: None for those alone."""
        threads = threads or min(os.cpu_count() or 1, 4)
        self._idle = idle
        self._exact = exact
        self._free = asyncio.Semaphore(threads)
        self._arriving: asyncio.Future[_Model] | None = None
        self._model: _Model | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether its memory is in use."""
        return self._model is not None

    async def embed(self, texts: Sequence[str]) -> "Vectors":
        """One row a text. A single text, as of a query, does not wait for those that come by the hundred."""
        model = await self._loaded()
        if len(texts) == 1:
            return await asyncio.to_thread(model.embed, texts)
        portions = [texts[start : start + _PORTION] for start in range(0, len(texts), _PORTION)]
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._in_turn(model, portion)) for portion in portions]
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        return model.joined([each.result() for each in running])

    async def _in_turn(self, model: "_Model", texts: Sequence[str]) -> "Vectors":
        async with self._free:
            vectors = await asyncio.to_thread(model.embed, texts)
            self._touch()
            return vectors

    async def _loaded(self) -> "_Model":
        """It is loaded once for all who wait, also where one of them waits no longer."""
        if self._model is None:
            if self._arriving is None:
                self._arriving = asyncio.get_running_loop().run_in_executor(None, self._load)
                self._arriving.add_done_callback(self._arrived)
            return await asyncio.shield(self._arriving)
        self._touch()
        return self._model

    def _arrived(self, future: "asyncio.Future[_Model]") -> None:
        self._arriving = None
        if not future.cancelled() and future.exception() is None:
            self._model = future.result()
            self._touch()

    def _load(self) -> "_Model":
        try:
            return _Model(exact=_overflows() if self._exact is None else self._exact)
        except PortalError:
            raise
        except Exception as error:  # the libraries' errors have no class in common
            raise BackendError(f"The embedded model cannot be loaded: {error}") from error

    def _touch(self) -> None:
        """Put off the time at which the model is freed."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._idle, partial(setattr, self, "_model", None))


def _overflows() -> bool:
    """Whether products of eight bits may be added up in sixteen here: x86 without VNNI, or not known to have it."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    flags = Path("/proc/cpuinfo")
    return not (flags.exists() and "_vnni" in flags.read_text(encoding="utf-8"))


class _Model:
    """The files in memory. Any number of threads may use it at once."""

    def __init__(self, *, exact: bool) -> None:
        """Raises BackendUnavailable where the extra is not installed."""
        try:
            import numpy
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise BackendUnavailable(missing(), code="not_installed") from error
        folder = Path(__file__).parent
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1" if exact else "0")
        self._numpy = numpy
        self._session: InferenceSession = onnxruntime.InferenceSession(
            folder / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    def embed(self, texts: Sequence[str]) -> "Vectors":
        try:
            return self.joined([self._vector(text) for text in texts])
        except Exception as error:  # the libraries' errors have no class in common
            raise BackendError(f"The embedded model failed: {error}") from error

    def joined(self, parts: "Sequence[Vectors]") -> "Vectors":
        return self._numpy.concatenate([self._numpy.empty((0, DIMENSIONS), self._numpy.float32), *parts])

    def _vector(self, text: str) -> "Vectors":
        ids = self._numpy.array([self._tokenizer.encode(text[:_LONGEST]).ids])
        vector: Vectors = self._session.run(["vector"], {"ids": ids})[0]
        return vector
