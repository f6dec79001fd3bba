"""What Slack sends, as Portal's events. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from portal.core.channels import COMMANDS, Attachment, FileKind, Message, Place, Press, Reaction, Sender
from portal.interfaces.slack.markdown import written

_SPOKEN = {None, "file_share", "thread_broadcast"}
_THUMBS: Mapping[str, Literal[-1, 1]] = {"+1": 1, "thumbsup": 1, "heart": 1, "-1": -1, "thumbsdown": -1}
_NAMES = {command.name for command in COMMANDS}
_VOICE = {"slack_audio"}


@dataclass(frozen=True, slots=True)
class Me:
    """Who the app is in its workspace."""

    user: str
    bot: str
    team: str


def message(event: Mapping[str, Any], me: Me, channel: str) -> Message | None:
    """What a person wrote, or None for all else. `addressed` is what the message alone tells."""
    if event.get("subtype") == "message_changed":
        return _edited(event, me, channel)
    if event.get("subtype") not in _SPOKEN or not _by_a_person(event, me):
        return None
    room, ts = str(event["channel"]), str(event["ts"])
    return _message(event, me, channel, room=room, event_id=f"{room}:{ts}", edited=False)


def _edited(event: Mapping[str, Any], me: Me, channel: str) -> Message | None:
    inner, before = event.get("message") or {}, event.get("previous_message") or {}
    edited = (inner.get("edited") or {}).get("ts")
    if not edited or not _by_a_person(inner, me) or inner.get("text") == before.get("text"):
        return None
    room = str(event["channel"])
    inner = {**inner, "channel_type": event.get("channel_type")}
    return _message(inner, me, channel, room=room, event_id=f"{room}:{inner['ts']}:{edited}", edited=True)


def _message(event: Mapping[str, Any], me: Me, channel: str, *, room: str, event_id: str, edited: bool) -> Message:
    text, ts = str(event.get("text") or ""), str(event["ts"])
    direct = event.get("channel_type") == "im" or room.startswith("D")
    thread = str(event.get("thread_ts") or ("" if direct else ts))
    mentioned = f"<@{me.user}>" in text or f"<@{me.user}|" in text
    return Message(
        event_id=event_id,
        place=Place(channel=channel, chat=room, thread=thread, direct=direct),
        sender=Sender(id=str(event["user"])),
        id=ts,
        text=written(text, me.user),
        files=[attachment(one) for one in event.get("files") or () if one.get("id")],
        addressed=direct or mentioned or event.get("parent_user_id") == me.user,
        edited=edited,
    )


def attachment(file: Mapping[str, Any]) -> Attachment:
    """A file of a message."""
    kind = str(file.get("mimetype") or "application/octet-stream")
    return Attachment(
        ref=str(file["id"]),
        kind=_kind(kind),
        name=str(file.get("name") or file["id"]),
        content_type=kind,
        size=int(file.get("size") or 0),
        voice=file.get("subtype") in _VOICE,
    )


def reaction(body: Mapping[str, Any], me: Me, channel: str) -> Reaction | None:
    """A thumb under a message of Portal's, or one taken away."""
    event = body["event"]
    item, rating = event.get("item") or {}, _THUMBS.get(str(event.get("reaction", "")).partition("::")[0])
    if rating is None or item.get("type") != "message" or event.get("item_user") != me.user:
        return None
    room = str(item["channel"])
    return Reaction(
        event_id=str(body["event_id"]),
        place=Place(channel=channel, chat=room, direct=room.startswith("D")),
        sender=Sender(id=str(event["user"])),
        message_id=str(item["ts"]),
        rating=rating if event["type"] == "reaction_added" else 0,
    )


def press(body: Mapping[str, Any], channel: str, home: str) -> Press | None:
    """A button of Portal's that was pressed; `home` is the room of presses in the Home tab."""
    action = body["actions"][0]
    if not action.get("value"):
        return None
    container = body.get("container") or {}
    room = str(container.get("channel_id") or home)
    direct = room.startswith("D")
    ts = str(container.get("message_ts") or "")
    thread = str(container.get("thread_ts") or ("" if direct else ts))
    return Press(
        event_id=f"press:{action.get('action_ts')}:{body['user']['id']}",
        place=Place(channel=channel, chat=room, thread=thread, direct=direct),
        sender=_sender(body["user"]),
        message_id=ts,
        data=str(action["value"]),
    )


def command(body: Mapping[str, Any], channel: str, room: str) -> Message:
    """A slash command: Portal's own by its name, or a question."""
    text = str(body.get("text") or "").strip() or "help"
    first = re.split(r"\s", text, maxsplit=1)[0].lower().lstrip("/")
    said = f"/{text.lstrip('/')}" if first in _NAMES else text
    return Message(
        event_id=f"command:{body['trigger_id']}",
        place=Place(channel=channel, chat=room),
        sender=Sender(id=str(body["user_id"]), name=str(body.get("user_name") or "")),
        id=f"command:{body['trigger_id']}",
        text=said,
    )


def _by_a_person(event: Mapping[str, Any], me: Me) -> bool:
    user = event.get("user")
    return bool(user) and user not in (me.user, "USLACKBOT") and not event.get("bot_id") and not event.get("hidden")


def _sender(user: Mapping[str, Any]) -> Sender:
    return Sender(id=str(user["id"]), name=str(user.get("name") or user.get("username") or ""))


def _kind(content_type: str) -> FileKind:
    family = content_type.partition("/")[0]
    if family == "image" and content_type != "image/svg+xml":
        return "image"
    return "audio" if family == "audio" else "video" if family == "video" else "file"
