"""What pictures show, by a model of this machine that sees."""

import asyncio
import base64
import logging
from pathlib import Path

from portal.core.completion import Completions
from portal.core.decision import Candidate, Route
from portal.core.model import ModelInfo, ModelRequest
from portal.core.ports import Models
from portal.errors import PortalError

log = logging.getLogger(__name__)

_LARGEST = 10 * 2**20
_KINDS = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
"""What model servers take."""
_SECONDS = 180.0
_TOKENS = 300
_PROMPT = (
    "Describe this picture in two to four plain sentences for somebody who searches for it: what it shows, and names, "
    "numbers or labels that can be read in it. Say nothing else."
)


class PictureDescriber:
    """Implements Describer; asks for one picture at a time, so that whoever chats meanwhile does not wait for many."""

    def __init__(self, *, models: Models, completions: Completions, owner: str, seconds: float = _SECONDS) -> None:
        """`owner` is whom the calls are counted for; each may take so many `seconds`."""
        self._models, self._completions = models, completions
        self._owner, self._seconds = owner, seconds
        self._turn = asyncio.Lock()

    async def describe(self, picture: Path, content_type: str) -> str:
        """See Describer. What fails has nothing to say: the text in the picture is read all the same."""
        model = self._model()
        content = await asyncio.to_thread(_encoded, picture) if model and content_type in _KINDS else ""
        if model is None or not content:
            return ""
        shown = {"type": "image_url", "image_url": {"url": f"data:{content_type};base64,{content}"}}
        messages = [{"role": "user", "content": [{"type": "text", "text": _PROMPT}, shown]}]
        parameters = {"temperature": 0, "max_tokens": _TOKENS, "reasoning_effort": "none"}
        try:
            backend, info = self._models.find(model.id)
            route = Route(requested=info.id, candidates=[Candidate(backend, info)], reason="it describes pictures")
            request = ModelRequest(model=info.id, messages=messages, parameters=parameters)
            async with self._turn, asyncio.timeout(self._seconds):
                answer, _ = await self._completions.complete(route, request, owner=self._owner, door="knowledge")
        except (PortalError, TimeoutError) as error:
            log.warning("a picture is not described by %s: %s", model.id, error or "it took too long")
            return ""
        return answer.rpartition("</think>")[2].strip()

    def _model(self) -> ModelInfo | None:
        """The one that is loaded, else the smallest; what is asked never leaves for a service."""
        able = [one for one in self._models.list() if {"chat", "vision"} <= one.capabilities and not one.paid]
        return min(able, key=lambda one: (not one.loaded, one.parameters or one.size or 2**62), default=None)


def _encoded(picture: Path) -> str:
    """Nothing of one that is too large."""
    return "" if picture.stat().st_size > _LARGEST else base64.b64encode(picture.read_bytes()).decode("ascii")
