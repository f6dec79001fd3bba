"""The tools of a running Portal, for a client that starts a program: each call goes on to its endpoint /mcp."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from portal.core.items import JsonObject
from portal.core.tools import ToolSpec
from portal.errors import PortalError
from portal.interfaces.mcp.serving import Answer, Asker, Outcome, Question
from portal.mcp.specs import RISK, UNTRUSTED
from portal.security.tls import trusting

if TYPE_CHECKING:
    from mcp.client.session import ClientRequestContext

_REVISION = "2026-07-28"
"""Whose questions come as answers, so that they can be passed on to a client of whichever revision."""
_QUIET = 1800.0
"""Seconds without a word from Portal after which a call is given up."""
_CONNECT = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A running Portal, and a token that it takes."""

    url: str
    token: str
    certificate: str = ""
    """The file of the certificate that it shows, where it speaks HTTPS."""


Running = Callable[[], Address | None]
"""The Portal that runs now with this data folder."""
NOT_RUNNING = "No Portal is running with this data folder: start it with `portal up`."


class Relay:
    """Implements Offer."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def tools(self, asker: Asker) -> Sequence[ToolSpec]:
        """See Offer."""
        async with self._client(asks=False) as client:
            return [_spec(tool) for tool in (await client.list_tools()).tools]

    async def call(self, spec: ToolSpec, arguments: JsonObject, asker: Asker) -> Outcome:
        """See Offer."""

        async def told(progress: float, total: float | None, message: str | None) -> None:
            asker.report(message or "")

        said, state = _given(asker.answer)
        async with self._client(asks=asker.asks) as client:
            result = await client.session.call_tool(
                spec.name,
                arguments,
                progress_callback=told,
                input_responses=said,
                request_state=state,
                allow_input_required=True,
            )
        return result if isinstance(result, types.CallToolResult) else _question(result)

    async def download(self, path: str) -> bytes:
        """A file that Portal keeps. Raises PortalError."""
        return (await self._asked("GET", path)).content

    async def upload(self, name: str, data: bytes, *, keep: int) -> str:
        """Have Portal keep a file for so many seconds; its id. Raises PortalError."""
        fields = {"purpose": "vision", "expires_after[anchor]": "created_at", "expires_after[seconds]": str(keep)}
        return str((await self._asked("POST", "/v1/files", data=fields, files={"file": (name, data)})).json()["id"])

    async def _asked(self, method: str, path: str, **more: Any) -> httpx2.Response:
        address = self._at()
        try:
            async with self._http(address) as http:
                answer = await http.request(method, f"{address.url}{path}", **more)
                return answer.raise_for_status()
        except httpx2.HTTPError as error:
            raise PortalError(_broken(address, error)) from error

    def _at(self) -> Address:
        address = self._running()
        if address is None:
            raise PortalError(NOT_RUNNING)
        return address

    @staticmethod
    def _http(address: Address) -> httpx2.AsyncClient:
        headers, timeout = {"Authorization": f"Bearer {address.token}"}, httpx2.Timeout(_CONNECT, read=_QUIET)
        verify = trusting(address.certificate) if address.certificate else True
        return httpx2.AsyncClient(headers=headers, timeout=timeout, verify=verify)

    @asynccontextmanager
    async def _client(self, *, asks: bool) -> AsyncIterator[Client]:
        """Raises PortalError where no Portal runs, or what it answers is no MCP."""
        address = self._at()
        fault: Exception | None = None
        try:
            async with self._http(address) as http:
                transport = streamable_http_client(f"{address.url}/mcp", http_client=http)
                async with Client(transport, mode=_REVISION, elicitation_callback=_never if asks else None) as client:
                    yield client
        except* (MCPError, httpx2.HTTPError, OSError) as errors:
            fault = errors.exceptions[0]
        if fault is not None:
            raise PortalError(_broken(address, _deepest(fault))) from fault


async def _never(context: "ClientRequestContext", params: Any) -> types.ErrorData:
    """Says by being there that questions are understood; they come as answers, never this way."""
    return types.ErrorData(code=types.INVALID_REQUEST, message="Questions come as answers here.")


def _broken(address: Address, error: BaseException) -> str:
    return f"Portal at {address.url} did not answer as it should: {error}"


def _deepest(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _given(answer: Answer | None) -> tuple[dict[str, Any] | None, str | None]:
    if answer is None:
        return None, None
    if not answer.action:
        return None, answer.state
    said = types.ElicitResult.model_validate({"action": answer.action, "content": answer.content or None})
    return {answer.key: said}, answer.state


def _question(asked: types.InputRequiredResult) -> Question:
    key, request = next(iter((asked.input_requests or {}).items()))
    assert isinstance(request, types.ElicitRequest)
    assert isinstance(request.params, types.ElicitRequestFormParams)
    return Question(
        text=request.params.message,
        schema=dict(request.params.requested_schema),
        state=asked.request_state or "",
        key=key,
    )


def _spec(tool: types.Tool) -> ToolSpec:
    """As Portal described it."""
    meta, hints = tool.meta or {}, tool.annotations or types.ToolAnnotations()
    return ToolSpec(
        name=tool.name,
        title=tool.title or "",
        description=tool.description or "",
        parameters=tool.input_schema,
        risk=meta.get(RISK, "network"),
        toolset="portal",
        untrusted=meta.get(UNTRUSTED) is True,
        harmless=hints.destructive_hint is False,
        idempotent=hints.idempotent_hint is True,
    )
