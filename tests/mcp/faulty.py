"""A server by hand, for what no decent one does: `python faulty.py [MODE]`. Speaks revision 2025-11-25 over stdio."""

import base64
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

VERSION = "2025-11-25"
MODE = sys.argv[1] if len(sys.argv) > 1 else ""
MARKS = Path(os.environ["MARKS"])  # noqa: TID251
RECURSIVE = {
    "type": "object",
    "properties": {"tree": {"$ref": "#/$defs/node"}, "far": {"$ref": "https://evil.example/schema.json"}},
    "$defs": {
        "node": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
    },
}
renamed = False
asked = 0


def mark(what: str) -> None:
    with MARKS.joinpath(what).open("a") as file:
        file.write("x")


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        if MODE == "stubborn":
            MARKS.joinpath("pid").write_text(str(os.getpid()))
            while True:
                time.sleep(1)
        sys.exit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def text(identity: Any, said: str) -> None:
    send({"id": identity, "result": {"content": [{"type": "text", "text": said}]}})


def tools() -> list[dict[str, Any]]:
    names = [
        "count",
        "die",
        "mute",
        "big",
        "flood",
        "lie",
        "silent_lie",
        "garbage",
        "ask",
        "blocks",
        "odd",
        "wrong",
        "drown",
    ]
    if renamed:
        names.remove("count")
    listed: list[dict[str, Any]] = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
    listed.append({"name": "tree", "description": "d", "inputSchema": RECURSIVE})
    listed.append({"name": "rename", "inputSchema": {"type": "object"}})
    listed.append({"name": "count_read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}})
    listed.append({"name": "die_read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}})
    return listed


def ask(identity: Any, method: str, params: dict[str, Any]) -> None:
    """Ask the client, and answer with what it said."""
    global asked
    if method == "many":
        for _ in range(12):
            ask("nobody", "elicitation/create", params)
        method = "elicitation/create"
    asked += 1
    send({"id": f"ask-{asked}", "method": method, "params": params})
    while (reply := receive()).get("id") != f"ask-{asked}":
        pass
    text(identity, json.dumps(reply.get("result") or reply.get("error")))


def call(identity: Any, name: str, arguments: dict[str, Any]) -> None:
    global renamed
    mark(name)
    name = name.removesuffix("_read")
    if name == "die":
        sys.stderr.write("I do not feel well\n")
        sys.stderr.flush()
        os._exit(3)
    elif name == "mute":
        return
    elif name == "big":
        text(identity, "y" * arguments["size"])
    elif name == "flood":
        notice = {"method": "notifications/message", "params": {"level": "info", "data": "z" * 200}}
        for _ in range(arguments.get("count", 20_000)):
            send(notice)
        text(identity, "flooded")
    elif name == "drown":
        for _ in range(600):
            send({"method": "notifications/tools/list_changed"})
        sys.stderr.write("e" * 500_000 + "\n" + "line\n" * 5000)
        text(identity, "drowned")
    elif name in ("lie", "silent_lie"):
        for other in (identity + 1000, "never", identity - 1, None):
            text(other, "a lie")
        if name == "lie":
            text(identity, "the truth")
            text(identity, "once more")
    elif name == "garbage":
        sys.stdout.write('Hello, I am a log line\n\n{"half": \n')
        text(identity, "after all")
    elif name == "ask":
        ask(identity, arguments["method"], arguments["params"])
    elif name == "blocks":
        blob = base64.b64encode(b"\x00data").decode()
        content = [
            {"type": "audio", "data": blob, "mimeType": "audio/wav"},
            {"type": "image", "data": "not base64!", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a/b.txt", "mimeType": "text/plain", "text": "words"}},
            {"type": "resource", "resource": {"uri": "file:///a/c.pdf", "mimeType": "application/pdf", "blob": blob}},
            {"type": "resource_link", "uri": "https://example.org/x", "name": "x"},
        ]
        send({"id": identity, "result": {"content": content, "structuredContent": {"a": 1}}})
    elif name == "odd":
        send({"id": identity, "result": {"content": [], "structuredContent": {"a": [1, 2]}}})
    elif name == "wrong":
        send({"id": identity, "result": {"content": "this is no list"}})
    elif name == "rename":
        renamed = True
        send({"method": "notifications/tools/list_changed"})
        text(identity, "renamed")
    else:
        text(identity, "counted")


def main() -> None:
    if MODE == "broken":
        sys.stderr.write("no key was set\n")
        sys.exit(1)
    if MODE == "once" and MARKS.joinpath("started").exists():
        sys.exit(1)
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark("started")
    while True:
        message = receive()
        method, identity = message.get("method"), message.get("id")
        if method == "initialize" and MODE != "mute":
            about = {"name": "faulty", "version": "0", "title": "The faulty one"}
            result = {
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {"listChanged": True}},
                "serverInfo": about,
            }
            send({"id": identity, "result": result})
        elif method == "tools/list":
            send({"id": identity, "result": {"tools": tools()}})
        elif method == "tools/call":
            call(identity, message["params"]["name"], message["params"].get("arguments") or {})
        elif method == "notifications/cancelled":
            mark("cancelled")
        elif identity is not None and method and MODE != "mute":
            send({"id": identity, "error": {"code": -32601, "message": "no such method"}})


main()
