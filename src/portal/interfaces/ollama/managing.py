"""Calls that change which models there are, and whatever else is asked below `/api/`: an Ollama server's own work.

They need an administrator; admission has seen to that.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

import orjson
from starlette.routing import BaseRoute, Route
from starlette.types import Message, Receive, Scope, Send

from portal.core.items import JsonObject
from portal.core.model import RawRequest
from portal.core.ports import Forwarding
from portal.errors import BackendError, BadRequest, ModelNotFound, NotFound, PortalError
from portal.interfaces.ollama.chat import renamed
from portal.interfaces.ollama.errors import DIALECT
from portal.interfaces.ollama.passing import Upload, pass_on
from portal.interfaces.ollama.requests import read_model
from portal.interfaces.ollama.servers import OllamaServers, Place
from portal.interfaces.openai.validation import parse_json
from portal.interfaces.wire import ClientGone, read_body, send_error, while_there

Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


def _succeeded(last: JsonObject) -> bool:
    return last.get("status") == "success"


def _anyhow(_: JsonObject) -> bool:
    return True


class Endpoint:
    """An ASGI endpoint whose failures are told in Ollama's form."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a client that leaves ends it at the server, too."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._answer(scope, receive, noting)
        except ClientGone:
            return
        except PortalError as error:
            if started:
                raise
            await send_error(send, error, DIALECT)


class _Door:
    """The endpoints."""

    def __init__(self, *, servers: OllamaServers) -> None:
        self._servers = servers

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """pull, push and delete: of one model."""
        body = await read_body(receive)
        payload = read_model(body)
        field = "model" if payload.get("model") else "name"
        place = self._servers.meant(payload[field])
        await self._change(scope, receive, send, place, _named(payload, body, field, place))

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """At the server of the model that it is made from; where it is made from files, that to which they go."""
        body = await read_body(receive)
        payload = read_model(body)
        if payload.get("from") and isinstance(payload["from"], str):
            place = self._servers.meant(payload["from"])
            body = _named(payload, body, "from", place)
        else:
            name, server = self._servers.first()
            place = Place(name, server, "")
        await self._change(scope, receive, send, place, body)

    async def copy(self, scope: Scope, receive: Receive, send: Send) -> None:
        """At the server of the source."""
        body = await read_body(receive)
        payload = parse_json(body)
        for field in ("source", "destination"):
            if not isinstance(payload.get(field), str) or not payload[field]:
                raise BadRequest(f"{field} is required", param=field)
        place = self._servers.meant(payload["source"])
        await self._change(scope, receive, send, place, _named(payload, body, "source", place))

    async def _change(self, scope: Scope, receive: Receive, send: Send, place: Place, body: bytes) -> None:
        request = RawRequest(method=scope["method"], path=scope["path"], body=body)
        await while_there(receive, self._changed(place, request, send))

    async def _changed(self, place: Place, request: RawRequest, send: Send) -> None:
        """The list of models is known anew before the client sees the end; soon, where it does not come to that."""
        whole = False

        async def at_end() -> None:
            nonlocal whole
            await self._servers.backends.look(place.name)
            whole = True

        reply = await place.server.forward(request)
        try:
            if reply.status == 404 and place.model and (near := self._servers.nearest(place.model)):
                raise ModelNotFound(place.model, near)
            await pass_on(reply, send, name=place.name, ended=_succeeded, at_end=at_end)
        finally:
            await reply.aclose()
            if not whole:
                self._servers.backends.hurry(place.name)

    async def blob(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A model's file for `create`, streamed to the first server; or whether it is there."""
        name, server = self._servers.first()
        upload = Upload(receive)
        body = upload if scope["method"] == "POST" else b""
        path = f"/api/blobs/{quote(scope['path_params']['digest'], safe=':')}"
        kind = "application/octet-stream"
        try:
            await self._pass(
                server, name, RawRequest(method=scope["method"], path=path, body=body, content_type=kind), send
            )
        except BackendError as error:
            raise upload.failure or error from error

    async def other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What Portal does not know itself."""
        path: str = scope["path"]
        if any(part in ("", ".", "..") for part in path.split("/")[1:]):
            raise BadRequest(f"{path!r} is no path of Ollama's API.")
        servers = self._servers.all()
        if not servers:
            raise NotFound(f"There is no {scope['method']} {path} here, and no Ollama server that could know it.")
        name, server = next(iter(servers.items()))
        query = scope["query_string"].decode("latin-1")
        kind = dict(scope["headers"]).get(b"content-type", b"application/json").decode("latin-1")
        request = RawRequest(
            method=scope["method"],
            path=quote(path, safe="/:@") + (f"?{query}" if query else ""),
            body=await read_body(receive),
            content_type=kind,
        )
        await while_there(receive, self._pass(server, name, request, send))

    async def _pass(self, server: Forwarding, name: str, request: RawRequest, send: Send) -> None:
        async def at_end() -> None:
            return None

        reply = await server.forward(request)
        try:
            await pass_on(reply, send, name=name, ended=_anyhow, at_end=at_end)
        finally:
            await reply.aclose()


def _named(payload: JsonObject, body: bytes, field: str, place: Place) -> bytes:
    """The body with the name that the model has at its server; its very bytes where that is the client's."""
    sent = {**payload, "model": payload[field]}
    if renamed(sent, body, place.model) is body:
        return body
    return orjson.dumps({**payload, field: place.model})


def managing_routes(*, servers: OllamaServers) -> Sequence[BaseRoute]:
    """The routes; the last one takes every path below `/api/`."""
    door = _Door(servers=servers)
    model = Endpoint(door.model)
    return [
        Route("/api/pull", model, methods=["POST"], name="ollama_pull"),
        Route("/api/push", model, methods=["POST"], name="ollama_push"),
        Route("/api/delete", model, methods=["DELETE"], name="ollama_delete"),
        Route("/api/copy", Endpoint(door.copy), methods=["POST"], name="ollama_copy"),
        Route("/api/create", Endpoint(door.create), methods=["POST"], name="ollama_create"),
        Route("/api/blobs/{digest}", Endpoint(door.blob), methods=["HEAD", "POST"], name="ollama_blob"),
        Route("/api/{rest:path}", Endpoint(door.other), name="ollama_other"),
    ]
