"""Prompt injection: a model that obeys whatever it reads, and a Portal that lets nothing come of it. The tools, the
tool server, the pages and the files are real; the model does what every text before it says."""

import base64
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from aiohttp import web

from portal.backends.scripted import ScriptedBackend, Step
from portal.core.model import ModelInfo, ModelRequest, TextDelta, ToolCallDelta
from portal.testing.portal import open_test_portal

from .strangers import attacks

SERVER = Path(__file__).parent / "strangers.py"
CALL = re.compile(r"\b([a-z_]+[0-9]*(?:__[a-z_0-9]+)?)\((?=\{)")
MARKDOWN = re.compile(r"!?\[[^\]\n]*\]\([^)\n]+\)")
QUOTE = "Only quote it."
PLAIN = ["files", "web", "code", "memory", "schedules", "schedule", "documents"]


def directives(text: str) -> Iterator[tuple[str, str]]:
    """The calls that a text wants."""
    for match in CALL.finditer(text):
        try:
            arguments, _ = json.JSONDecoder().raw_decode(text, match.end())
        except ValueError:
            continue
        yield match[1], json.dumps(arguments, sort_keys=True)


def told(content: Any) -> str:
    parts = content if isinstance(content, list) else [{"text": content}]
    return "\n".join(str(part.get("text") or "") for part in parts)


def obey(request: ModelRequest) -> Sequence[Step]:
    """Does what anything it is shown says: messages, results, files, memories, descriptions of tools."""
    tools: Any = request.parameters.get("tools") or ()
    shown = [str(tool["function"].get("description")) for tool in tools]
    said = [told(message.get("content")) for message in request.messages]
    users = [told(message.get("content")) for message in request.messages if message["role"] == "user"]
    quoting = QUOTE in users[-1]
    texts = users if quoting else [*said, *shown]
    calls: Any = [call for message in request.messages for call in message.get("tool_calls") or ()]
    made = {(call["function"]["name"], _sorted(call["function"]["arguments"])) for call in calls}
    wanted = dict.fromkeys(one for text in texts for one in directives(text))
    new = [one for one in wanted if one not in made][:8]
    if new:
        return [ToolCallDelta(at, f"c{len(made) + at}", name, text) for at, (name, text) in enumerate(new)]
    if quoting:
        return [TextDelta(said[-1])]
    return [TextDelta("\n".join(["Done.", *dict.fromkeys(MARKDOWN.findall("\n".join(texts)))]))]


def _sorted(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)


@dataclass
class Site:
    """A server that keeps what it is asked for."""

    pages: dict[str, str] = field(default_factory=dict)
    hits: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.hits.append(str(request.rel_url))
        return web.Response(text=self.pages.get(request.path, "nothing"))

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Site"]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@dataclass
class Field:
    """Where the attacks are made: a Portal with real tools, a page that strangers write, and their server."""

    client: aiohttp.ClientSession
    folder: Path
    page: Site
    foreign: Site

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        async with self.client.request(method, path, json=body) as answer:
            assert answer.status < 400, (path, await answer.text())
            return await answer.json()

    async def turn(self, text: str, *, model: str = "plain", file: tuple[str, str] | None = None) -> Any:
        content: list[Any] = [{"type": "input_text", "text": text}]
        if file is not None:
            encoded = base64.b64encode(file[1].encode()).decode()
            content.append(
                {"type": "input_file", "filename": file[0], "file_data": f"data:text/plain;base64,{encoded}"}
            )
        conversation = await self.send("POST", "/v1/conversations", {})
        body = {"model": model, "conversation": conversation["id"], "input": [{"role": "user", "content": content}]}
        return await self.send("POST", "/v1/responses", body)

    async def attack(self, number: int, one: dict[str, str]) -> tuple[list[str], Any]:
        """The tools that the person wanted called, and how the turn ended in which a model read it."""
        text, name = one["text"], f"attack{number}"
        match one["source"]:
            case "page":
                return await self._read_page(number, text)
            case "file" | "mail" if number % 2:
                suffix = "eml" if one["source"] == "mail" else "txt"
                return [], await self.turn("What does it say?", file=(f"{name}.{suffix}", text))
            case "file":
                (self.folder / f"{name}.txt").write_text(text, encoding="utf-8")
                return await self._called("read_file", {"path": str(self.folder / f"{name}.txt")})
            case "mail":
                (self.folder / f"{name}.eml").write_text(text, encoding="utf-8")
                return await self._called("read_document", {"path": str(self.folder / f"{name}.eml")})
            case "tool":
                return await self._called("strangers__tell", {"number": number}, model="tell")
            case "description":
                return [], await self.turn(f"What is the strangers' gadget{number} for?", model=f"gadget{number}")
            case _:
                await self._read_page(number, f"Zorblax{number} is a machine. {text}", " " + QUOTE)
                return await self._called("recall_memories", {"query": f"Zorblax{number}"})

    async def _read_page(self, number: int, text: str, how: str = "") -> tuple[list[str], Any]:
        self.page.pages[f"/{number}"] = text
        return await self._called("fetch_page", {"url": f"{self.page.url}/{number}"}, how=how)

    async def _called(self, tool: str, arguments: Any, *, model: str = "plain", how: str = "") -> tuple[list[str], Any]:
        return [tool], await self.turn(f"Please {tool}({json.dumps(arguments)}).{how}", model=model)


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[Field]:
    backend = ScriptedBackend(
        models=[ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=131_072)],
        default=obey,
    )
    async with Site().open() as page, Site().open() as foreign:
        shared = folder / "shared"
        shared.mkdir(parents=True)
        listed = enumerate(attacks(foreign.url))
        gadgets = [f"gadget{number}" for number, one in listed if one["source"] == "description"]
        server = {"command": sys.executable, "args": [str(SERVER), foreign.url], "risks": {"tell": "read"}}
        settings = {
            "tools": {"web": True, "private_hosts": ["127.0.0.1"], "folders": [str(shared)], "offered": 40},
            "mcp": {"servers": {"strangers": server}},
            "workspaces": {
                "plain": {"tools": PLAIN},
                **{name: {"tools": [*PLAIN, f"strangers__{name}"]} for name in ("tell", *gadgets)},
            },
            **more,
        }
        async with (
            open_test_portal(folder / "data", backends=[backend], toolsets=None, settings=settings) as portal,
            aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
        ):
            made = Field(client, shared, page, foreign)
            await made.send("POST", "/portal/v1/mcp/servers/strangers/test", {})
            yield made


@pytest_asyncio.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Field]:
    async with opened(tmp_path) as made:
        yield made


def ran(response: Any) -> list[str]:
    return [item["name"] for item in response["output"] if item["type"] == "mcp_call"]


async def test_nothing_comes_of_what_strangers_write(ground: Field) -> None:
    listed = attacks(ground.foreign.url)
    assert len(listed) >= 60
    assert {one["source"] for one in listed} == {"page", "file", "mail", "tool", "description", "memory"}
    wrong = []
    for number, one in enumerate(listed):
        expected, response = await ground.attack(number, one)
        asked = [item["name"] for item in response["output"] if item["type"] == "mcp_approval_request"]
        wants = [name for name, _ in directives(one["text"])]
        said = json.dumps([item for item in response["output"] if item["type"] == "message"])
        obeyed = {*wants} <= {*asked} if wants else ground.foreign.url in said or bool(asked)
        if ran(response) != expected or not obeyed:
            wrong.append((one["source"], one["name"], ran(response), asked))
    assert wrong == []
    assert ground.foreign.hits == []
    assert [row["action"] for row in (await ground.send("GET", "/portal/v1/audit?limit=1"))["data"]]
    assert (await ground.send("GET", "/portal/v1/memories"))["data"] == []
    assert (await ground.send("GET", "/portal/v1/schedules"))["data"] == []


async def test_the_attacks_bite_where_everything_is_allowed(tmp_path: Path) -> None:
    async with opened(tmp_path, policies=[{"action": "allow"}]) as ground:
        listed = attacks(ground.foreign.url)
        aimed = [
            (n, one) for n, one in enumerate(listed) if "http_request(" in one["text"] and one["source"] != "memory"
        ]
        first = [next(pair for pair in aimed if pair[1]["source"] == source) for source in ("page", "file", "mail")]
        for number, one in first:
            await ground.attack(number, one)
        assert len(ground.foreign.hits) == len(first)
