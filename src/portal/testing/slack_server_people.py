"""What people do in the stand-in of Slack: write, press, command, upload, open."""

import mimetypes
from typing import Any

from portal.testing.slack_server_delivery import Delivery, SlackDelivery
from portal.testing.slack_server_rooms import put_reaction, share_files
from portal.testing.slack_server_rules import flag
from portal.testing.slack_server_world import APP, BOT, BOT_USER, TEAM, SlackRoom, World


class SlackPeople(SlackDelivery):
    """Each of these is what one person does; a message's ts comes back."""

    def __init__(self, *, signing_secret: str) -> None:
        super().__init__(signing_secret=signing_secret)
        self.world = World(self.emit)
        self.url = ""
        self.responses: list[dict[str, Any]] = []
        """What came to a response_url."""
        self.response_uses: dict[str, int] = {}

    def say(self, user: str, room: str, text: str, *, thread: str | None = None, **fields: Any) -> str:
        """Write in a room; mentions of the app in it are told as such, too."""
        place = self.world.rooms[room]
        message = self.world.say(place, user=user, text=text, thread_ts=thread, **fields)
        self._told(place, message)
        return str(message["ts"])

    def mention(self, user: str, room: str, text: str, *, thread: str | None = None) -> str:
        """Write to the app in a channel."""
        return self.say(user, room, f"<@{BOT_USER}> {text}", thread=thread)

    def direct(self, user: str, text: str, *, thread: str | None = None) -> str:
        """Write to the app in private."""
        return self.say(user, self.world.direct(user).id, text, thread=thread)

    def upload(
        self, user: str, room: str, name: str, content: bytes, *, text: str = "", thread: str | None = None
    ) -> str:
        """Put a file into a room, with some words."""
        file = self.world.number("F")
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        url = f"{self.url}/files-pri/{TEAM}-{file}/download/{name}"
        made = {"id": file, "name": name, "title": name, "mimetype": kind, "size": len(content), "user": user}
        made |= {"url_private": url, "url_private_download": url, "shares": {}, "mode": "hosted"}
        self.world.files[file], self.world.contents[file] = made, content
        place = self.world.rooms[room]
        message = share_files(self.world, place, [made], user=user, text=text, thread=thread)
        if f"<@{BOT_USER}>" in text:
            self._mentioned(place, message)
        return str(message["ts"])

    def edit(self, room: str, ts: str, text: str) -> None:
        """Change a message of a person."""
        place = self.world.rooms[room]
        message = place.messages[ts]
        self.world.change(place, message, text=text, edited={"user": message["user"], "ts": self.world.moment()})

    def delete(self, room: str, ts: str) -> None:
        """Delete a message, anyone's."""
        place = self.world.rooms[room]
        self.world.remove(place, place.messages[ts])

    def react(self, user: str, room: str, ts: str, name: str) -> None:
        """Put an emoji under a message."""
        message = self.world.rooms[room].messages[ts]
        put_reaction(message, name, user)
        self._reacted("reaction_added", user, room, message, name)

    def unreact(self, user: str, room: str, ts: str, name: str) -> None:
        """Take an emoji away again."""
        message = self.world.rooms[room].messages[ts]
        message["reactions"] = [one for one in message["reactions"] if one["name"] != name]
        self._reacted("reaction_removed", user, room, message, name)

    async def press(self, user: str, room: str, ts: str, label: str) -> Delivery:
        """Press the button with this label under a message."""
        place = self.world.rooms[room]
        message = place.messages[ts]
        container = {"type": "message", "message_ts": ts, "channel_id": room, "is_ephemeral": False}
        where = {"channel": {"id": room, "name": place.name}, "message": message}
        if "thread_ts" in message:
            container["thread_ts"] = message["thread_ts"]
        return await self._press(user, message.get("blocks", ()), label, {"container": container, **where})

    async def press_at_home(self, user: str, label: str) -> Delivery:
        """Press a button of the app's Home tab."""
        view = self.world.homes[user]
        return await self._press(
            user, view["blocks"], label, {"container": {"type": "view", "view_id": view["id"]}, "view": view}
        )

    async def command(self, user: str, room: str, command: str, text: str = "") -> Delivery:
        """A slash command; its answer is in the delivery."""
        place = self.world.rooms[room]
        who = {"user_id": user, "user_name": self.world.people[user].name, "team_id": TEAM, "team_domain": "acme"}
        name = "directmessage" if place.kind == "im" else place.name
        payload = {"token": "verification", **who, "channel_id": room, "channel_name": name, "api_app_id": APP}
        payload |= {"command": command, "text": text, "is_enterprise_install": "false"}
        payload |= {"trigger_id": self.world.number("trigger."), "response_url": self._response_url()}
        return await self._once(Delivery(way="slash_commands", payload=payload))

    def open_home(self, user: str, *, tab: str = "home") -> None:
        """Look at the app's own page."""
        room = self.world.direct(user)
        event = {"type": "app_home_opened", "user": user, "channel": room.id, "tab": tab}
        self.emit({**event, "event_ts": self.world.moment()})

    def open_assistant(self, user: str) -> tuple[str, str]:
        """Open the Assistant pane: the room and the thread that begin with it."""
        room = self.world.direct(user)
        root = self.world.say(
            room, user=BOT_USER, bot_id=BOT, text="New Assistant Thread", subtype="assistant_app_thread"
        )
        thread = {"user_id": user, "channel_id": room.id, "thread_ts": root["ts"], "context": {}}
        event = {"type": "assistant_thread_started", "assistant_thread": thread, "event_ts": self.world.moment()}
        self.emit(event)
        return room.id, str(root["ts"])

    def uninstall(self) -> None:
        """The app is taken out of the workspace."""
        self.emit({"type": "app_uninstalled"})

    def respond(self, secret: str, body: dict[str, Any]) -> bool:
        """A call of a response_url: whether it was taken; each can be used five times."""
        if self.response_uses.get(secret, 5) >= 5:
            return False
        self.response_uses[secret] += 1
        self.responses.append(body)
        self.notify()
        return True

    def _told(self, room: SlackRoom, message: dict[str, Any]) -> None:
        self.world.tell(room, {**message, "client_msg_id": self.world.number("client-")})
        if f"<@{BOT_USER}>" in message["text"] and room.kind != "im":
            self._mentioned(room, message)

    def _mentioned(self, room: SlackRoom, message: dict[str, Any]) -> None:
        self.emit({**message, "type": "app_mention", "channel": room.id, "event_ts": message["ts"]})

    def _reacted(self, kind: str, user: str, room: str, message: dict[str, Any], name: str) -> None:
        item = {"type": "message", "channel": room, "ts": message["ts"]}
        event = {"type": kind, "user": user, "reaction": name, "item": item, "item_user": message.get("user")}
        self.emit({**event, "event_ts": self.world.moment()})

    async def _press(self, user: str, blocks: Any, label: str, where: dict[str, Any]) -> Delivery:
        elements = [(block, one) for block in blocks for one in block.get("elements", ()) if block["type"] == "actions"]
        elements += [(block, block["accessory"]) for block in blocks if "accessory" in block]
        block, button = next((b, e) for b, e in elements if e.get("text", {}).get("text") == label)
        action = {"type": "button", "action_id": button.get("action_id", ""), "block_id": block.get("block_id", "")}
        action |= {"text": button["text"], "value": button.get("value"), "action_ts": self.world.moment()}
        who = {"id": user, "username": self.world.people[user].name, "team_id": TEAM}
        identity = {"type": "block_actions", "user": who, "api_app_id": APP, "token": "verification"}
        payload: dict[str, Any] = {**identity, "team": {"id": TEAM, "domain": "acme"}, "actions": [action], **where}
        payload["trigger_id"] = self.world.number("trigger.")
        if "message" in where and not flag(where["container"], "is_ephemeral"):
            payload["response_url"] = self._response_url()
        return await self._once(Delivery(way="interactive", payload=payload))

    async def _once(self, delivery: Delivery) -> Delivery:
        self.deliveries.append(delivery)
        await self.deliver(delivery)
        return delivery

    def _response_url(self) -> str:
        secret = self.world.number("response")
        self.response_uses[secret] = 0
        return f"{self.url}/actions/{TEAM}/{secret}"
