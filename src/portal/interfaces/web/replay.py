"""Past turns judged again by the present rules: each behind the turns before it, as it was when it was asked."""

import asyncio
from collections.abc import Collection, Iterable, Sequence

from portal.core.ask import Ask
from portal.core.chat import to_messages, to_parameters
from portal.core.decision import decision
from portal.core.items import Item, JsonObject, text_of
from portal.core.model import ChatMessage
from portal.core.ports import Models, Responses
from portal.core.records import TurnRecord
from portal.core.story import summarised
from portal.errors import NotFound, PortalError

_EXCERPT = 200
_KNOWN = ("input_text", "output_text", "input_image")


class Replay:
    """Judges as a live request would be judged; no turn is answered again."""

    def __init__(self, *, models: Models, responses: Responses) -> None:
        self._models = models
        self._responses = responses

    async def rows(self, owner: str, limit: int) -> Sequence[JsonObject]:
        """The newest turns of this owner, newest first: {id, text, requested_model, feedback (-1, 0 or 1), then, now,
        changed}; `now` is None and `error` says why where nothing would answer."""
        turns = await self._responses.recent(owner, limit)
        wanted = {turn.response.id for turn in turns}
        rows: dict[str, JsonObject] = {}
        for turn in turns:
            if turn.response.id not in rows:
                rows.update(await self._path(owner, turn.response.id, wanted - rows.keys()))
        return [rows[turn.response.id] for turn in turns if turn.response.id in rows]

    async def _path(self, owner: str, newest: str, wanted: Collection[str]) -> dict[str, JsonObject]:
        """Those that are wanted of the path that leads to this turn."""
        try:
            path = await self._responses.window(owner, newest)
        except NotFound:  # deleted meanwhile
            return {}
        made: dict[str, JsonObject] = {}
        for at, turn in enumerate(path):
            if turn.response.id in wanted:
                made[turn.response.id] = await self._judged(owner, path[:at], turn)
                await asyncio.sleep(0)  # a long path is no reason to keep others waiting
        return made

    async def _judged(self, owner: str, before: Sequence[TurnRecord], turn: TurnRecord) -> JsonObject:
        record = turn.response
        row: JsonObject = {
            "id": record.id,
            "text": _text(_asked(turn))[:_EXCERPT],
            "requested_model": record.model,
            "feedback": record.feedback,
            "then": record.decision,
        }
        try:
            ask = Ask.overridden(
                model=record.model,
                owner=owner,
                messages=_messages(before, turn),
                parameters=to_parameters(record.request),
                last=before[-1].response.decision if before else None,
            )
            route = await self._models.decide(ask, counted=False, patient=True)
        except PortalError as error:
            return {**row, "now": None, "error": error.message}
        changed = route.model.id != (record.decision or {}).get("resolved_model")
        return {**row, "now": decision(route, 0.0), "changed": changed}


def _asked(turn: TurnRecord) -> list[Item]:
    return [stored.item for stored in turn.items if stored.side == "input"]


def _messages(before: Sequence[TurnRecord], turn: TurnRecord) -> list[ChatMessage]:
    """What was said before and then; what Portal summarised was not told in full."""
    _, since = summarised(before)
    earlier = (stored.item for record in before[since:] for stored in record.items)
    return to_messages(_plain([*earlier, *_asked(turn)]), turn.response.request.get("instructions"))


def _text(items: Iterable[Item]) -> str:
    return "\n".join(text_of(item) for item in items if item["type"] == "message" and item["role"] == "user")


def _plain(items: Iterable[Item]) -> list[Item]:
    """The messages alone, and of their parts what has its content with it: text, and that there was a picture."""
    return [
        {**item, "content": [_shown(part) for part in item["content"] if part["type"] in _KNOWN]}
        for item in items
        if item["type"] == "message"
    ]


def _shown(part: JsonObject) -> JsonObject:
    return part if part["type"] != "input_image" else {"type": "input_image", "image_url": "data:,"}
