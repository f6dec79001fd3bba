"""Tools out of typed functions: the signature is the schema, the docstring the description.

    @tool(risk="read", scopes={"path": "path"})
    async def read_file(path: Annotated[str, "File to read"], lines: int = 200) -> str:
        '''Read a text file.'''

    Functions("files", [read_file])

A parameter of type ToolContext is filled in. A plain function runs in a thread, which nothing can stop: where that
matters, write an async one. What a function returns becomes the result: a ToolResult as it is, text as text, anything
else as JSON.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from portal.core.items import JsonObject
from portal.core.tools import Risk, Scope, ToolContext, ToolResult, ToolSpec, failure, sound
from portal.errors import ToolError

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__portal_tool__"
_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    risk: Risk
    scopes: Mapping[str, Scope]
    title: str
    timeout: float | None
    idempotent: bool
    untrusted: bool
    question: bool
    harmless: bool


def tool(
    *,
    risk: Risk,
    scopes: Mapping[str, Scope] | None = None,
    title: str = "",
    timeout: float | None = None,
    idempotent: bool | None = None,
    untrusted: bool = False,
    question: bool = False,
    harmless: bool = False,
) -> Callable[[F], F]:
    """Mark a function as a tool; the fields are ToolSpec's. A tool that only reads is idempotent unless it says no."""
    safe = risk in ("read", "fetch") if idempotent is None else idempotent
    marks = _Marks(
        risk=risk,
        scopes=scopes or {},
        title=title,
        timeout=timeout,
        idempotent=safe,
        untrusted=untrusted,
        question=question,
        harmless=harmless,
    )

    def mark(function: F) -> F:
        setattr(function, _MARK, marks)
        return function

    return mark


class Functions:
    """A toolset of marked functions (or bound methods)."""

    def __init__(self, name: str, functions: Sequence[Callable[..., Any]]) -> None:
        """Raises TypeError for a function without a mark, a docstring or the type of a parameter."""
        self.name = name
        threads = _Threads(_THREADS)
        self._tools = {function.__name__: _Tool(name, function, threads) for function in functions}

    def tools(self) -> Sequence[ToolSpec]:
        """See Toolset."""
        return [one.spec for one in self._tools.values()]

    async def call(self, name: str, arguments: JsonObject, context: ToolContext) -> ToolResult:
        """See Toolset."""
        if name not in self._tools:
            raise ToolError(f"There is no tool {name!r} here.")
        return await self._tools[name].call(arguments, context)

    async def aclose(self) -> None:
        """See Toolset."""


def marked(module: object) -> list[Callable[..., Any]]:
    """The functions of a module that are marked as tools, in their order."""
    return [each for each in vars(module).values() if callable(each) and hasattr(each, _MARK)]


class _Threads:
    """Runs plain functions, each in a thread of its own, at most so many at once. The threads are daemons: one that
    hangs does not keep Portal from ending."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._left: set[asyncio.Future[object]] = set()
        """Those that go on though nobody waits for them."""

    async def run(self, work: Callable[[], object]) -> object:
        """What it returns. Cancelled, this stops waiting; the work goes on.

        Raises:
            ToolError: all threads are taken by such work.
        """
        if len(self._left) >= self._most:
            raise ToolError(f"{self._most} earlier calls of these tools hang, so that none can run: do without.")
        await self._free.acquire()
        running: Future[object] = Future()
        running.set_running_or_notify_cancel()
        ended = asyncio.wrap_future(running)
        ended.add_done_callback(self._ended)
        Thread(target=copy_context().run, args=(_work, work, running), name="portal tool", daemon=True).start()
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not ended.done():
                self._left.add(ended)
            raise

    def _ended(self, ended: "asyncio.Future[object]") -> None:
        self._left.discard(ended)
        self._free.release()


def _work(work: Callable[[], object], told: "Future[object]") -> None:
    try:
        told.set_result(work())
    except BaseException as error:  # the boundary of this thread; what ends a thread or a generator ends no turn
        usual = isinstance(error, Exception) and not isinstance(error, StopIteration)
        told.set_exception(error if usual else ToolError(f"The tool ended with {type(error).__name__}."))


class _Tool:
    def __init__(self, toolset: str, function: Callable[..., Any], threads: _Threads) -> None:
        marks: _Marks | None = getattr(function, _MARK, None)
        if marks is None or not function.__doc__:
            raise TypeError(f"{function.__name__} needs @tool(...) and a docstring to be a tool")
        self._function = function
        self._threads = None if inspect.iscoroutinefunction(function) else threads
        self._context, self._model = _model(function)
        self.spec = ToolSpec(
            name=function.__name__,
            description=inspect.cleandoc(function.__doc__),
            parameters=_schema(self._model),
            risk=marks.risk,
            toolset=toolset,
            title=marks.title,
            scopes=marks.scopes,
            timeout=marks.timeout,
            idempotent=marks.idempotent,
            untrusted=marks.untrusted,
            stoppable=self._threads is None,
            question=marks.question,
            harmless=marks.harmless,
        )

    async def call(self, arguments: JsonObject, context: ToolContext) -> ToolResult:
        try:
            read = self._model.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(_explained(error)) from error
        given = {name: getattr(read, name) for name in type(read).model_fields}
        if self._context:
            given[self._context] = context
        if self._threads is not None:
            return _result(await self._threads.run(partial(self._function, **given)))
        try:
            return _result(await self._function(**given))
        except SystemExit as error:  # it would end Portal
            raise ToolError("The tool ended with SystemExit.") from error


def _model(function: Callable[..., Any]) -> tuple[str, type[BaseModel]]:
    """The name of the parameter that takes the context, if there is one, and a model of the others."""
    hints, context = get_type_hints(function, include_extras=True), ""
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(f"{function.__name__}: the parameter {name!r} needs a type")
        if hints[name] is ToolContext:
            context = name
            continue
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (_described(hints[name]), default)
    return context, create_model(function.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _described(hint: Any) -> Any:
    """`Annotated[str, "words"]` describes the parameter; other notes stay for pydantic."""
    if get_origin(hint) is not Annotated:
        return hint
    kind, *notes = get_args(hint)
    made = tuple(Field(description=note) if isinstance(note, str) else note for note in notes)
    return Annotated[(kind, *made)]


def _schema(model: type[BaseModel]) -> JsonObject:
    """The model's JSON Schema without the titles, which say nothing and cost a small model tokens."""
    schema = model.model_json_schema()
    schema.pop("title", None)
    for one in schema.get("properties", {}).values():
        one.pop("title", None)
    return schema


def _explained(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc']) or 'arguments'}: {detail['msg']}" for detail in error.errors()
    )


def _result(returned: object) -> ToolResult:
    if isinstance(returned, ToolResult):
        return sound(returned)
    if isinstance(returned, str):
        return ToolResult(text=returned)
    try:
        return ToolResult(text=orjson.dumps(returned, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    except orjson.JSONEncodeError as error:
        return failure(f"The tool ran, but what it gave back cannot be written as JSON: {error}.")
