"""Compaction: a long input as its user messages and one sealed summary, made by the model itself."""

from collections.abc import Callable, Sequence
from functools import reduce

from portal.core.ask import Ask
from portal.core.attachments import Attachments
from portal.core.chat import to_messages
from portal.core.clock import micros, seconds
from portal.core.completion import Completions
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.model import ChatMessage, ModelInfo, ModelRequest, TokenUsage
from portal.core.ports import Models, Sealer
from portal.core.responses import usage_object
from portal.core.summary import PROMPT, summarised
from portal.core.terms import calling
from portal.core.tokens import estimate_messages
from portal.core.window import room
from portal.errors import BadRequest


class Compactor:
    """Makes compaction items and reads them back."""

    def __init__(
        self,
        *,
        models: Models,
        attachments: Attachments,
        sealer: Sealer,
        completions: Completions,
        window: Callable[[ModelInfo], int],
    ) -> None:
        """`window` tells how many tokens a model really takes."""
        self._window = window
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
        self,
        owner: str,
        model: str,
        items: Sequence[Item],
        instructions: str | None = None,
        *,
        earlier: Sequence[Item] = (),
    ) -> JsonObject:
        """The compaction object (Open Responses, CompactResource): the user's messages, then the sealed summary. Of
        `earlier` items, which are stored, files may be gone by now.

        Raises:
            BadRequest: there is nothing to compact.
            ModelNotFound, BackendError: nobody can summarise.
            Forbidden, RateLimited: the terms of whoever asks do not allow it.
        """
        if not (items or earlier):
            raise BadRequest("There is nothing to compact.", param="input")
        recalled = await self._attachments.recalled(owner, earlier)
        told = self.opened([*recalled, *await self._attachments.resolve(owner, items)])
        summary, usage = await self._summary(owner, model, to_messages(told, instructions))
        return {
            "id": new_id("resp"),
            "object": "response.compaction",
            "created_at": seconds(micros()),
            "output": [*_user_messages([*earlier, *items]), self._sealed(summary)],
            "usage": usage_object(usage),
        }

    async def _summary(self, owner: str, model: str, messages: Sequence[ChatMessage]) -> tuple[str, TokenUsage]:
        """Of all at once where that fits, and what it cost."""
        route = await self._models.decide(Ask(model=model, owner=owner, messages=messages))
        spent: list[TokenUsage] = []

        async def tell(told: list[ChatMessage]) -> str:
            request = ModelRequest(model=route.model.id, messages=told)
            if spent:  # the first was counted as it was decided on
                calling(owner, route.model.id, by_name=False)
            text, usage = await self._completions.complete(route, request, owner=owner, door="compact")
            spent.append(usage)
            return text

        free = room(self._window(route.model), {})
        if estimate_messages(messages) <= free:
            summary = await tell([*messages, {"role": "user", "content": PROMPT}])
        else:
            summary = await summarised(messages, free * 3 // 4, tell)
        return summary, reduce(TokenUsage.plus, spent)

    def _sealed(self, summary: str) -> Item:
        return {"type": "compaction", "id": new_id("cmp"), "encrypted_content": self._sealer.seal(summary)}


def _user_messages(items: Sequence[Item]) -> list[Item]:
    return [item for item in items if item["type"] == "message" and item["role"] == "user"]
