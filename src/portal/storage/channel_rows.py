"""Between rows and what channels keep."""

from collections.abc import Mapping
from dataclasses import asdict

from portal.core.channel_stores import Arrival, ChatRecord, Delivery, LinkRecord, PairingRecord, Sent
from portal.core.channels import Attachment, Button, Content, Event, Message, Moved, Place, Press, Reaction, Sender
from portal.core.items import JsonObject
from portal.storage.database import Row
from portal.storage.rows import from_json, to_json

LINK = "id, owner, channel, sender, name, chat, created_at"
PAIRING = "id, channel, sender, name, place, status, created_at"
CHAT = "channel, chat, thread, owner, place, conversation_id, model, mode, changed_at"
ARRIVAL = "id, channel, event_id, chat, message, event, response_id, received_at, open"
DELIVERY = "id, owner, channel, place, content, response_id, key, created_at, open"
SENT = "delivery_id, position, channel, chat, platform_id, began_at"


def values(columns: str) -> str:
    """The arguments of these columns."""
    return ", ".join(f":{name}" for name in columns.split(", "))


def link_args(link: LinkRecord) -> dict[str, object]:
    """Arguments named as the columns of LINK."""
    return {
        "id": link.id,
        "owner": link.owner,
        "channel": link.channel,
        "sender": link.sender.id,
        "name": link.sender.name,
        "chat": link.chat,
        "created_at": link.created_at,
    }


def link_of(row: Row) -> LinkRecord:
    """A LinkRecord from a row with the columns of LINK."""
    return LinkRecord(
        id=row["id"],
        owner=row["owner"],
        channel=row["channel"],
        sender=Sender(id=row["sender"], name=row["name"]),
        chat=row["chat"],
        created_at=row["created_at"],
    )


def pairing_args(pairing: PairingRecord) -> dict[str, object]:
    """Arguments named as the columns of PAIRING."""
    return {
        "id": pairing.id,
        "channel": pairing.place.channel,
        "sender": pairing.sender.id,
        "name": pairing.sender.name,
        "place": to_json(asdict(pairing.place)),
        "status": pairing.status,
        "created_at": pairing.created_at,
    }


def pairing_of(row: Row) -> PairingRecord:
    """A PairingRecord from a row with the columns of PAIRING."""
    return PairingRecord(
        id=row["id"],
        place=Place(**from_json(row["place"])),
        sender=Sender(id=row["sender"], name=row["name"]),
        status=row["status"],
        created_at=row["created_at"],
    )


def chat_args(chat: ChatRecord) -> dict[str, object]:
    """Arguments named as the columns of CHAT."""
    return {
        **place_args(chat.place),
        "owner": chat.owner,
        "place": to_json(asdict(chat.place)),
        "conversation_id": chat.conversation_id,
        "model": chat.model,
        "mode": chat.mode,
        "changed_at": chat.changed_at,
    }


def chat_of(row: Row) -> ChatRecord:
    """A ChatRecord from a row with the columns of CHAT."""
    return ChatRecord(
        owner=row["owner"],
        place=Place(**from_json(row["place"])),
        conversation_id=row["conversation_id"],
        model=row["model"],
        mode=row["mode"],
        changed_at=row["changed_at"],
    )


def place_args(place: Place) -> dict[str, object]:
    """What a place is found by."""
    return {"channel": place.channel, "chat": place.chat, "thread": place.thread}


def arrival_args(arrival: Arrival) -> dict[str, object]:
    """Arguments named as the columns of ARRIVAL."""
    event = arrival.event
    return {
        "id": arrival.id,
        "channel": event.place.channel,
        "event_id": event.event_id,
        "chat": event.place.chat,
        "message": event.id if isinstance(event, Message) else "",
        "event": to_json({"type": type(event).__name__, **asdict(event)}),
        "response_id": arrival.response_id,
        "received_at": arrival.received_at,
        "open": int(not arrival.done),
    }


def arrival_of(row: Row) -> Arrival:
    """An Arrival from a row with the columns of ARRIVAL."""
    return Arrival(
        id=row["id"],
        event=_event(from_json(row["event"])),
        response_id=row["response_id"],
        received_at=row["received_at"],
        done=not row["open"],
    )


def _event(stored: JsonObject) -> Event:
    kind = stored.pop("type")
    stored |= {"place": Place(**stored["place"]), "sender": Sender(**stored["sender"])}
    if kind == "Message":
        return Message(**{**stored, "files": tuple(Attachment(**file) for file in stored["files"])})
    kinds: Mapping[str, type[Press | Reaction | Moved]] = {"Press": Press, "Reaction": Reaction, "Moved": Moved}
    return kinds[kind](**stored)


def delivery_args(delivery: Delivery) -> dict[str, object]:
    """Arguments named as the columns of DELIVERY."""
    return {
        "id": delivery.id,
        "owner": delivery.owner,
        "channel": delivery.place.channel,
        "place": to_json(asdict(delivery.place)),
        "content": to_json(asdict(delivery.content)),
        "response_id": delivery.response_id,
        "key": delivery.key or None,
        "created_at": delivery.created_at,
        "open": int(not delivery.done),
    }


def delivery_of(row: Row) -> Delivery:
    """A Delivery from a row with the columns of DELIVERY."""
    return Delivery(
        id=row["id"],
        owner=row["owner"],
        place=Place(**from_json(row["place"])),
        content=_content(from_json(row["content"])),
        response_id=row["response_id"],
        key=row["key"] or "",
        created_at=row["created_at"],
        done=not row["open"],
    )


def _content(stored: JsonObject) -> Content:
    rows = tuple(tuple(Button(**button) for button in buttons) for buttons in stored["buttons"])
    conversation_id = stored.get("conversation_id", "")  # which earlier versions did not keep
    return Content(text=stored["text"], files=tuple(stored["files"]), buttons=rows, conversation_id=conversation_id)


def sent_args(place: Place, sent: Sent) -> dict[str, object]:
    """Arguments named as the columns of SENT."""
    return {
        "delivery_id": sent.delivery_id,
        "position": sent.position,
        "channel": place.channel,
        "chat": place.chat,
        "platform_id": sent.platform_id,
        "began_at": sent.began_at,
    }


def sent_of(row: Row) -> Sent:
    """A Sent from a row with the columns of SENT."""
    return Sent(
        delivery_id=row["delivery_id"],
        position=row["position"],
        platform_id=row["platform_id"],
        began_at=row["began_at"],
    )
