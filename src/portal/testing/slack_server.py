"""A strict stand-in of Slack: Web API, Socket Mode, Events API, interactivity, slash commands and files; no workspace.

    async with SlackServer() as server:                      # its Web API is at server.api
        server.world.add_channel("C1", "U1")
        ts = server.mention("U1", "C1", "hello")             # what people do: see SlackPeople
        await server.wait(lambda: server.world.spoken("C1", ts))
        server.fail("chat.postMessage", SlackFault.NO_REPLY) # what goes wrong, once
        server.calls[-1].args                                # what was called
        server.withholding = True                            # events stay away while all looks healthy: SlackDelivery

With `install(manifest)` it holds an app to its manifest: scopes, subscribed events, commands, Socket Mode. Written from
Slack's documentation (docs.slack.dev, 2026-11). Where that is silent it is stricter than Slack: a streamed message has
12,000 characters in all, blocks of one message 13,000 (seen in slackapi/bolt-js 2509), each channel gets one message a
second without bursts, and the tiers are counted without the bursts that Slack grants.

Not covered: OAuth and token rotation, Enterprise Grid and several workspaces, Slack Connect, user tokens, scheduled
messages, canvases, lists, workflows and functions, search, work objects, `unfurl_*`, modals beyond `views.open`,
`view_submission`, selects and other inputs, rich_text and table blocks, attachments' content, broadcasting of replies,
pins, bookmarks, user groups, presence, the free plan's limits, how Slack draws anything.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from portal.testing import slack_server_chat as chat
from portal.testing import slack_server_rooms as rooms
from portal.testing.slack_server_people import SlackPeople
from portal.testing.slack_server_rules import Refused, parsed

_TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
_MINUTE = 60.0


class SlackFault(Enum):
    """What goes wrong with a call."""

    RATELIMITED = "429 with Retry-After"
    ERROR = "an answer that says no, with the error given"
    SERVER_ERROR = "500 with no JSON"
    TIMEOUT = "nothing is done, and no answer comes"
    DROPPED = "nothing is done, and the connection is torn down"
    NO_REPLY = "it is carried out, and no answer comes"
    CUT = "it is carried out, and the connection is torn down"


@dataclass(slots=True, kw_only=True)
class SlackCall:
    """A call of the Web API; `error` is empty while it is under way and when it went well."""

    method: str
    args: dict[str, Any]
    moment: float
    """By the event loop's clock."""
    done: bool = False
    """Whether it was carried out."""
    error: str = ""
    fault: SlackFault | None = None


@dataclass(frozen=True, slots=True)
class _Method:
    run: Callable[[Any, chat.Args], chat.Args]
    scope: str
    tier: int


_METHODS = {
    "auth.test": _Method(rooms.auth_test, "", 4),
    "chat.postMessage": _Method(chat.post_message, "chat:write", 0),
    "chat.postEphemeral": _Method(chat.post_ephemeral, "chat:write", 4),
    "chat.update": _Method(chat.update, "chat:write", 3),
    "chat.delete": _Method(chat.delete, "chat:write", 3),
    "chat.startStream": _Method(chat.start_stream, "chat:write", 2),
    "chat.appendStream": _Method(chat.append_stream, "chat:write", 4),
    "chat.stopStream": _Method(chat.stop_stream, "chat:write", 2),
    "conversations.history": _Method(rooms.history, "history", 3),
    "conversations.replies": _Method(rooms.replies, "history", 3),
    "conversations.info": _Method(rooms.info, "read", 3),
    "conversations.open": _Method(rooms.open_direct, "im:write", 3),
    "users.conversations": _Method(rooms.own_rooms, "read", 3),
    "users.info": _Method(rooms.person, "users:read", 4),
    "files.getUploadURLExternal": _Method(rooms.upload_url, "files:write", 4),
    "files.completeUploadExternal": _Method(rooms.complete_upload, "files:write", 4),
    "files.info": _Method(rooms.file_info, "files:read", 4),
    "reactions.add": _Method(rooms.react, "reactions:write", 3),
    "views.publish": _Method(rooms.publish, "", 4),
    "views.open": _Method(rooms.open_view, "", 4),
    "assistant.threads.setStatus": _Method(rooms.set_status, "assistant:write", 4),
    "assistant.threads.setSuggestedPrompts": _Method(rooms.set_prompts, "assistant:write", 4),
    "assistant.threads.setTitle": _Method(rooms.set_title, "assistant:write", 4),
}
_KINDS = {"channel": "channels", "group": "groups", "im": "im", "mpim": "mpim"}


@dataclass(slots=True)
class _Failure:
    fault: SlackFault
    times: int
    error: str
    retry_after: int
    after: int


@dataclass(slots=True)
class _Bucket:
    """At most `most` calls in `span` seconds."""

    moments: list[float] = field(default_factory=list)

    def wait(self, moment: float, most: int, span: float) -> float:
        """Seconds until the next one is allowed; at 0 it counts."""
        self.moments = [one for one in self.moments if one > moment - span]
        if len(self.moments) < most:
            self.moments.append(moment)
            return 0
        return self.moments[0] + span - moment


class SlackServer(SlackPeople):
    """Slack on loopback. `api` is the Web API's base address, `calls` what was called, in order."""

    def __init__(
        self,
        *,
        bot_token: str = "xoxb-1-portal",  # noqa: S107 -- of a stand-in
        app_token: str = "xapp-1-portal",  # noqa: S107
        signing_secret: str = "8f742231b10e8888abcd99yyyzzz85a5",  # noqa: S107
        post_interval: float = 1.0,
    ) -> None:
        super().__init__(signing_secret=signing_secret)
        self.bot_token, self.app_token = bot_token, app_token
        self.scopes: set[str] | None = None
        """What the app may do; None for everything."""
        self.revoked = False
        self.post_interval = post_interval
        """Seconds between two messages in one channel."""
        self.limited = True
        """Whether the tiers' limits hold."""
        self.calls: list[SlackCall] = []
        self._failures: dict[str, list[_Failure]] = defaultdict(list)
        self._buckets: dict[str, _Bucket] = defaultdict(_Bucket)
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.socket_mode = True
        self.api = ""

    def install(self, manifest: Mapping[str, Any]) -> None:
        """Hold the app to this manifest."""
        settings, features = manifest["settings"], manifest["features"]
        self.scopes = set(manifest["oauth_config"]["scopes"]["bot"])
        self.subscribed = set(settings["event_subscriptions"]["bot_events"])
        self.socket_mode = bool(settings.get("socket_mode_enabled"))
        if not features.get("app_home", {}).get("home_tab_enabled"):
            self.subscribed.discard("app_home_opened")

    def fail(
        self,
        method: str,
        fault: SlackFault,
        *,
        times: int = 1,
        error: str = "internal_error",
        retry_after: int = 1,
        after: int = 0,
    ) -> None:
        """Let the next calls of a method go wrong, after some that go well."""
        self._failures[method].append(_Failure(fault, times, error, retry_after, after))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; at the same port again after `stop`."""
        app = web.Application(client_max_size=2**30)
        app.add_routes(
            [
                web.route("*", "/api/{method}", self._call),
                web.get("/link/", self.socket),
                web.post("/upload/v1/{file}", self._upload),
                web.get("/files-pri/{file}/download/{name}", self._download),
                web.post("/actions/{team}/{secret}", self._respond),
            ]
        )
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.api = f"{self.url}/api/"

    async def stop(self) -> None:
        """Go away, closing every connection."""
        await self.end_work()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def called(self, method: str) -> list[SlackCall]:
        """The calls of a method so far."""
        return [call for call in self.calls if call.method == method]

    async def _call(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        args = dict(request.query)
        if request.content_type == "application/json":
            args |= await request.json()
        elif request.method == "POST":
            args |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ").strip() or args.pop("token", "")
        call = SlackCall(method=method, args=args, moment=asyncio.get_running_loop().time())
        self.calls.append(call)
        self.notify()
        failure = self._failure(method)
        if failure is not None:
            call.fault = failure.fault
            early = await self._break(request, call, failure)
            if early is not None:
                return early
        answer, headers, status = self._answer(call, token)
        call.done = not call.error
        self.notify()
        if failure is not None:
            await self._hang(request, torn=failure.fault is SlackFault.CUT)
        return web.json_response(answer, headers=headers, status=status)

    def _answer(self, call: SlackCall, token: str) -> tuple[dict[str, Any], dict[str, str], int]:
        try:
            return {"ok": True, **self._carried_out(call, token)}, {}, 200
        except Refused as refused:
            call.error = refused.error
            if refused.error == "ratelimited":
                wait = str(refused.more["retry_after"])
                return {"ok": False, "error": "ratelimited"}, {"Retry-After": wait}, 429
            return {"ok": False, "error": refused.error, **refused.more}, {}, 200

    def _carried_out(self, call: SlackCall, token: str) -> dict[str, Any]:
        self._authorise(call.method, token)
        if call.method == "apps.connections.open":
            if not self.socket_mode:
                raise Refused("socket_mode_not_enabled")
            return {"url": self.ticket(self.url)}
        method = _METHODS.get(call.method)
        if method is None:
            raise Refused("unknown_method")
        call.args = args = parsed(call.args)
        self._permit(method.scope, args)
        self._pace(call, method)
        result = method.run(self.world, args)
        if call.method == "files.getUploadURLExternal":
            result["upload_url"] = self.url + result["upload_url"]
        return result

    def _authorise(self, method: str, token: str) -> None:
        if not token:
            raise Refused("not_authed")
        if token not in (self.bot_token, self.app_token):
            raise Refused("invalid_auth")
        if self.revoked:
            raise Refused("token_revoked")
        if (token == self.app_token) != (method == "apps.connections.open"):
            raise Refused("not_allowed_token_type")

    def _permit(self, scope: str, args: Mapping[str, Any]) -> None:
        """Raises Refused where the app has not got a scope."""
        needed = scope
        if scope in ("history", "read"):
            room = self.world.rooms.get(str(args.get("channel", "")))
            needed = f"{_KINDS[room.kind]}:{scope}" if room is not None else ""
        if needed and self.scopes is not None and needed not in self.scopes:
            raise Refused("missing_scope", needed=needed, provided=",".join(sorted(self.scopes)))

    def _pace(self, call: SlackCall, method: _Method) -> None:
        """Raises Refused where calls come too fast: per method, and messages per channel."""
        if method.tier == 0:
            room = str(call.args.get("channel"))
            wait = self._buckets[f"{call.method} {room}"].wait(call.moment, 1, self.post_interval)
        else:
            wait = self._buckets[call.method].wait(call.moment, _TIERS[method.tier], _MINUTE) if self.limited else 0
        if wait > 0:
            raise Refused("ratelimited", retry_after=math.ceil(wait))

    def _failure(self, method: str) -> _Failure | None:
        queue = self._failures[method]
        if not queue:
            return None
        if queue[0].after > 0:
            queue[0].after -= 1
            return None
        queue[0].times -= 1
        return queue.pop(0) if queue[0].times <= 0 else queue[0]

    async def _break(self, request: web.Request, call: SlackCall, failure: _Failure) -> web.Response | None:
        """The answer of a call that fails before anything is done."""
        fault = failure.fault
        if fault in (SlackFault.TIMEOUT, SlackFault.DROPPED):
            await self._hang(request, torn=fault is SlackFault.DROPPED)
        if fault is SlackFault.RATELIMITED:
            call.error = "ratelimited"
            after = {"Retry-After": str(failure.retry_after)}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=after)
        if fault is SlackFault.SERVER_ERROR:
            call.error = "server_error"
            return web.Response(status=500, text="<html>oh no</html>", content_type="text/html")
        if fault is SlackFault.ERROR:
            call.error = failure.error
            return web.json_response({"ok": False, "error": failure.error})
        return None

    async def _hang(self, request: web.Request, *, torn: bool) -> None:
        if torn and request.transport is not None:
            request.transport.abort()
        await asyncio.Event().wait()

    async def _upload(self, request: web.Request) -> web.Response:
        file = self.world.files.get(request.match_info["file"])
        form = request.content_type == "multipart/form-data"
        content = await _part(request) if form else await request.read()
        if file is None or file["complete"] or len(content) != file["size"]:
            return web.Response(status=400, text="bad upload")
        self.world.contents[file["id"]] = content
        return web.Response(text=f"OK - {len(content)}")

    async def _download(self, request: web.Request) -> web.Response:
        content = self.world.contents.get(request.match_info["file"].partition("-")[2])
        if request.headers.get("Authorization") != f"Bearer {self.bot_token}" or self.revoked:
            return web.Response(text="<!DOCTYPE html><title>Sign in to Slack</title>", content_type="text/html")
        if content is None:
            return web.Response(status=404)
        return web.Response(body=content, content_type="application/octet-stream")

    async def _respond(self, request: web.Request) -> web.Response:
        taken = self.respond(request.match_info["secret"], await request.json())
        return web.Response(text="ok") if taken else web.Response(status=404, text="used_url")


async def _part(request: web.Request) -> bytes:
    """The file of a form."""
    form = await request.post()
    found = next(iter(form.values()))
    return found.file.read() if isinstance(found, web.FileField) else str(found).encode()
