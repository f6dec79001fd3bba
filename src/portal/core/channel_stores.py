"""What is kept of channels: who is linked, which chat is which conversation, what arrived, and what is to be sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from portal.core.channels import Content, Event, Place, Sender
from portal.core.clock import micros
from portal.core.ids import new_id

Mode: TypeAlias = Literal["mentioned", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """A platform's account that speaks for a person."""

    id: str
    """`link_...`"""
    owner: str
    channel: str
    sender: Sender
    chat: str = ""
    """Where that person is alone with Portal; empty until they wrote there."""
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingRecord:
    """Somebody who is not linked wrote to Portal."""

    id: str
    """`pair_...`"""
    place: Place
    sender: Sender
    status: Literal["pending", "approved", "refused"] = "pending"
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRecord:
    """A place, as one person uses it."""

    owner: str
    place: Place
    conversation_id: str | None = None
    """What is said there belongs to it; None until something is."""
    model: str = ""
    """Model or workspace that answers; empty for the conversation's, or the usual one."""
    mode: Mode = "mentioned"
    """In a group: whether Portal answers when addressed, or always."""
    changed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An event that was accepted."""

    id: str
    """`arr_...`"""
    event: Event
    response_id: str
    """Of the turn that it begins, if it begins one: settled before, so that it cannot begin two."""
    received_at: int
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that is to be sent: content, or the answer of a response with its files and questions."""

    id: str
    """`dlv_...`"""
    owner: str
    place: Place
    content: Content = field(default_factory=Content)
    response_id: str | None = None
    key: str = ""
    """Of two deliveries with the same key only the first one is kept; empty for none."""
    created_at: int
    done: bool = False


def new_delivery(
    owner: str, place: Place, *, content: Content | None = None, response_id: str | None = None, key: str = ""
) -> Delivery:
    """One of now."""
    return Delivery(
        id=new_id("dlv"),
        owner=owner,
        place=place,
        content=content or Content(),
        response_id=response_id,
        key=key,
        created_at=micros(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One platform message of a delivery. It is stored before the call is made."""

    delivery_id: str
    position: int
    platform_id: str = ""
    """Empty while nobody knows whether the call was carried out."""
    began_at: int

    @property
    def nonce(self) -> str:
        """What a platform that can finds the message by."""
        return f"{self.delivery_id}.{self.position}"


class Links(Protocol):
    """Which account is whose."""

    async def of(self, channel: str, sender: str) -> LinkRecord | None:
        """Who this is; None for a stranger."""

    async def list(self, owner: str) -> Sequence[LinkRecord]:
        """Of this owner, newest first."""

    async def settle(self, link_id: str, chat: str) -> None:
        """That person is alone with Portal in this chat."""

    async def remove(self, owner: str, link_id: str) -> None:
        """Raises NotFound."""


class Pairing(Protocol):
    """The ways to a link: one-time codes, of which only the hash comes in, and requests."""

    async def offer(self, owner: str, code_hash: str, expires_at: int, now: int) -> None:
        """Keep a code; those that have expired by now are forgotten."""

    async def redeem(self, code_hash: str, link: LinkRecord, now: int) -> LinkRecord | None:
        """Use a code up and link: the link, its owner that of the code, in the place of what this account was linked
        to. None for a code that is unknown, used or expired."""

    async def request(self, pairing: PairingRecord) -> bool:
        """Keep a request; False where this account has one already, which may be refused."""

    async def pending(self) -> Sequence[PairingRecord]:
        """Newest first."""

    async def decide(self, owner: str, pairing_id: str, approve: bool, link_id: str, now: int) -> PairingRecord:
        """Link that account to `owner`, or refuse it. Raises NotFound for one that is not pending."""


class Chats(Protocol):
    """Which place is which conversation, by owner."""

    async def get(self, owner: str, place: Place) -> ChatRecord | None:
        """None where nothing was said yet."""

    async def save(self, chat: ChatRecord, *, before: ChatRecord | None = None, still: bool = False) -> None:
        """Create, or replace: all of it, or only what is another than `before`, so that of two changes at once neither
        takes the other back. With `still` only while it is the same conversation as before: else Conflict."""

    async def move(self, channel: str, chat: str, to: str) -> None:
        """The chat has another id: everybody's places in it go on there, and so does what schedules send there."""

    async def list(self, owner: str) -> Sequence[ChatRecord]:
        """The newest, newest first; a thread with the mode of its room."""

    async def of_conversation(self, owner: str, conversation_id: str) -> Sequence[ChatRecord]:
        """The places that show it, newest first."""


class Inbox(Protocol):
    """What arrived. Awaited means kept."""

    async def accept(self, arrival: Arrival) -> bool:
        """Keep it; False for an event of that channel that is known."""

    async def open(self, channel: str) -> Sequence[Arrival]:
        """What is not dealt with, oldest first: for a channel that starts."""

    async def finish(self, arrival_id: str, deliveries: Sequence[Delivery] = ()) -> bool:
        """It is dealt with, and this is to be sent for it, in one batch; False, and nothing, if it was already."""

    async def of_message(self, place: Place, message_id: str, before: str) -> Arrival | None:
        """The newest event of a person's message before that arrival."""

    async def newest(self, channel: str) -> int:
        """When the newest event was accepted, 0 for none."""


class Outbox(Protocol):
    """What is to be sent, and what was. Awaited means kept."""

    async def add(self, delivery: Delivery) -> bool:
        """Keep it; False where one of that key is there."""

    async def open(self, channel: str) -> Sequence[Delivery]:
        """What is not sent whole, oldest first: for a channel that starts."""

    async def messages(self, delivery_id: str) -> Sequence[Sent]:
        """Its platform messages so far, in order."""

    async def keep(self, place: Place, sent: Sent) -> None:
        """Before a call without, after it with its platform id."""

    async def withdraw(self, sent: Sent) -> None:
        """The call was refused: nothing was sent."""

    async def finish(self, delivery_id: str) -> None:
        """It is sent whole, or cannot be."""

    async def of_response(self, channel: str, response_id: str) -> Delivery | None:
        """The delivery of an answer."""

    async def of_message(self, place: Place, platform_id: str) -> Delivery | None:
        """What a message of Portal's belongs to."""

    async def of_approval(self, channel: str, approval_id: str) -> Delivery | None:
        """The delivery of the answer that asked for it."""

    async def followed(self, channel: str) -> Sequence[tuple[Delivery, str]]:
        """Deliveries of answers with questions that were decided, and the responses that went on with that and are not
        delivered: for a channel that starts."""
