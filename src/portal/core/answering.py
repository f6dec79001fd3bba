"""Answers what tool servers ask back: with a model's words (sampling), or the person's (elicitation)."""

import json
from urllib.parse import urlsplit

from portal.core.approvals import ApprovalRecord
from portal.core.arguments import read_arguments
from portal.core.asides import Aside, Asides
from portal.core.ask import Ask
from portal.core.ask import text_of as said
from portal.core.completion import Completions
from portal.core.items import JsonObject
from portal.core.model import ModelRequest
from portal.core.policy import Rules, Wish
from portal.core.ports import Models
from portal.core.tool_dialogue import Elicitation, ElicitationAnswer, SamplingAnswer, SamplingRequest
from portal.core.tool_ports import Grants
from portal.core.tools import ToolContext, ToolSpec
from portal.errors import BadRequest, Forbidden, ToolError

SAMPLING, ELICITATION = "sampling", "elicitation"
_LONGEST = 100_000
_FIELDS = 50
_KINDS = frozenset({"string", "number", "integer", "boolean", "array"})


class ModelSampler:
    """Implements Sampler: the router's choice, bounded, and only with a yes of a person, a policy or the settings."""

    def __init__(
        self,
        *,
        asides: Asides,
        rules: Rules,
        grants: Grants,
        models: Models,
        completions: Completions,
        model: str,
        max_tokens: int,
    ) -> None:
        """`model` is a workspace or a plain model."""
        self._asides = asides
        self._rules = rules
        self._grants = grants
        self._models = models
        self._completions = completions
        self._model = model
        self._max_tokens = max_tokens

    async def sample(self, request: SamplingRequest, context: ToolContext) -> SamplingAnswer:
        """See Sampler."""
        with context.span.around():
            return await self._sampled(request, context)

    async def _sampled(self, request: SamplingRequest, context: ToolContext) -> SamplingAnswer:
        await self._permitted(request, context)
        tokens = max(1, min(request.max_tokens, self._max_tokens))
        messages = [*([{"role": "system", "content": request.system}] if request.system else []), *request.messages]
        wanted = {"temperature": request.temperature, "stop": list(request.stop) or None, "max_tokens": tokens}
        parameters: JsonObject = {name: value for name, value in wanted.items() if value is not None}
        ask = Ask(model=self._model, owner=context.owner, messages=messages, parameters=parameters)
        route = await self._models.decide(ask)
        call = ModelRequest(model=route.model.id, messages=messages, parameters=parameters)
        with context.held():
            text, spent = await self._completions.complete(route, call, owner=context.owner, door=SAMPLING)
        return SamplingAnswer(
            text=text,
            model=route.model.id,
            truncated=spent.output_tokens >= tokens,
            tokens=spent.input_tokens + spent.output_tokens,
        )

    async def _permitted(self, request: SamplingRequest, context: ToolContext) -> None:
        """Raises Forbidden."""
        told = [{"role": one["role"], "text": said(one)} for one in request.messages]
        arguments: JsonObject = {"messages": told, **({"system": request.system} if request.system else {})}
        if len(json.dumps(arguments)) > _LONGEST:
            raise Forbidden(f"A request for a model's answer has at most {_LONGEST // 1000} kB of text.")
        spec = ToolSpec(name=SAMPLING, toolset=request.server, description="", risk="spend")
        wish = Wish(
            spec=spec,
            arguments=arguments,
            owner=context.owner,
            workspace=context.workspace,
            conversation_id=context.conversation_id,
            folder=str(context.folder),
        )
        verdict = self._rules.verdict(wish, await self._grants.list(context.owner), tainted_at=context.tainted_at)
        if verdict.action == "deny":
            raise Forbidden(f"Not allowed: {verdict.why}")
        if verdict.action == "allow" or request.allowed:
            return
        extents = [extent for extent in verdict.extents if extent in ("once", "conversation")]
        why = f"The tool server {request.server!r} wants a model to answer this, and reads the answer."
        aside = Aside(
            kind=SAMPLING, server=request.server, arguments=arguments, why=why, question=False, extents=extents
        )
        ended = await self._asides.ask(aside, context)
        if ended.status != "used":
            raise Forbidden("The person said no." if ended.status == "denied" else "Nobody answered in time.")


class PersonElicitor:
    """Implements Elicitor."""

    def __init__(self, *, asides: Asides) -> None:
        self._asides = asides

    async def elicit(self, question: Elicitation, context: ToolContext) -> ElicitationAnswer:
        """See Elicitor. An address is only shown, to the person alone."""
        arguments: JsonObject = {"message": question.message}
        if question.url:
            arguments["url"] = question.url
        else:
            arguments["form"] = question.form or {}
        if not (_reachable(question.url) if question.url else _flat(arguments["form"])):
            return ElicitationAnswer(action="cancel")
        why = f"The tool server {question.server!r} asks you."
        aside = Aside(kind=ELICITATION, server=question.server, arguments=arguments, why=why, question=True)
        ended = await self._asides.ask(aside, context)
        if ended.status == "used":
            return ElicitationAnswer(action="accept", content={} if question.url else json.loads(ended.answer))
        return ElicitationAnswer(action="decline" if ended.status == "denied" else "cancel")


def _reachable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.username and len(url) < 4000
    except ValueError:
        return False


def _flat(form: JsonObject) -> bool:
    """Whether it is a form as the protocol has them: one level of plain fields."""
    fields = form.get("properties")
    return (
        isinstance(fields, dict)
        and 0 < len(fields) <= _FIELDS
        and all(isinstance(one, dict) and one.get("type", "string") in _KINDS for one in fields.values())
        and len(json.dumps(form)) <= _LONGEST
    )


def filled(record: ApprovalRecord, answer: str) -> str:
    """What a person filled a form in with, as its schema wants it; to anything else the answer as it is.

    Raises:
        BadRequest: what does not fit.
    """
    form = record.arguments.get("form")
    if record.call_id is None or not isinstance(form, dict):
        return answer
    try:
        read = read_arguments(answer, form)
    except ToolError as error:
        raise BadRequest(f"This does not fit the form: {error.message}", param="content") from error
    return json.dumps({name: value for name, value in read.items() if name in form["properties"]}, ensure_ascii=False)
