"""What the router would do, without doing it: the dry run, and past turns judged again by the present rules."""

from collections.abc import Sequence
from time import perf_counter
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from portal.core.ask import Ask
from portal.core.decision import Route, decision
from portal.core.items import JsonObject
from portal.core.model import ChatMessage
from portal.core.ports import Models, Responses
from portal.core.toolbox import Toolbox
from portal.errors import Forbidden
from portal.interfaces.late import LateRouter
from portal.interfaces.openai.messages import check_messages
from portal.interfaces.web import views
from portal.interfaces.web.replay import Replay
from portal.interfaces.web.requests import Limit, Who


class DryRun(BaseModel):
    """A request as Chat Completions has it; what does not matter for the choice is ignored."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1, max_length=500)] = "auto"
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=10_000)]
    tools: list[JsonObject] = []


def routing_routes(*, models: Models, responses: Responses, toolbox: Toolbox) -> APIRouter:
    """Routes about routing."""
    router = LateRouter(tags=["routing"], strict_content_type=False)  # so that a plain `curl -d` will do

    @router.post("/portal/v1/route")  # the same where the token of Ollama's API is not at hand
    @router.post("/api/dry-run")
    async def dry_run(who: Who, body: DryRun) -> JsonObject:
        check_messages(body.messages)
        parameters = {"tools": body.tools} if body.tools else {}
        began = perf_counter()
        ask = Ask.overridden(model=body.model, owner=who.owner, messages=body.messages, parameters=parameters)
        route = await models.decide(ask, counted=False)
        await toolbox.ready()
        return explained(route, ask, await _tools(toolbox, route, ask, body.tools), began)

    @router.get("/portal/v1/route/replay")
    async def replay(who: Who, limit: Limit = 50) -> JsonObject:
        if who.read_only:
            raise Forbidden("This key only reads, and a model may be asked here.", code="scope")
        return views.listing(await Replay(models=models, responses=responses).rows(who.owner, limit))

    return router


async def _tools(toolbox: Toolbox, route: Route, ask: Ask, sent: Sequence[JsonObject]) -> list[str]:
    """Names of the tools that the model would be shown: the client's, then those of a workspace that fit."""
    functions = (tool.get("function") or tool for tool in sent)
    named = (function.get("name") for function in functions if isinstance(function, dict))
    names = [name for name in named if isinstance(name, str)]
    offer = await toolbox.offer(route.workspace, ask.wanted, taken=names) if route.workspace else None
    return [*names, *(offer.names() if offer else ())]


def explained(route: Route, ask: Ask, tools: Sequence[str], began: float) -> JsonObject:
    """A decision in full: {requested_model, resolved_model, backend, reason, task, difficulty, needs, tools,
    candidates [{model, backend, score, why}], ms}."""
    told = decision(route, perf_counter() - began)
    return {
        **told,
        "task": route.task,
        "difficulty": told.get("difficulty"),
        "needs": sorted(ask.needs),
        "tools": list(tools),
        "candidates": [
            {"model": one.model.id, "backend": one.model.backend, "score": round(one.score, 3), "why": one.why}
            for one in route.candidates
        ],
    }
