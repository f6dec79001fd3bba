"""Workspaces that have tools, behind doors that know nothing of turns: the call becomes a turn of the agent that is not
kept, and the answer comes out in the door's own format. Nobody can be asked for approval there."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

import orjson
from starlette.types import Send

from portal.core.agent import Agent, Turn
from portal.core.ask import Ask
from portal.core.items import JsonObject
from portal.core.model import ModelEvent, ModelRequest
from portal.core.ports import Models
from portal.core.run import Run
from portal.core.toolbox import Toolbox
from portal.interfaces.answer import send_frames
from portal.interfaces.dialect import Dialect
from portal.interfaces.openai.chat_turn import model_events, read_messages
from portal.interfaces.openai.turns import route_headers
from portal.interfaces.wire import send_json


class Stream(Protocol):
    """Writes one streamed answer."""

    def frames(self, events: AsyncIterator[ModelEvent]) -> AsyncGenerator[bytes, None]:
        """The answer in the door's frames."""


Whole = Callable[[AsyncIterator[ModelEvent], str], Awaitable[JsonObject]]


class Acting:
    """Answers by the agent."""

    def __init__(self, *, agent: Agent, models: Models, toolbox: Toolbox, keep_alive: float) -> None:
        self._agent = agent
        self._models = models
        self._toolbox = toolbox
        self._keep_alive = keep_alive

    async def acts(self, owner: str, ask: Ask) -> bool:
        """Whether this is for a workspace with tools. A client that brings its own is an agent itself and gets a model
        that does as it is told."""
        known = self._models.workspace(ask.model.removesuffix(":latest"), owner)
        if known is None or ask.parameters.get("tools") or (ask.parameters.get("n") or 1) != 1:
            return False
        await self._toolbox.ready()
        return self._toolbox.serves(known)

    @staticmethod
    def turn(owner: str, door: str, ask: Ask, request: ModelRequest) -> Turn:
        """The turn of a call that is not kept. Raises BadRequest for messages that no turn can hold."""
        return Turn(
            owner=owner,
            model=ask.model,
            input=read_messages([dict(message) for message in request.messages]),
            door=door,
            store=False,
            asks=False,
            parameters=request.parameters,
        )

    async def answer(
        self,
        turn: Turn,
        send: Send,
        dialect: Dialect,
        *,
        named: Callable[[str], str],
        stream: Callable[[str], Stream] | None,
        whole: Whole,
        ping: Callable[[str], bytes] | None = None,
    ) -> None:
        """Run the turn and send its answer; a client that leaves ends it. `named` is what the answer calls a model,
        `ping` a frame of such a model that says nothing, where the dialect has none.

        Raises:
            PortalError: it failed before there was anything to send.
        """
        run = await self._agent.start(turn)
        try:
            async with aclosing(model_events(run)) as events:
                first = await anext(events)  # which model answers is settled by now
                model = named(_model(run))
                if stream is not None:
                    frames = stream(model).frames(_behind(first, events))
                    words = replace(dialect, ping=ping(model)) if ping else dialect
                    await send_frames(send, frames, _headers(run), words, keep_alive=self._keep_alive)
                else:
                    made = await whole(_behind(first, events), model)
                    await send_json(send, 200, orjson.dumps(made), _headers(run))
        finally:
            run.cancel()


def _model(run: Run) -> str:
    return str((run.record.decision or {}).get("resolved_model", run.record.model))


def _headers(run: Run) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in route_headers(run).items()]


async def _behind(first: ModelEvent, events: AsyncIterator[ModelEvent]) -> AsyncIterator[ModelEvent]:
    yield first
    async for event in events:
        yield event
