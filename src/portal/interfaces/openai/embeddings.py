"""`/v1/embeddings`: vectors as numbers or as base64."""

import base64
import struct
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from portal.core.ask import Ask
from portal.core.attempts import attempted
from portal.core.items import JsonObject
from portal.core.model import Embeddings, TokenUsage
from portal.core.ports import Embedding, Models, UsageLog
from portal.errors import BadRequest
from portal.interfaces.account import Account, Accounts
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.schema import CreateEmbeddings
from portal.interfaces.openai.validation import check, check_length, empty_text, missing, parse_json, wrong_type
from portal.interfaces.wire import ClientGone, json_response, while_there

_MOST = 2048
_OURS = frozenset({"model", "input", "dimensions", "encoding_format"})
"""What is converted; any other parameter is the model server's to judge."""


def read_texts(raw: object) -> list[str]:
    """The texts to embed.

    Raises:
        BadRequest: there are none, an empty one, too many, or tokens instead of text.
    """
    if raw is None:
        raise missing("input")
    texts = [raw] if isinstance(raw, str) else raw
    if not isinstance(texts, list):
        raise wrong_type("input", "one of a string or array of strings", raw)
    check_length("input", texts, _MOST)
    for index, text in enumerate(texts):
        _check_text(text, f"input[{index}]")
    return texts


def _check_text(text: object, at: str) -> None:
    if isinstance(text, (int, list)):
        raise BadRequest(
            "Arrays of tokens cannot be embedded: send text, since tokens mean nothing to another model's tokenizer.",
            param="input",
            code="unsupported_value",
        )
    if not isinstance(text, str):
        raise wrong_type(at, "a string", text)
    if not text:
        raise empty_text(at)


def encoded(vector: Sequence[float]) -> str:
    """Little-endian 32-bit floats in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _answer(made: Embeddings, *, model: str, in_base64: bool) -> JsonObject:
    data = [
        {"object": "embedding", "index": index, "embedding": encoded(vector) if in_base64 else list(vector)}
        for index, vector in enumerate(made.vectors)
    ]
    usage: JsonObject = {"prompt_tokens": made.input_tokens, "total_tokens": made.input_tokens}
    if made.estimated:
        usage["portal:estimated"] = True
    return {"object": "list", "data": data, "model": model, "usage": usage}


class _Door:
    """The endpoint."""

    def __init__(self, *, accounts: Accounts) -> None:
        self._accounts = accounts

    async def create(self, request: Request) -> Response:
        """Vectors of texts, in order."""
        payload = parse_json(await request.body())
        body = check(CreateEmbeddings, payload)
        more = {name: value for name, value in payload.items() if name not in _OURS and value is not None}
        texts = read_texts(body.input)
        ask = Ask(model=body.model, needs=frozenset({"embeddings"}))
        account = await self._accounts.open(owner=request.state.caller.owner, door="embeddings", ask=ask)
        try:
            with account.settled():
                # Vectors of another model mean something else: only other servers of the same one are asked.
                embed = attempted(
                    account.route.of_one_model(),
                    lambda _: _embed(account, texts, body.dimensions, more),
                    rerouted=account.reroute,
                )
                made = await while_there(request.receive, embed)
                account.usage = TokenUsage(made.input_tokens, 0, estimated=made.estimated)
                account.status = "completed"
        except ClientGone:
            return Response(status_code=499)
        headers = {name.decode(): value.decode("latin-1") for name, value in account.headers}
        answer = _answer(made, model=account.model.id, in_base64=body.encoding_format == "base64")
        return json_response(answer, headers=headers)


async def _embed(account: Account, texts: Sequence[str], dimensions: int | None, more: JsonObject) -> Embeddings:
    backend = account.backend
    if not isinstance(backend, Embedding):
        raise BadRequest(f"The model {account.model.id!r} cannot embed.", param="model", code="unsupported_model")
    return await backend.embed(account.model.id, texts, dimensions, more)


def embeddings_routes(*, models: Models, usage: UsageLog) -> Sequence[BaseRoute]:
    """The route of the Embeddings API."""
    door = _Door(accounts=Accounts(models=models, usage=usage))
    router = LateRouter(tags=["embeddings"])
    router.add_api_route("/v1/embeddings", door.create, methods=["POST"], name="create_embeddings")
    return router.routes
