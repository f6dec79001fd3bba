"""Messages, streams and files to Slack."""

import asyncio
from collections.abc import Mapping
from typing import Any

from portal.core.channels import Outgoing, OutgoingFile, Place
from portal.errors import ChannelError, ChannelRejected, RateLimited
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.blocks import ACTION, body, metadata, plain_body
from portal.interfaces.slack.markdown import mrkdwn, rendered

STOP = "say:/stop"
"""The value of the button under a message that is being streamed."""
_TOO_ODD = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"}
_FILE, _REMEMBERED, _LOOKS = "file:", 2_000, 5
_GROWING = 1.5
"""Seconds between two edits of answers that are still written, of all rooms together: Slack takes fifty edits a minute,
and that which completes an answer is not to wait for them."""


class Saying:
    """`last` is the newest message of Portal's in each thread; `team` its workspace."""

    def __init__(self, *, api: SlackApi) -> None:
        self._api = api
        self.team = ""
        self.last: dict[tuple[str, str], str] = {}
        self._askers: dict[tuple[str, str], str] = {}
        self._nonces: dict[tuple[str, str], str] = {}
        self._no_streams: dict[str, float] = {}
        """Rooms in which nothing is streamed before this moment of the event loop's clock; "" for all."""
        self._grown = 0.0
        """When an answer that is still written was last edited, by that clock."""

    def asked_by(self, place: Place, user: str) -> None:
        """Who is answered there: a stream in a channel is for one person."""
        _remember(self._askers, (place.chat, place.thread), user)

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        """See Channel."""
        if outgoing.file is not None:
            return await self._send_file(place, outgoing.file, outgoing.text, nonce)
        where: dict[str, Any] = {"channel": place.chat, "thread_ts": place.thread or None, "metadata": metadata(nonce)}
        where |= {"unfurl_links": False, "unfurl_media": False}
        sent = await self._taken("chat.postMessage", where, outgoing)
        return self._noted(place, str(sent["ts"]), nonce)

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Channel."""
        if message_id.startswith(_FILE):
            raise ChannelRejected("A file cannot be changed.")
        if any(button.action == "stop" for row in outgoing.buttons for button in row):
            self._grow()
        nonce = self._nonces.get((place.chat, message_id), message_id)
        where = {"channel": place.chat, "ts": message_id, "metadata": metadata(nonce)}
        try:
            await self._taken("chat.update", where, outgoing)
        except ChannelRejected as error:
            if error.param != "streaming_state_conflict":
                raise
            await self._api.call("chat.stopStream", channel=place.chat, ts=message_id)
            await self._taken("chat.update", where, outgoing)

    def _grow(self) -> None:
        """Raises RateLimited where another answer was edited just now."""
        now = asyncio.get_running_loop().time()
        if (wait := self._grown + _GROWING - now) > 0:
            raise RateLimited("Edits are spared for answers that are complete.", retry_after=wait)
        self._grown = now

    def streams(self, place: Place) -> bool:
        """In threads: of the Assistant pane, and of channels where it is known whom it is for."""
        moment, closed = asyncio.get_running_loop().time(), self._no_streams
        if not place.thread or max(closed.get("", 0), closed.get(place.chat, 0)) > moment:
            return False
        return place.direct or (place.chat, place.thread) in self._askers

    async def begin(self, place: Place, text: str, nonce: str) -> str:
        """See Streams. A button to stop it carries the nonce, since metadata come with the end only."""
        button = {"type": "button", "text": {"type": "plain_text", "text": "Stop"}, "value": STOP}
        stop = {"type": "actions", "block_id": nonce, "elements": [{**button, "action_id": f"{ACTION}-0"}]}
        chunks = [{"type": "markdown_text", "text": rendered(text)}, {"type": "blocks", "blocks": [stop]}]
        where: dict[str, Any] = {"channel": place.chat, "thread_ts": place.thread}
        if not place.direct:
            asker = self._askers[place.chat, place.thread]
            where |= {"recipient_team_id": self.team, "recipient_user_id": asker}
        try:
            begun = await self._api.call("chat.startStream", chunks=chunks, **where)
        except RateLimited as error:
            self._no_streams[""] = asyncio.get_running_loop().time() + (error.retry_after or 1)
            raise ChannelRejected("Slack lets nothing more be streamed for now.") from error  # edits do it meanwhile
        except ChannelRejected:
            self._no_streams[place.chat] = asyncio.get_running_loop().time() + 3600
            raise
        return self._noted(place, str(begun["ts"]), nonce)

    async def append(self, place: Place, message_id: str, more: str) -> None:
        """See Streams."""
        await self._api.call("chat.appendStream", channel=place.chat, ts=message_id, markdown_text=rendered(more))

    async def end(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Streams. What was shown is replaced by the whole: it is split and cleaned by then."""
        nonce = self._nonces.get((place.chat, message_id), message_id)
        try:
            await self._api.call("chat.stopStream", channel=place.chat, ts=message_id, metadata=metadata(nonce))
        except ChannelRejected as error:
            if error.param != "message_not_in_streaming_state":
                raise
        await self.edit(place, message_id, outgoing)

    async def _taken(self, method: str, where: Mapping[str, Any], outgoing: Outgoing) -> Mapping[str, Any]:
        """With its markup, or where Slack does not take that, without."""
        try:
            return await self._api.call(method, **where, **body(outgoing))
        except ChannelRejected as error:
            if error.param not in _TOO_ODD:
                raise
            return await self._api.call(method, **where, **plain_body(outgoing))

    async def _send_file(self, place: Place, file: OutgoingFile, caption: str, nonce: str) -> str:
        asked = await self._api.look(
            "files.getUploadURLExternal", filename=file.name, length=file.size, alt_txt=f"{file.name} ({nonce})"
        )
        await self._api.upload(str(asked["upload_url"]), file.content(), file.size)
        await self._api.call(
            "files.completeUploadExternal",
            files=[{"id": asked["file_id"], "title": file.name}],
            channel_id=place.chat,
            thread_ts=place.thread or None,
            initial_comment=mrkdwn(caption) or None,
        )
        return await self._shared(place, str(asked["file_id"]), nonce)

    async def _shared(self, place: Place, file_id: str, nonce: str) -> str:
        """The message that shows a file; Slack makes it a little later."""
        for look in range(_LOOKS):
            await asyncio.sleep(0.2 * look)
            try:
                file = (await self._api.look("files.info", file=file_id))["file"]
            except (ChannelError, RateLimited):
                break
            for rooms in (file.get("shares") or {}).values():
                for share in rooms.get(place.chat) or ():
                    return self._noted(place, str(share["ts"]), nonce)
        return f"{_FILE}{file_id}"

    def _noted(self, place: Place, ts: str, nonce: str) -> str:
        _remember(self._nonces, (place.chat, ts), nonce)
        _remember(self.last, (place.chat, place.thread), ts)
        return ts


def _remember(where: dict[tuple[str, str], str], key: tuple[str, str], value: str) -> None:
    where.pop(key, None)
    where[key] = value
    if len(where) > _REMEMBERED:
        del where[next(iter(where))]
