"""A server of kind `openapi` as a Toolset."""

import asyncio
from collections.abc import Sequence

import aiohttp
import orjson

from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolFile, ToolResult, ToolSpec
from portal.errors import BadRequest, ToolError
from portal.mcp.openapi import ApiRequest, Operation, base_of, operations, request
from portal.mcp.opening import Surroundings
from portal.mcp.results import file_name
from portal.mcp.specs import specs
from portal.settings.mcp import ToolServerSettings

_TEXT = ("text/", "application/json", "application/xml", "application/yaml", "application/problem+json")


class ApiServer:
    """One API. Its document is read when it is first wanted, and kept."""

    kind = "openapi"

    def __init__(self, *, name: str, settings: ToolServerSettings, source: str, around: Surroundings) -> None:
        self.name = name
        self.settings = settings
        self.source = source
        self.error = ""
        self.about: JsonObject = {}
        self._around = around
        self._operations: dict[str, Operation] = {}
        self._tools: dict[str, tuple[str, ToolSpec]] = {}
        self._base = ""
        self._client: aiohttp.ClientSession | None = None

    @property
    def status(self) -> str:
        """`up`, `down` after a failure, or `asleep`."""
        return "down" if self.error else "up" if self._tools else "asleep"

    async def restore(self) -> bool:
        """Take the document that it last had; whether there was one."""
        kept = await self._around.key_values.get(self._key)
        if kept is None or kept.get("of") != self.settings.url:
            return False
        try:
            self._take(kept["document"])
        except ToolError:
            return False
        return True

    async def forget(self) -> None:
        """Remember nothing of it."""
        await self._around.key_values.set(self._key, None)

    async def refresh(self) -> None:
        """Read its document now. Raises ToolError."""
        before = (self._tools, self.error)
        try:
            async with asyncio.timeout(self.settings.start_timeout):
                answer = await self._send(
                    ApiRequest(method="GET", url=self.settings.url, query=(), headers={}, body=None)
                )
            if answer.status >= 400:
                raise ToolError(f"The document of {self.name!r} cannot be read: its server answers {answer.status}.")
            document = _document(answer.body)
            self._take(document)
        except (ToolError, TimeoutError) as error:
            self.error = error.message if isinstance(error, ToolError) else f"{self.name!r} did not answer in time."
            self._around.on_change()
            raise ToolError(self.error) from error
        self.error = ""
        if (self._tools, self.error) != before:
            await self._around.key_values.set(self._key, {"of": self.settings.url, "document": document})
            self._around.on_change()

    @property
    def _key(self) -> str:
        return f"mcp_tools:{self.name}"

    def _take(self, document: JsonObject) -> None:
        base = base_of(document, self.settings.url, self.settings.base)
        self._operations = operations(document)
        self._tools = specs(self.name, self.settings, [one.tool for one in self._operations.values()])
        self._base = base
        info = document.get("info")
        about = info if isinstance(info, dict) else {}
        self.about = {"title": str(about.get("title") or ""), "version": str(about.get("version") or "")}

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [spec for _, spec in self._tools.values()]

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset. One request, never repeated, redirects not followed."""
        if name not in self._tools:
            raise ToolError(f"The tool {name!r} is not there any more.")
        tool, _ = self._tools[name]
        try:
            async with asyncio.timeout(self.settings.timeout):
                answer = await self._send(request(self._operations[tool], self._base, arguments))
        except TimeoutError as error:
            raise ToolError(f"{self.name!r} did not answer within {self.settings.timeout:g} seconds.") from error
        return _result(answer, tool, untrusted=not self.settings.trusted)

    async def _send(self, wanted: ApiRequest) -> "_Answer":
        if self._client is None:
            self._client = aiohttp.ClientSession()
        own = {name: value.get_secret_value() for name, value in self.settings.headers.items()}
        kind = {"content-type": "application/json"} if wanted.body is not None else {}
        largest = self._around.settings.mcp.max_message
        try:
            async with self._client.request(
                wanted.method,
                wanted.url,
                params=wanted.query,
                headers={**wanted.headers, **kind, **own},
                data=wanted.body,
                allow_redirects=False,
            ) as reply:
                pieces, size = [], 0
                async for piece in reply.content.iter_chunked(2**16):
                    size += len(piece)
                    if size > largest:
                        raise ToolError(f"The answer of {self.name!r} is larger than {largest // 2**20} MB.")
                    pieces.append(piece)
                return _Answer(reply.status, reply.content_type, b"".join(pieces))
        except (aiohttp.ClientError, ValueError) as error:
            raise ToolError(
                f"The tool server {self.name!r} cannot be reached: {error or type(error).__name__}."
            ) from error

    async def sign_in(self, redirect: str) -> str:
        """Raises BadRequest: keys are its way."""
        raise BadRequest(f"Nobody signs in at {self.name!r}: it is an OpenAPI server; set its headers instead.")

    def come_back(self, *, code: str, state: str, iss: str | None) -> bool:
        """Never."""
        return False

    async def aclose(self) -> None:
        """See Toolset."""
        if self._client is not None:
            await self._client.close()


class _Answer:
    def __init__(self, status: int, kind: str, body: bytes) -> None:
        self.status = status
        self.kind = kind
        self.body = body


def _document(body: bytes) -> JsonObject:
    import yaml

    try:
        document = orjson.loads(body) if body.lstrip()[:1] == b"{" else yaml.safe_load(body)
    except (orjson.JSONDecodeError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(f"The OpenAPI document cannot be read: {str(error)[:200]}.") from error
    if not isinstance(document, dict):
        raise ToolError("What is there is no OpenAPI document.")
    plain: JsonObject = orjson.loads(orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS))
    return plain


def _result(answer: _Answer, tool: str, *, untrusted: bool) -> ToolResult:
    failed = answer.status >= 300
    text = f"The server answers {answer.status}.\n" if failed else ""
    if not answer.body:
        return ToolResult(text=text or "Done; the answer is empty.", failed=failed, untrusted=untrusted)
    if answer.kind.startswith(_TEXT) or answer.kind.endswith("+json"):
        said = text + answer.body.decode("utf-8", "replace")
        return ToolResult(text=said, failed=failed, untrusted=untrusted)
    name = file_name(tool, answer.kind)
    file = ToolFile(name=name, content_type=answer.kind, data=answer.body)
    return ToolResult(text=f"{text}[file: {name}]", failed=failed, files=[file], untrusted=untrusted)
