"""`chat.*` of the stand-in of Slack."""

from typing import Any

from portal.testing.slack_server_rules import (
    MARKDOWN_TEXT,
    UPDATE_TEXT,
    Refused,
    check_blocks,
    check_chunks,
    check_content,
    check_metadata,
    required,
)
from portal.testing.slack_server_world import APP, BOT, BOT_USER, SlackRoom, World

Args = dict[str, Any]


def post_message(world: World, args: Args) -> Args:
    """chat.postMessage."""
    room = world.room(args.get("channel"), write=True)
    check_content(args)
    check_metadata(args.get("metadata"))
    message = world.say(room, **_author(), **_body(args), thread_ts=_thread(room, args))
    world.tell(room, {name: value for name, value in message.items() if name != "metadata"})
    return {"channel": room.id, "ts": message["ts"], "message": message}


def post_ephemeral(world: World, args: Args) -> Args:
    """chat.postEphemeral."""
    room = world.room(args.get("channel"), write=True)
    person = required(args, "user", "user_not_in_channel")
    if person not in room.members:
        raise Refused("user_not_in_channel")
    check_content(args)
    world.ephemerals.append({**_body(args), "channel": room.id, "user": person})
    return {"message_ts": world.moment()}


def update(world: World, args: Args) -> Args:
    """chat.update."""
    room = world.room(args.get("channel"), write=False)
    if room.archived:
        raise Refused("is_inactive")
    message = world.own(room, required(args, "ts", "message_not_found"), refusal="cant_update_message")
    if message["ts"] in room.streaming:
        raise Refused("streaming_state_conflict")
    check_content(args, longest=UPDATE_TEXT)
    check_metadata(args.get("metadata"))
    body = _body(args)
    if args.get("metadata") is None:
        body["metadata"] = message.get("metadata")
    edited = {"user": BOT_USER, "ts": world.moment()}
    world.change(room, message, **body, edited=edited, streamed=None)
    return {"channel": room.id, "ts": message["ts"], "text": message.get("text", ""), "message": message}


def delete(world: World, args: Args) -> Args:
    """chat.delete."""
    room = world.room(args.get("channel"))
    message = world.own(room, required(args, "ts", "message_not_found"), refusal="cant_delete_message")
    world.remove(room, message)
    return {"channel": room.id, "ts": message["ts"]}


def start_stream(world: World, args: Args) -> Args:
    """chat.startStream."""
    room = world.room(args.get("channel"), write=True)
    if room.kind == "im":
        required(args, "thread_ts", "invalid_arguments")
    else:
        for name in ("recipient_team_id", "recipient_user_id"):
            required(args, name, f"missing_{name}")
        if args["recipient_user_id"] not in world.people:
            raise Refused("user_not_found")
    text, blocks = _streamed(args), _streamed_blocks(args)
    message = world.say(room, **_author(), text=text, streamed=text, blocks=blocks, thread_ts=_thread(room, args))
    room.streaming.add(message["ts"])
    return {"channel": room.id, "ts": message["ts"]}


def append_stream(world: World, args: Args) -> Args:
    """chat.appendStream."""
    room, message = _stream(world, args)
    if not args.get("markdown_text") and not args.get("chunks"):
        raise Refused("no_text")
    _grow(message, _streamed(args))
    message["blocks"] = [*(message.get("blocks") or ()), *(_streamed_blocks(args) or ())]
    return {"channel": room.id, "ts": message["ts"]}


def stop_stream(world: World, args: Args) -> Args:
    """chat.stopStream."""
    room, message = _stream(world, args)
    check_metadata(args.get("metadata"))
    more = _streamed(args)
    if args.get("blocks"):
        check_blocks(args["blocks"])
    _grow(message, more)
    room.streaming.discard(message["ts"])
    if args.get("metadata"):
        message["metadata"] = args["metadata"]
    message["blocks"] = [*(message.get("blocks") or ()), *(args.get("blocks") or ())]
    world.tell(room, {name: value for name, value in message.items() if name not in ("metadata", "streamed")})
    return {"channel": room.id, "ts": message["ts"], "message": message}


def _author() -> Args:
    profile = {"id": BOT, "name": "Portal", "app_id": APP}
    return {"user": BOT_USER, "bot_id": BOT, "app_id": APP, "bot_profile": profile}


def _body(args: Args) -> Args:
    """Fields of a message that was checked."""
    blocks = args.get("blocks")
    if args.get("markdown_text"):
        blocks = [{"type": "markdown", "text": args["markdown_text"]}]
    text = args.get("text") or args.get("markdown_text") or ""
    return {"text": text, "blocks": blocks, "metadata": args.get("metadata") or None}


def _thread(room: SlackRoom, args: Args) -> str | None:
    thread = args.get("thread_ts")
    if thread is None:
        return None
    root = room.messages.get(str(thread))
    if root is None:
        raise Refused("thread_not_found")
    return str(root.get("thread_ts", thread))


def _streamed(args: Args) -> str:
    """The text of a call. Raises Refused."""
    text = args.get("markdown_text") or ""
    if args.get("chunks") is not None:
        if text:
            raise Refused("invalid_arguments")
        text = check_chunks(args["chunks"])
    if len(text) > MARKDOWN_TEXT:
        raise Refused("msg_too_long")
    return str(text)


def _streamed_blocks(args: Args) -> list[Args] | None:
    return [block for chunk in args.get("chunks") or () for block in chunk.get("blocks") or ()] or None


def _stream(world: World, args: Args) -> tuple[SlackRoom, Args]:
    room = world.room(args.get("channel"), write=True)
    message = world.own(room, required(args, "ts", "message_not_found"), refusal="message_not_owned_by_app")
    if message["ts"] not in room.streaming:
        raise Refused("message_not_in_streaming_state")
    return room, message


def _grow(message: Args, more: str) -> None:
    if len(message["streamed"]) + len(more) > MARKDOWN_TEXT:
        raise Refused("msg_too_long")
    message["streamed"] += more
    message["text"] = message["streamed"]
