"""Compaction: a long input as its user messages and one sealed summary, made by the model itself."""

from collections.abc import Sequence

from portal.core.ask import Ask
from portal.core.attachments import Attachments
from portal.core.chat import to_messages
from portal.core.clock import micros, seconds
from portal.core.completion import Completions
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.model import ModelRequest
from portal.core.ports import Models, Sealer
from portal.core.responses import usage_object
from portal.core.terms import counted
from portal.errors import BadRequest

_PROMPT = (
    "Summarise the conversation above so that it can go on without it. Keep every fact, name, number, decision, "
    "open question and promise; leave out pleasantries. Write only the summary."
)


class Compactor:
    """Makes compaction items and reads them back."""

    def __init__(self, *, models: Models, attachments: Attachments, sealer: Sealer, completions: Completions) -> None:
        self._models = models
        self._attachments = attachments
        self._sealer = sealer
        self._completions = completions

    def opened(self, items: Sequence[Item]) -> list[Item]:
        """The same items with every compaction readable. Raises BadRequest for one that Portal did not make."""
        return [
            {**item, "summary": self._sealer.unseal(item["encrypted_content"])}
            if item["type"] == "compaction"
            else item
            for item in items
        ]

    async def compact(
        self, owner: str, model: str, items: Sequence[Item], instructions: str | None = None
    ) -> JsonObject:
        """The compaction object (Open Responses, CompactResource): the user's messages, then the sealed summary.

        Raises:
            BadRequest: there is nothing to compact.
            ModelNotFound, BackendError: nobody can summarise.
            Forbidden, RateLimited: the terms of whoever asks do not allow it.
        """
        if not items:
            raise BadRequest("There is nothing to compact.", param="input")
        resolved = self.opened(await self._attachments.resolve(owner, items))
        messages = [*to_messages(resolved, instructions), {"role": "user", "content": _PROMPT}]
        route = await self._models.decide(Ask(model=model, owner=owner, messages=messages))
        request = ModelRequest(model=route.model.id, messages=messages)
        summary, usage = await self._completions.complete(
            route, request, owner=owner, door="compact", credential=counted()
        )
        return {
            "id": new_id("resp"),
            "object": "response.compaction",
            "created_at": seconds(micros()),
            "output": [*_user_messages(items), self._sealed(summary)],
            "usage": usage_object(usage),
        }

    def _sealed(self, summary: str) -> Item:
        return {"type": "compaction", "id": new_id("cmp"), "encrypted_content": self._sealer.seal(summary)}


def _user_messages(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item["type"] == "message" and item["role"] == "user"]
