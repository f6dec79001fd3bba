"""What the stand-in of Slack tells about rooms and people, and its files, views and assistant threads."""

from collections.abc import Iterable
from typing import Any

from portal.testing.slack_server_chat import Args
from portal.testing.slack_server_rules import Refused, check_content, check_view, flag, required
from portal.testing.slack_server_world import APP, BOT, BOT_USER, TEAM, SlackRoom, World

_MOST_MESSAGES, _LARGEST_FILE, _MOST_PROMPTS = 999, 2**30, 4


def auth_test(world: World, args: Args) -> Args:
    """auth.test."""
    who = {"url": "https://acme.slack.com/", "team": "Acme", "user": "portal", "team_id": TEAM, "user_id": BOT_USER}
    return {**who, "bot_id": BOT, "is_enterprise_install": False}


def history(world: World, args: Args) -> Args:
    """conversations.history: newest first, without replies in threads."""
    room = _read(world, args)
    found = [one for one in room.messages.values() if one.get("thread_ts", one["ts"]) == one["ts"]]
    return _page(reversed(found), args)


def replies(world: World, args: Args) -> Args:
    """conversations.replies: a thread, oldest first."""
    room = _read(world, args)
    ts = required(args, "ts", "thread_not_found")
    if ts not in room.messages:
        raise Refused("thread_not_found")
    return _page(room.thread(ts), args, keep=ts)


def info(world: World, args: Args) -> Args:
    """conversations.info."""
    return {"channel": world.room(required(args, "channel", "channel_not_found")).shown()}


def open_direct(world: World, args: Args) -> Args:
    """conversations.open."""
    person = required(args, "users", "users_list_not_supplied")
    if person not in world.people:
        raise Refused("user_not_found")
    return {"channel": {"id": world.direct(person).id}}


def own_rooms(world: World, args: Args) -> Args:
    """users.conversations: the rooms that the app is in."""
    kinds = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
    wanted = {kinds.get(kind.strip(), "") for kind in str(args.get("types") or "public_channel").split(",")}
    if "" in wanted:
        raise Refused("invalid_types")
    inside = [one for one in world.rooms.values() if BOT_USER in one.members and not one.deleted]
    found = [one.shown() for one in inside if one.kind in wanted]
    if flag(args, "exclude_archived"):
        found = [one for one in found if not one["is_archived"]]
    return _cut("channels", found, args)


def person(world: World, args: Args) -> Args:
    """users.info."""
    found = world.people.get(required(args, "user", "user_not_found"))
    if found is None:
        raise Refused("user_not_found")
    return {"user": found.shown()}


def upload_url(world: World, args: Args) -> Args:
    """files.getUploadURLExternal; the server fills in its own address."""
    name, length = required(args, "filename", "invalid_arguments"), str(args.get("length", ""))
    if not length.isdigit() or int(length) == 0:
        raise Refused("invalid_arguments")
    if int(length) > _LARGEST_FILE:
        raise Refused("file_upload_size_restricted")
    file = world.number("F")
    made = {"id": file, "name": name, "title": name, "size": int(length), "user": BOT_USER, "shares": {}}
    if args.get("alt_txt"):
        made["alt_txt"] = args["alt_txt"]
    world.files[file] = {**made, "mimetype": "application/octet-stream", "complete": False}
    return {"file_id": file, "upload_url": f"/upload/v1/{file}"}


def complete_upload(world: World, args: Args) -> Args:
    """files.completeUploadExternal: all files in one message."""
    wanted = args.get("files")
    if not isinstance(wanted, list) or not wanted:
        raise Refused("invalid_arguments")
    chosen = [_uploaded(world, one) for one in wanted]
    if args.get("channel_id"):
        room = world.room(args["channel_id"], write=True)
        if args.get("initial_comment"):
            check_content({"text": args["initial_comment"]})
        thread = args.get("thread_ts")
        if thread is not None and thread not in room.messages:
            raise Refused("invalid_thread_ts")
        share_files(world, room, chosen, user=BOT_USER, text=args.get("initial_comment") or "", thread=thread, bot=BOT)
    for one in chosen:
        one["complete"] = True
    return {"files": [{"id": one["id"], "title": one["title"]} for one in chosen]}


def share_files(
    world: World,
    room: SlackRoom,
    files: list[Args],
    *,
    user: str,
    text: str,
    thread: str | None,
    bot: str | None = None,
) -> Args:
    """The message that shows files, told to the app as well."""
    shown = [{name: value for name, value in one.items() if name not in ("shares", "complete")} for one in files]
    app = APP if bot else None
    message = world.say(
        room, user=user, bot_id=bot, app_id=app, text=text, files=shown, thread_ts=thread, subtype="file_share"
    )
    for one in files:
        kind = "public" if room.kind == "channel" else "private"
        one["shares"].setdefault(kind, {}).setdefault(room.id, []).append({"ts": message["ts"]})
    world.tell(room, message)
    return message


def file_info(world: World, args: Args) -> Args:
    """files.info."""
    return {"file": _file(world, required(args, "file", "file_not_found"))}


def react(world: World, args: Args) -> Args:
    """reactions.add."""
    room = world.room(required(args, "channel", "channel_not_found"))
    message = room.messages.get(required(args, "timestamp", "bad_timestamp"))
    name = required(args, "name", "no_reaction")
    if message is None:
        raise Refused("message_not_found")
    put_reaction(message, name, BOT_USER)
    return {}


def put_reaction(message: Args, name: str, user: str) -> None:
    """Put it under a message. Raises Refused."""
    there = message.setdefault("reactions", [])
    found = next((one for one in there if one["name"] == name), None)
    if found is None:
        found = {"name": name, "users": [], "count": 0}
        there.append(found)
    if user in found["users"]:
        raise Refused("already_reacted")
    found["users"].append(user)
    found["count"] += 1


def publish(world: World, args: Args) -> Args:
    """views.publish."""
    who = required(args, "user_id", "user_not_found")
    if who not in world.people:
        raise Refused("user_not_found")
    check_view(args.get("view"), kind="home")
    view = {**args["view"], "id": world.number("V"), "team_id": TEAM, "app_id": APP}
    world.homes[who] = view
    return {"view": view}


def open_view(world: World, args: Args) -> Args:
    """views.open."""
    required(args, "trigger_id", "invalid_trigger_id")
    check_view(args.get("view"), kind="modal")
    view = {**args["view"], "id": world.number("V"), "team_id": TEAM, "app_id": APP}
    world.modals.append(view)
    return {"view": view}


def set_status(world: World, args: Args) -> Args:
    """assistant.threads.setStatus."""
    room, thread = _assistant(world, args)
    if not isinstance(args.get("status"), str):
        raise Refused("invalid_arguments")
    world.statuses.append((room.id, thread, args["status"]))
    return {}


def set_prompts(world: World, args: Args) -> Args:
    """assistant.threads.setSuggestedPrompts."""
    room, thread = _assistant(world, args)
    prompts = args.get("prompts")
    if not isinstance(prompts, list) or not 0 < len(prompts) <= _MOST_PROMPTS:
        raise Refused("invalid_arguments")
    if not all(isinstance(one, dict) and one.get("title") and one.get("message") for one in prompts):
        raise Refused("invalid_arguments")
    world.prompts[room.id, thread] = prompts
    return {}


def set_title(world: World, args: Args) -> Args:
    """assistant.threads.setTitle."""
    room, thread = _assistant(world, args)
    world.titles[room.id, thread] = required(args, "title", "invalid_arguments")
    return {}


def _assistant(world: World, args: Args) -> tuple[SlackRoom, str]:
    room, thread = world.room(required(args, "channel_id", "channel_not_found")), required(args, "thread_ts")
    if thread not in room.messages:
        raise Refused("invalid_thread_ts")
    return room, thread


def _read(world: World, args: Args) -> SlackRoom:
    room = world.room(required(args, "channel", "channel_not_found"))
    if BOT_USER not in room.members:
        raise Refused("not_in_channel")
    return room


def _page(found: Iterable[Args], args: Args, *, keep: str = "") -> Args:
    oldest, latest = float(args.get("oldest") or 0), float(args.get("latest") or "inf")
    closed = flag(args, "inclusive")
    inside = [
        one
        for one in found
        if one["ts"] == keep or oldest < float(one["ts"]) < latest or (closed and float(one["ts"]) in (oldest, latest))
    ]
    if not flag(args, "include_all_metadata"):
        inside = [{name: value for name, value in one.items() if name != "metadata"} for one in inside]
    shown = [{name: value for name, value in one.items() if name != "streamed"} for one in inside]
    return _cut("messages", shown, args)


def _cut(name: str, found: list[Args], args: Args) -> Args:
    limit, start = int(args.get("limit") or 100), str(args.get("cursor") or "0")
    if not 0 < limit <= _MOST_MESSAGES:
        raise Refused("invalid_limit")
    if not start.isdigit():
        raise Refused("invalid_cursor")
    end = int(start) + limit
    more = end < len(found)
    return {name: found[int(start) : end], "has_more": more, "response_metadata": {"next_cursor": str(end) * more}}


def _file(world: World, name: str) -> Args:
    file = world.files.get(name)
    if file is None or (file["user"] != BOT_USER and not file["shares"]):
        raise Refused("file_not_found")
    return {key: value for key, value in file.items() if key != "complete"}


def _uploaded(world: World, wanted: Any) -> Args:
    file = world.files.get(str(wanted.get("id"))) if isinstance(wanted, dict) else None
    if file is None or file["complete"] or file["id"] not in world.contents:
        raise Refused("file_not_found")
    file["title"] = wanted.get("title") or file["title"]
    return file
