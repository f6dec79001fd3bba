"""`/v1/completions`: raw text in, text out; relayed or converted as Chat Completions are."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from portal.core.ask import Ask
from portal.core.clock import micros, seconds
from portal.core.decision import Route as Chosen
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.model import Finished, ModelEvent, ModelRequest, TextDelta, TokenUsage
from portal.core.ports import Models, UsageLog
from portal.core.tokens import estimate
from portal.errors import BadRequest, PortalError
from portal.interfaces.account import Accounts
from portal.interfaces.calls import Calls, Kind
from portal.interfaces.openai.chat_chunks import DONE, asks_for_usage, usage_object
from portal.interfaces.openai.errors import DIALECT
from portal.interfaces.openai.relay import relay
from portal.interfaces.openai.schema import CreateCompletion, check_stop
from portal.interfaces.openai.validation import check, check_length, parse_json, wrong_type
from portal.interfaces.wire import ClientGone, read_body, send_error, while_there

_MOST = 2048
_OURS = frozenset({"model", "prompt", "stream", "stream_options"})


class TextStream:
    """The chunks of one streamed completion."""

    def __init__(self, model: str, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._shared = _shared(model)

    async def frames(self, events: AsyncIterator[ModelEvent]) -> AsyncGenerator[bytes, None]:
        """Server-sent events up to and with `[DONE]`; nothing after an error, which comes out as it is."""
        usage: TokenUsage | None = None
        async for event in events:
            if isinstance(event, TokenUsage):
                usage = event
            elif isinstance(event, TextDelta):
                yield self._frame([_choice(event.choice, event.text, event.logprobs, None)])
            elif isinstance(event, Finished):
                yield self._frame([_choice(event.choice, "", None, event.reason)])
        if self._include_usage and usage is not None:
            yield self._frame([], usage=usage_object(usage))
        yield DONE

    def _frame(self, choices: list[JsonObject], usage: JsonObject | None = None) -> bytes:
        made = {**self._shared, "choices": choices}
        if self._include_usage:
            made["usage"] = usage
        return b"data: %b\n\n" % orjson.dumps(made)


def _shared(model: str) -> JsonObject:
    return {"id": new_id("cmpl"), "object": "text_completion", "created": seconds(micros()), "model": model}


def _choice(number: int, text: str, logprobs: Sequence[JsonObject] | None, reason: str | None) -> JsonObject:
    return {"index": number, "text": text, "logprobs": _logprobs(logprobs or ()), "finish_reason": reason}


def _logprobs(entries: Sequence[JsonObject]) -> JsonObject | None:
    """Chat Completions' entries as the parallel lists of the older API."""
    if not entries:
        return None
    return {
        "tokens": [entry["token"] for entry in entries],
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in entry.get("top_logprobs") or ()} for entry in entries
        ],
    }


async def whole_text(events: AsyncIterator[ModelEvent], model: str) -> JsonObject:
    """The completion object of a whole answer."""
    texts: dict[int, list[str]] = {}
    logprobs: dict[int, list[JsonObject]] = {}
    reasons: dict[int, str] = {}
    usage = TokenUsage(0, 0, estimated=True)
    async for event in events:
        if isinstance(event, TokenUsage):
            usage = event
        elif isinstance(event, TextDelta):
            texts.setdefault(event.choice, []).append(event.text)
            logprobs.setdefault(event.choice, []).extend(event.logprobs or ())
        elif isinstance(event, Finished):
            reasons[event.choice] = event.reason
    choices = [
        _choice(number, "".join(texts.get(number, ())), logprobs.get(number), reason)
        for number, reason in sorted(reasons.items())
    ]
    return {**_shared(model), "choices": choices, "usage": usage_object(usage)}


def read_completion(body: bytes) -> JsonObject:
    """The request, unchanged, once it has the shape of one. Raises BadRequest."""
    payload = parse_json(body)
    checked = check(CreateCompletion, payload)
    check_stop(checked.stop)
    prompt = checked.prompt
    if isinstance(prompt, list):
        tokens = all(isinstance(element, int) for element in prompt)  # one prompt, as long as the model likes
        check_length("prompt", prompt, len(prompt) if tokens else _MOST)
    elif not isinstance(prompt, str):
        raise wrong_type("prompt", "one of a string or array of strings", prompt)
    return payload


def _texts(payload: JsonObject) -> str | list[str]:
    """The prompt as text. Raises BadRequest for tokens, which only their own model's server understands."""
    prompt: str | list[str] = payload["prompt"]
    if isinstance(prompt, list) and not all(isinstance(text, str) for text in prompt):
        raise BadRequest(
            "This model's server takes text prompts only, not arrays of tokens.",
            param="prompt",
            code="unsupported_value",
        )
    return prompt


def _count(payload: JsonObject) -> int:
    prompt = payload["prompt"]
    texts = [prompt] if isinstance(prompt, str) else prompt
    return sum(estimate(text) if isinstance(text, str) else 1 for text in texts)


def _request(payload: JsonObject, route: Chosen) -> ModelRequest:
    parameters = {name: value for name, value in payload.items() if name not in _OURS}
    return ModelRequest(model=route.model.id, prompt=_texts(payload), parameters=parameters)


KIND = Kind(
    door="completions",
    dialect=DIALECT,
    ask=lambda payload: Ask(model=payload["model"], needs=frozenset({"completion"})),
    request=_request,
    stream=lambda model, payload: TextStream(model, asks_for_usage(payload)),
    whole=whole_text,
    count=_count,
    api="openai",
    path="/completions",
    relay=relay,
)


class Completions:
    """The ASGI endpoint."""

    def __init__(self, *, accounts: Accounts) -> None:
        self._calls = Calls(accounts=accounts, kind=KIND)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves stops the model."""
        owner = scope["state"]["caller"].owner
        try:
            body = await read_body(receive)
            await while_there(receive, self._calls.answer(owner, read_completion(body), body, send))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, DIALECT)


def completions_routes(*, models: Models, usage: UsageLog, keep_alive: float) -> Sequence[BaseRoute]:
    """The route of the older Completions API."""
    endpoint = Completions(accounts=Accounts(models=models, usage=usage, keep_alive=keep_alive))
    return [Route("/v1/completions", endpoint, methods=["POST"], name="create_completion")]
