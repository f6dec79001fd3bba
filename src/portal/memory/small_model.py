"""What a small model is asked about memories, never while somebody waits for an answer: what may be worth keeping, and
what cannot be true any more. Whatever goes wrong, nothing is proposed and nothing is superseded."""

import asyncio
import logging
import re
from collections.abc import Sequence

from portal.core.completion import Completions
from portal.core.decision import Candidate, Route
from portal.core.model import ModelRequest
from portal.core.ports import Models
from portal.errors import PortalError
from portal.memory.asked import tidy
from portal.memory.subjects import content_words

log = logging.getLogger(__name__)

_SECONDS = 60.0
_MOST = 3
_SHORTEST, _LONGEST = 8, 300
_SAID = 0.6
"""Of the words of a proposal, those that the user must have said: what a model makes up is nothing to remember."""
_LINE = re.compile(r"^\s*(?:[-*•]|\d+[.)])?\s*")
_NUMBER = re.compile(r"\d+")
_PROPOSE = (
    "The user wrote the message below to an assistant. Which lasting facts or preferences of the user does it tell "
    "that would help in later conversations? Write each as one short sentence of the user's, in the message's language "
    'and with its words, such as "I am allergic to nuts", a line each, at most three. Leave out what only matters now, '
    "questions, tasks, and anything secret. If there is nothing, answer NONE."
)
_JUDGE = (
    "A person now says something new. Which of their earlier statements cannot be true any more because of it? Answer "
    "with their numbers alone, separated by commas, or NONE. Statements that can both be true stay."
)


class SmallModel:
    """Asks one, within a deadline."""

    def __init__(self, *, models: Models, completions: Completions, model: str) -> None:
        """`model` is a plain model id, or empty: then nobody is asked about contradictions, and proposals come from
        the model that answered."""
        self._models = models
        self._completions = completions
        self._model = model

    async def contradicted(self, owner: str, text: str, others: Sequence[str]) -> Sequence[int]:
        """See Judge."""
        if not self._model or not others:
            return []
        listed = "\n".join(f"{number}. {other}" for number, other in enumerate(others, start=1))
        answer = await self._asked(owner, _JUDGE, f"Earlier:\n{listed}\n\nNew: {text}", None, 20)
        if "NONE" in answer.upper():
            return []
        numbers = {int(found) - 1 for found in _NUMBER.findall(answer.partition("\n")[0])}
        return sorted(number for number in numbers if 0 <= number < len(others))

    async def proposed(self, owner: str, message: str, answered_by: Route) -> Sequence[str]:
        """What a message of the user's tells that may be worth remembering."""
        answer = await self._asked(owner, _PROPOSE, message, answered_by, 200)
        said = content_words(message)
        lines = [tidy(_LINE.sub("", line)) for line in answer.splitlines()]
        fitting = [line for line in lines if _SHORTEST <= len(line) <= _LONGEST and _grounded(line, said)]
        return fitting[:_MOST]

    async def _asked(self, owner: str, prompt: str, text: str, otherwise: Route | None, tokens: int) -> str:
        """What the model says; nothing where it fails."""
        try:
            route = self._route(otherwise)
            messages = [{"role": "system", "content": prompt}, {"role": "user", "content": text}]
            parameters = {"temperature": 0, "max_tokens": tokens, "reasoning_effort": "none"}
            request = ModelRequest(model=route.model.id, messages=messages, parameters=parameters)
            async with asyncio.timeout(_SECONDS):
                answer, _ = await self._completions.complete(route, request, owner=owner, door="memory")
        except (PortalError, TimeoutError) as error:
            log.info("the model that looks after memories did not answer: %s", error or "too late")
            return ""
        return answer.rpartition("</think>")[2].strip()

    def _route(self, otherwise: Route | None) -> Route:
        """Raises ModelNotFound."""
        if otherwise is not None and not self._model:
            return otherwise
        backend, model = self._models.find(self._model)
        return Route(requested=self._model, candidates=[Candidate(backend, model)], reason="it looks after memories")


def _grounded(line: str, said: frozenset[str]) -> bool:
    words = content_words(line)
    return bool(words) and len(words & said) >= _SAID * len(words)
