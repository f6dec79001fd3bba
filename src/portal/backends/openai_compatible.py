"""Any server that speaks OpenAI's API: LM Studio, llama.cpp, vLLM, MLX, LocalAI, or a service in the cloud."""

import math
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from portal.backends.forwarding import forwarded
from portal.backends.framing import ServerEvent, ServerEvents
from portal.backends.http import MAX_JSON, Deadlines, HttpClient, Reply, public_url, server_url
from portal.backends.openai_chunks import Chunks
from portal.backends.openai_models import entries, model_info, with_props
from portal.backends.wire import mapping, text, vectors, whole
from portal.core.items import JsonObject
from portal.core.model import Embeddings, ModelEvent, ModelInfo, ModelRequest, RawRequest, RawResponse, Relevances
from portal.core.tokens import estimate, estimate_messages
from portal.errors import BackendError, BackendProtocolError
from portal.settings import BackendSettings, Settings

_JSON = {"Content-Type": "application/json"}
_NOT_STREAMED = ("application/json", "text/html")
_OLLAMAS = frozenset({"options", "num_ctx", "keep_alive", "think", "truncate", "shift"})
"""How an Ollama server is to run a model: nothing to any other, and refused by some."""
_VERSION = re.compile(r"/v\d+[a-z0-9]*(/|$)")


def api_root(url: str) -> str:
    """The address below which the endpoints are: `/v1` added unless the address has a version in it already."""
    url = url.rstrip("/")
    return url if _VERSION.search(urlsplit(url).path) else f"{url}/v1"


def request_body(request: ModelRequest, *, counts: bool) -> JsonObject:
    """The streaming request, every parameter as it came; with `counts` the server is asked for usage as well."""
    sent = {name: value for name, value in request.parameters.items() if name not in _OLLAMAS}
    body: JsonObject = {**sent, "model": request.model, "stream": True}
    if request.prompt is None:
        body["messages"] = list(request.messages)
    else:
        body["prompt"] = request.prompt
    options = {**(body.get("stream_options") or {}), **({"include_usage": True} if counts else {})}
    if options:
        body["stream_options"] = options
    return body


def prompt_estimate(request: ModelRequest) -> int:
    """Input tokens, where the server does not count them."""
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt or []
    tools: Any = request.parameters.get("tools")
    return (
        estimate_messages(request.messages)
        + sum(estimate(prompt) for prompt in prompts)
        + (estimate(orjson.dumps(tools).decode()) if tools else 0)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One server; its URL with or without `/v1`. `listing_timeout` in seconds."""

    url: str
    name: str = "openai_compatible"
    api_key: str | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    listing_timeout: float = 2


class OpenAICompatible:
    """Implements Backend, Embedding, Reranking and Forwarding over OpenAI's API."""

    kind = "openai_compatible"
    api = "openai"

    def __init__(self, config: Config) -> None:
        self.name = config.name
        address = api_root(config.url)
        self.url = public_url(address)
        self._listing_timeout = config.listing_timeout
        headers = {"Authorization": f"Bearer {config.api_key}"} if config.api_key else {}
        self._http = HttpClient(server=config.name, url=address, deadlines=config.deadlines, headers=headers)
        self._counts = True
        self._owners: set[str | None] = set()

    async def models(self) -> Sequence[ModelInfo]:
        """What is there, from `/v1/models` and, where LM Studio or llama.cpp answered, their own lists beside it."""
        answer = await self._http.json("GET", "/models", within=self._listing_timeout)
        listed = entries(answer)
        if listed is None:
            raise self._http.odd(answer)
        self._owners = owners = {text(entry.get("owned_by")) for entry in listed}
        if owners == {"organization_owner"}:
            listed = await self._lm_studio(listed)
        elif owners == {"llamacpp"}:
            props = await self._beside("/props")
            listed = [with_props(entry, props) for entry in listed]
        return [model_info(entry, backend=self.name) for entry in listed]

    async def _lm_studio(self, listed: list[JsonObject]) -> list[JsonObject]:
        """LM Studio tells type, context and what is loaded at an address of its own."""
        more = {entry["id"]: entry for entry in entries(await self._beside("/api/v0/models")) or ()}
        return [{**entry, **more.get(entry["id"], {})} for entry in listed]

    async def _beside(self, path: str, body: JsonObject | None = None) -> object:
        """Something outside the API's root; None where this server does not have it."""
        root = urlsplit(self._http.url)
        try:
            address = f"{root.scheme}://{root.netloc}{path}"
            method = "GET" if body is None else "POST"
            answer: object = await self._http.json(method, address, body, within=self._listing_timeout / 2)
        except BackendError:
            return None
        return answer

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One streaming call."""
        chunks = Chunks(prompt_tokens=prompt_estimate(request))
        reply = await self._ask(request)
        try:
            if reply.content_type.startswith(_NOT_STREAMED):
                for event in self._whole(chunks, await reply.read(MAX_JSON)):
                    yield event
                return
            decoder, done = ServerEvents(), False
            while not done and (piece := await self._piece(reply, chunks)):
                for data in decoder.feed(piece):
                    done = done or data.data == b"[DONE]"
                    for event in () if done else self._events(chunks, data):
                        yield event
            for event in self._rest(chunks, decoder, done):
                yield event
            await reply.finish()
        finally:
            reply.close()

    async def _ask(self, request: ModelRequest) -> Reply:
        """Send it; a server that does not know `stream_options` is asked again without."""
        path = "/chat/completions" if request.prompt is None else "/completions"
        counts = self._counts
        reply = await self._http.open("POST", path, _encoded(request_body(request, counts=counts)), headers=_JSON)
        if reply.status < 300:
            return reply
        try:
            failure = await reply.failure()
        finally:
            reply.close()
        if not counts or reply.status not in (400, 422) or "stream_options" in request.parameters:
            raise failure
        reply = await self._http.open("POST", path, _encoded(request_body(request, counts=False)), headers=_JSON)
        if reply.status >= 300:
            reply.close()
            raise failure
        self._counts = False
        return reply

    async def _piece(self, reply: Reply, chunks: Chunks) -> bytes:
        """The next bytes; a connection that breaks after the answer was complete is its end."""
        try:
            return await reply.chunk()
        except BackendError:
            if chunks.complete:
                return b""
            raise

    def _events(self, chunks: Chunks, event: ServerEvent) -> Iterable[ModelEvent]:
        chunk = self._http.parsed(event.data)
        if not isinstance(chunk, dict):
            raise self._http.garbage(event.data)
        if chunk.get("error") or event.name == "error":
            raise self._http.failed(_words(chunk.get("error") or chunk))
        return chunks.events(chunk)

    def _rest(self, chunks: Chunks, decoder: ServerEvents, done: bool) -> Iterable[ModelEvent]:
        """The end of the stream: what was left in the decoder, the missing finish reasons, the usage."""
        made: list[ModelEvent] = []
        for event in () if done else decoder.end():
            if event.data == b"[DONE]":
                done = True
            elif _is_json(event.data):  # else it was cut in the middle, and `complete` tells whether that matters
                made.extend(self._events(chunks, event))
        made.extend(chunks.end(said_done=done))
        if not chunks.complete or chunks.broken:
            raise self._http.cut()
        return made

    def _whole(self, chunks: Chunks, content: bytes) -> Iterable[ModelEvent]:
        """An answer in one piece, from a server that does not stream."""
        made = [*self._events(chunks, ServerEvent(content)), *chunks.end(said_done=True)]
        if not chunks.complete:
            raise self._http.garbage(content)
        return made

    async def forward(self, request: RawRequest) -> RawResponse:
        """Relay the bytes, with our own key for this server and nothing else of the client's headers."""
        return await forwarded(self._http, request)

    async def embed(
        self, model: str, texts: Sequence[str], dimensions: int | None = None, more: JsonObject | None = None
    ) -> Embeddings:
        """One vector per text through `/v1/embeddings`."""
        body: JsonObject = {**(more or {}), "model": model, "input": list(texts), "encoding_format": "float"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        answer = mapping(await self._http.json("POST", "/embeddings", body, within=self._http.deadlines.first_byte))
        made = vectors(_in_order(answer.get("data")), len(texts))
        if made is None:
            raise BackendProtocolError(f"{self.name} did not answer with one vector for each text.")
        tokens = whole(mapping(answer.get("usage")).get("prompt_tokens"))
        return Embeddings(made, tokens or sum(map(estimate, texts)), estimated=not tokens)

    async def rerank(self, model: str, query: str, documents: Sequence[str]) -> Relevances:
        """One score a document through `/v1/rerank`, as llama.cpp, vLLM, LocalAI and Infinity have it."""
        body: JsonObject = {"model": model, "query": query, "documents": list(documents), "top_n": len(documents)}
        answer = mapping(await self._http.json("POST", "/rerank", body, within=self._http.deadlines.first_byte))
        scores = _scores(answer.get("results"), len(documents))
        if scores is None:
            raise BackendProtocolError(f"{self.name} did not answer with one score for each document.")
        usage = mapping(answer.get("usage"))
        tokens = whole(usage.get("prompt_tokens")) or whole(usage.get("total_tokens"))
        guess = sum(map(estimate, documents)) + len(documents) * estimate(query)
        return Relevances(scores, tokens or guess, estimated=not tokens)

    async def count_tokens(self, request: ModelRequest) -> int | None:
        """As vLLM counts a conversation, or llama.cpp the text that its template makes of one."""
        body: JsonObject = {"messages": list(request.messages)}
        if request.parameters.get("tools"):
            body["tools"] = request.parameters["tools"]
        if self._owners == {"vllm"}:
            return whole(mapping(await self._beside("/tokenize", {**body, "model": request.model})).get("count"))
        if self._owners != {"llamacpp"}:
            return None
        prompt = mapping(await self._beside("/apply-template", body)).get("prompt")
        if not isinstance(prompt, str):
            return None
        tokens = mapping(await self._beside("/tokenize", {"content": prompt, "add_special": True})).get("tokens")
        return len(tokens) if isinstance(tokens, list) else None

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def _in_order(data: object) -> list[object] | None:
    """The embeddings of `/v1/embeddings` by their index, as they come where a server gives none; None for no such
    list."""
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        return None
    indices = [row.get("index", 0) for row in data]
    if not set(map(type, indices)) <= {int}:
        return None
    if len(set(indices)) > 1 and sorted(indices) != list(range(len(data))):
        return None  # one is missing, and which text it is of cannot be known
    return [row.get("embedding") for row in sorted(data, key=lambda row: int(row.get("index", 0)))]


def _scores(results: object, count: int) -> list[float] | None:
    """The scores of `/v1/rerank` by the documents they are of; None for no such list."""
    found: dict[int, float] = {}
    for row in results if isinstance(results, list) else ():
        index, score = mapping(row).get("index"), mapping(row).get("relevance_score")
        if type(index) is not int or type(score) not in (int, float) or not math.isfinite(float(score or 0)):
            return None
        found[index] = float(score or 0)
    return [found[index] for index in range(count)] if found.keys() == set(range(count)) else None


def _encoded(body: JsonObject) -> bytes:
    return orjson.dumps(body)


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _words(error: object) -> str:
    if isinstance(error, dict):
        return str(error.get("message") or error)
    return str(error)


def create(server: BackendSettings, settings: Settings) -> OpenAICompatible:
    """From the settings."""
    return OpenAICompatible(
        Config(
            url=server_url(server.url),
            name=server.name or "openai_compatible",
            api_key=server.api_key.get_secret_value() if server.api_key else None,
            deadlines=Deadlines.of(settings.turns),
            listing_timeout=settings.discovery.timeout,
        )
    )
