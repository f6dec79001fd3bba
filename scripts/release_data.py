"""Make the data of this version as a later one will find it: `python scripts/release_data.py tests/fixtures/releases`.

Run once for each release, before its version is raised, by the code of that release. It goes through the public API
alone: whatever a version has no route for is left out. The archive VERSION.tar.xz holds the data folder, and in
`expected.json` what the API told of it; tests/test_releases.py asks every later version for the same.
"""

import asyncio
import hashlib
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from portal import __version__
from portal.backends.scripted import ScriptedBackend, Step, echo
from portal.core.model import ModelRequest, ToolCallDelta
from portal.testing.portal import open_test_portal
from portal.tools.function import Functions, tool

ABSENT = (403, 404, 405, 501)
"""What a version answers that does not have it, or has it turned off."""
TEXT = "The lighthouse keeper of Ouessant wrote down every ship that passed in 1903. " * 40
STORED = ("portal.db", "seal.key", "portal.toml")

Steps = Sequence[tuple[str, str, str, Any]]

STEPS: Steps = (
    ("folder", "POST", "/portal/v1/folders", {"name": "Harbour", "instructions": "Be brief."}),
    ("conversation", "POST", "/portal/v1/conversations", {"title": "Ships", "folder_id": "{folder}"}),
    ("pinned", "POST", "/v1/conversations", {"metadata": {"topic": "knots"}}),
    (
        "response",
        "POST",
        "/v1/responses",
        {"model": "tiny", "input": "Which ships passed Ouessant?", "conversation": "{conversation}"},
    ),
    (
        "second",
        "POST",
        "/v1/responses",
        {"model": "tiny", "input": "And the smallest one? 🛶", "conversation": "{conversation}"},
    ),
    ("alone", "POST", "/v1/responses", {"model": "tiny", "input": "Remember the bowline.", "store": True}),
    ("chat", "POST", "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": "counted"}]}),
    ("rating", "PUT", "/portal/v1/responses/{response}/feedback", {"rating": 1}),
    ("title", "PATCH", "/portal/v1/conversations/{conversation}", {"title": "Ships of 1903", "pinned": True}),
    ("key", "POST", "/portal/v1/keys", {"name": "logbook"}),
    ("preferences", "PUT", "/portal/v1/preferences", {"theme": "dark"}),
    ("workspace", "PUT", "/portal/v1/workspaces/harbour-master", {"title": "Harbour master", "prefer": ["tiny"]}),
    ("asking", "POST", "/v1/responses", {"model": "harbour-master", "input": "Please moor the boat."}),
    ("store", "POST", "/v1/vector_stores", {"name": "Logbooks", "file_ids": ["{file}"]}),
    ("memory", "POST", "/portal/v1/memories", {"text": "I sail a boat called Petrel."}),
    (
        "schedule",
        "POST",
        "/portal/v1/schedules",
        {"when": "every day at 8:00", "prompt": "Weather at sea?", "zone": "Europe/Paris"},
    ),
    ("person", "POST", "/portal/v1/users", {"name": "Mate", "login": "mate", "role": "member", "invite": False}),
    ("share", "POST", "/portal/v1/conversations/{conversation}/share", {}),
)
"""Name, method, path and body; `{name}` is the id that an earlier step gave."""

READS = (
    "/portal/v1/conversations",
    "/portal/v1/conversations?query=Ouessant",
    "/v1/conversations/{conversation}/items",
    "/v1/conversations/{pinned}",
    "/v1/responses/{response}",
    "/v1/responses/{second}/input_items",
    "/portal/v1/responses/{response}/route",
    "/portal/v1/folders",
    "/portal/v1/keys",
    "/portal/v1/me",
    "/portal/v1/workspaces/harbour-master",
    "/portal/v1/usage",
    "/portal/v1/audit",
    "/portal/v1/approvals",
    "/v1/files",
    "/v1/files/{file}",
    "/v1/vector_stores/{store}",
    "/v1/vector_stores/{store}/files",
    "/portal/v1/memories",
    "/portal/v1/schedules",
    "/portal/v1/users",
)


@tool(risk="write")
async def moor(boat: str) -> str:
    """Moor a boat at the quay."""
    return f"{boat} is moored."


def answered(request: ModelRequest) -> Sequence[Step]:
    """An echo; who asks to moor is answered by a call of the tool, which waits for a person."""
    if "moor the boat" in str(request.messages[-1:]):
        return [ToolCallDelta(0, "call_1", "moor", '{"boat": "Petrel"}')]
    return echo(request)


class Api:
    """Calls of one server by one key, with the ids that came back."""

    def __init__(self, url: str, client: aiohttp.ClientSession, ids: Mapping[str, str] | None = None) -> None:
        self.url, self.client, self.ids = url, client, dict(ids or {})

    def filled(self, value: Any) -> Any:
        """With ids in place of names; KeyError where that name was left out."""
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda match: self.ids[match[1]], value)
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return {name: self.filled(one) for name, one in value.items()} if isinstance(value, dict) else value

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer, or None where this version has no such thing."""
        async with self.client.request(method, self.url + path, json=body) as answer:
            if answer.status in ABSENT:
                return None
            if answer.status >= 400:
                raise SystemExit(f"{method} {path}: {answer.status} {await answer.text()}")
            return await answer.json() if answer.content_type == "application/json" else None

    async def read(self, paths: Sequence[str] = READS) -> dict[str, Any]:
        """What it tells, by path with names in place of ids."""
        told = {}
        for path in paths:
            try:
                told[path] = await self.call("GET", self.filled(path))
            except KeyError:
                continue
        return {path: answer for path, answer in told.items() if answer is not None}

    async def content(self) -> str:
        """SHA-256 of the uploaded file as it comes back."""
        async with self.client.get(f"{self.url}/v1/files/{self.ids['file']}/content") as answer:
            return hashlib.sha256(await answer.read()).hexdigest()


async def fill(api: Api) -> None:
    """All steps, then wait for what goes on behind them."""
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", TEXT.encode(), filename="logbook.txt", content_type="text/plain")
    async with api.client.post(f"{api.url}/v1/files", data=form) as answer:
        api.ids["file"] = (await answer.json())["id"]
    for name, method, path, body in STEPS:
        try:
            told = await api.call(method, api.filled(path), api.filled(body))
        except KeyError as error:
            print(f"{__version__}: without {name}, which needs {error}", file=sys.stderr)
            continue
        if told is None:
            print(f"{__version__}: without {name}", file=sys.stderr)
        elif "id" in told:
            api.ids[name] = told["id"]
    while "store" in api.ids:
        files = await api.call("GET", f"/v1/vector_stores/{api.ids['store']}/files")
        if all(one["status"] != "in_progress" for one in files["data"]):
            break
        await asyncio.sleep(0.1)


async def make(folder: Path) -> dict[str, Any]:
    """Fill a data folder; what is expected of it."""
    backend = ScriptedBackend(models=["tiny"], default=answered)
    async with (
        open_test_portal(folder, backends=[backend], toolsets=[Functions("harbour", [moor])]) as portal,
        aiohttp.ClientSession(headers=portal.headers) as client,
    ):
        api = Api(portal.url, client)
        await fill(api)
        sha256 = await api.content()
        return {"version": __version__, "ids": api.ids, "content": sha256, "told": await api.read()}


def main() -> None:
    """Write the archive of this version."""
    target = Path(sys.argv[1]) / f"{__version__}.tar.xz"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "data"
        expected = asyncio.run(make(folder))
        (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False), encoding="utf-8")
        with tarfile.open(target, "w:xz") as tar:
            for name in (*STORED, "expected.json"):
                if (folder / name).exists():
                    tar.add(folder / name, name)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
