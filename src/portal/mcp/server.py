"""An MCP server as a Toolset: asleep until it is needed, warm afterwards, started again when it died.

The SDK behind it takes a second to load and is an extra: it is imported, in a thread, when the first server is used.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolResult, ToolSpec
from portal.errors import BadRequest, ToolError
from portal.extras import add_command
from portal.mcp.opening import Lost, Opening, Surroundings
from portal.mcp.specs import specs
from portal.settings.mcp import ToolServerSettings

if TYPE_CHECKING:
    from portal.mcp.connection import Connection
    from portal.mcp.oauth import SignIn

T = TypeVar("T")
_ATTEMPTS = 3
_FIRST_REST, _LONGEST_REST = 0.5, 60.0
_PATIENCE = 2.0
"""Seconds that a call waits for a resting server; longer, and it is told so at once."""
_SIGN_IN_SECONDS = 600.0


class McpServer:
    """One server. Its session is shared by all who call it."""

    kind = "mcp"

    def __init__(self, *, name: str, settings: ToolServerSettings, source: str, around: Surroundings) -> None:
        self.name = name
        self.settings = settings
        self.source = source
        self.error = ""
        self.about: JsonObject = {}
        self._around = around
        self._tools: dict[str, tuple[str, ToolSpec]] = {}
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._sign_in: SignIn | None = None
        self._failures = 0
        self._rests_until = 0.0
        self._closed = False

    async def restore(self) -> bool:
        """Take the tools that it last had; whether there were any."""
        kept = await self._around.key_values.get(_key(self.name))
        if kept is None or kept.get("of") != _identity(self.settings):
            return False
        self._take(kept["tools"], kept["about"])
        return True

    def _take(self, tools: Sequence[JsonObject], about: JsonObject) -> None:
        self._tools = specs(self.name, self.settings, tools)
        self.about = about

    async def _learn(self, tools: list[JsonObject], about: JsonObject) -> None:
        before = (self._tools, self.about)
        self._take(tools, about)
        if (self._tools, self.about) != before:
            kept = {"of": _identity(self.settings), "tools": tools, "about": about}
            await self._around.key_values.set(_key(self.name), kept)
            self._around.on_change()

    async def forget(self) -> None:
        """Remember nothing of it."""
        await self._around.key_values.set(_key(self.name), None)

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [spec for _, spec in self._tools.values()]

    @property
    def status(self) -> str:
        """`up`, `starting`, `down` after a failure, or `asleep`."""
        if self._connection is not None and self._connection.usable:
            return "up" if self._connection.open else "starting"
        return "down" if self.error else "asleep"

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset. What may have been done is not done again, unless that does no harm."""
        if name not in self._tools:
            raise ToolError(f"The tool {name!r} is not there any more.")
        tool, spec = self._tools[name]
        try:
            return await self._trying(
                _ATTEMPTS if spec.idempotent else 1, lambda connection: connection.call(tool, arguments, context)
            )
        except Lost as error:
            raise error if spec.idempotent else _unknown(error) from error

    async def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """Ask its session something that does no harm. Raises ToolError."""
        return await self._trying(_ATTEMPTS, lambda connection: connection.ask(question))

    async def refresh(self) -> None:
        """Look at its tools now, out of turn. Raises ToolError."""
        self._rests_until = 0.0
        await self._trying(1, lambda connection: connection.refresh())

    async def _trying(self, attempts: int, work: Callable[["Connection"], Awaitable[T]]) -> T:
        """Do it, again on another connection where one was lost meanwhile. Raises Lost, or ToolError."""
        while True:
            attempts -= 1
            connection = await self._connected()
            try:
                result = await work(connection)
            except ToolError as error:
                if connection.usable:
                    raise
                self._failed(connection, error.message)
                if attempts == 0 or not isinstance(error, Lost):
                    raise
            else:
                self._failures = 0
                return result

    async def sign_in(self, redirect: str) -> str:
        """Begin to sign a person in; the address they have to go to, empty where they are.

        Raises:
            BadRequest: nobody signs in at this server.
            ToolError: it cannot be reached, or does not say where.
        """
        if self.settings.auth != "oauth":
            raise BadRequest(
                f"Nobody signs in at the tool server {self.name!r}: its settings do not have auth = oauth."
            )
        oauth = await _module("oauth")
        self.disconnect()
        await oauth.Tokens(server=self.name, secrets=self._around.secrets).begin(redirect)
        self._sign_in = signing = oauth.SignIn()
        self._failures, self._rests_until = 0, 0.0
        connecting = self._around.tasks.create_task(self._connects())
        await asyncio.wait(
            [connecting, signing.address], timeout=self.settings.start_timeout, return_when=asyncio.FIRST_COMPLETED
        )
        if signing.address.done():
            return str(signing.address.result())
        if not connecting.done() or not connecting.result():
            raise ToolError(self.error or f"The tool server {self.name!r} did not answer in time.")
        return ""

    async def _connects(self) -> bool:
        try:
            await self._connected()
        except ToolError:
            return False
        return True

    def come_back(self, *, code: str, state: str, iss: str | None) -> bool:
        """Whether it is this server's signing in that a person came back from."""
        if self._sign_in is None or not state or self._sign_in.state != state:
            return False
        self._sign_in.come_back(code=code, state=state, iss=iss)
        self._sign_in = None
        return True

    async def _connected(self) -> "Connection":
        """The session's connection, made now if need be. Raises ToolError."""
        connection = self._connection
        if connection is None or not connection.usable:
            await self._rested()
            connection = await self._open()
        try:
            await connection.ready()
        except ToolError as error:
            self._failed(connection, error.message)
            raise
        if self.error:
            self.error = ""
            self._around.on_change()
        return connection

    async def _rested(self) -> None:
        left = self._rests_until - asyncio.get_running_loop().time()
        if left > _PATIENCE:
            raise ToolError(f"{self.error} It rests for {left:.0f} more seconds.")
        if left > 0:
            await asyncio.sleep(left)

    async def _open(self) -> "Connection":
        try:
            module = await _module("connection")
        except ToolError as error:
            self.error = error.message
            self._around.on_change()
            raise
        if self._closed:
            raise ToolError(f"The tool server {self.name!r} is not there any more.")
        if self._connection is not None and self._connection.usable:  # another call was quicker
            return self._connection
        signing = self._sign_in
        opening = Opening(
            name=self.name,
            settings=self.settings,
            around=self._around,
            sign_in=signing,
            start_seconds=_SIGN_IN_SECONDS if signing else self.settings.start_timeout,
            on_tools=self._learn,
        )
        made: Connection = module.Connection(opening)
        self._connection = made
        self._task = self._around.tasks.create_task(made.run())
        return made

    def _failed(self, connection: "Connection", message: str) -> None:
        """Once for each connection, however many wait for it."""
        if connection is not self._connection:
            return
        self._connection = None
        self.error = message
        rest = min(_FIRST_REST * 2**self._failures, _LONGEST_REST)
        self._failures += 1
        self._rests_until = asyncio.get_running_loop().time() + rest
        self._around.on_change()

    def disconnect(self) -> None:
        """Let the session end."""
        if self._connection is not None:
            self._connection.stop()
            self._connection = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def aclose(self) -> None:
        """See Toolset. It is never opened again."""
        self._closed = True
        self.disconnect()


def _unknown(error: ToolError) -> ToolError:
    return ToolError(f"{error.message} Whether it was done is not known: look before you try again.")


async def _module(name: str) -> Any:
    """A module that needs the SDK. Raises ToolError where that is not installed."""
    try:
        return await asyncio.to_thread(import_module, f"portal.mcp.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types", "httpx2", "anyio"):
            raise
        raise ToolError(
            f"Tool servers that speak MCP need the package mcp: install it with `{add_command('mcp')}`."
        ) from error


def _key(name: str) -> str:
    return f"mcp_tools:{name}"


def _identity(settings: ToolServerSettings) -> list[object]:
    """Which server it is: another one's tools are not taken for its own."""
    return [settings.shipped or settings.command, [*settings.args], settings.url]
