"""llama.cpp inside this process, through llama-cpp-python: one model in memory, one answer at a time, blocking.

Everything here runs in the one worker thread that `embedded.py` owns.
"""

import codecs
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from portal.backends.engine_port import Begun, Ended, Job, Output, Piece
from portal.core.items import JsonObject
from portal.core.marks import held_back
from portal.core.model import FinishReason
from portal.errors import BackendError, BackendRejected, BackendUnavailable

_Llama: TypeAlias = Any
"""llama_cpp.Llama: an optional library, imported when first used, so that nothing here depends on its types."""

_SAMPLING = {
    "temperature": "temp",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "repeat_penalty": "repeat_penalty",
    "repetition_penalty": "repeat_penalty",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "mirostat": "mirostat_mode",
    "mirostat_mode": "mirostat_mode",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}


def is_installed() -> bool:
    """Whether llama-cpp-python is there, without importing it."""
    importlib.invalidate_caches()
    return importlib.util.find_spec("llama_cpp") is not None


def _llama_cpp() -> Any:
    return importlib.import_module("llama_cpp")


class LlamaEngine:
    """Implements InferenceEngine; holds the model that was used last."""

    def __init__(self) -> None:
        self._llama: _Llama | None = None
        self._loaded: tuple[Path, int] | None = None
        self._formatter: Callable[..., Any] | None = None

    def is_installed(self) -> bool:
        """Whether llama-cpp-python is there."""
        return is_installed()

    def run(self, job: Job, cancelled: Callable[[], bool]) -> Iterator[Output]:
        """Answer; looks at `cancelled` between tokens.

        Raises:
            BackendUnavailable: llama-cpp-python is not there (any more).
            BackendError: the model cannot be loaded, or the request is more than it can take.
        """
        llama = self._load(job)
        prompt, stops = self._prompt(llama, job)
        tokens = llama.tokenize(prompt.encode(), add_bos=job.prompt is not None, special=True)
        room = job.context - len(tokens)
        if room < 1:
            raise BackendRejected(
                f"This request has {len(tokens)} tokens, {job.path.stem} takes {job.context} with its answer.",
                status=400,
                code="context_length_exceeded",
                param="messages",
            )
        yield Begun(len(tokens), prompt.rstrip().endswith("<think>"))
        writer = _Writer(llama, job, stops, room)
        for token in self._tokens(llama, job, tokens, writer):
            if cancelled():
                return
            text = writer.add(token)
            if text or writer.reason:
                yield Piece(text, writer.take_logprobs())
            if writer.reason:
                break
        yield Ended(writer.reason or "length", writer.count)

    def _load(self, job: Job) -> _Llama:
        wanted = (job.path, job.context)
        if self._llama is not None and self._loaded == wanted:
            return self._llama
        self.close()
        threads = job.threads or os.cpu_count() or 1
        try:
            self._llama = _llama_cpp().Llama(
                str(job.path), n_ctx=job.context, n_threads=threads, n_threads_batch=threads, verbose=False
            )
        except ImportError as error:
            raise BackendUnavailable(f"The embedded engine cannot be used: {error}") from error
        except (ValueError, OSError, RuntimeError) as error:
            raise BackendError(f"The model file {job.path.name} cannot be loaded: {error}") from error
        self._loaded = wanted
        self._formatter = _formatter(self._llama)
        return self._llama

    def is_loaded(self, path: Path) -> bool:
        """Whether this file's model is in memory."""
        return self._loaded is not None and self._loaded[0] == path

    def _prompt(self, llama: _Llama, job: Job) -> tuple[str, list[str]]:
        stop = job.parameters.get("stop") or []
        stops = [stop] if isinstance(stop, str) else list(stop)
        if job.prompt is not None:
            return job.prompt, stops
        if self._formatter is None:
            raise BackendRejected(f"{job.path.stem} has no chat template.", status=400, param="model")
        try:
            made = self._formatter(messages=list(job.messages), tools=list(job.tools) or None)
        except (ValueError, TypeError, KeyError, importlib.import_module("jinja2").TemplateError) as error:
            raise BackendRejected(f"The chat template refuses these messages: {error}", status=400) from error
        own = [made.stop] if isinstance(made.stop, str) else list(made.stop or ())
        return made.prompt, stops + [text for text in own if text]

    def _tokens(self, llama: _Llama, job: Job, tokens: list[int], writer: "_Writer") -> Iterator[int]:
        given = {ours: job.parameters[name] for name, ours in _SAMPLING.items() if job.parameters.get(name) is not None}
        llama.set_seed(_llama_cpp().LLAMA_DEFAULT_SEED if job.seed is None else job.seed)
        processors = _llama_cpp().LogitsProcessorList(writer.processors())
        made: Iterator[int] = llama.generate(
            tokens, **given, grammar=_grammar(job.schema), logits_processor=processors if processors else None
        )
        return made

    def close(self) -> None:
        """Free the model."""
        if self._llama is not None:
            self._llama.close()
        self._llama = self._loaded = self._formatter = None


def _formatter(llama: _Llama) -> Callable[..., Any] | None:
    """What makes a prompt of messages: the file's own template."""
    template = llama.metadata.get("tokenizer.chat_template")
    if not template:
        return None
    eos, bos = (
        llama.detokenize([token], special=True).decode(errors="replace") if token >= 0 else ""
        for token in (llama.token_eos(), llama.token_bos())
    )
    made: Callable[..., Any] = importlib.import_module("llama_cpp.llama_chat_format").Jinja2ChatFormatter(
        template=template, eos_token=eos, bos_token=bos, stop_token_ids=[llama.token_eos()]
    )
    return made


def _grammar(schema: JsonObject | None) -> Any:
    if schema is None:
        return None
    grammar = importlib.import_module("llama_cpp.llama_grammar")
    try:
        if not schema:
            return grammar.LlamaGrammar.from_string(grammar.JSON_GBNF, verbose=False)
        return grammar.LlamaGrammar.from_json_schema(orjson.dumps(schema).decode(), verbose=False)
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
        message = f"This JSON schema cannot be enforced: {error}"
        raise BackendRejected(message, status=400, param="response_format") from error


class _Writer:
    """From tokens to text: whole characters, stop sequences, the length, and each token's probability."""

    def __init__(self, llama: _Llama, job: Job, stops: Sequence[str], room: int) -> None:
        parameters = job.parameters
        self.count = 0
        self.reason: FinishReason | None = None
        self._llama = llama
        self._cpp = _llama_cpp()
        self._vocab = self._cpp.llama_model_get_vocab(llama.model)
        self._stops = stops
        self._limit = min(parameters.get("max_completion_tokens") or parameters.get("max_tokens") or room, room)
        self._wanted = parameters.get("logprobs")
        self._top = self._wanted if type(self._wanted) is int else parameters.get("top_logprobs") or 0
        self._bias: Mapping[str, float] = parameters.get("logit_bias") or {}
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._logprobs: list[JsonObject] = []
        self._scores: Any = None

    def processors(self) -> list[Any]:
        """Look at the scores of each token before it is chosen, and change them by the client's bias."""
        made: list[Any] = []
        if self._bias:
            made.append(self._biased)
        if self._wanted not in (None, False):
            made.append(self._remember)
        return made

    def _biased(self, _ids: Any, scores: Any) -> Any:
        for token, bias in self._bias.items():
            if int(token) < len(scores):
                scores[int(token)] += bias
        return scores

    def _remember(self, _ids: Any, scores: Any) -> Any:
        self._scores = scores.copy()
        return scores

    def add(self, token: int) -> str:
        """The text that is certain now; sets `reason` at the end."""
        if self._cpp.llama_vocab_is_eog(self._vocab, token):
            self.reason = "stop"
            return self._flush()
        self.count += 1
        raw = self._llama.detokenize([token], special=True)
        if self._scores is not None:
            self._logprobs.append(self._entry(token, raw))
        text = self._until_stop(self._held + self._decoder.decode(raw))
        if self.reason is None and self.count >= self._limit:
            self.reason = "length"
            return text + self._flush()
        return text

    def _until_stop(self, text: str) -> str:
        found = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if found:
            self.reason, self._held = "stop", ""
            return text[: min(found)]
        certain = len(text) - held_back(text, self._stops)
        self._held = text[certain:]
        return text[:certain]

    def _flush(self) -> str:
        text, self._held = self._held + self._decoder.decode(b"", final=True), ""
        return text

    def take_logprobs(self) -> Sequence[JsonObject]:
        """The entries of the tokens since the last call."""
        taken, self._logprobs = self._logprobs, []
        return taken

    def _entry(self, token: int, raw: bytes) -> JsonObject:
        np = importlib.import_module("numpy")
        scores = self._scores - self._scores.max()
        logs = scores - np.log(np.exp(scores).sum())
        best = np.argsort(-logs)[: self._top] if self._top else []
        top = [_named(self._llama.detokenize([int(one)], special=True), float(logs[one])) for one in best]
        return {**_named(raw, float(logs[token])), "top_logprobs": top}


def _named(raw: bytes, logprob: float) -> JsonObject:
    return {"token": raw.decode(errors="replace"), "logprob": logprob, "bytes": list(raw)}
