"""Attacks that have succeeded against programs of this kind, tried at the doors of a running Portal: each says what got
through, or nothing. They act as people made for it, who are removed afterwards."""

import base64
import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import sleep
from typing import Any
from urllib.parse import urlencode, urlsplit

from portal.cli.attacks_outbound import SPELLINGS
from portal.errors import PortalError

_SECONDS = 30
_REFUSED, _TOO_MANY, _TRIES = 400, 429, 30
_LOOKS, _PAUSE = 900, 0.2
_SAID = "What only the victim knows."
_EVIL = "https://evil.example"
_ME = "/portal/v1/me"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes = b""
    cookie: str = ""

    @property
    def let_in(self) -> bool:
        """Whether it did what was asked."""
        return 100 < self.status < 300

    def json(self) -> Any:
        """Raises PortalError where it refused, or said something else."""
        try:
            found = json.loads(self.body)
        except ValueError as error:
            raise PortalError(f"The server answered with something else than JSON (status {self.status}).") from error
        if not self.let_in:
            raise PortalError(f"The attacks could not be prepared: the server answered {self.status}: {found}")
        return found


def knock(
    url: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    hosts: tuple[str, ...] = (),
) -> Answer:
    """One request, just as it is written here; `hosts` are its Host headers where they are not the server's own.

    Raises:
        PortalError: nobody answers.
    """
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    if address.scheme == "https":
        # whoever has this port here is who is attacked, whatever it calls itself
        whoever = ssl._create_unverified_context()  # noqa: S323
        connection = HTTPSConnection(address.hostname or "", address.port, timeout=_SECONDS, context=whoever)
    content = b"" if body is None else json.dumps(body).encode()
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for host in hosts or (address.netloc,):
            connection.putheader("Host", host)
        if body is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(content or None)
        answer = connection.getresponse()
        said = b"" if answer.status == 101 else answer.read()
        return Answer(answer.status, said, (answer.getheader("set-cookie") or "").partition(";")[0])
    except (OSError, HTTPException) as error:
        raise PortalError(f"The server at {url} does not answer: {error or type(error).__name__}") from error
    finally:
        connection.close()


@dataclass(slots=True, kw_only=True)
class Stage:
    """A server, and the people of the attacks."""

    url: str
    owner: str
    """The token of who runs it."""
    key: str = ""
    """The attacker's: an ordinary member."""
    cookie: str = ""
    narrow: str = ""
    """A key of the attacker's that may use no model."""
    suspended: str = ""
    """The key of somebody who is suspended."""
    victim: str = ""
    conversation: str = ""
    response: str = ""
    people: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, key: str = "", body: Any = None, **more: Any) -> Answer:
        """With a key as clients send it."""
        sent = {"Authorization": f"Bearer {key or self.key}", **more.pop("headers", {})}
        return knock(self.url, method, path, headers=sent, body=body, **more)

    def person(self, name: str) -> tuple[str, str]:
        """Somebody new: their id and their session."""
        made = self.ask("POST", "/portal/v1/users", self.owner, {"name": name, "role": "member"}).json()
        self.people.append(made["id"])
        return made["id"], knock(self.url, "GET", f"/sign-in?{urlsplit(made['url']).query}").cookie

    def new_key(self, cookie: str, name: str, **bounds: Any) -> str:
        """A key of whoever is signed in by this cookie."""
        headers = {"Cookie": cookie, "Origin": self.url}
        made = knock(self.url, "POST", "/portal/v1/keys", headers=headers, body={"name": name, **bounds})
        return str(made.json()["key"])


@contextmanager
def staged(url: str, owner: str) -> Iterator[Stage]:
    """The people, and what the victim has; all of it is gone afterwards. Raises PortalError."""
    stage = Stage(url=url.rstrip("/"), owner=owner)
    try:
        _, stage.cookie = stage.person("Audit: attacker")
        stage.key = stage.new_key(stage.cookie, "all")
        stage.narrow = stage.new_key(stage.cookie, "narrow", scopes=["models:none-such"])
        stage.victim, cookie = stage.person("Audit: victim")
        theirs = stage.new_key(cookie, "all")
        stage.conversation = stage.ask("POST", "/v1/conversations", theirs, {}).json()["id"]
        asked = {"model": "portal-guide", "input": _SAID, "conversation": stage.conversation, "background": True}
        stage.response = stage.ask("POST", "/v1/responses", theirs, asked).json()["id"]
        _await_answer(stage, theirs)
        gone, cookie = stage.person("Audit: suspended")
        stage.suspended = stage.new_key(cookie, "all")
        stage.ask("PATCH", f"/portal/v1/users/{gone}", owner, {"suspended": True}).json()
        yield stage
    finally:
        for user in stage.people:
            stage.ask("DELETE", f"/portal/v1/users/{user}?everything=true", owner)


def _await_answer(stage: Stage, key: str) -> None:
    """The first one of a server takes its time on a slow machine. Raises PortalError."""
    for _ in range(_LOOKS):
        told = stage.ask("GET", f"/v1/responses/{stage.response}", key).json()
        if told.get("status") not in ("queued", "in_progress"):
            return
        sleep(_PAUSE)
    raise PortalError("The attacks could not be prepared: there is no answer that could be attacked.")


def _first(tries: Mapping[str, Callable[[], Answer]]) -> str:
    """The first that was let in."""
    return next((name for name, attempt in tries.items() if attempt().let_in), "")


def others_conversations(stage: Stage) -> str:
    """Reads a conversation by its id."""
    paths = (
        f"/v1/conversations/{stage.conversation}",
        f"/v1/conversations/{stage.conversation}/items",
        f"/portal/v1/conversations/{stage.conversation}",
    )
    return _first({path: lambda path=path: stage.ask("GET", path) for path in paths})  # type: ignore[misc]


def others_streams(stage: Stage) -> str:
    """Attaches to an answer by its id, or goes on from it."""
    at, goes_on = f"/v1/responses/{stage.response}", {"model": "portal-guide", "input": "What did I say?"}
    return _first(
        {
            "read": lambda: stage.ask("GET", at),
            "stream": lambda: stage.ask("GET", f"{at}?stream=true&starting_after=0"),
            "cancel": lambda: stage.ask("POST", f"{at}/cancel"),
            "go on": lambda: stage.ask(
                "POST", "/v1/responses", body={**goes_on, "previous_response_id": stage.response}
            ),
            "into it": lambda: stage.ask("POST", "/v1/responses", body={**goes_on, "conversation": stage.conversation}),
        }
    )


def bodyless_delete(stage: Stage) -> str:
    """Deletes by a request without a body: as a stranger, as another member, from another page."""
    path, session = f"/v1/conversations/{stage.conversation}", {"Cookie": stage.cookie}
    return _first(
        {
            "nobody": lambda: knock(stage.url, "DELETE", path),
            "another": lambda: stage.ask("DELETE", path),
            "another's page": lambda: knock(
                stage.url, "DELETE", f"/portal/v1/conversations/{stage.conversation}", headers=session
            ),
            "somebody": lambda: stage.ask("DELETE", f"/portal/v1/users/{stage.victim}?everything=true"),
        }
    )


def header_alias(stage: Stage) -> str:
    """Sends a bounded key under the other names that clients have for it."""
    body = {"model": "portal-guide", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
    basic = base64.b64encode(f"user:{stage.narrow}".encode()).decode()
    ways: dict[str, dict[str, str]] = {
        "authorization": {"Authorization": f"Bearer {stage.narrow}"},
        "small letters": {"authorization": f"bearer  {stage.narrow}"},
        "x-api-key": {"X-Api-Key": stage.narrow},
        "api-key": {"Api-Key": stage.narrow},
        "x-goog-api-key": {"X-Goog-Api-Key": stage.narrow},
        "basic": {"Authorization": f"Basic {basic}"},
        "both": {"X-Api-Key": stage.narrow, "Authorization": ""},
    }
    doors = ("/v1/chat/completions", "/v1/messages", "/api/chat", f"/v1/chat/completions?key={stage.narrow}")
    for door in doors:
        for way, headers in ways.items():
            sent = {**headers, **({"X-Forwarded-For": "192.0.2.7"} if door == "/api/chat" else {})}
            if knock(stage.url, "POST", door, headers=sent, body=body).let_in:
                return f"{way} at {door.partition('?')[0]}"
    return ""


def chosen_identity(stage: Stage) -> str:
    """Says in a header who it is."""
    names = ("X-Forwarded-User", "Remote-User", "X-User-Id", "X-Forwarded-Email", "X-OpenWebUI-User-Id", "X-Owner")
    chosen = dict.fromkeys(names, stage.victim)
    if knock(stage.url, "GET", _ME, headers=chosen).let_in:
        return "without a key"
    answer = stage.ask("GET", _ME, headers=chosen)
    return "beside a key" if answer.let_in and answer.json()["user"]["id"] == stage.victim else ""


def suspended_key(stage: Stage) -> str:
    """Uses the key of somebody who is suspended."""
    return _first({path: lambda path=path: stage.ask("GET", path, stage.suspended) for path in (_ME, "/v1/models")})  # type: ignore[misc]


def rebinding(stage: Stage) -> str:
    """Comes under a name that somebody made lead to this machine, or under two names."""
    own = urlsplit(stage.url).netloc
    return _first(
        {
            "another name": lambda: stage.ask("GET", _ME, hosts=("evil.example",)),
            "the port alone": lambda: stage.ask("GET", _ME, hosts=(f"evil.example:{urlsplit(stage.url).port}",)),
            "two names": lambda: stage.ask("GET", _ME, hosts=(own, "evil.example")),
            "Ollama's API": lambda: knock(stage.url, "GET", "/api/tags", hosts=("evil.example",)),
            "below another": lambda: stage.ask("GET", _ME, hosts=("localhost.evil.example",)),
            "with a user": lambda: stage.ask("GET", _ME, hosts=("localhost@evil.example",)),
        }
    )


def other_pages(stage: Stage) -> str:
    """Has a browser that is signed in do something for a page of somebody else's."""
    tries = {}
    for origin in (_EVIL, "null", f"{stage.url}.evil.example", ""):
        headers = {"Cookie": stage.cookie, **({"Origin": origin} if origin else {})}
        tries[origin or "no origin"] = lambda headers=headers: knock(
            stage.url, "POST", "/portal/v1/links", headers=headers
        )
    return _first(tries)


def socket_origin(stage: Stage) -> str:
    """Opens a WebSocket with the session of a browser from a page of somebody else's."""
    key = base64.b64encode(b"0123456789abcdef").decode()
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    for origin in (_EVIL, "null", f"{stage.url}.evil.example", ""):
        headers = {**upgrade, "Cookie": stage.cookie, **({"Origin": origin} if origin else {})}
        if knock(stage.url, "GET", "/v1/responses", headers=headers).status == 101:
            return origin or "no origin"
    return ""


def other_spellings(stage: Stage) -> str:
    """Writes a path so that who guards it and who answers it read it differently, without any key."""
    for path in (
        "//portal/v1/me",
        "/portal//v1/me",
        "/portal/v1/./me",
        "/static/../portal/v1/me",
        "/static/%2e%2e/portal/v1/me",
        "/portal/v1/me/",
        "/portal/v1/me;.css",
        "/%70ortal/v1/me",
        "/PORTAL/V1/me",
        "/portal/v1/me%00",
        "/v1%2fmodels",
        f"{stage.url}/portal/v1/me",
    ):
        answer = knock(stage.url, "GET", path)
        if answer.let_in and b'"user"' in answer.body and b'"preferences"' in answer.body:
            return path
    return ""


def started_program(stage: Stage) -> str:
    """Adds a tool server that is a program, or has arguments of its own: over HTTP nobody may, the owner neither."""
    listed = {"mcpServers": {"evil": {"command": "sh", "args": ["-c", "id"]}}}
    at = "/portal/v1/mcp/servers"
    bodies: dict[str, tuple[str, Any]] = {
        "command": (at, {"name": "evil", "command": "sh", "args": ["-c", "id"]}),
        "arguments": (at, {"name": "evil", "shipped": "time", "args": ["--", "; id"]}),
        "shipped": (at, {"name": "evil", "shipped": "../../bin/sh"}),
        "environment": (at, {"name": "evil", "shipped": "time", "env": {"PYTHONSTARTUP": "evil.py"}}),
    }
    for key in (stage.key, stage.owner):
        answer = stage.ask("POST", f"{at}/import", key, {"content": json.dumps(listed)})
        if answer.let_in and any(one.get("taken", True) for one in answer.json().get("data", [{}])):
            return "import"
    return _first({name: lambda sent=sent: stage.ask("POST", sent[0], body=sent[1]) for name, sent in bodies.items()})  # type: ignore[misc]


_LOOKED_UP = (
    "loopback",
    "name of this machine",
    "mapped into IPv6",
    "mapped, in hexadecimal",
    "short",
    "one number",
    "any address",
    "behind a user",
    "with full-width digits",
)


def sent_inside(stage: Stage) -> str:
    """Has the server look up what a program says of itself, at addresses of the server's own machine."""
    with socket.create_server(("127.0.0.1", 0)) as aimed:
        aimed.setblocking(False)
        port = aimed.getsockname()[1]
        for name in _LOOKED_UP:
            address = SPELLINGS[name].format(port=port).replace("http:", "https:") + "client.json"
            problem = None
            try:
                _look_up(stage, address)
            except PortalError as error:  # whoever is at that address may well be what it waits for
                problem = error
            with suppress(BlockingIOError):
                aimed.accept()[0].close()
                return name
            if problem is not None:
                raise problem
    return ""


def _look_up(stage: Stage, address: str) -> None:
    """Raises PortalError where the server does not come to it, or does something else than to refuse it."""
    asked = urlencode({"client_id": address, "redirect_uri": "http://127.0.0.1/", "response_type": "code"})
    for _ in range(_TRIES):
        answer = knock(stage.url, "GET", f"/oauth/authorize?{asked}", headers={"Cookie": stage.cookie})
        if answer.status != _TOO_MANY:
            break
        sleep(1)
    else:
        raise PortalError("The server looks up no more programs for now. Try again in a minute.")
    if answer.status != _REFUSED:  # a page to sign in, for one: then nothing was looked up
        raise PortalError(f"It could not be tried what the server looks up: it answered {answer.status}.")


ATTACKS: Mapping[str, Callable[[Stage], str]] = {
    "conversations of others": others_conversations,
    "streams of others": others_streams,
    "delete without a body": bodyless_delete,
    "bounded key under another name": header_alias,
    "identity chosen by a header": chosen_identity,
    "key of somebody suspended": suspended_key,
    "DNS rebinding": rebinding,
    "pages of others": other_pages,
    "WebSocket from a page of others": socket_origin,
    "path read in two ways": other_spellings,
    "program started as a tool server": started_program,
    "address of this machine, fetched by the server": sent_inside,
}
"""By what they try."""
