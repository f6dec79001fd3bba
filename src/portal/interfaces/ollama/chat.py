"""`/api/chat` and `/api/generate`, on plain ASGI: bytes are relayed to an Ollama server, and converted line by line for
any other."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from portal.core.attempts import attempted
from portal.core.gate import Permit
from portal.core.items import JsonObject
from portal.core.model import RawRequest, TokenUsage
from portal.core.ports import Models, UsageLog
from portal.errors import ModelNotFound, PortalError
from portal.interfaces.account import Account, Accounts
from portal.interfaces.acting import Acting
from portal.interfaces.calls import Calls, Kind
from portal.interfaces.ollama.chunks import Answer, idle, silence
from portal.interfaces.ollama.errors import DIALECT
from portal.interfaces.ollama.relay import MOST_WHOLE, parsed, read, refusal, relay
from portal.interfaces.ollama.requests import (
    ask_chat,
    ask_text,
    chat_request,
    count_chat,
    count_text,
    read_chat,
    read_text,
    text_request,
)
from portal.interfaces.ollama.servers import OllamaServers, Place, is_same
from portal.interfaces.wire import ClientGone, read_body, send_error, send_json, while_there

Read = Callable[[bytes], tuple[JsonObject, bytes]]

_NOTHING = re.compile(r"0+(\.0*)?([a-zµ]+)?")
"""No time to keep a model for, as a number or as Go writes times."""


def renamed(payload: JsonObject, body: bytes, model: str) -> bytes:
    """The body for the model server: untouched, unless it knows the model by another name than the client."""
    return body if is_same(payload["model"], model) else orjson.dumps({**payload, "model": model})


CHAT = Kind(
    door="ollama",
    dialect=DIALECT,
    ask=ask_chat,
    request=chat_request,
    stream=lambda name, payload: Answer(name, chat=True),
    whole=lambda events, name: Answer(name, chat=True).whole(events),
    count=count_chat,
    streams=lambda payload: payload.get("stream") is not False,
    api="ollama",
    path="/api/chat",
    relay=relay,
    rename=renamed,
    shown=lambda payload, model: str(payload["model"]),
    ping=silence,
)
TEXT = replace(
    CHAT,
    ask=ask_text,
    request=text_request,
    stream=lambda name, payload: Answer(name, chat=False),
    whole=lambda events, name: Answer(name, chat=False).whole(events),
    count=count_text,
    path="/api/generate",
)


class Generation:
    """The ASGI endpoint of one kind of call."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        kind: Kind,
        read: Read,
        words: str,
        servers: OllamaServers,
        acting: Acting | None = None,
    ) -> None:
        """`words`: the field without which there is nothing to answer."""
        self._accounts = accounts
        self._calls = Calls(accounts=accounts, kind=kind, acting=acting)
        self._plain = Calls(accounts=accounts, kind=kind)
        self._kind = kind
        self._read = read
        self._words = words
        self._servers = servers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves stops the model."""
        caller = scope["state"]["caller"]
        owner, calls = (
            caller.owner,
            self._plain if caller.kind == "open" else self._calls,
        )  # tools want to know who asks
        try:
            payload, body = self._read(await read_body(receive))
            answer = calls.answer if payload.get(self._words) else self._idle
            await while_there(receive, answer(owner, payload, body, send))
        except ClientGone:
            return
        except PortalError as error:
            await send_error(send, error, DIALECT)

    async def _idle(self, owner: str, payload: JsonObject, body: bytes, send: Send) -> None:
        """A request without words loads the model, or with `keep_alive` 0 lets it go: where an Ollama server has it.
        To load one is work for its server as any answer is, and waits its turn; to let one go is none."""
        account = await self._accounts.open(owner=owner, door=self._kind.door, ask=self._kind.ask(payload))
        place = self._servers.at(account.route)
        unload = _NOTHING.fullmatch(str(payload.get("keep_alive"))) is not None
        if place is None:
            made = idle(payload["model"], chat=self._words == "messages", unload=unload)
            await send_json(send, 200, orjson.dumps(made), account.headers)
        elif unload:
            await self._pass(place, payload, body, account, send)
        else:
            await self._load(place, payload, body, account, send)

    async def _load(self, place: Place, payload: JsonObject, body: bytes, account: Account, send: Send) -> None:
        async def once(permit: Permit) -> None:
            account.permit = permit
            await self._pass(place, payload, body, account, send)
            account.status, account.usage = "completed", TokenUsage(0, 0)

        with account.settled():
            await attempted(account.route.alone(), once, rerouted=account.reroute)

    async def _pass(self, place: Place, payload: JsonObject, body: bytes, account: Account, send: Send) -> None:
        name, content = payload["model"], renamed(payload, body, place.model)
        reply = await place.server.forward(RawRequest(method="POST", path=self._kind.path, body=content))
        try:
            if reply.status == 404:
                raise ModelNotFound(name, self._servers.nearest(name))
            if reply.status >= 400:
                raise await refusal(reply, place.name)
            answer = parsed(await read(reply, MOST_WHOLE, place.name), place.name)
            await send_json(send, 200, orjson.dumps({**answer, "model": name}), account.headers)
        finally:
            await reply.aclose()


def chat_routes(*, models: Models, acting: Acting, usage: UsageLog, servers: OllamaServers) -> Sequence[BaseRoute]:
    """The routes of both."""
    accounts = Accounts(models=models, usage=usage)
    chat = Generation(
        accounts=accounts,
        kind=CHAT,
        read=lambda body: (read_chat(body), body),
        words="messages",
        servers=servers,
        acting=acting,
    )
    text = Generation(accounts=accounts, kind=TEXT, read=read_text, words="prompt", servers=servers)
    return [
        Route("/api/chat", chat, methods=["POST"], name="ollama_chat"),
        Route("/api/generate", text, methods=["POST"], name="ollama_generate"),
    ]
