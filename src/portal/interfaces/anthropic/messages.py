"""`/v1/messages`, on plain ASGI: a plain call of a model, converted both ways. Nothing of it is stored but its cost."""

from collections.abc import Mapping, Sequence

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from portal.core.ask import Ask
from portal.core.decision import Route as Chosen
from portal.core.items import JsonObject
from portal.core.model import ModelRequest
from portal.core.ports import Counting, Models, UsageLog
from portal.core.tokens import estimate, estimate_messages
from portal.errors import PortalError
from portal.interfaces.account import Accounts
from portal.interfaces.acting import Acting
from portal.interfaces.anthropic.aliases import resolved
from portal.interfaces.anthropic.answer import Answer, MessageStream, whole_message
from portal.interfaces.anthropic.errors import dialect
from portal.interfaces.anthropic.request import chat_payload, plain, shows_thinking
from portal.interfaces.anthropic.schema import CountTokens, CreateMessage, read
from portal.interfaces.calls import Calls, Kind
from portal.interfaces.dialect import Dialect
from portal.interfaces.wire import ClientGone, read_body, send_error, send_json, while_there

_OURS = frozenset({"model", "messages", "stream"})


def count(payload: JsonObject) -> int:
    """Input tokens, estimated: messages and tools."""
    tools = estimate(orjson.dumps(payload["tools"]).decode()) if payload.get("tools") else 0
    return estimate_messages(payload["messages"]) + tools


class Messages:
    """The ASGI endpoint of `/v1/messages`."""

    def __init__(self, *, accounts: Accounts, acting: Acting, aliases: Mapping[str, str]) -> None:
        self._accounts = accounts
        self._acting = acting
        self._aliases = aliases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves stops the model."""
        owner, words = scope["state"]["caller"].owner, dialect(scope["state"]["request_id"])
        try:
            body = await read_body(receive)
            request = read(CreateMessage, body)
            payload = chat_payload(request)
            kind = self._kind(request, payload, words)
            calls = Calls(accounts=self._accounts, kind=kind, acting=self._acting)
            await while_there(receive, calls.answer(owner, payload, body, send))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, words)

    def _kind(self, request: CreateMessage, payload: JsonObject, words: Dialect) -> Kind:
        tokens = count(payload)

        def answer(model: str) -> Answer:
            return Answer(
                model=model,
                input_tokens=tokens,
                stops=request.stop_sequences or (),
                thinking=shows_thinking(request),
                most_calls=1 if "parallel_tool_calls" in payload else None,
            )

        return Kind(
            door="messages",
            dialect=words,
            ask=lambda sent: ask(sent, self._aliases),
            request=lambda sent, route: _request(sent, route, tokens),
            stream=lambda model, _: MessageStream(answer(model)),
            whole=lambda events, model: whole_message(events, answer(model)),
            count=lambda _: tokens,
        )


def _request(payload: JsonObject, route: Chosen, tokens: int) -> ModelRequest:
    """A budget is leave to think, not an order to, and `max_tokens` a bound that the API demands: agents send both to
    every model, so neither is to fail where a model does not think or has a smaller window."""
    parameters = {name: value for name, value in payload.items() if name not in _OURS}
    if "thinking" not in route.model.capabilities and getattr(route.backend, "api", "") != "openai":
        parameters.pop("reasoning_effort", None)
    room = (route.model.context_window or 0) - tokens * 5 // 4
    if room > 0:
        parameters["max_tokens"] = min(payload["max_tokens"], room)
    messages = [plain(one) for one in payload["messages"]]
    return ModelRequest(model=route.model.id, messages=messages, parameters=parameters)


def ask(payload: JsonObject, aliases: Mapping[str, str]) -> Ask:
    """What the router is asked."""
    model = resolved(payload["model"], aliases)
    return Ask(model=model, messages=payload["messages"], parameters=payload)


class TokenCounts:
    """The ASGI endpoint of `/v1/messages/count_tokens`."""

    def __init__(self, *, models: Models, aliases: Mapping[str, str]) -> None:
        self._models = models
        self._aliases = aliases

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count for one request, without calling a model."""
        try:
            payload = chat_payload(read(CountTokens, await read_body(receive)))
            asked = ask(payload, self._aliases)
            asked.owner = scope["state"]["caller"].owner
            route = self._models.route(asked)
            if route.workspace is not None:
                payload["messages"] = route.workspace.messages(payload["messages"])
            backend, model = route.backend, route.model.id
            told = await _told(backend, model, payload) if isinstance(backend, Counting) else None
            await send_json(send, 200, orjson.dumps({"input_tokens": told or count(payload)}))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, dialect(scope["state"]["request_id"]))


async def _told(backend: Counting, model: str, payload: JsonObject) -> int | None:
    """What the model server counts, where it does."""
    messages = [plain(message) for message in payload["messages"]]
    parameters = {"tools": payload["tools"]} if "tools" in payload else {}
    return await backend.count_tokens(ModelRequest(model=model, messages=messages, parameters=parameters))


def messages_routes(
    *, models: Models, acting: Acting, usage: UsageLog, aliases: Mapping[str, str], keep_alive: float
) -> Sequence[BaseRoute]:
    """The routes of the Messages API."""
    accounts = Accounts(models=models, usage=usage, keep_alive=keep_alive)
    answers = Messages(accounts=accounts, acting=acting, aliases=aliases)
    counts = TokenCounts(models=models, aliases=aliases)
    return [
        Route("/v1/messages", answers, methods=["POST"], name="create_message"),
        Route("/v1/messages/count_tokens", counts, methods=["POST"], name="count_message_tokens"),
    ]
