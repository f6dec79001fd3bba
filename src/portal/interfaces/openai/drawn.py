"""Pictures of the hosted tool `image_generation`: items are stored with the names of their files, and leave with the
pictures themselves; those that clients send back are named again."""

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal

from pydantic import Field

from portal.core.events import Event
from portal.core.hosted import CALL, FILE
from portal.core.ids import new_id
from portal.core.items import Item, JsonObject
from portal.core.ports import Files
from portal.errors import NotFound
from portal.interfaces.openai.validation import Checked, check, sent_of

_MOST = 64 * 2**20
"""Bytes of pictures in one answer: the others stay without."""


class _Drawn(Checked):
    result: str | None = None
    status: Literal["in_progress", "generating", "completed", "failed"] | None = None
    revised_prompt: str | None = None
    output_format: str | None = None
    file_id: str | None = Field(None, alias=FILE)


def read_picture(raw: JsonObject, at: str) -> Item:
    """An item that a client sent."""
    return {"type": CALL, "id": new_id("ig"), "status": "completed", **sent_of(check(_Drawn, raw, at))}


class Drawn:
    """Puts pictures into items and takes them out."""

    def __init__(self, *, files: Files) -> None:
        self._files = files

    async def items(self, owner: str, items: Sequence[Item]) -> list[Item]:
        """The same, with the pictures. One whose file was deleted stays without."""
        whole: list[Item] = []
        room = _MOST
        for item in items:
            if _named(item):
                item = await self._whole(owner, item, room)
                room -= len(item.get("result") or "")
            whole.append(item)
        return whole

    async def response(self, owner: str, response: JsonObject) -> JsonObject:
        """The same response object, with the pictures of its output."""
        if not any(_named(item) for item in response["output"]):
            return response
        return {**response, "output": await self.items(owner, response["output"])}

    async def event(self, owner: str, event: Event) -> Event:
        """The same event, with the pictures."""
        if "response" in event:
            return {**event, "response": await self.response(owner, event["response"])}
        if event["type"] == "response.output_item.done" and _named(event["item"]):
            return {**event, "item": await self._whole(owner, event["item"], _MOST)}
        return event

    async def events(self, owner: str, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """The same events, with the pictures."""
        async with aclosing(events) as watched:
            async for event in watched:
                yield await self.event(owner, event)

    async def named(self, owner: str, items: Sequence[Item]) -> list[Item]:
        """The same, without pictures that are files of this owner's."""
        return [{**item, "result": None} if await self._kept(owner, item) else item for item in items]

    async def _kept(self, owner: str, item: Item) -> bool:
        if item["type"] != CALL or FILE not in item:
            return False
        try:
            await self._files.get(owner, item[FILE])
        except NotFound:
            return False
        return True

    async def _whole(self, owner: str, item: Item, room: int) -> Item:
        """With the picture, if it is one: clients name files as well."""
        try:
            record = await self._files.get(owner, item[FILE])
            if record.size > room or not record.content_type.startswith("image/"):
                return item
            data = b"".join([chunk async for chunk in self._files.content(owner, item[FILE])])
        except NotFound:
            return item
        return {**item, "result": base64.b64encode(data).decode("ascii")}


def _named(item: Item) -> bool:
    return item["type"] == CALL and FILE in item and not item.get("result")
