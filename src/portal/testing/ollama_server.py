"""A strict stand-in of Ollama: its paths, framing, field types and error words; no inference.

    async with OllamaServer(models=[OllamaModel(name="qwen3:8b", capabilities=("completion", "tools"))]) as server: ...

Steering and records are those of ModelServer, what is done to models that of OllamaManaging. Besides,
`server.loaded` holds the models in memory with the context each was loaded with, a request for another one waits for
`server.loading` (an Event, set by default), and `server.truncated` lists how many messages each call lost because they
did not fit `num_ctx`.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from portal.testing.model_server import BODY, Answer, cut_at_stop, logprob, vector
from portal.testing.ollama_managing import OllamaManaging, line
from portal.testing.ollama_rules import Refused, check_generate, check_options

_DEFAULT_CONTEXT = 4096
_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class OllamaModel:
    """An installed model."""

    name: str = "tiny:latest"
    capabilities: Sequence[str] | None = ("completion", "tools")
    """None: an Ollama from before it told them."""
    context_length: int = 8192
    parameter_count: int = 1_000_000
    parameter_size: str = "1M"
    quantization: str = "Q4_K_M"
    size: int = 750_000
    family: str = "llama"
    parameters: str = ""
    """The PARAMETER lines of its Modelfile."""

    @property
    def digest(self) -> str:
        """As Ollama has it: SHA-256 of the manifest."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def details(self) -> dict[str, Any]:
        """The object `details` of several answers."""
        return {
            "parent_model": "",
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }


class OllamaServer(OllamaManaging):
    """Ollama on loopback."""

    content_type = "application/x-ndjson"

    def __init__(self, *, models: Sequence[OllamaModel] = (OllamaModel(),)) -> None:
        super().__init__()
        self.models = {model.name: model for model in models}
        self.loaded: dict[str, int] = {}
        self.loading = asyncio.Event()
        self.loading.set()
        self.broken: set[str] = set()
        """Models that do not come into memory."""
        self.truncated: list[int] = []

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Those of Ollama that Portal or its tests use."""
        return [
            web.get("/", self._root),
            web.get("/api/version", self._version),
            web.get("/api/tags", self._tags),
            web.get("/api/ps", self._ps),
            web.post("/api/show", self._show),
            web.post("/api/chat", self._chat),
            web.post("/api/generate", self._generate),
            web.post("/api/embed", self._embed),
            web.post("/api/embeddings", self._embeddings),
            *self.managing_routes(),
        ]

    def new_model(self, name: str) -> OllamaModel:
        """One made of files."""
        return OllamaModel(name=name)

    def error_frame(self, message: str) -> bytes:
        """One line with the error in it."""
        return line({"error": message})

    def refusal(self, status: int, message: str, **more: str | None) -> web.Response:
        """An error as Ollama sends it."""
        return web.json_response({"error": message}, status=status)

    async def _root(self, request: web.Request) -> web.Response:
        return web.Response(text="Ollama is running")

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.13.0"})

    async def _tags(self, request: web.Request) -> web.Response:
        return web.json_response({"models": [self._entry(model) for model in self.models.values()]})

    def _entry(self, model: OllamaModel) -> dict[str, Any]:
        return {
            "name": model.name,
            "model": model.name,
            "modified_at": "2026-01-02T03:04:05.123456789Z",
            "size": model.size,
            "digest": model.digest,
            "details": model.details(),
        }

    async def _ps(self, request: web.Request) -> web.Response:
        running = []
        for name, context in self.loaded.items():
            entry = self._entry(self.models[name])
            del entry["modified_at"]
            expires = (datetime.now(UTC) + _LIFE).isoformat()
            running.append({**entry, "expires_at": expires, "size_vram": 0, "context_length": context})
        return web.json_response({"models": running})

    async def _show(self, request: web.Request) -> web.Response:
        body = request[BODY]
        if not isinstance(body, dict):
            return self.refusal(400, "missing request body")
        model = self._find(body.get("model") or body.get("name"))
        if model is None:
            return self.refusal(404, f"model '{body.get('model')}' not found")
        shown: dict[str, Any] = {
            "modelfile": f"FROM {model.name}",
            "parameters": model.parameters,
            "template": "{{ .Prompt }}",
            "details": model.details(),
            "model_info": {
                "general.architecture": model.family,
                "general.parameter_count": model.parameter_count,
                f"{model.family}.context_length": model.context_length,
            },
            "modified_at": "2026-01-02T03:04:05.123456789Z",
        }
        if model.capabilities is not None:
            shown["capabilities"] = list(model.capabilities)
        return web.json_response(shown)

    def _find(self, name: object) -> OllamaModel | None:
        return self.models.get(str(name)) or self.models.get(f"{name}:latest")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "messages", "chat")

    async def _generate(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, "prompt", "generate")

    async def _answer(self, request: web.Request, field: str, verb: str) -> web.StreamResponse:
        body = request[BODY]
        try:
            if body is None:
                raise Refused("missing request body" if not await request.read() else "invalid character in JSON")
            model = self._model(check_generate(body, field))
            self._check_abilities(model, body, verb)
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        if model.name in self.broken and body.get("keep_alive") not in (0, "0"):
            return self.refusal(500, "llama runner process has terminated: exit status 2")
        if not body.get(field):
            return web.json_response(self._loaded_only(model, body, field))
        tokens = self._fit(model, body, field)
        answer = self.next_answer(_last_text(body, field))
        if answer.status >= 400:
            return self.failing(answer)
        await self._load(model, body)
        parts = self._parts(model, body, answer, field, tokens)
        if body.get("stream") is False and answer.fault is None and answer.frames is None:
            return self.whole(answer, _joined(parts, field))
        return await self.play(request, answer, [line(part) for part in parts])

    def _model(self, name: str) -> OllamaModel:
        model = self._find(name)
        if model is None:
            raise Refused(f"model '{name}' not found", 404)
        return model

    def _check_abilities(self, model: OllamaModel, body: dict[str, Any], verb: str) -> None:
        able = model.capabilities or ("completion", "tools", "vision")
        if "completion" not in able:
            raise Refused(f'"{model.name}" does not support {verb}')
        if body.get("tools") and "tools" not in able:
            raise Refused(f"registry.ollama.ai/library/{model.name} does not support tools")
        if body.get("think") not in (None, False) and "thinking" not in able:
            raise Refused(f'"{model.name}" does not support thinking')

    def _loaded_only(self, model: OllamaModel, body: dict[str, Any], field: str) -> dict[str, Any]:
        """An empty request loads the model, or with keep_alive 0 unloads it."""
        unload = body.get("keep_alive") in (0, "0")
        if unload:
            self.loaded.pop(model.name, None)
        else:
            self.loaded[model.name] = _context(body)
        empty: dict[str, Any] = _part(model.name, field, "")
        return {**empty, "done": True, "done_reason": "unload" if unload else "load"}

    async def _load(self, model: OllamaModel, body: dict[str, Any]) -> None:
        if self.loaded.get(model.name) != _context(body):
            await self.loading.wait()
            self.loaded[model.name] = _context(body)

    def _fit(self, model: OllamaModel, body: dict[str, Any], field: str) -> int:
        """Cut the oldest messages that do not fit, as Ollama does without a word; a word is a token here."""
        if field == "prompt":
            return len(body["prompt"].split())
        sizes = [len(str(message.get("content", "")).split()) for message in body["messages"]]
        limit, lost = _context(body), 0
        while sum(sizes[lost:]) > limit and lost < len(sizes) - 1:
            lost += 1
        self.truncated.append(lost)
        return sum(sizes[lost:])

    def _parts(
        self, model: OllamaModel, body: dict[str, Any], answer: Answer, field: str, tokens: int
    ) -> list[dict[str, Any]]:
        options = body.get("options") or {}
        pieces = cut_at_stop(answer.text, options.get("stop") or ())
        limit = options.get("num_predict", -1)
        finish = answer.finish
        if 0 < limit < len(pieces):
            pieces, finish = pieces[:limit], "length"
        made = [_part(model.name, field, "", thinking=thought) for thought in answer.thinking]
        for piece in pieces:
            part = _part(model.name, field, piece)
            if body.get("logprobs"):
                part["logprobs"] = [logprob(piece, body.get("top_logprobs", 0))]
            made.append(part)
        made += [_call_part(model.name, answer, index) for index in range(len(answer.tool_calls))]
        count = len(answer.thinking) + len(pieces) + len(answer.tool_calls)
        last = {**_part(model.name, field, ""), "done": True, "done_reason": finish, **_durations()}
        return [*made, {**last, "prompt_eval_count": tokens, "eval_count": count}]

    async def _embed(self, request: web.Request) -> web.Response:
        body = request[BODY]
        try:
            model = self._embedding_model(body)
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [vector(text, body.get("dimensions") or 16) for text in texts]
        count = sum(len(text.split()) for text in texts)
        times = {"total_duration": 1000, "load_duration": 100}
        return web.json_response({"model": model.name, "embeddings": vectors, **times, "prompt_eval_count": count})

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = request[BODY]
        try:
            self._embedding_model({**(body or {}), "input": (body or {}).get("prompt")})
        except Refused as refused:
            return self.refusal(refused.status, refused.message)
        return web.json_response({"embedding": vector(body["prompt"], 16)})

    def _embedding_model(self, body: Any) -> OllamaModel:
        if not isinstance(body, dict):
            raise Refused("missing request body")
        texts = body.get("input")
        if not isinstance(texts, str) and not (isinstance(texts, list) and all(isinstance(t, str) for t in texts)):
            raise Refused("invalid input type")
        check_options(body.get("options"))
        return self._model(str(body.get("model", "")))


def _context(body: dict[str, Any]) -> int:
    return int((body.get("options") or {}).get("num_ctx") or _DEFAULT_CONTEXT)


def _last_text(body: dict[str, Any], field: str) -> str:
    return str(body["prompt"] if field == "prompt" else body["messages"][-1].get("content", ""))


def _part(model: str, field: str, text: str, *, thinking: str = "") -> dict[str, Any]:
    head = {"model": model, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
    extra = {"thinking": thinking} if thinking else {}
    if field == "prompt":
        return {**head, "response": text, **extra, "done": False}
    return {**head, "message": {"role": "assistant", "content": text, **extra}, "done": False}


def _call_part(model: str, answer: Answer, index: int) -> dict[str, Any]:
    call = answer.tool_calls[index]
    part = _part(model, "messages", "")
    made: dict[str, Any] = {"function": {"index": index, "name": call.name, "arguments": call.arguments}}
    part["message"]["tool_calls"] = [{"id": call.id, **made} if call.id else made]
    return part


def _durations() -> dict[str, int]:
    return {"total_duration": 5000, "load_duration": 1000, "prompt_eval_duration": 1000, "eval_duration": 3000}


def _joined(parts: list[dict[str, Any]], field: str) -> dict[str, Any]:
    """The one object of `stream: false`."""
    get: Callable[[dict[str, Any]], dict[str, Any]] = (lambda p: p) if field == "prompt" else (lambda p: p["message"])
    name = "response" if field == "prompt" else "content"
    whole = parts[-1]
    get(whole)[name] = "".join(get(part)[name] for part in parts)
    thinking = "".join(get(part).get("thinking", "") for part in parts)
    calls = [call for part in parts for call in get(part).get("tool_calls", ())]
    get(whole).update({"thinking": thinking} if thinking else {}, **({"tool_calls": calls} if calls else {}))
    logprobs = [entry for part in parts for entry in part.get("logprobs", ())]
    return {**whole, "logprobs": logprobs} if logprobs else whole
