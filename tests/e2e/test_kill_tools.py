"""SIGKILL while tools run and people decide: nothing happens twice, and nothing without a trace."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.e2e.standing import RUNNING, Opening, Standing
from tests.e2e.test_kill import TERMINAL, frames

from portal.core.items import Item
from portal.testing.model_server import Answer, ToolCall
from portal.testing.openai_server import OpenAIServer

SETTINGS = """
[classifier]
enabled = false
[tools]
parallel = 2
[workspaces.desk]
tools = ["desk"]
knowledge = false
memory = false
"""
TURNS = 3
MOMENTS = {"begun": 1.0, "recorded": 0.01, "effect": 0.01, "decided": 0.01}
"""Where a kill is placed, and how many seconds behind it at most: behind the first, it comes at random."""
LEFT = """
SELECT COUNT(*) FROM approval_rounds r WHERE NOT EXISTS (SELECT 1 FROM responses n WHERE n.previous_id = r.response_id)
    AND NOT EXISTS (SELECT 1 FROM approvals a WHERE a.response_id = r.response_id AND a.status = 'pending')"""

PENDING = "SELECT COUNT(*) FROM approvals WHERE status = 'pending'"
DECIDED = """
SELECT id, status FROM approvals a WHERE NOT EXISTS (
    SELECT 1 FROM approvals o WHERE o.response_id = a.response_id AND o.status = 'pending')"""
"""Of questions whose whole round is decided."""


class DeskServer(OpenAIServer):
    """A model that calls tools in most of its answers, never the same call twice; none while it is `calm`."""

    def __init__(self, chooser: random.Random) -> None:
        super().__init__(models=["tiny"], extra=["tools"])
        self.calm = False
        self._chooser = chooser
        self._number = 0

    def next_answer(self, prompt: str) -> Answer:
        if self.calm or self._chooser.random() < 0.2:
            return Answer(text=["Done."])
        calls = [self._call() for _ in range(self._chooser.randint(1, 4))]
        return Answer(tool_calls=calls, finish="tool_calls", pace=0.002)

    def _call(self) -> ToolCall:
        self._number += 1
        times = {name: self._chooser.choice([0, 0.01, 0.1]) for name in ("before", "after")}
        name = self._chooser.choice(["look", "change"])
        return ToolCall(name=name, arguments={"number": self._number, **times}, id=f"call_{self._number}")


@dataclass(kw_only=True)
class Desk:
    """What is outside: the effects, who decides, and the moment at which Portal is killed."""

    chooser: random.Random
    effects: Path
    moment: str = "begun"
    come: asyncio.Event = field(default_factory=asyncio.Event)
    said: dict[str, bool] = field(default_factory=dict)
    """Decisions that Portal has taken, by the approval's id."""

    def reached(self, moment: str) -> None:
        if moment == self.moment:
            self.come.set()

    def done(self, what: str) -> list[tuple[str, str]]:
        """Number and call id of these effects."""
        lines = self.effects.read_text(encoding="utf-8").splitlines() if self.effects.exists() else []
        return [(number, call) for kind, number, call in map(str.split, lines) if kind == what]

    async def watch(self) -> None:
        """The file grows."""
        before = len(self.done("begin"))
        while len(self.done("begin")) == before:
            await asyncio.sleep(0.002)
        self.reached("effect")

    async def live(self, api: aiohttp.ClientSession, question: str) -> None:
        """One conversation: what waits for a person is decided, one way or another, until Portal is gone."""
        try:
            response = await self.streamed(api.post("/v1/responses", json=turn(input=question)))
            while response is not None and waits(response):
                response = await self.decided(api, response)
        except aiohttp.ClientError:
            return

    async def streamed(self, asked: Any) -> dict[str, Any] | None:
        async with asked as answer:
            there(answer)
            assert answer.status == 200, await answer.text()
            async for event in frames(answer):
                self.reached("begun")
                if event["type"] == "response.output_item.added" and event["item"]["type"] == "mcp_call":
                    self.reached("recorded")
                if event["type"] in TERMINAL:
                    response: dict[str, Any] = event["response"]
                    return response
        return None

    async def decided(self, api: aiohttp.ClientSession, response: dict[str, Any]) -> dict[str, Any] | None:
        verdicts = {item["id"]: self.chooser.random() < 0.8 for item in waits(response)}
        if self.chooser.random() < 0.5:
            answers = [
                {"type": "mcp_approval_response", "approval_request_id": one, "approve": yes}
                for one, yes in verdicts.items()
            ]
            body = turn(input=answers, previous_response_id=response["id"])
            return await self.streamed(api.post("/v1/responses", json=body))
        goes_on = await self.decide(api, verdicts)
        return await self.streamed(api.get(f"/v1/responses/{goes_on}?stream=true")) if goes_on else None

    async def decide(self, api: aiohttp.ClientSession, verdicts: Mapping[str, bool]) -> str | None:
        """The id of the response that goes on."""
        goes_on = None
        for approval, yes in verdicts.items():
            async with api.post(f"/portal/v1/approvals/{approval}", json={"approve": yes}) as answer:
                there(answer)
                told = await answer.json()
                assert answer.status == 200, told
            self.said[approval] = yes
            self.reached("decided")
            goes_on = told["response_id"]
        return goes_on


def there(answer: aiohttp.ClientResponse) -> None:
    """Raises where the balancer says that a server went in the middle of it."""
    if answer.status == 502:
        raise aiohttp.ServerDisconnectedError


def turn(**fields: Any) -> dict[str, Any]:
    return {"model": "desk", "stream": True, **fields}


def waits(response: Mapping[str, Any]) -> list[Item]:
    return [item for item in response["output"] if item["type"] == "mcp_approval_request"]


async def until_quiet(servers: Standing) -> None:
    """Whatever was decided has gone on, and nothing runs; asked in this order, since what goes on runs."""
    async with asyncio.timeout(60):
        while servers.stored(LEFT) != [(0,)] or servers.stored(RUNNING) != [(0,)]:
            await asyncio.sleep(0.02)


def check(servers: Standing, desk: Desk) -> None:
    """Each call happened once at most and has an outcome; each decision has its call."""
    outputs = [json.loads(item) for (item,) in servers.stored("SELECT item FROM items WHERE side = 'output'")]
    calls = {item["id"]: item for item in outputs if item["type"] == "mcp_call"}
    begun, ended = desk.done("begin"), desk.done("end")
    for place in (0, 1):  # neither a call of the model's nor a run of Portal's
        assert [one for one, count in Counter(effect[place] for effect in begun).items() if count > 1] == []
    for number, call in begun:
        assert json.loads(calls[call]["arguments"])["number"] == int(number)
    happened, finished = {call for _, call in begun}, {call for _, call in ended}
    for item in calls.values():
        assert item["status"] in ("completed", "failed", "incomplete")
        if item["status"] == "completed" and item["error"] is None:
            assert item["id"] in finished
        elif item["status"] == "incomplete":
            assert item["error"].startswith("outcome unknown")
        else:
            assert item["id"] not in happened
    answered = {item["approval_request_id"]: item for item in calls.values() if item["approval_request_id"]}
    decided = dict(servers.stored(DECIDED))
    assert answered.keys() <= decided.keys()
    lost = [approval for approval in decided if approval not in answered]
    assert {decided[approval] for approval in lost} <= {"denied"}  # of a no the answer is trace enough
    for approval, yes in [said for said in desk.said.items() if said[0] in answered]:
        left = (answered[approval]["error"] or "").startswith("not run")
        wanted = "denied" if not yes else "approved" if left else "used"
        assert decided[approval] == wanted, json.dumps(answered[approval])
        assert not (left or not yes) or answered[approval]["id"] not in happened


async def kill_rounds(standing: Opening, folder: Path, wanted: int, seed: int) -> None:
    chooser = random.Random(seed)
    desk = Desk(chooser=chooser, effects=folder / "effects.txt")
    plugins = [Path(__file__).parent / "desk_plugin.py"]
    async with (
        DeskServer(chooser) as model_server,
        standing(backend=model_server.url, settings=SETTINGS, plugins=plugins) as servers,
    ):
        rounds = max(servers.rounds(wanted), len(MOMENTS))
        for number in range(rounds):
            model_server.calm, desk.come = False, asyncio.Event()
            desk.moment = [*MOMENTS][number % len(MOMENTS)]
            async with servers.client() as api, asyncio.TaskGroup() as group:
                watching = group.create_task(desk.watch())
                living = [
                    group.create_task(desk.live(api, f"round {number}, question {place}")) for place in range(TURNS)
                ]
                await killing_moment(desk, living)
                await servers.kill(leader=False)
                model_server.calm = True
                watching.cancel()
                await servers.again()
                for one in living:
                    one.cancel()
            await model_server.wait_active(0)
            await until_quiet(servers)
            check(servers, desk)
            async with servers.client() as api:
                await decide_the_rest(api, desk)
            await until_quiet(servers)
            check(servers, desk)
            assert servers.stored(PENDING) == [(0,)]
    assert len(desk.done("end")) >= rounds // 4  # else nothing was tested
    assert desk.said


async def killing_moment(desk: Desk, lives: Sequence[asyncio.Task[None]]) -> None:
    """The one that is placed, or the end of all that could bring it: however slow the machine, something was under
    way."""
    async with asyncio.TaskGroup() as group:
        coming, over = group.create_task(desk.come.wait()), group.create_task(asyncio.wait(lives))
        await asyncio.wait([coming, over], return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        over.cancel()
    await asyncio.sleep(desk.chooser.choice([0, desk.chooser.uniform(0, MOMENTS[desk.moment])]))


async def decide_the_rest(api: aiohttp.ClientSession, desk: Desk) -> None:
    """What was asked before the kill can still be decided."""
    async with api.get("/portal/v1/approvals?status=pending&limit=100") as answer:
        open_ones = (await answer.json())["data"]
    await desk.decide(api, {one["id"]: desk.chooser.random() < 0.8 for one in open_ones})


@pytest.mark.slow
@pytest.mark.timeout(7200)
async def test_kill_often_while_tools_run(standing: Opening, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    await kill_rounds(standing, tmp_path, request.config.getoption("--kill-rounds"), seed=time.time_ns())
