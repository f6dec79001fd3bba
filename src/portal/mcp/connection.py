"""One session with a server, owned by one task from its beginning to its end. Others call through it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client.auth import OAuthFlowError
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from portal import __version__
from portal.core import tracing
from portal.core.deadline import Deadline
from portal.core.items import JsonObject
from portal.core.tools import ToolContext, ToolResult
from portal.errors import ToolError
from portal.mcp.carrying import carrying
from portal.mcp.dialogue import Dialogue, current
from portal.mcp.oauth import SignInNeeded, Tokens, provider
from portal.mcp.opening import Lost, Opening
from portal.mcp.program import Program
from portal.mcp.remote import transport
from portal.mcp.results import to_result
from portal.mcp.specs import MOST_TOOLS, UNTRUSTED
from portal.mcp.voice import Voice

T = TypeVar("T")
_PAGES = 50
_PAUSE = 1.0
"""Seconds between two looks at the tools of a server that says again and again that they changed."""
_REPORT = 0.2
_CLOSING = 12.0
_STOPPED = "it was stopped"


class Connection:
    """Run it in a task of its own; `ready` says when it can be used, or raises why not."""

    def __init__(self, opening: Opening) -> None:
        around = opening.around
        self._opening = opening
        self._voice = Voice(opening.name)
        self._dialogue = Dialogue(
            server=opening.name,
            folders=around.settings.tools.folders,
            sampler=None if opening.settings.sampling == "off" else around.sampler,
            elicitor=around.elicitor,
            allowed=opening.settings.sampling == "allow",
        )
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._needs_person = asyncio.Event()
        self._background: list[asyncio.Task[None]] = []

    @property
    def usable(self) -> bool:
        """Whether a call may be tried on it: it is being made, or it is there."""
        return not self._over.is_set()

    def end(self) -> None:
        """Let its task end it."""
        self._over.set()
        self._changed.set()

    def stop(self) -> None:
        """It is to end now: whoever waits for it is told. Its task is cancelled by whoever made it."""
        self.end()
        self._failed(_STOPPED)

    @property
    def open(self) -> bool:
        """Whether it is there."""
        return self.usable and self._ready.done()

    async def ready(self) -> Client:
        """The session, once it is there. Raises ToolError."""
        if self._ready.done():
            return self._ready.result()
        try:
            async with asyncio.timeout(self._opening.start_seconds + _CLOSING):
                return await asyncio.shield(self._ready)
        except TimeoutError as error:
            raise _slow(self._opening.name, self._opening.start_seconds) from error

    async def run(self) -> None:
        """Open, serve until the end, close. Whatever goes wrong is told to those who wait for it, and to the log."""
        tracing.current.set(None)  # it outlives the call for which it was opened
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
                try:
                    await self._serve(stack, tasks)
                finally:
                    self._over.set()
                    await self._close(stack)
        except Exception as error:  # a server, or the SDK because of one, may fail in any way; it stays its own failure
            self._failed(explained(error))
        finally:
            self._over.set()
            self._failed(_STOPPED)

    async def _close(self, stack: AsyncExitStack) -> None:
        try:
            async with asyncio.timeout(_CLOSING):
                await stack.aclose()
        finally:
            for task in self._background:
                task.cancel()

    def _failed(self, why: str) -> None:
        if not self._ready.done():
            said = self._voice.last_words()
            hint = f" Its last words: {said}" if said else ""
            self._ready.set_exception(ToolError(f"The tool server {self._opening.name!r} is not there: {why}.{hint}"))
            self._ready.exception()  # whoever waits sees it; if nobody does, that is no fault
        elif not self._ready.cancelled() and self._ready.exception() is None and why != _STOPPED:
            self._voice.say(f"the connection ended: {why}", "warning")

    async def _serve(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> None:
        async with asyncio.timeout(self._opening.start_seconds):
            client = await stack.enter_async_context(await self._client(stack, tasks))
            await self._tell(client)
        self._ready.set_result(client)
        if client.protocol_version not in _LEGACY:
            self._background.append(tasks.create_task(self._listen(client)))
        while not self._over.is_set():
            await self._changed.wait()
            self._changed.clear()
            if not self._over.is_set():
                async with asyncio.timeout(self._opening.settings.timeout):
                    await self._tell(client)
                await asyncio.sleep(_PAUSE)

    async def _client(self, stack: AsyncExitStack, tasks: asyncio.TaskGroup) -> Client:
        opening, largest = self._opening, self._opening.around.settings.mcp.max_message
        if not opening.settings.url:
            program = await Program.start(opening.settings, around=opening.around.settings, voice=self._voice)
            stack.push_async_callback(program.stop)
            for work in (program.write(), program.listen(), self._until_end(program.read())):
                self._background.append(tasks.create_task(work))
            way: Any = _Streams(program)
        else:
            quiet = opening.around.settings.tools.answer_seconds + opening.settings.timeout
            way = transport(opening.settings, auth=await self._auth(), largest=largest, quiet=quiet)
        return Client(
            way,
            client_info=types.Implementation(name="Portal", version=__version__),
            logging_callback=self._log,
            log_level="warning",
            message_handler=self._notice,
            **self._dialogue.callbacks(),
        )

    async def _auth(self) -> httpx2.Auth | None:
        opening = self._opening
        if opening.settings.auth != "oauth":
            return None
        tokens = Tokens(server=opening.name, secrets=opening.around.secrets)
        return await provider(opening.settings, tokens, opening.sign_in, self._needs_person.set)

    async def _until_end(self, reading: Coroutine[Any, Any, None]) -> None:
        await reading
        self.end()

    async def _listen(self, client: Client) -> None:
        """Hear of changes, as the newer revision has it."""
        try:
            async with client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._changed.set()
        except (ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError, OSError, httpx2.HTTPError):
            return  # the tools are looked at again on demand

    async def _notice(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    async def _log(self, params: types.LoggingMessageNotificationParams) -> None:
        self._voice.say(str(params.data), params.level)

    async def _tell(self, client: Client) -> None:
        tools: list[JsonObject] = []
        cursor: str | None = None
        if client.server_capabilities.tools is not None:
            for _ in range(_PAGES):
                page = await client.list_tools(cursor=cursor, cache_mode="refresh")
                tools += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
                cursor = page.next_cursor
                if cursor is None or len(tools) >= MOST_TOOLS:
                    break
        about = client.server_info
        told = {
            "title": (about.title or about.name) if about else "",
            "version": about.version if about else "",
            "protocol": client.protocol_version,
            "resources": client.server_capabilities.resources is not None,
            "prompts": client.server_capabilities.prompts is not None,
        }
        await self._opening.on_tools(tools[:MOST_TOOLS], told)

    async def refresh(self) -> None:
        """Look at the tools now. Raises ToolError."""
        await self.ask(self._tell)

    async def ask(self, question: Callable[[Client], Awaitable[T]], deadline: Deadline | None = None) -> T:
        """Ask the session something, within the time of a call.

        Raises:
            Lost: nobody knows whether it was done.
            ToolError: the server refused, or did not answer in time.
        """
        client = await self.ready()
        with self._telling():
            async with deadline or Deadline(self._opening.settings.timeout):
                return await question(client)

    async def call(self, tool: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """Run a tool. Raises as `ask`."""
        await self.ready()
        dialogue, deadline = self._dialogue, Deadline(self._opening.settings.timeout)
        known = replace(context, held=_both(context, deadline))
        dialogue.running[context.call_id] = known
        token = current.set(known)
        report = _Reporter(context)
        try:
            with carrying():
                answer = await self.ask(
                    lambda client: client.call_tool(tool, arguments, progress_callback=report), deadline
                )
        finally:
            current.reset(token)
            tokens = dialogue.end(context.call_id)
        strange = (answer.meta or {}).get(UNTRUSTED) is True
        untrusted = strange or not self._opening.settings.trusted
        return replace(to_result(answer, tool, untrusted=untrusted), tokens=tokens)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Failures of the SDK in our words; a connection that is gone is not used again."""
        name = self._opening.name
        try:
            yield
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                self.end()
                if self._needs_person.is_set():
                    raise ToolError(f"The tool server {name!r} wants a person to sign in there again.") from error
                raise Lost(f"The tool server {name!r} ended the connection before it answered.") from error
            if error.message == "Session terminated":
                self.end()
            raise ToolError(f"The tool server {name!r} refused: {error.message[:2000]}") from error
        except TimeoutError as error:
            raise _slow(name, self._opening.settings.timeout) from error
        except (httpx2.HTTPError, OSError) as error:
            self.end()
            raise Lost(f"The tool server {name!r} cannot be reached: {explained(error)}.") from error
        except (ValidationError, RuntimeError) as error:
            raise ToolError(f"The tool server {name!r} answered what it must not: {_wrong(error)}") from error


def _wrong(error: ValidationError | RuntimeError) -> str:
    if isinstance(error, RuntimeError):
        return str(error)[:500]
    first = error.errors(include_url=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:500]


def _both(context: ToolContext, deadline: Deadline) -> Callable[[], AbstractContextManager[None]]:
    """Neither clock runs: that of the call, nor that of the connection."""

    @contextmanager
    def held() -> Iterator[None]:
        with context.held(), deadline.held():
            yield

    return held


_LEGACY = frozenset({"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"})


def _slow(name: str, seconds: float) -> ToolError:
    return ToolError(f"The tool server {name!r} did not answer within {seconds:g} seconds.")


class _Streams:
    """A program's streams as the SDK's transport; its tasks and its end are the connection's."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def __aenter__(self) -> Any:
        return self._program.reading, self._program.writing

    async def __aexit__(self, *error: object) -> None:
        self._program.reading.close()
        self._program.writing.close()


class _Reporter:
    """Says how far a call is, not more often than a person can read."""

    def __init__(self, context: ToolContext) -> None:
        self._context = context
        self._next = 0.0

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return
        self._next = now + _REPORT
        far = f"{progress:g} of {total:g}" if total else f"{progress:g}"
        self._context.report(f"{message[:200]} ({far})" if message else far)


def explained(error: BaseException) -> str:
    """In words what went wrong, of the first in a group."""
    if isinstance(error, BaseExceptionGroup):
        return explained(error.exceptions[0])
    if isinstance(error, OAuthFlowError | SignInNeeded):
        return str(error).rstrip(".")
    if isinstance(error, TimeoutError):
        return "it did not get ready in time"
    return (str(error) or type(error).__name__).rstrip(".")[:500]
