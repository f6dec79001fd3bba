"""A strict stand-in of a server with OpenAI's API: its fields, errors, chunks and embeddings; no inference.

    async with OpenAIServer(models=["gpt-tiny"]) as server: ...     # server.url + "/v1"

Steering and records are those of ModelServer. `models` are ids or whole entries of `/v1/models`; `extra` names
fields beyond OpenAI's that it takes, as local servers do; `usage=False` and `stream_options=False` make it a server
that counts no tokens, or refuses `stream_options`; `reasoning` names the field of its reasoning; `props` is what
llama.cpp's `/props` and `lm_studio` what LM Studio's `/api/v0/models` would answer; with `api_key` it wants that; with
`tokenizer` it counts as vLLM's `/tokenize` and llama.cpp's `/apply-template` and `/tokenize` do, a word for a token.
"""

import base64
import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from portal.testing.model_server import BODY, Answer, ModelServer, cut_at_stop, logprob, vector
from portal.testing.openai_rules import CHAT, COMPLETIONS, EMBEDDINGS, RERANK, Endpoint, Refused, check

_CREATED = 1767225600


class OpenAIServer(ModelServer):
    """OpenAI's API on loopback."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(
        self,
        *,
        models: Sequence[str | Mapping[str, Any]] = ("tiny",),
        extra: Iterable[str] = (),
        usage: bool = True,
        stream_options: bool = True,
        reasoning: str = "reasoning_content",
        props: Mapping[str, Any] | None = None,
        lm_studio: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        tokenizer: bool = False,
    ) -> None:
        super().__init__()
        self.set_models(models)
        self._extra = frozenset(extra)
        self._usage = usage
        self._stream_options = stream_options
        self._reasoning = reasoning
        self._props = props
        self._lm_studio = lm_studio
        self._api_key = api_key
        self._tokenizer = tokenizer

    def set_models(self, models: Sequence[str | Mapping[str, Any]]) -> None:
        """What `/v1/models` lists from now on."""
        entries = [{"id": model} if isinstance(model, str) else model for model in models]
        head = {"object": "model", "created": _CREATED, "owned_by": "portal"}
        self.models = {entry["id"]: {**head, **entry} for entry in entries}

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """Those of OpenAI's API that Portal or its tests use."""
        return [
            web.get("/v1/models", self._list),
            web.get("/v1/models/{model:.+}", self._model),
            web.post("/v1/chat/completions", self._chat),
            web.post("/v1/completions", self._completions),
            web.post("/v1/embeddings", self._embeddings),
            web.post("/v1/rerank", self._rerank),
            web.get("/props", self._beside),
            web.get("/api/v0/models", self._beside),
            web.post("/apply-template", self._apply_template),
            web.post("/tokenize", self._tokenize),
        ]

    def error_frame(self, message: str) -> bytes:
        """An event with an error object."""
        return _event(_error(message, "server_error"))

    def refusal(self, status: int, message: str, **more: str | None) -> web.Response:
        """OpenAI's error body."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        return web.json_response(_error(message, kind, **more), status=status)

    def _refused(self, refused: Refused) -> web.Response:
        return self.refusal(refused.status, refused.message, code=refused.code, param=refused.param)

    def _admit(self, request: web.Request) -> None:
        if self._api_key and request.headers.get("Authorization") != f"Bearer {self._api_key}":
            raise Refused("Incorrect API key provided.", code="invalid_api_key", status=401)

    async def _list(self, request: web.Request) -> web.Response:
        try:
            self._admit(request)
        except Refused as refused:
            return self._refused(refused)
        return web.json_response({"object": "list", "data": list(self.models.values())})

    async def _model(self, request: web.Request) -> web.Response:
        entry = self.models.get(request.match_info["model"])
        if entry is None:
            return self._refused(_unknown(request.match_info["model"]))
        return web.json_response(entry)

    async def _beside(self, request: web.Request) -> web.Response:
        answer = self._props if request.path == "/props" else self._lm_studio
        return web.json_response(answer) if answer is not None else web.Response(status=404)

    async def _apply_template(self, request: web.Request) -> web.Response:
        return web.json_response({"prompt": _prompt(request[BODY])}) if self._tokenizer else web.Response(status=404)

    async def _tokenize(self, request: web.Request) -> web.Response:
        """A conversation is vLLM's to count, a text llama.cpp's."""
        if not self._tokenizer:
            return web.Response(status=404)
        body = request[BODY]
        tokens = list(range(len((_prompt(body) if "messages" in body else body["content"]).split())))
        return web.json_response({"count": len(tokens), "max_model_len": 4096, "tokens": tokens})

    def _checked(self, request: web.Request, endpoint: Endpoint) -> dict[str, Any]:
        self._admit(request)
        body = check(request[BODY], endpoint, self._extra)
        if not self._stream_options and "stream_options" in body:
            raise Refused("Unknown parameter: 'stream_options'.", code="unknown_parameter", param="stream_options")
        if body["model"] not in self.models:
            raise _unknown(body["model"])
        return body

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            body = self._checked(request, CHAT)
        except Refused as refused:
            return self._refused(refused)
        content = body["messages"][-1].get("content") if body["messages"] else ""
        return await self._answer(request, body, _Chat(self._reasoning), [_text(content)])

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        try:
            body = self._checked(request, COMPLETIONS)
        except Refused as refused:
            return self._refused(refused)
        return await self._answer(request, body, _Text(), _prompts(body["prompt"]))

    async def _answer(
        self, request: web.Request, body: dict[str, Any], shape: "_Chat | _Text", prompts: Sequence[str]
    ) -> web.StreamResponse:
        answers = [_bounded(self.next_answer(prompt), body) for prompt in prompts for _ in range(body.get("n") or 1)]
        if answers[0].status >= 400:
            return self.failing(answers[0])
        usage = _counted(body, answers) if self._usage else None
        if not body.get("stream") and answers[0].fault is None and answers[0].frames is None:
            choices = [shape.whole(answer, body, index) for index, answer in enumerate(answers)]
            whole = {**shape.head(body, whole=True), "choices": choices, **({"usage": usage} if usage else {})}
            return self.whole(answers[0], whole)
        return await self.play(request, answers[0], self._frames(body, shape, answers, usage))

    def _frames(
        self, body: dict[str, Any], shape: "_Chat | _Text", answers: Sequence[Answer], usage: dict[str, Any] | None
    ) -> list[bytes]:
        counted = bool((body.get("stream_options") or {}).get("include_usage")) and usage is not None
        head = shape.head(body, whole=False)
        extra = {"usage": None} if counted else {}
        made = [
            _event({**head, "choices": [choice], **extra})
            for index, answer in enumerate(answers)
            for choice in shape.chunks(answer, body, index)
        ]
        if counted:
            made.append(_event({**head, "choices": [], "usage": usage}))
        return [*made, b"data: [DONE]\n\n"]

    async def _embeddings(self, request: web.Request) -> web.Response:
        try:
            body = self._checked(request, EMBEDDINGS)
        except Refused as refused:
            return self._refused(refused)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        encode = _base64 if body.get("encoding_format") == "base64" else list
        vectors = [encode(vector(text, body.get("dimensions") or 16)) for text in texts]
        data = [{"object": "embedding", "index": index, "embedding": made} for index, made in enumerate(vectors)]
        count = sum(len(text.split()) for text in texts)
        usage = {"prompt_tokens": count, "total_tokens": count} if self._usage else None
        return web.json_response({"object": "list", "data": data, "model": body["model"], "usage": usage})

    async def _rerank(self, request: web.Request) -> web.Response:
        """The share of a query's words that a document has; best first, as llama.cpp answers."""
        try:
            body = self._checked(request, RERANK)
        except Refused as refused:
            return self._refused(refused)
        asked, documents = set(body["query"].lower().split()), body["documents"]
        shares = [len(asked & set(one.lower().split())) / max(len(asked), 1) for one in documents]
        results = [{"index": index, "relevance_score": share} for index, share in enumerate(shares)]
        results.sort(key=lambda one: -one["relevance_score"])
        usage = {"prompt_tokens": 7, "total_tokens": 7} if self._usage else {}
        return web.json_response({"model": body["model"], "object": "list", "usage": usage, "results": results})


class _Chat:
    """Chat completions."""

    def __init__(self, reasoning: str) -> None:
        self._reasoning = reasoning

    def head(self, body: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        kind = "chat.completion" if whole else "chat.completion.chunk"
        return {"id": "chatcmpl-1", "object": kind, "created": _CREATED, "model": body["model"]}

    def whole(self, answer: Answer, body: dict[str, Any], index: int) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.text) or None, "refusal": None}
        if answer.refusal:
            message["refusal"] = answer.refusal
        if answer.thinking:
            message[self._reasoning] = "".join(answer.thinking)
        if answer.tool_calls:
            message["tool_calls"] = [_call(answer, number) for number in range(len(answer.tool_calls))]
        logprobs = {"content": _entries(answer.text, body), "refusal": None} if body.get("logprobs") else None
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": _reason(answer)}

    def chunks(self, answer: Answer, body: dict[str, Any], index: int) -> Iterable[dict[str, Any]]:
        yield _choice(index, {"role": "assistant", "content": ""})
        for thought in answer.thinking:
            yield _choice(index, {self._reasoning: thought})
        for piece in answer.text:
            logprobs = {"content": _entries([piece], body), "refusal": None} if body.get("logprobs") else None
            yield {**_choice(index, {"content": piece}), "logprobs": logprobs}
        if answer.refusal:
            yield _choice(index, {"refusal": answer.refusal})
        for number in range(len(answer.tool_calls)):
            yield from (_choice(index, {"tool_calls": [part]}) for part in _call_parts(answer, number))
        yield {**_choice(index, {}), "finish_reason": _reason(answer)}


class _Text:
    """Legacy completions."""

    def head(self, body: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        return {"id": "cmpl-1", "object": "text_completion", "created": _CREATED, "model": body["model"]}

    def whole(self, answer: Answer, body: dict[str, Any], index: int) -> dict[str, Any]:
        logprobs = _legacy(answer.text, body)
        return {"index": index, "text": "".join(answer.text), "logprobs": logprobs, "finish_reason": answer.finish}

    def chunks(self, answer: Answer, body: dict[str, Any], index: int) -> Iterable[dict[str, Any]]:
        for piece in answer.text:
            yield {"index": index, "text": piece, "logprobs": _legacy([piece], body), "finish_reason": None}
        yield {"index": index, "text": "", "logprobs": None, "finish_reason": answer.finish}


def _prompts(sent: str | list[Any]) -> list[str]:
    """The prompts as text: an array of tokens is one, and says nothing without a tokenizer."""
    if isinstance(sent, str):
        return [sent]
    if all(isinstance(token, int) for token in sent):
        return [f"{len(sent)} tokens"]
    return [prompt if isinstance(prompt, str) else f"{len(prompt)} tokens" for prompt in sent]


def _prompt(body: dict[str, Any]) -> str:
    """What a template makes of messages and tools."""
    said = [f"{message['role']} {_text(message.get('content'))}" for message in body["messages"]]
    return " ".join([*said, *(json.dumps(tool) for tool in body.get("tools") or ())])


def _text(content: Any) -> str:
    """The text of a message's content, parts or not."""
    parts = content if isinstance(content, list) else [{"text": content or ""}]
    return "".join(str(part.get("text", "")) for part in parts)


def _bounded(answer: Answer, body: dict[str, Any]) -> Answer:
    """Cut at a stop sequence and at the most tokens asked for; a piece is a token here."""
    stop = body.get("stop") or ()
    pieces = cut_at_stop(answer.text, [stop] if isinstance(stop, str) else stop)
    limit = body.get("max_completion_tokens") or body.get("max_tokens") or len(pieces)
    finish = "length" if limit < len(pieces) else answer.finish
    return replace(answer, text=pieces[:limit], finish=finish)


def _counted(body: dict[str, Any], answers: Sequence[Answer]) -> dict[str, Any]:
    texts = [str(message.get("content") or "") for message in body.get("messages", ())] or [str(body.get("prompt"))]
    asked = sum(len(text.split()) for text in texts)
    thought = sum(len(answer.thinking) for answer in answers)
    answered = thought + sum(len(answer.text) + len(answer.tool_calls) for answer in answers)
    return {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }


def _choice(index: int, delta: dict[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}


def _reason(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls and answer.finish == "stop" else answer.finish


def _call(answer: Answer, number: int) -> dict[str, Any]:
    call = answer.tool_calls[number]
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id or f"call_{number}", "type": "function", "function": function}


def _call_parts(answer: Answer, number: int) -> Iterable[dict[str, Any]]:
    """The head, then the arguments in two pieces."""
    whole = _call(answer, number)
    arguments = whole["function"]["arguments"]
    yield {"index": number, **whole, "function": {"name": whole["function"]["name"], "arguments": ""}}
    for piece in (arguments[:5], arguments[5:]):
        yield {"index": number, "function": {"arguments": piece}}


def _entries(pieces: Sequence[str], body: dict[str, Any]) -> list[dict[str, Any]]:
    return [logprob(piece, body.get("top_logprobs") or 0) for piece in pieces]


def _legacy(pieces: Sequence[str], body: dict[str, Any]) -> dict[str, Any] | None:
    if body.get("logprobs") is None:
        return None
    entries = [logprob(piece, body["logprobs"]) for piece in pieces]
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [{top["token"]: top["logprob"] for top in entry["top_logprobs"]} for entry in entries],
        "text_offset": [0 for _ in entries],
    }


def _base64(values: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def _error(message: str, kind: str, **more: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": None, **more}}


def _unknown(model: str) -> Refused:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return Refused(message, code="model_not_found", status=404)
