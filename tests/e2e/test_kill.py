"""SIGKILL at random moments of streaming turns, over HTTP, with real servers and a slow model server."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from tests.e2e.standing import Opening

from portal.core.items import text_of
from portal.testing.model_server import Answer, ToolCall
from portal.testing.openai_server import OpenAIServer

TERMINAL = ("response.completed", "response.failed", "response.incomplete")
LOST = 1.0
"""Seconds of unfinished text that a kill may cost."""
TURNS = 4


@dataclass
class Seen:
    """What a client saw of one turn."""

    question: str
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    @property
    def response_id(self) -> str | None:
        return self.events[0][1]["response"]["id"] if self.events else None

    @property
    def last_number(self) -> int:
        return int(self.events[-1][1]["sequence_number"])

    @property
    def ended(self) -> str | None:
        """The status it was told."""
        last = self.events[-1][1]
        return last["response"]["status"] if last["type"] in TERMINAL else None

    def texts(self, until: float = float("inf")) -> dict[str, str]:
        """Per item, the text that had come at a moment."""
        found: dict[str, str] = {}
        for when, event in self.events:
            if event["type"].endswith(".delta") and when <= until:
                found[event["item_id"]] = found.get(event["item_id"], "") + event["delta"]
        return found

    def done(self) -> list[dict[str, Any]]:
        return [event["item"] for _, event in self.events if event["type"] == "response.output_item.done"]


async def frames(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in answer.content:
        if line.startswith(b"data: {"):
            yield json.loads(line.removeprefix(b"data: "))


async def ask(api: aiohttp.ClientSession, seen: Seen, *, background: bool) -> None:
    """Stream a turn until its end or the server's."""
    body = {"model": "tiny", "input": seen.question, "stream": True, "background": background}
    try:
        async with api.post("/v1/responses?portal_events=1", json=body) as answer:
            async for event in frames(answer):
                seen.events.append((time.monotonic(), event))
    except aiohttp.ClientError:
        return


async def rebuilt(api: aiohttp.ClientSession, response_id: str, after: int) -> list[dict[str, Any]]:
    path = f"/v1/responses/{response_id}?stream=true&starting_after={after}"
    async with api.get(path) as answer:
        assert answer.status == 200
        events = [event async for event in frames(answer)]
    numbers = [event["sequence_number"] for event in events]
    assert numbers == sorted(set(numbers))
    assert all(number > after for number in numbers)
    return events


def texts_in(events: list[dict[str, Any]]) -> dict[str, str]:
    merged = [event for event in events if event["type"].endswith(".delta")]
    found = {event["item_id"]: event["delta"] for event in merged}
    assert len(found) == len(merged), "missed deltas come as one per item"
    return found


def answers(chooser: random.Random) -> list[Answer]:
    """Long and short ones, thoughts and calls."""
    made = []
    for number in range(TURNS):
        calls = [ToolCall(name="look", arguments={"at": "x" * 40, "n": n}) for n in range(number % 3)]
        text = [f"wörd{at}👍 " for at in range(chooser.randint(5, 80))]
        thinking = [f"hm{at} " for at in range(chooser.choice([0, 10, 30]))]
        finish = "tool_calls" if calls else "stop"
        pace = chooser.uniform(0.002, 0.02)
        made.append(Answer(text=text, thinking=thinking, tool_calls=calls, finish=finish, pace=pace))
    return made


async def check(api: aiohttp.ClientSession, seen: Seen, killed: float) -> None:
    """What was acknowledged before the kill is there after it."""
    assert seen.response_id is not None
    one = f"/v1/responses/{seen.response_id}"
    async with api.get(f"{one}/input_items") as answer:
        (question,) = (await answer.json())["data"]
    assert text_of(question) == seen.question
    async with api.get(one) as answer:
        response = await answer.json()
    if seen.ended is not None:
        assert response["status"] == seen.ended
    elif response["status"] != "completed":  # whose end was stored, but not told any more
        assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": "interrupted"})
    stored = {item["id"]: item for item in response["output"]}
    for item in seen.done():
        assert stored[item["id"]] == item
    kept = {item_id: text_of(item) for item_id, item in stored.items()}
    for item_id, text in seen.texts(killed - LOST).items():
        assert kept[item_id].startswith(text)
    whole = texts_in(await rebuilt(api, seen.response_id, -1))
    assert whole == {item_id: text for item_id, text in kept.items() if text}
    rest = await rebuilt(api, seen.response_id, seen.last_number)
    missed, told = texts_in(rest), seen.texts()
    for item_id in kept:
        before, now = told.get(item_id, ""), kept[item_id]
        assert now.startswith(before) or before.startswith(now)
        assert missed.get(item_id, "") == now[len(before) :]
    if seen.ended is None:
        assert rest[-1]["type"] in TERMINAL
        assert rest[-1]["response"] == response
    else:
        assert rest == []


async def kill_rounds(standing: Opening, wanted: int, seed: int) -> None:
    chooser, every = random.Random(seed), []
    async with OpenAIServer(models=["tiny"]) as model_server, standing(backend=model_server.url) as servers:
        rounds = servers.rounds(wanted)
        for number in range(rounds):
            model_server.script(*answers(chooser))
            turns = [Seen(f"round {number}, question {turn}") for turn in range(TURNS)]
            async with servers.client() as api, asyncio.TaskGroup() as group:
                for turn, seen in enumerate(turns):
                    group.create_task(ask(api, seen, background=turn % 2 == 0))
                await asyncio.sleep(chooser.uniform(0, 2))  # the random moment
                killed = time.monotonic()
                await servers.kill(leader=False)
            await model_server.wait_active(0)
            await servers.again()
            begun = [(seen, killed) for seen in turns if seen.events]
            every += begun
            async with servers.client() as api:
                for seen, when in begun:
                    await check(api, seen, when)
        async with servers.client() as api:
            for seen, when in every:
                await check(api, seen, when)
    assert len(every) >= rounds  # else nothing was tested


async def test_kill(standing: Opening) -> None:
    await kill_rounds(standing, 2, seed=time.time_ns())


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_kill_often(standing: Opening, request: pytest.FixtureRequest) -> None:
    await kill_rounds(standing, request.config.getoption("--kill-rounds"), seed=time.time_ns())
