"""What a server asks back during a call, translated: sampling, elicitation and roots."""

from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import mcp_types as types

from portal.core.items import JsonObject
from portal.core.tool_dialogue import Elicitation, Elicitor, Sampler, SamplingRequest
from portal.core.tools import ToolContext
from portal.errors import PortalError

_MOST_MESSAGES = 100
current: ContextVar[ToolContext | None] = ContextVar("portal_mcp_call", default=None)
"""The call on whose behalf this task talks to a server, where the protocol lets us know."""


class Dialogue:
    """Answers one server."""

    def __init__(
        self, *, server: str, folders: Sequence[Path], sampler: Sampler | None, elicitor: Elicitor | None
    ) -> None:
        self._server = server
        self._folders = folders
        self._sampler = sampler
        self._elicitor = elicitor
        self.running: dict[str, ToolContext] = {}
        """Calls under way, by their id."""

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
        hints = params.model_preferences.hints if params.model_preferences else None
        request = SamplingRequest(
            server=self._server,
            messages=[_message(one) for one in params.messages[-_MOST_MESSAGES:]],
            system=params.system_prompt or "",
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            stop=params.stop_sequences or (),
            hints=[hint.name for hint in hints or () if hint.name],
        )
        try:
            answer = await self._sampler.sample(request, known)
        except PortalError as error:
            return _refused(error.message)
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
        answer = await self._elicitor.elicit(question, known)
        content: Any = dict(answer.content) if answer.action == "accept" and form is not None else None
        return types.ElicitResult(action=answer.action, content=content)


def _refused(message: str) -> types.ErrorData:
    return types.ErrorData(code=-1, message=message)


def _message(said: types.SamplingMessage) -> JsonObject:
    blocks = said.content if isinstance(said.content, list) else [said.content]
    return {"role": said.role, "content": [part for block in blocks if (part := _part(block))]}


def _part(block: Any) -> JsonObject | None:
    if block.type == "text":
        return {"type": "text", "text": block.text}
    if block.type == "image":
        return {"type": "image_url", "image_url": {"url": f"data:{block.mime_type};base64,{block.data}"}}
    return {"type": "text", "text": f"[{block.type}]"}
