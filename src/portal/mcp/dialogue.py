"""What a server asks back during a call, translated: sampling, elicitation and roots."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import mcp_types as types

from portal.core.items import JsonObject
from portal.core.tool_dialogue import Elicitation, Elicitor, Sampler, SamplingRequest
from portal.core.tools import ToolContext
from portal.errors import PortalError, ToolError

T = TypeVar("T")
_MOST_MESSAGES = 100
_MOST_SAMPLES = 20
_MOST_TOKENS = 200_000
"""Of a single call: however often a person or a policy said yes, it does not go on without end."""
current: ContextVar[ToolContext | None] = ContextVar("portal_mcp_call", default=None)
"""The call on whose behalf this task talks to a server, where the protocol lets us know."""


class Dialogue:
    """Answers one server."""

    def __init__(
        self,
        *,
        server: str,
        folders: Sequence[Path],
        sampler: Sampler | None,
        elicitor: Elicitor | None,
        allowed: bool = False,
    ) -> None:
        """`allowed` is whether a model may be had without asking."""
        self._server = server
        self._allowed = allowed
        self._folders = folders
        self._sampler = sampler
        self._elicitor = elicitor
        self.running: dict[str, ToolContext] = {}
        """Calls under way, by their id."""
        self._asking: dict[str, set[asyncio.Task[Any]]] = {}
        self._spent: Counter[str] = Counter()
        self._samples: Counter[str] = Counter()

    def callbacks(self) -> JsonObject:
        """As the SDK's Client takes them; without a sampler or elicitor the server is told that there is none."""
        made: JsonObject = {"list_roots_callback": self.roots}
        if self._sampler is not None:
            made["sampling_callback"] = self.sample
        if self._elicitor is not None:
            made["elicitation_callback"] = self.elicit
        return made

    def _context(self) -> ToolContext | None:
        """Whose call it is; with several under way an older server does not say, and nobody is asked for another."""
        if (known := current.get()) is not None:
            return known
        return next(iter(self.running.values())) if len(self.running) == 1 else None

    def end(self, call_id: str) -> int:
        """A call is over, and what is asked for it; what models read and wrote for it."""
        self.running.pop(call_id, None)
        for task in self._asking.pop(call_id, ()):
            task.cancel()
        self._samples.pop(call_id, None)
        return self._spent.pop(call_id, 0)

    async def _while_running(self, known: ToolContext, work: Coroutine[Any, Any, T]) -> T:
        """Do it, but not longer than the call runs. Raises ToolError once that is over."""
        task = asyncio.get_running_loop().create_task(work)
        asking = self._asking.setdefault(known.call_id, set())
        asking.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            here = asyncio.current_task()
            if here is None or here.cancelling():
                raise
            raise ToolError("The call is over.") from None
        finally:
            asking.discard(task)

    async def roots(self, context: Any) -> types.ListRootsResult:
        """The folders that tools may work in, and those of the conversations that it works for now."""
        known = self._context()
        own = [known.folder] if known else [one.folder for one in self.running.values()]
        folders = dict.fromkeys([*own, *self._folders])
        return types.ListRootsResult(
            roots=[types.Root(uri=folder.absolute().as_uri(), name=folder.name) for folder in folders]
        )

    async def sample(
        self, context: Any, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.ErrorData:
        """An answer of a model."""
        known = self._context()
        if self._sampler is None or known is None:
            return _refused("There is no single call under way that this request could belong to.")
        asked = params.messages[-_MOST_MESSAGES:]
        if any(block.type == "image" for one in asked for block in _blocks(one)):
            return _refused("Images are not passed on to a model: whoever says yes would not see them.")
        if self._samples[known.call_id] >= _MOST_SAMPLES or self._spent[known.call_id] >= _MOST_TOKENS:
            return _refused("This call has had all the answers of a model that one call may have.")
        self._samples[known.call_id] += 1
        request = SamplingRequest(
            server=self._server,
            messages=[_message(one) for one in asked],
            system=params.system_prompt or "",
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            stop=params.stop_sequences or (),
            allowed=self._allowed,
        )
        try:
            answer = await self._while_running(known, self._sampler.sample(request, known))
        except PortalError as error:
            return _refused(error.message)
        self._spent[known.call_id] += answer.tokens
        return types.CreateMessageResult(
            role="assistant",
            content=types.TextContent(text=answer.text),
            model=answer.model,
            stop_reason="maxTokens" if answer.truncated else "endTurn",
        )

    async def elicit(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult | types.ErrorData:
        """What the person says."""
        known = self._context()
        if self._elicitor is None or known is None:
            return types.ElicitResult(action="cancel")
        form = getattr(params, "requested_schema", None)
        question = Elicitation(
            server=self._server, message=params.message[:4000], form=form, url=getattr(params, "url", "")
        )
        try:
            answer = await self._while_running(known, self._elicitor.elicit(question, known))
        except PortalError:
            return types.ElicitResult(action="cancel")
        content: Any = dict(answer.content) if answer.action == "accept" and form is not None else None
        return types.ElicitResult(action=answer.action, content=content)


def _refused(message: str) -> types.ErrorData:
    return types.ErrorData(code=-1, message=message)


def _message(said: types.SamplingMessage) -> JsonObject:
    return {"role": said.role, "content": [{"type": "text", "text": _told(one)} for one in _blocks(said)]}


def _blocks(said: types.SamplingMessage) -> Sequence[Any]:
    return said.content if isinstance(said.content, list) else [said.content]


def _told(block: Any) -> str:
    return str(block.text) if block.type == "text" else f"[{block.type}]"
