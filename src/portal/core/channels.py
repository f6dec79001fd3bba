"""Channels: chat platforms as doors of Portal. What one sends and gets, and the ports that it implements.

A platform hands every event to its `Desk`, and tells its server that the event arrived once `accept` returned: by then
it is stored, and from then on it is answered once, whatever happens. What Portal has to say comes back through
`Channel.send` and `Channel.edit`, one platform message a call, in order within a chat and at the pace of `limits`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias, runtime_checkable

FileKind: TypeAlias = Literal["image", "audio", "video", "file"]
Action: TypeAlias = Literal["approve", "deny", "answer", "stop", "regenerate", "choose"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where people talk: a chat of a platform, or a thread or topic in one."""

    channel: str
    """The name of the channel: that of its kind, unless the settings name it."""
    chat: str
    """The platform's id of the chat."""
    thread: str = ""
    """Of a thread or topic in it; empty outside any."""
    direct: bool = True
    """Whether one person is alone with Portal there."""
    title: str = ""
    """What a group is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """A person as a platform knows them, verified by it."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with a message. It is fetched when it is needed, also after a restart."""

    ref: str
    """What `Channel.fetch` finds it by."""
    kind: FileKind
    name: str
    content_type: str = "application/octet-stream"
    size: int = 0
    """Bytes, as far as the platform says."""
    voice: bool = False
    """Spoken to Portal, rather than a recording to work with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A person wrote something, or edited it."""

    event_id: str
    """The platform's id of this event, unique within the channel: a redelivery has the same one, an edit another."""
    place: Place
    sender: Sender
    id: str
    """The message's own id, which an edit keeps."""
    text: str = ""
    files: Sequence[Attachment] = ()
    addressed: bool = True
    """In a group: it mentions Portal or replies to it."""
    edited: bool = False
    replies_to: str = ""
    """Id of the message that it answers."""
    supposed: bool = False
    """Nobody said that it answers that one: it is the newest of Portal's in its thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A person pressed a button."""

    event_id: str
    place: Place
    sender: Sender
    message_id: str
    data: str
    """`Button.data` of the one pressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A person put a reaction under a message, or took it away."""

    event_id: str
    place: Place
    sender: Sender
    message_id: str
    rating: Literal[-1, 0, 1]
    """Thumb down or the like, none, up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A chat has another id from now on. It may be told more than once."""

    event_id: str
    place: Place
    """Where it was."""
    sender: Sender
    chat: str
    """Its new id."""


Event: TypeAlias = Message | Press | Reaction | Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """Something to press under a message."""

    action: Action
    value: str
    """What it is bound to: an approval, a response, or the choice."""
    label: str

    @property
    def data(self) -> str:
        """At most 64 bytes for the platform to bring back."""
        return f"{self.action}:{self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingFile:
    """A file to send."""

    kind: FileKind
    name: str
    content_type: str
    size: int
    content: Callable[[], AsyncIterator[bytes]]
    """Begins to read it, each time anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One message to a platform: Markdown within `Limits.text`, or one file, with `text` as its caption."""

    text: str = ""
    file: OutgoingFile | None = None
    buttons: Sequence[Sequence[Button]] = ()
    """In rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What Portal has to say, of any length; the core makes platform messages of it."""

    text: str = ""
    """Markdown."""
    files: Sequence[str] = ()
    """Ids of the owner's files."""
    buttons: Sequence[Sequence[Button]] = ()
    conversation_id: str = ""
    """Of the owner's conversation that a reply goes on with; empty for that of the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a platform takes."""

    text: int = 4000
    """The longest text of a message, as `measure` counts it."""
    measure: Callable[[str], int] = len
    """How long a piece of Markdown is for this platform, once it is rendered."""
    file: int = 50 * 2**20
    """Bytes of the largest file it takes."""
    fetch: int = 20 * 2**20
    """Bytes of the largest file it gives."""
    edits: bool = True
    """Whether a message can be changed, so that an answer is shown while it is written."""
    interval: float = 1.0
    """Seconds between two calls to one chat."""
    per_second: float = 25.0
    """Calls a second to all chats together."""
    typing: float = 4.5
    """Seconds after which a typing mark is set again; 0 where there is none."""
    slash: str = "/"
    """What a command begins with there."""
    silence: float = 60.0
    """Seconds without a proof of life after which the channel is deaf, and is connected anew."""


class Desk(Protocol):
    """Where a platform hands in what arrives."""

    since: int
    """When the newest event so far was accepted, in microseconds UTC, 0 for none: fetch what was missed after it,
    where the platform has a history. What is known already is recognised."""

    async def accept(self, event: Event) -> bool:
        """Store an event; awaited means kept, so acknowledge it now. False for one that is known already."""

    def alive(self) -> None:
        """Proof of inbound life: an empty poll that was answered, a frame, a pong. `accept` is one, too."""

    async def home(self, sender: Sender) -> Content:
        """What a page about Portal shows to this person: its state, and what waits for their decision."""

    async def ask(self, sender: Sender, text: str) -> str:
        """A quick answer that no conversation keeps, as for inline questions. Raises Forbidden for strangers."""


class Channel(Protocol):
    """A chat platform, connected with one bot. All methods but `run` have a deadline of their own inside.

    They raise the errors of `portal.errors`: RateLimited with `retry_after`; ChannelRefused when the token is not
    accepted; ChannelGone for a chat that cannot be written to any more (blocked, deleted); ChannelRejected for content
    that it does not take, or a message that cannot be edited; ChannelUncertain where a call may have been carried out
    (no answer came); ChannelError for all else, which may be tried again: nothing was sent.
    """

    name: str
    kind: str
    limits: Limits

    async def run(self, desk: Desk) -> None:
        """Connect, and receive until cancelled. Every event goes through `desk.accept` before it is acknowledged.

        Raises:
            ChannelRefused: the token is not accepted; it is not tried again before a long pause.
            ChannelTaken: another program receives for this bot; the same.
            ChannelError: the connection is lost; it is tried again after a short pause.
        """

    async def send(self, place: Place, outgoing: Outgoing, nonce: str) -> str:
        """Send one message; its id. `nonce` is the same when it is sent again: where the platform can carry it, let
        it, so that `find` finds the message."""

    async def edit(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """Make a message say this, with these buttons and no others. What it says already is no error."""

    def fetch(self, attachment: Attachment) -> AsyncIterator[bytes]:
        """The content of a file, in chunks."""


@runtime_checkable
class Typing(Protocol):
    """A channel that can show that Portal is at work."""

    async def typing(self, place: Place, doing: str) -> None:
        """Show it for some seconds; `doing` says at what, in words (`is using web_search`), or is empty. It ends with
        the next message."""


@runtime_checkable
class Drafts(Protocol):
    """A channel that shows an answer being written without a message yet. `send` then makes it one."""

    def drafts(self, place: Place) -> bool:
        """Whether it does so there."""

    async def draft(self, place: Place, text: str, nonce: str) -> None:
        """Show the text so far. `nonce` is that of the message which follows."""


@runtime_checkable
class Streams(Protocol):
    """A channel whose messages grow by pieces."""

    def streams(self, place: Place) -> bool:
        """Whether they do so there."""

    async def begin(self, place: Place, text: str, nonce: str) -> str:
        """Begin a message with this text; its id."""

    async def append(self, place: Place, message_id: str, more: str) -> None:
        """Add to it."""

    async def end(self, place: Place, message_id: str, outgoing: Outgoing) -> None:
        """It is complete, and is to say just this. After a crash `edit` is called instead."""


@runtime_checkable
class Finds(Protocol):
    """A channel that can tell whether a message was sent, by its nonce. Others may repeat one after a crash."""

    async def find(self, place: Place, nonce: str, after: int) -> str | None:
        """Its id, if it is there. `after` is a moment before it was sent, in microseconds UTC."""


@runtime_checkable
class Probes(Protocol):
    """A channel that can look whether it hears everything: beside `Desk.alive`, every few seconds."""

    async def probe(self) -> None:
        """Raises ChannelError, saying why, when it is deaf; it is then connected anew."""


@runtime_checkable
class Invites(Protocol):
    """A channel that can be opened with a code by an address."""

    def invitation(self, code: str) -> str:
        """The address that opens the chat and brings `/start CODE`; empty while the bot's name is not known."""


@runtime_checkable
class Closes(Protocol):
    """A channel that keeps connections beyond `run`, so that what is being sent outlives a new connection."""

    async def aclose(self) -> None:
        """Close them: Portal stops, and nothing more is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """What a platform's server posted to `/channels/NAME`."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookReply:
    """What it is answered."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"


@runtime_checkable
class Hooked(Protocol):
    """A channel to which its platform posts. The request is not authenticated: that is the channel's part."""

    async def receive(self, request: HookRequest) -> HookReply:
        """Verify, accept what is in it, and only then answer. Raises Unauthenticated for a forgery or a replay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a channel is made with: `create(config, around)` of its module."""

    name: str
    public_url: str = ""
    """Where `/channels/NAME` is reached from outside; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be asked for with a slash, in every channel."""

    name: str
    does: str


COMMANDS: Sequence[Command] = (
    Command("start", "Say hello"),
    Command("help", "What can be asked for here"),
    Command("new", "Begin a new conversation"),
    Command("model", "Choose the model"),
    Command("workspace", "Choose the workspace"),
    Command("tools", "Show the tools at hand"),
    Command("memory", "Show or add memories"),
    Command("stop", "Stop the answer"),
    Command("stats", "What this conversation has used"),
    Command("health", "How Portal is"),
    Command("link", "Link this account with a code"),
)

REMEDIES: Mapping[str, str] = {
    "deaf": "Portal connects it anew by itself; if it stays so, look at the network.",
    "down": "Portal tries again by itself; if it stays so, look at the network.",
    "refused": "Give it a token that the platform accepts (docs/channels.md), then restart Portal.",
    "taken": "Stop the other program that receives for the same bot.",
    "broken": "Mend its settings, then restart Portal.",
}
"""What mends a channel, by its state."""
