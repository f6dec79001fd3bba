"""A chat platform in memory that implements Portal's port: strict, and able to fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace

from portal.core.channels import (
    Attachment,
    Button,
    Desk,
    Event,
    Limits,
    Outgoing,
    Place,
    Sender,
)
from portal.errors import ChannelRejected

ALICE = Sender(id="alice", name="Alice")


@dataclass(slots=True)
class Bubble:
    """A message of Portal's as people see it."""

    id: str
    place: Place
    said: Outgoing
    nonce: str
    data: bytes = b""
    """Of its file."""
    history: list[str] = field(default_factory=list)
    """The texts it had, oldest first."""

    def button(self, label: str) -> Button:
        """The button that says this."""
        (found,) = [one for row in self.said.buttons for one in row if one.label == label]
        return found


class PlatformState:
    """The platform itself, which goes on when a Portal is stopped."""

    def __init__(self) -> None:
        self.bubbles: dict[str, Bubble] = {}
        self.calls: list[tuple[str, str]] = []
        """Name and chat of every call, also of those that failed."""
        self.files: Mapping[str, bytes] = {}
        self.pending: list[Event] = []
        """What a Portal has not acknowledged."""
        self.fail: Callable[[str, str], Exception | None] = lambda call, chat: None
        """Called with name and chat before a call is carried out: what it raises in its place."""
        self.cut: Callable[[str, str], Exception | None] = lambda call, chat: None
        """The same after it was carried out: its answer is lost."""
        self.hold: asyncio.Event | None = None
        """Where there is one, calls are carried out, and answered once it is set."""
        self.changed = asyncio.Event()
        self._number = 0

    def next_id(self) -> str:
        """A number for a message or event."""
        self._number += 1
        return str(self._number)

    def note(self) -> None:
        """Wake who waits."""
        self.changed.set()
        self.changed = asyncio.Event()

    def deliver(self, event: Event) -> None:
        """An event, delivered until it is acknowledged."""
        self.pending.append(event)
        self.note()

    def texts(self, chat: str) -> list[str]:
        """What Portal's messages in a chat say now, in order."""
        return [one.said.text for one in self.bubbles.values() if one.place.chat == chat]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(10):
            while not condition():
                news = self.changed
                if not condition():
                    await news.wait()


class TestChannel:
    """The Channel port, before a PlatformState. Its messages can be edited; `finds` lets them be found by nonce."""

    __test__ = False

    def __init__(self, platform: PlatformState, *, name: str = "test", limits: Limits | None = None) -> None:
        self.name, self.kind = name, "test"
        self.limits = limits or Limits(interval=0.01, per_second=10_000, typing=0)
        self.platform = platform
        self.silent = False
        """It stays connected and hears nothing."""
        self.runs = 0

    async def run(self, desk: Desk) -> None:
        """Hand in what is pending, in order."""
        self.runs += 1
        platform = self.platform
        self._called("run", "")
        while True:
            news = platform.changed
            while platform.pending and not self.silent:
                event = platform.pending[0]
                event = replace(event, place=replace(event.place, channel=self.name))
                await desk.accept(event)
                platform.pending.pop(0)
                platform.note()
                news = platform.changed
            if not self.silent:
                desk.alive()
            await news.wait()

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        """See Channel."""
        self._called("send", place.chat)
        assert outgoing.file is not None or outgoing.text, "a message without content"
        if self.limits.measure(outgoing.text) > self.limits.text:
            raise ChannelRejected("The message is too long.")
        data = b"".join([chunk async for chunk in outgoing.file.content()]) if outgoing.file else b""
        bubble = Bubble(self.platform.next_id(), place, outgoing, nonce, data, [outgoing.text])
        self.platform.bubbles[bubble.id] = bubble
        await self._done("send", place.chat)
        return bubble.id

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Channel."""
        self._called("edit", place.chat)
        if message_id not in self.platform.bubbles:
            raise ChannelRejected("There is no such message.")
        bubble = self.platform.bubbles[message_id]
        bubble.said = outgoing
        bubble.history.append(outgoing.text)
        await self._done("edit", place.chat)

    async def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """See Channel."""
        self._called("fetch", "")
        yield self.platform.files[attachment.ref]

    def _called(self, call: str, chat: str) -> None:
        self.platform.calls.append((call, chat))
        self.platform.note()
        error = self.platform.fail(call, chat)
        if error is not None:
            raise error

    async def _done(self, call: str, chat: str) -> None:
        error = self.platform.cut(call, chat)
        self.platform.note()
        if self.platform.hold is not None:
            await self.platform.hold.wait()
        if error is not None:
            raise error


class GrowingChannel(TestChannel):
    """Its messages grow, and can be found by their nonce. It implements Streams, Finds and Typing as well."""

    growing: dict[str, str]

    def __init__(self, platform: PlatformState, *, name: str = "test", limits: Limits | None = None) -> None:
        super().__init__(platform, name=name, limits=limits)
        self.growing = {}

    def streams(self, place: Place) -> bool:
        """See Streams."""
        return place.direct

    async def begin(self, place: Place, text: str, nonce: str) -> str:
        """See Streams."""
        self._called("begin", place.chat)
        bubble = Bubble(self.platform.next_id(), place, Outgoing(text=text), nonce, b"", [text])
        self.platform.bubbles[bubble.id] = bubble
        self.growing[bubble.id] = text
        await self._done("begin", place.chat)
        return bubble.id

    async def append(self, place: Place, message_id: str, more: str) -> None:
        """See Streams."""
        self._called("append", place.chat)
        self.growing[message_id] += more
        bubble = self.platform.bubbles[message_id]
        bubble.said = Outgoing(text=self.growing[message_id])
        bubble.history.append(bubble.said.text)
        await self._done("append", place.chat)

    async def end(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """See Streams."""
        self._called("end", place.chat)
        del self.growing[message_id]
        self.platform.bubbles[message_id].said = outgoing
        await self._done("end", place.chat)

    async def find(self, place: Place, nonce: str, after: int) -> str | None:
        """See Finds."""
        self._called("find", place.chat)
        return next((one.id for one in self.platform.bubbles.values() if one.nonce == nonce), None)

    async def typing(self, place: Place, doing: str) -> None:
        """See Typing."""
        self._called(f"typing {doing}".strip(), place.chat)


class DraftChannel(TestChannel):
    """Shows an answer as a draft until it is sent. It implements Drafts as well."""

    shown: list[str]

    def __init__(self, platform: PlatformState, *, name: str = "test", limits: Limits | None = None) -> None:
        super().__init__(platform, name=name, limits=limits)
        self.shown = []

    def drafts(self, place: Place) -> bool:
        """See Drafts."""
        return place.direct

    async def draft(self, place: Place, text: str, nonce: str) -> None:
        """See Drafts."""
        self._called("draft", place.chat)
        self.shown.append(text)
        await self._done("draft", place.chat)
