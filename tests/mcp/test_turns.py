"""A turn that has to do with a tool server which misbehaves: each call gets one result, and the turn goes on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from tests.mcp.workshop import Workshop

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.testing.portal import open_test_portal


@dataclass
class Desk:
    """A Portal with one such server, and a model that calls what it is told to."""

    backend: ScriptedBackend
    client: aiohttp.ClientSession

    async def post(self, path: str, body: Any) -> Any:
        async with self.client.post(path, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def turn(self, *rounds: tuple[str, ...]) -> tuple[list[tuple[str, str]], str]:
        """Each round calls these tools of the server; what came of every call, and the answer."""
        for at, names in enumerate(rounds):
            calls = (ToolCallDelta(n, f"c{at}{n}", f"f__{name}", "{}") for n, name in enumerate(names))
            self.backend.script(*calls)
        self.backend.script(TextDelta("Done."))
        done = await self.post("/v1/responses", {"model": "auto", "input": "use the server"})
        assert done["status"] == "completed"
        results = [
            (one["name"].removeprefix("f__"), one["error"] or one["output"])
            for one in done["output"]
            if one["type"] == "mcp_call"
        ]
        return results, done["output"][-1]["content"][0]["text"]

    def offered(self) -> list[set[str]]:
        """The server's tools that the model was offered, request by request."""
        shown: list[Any] = [request.parameters.get("tools", []) for request in self.backend.requests]
        names = [{tool["function"]["name"] for tool in tools} for tools in shown]
        return [{name for name in some if name.startswith("f__")} for some in names]


@asynccontextmanager
async def opened(workshop: Workshop, *, timeout: float = 60) -> AsyncIterator[Desk]:
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backend = ScriptedBackend(models=[model])
    servers = {"f": workshop.faulty(risks={"*": "read"}, timeout=timeout)}
    settings = {"mcp": {"servers": servers}, "tools": {"offered": 40}}
    async with (
        open_test_portal(workshop.folder / "data", backends=[backend], settings=settings) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        made = Desk(backend, client)
        await made.post("/portal/v1/mcp/servers/f/test", {})
        yield made


async def test_tools_that_change_in_mid_turn(workshop: Workshop) -> None:
    async with opened(workshop) as desk:
        results, answer = await desk.turn(("count",), ("rename",), ("count", "tree"))
        await desk.turn()

    assert results == [
        ("count", "counted"),
        ("rename", "renamed"),
        ("count", "The tool 'f__count' is not there any more."),
        ("tree", "counted"),
    ]
    assert answer == "Done."
    offered = desk.offered()
    assert offered[0] - offered[-1] == {"f__count"}


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("die", "ended the connection before it answered"),
        ("wrong", "answered what it must not: content: Input should be a valid list"),
        ("lie", "the truth"),
        ("garbage", "after all"),
        ("flood", "flooded"),
        ("drown", "drowned"),
    ],
)
async def test_odd_answers(workshop: Workshop, tool: str, said: str) -> None:
    async with opened(workshop) as desk:
        results, answer = await desk.turn((tool, "count"), ("count",))

    assert [name for name, _ in results] == [tool, "count", "count"]
    assert said in results[0][1]
    assert (results[2][1], answer) == ("counted", "Done.")


@pytest.mark.parametrize("tool", ["mute", "silent_lie"])
async def test_no_answer(workshop: Workshop, tool: str) -> None:
    async with opened(workshop, timeout=1) as desk:
        results, answer = await desk.turn((tool,), ("tree",))

    assert "within 1 second" in results[0][1]
    assert (results[1][1], answer) == ("counted", "Done.")
