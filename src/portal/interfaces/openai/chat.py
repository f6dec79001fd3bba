"""`/v1/chat/completions`, on plain ASGI: bytes are relayed where the model server speaks the same API, and converted
chunk by chunk where it does not. A call that asks to be stored is a turn of the agent."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from portal.core.ask import Ask
from portal.core.decision import Route as Chosen
from portal.core.items import JsonObject
from portal.core.model import ModelRequest
from portal.core.ports import Conversations, Models, Responses, UsageLog
from portal.core.tokens import estimate_messages
from portal.errors import PortalError
from portal.interfaces.account import Accounts
from portal.interfaces.acting import Acting
from portal.interfaces.calls import Calls, Kind
from portal.interfaces.openai.chat_chunks import ChatStream, asks_for_usage, whole_chat
from portal.interfaces.openai.chat_turn import ChatTurns, wants_storing
from portal.interfaces.openai.errors import DIALECT
from portal.interfaces.openai.messages import check_messages, check_nested
from portal.interfaces.openai.relay import relay
from portal.interfaces.openai.schema import CreateChat
from portal.interfaces.openai.validation import check, parse_json
from portal.interfaces.wire import ClientGone, read_body, send_error, while_there

_OURS = frozenset({"model", "messages", "stream", "stream_options"})


def read_chat(body: bytes) -> JsonObject:
    """The request, unchanged, once it has the shape of one.

    Raises:
        BadRequest: naming the field at fault.
    """
    payload = parse_json(body)
    check(CreateChat, payload)
    check_messages(payload["messages"])
    return payload


def _request(payload: JsonObject, route: Chosen) -> ModelRequest:
    check_nested(payload)
    parameters = {name: value for name, value in payload.items() if name not in _OURS}
    return ModelRequest(model=route.model.id, messages=payload["messages"], parameters=parameters)


KIND = Kind(
    door="chat",
    dialect=DIALECT,
    ask=lambda payload: Ask(model=payload["model"], messages=payload["messages"], parameters=payload),
    request=_request,
    stream=lambda model, payload: ChatStream(model, asks_for_usage(payload)),
    whole=whole_chat,
    count=lambda payload: estimate_messages(payload["messages"]),
    api="openai",
    path="/chat/completions",
    relay=relay,
)


class ChatCompletions:
    """The ASGI endpoint."""

    def __init__(self, *, accounts: Accounts, acting: Acting, turns: ChatTurns) -> None:
        self._calls = Calls(accounts=accounts, kind=KIND, acting=acting)
        self._acting = acting
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves stops the model."""
        owner = scope["state"]["caller"].owner
        try:
            body = await read_body(receive)
            payload = read_chat(body)
            answer = self._turn if wants_storing(payload) else self._calls.answer
            await while_there(receive, answer(owner, payload, body, send))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, DIALECT)

    async def _turn(self, owner: str, payload: JsonObject, _: bytes, send: Send) -> None:
        """A stored call; the agent keeps its usage."""
        await self._acting.answer(
            await self._turns.read(payload, owner=owner),
            send,
            DIALECT,
            named=lambda model: model,
            stream=(lambda model: KIND.stream(model, payload)) if payload.get("stream") else None,
            whole=whole_chat,
        )


def chat_routes(
    *,
    models: Models,
    acting: Acting,
    usage: UsageLog,
    conversations: Conversations,
    responses: Responses,
    keep_alive: float,
) -> Sequence[BaseRoute]:
    """The route of Chat Completions."""
    turns = ChatTurns(conversations=conversations, responses=responses)
    accounts = Accounts(models=models, usage=usage, keep_alive=keep_alive)
    endpoint = ChatCompletions(accounts=accounts, acting=acting, turns=turns)
    return [Route("/v1/chat/completions", endpoint, methods=["POST"], name="create_chat_completion")]
