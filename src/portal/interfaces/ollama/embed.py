"""`/api/embed` and the older `/api/embeddings`: relayed to an Ollama server, asked of any other that can embed."""

from collections.abc import Callable, Sequence
from math import sqrt
from time import perf_counter_ns
from typing import cast

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from portal.core.ask import Ask
from portal.core.attempts import attempted
from portal.core.gate import Permit
from portal.core.items import JsonObject
from portal.core.model import Embeddings, TokenUsage
from portal.core.ports import Embedding, Forwarding, Models, UsageLog
from portal.core.tokens import estimate
from portal.core.tracing import here
from portal.errors import BadRequest, PortalError
from portal.interfaces.account import Account, Accounts
from portal.interfaces.ollama.chat import renamed
from portal.interfaces.ollama.errors import DIALECT
from portal.interfaces.ollama.relay import relay
from portal.interfaces.ollama.requests import read_model
from portal.interfaces.wire import ClientGone, read_body, send_error, send_json, while_there

Make = Callable[[JsonObject, Embeddings, int], JsonObject]


def _inputs(payload: JsonObject) -> list[str]:
    """The texts of `/api/embed`. Raises BadRequest."""
    given = payload.get("input")
    texts = [given] if isinstance(given, str) and given else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise BadRequest("invalid input type", param="input")
    return texts


def _prompt(payload: JsonObject) -> list[str]:
    """The text of `/api/embeddings`. Raises BadRequest."""
    prompt = payload.get("prompt") or ""
    if not isinstance(prompt, str):
        raise BadRequest("prompt must be a string", param="prompt")
    return [prompt] if prompt else []


def _many(payload: JsonObject, made: Embeddings, nanoseconds: int) -> JsonObject:
    return {
        "model": payload["model"],
        "embeddings": [_unit(vector) for vector in made.vectors],
        "total_duration": nanoseconds,
        "load_duration": 0,
        "prompt_eval_count": made.input_tokens,
    }


def _one(payload: JsonObject, made: Embeddings, nanoseconds: int) -> JsonObject:
    return {"embedding": list(made.vectors[0]) if made.vectors else []}


def _unit(vector: Sequence[float]) -> list[float]:
    """The vector at length one, as Ollama gives it."""
    length = sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


class Embedder:
    """The ASGI endpoint of one of them."""

    def __init__(self, *, accounts: Accounts, path: str, texts: Callable[[JsonObject], list[str]], make: Make) -> None:
        self._accounts = accounts
        self._path = path
        self._texts = texts
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves stops the model."""
        owner = scope["state"]["caller"].owner
        try:
            body = await read_body(receive)
            payload = read_model(body)
            payload = {**payload, "model": payload.get("model") or payload["name"]}
            await while_there(receive, self._answer(owner, payload, body, send))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, DIALECT)

    async def _answer(self, owner: str, payload: JsonObject, body: bytes, send: Send) -> None:
        texts = self._texts(payload)
        ask = Ask(model=payload["model"], needs=frozenset({"embeddings"}))
        account = await self._accounts.open(owner=owner, door="ollama", ask=ask)
        here().note(door="embed")

        async def once(permit: Permit) -> None:
            account.permit = permit
            if getattr(account.backend, "api", None) == "ollama":
                await self._relay(payload, body, texts, account, send)
            else:
                await self._embed(payload, texts, account, send)

        with account.settled():
            try:
                # Vectors of another model mean something else: only other servers of the same one are asked.
                await attempted(account.route.of_one_model(), once, rerouted=account.reroute)
            except PortalError as error:
                account.error = error.lasting
                await send_error(send, error, DIALECT, account.headers)

    async def _relay(self, payload: JsonObject, body: bytes, texts: list[str], account: Account, send: Send) -> None:
        await relay(
            cast(Forwarding, account.backend),
            self._path,
            renamed(payload, body, account.model.id),
            send=send,
            account=account,
            count_input=lambda: sum(map(estimate, texts)),
        )

    async def _embed(self, payload: JsonObject, texts: list[str], account: Account, send: Send) -> None:
        backend, dimensions, began = account.backend, payload.get("dimensions"), perf_counter_ns()
        if not isinstance(backend, Embedding):
            raise BadRequest(f"The model {account.model.id!r} cannot embed.", param="model")
        if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool)):
            raise BadRequest("dimensions must be an integer", param="dimensions")
        made = Embeddings([], 0)
        if texts:
            made = await backend.embed(account.model.id, texts, dimensions or None)
        account.usage = TokenUsage(made.input_tokens, 0, estimated=made.estimated)
        account.status = "completed"
        answer = self._make(payload, made, perf_counter_ns() - began)
        await send_json(send, 200, orjson.dumps(answer), account.headers)


def embed_routes(*, models: Models, usage: UsageLog) -> Sequence[BaseRoute]:
    """The routes of both."""
    accounts = Accounts(models=models, usage=usage)
    many = Embedder(accounts=accounts, path="/api/embed", texts=_inputs, make=_many)
    one = Embedder(accounts=accounts, path="/api/embeddings", texts=_prompt, make=_one)
    return [
        Route("/api/embed", many, methods=["POST"], name="ollama_embed"),
        Route("/api/embeddings", one, methods=["POST"], name="ollama_embeddings"),
    ]
