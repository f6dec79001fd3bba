"""A small language model that is asked what a request is about where the local classifier is unsure."""

import asyncio
import logging
import re

from portal.core.ask import Ask
from portal.core.completion import Completions
from portal.core.decision import Route
from portal.core.model import ModelRequest
from portal.errors import PortalError
from portal.routing.judgement import TASKS, Judgement
from portal.routing.registry import Registry

log = logging.getLogger(__name__)

_EXCERPT = 1500
_ANSWER = re.compile(r"\b(" + "|".join(TASKS) + r")\b\W+(\d{1,3})?", re.IGNORECASE)
_PROMPT = (
    "Say what kind of request the user's last message is, and how hard it is.\n"
    "Kinds: general, coding, math, reasoning, creative, documents (summarise, extract, write or edit a document), "
    "research (needs looking up or fresh facts), vision (about a given picture), image_generation, audio, "
    "video_generation.\n"
    "Answer with the kind and a number from 0 (trivial) to 100 (very hard), nothing else. Example: coding 40"
)


class Consultant:
    """Asks within a deadline; whatever goes wrong, the local judgement stands."""

    def __init__(self, *, registry: Registry, completions: Completions, model: str, deadline: float) -> None:
        """`model` is a plain model id; `deadline` in seconds."""
        self._registry = registry
        self._completions = completions
        self._model = model
        self._deadline = deadline

    async def judge(self, ask: Ask) -> Judgement | None:
        """What the model says; None where it does not answer in time or says something else."""
        try:
            candidates = self._registry.candidates(self._model)
            route = Route(requested=self._model, candidates=candidates, reason="it judges requests")
            async with asyncio.timeout(self._deadline):
                request = _request(route.model.id, ask)
                answer, _ = await self._completions.complete(route, request, owner=ask.owner, door="route")
        except (PortalError, TimeoutError) as error:
            log.info("the model that judges requests did not answer: %s", str(error) or "too late")
            return None
        found = _ANSWER.search(answer)
        if found is None:
            return None
        difficulty = min(int(found[2] or 50), 100) / 100
        return Judgement(task=found[1].lower(), confidence=1.0, difficulty=difficulty, by=f"as {self._model} says")


def _request(model: str, ask: Ask) -> ModelRequest:
    before = "\n".join(text[:_EXCERPT] for text in ask.history[-1:])
    text = f"Earlier message:\n{before}\n\nLast message:\n{ask.text[:_EXCERPT]}" if before else ask.text[:_EXCERPT]
    messages = [{"role": "system", "content": _PROMPT}, {"role": "user", "content": text}]
    parameters = {"temperature": 0, "max_tokens": 20, "reasoning_effort": "none"}
    return ModelRequest(model=model, messages=messages, parameters=parameters)
