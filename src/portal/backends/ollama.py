"""Ollama, through its own API: the context fitted to the conversation, thinking, tools, pictures, what is loaded."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import cast

import orjson

from portal.backends.forwarding import forwarded
from portal.backends.framing import Lines
from portal.backends.http import Deadlines, HttpClient, public_url, server_url
from portal.backends.merge import merged
from portal.backends.ollama_models import Shown, held, model_info, running, shown
from portal.backends.ollama_request import answer_tokens, chat_body, conversation_tokens, fitting_context, generate_body
from portal.backends.wire import count, json_text, logprobs, mapping, model_name, rows, text, vectors, whole
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.model import (
    Embeddings,
    Finished,
    FinishReason,
    ModelEvent,
    ModelInfo,
    ModelRequest,
    Progress,
    RawRequest,
    RawResponse,
    ReasoningDelta,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
    loading,
)
from portal.core.tokens import Tally, estimate, estimate_messages
from portal.errors import BackendError, BackendProtocolError, BadRequest
from portal.settings import BackendSettings, Settings

_log = logging.getLogger(__name__)
_SHOWS_AT_ONCE = 8
_MOST_ANSWERS = 128
"""To one prompt, as OpenAI has it."""
_JSON = {"Content-Type": "application/json"}
_FILLED = frozenset({"/api/chat", "/api/generate"})
_SLOW = ("/api/pull", "/api/push", "/api/create", "/api/blobs/")
_PATIENCE = 6 * 3600.0
"""Seconds of silence while a server fetches, sends, hashes or converts gigabytes; the client may leave before."""


@dataclass(slots=True)
class _Answer:
    """What of one choice's answer must be remembered while it streams."""

    client: HttpClient
    body: JsonObject
    choice: int
    calls: int = 0
    written: Tally = field(default_factory=Tally)
    done: bool = False

    def events(self, line: bytes) -> list[ModelEvent]:
        """The events of one line.

        Raises:
            BackendError: the line says that the model failed, or is no JSON object.
        """
        chunk = self.client.parsed(line)
        if not isinstance(chunk, dict):
            raise self.client.garbage(line)
        if "error" in chunk:
            raise self.client.failed(str(chunk["error"]))
        made = self._deltas(chunk)
        if chunk.get("done"):
            self.done = True
            made += [Finished(self._reason(chunk), self.choice), self._usage(chunk)]
        return made

    def _deltas(self, chunk: JsonObject) -> list[ModelEvent]:
        message = mapping(chunk.get("message")) or chunk
        made: list[ModelEvent] = []
        if thinking := text(message.get("thinking")):
            self.written.add(thinking)
            made.append(ReasoningDelta(thinking, self.choice))
        written, likely = text(message.get("content")) or text(message.get("response")), logprobs(chunk.get("logprobs"))
        if written or likely:
            self.written.add(written or "")
            made.append(TextDelta(written or "", self.choice, likely))
        made.extend(self._call(call) for call in rows(message.get("tool_calls")))
        return made

    def _call(self, call: JsonObject) -> ToolCallDelta:
        function = mapping(call.get("function"))
        arguments = json_text(function.get("arguments") or {})
        index, self.calls = self.calls, self.calls + 1
        self.written.add(arguments)
        return ToolCallDelta(
            index, text(call.get("id")) or new_id("call"), text(function.get("name")), arguments, self.choice
        )

    def _reason(self, chunk: JsonObject) -> FinishReason:
        if chunk.get("done_reason") == "length":
            return "length"
        return "tool_calls" if self.calls else "stop"

    def _usage(self, chunk: JsonObject) -> TokenUsage:
        """Its counts; Ollama leaves out the prompt's where it found all of it in its cache."""
        asked, answered = count(chunk.get("prompt_eval_count")), count(chunk.get("eval_count"))
        if asked is not None and answered is not None:
            return TokenUsage(asked, answered)
        asked = asked or estimate_messages(self.body.get("messages", ())) + estimate(self.body.get("prompt", ""))
        return TokenUsage(asked, answered or self.written.tokens, estimated=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One Ollama server. `listing_timeout` in seconds; `context_fallback` and `max_context` in tokens."""

    url: str
    name: str = "ollama"
    api_key: str | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    listing_timeout: float = 2
    fill_options: bool = True
    max_context: int = 32768
    context_fallback: int = 8192
    keep_alive: str = ""


class Ollama:
    """Implements Backend, Embedding and Forwarding over Ollama's native API."""

    kind = "ollama"
    api = "ollama"

    def __init__(self, config: Config) -> None:
        self.name = config.name
        address = config.url.rstrip("/").removesuffix("/v1").rstrip("/")
        self.url = public_url(address)
        self._config = config
        headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
        self._http = HttpClient(server=config.name, url=address, deadlines=config.deadlines, headers=headers)
        patient = replace(config.deadlines, first_byte=_PATIENCE, idle=_PATIENCE)
        self._patient = HttpClient(server=config.name, url=address, deadlines=patient, headers=headers)
        self._shown: dict[str, Shown] = {}
        self._digests: dict[str, str] = {}
        self._bytes: dict[str, int | None] = {}
        self._loaded: dict[str, int | None] | None = None
        self._held: dict[str, int] = {}

    async def models(self) -> Sequence[ModelInfo]:
        """What is installed, with what is in memory now; details are asked once for each digest."""
        answer = await self._http.json("GET", "/api/tags", within=self._config.listing_timeout)
        if not isinstance(answer, dict) or not isinstance(answer.get("models"), list | None):
            raise self._http.odd(answer)
        tags = [tag for tag in rows(answer.get("models")) if model_name(tag.get("name"))]
        if answer.get("models") and not tags:
            raise self._http.odd(answer)
        self._digests = {tag["name"]: str(tag.get("digest") or tag["name"]) for tag in tags}
        self._bytes = {tag["name"]: count(tag.get("size")) for tag in tags}
        await self._ask_details()
        self._loaded = await self._running()
        return [self._info(tag) for tag in tags]

    def _info(self, tag: JsonObject) -> ModelInfo:
        name = tag["name"]
        loaded = None if self._loaded is None else name in self._loaded
        details = self._details(name)
        made = model_info(tag, backend=self.name, more=details, loaded=loaded, held=self._held.get(name))
        return replace(made, given=self._most(details) if self._config.fill_options else None)

    def _most(self, details: Shown) -> int:
        """Tokens of context that a model is given at most, unless it is loaded with more."""
        ceiling = min(details.context_window or self._config.context_fallback, self._config.max_context)
        return max(details.num_ctx or 0, ceiling)

    def _details(self, model: str) -> Shown:
        return self._shown.get(self._digests.get(model, ""), Shown())

    async def _ask_details(self) -> None:
        """`/api/show` for what is new; what does not come in time is asked again at the next listing."""
        missing = [name for name, digest in self._digests.items() if digest not in self._shown]
        slots = asyncio.Semaphore(_SHOWS_AT_ONCE)
        try:
            async with asyncio.timeout(self._config.listing_timeout / 2), asyncio.TaskGroup() as group:
                for name in missing:
                    group.create_task(self._ask_detail(name, slots))
        except TimeoutError:
            _log.info("%s takes long to describe its models; going on without", self.name)

    async def _ask_detail(self, model: str, slots: asyncio.Semaphore) -> None:
        async with slots:
            try:
                answer = await self._http.json("POST", "/api/show", {"model": model})
            except BackendError as error:
                _log.info("%s does not describe %s: %s", self.name, model, error)
                return
        if isinstance(answer, dict):
            self._shown[self._digests[model]] = shown(answer)

    async def _running(self) -> dict[str, int | None] | None:
        try:
            answer = await self._http.json("GET", "/api/ps", within=self._config.listing_timeout / 2)
        except BackendError:
            return None
        self._held = held(answer) if isinstance(answer, dict) else {}
        return running(answer) if isinstance(answer, dict) else None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One call for each of `n` answers to each prompt, a few of them side by side."""
        path, bodies = self._bodies(request)
        if self._loaded is not None and request.model not in self._loaded:
            yield loading(request.model, by=self.name, size=self._bytes.get(request.model))
        for warning in {self._fill(body) for body in bodies} - {None}:
            yield Progress("loading", cast("str", warning))
        streams = [self._one(path, body, choice) for choice, body in enumerate(bodies)]
        async with aclosing(streams[0] if len(streams) == 1 else merged(streams)) as events:
            async for event in events:
                yield event

    def _bodies(self, request: ModelRequest) -> tuple[str, list[JsonObject]]:
        number = request.parameters.get("n") or 1
        if not isinstance(number, int) or not 1 <= number <= _MOST_ANSWERS:
            raise BadRequest(f"n is a whole number from 1 to {_MOST_ANSWERS}.", param="n")
        if request.chosen and self._does_not_think(request.model):
            effort = ("reasoning_effort", "think")
            kept = {name: value for name, value in request.parameters.items() if name not in effort}
            request = replace(request, parameters=kept)
        if request.prompt is None:
            return "/api/chat", [chat_body(request) for _ in range(number)]
        prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
        return "/api/generate", [generate_body(request, prompt) for prompt in prompts for _ in range(number)]

    def _does_not_think(self, model: str) -> bool:
        """Whether the server says so: it refuses to have such a model think."""
        able = self._details(model).capabilities
        return "thinking" not in able if able else False

    def _fill(self, body: JsonObject) -> str | None:
        """Fill in num_ctx and keep_alive where the client left them open; a warning where the context is too small."""
        config, options = self._config, body["options"]
        if not config.fill_options:
            return None
        if config.keep_alive:
            body.setdefault("keep_alive", config.keep_alive)
        if "num_ctx" in options:
            return None
        needed = conversation_tokens(body)
        options["num_ctx"] = self._context(body["model"], needed + answer_tokens(body))
        if needed < options["num_ctx"]:
            return None
        warning = (
            f"This conversation may have {needed} tokens, {body['model']} is given {options['num_ctx']}: "
            "the server may leave out its oldest part."
        )
        _log.warning("%s", warning)
        return warning

    def _context(self, model: str, needed: int) -> int:
        """What it is loaded with where that is enough, so that it need not be loaded again."""
        loaded = (self._loaded or {}).get(model)
        if loaded and loaded >= needed:
            return loaded
        details = self._details(model)
        return fitting_context(needed, floor=details.num_ctx or 0, ceiling=self._most(details))

    async def _one(self, path: str, body: JsonObject, choice: int) -> AsyncGenerator[ModelEvent, None]:
        answer, lines = _Answer(self._http, body, choice), Lines()
        reply = await self._http.open("POST", path, orjson.dumps(body), headers=_JSON)
        try:
            if reply.status != 200:
                raise await reply.failure()
            while not answer.done:
                chunk = await reply.chunk()
                if not chunk:
                    raise self._early_end(lines.rest())
                for line in lines.feed(chunk):
                    if line.strip():
                        for event in answer.events(line):
                            yield event
            self._note_loaded(body)
            await reply.finish()
        finally:
            reply.close()

    def _early_end(self, rest: bytes) -> BackendError:
        """A web page or the like where nothing of an answer came; else a cut stream."""
        return self._http.garbage(rest) if rest.lstrip()[:1] not in (b"", b"{") else self._http.cut()

    def _note_loaded(self, body: JsonObject) -> None:
        if self._loaded is not None:
            self._loaded[body["model"]] = body["options"].get("num_ctx") or self._loaded.get(body["model"])

    async def forward(self, request: RawRequest) -> RawResponse:
        """Relay the bytes, our own key for this server with them. Only num_ctx and keep_alive are filled in, where
        the client left them open and the settings allow it."""
        if request.method == "POST" and request.path in _FILLED and isinstance(request.body, bytes):
            request = replace(request, body=self._filled(request.body))
        patient = request.path.startswith(_SLOW)
        return await forwarded(self._patient if patient else self._http, request)

    def _filled(self, content: bytes) -> bytes:
        """The body of a request that was checked: its very bytes where there is nothing to fill in."""
        if not self._config.fill_options:
            return content
        sent = orjson.loads(content)
        body = {name: value for name, value in sent.items() if value is not None}
        name, options = body["model"], body.get("options", {})
        body |= {"model": name if name in self._digests else f"{name}:latest", "options": dict(options)}
        self._fill(body)
        if body.get("messages") or body.get("prompt"):
            self._note_loaded(body)
        if body["options"] == options and body.get("keep_alive") == sent.get("keep_alive"):
            return content
        return orjson.dumps({**sent, **{name: body[name] for name in ("options", "keep_alive") if name in body}})

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """One vector per text through `/api/embed`."""
        body: JsonObject = {**(more or {}), "model": model, "input": list(texts)}
        if dimensions is not None:
            body["dimensions"] = dimensions
        if self._config.fill_options and self._config.keep_alive:
            body.setdefault("keep_alive", self._config.keep_alive)
        answer = mapping(await self._http.json("POST", "/api/embed", body))
        made = vectors(answer.get("embeddings"), len(texts))
        if made is None:
            raise BackendProtocolError(f"{self.name} did not answer with one vector for each text.")
        tokens = whole(answer.get("prompt_eval_count"))
        return Embeddings(made, tokens or sum(map(estimate, texts)), estimated=not tokens)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()
        await self._patient.aclose()


def create(server: BackendSettings, settings: Settings) -> Ollama:
    """From the settings."""
    return Ollama(
        Config(
            url=server_url(server.url or "127.0.0.1:11434"),
            name=server.name or "ollama",
            api_key=server.api_key.get_secret_value() if server.api_key else None,
            deadlines=Deadlines.of(settings.turns),
            listing_timeout=settings.discovery.timeout,
            fill_options=settings.ollama.fill_options,
            max_context=settings.ollama.max_context,
            context_fallback=settings.turns.context_fallback,
            keep_alive=settings.ollama.keep_alive,
        )
    )
