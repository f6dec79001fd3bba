"""The engine inside Portal: GGUF files in a folder, run by llama-cpp-python (extra `embedded`) where it is installed.

One answer at a time, in one thread; the others wait their turn. Without llama-cpp-python it lists nothing.
"""

import asyncio
import logging
import re
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from portal.backends.engine_port import Begun, Ended, InferenceEngine, Job, Output, Piece
from portal.backends.gguf import GgufHeader, NotGguf, read_header
from portal.backends.llama_engine import LlamaEngine
from portal.backends.tagged import TaggedText, parsed_call
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.model import (
    ChatMessage,
    Finished,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    Progress,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
    loading,
)
from portal.errors import BackendError, BackendInterrupted, BackendRejected, BackendUnavailable, PortalError
from portal.settings import BackendSettings, Settings

_log = logging.getLogger(__name__)
_LATER_PART = re.compile(r"-(?!00001)\d{5}-of-\d{5}$")


def models_folder(settings: Settings) -> Path:
    """Where GGUF files are."""
    return settings.embedded.models_dir or settings.data_dir / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`context` in tokens, at most; `threads` 0 for one per core."""

    folder: Path
    name: str = "embedded"
    context: int = 8192
    threads: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    header: GgufHeader


class Embedded:
    """Implements Backend with an engine in this process."""

    kind = "embedded"
    url = ""

    def __init__(self, config: Config, *, engine: InferenceEngine) -> None:
        self.name = config.name
        self._config = config
        self._known: dict[tuple[Path, int, int], _File | None] = {}
        self._files: Mapping[str, _File] = {}
        self._engine = engine
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._worker: ThreadPoolExecutor | None = None
        self._closing = threading.Event()

    async def models(self) -> Sequence[ModelInfo]:
        """The GGUF files of the folder that hold a language model; nothing while the engine is not installed."""
        self._files = await asyncio.to_thread(self._scan)
        return [self._info(name, file) for name, file in self._files.items()]

    def _scan(self) -> Mapping[str, _File]:
        if not self._engine.is_installed():
            return {}
        try:
            paths = sorted(path for path in self._config.folder.iterdir() if path.suffix == ".gguf")
        except FileNotFoundError:  # made by the first pull
            return {}
        except OSError as error:
            raise BackendUnavailable(f"The folder of models cannot be read: {error}") from error
        found = ((path.stem, self._file(path)) for path in paths if not _LATER_PART.search(path.stem))
        return {name: file for name, file in found if file is not None}

    def _file(self, path: Path) -> _File | None:
        """Cached by size and time of change; None for a file that is no language model."""
        try:
            stat = path.stat()
            key = (path, stat.st_size, stat.st_mtime_ns)
            if key not in self._known:
                header = read_header(path)
                other = f"{header.architecture}.pooling_type" in header.metadata or header.architecture == "clip"
                self._known[key] = None if other else _File(path, stat.st_size, header)
        except (NotGguf, OSError) as error:
            _log.warning("the model file %s is left out: %s", path, error)
            return None
        return self._known[key]

    def _info(self, name: str, file: _File) -> ModelInfo:
        header, able = file.header, {"completion"}
        if header.template:
            able |= {"chat", "tools"} if "tools" in header.template else {"chat"}
        return ModelInfo(
            id=name,
            backend=self.name,
            capabilities=frozenset(able),
            context_window=self._context(header),
            parameters=header.parameters,
            quantization=header.quantization,
            size=file.size,
            family=header.architecture,
            loaded=self._engine.is_loaded(file.path),
            description=header.name,
        )

    def _context(self, header: GgufHeader) -> int:
        return min(self._config.context, header.context_length or self._config.context)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Wait for the engine, then answer: each of `n` answers to each prompt, one after the other."""
        jobs = self._jobs(request)
        if self._turn.locked():
            yield Progress("queued", f"{self._waiting + 1} before this one.")
        self._waiting += 1
        try:
            await self._turn.acquire()
        finally:
            self._waiting -= 1
        try:
            if not self._engine.is_loaded(jobs[0].path):
                yield loading(request.model, by="Portal", size=self._files[request.model].size)
            asked = answered = 0
            for choice, job in enumerate(jobs):
                maker = _maker(request, job, choice)
                async with aclosing(self._outputs(job)) as outputs:
                    async for output in outputs:
                        if isinstance(output, Begun):
                            asked = max(asked, output.prompt_tokens)
                        elif isinstance(output, Ended):
                            answered += output.tokens
                        for event in maker.events(output):
                            yield event
            yield TokenUsage(asked, answered)
        finally:
            self._turn.release()

    def _jobs(self, request: ModelRequest) -> list[Job]:
        file = self._files.get(request.model)
        if file is None:
            raise BackendRejected(f"{self.name} has no model {request.model!r}.", status=404, code="model_not_found")
        parameters: Mapping[str, Any] = request.parameters
        tools, schema = _tools(parameters)
        job = Job(
            path=file.path,
            context=self._context(file.header),
            threads=self._config.threads,
            messages=[_message(message) for message in request.messages],
            tools=tools,
            parameters=parameters,
            schema=_schema(parameters) if schema is None else schema,
            seed=parameters.get("seed"),
        )
        prompts = [request.prompt] if request.prompt is None or isinstance(request.prompt, str) else request.prompt
        count = max(int(parameters.get("n") or 1), 1)
        return [
            replace(job, prompt=prompt, seed=None if job.seed is None else job.seed + number)
            for prompt in prompts
            for number in range(count)
        ]

    async def _outputs(self, job: Job) -> AsyncGenerator[Output, None]:
        """What the worker thread makes; closing this stops it after the token it is at."""
        if self._closing.is_set():
            raise BackendUnavailable("The embedded engine is closed.")
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Output | PortalError] = asyncio.Queue()
        stop = threading.Event()
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="portal-engine")

        def put(output: Output | PortalError) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, output)

        def work() -> None:
            for output in self._engine.run(job, lambda: stop.is_set() or self._closing.is_set()):
                put(output)

        self._worker.submit(work).add_done_callback(lambda done: put(_failure(done)))
        try:
            ended = False
            while not ended:
                output = await queue.get()
                if isinstance(output, PortalError):
                    raise output
                ended = isinstance(output, Ended)
                yield output
        finally:
            stop.set()

    async def aclose(self) -> None:
        """Stop the answer under way and free the model."""
        self._closing.set()
        if self._worker is not None:
            worker, self._worker = self._worker, None
            worker.submit(self._engine.close)
            await asyncio.to_thread(worker.shutdown)


def _failure(done: Future[None]) -> PortalError:
    """Why the engine's run is over. After `Ended` nobody looks; without it the answer was cut."""
    failure = done.exception()
    if failure is None:
        return BackendInterrupted("The embedded engine was closed before the answer was complete.")
    if isinstance(failure, PortalError):
        return failure
    _log.error("the embedded engine failed", exc_info=failure)
    return BackendError(f"The embedded engine failed: {failure}")


class _Text:
    """Events of a raw completion."""

    def __init__(self, choice: int) -> None:
        self._choice = choice

    def events(self, output: Output) -> list[ModelEvent]:
        if isinstance(output, Piece) and (output.text or output.logprobs):
            return [TextDelta(output.text, self._choice, output.logprobs or None)]
        return [Finished(output.reason, self._choice)] if isinstance(output, Ended) else []


class _Chat:
    """Events of a chat answer: reasoning and tool calls taken out of the text."""

    def __init__(self, choice: int, *, tools: bool) -> None:
        self._choice = choice
        self._tools = tools
        self._text = TaggedText(tools=tools, thinking=False, choice=choice)
        self._logprobs: list[JsonObject] = []

    def events(self, output: Output) -> list[ModelEvent]:
        if isinstance(output, Begun):
            self._text = TaggedText(tools=self._tools, thinking=output.thinking, choice=self._choice)
            return []
        if isinstance(output, Piece):
            self._logprobs.extend(output.logprobs)
            return [self._with_logprobs(event) for event in self._text.feed(output.text)]
        made = [self._with_logprobs(event) for event in self._text.end()]
        called = self._text.calls and output.reason == "stop"
        return [*made, Finished("tool_calls" if called else output.reason, self._choice)]

    def _with_logprobs(self, event: ModelEvent) -> ModelEvent:
        if not isinstance(event, TextDelta) or not self._logprobs:
            return event
        taken, self._logprobs = self._logprobs, []
        return replace(event, logprobs=taken)


class _ForcedCall:
    """The answer is one tool call by grammar: JSON with its name and arguments."""

    def __init__(self, choice: int) -> None:
        self._choice = choice
        self._written: list[str] = []

    def events(self, output: Output) -> list[ModelEvent]:
        if isinstance(output, Piece):
            self._written.append(output.text)
        if not isinstance(output, Ended):
            return []
        text = "".join(self._written)
        call = parsed_call(text)
        if call is None:  # the length was not enough for all of it
            return [TextDelta(text, self._choice), Finished(output.reason, self._choice)]
        made = ToolCallDelta(0, new_id("call"), call[0], call[1], self._choice)
        return [made, Finished("tool_calls", self._choice)]


def _maker(request: ModelRequest, job: Job, choice: int) -> _Text | _Chat | _ForcedCall:
    if request.prompt is not None:
        return _Text(choice)
    if _forced(request.parameters) and job.tools:
        return _ForcedCall(choice)
    return _Chat(choice, tools=bool(job.tools))


def _forced(parameters: Mapping[str, Any]) -> bool:
    choice = parameters.get("tool_choice")
    return choice == "required" or isinstance(choice, dict)


def _tools(parameters: Mapping[str, Any]) -> tuple[Sequence[JsonObject], JsonObject | None]:
    """The tools on offer, and the schema of the call where one is forced."""
    tools: list[JsonObject] = list(parameters.get("tools") or ())
    choice = parameters.get("tool_choice")
    if choice == "none" or not tools:
        return [], None
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        tools = [tool for tool in tools if tool.get("function", {}).get("name") == name]
    if not _forced(parameters) or not tools:
        return tools, None
    calls = [_call_schema(tool.get("function", {})) for tool in tools]
    return tools, calls[0] if len(calls) == 1 else {"anyOf": calls}


def _call_schema(function: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string", "enum": [function.get("name")]},
            "arguments": function.get("parameters") or {"type": "object"},
        },
        "required": ["name", "arguments"],
    }


def _schema(parameters: Mapping[str, Any]) -> JsonObject | None:
    wanted = parameters.get("response_format") or {}
    if wanted.get("type") == "json_object":
        return {}
    if wanted.get("type") == "json_schema":
        schema: JsonObject = (wanted.get("json_schema") or {}).get("schema") or {}
        return schema
    return None


def _message(message: ChatMessage) -> ChatMessage:
    """Text alone: this engine sees no pictures."""
    content = message.get("content")
    if not isinstance(content, list):
        return {**message, "content": content or ""}
    if any(part.get("type") != "text" for part in content):
        raise BackendRejected("The embedded engine takes text only.", status=400, code="unsupported_content")
    return {**message, "content": "\n\n".join(part["text"] for part in content)}


def create(server: BackendSettings, settings: Settings) -> Embedded:
    """From the settings."""
    embedded = settings.embedded
    return Embedded(
        Config(
            folder=models_folder(settings),
            name=server.name or "embedded",
            context=embedded.context,
            threads=embedded.threads,
        ),
        engine=LlamaEngine(),
    )
