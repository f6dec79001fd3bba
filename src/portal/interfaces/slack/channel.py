"""Slack as a channel of Portal."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from portal.core.channels import (
    Attachment,
    Desk,
    HookReply,
    HookRequest,
    Limits,
    Message,
    Outgoing,
    Place,
    Sender,
)
from portal.errors import ChannelError, ChannelGone, ChannelRefused, ChannelRejected, NotFound, PortalError, RateLimited
from portal.interfaces.slack import events
from portal.interfaces.slack.api import SlackApi
from portal.interfaces.slack.blocks import home_view
from portal.interfaces.slack.directory import Directory
from portal.interfaces.slack.events import Me
from portal.interfaces.slack.history import History
from portal.interfaces.slack.limits import LIMITS
from portal.interfaces.slack.saying import STOP, Saying
from portal.interfaces.slack.socket import Socket

if TYPE_CHECKING:
    from portal.interfaces.slack.bolt import Bolt

log = logging.getLogger(__name__)

_PROBE, _LATE = 15.0, 10.0


class SlackChannel:
    """Implements Channel, Typing, Streams, Finds, Probes and Hooked."""

    kind = "slack"

    def __init__(
        self,
        *,
        name: str,
        api: SlackApi,
        app_token: str,
        signing_secret: str,
        by_http: bool,
        prompts: Sequence[str] = (),
        limits: Limits = LIMITS,
        probe: float = _PROBE,
        late: float = _LATE,
    ) -> None:
        """Every `probe` seconds it is looked into one room, for messages that are `late` seconds old."""
        self.name = name
        self.limits = limits
        self._pace = probe
        self._late = late
        self._api = api
        self._app_token = app_token
        self._signing_secret = signing_secret
        self._by_http = by_http
        self._prompts = prompts
        self._me: Me | None = None
        self._bolt: Bolt | None = None
        self._history: History | None = None
        self._desk: Desk | None = None
        self._jobs: asyncio.TaskGroup | None = None
        self._directory = Directory(api=api)
        self._probed = 0.0
        self._behind = 0
        """Since when messages may have been missed, until it was looked."""
        self._saying = Saying(api=api)

    # ------------------------------------------------------------------ receiving

    async def run(self, desk: Desk) -> None:
        """See Channel."""
        self._desk = desk
        self._behind = self._behind or desk.since
        me = await self._who()
        if self._history is None:
            self._history = History(api=self._api, me=me, name=self.name, late=self._late)
        if self._bolt is None:
            made = await asyncio.to_thread(_bolt)  # its library takes a while to load
            self._bolt = made(
                api=self._api,
                signing_secret=self._signing_secret,
                me=me,
                event=self._event,
                press=self._press,
                command=self._command,
            )
        try:
            async with asyncio.TaskGroup() as group:
                self._jobs = group
                if self._by_http:
                    group.create_task(self._catch_up())
                    await self._stay(desk)
                else:
                    await self._listen(group, desk, self._bolt)
        except BaseExceptionGroup as failed:
            raise _first(failed) from failed
        finally:
            self._jobs = None

    async def _who(self) -> Me:
        if self._me is None:
            answer = await self._api.look("auth.test")
            self._me = Me(user=str(answer["user_id"]), bot=str(answer["bot_id"]), team=str(answer["team_id"]))
            self._saying.team = self._me.team
        return self._me

    async def _listen(self, group: asyncio.TaskGroup, desk: Desk, bolt: "Bolt") -> None:
        socket = Socket(api=self._api, token=self._app_token, take=bolt.envelope, alive=desk.alive)
        caught_up = False

        def connected() -> None:
            nonlocal caught_up
            if not caught_up:  # only what was missed before the first of these connections, which overlap
                group.create_task(self._catch_up())
            caught_up = True

        await socket.run(group, connected)

    async def _stay(self, desk: Desk) -> None:
        """Slack comes by itself: here only whether it can be reached."""
        while True:
            await self._api.look("auth.test")
            desk.alive()
            await asyncio.sleep(self.limits.silence / 3)

    async def _catch_up(self) -> None:
        """Accept what was missed; what is known is recognised."""
        history, since = self._history, self._behind
        assert history is not None
        for room in await self._waiting(history.rooms):
            with suppress(ChannelGone, ChannelRejected):  # a room that cannot be looked into holds up no other
                if since:
                    await self._waiting(partial(self._accept_missed, history, room, since))
        self._behind = 0

    async def _accept_missed(self, history: History, room: Mapping[str, Any], since: int) -> None:
        async for event in history.missed(room, since):
            await self._message(event)

    async def _waiting(self, look: Callable[[], Awaitable[Any]]) -> Any:
        """Nobody waits for it but itself, so it comes again when Slack says so."""
        while True:
            try:
                return await look()
            except RateLimited as limited:
                await asyncio.sleep(limited.retry_after or 1)

    async def receive(self, request: HookRequest) -> HookReply:
        """See Hooked."""
        if not self._by_http:
            raise NotFound("Slack is heard over Socket Mode: nothing is received here.")
        if self._bolt is None:
            raise ChannelError("Slack is not connected yet.")
        reply = await self._bolt.hook(request)
        if self._desk is not None:
            self._desk.alive()
        return reply

    async def _event(self, body: Mapping[str, Any]) -> None:
        event, me = body["event"], await self._who()
        kind = event["type"]
        if kind in ("message", "app_mention"):
            await self._message(event)
        elif kind in ("reaction_added", "reaction_removed"):
            found = events.reaction(body, me, self.name)
            if found is not None:
                await self._accept(found)
        elif kind == "app_home_opened" and event.get("tab") == "home":
            self._later(self._publish(str(event["user"])))
        elif kind == "assistant_thread_started":
            self._later(self._suggest(event["assistant_thread"]))

    async def _message(self, event: Mapping[str, Any]) -> None:
        me, history = await self._who(), self._history
        found = events.message(event, me, self.name)
        if found is not None:
            found = await self._known_better(found)
            new = await self._accept(found)
            self._saying.asked_by(found.place, found.sender.id)
            if new and found.place.direct and found.place.thread and not found.edited:
                self._later(self._title(found))
        if history is not None and event.get("ts"):
            history.told(str(event["channel"]), str(event["ts"]))

    async def _known_better(self, found: Message) -> Message:
        """With names, and with what its thread tells."""
        place, addressed, directory = found.place, found.addressed, self._directory
        if not addressed and place.thread != found.id:  # first: where that is not known, the message is to come again
            addressed = await directory.takes_part(place, await self._who())
        name = await directory.person(found.sender.id)
        if not place.direct:
            place = replace(place, title=await directory.room(place.chat))
        if not place.direct:
            newest = self._saying.last.get((place.chat, place.thread), "")
            found = replace(found, replies_to=newest, supposed=bool(newest))
        if found.text.strip().lower() == "stop":
            found = replace(found, text="/stop")
        sender = replace(found.sender, name=name)
        return replace(found, place=place, sender=sender, addressed=addressed)

    async def _press(self, body: Mapping[str, Any]) -> None:
        user = str(body["user"]["id"])
        at_home = (body.get("container") or {}).get("type") == "view"
        found = events.press(body, self.name, await self._directory.direct(user) if at_home else "")
        if found is None:
            return
        if found.data == STOP:
            told = Message(
                event_id=found.event_id, place=found.place, sender=found.sender, id=found.event_id, text="/stop"
            )
            await self._accept(told)
            return
        await self._accept(found)
        if at_home:
            self._later(self._publish(user, patience=1.0))

    async def _command(self, body: Mapping[str, Any]) -> str | None:
        room = str(body["channel_id"])
        found = events.command(body, self.name, await self._directory.direct(str(body["user_id"])))
        await self._accept(found)
        return None if room == found.place.chat else "I answer in our direct message."

    async def _accept(self, event: Any) -> bool:
        if self._desk is None:
            raise ChannelError("Slack is not connected yet.")
        return await self._desk.accept(event)

    # ------------------------------------------------------------------ beside the messages

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        """What the acknowledgement does not wait for; what goes wrong with it is only logged."""
        if self._jobs is None:
            work.close()
            return
        self._jobs.create_task(_quietly(work))

    async def _publish(self, user: str, *, patience: float = 0) -> None:
        """The Home tab."""
        await asyncio.sleep(patience)  # what was pressed there is carried out by then
        if self._desk is not None:
            content = await self._desk.home(Sender(id=user))
            await self._api.call("views.publish", user_id=user, view=home_view(content))

    async def _suggest(self, thread: Mapping[str, Any]) -> None:
        prompts = [{"title": prompt[:75], "message": prompt} for prompt in self._prompts[:4]]
        if prompts:
            where = {"channel_id": thread["channel_id"], "thread_ts": thread["thread_ts"]}
            await self._api.call("assistant.threads.setSuggestedPrompts", prompts=prompts, **where)

    async def _title(self, found: Message) -> None:
        """Name a thread of the Assistant pane after its first message."""
        place = found.place
        if found.text and self._directory.first(f"titled {place.thread}"):
            where = {"channel_id": place.chat, "thread_ts": place.thread}
            await self._api.call("assistant.threads.setTitle", title=found.text[:60], **where)

    async def typing(self, place: Place, doing: str) -> None:
        """See Typing: the status below a thread."""
        if place.thread:
            where = {"channel_id": place.chat, "thread_ts": place.thread}
            with suppress(ChannelRejected):
                await self._api.call("assistant.threads.setStatus", status=doing or "is thinking …", **where)

    async def probe(self) -> None:
        """See Probes."""
        moment = asyncio.get_running_loop().time()
        if self._history is not None and moment - self._probed >= self._pace:
            self._probed = moment
            try:
                deaf = await self._history.probe()
            except (ChannelError, RateLimited) as error:  # that it cannot be looked says nothing about what is heard
                if isinstance(error, ChannelRefused) and error.param != "missing_scope":
                    raise
                log.info("it could not be looked whether Slack tells everything: %s", error)
                return
            if deaf:
                raise ChannelError("Slack has messages that it did not tell Portal about.")

    # ------------------------------------------------------------------ saying

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        """See Channel."""
        return await self._saying.send(place, outgoing, nonce)

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Channel."""
        await self._saying.edit(place, message_id, outgoing)

    def streams(self, place: Place) -> bool:
        """See Streams."""
        return self._saying.streams(place)

    async def begin(self, place: Place, text: str, nonce: str) -> str:
        """See Streams."""
        return await self._saying.begin(place, text, nonce)

    async def append(self, place: Place, message_id: str, more: str) -> None:
        """See Streams."""
        await self._saying.append(place, message_id, more)

    async def end(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Streams."""
        await self._saying.end(place, message_id, outgoing)

    async def find(self, place: Place, nonce: str, after: int) -> str | None:
        """See Finds."""
        me = await self._who()
        history = self._history or History(api=self._api, me=me, name=self.name, late=self._late)
        return await history.find(place, nonce, after)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """See Channel."""
        try:
            async for chunk in self._fetched(attachment.ref):
                yield chunk
        except ChannelError as error:
            raise type(error)(f"The file {attachment.name} could not be fetched: {error.message}") from error

    async def _fetched(self, ref: str) -> AsyncIterator[bytes]:
        file = (await self._api.look("files.info", file=ref))["file"]
        url = str(file.get("url_private_download") or file.get("url_private") or "")
        host, home = urlsplit(url).hostname or "", urlsplit(self._api.base).hostname
        if host != home and not host.endswith(".slack.com"):
            raise ChannelRejected("The file is not kept by Slack.")
        async for chunk in self._api.download(url, self.limits.fetch):
            yield chunk

    async def aclose(self) -> None:
        """Let go of the connections to Slack."""
        await self._api.aclose()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except PortalError as error:
        log.info("something beside the messages did not work in Slack: %s", error)


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """The reason behind a group of them."""
    reasons = [one if not isinstance(one, BaseExceptionGroup) else _first(one) for one in failed.exceptions]
    return next((one for one in reasons if isinstance(one, PortalError)), reasons[0])


def _bolt() -> "type[Bolt]":
    from portal.interfaces.slack.bolt import Bolt

    return Bolt
