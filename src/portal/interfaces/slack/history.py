"""What Slack remembers: what was missed, whether anything was, and what became of a message."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from portal.core.channels import Place
from portal.core.clock import micros
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.blocks import nonce_of
from portal.interfaces.slack.events import Me, message

log = logging.getLogger(__name__)

_KINDS = "im,mpim,private_channel,public_channel"
_PAGE = 200
_MOST = 5_000
"""Messages of one room that are looked through for what was missed."""
_OVERLAP = 3_600_000_000
"""Microseconds that are looked through again: for clocks that differ, and where looking was cut short."""


class History:
    """`heard` is the newest ts that was told of each room; what was not after `late` seconds is missing."""

    def __init__(self, *, api: SlackApi, me: Me, name: str, late: float) -> None:
        self._late = late
        self._api = api
        self._me = me
        self._name = name
        self.heard: dict[str, float] = {}
        self._rooms: list[str] = []
        self._next = 0

    async def rooms(self) -> Sequence[Mapping[str, Any]]:
        """All that the app is in, direct messages first."""
        found: list[Mapping[str, Any]] = []
        cursor: str | None = None
        while cursor != "":
            page = await self._api.look(
                "users.conversations", types=_KINDS, exclude_archived=True, limit=_PAGE, cursor=cursor
            )
            found += page["channels"]
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        found.sort(key=lambda room: not room.get("is_im"))
        self._rooms = [str(room["id"]) for room in found]
        return found

    async def missed(self, room: Mapping[str, Any], since: int) -> AsyncIterator[Mapping[str, Any]]:
        """Events of what people wrote in a room since a moment, oldest first."""
        oldest, chat = (since - _OVERLAP) / 1e6, str(room["id"])
        newest = await self._newest(chat, oldest)
        found = [one for one in newest if float(one["ts"]) > oldest]
        for root in newest:
            if float(root.get("latest_reply") or 0) > oldest:
                found += await self._replies(chat, str(root["ts"]), oldest)
        kind = "im" if room.get("is_im") else "channel"
        seen = {str(one["ts"]): one for one in found}
        for ts in sorted(seen, key=float):
            yield {**seen[ts], "channel": chat, "channel_type": kind}

    async def _newest(self, chat: str, oldest: float) -> Sequence[Mapping[str, Any]]:
        """A page of what stands in a room at least, and all that is newer than that."""
        found: list[Mapping[str, Any]] = []
        async for page in self._pages("conversations.history", channel=chat):
            found += page
            if len(found) >= _MOST or any(float(one["ts"]) <= oldest for one in page):
                break
        return found

    async def _replies(self, chat: str, root: str, oldest: float) -> Sequence[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        async for page in self._pages("conversations.replies", channel=chat, ts=root, oldest=f"{oldest:.6f}"):
            found += [one for one in page if float(one["ts"]) > oldest and one["ts"] != root]
        return found

    async def _pages(self, method: str, **where: Any) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        """Messages, a page after the other."""
        cursor: str | None = None
        while cursor != "":
            page = await self._api.look(method, limit=_PAGE, cursor=cursor, **where)
            yield page["messages"]
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")

    async def probe(self) -> bool:
        """Look into one room: whether somebody wrote there and it was not told."""
        rooms = self._rooms
        if not rooms:
            return False
        self._next = (self._next + 1) % len(rooms)
        chat = rooms[self._next]
        heard = self.heard.setdefault(chat, micros() / 1e6)
        page = await self._api.look("conversations.history", channel=chat, limit=20)
        newest = [one for one in page["messages"] if float(one["ts"]) > heard]
        for root in page["messages"]:
            if float(root.get("latest_reply") or 0) > heard:
                newest += await self._replies(chat, str(root["ts"]), heard)
        told = micros() / 1e6 - self._late
        late = [one for one in newest if float(one["ts"]) < told]
        return any(message({**one, "channel": chat}, self._me, self._name) is not None for one in late)

    def told(self, chat: str, ts: str) -> None:
        """A message was told."""
        self.heard[chat] = max(self.heard.get(chat, 0), float(ts))
        if chat not in self._rooms:
            self._rooms.append(chat)

    async def find(self, place: Place, nonce: str, after: int) -> str | None:
        """The message that carries this nonce: as metadata, as a stream's block, or beside a file."""
        where: dict[str, Any] = {"channel": place.chat, "oldest": f"{after / 1e6:.6f}", "include_all_metadata": True}
        if place.thread:
            where["ts"] = place.thread
        method = "conversations.replies" if place.thread else "conversations.history"
        async for page in self._pages(method, **where):
            for one in page:
                if one.get("bot_id") == self._me.bot and carries(one, nonce):
                    return str(one["ts"])
        return None


def carries(one: Mapping[str, Any], nonce: str) -> bool:
    """Whether a message is the one of this nonce."""
    blocks = [block.get("block_id") for block in one.get("blocks") or ()]
    files = [str(file.get("alt_txt") or "") for file in one.get("files") or ()]
    return nonce_of(one) == nonce or nonce in blocks or any(said.endswith(f"({nonce})") for said in files)
