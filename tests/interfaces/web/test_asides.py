"""What a tool server asks back in the middle of a call, answered in the queue of approvals while the call waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.mcp.test_others import npm
from tests.mcp.workshop import Workshop

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo, TextDelta, ToolCallDelta
from portal.testing.portal import TestPortal, open_test_portal

from .conftest import Door

ALL = "/portal/v1/approvals"
FORM = {
    "type": "object",
    "properties": {"size": {"type": "string", "enum": ["small", "large"]}, "count": {"type": "integer"}},
    "required": ["size"],
}
SAMPLING = {
    "messages": [{"role": "user", "content": {"type": "text", "text": "a rhyme on cheese"}}],
    "systemPrompt": "be brief",
    "maxTokens": 50,
    "temperature": 0.5,
    "stopSequences": ["END"],
}
FORM_ASKED = ("elicitation/create", {"message": "Which size?", "requestedSchema": FORM})
PAY = {"mode": "url", "message": "Pay", "url": "https://pay.example/1", "elicitationId": "1"}
URL_ASKED = ("elicitation/create", PAY)


class Shop:
    """A Portal with one tool server of a decade ago, whose tool asks back."""

    def __init__(self, portal: TestPortal, backend: ScriptedBackend, me: Door) -> None:
        self.portal = portal
        self.backend = backend
        self.me = me

    async def call(self, method: str, params: Any, *, sampled: str = "", **fields: Any) -> Any:
        """A turn whose model calls the tool; what the server was told."""
        asked = json.dumps({"method": method, "params": params})
        self.backend.script(ToolCallDelta(0, "c1", "f__ask", asked))
        if sampled:
            self.backend.script(TextDelta(sampled))
        self.backend.script(TextDelta("Done."))
        done = await self.me("POST", "/v1/responses", {"model": "auto", "input": "ask the shop", **fields})
        (item,) = [one for one in done["output"] if one["type"] == "mcp_call"]
        return json.loads(item["output"])

    async def question(self) -> Any:
        """The first that waits, once there is one."""
        with self.portal.portal.bus.subscribe(self.portal.owner) as news:
            while not (waiting := (await self.me("GET", f"{ALL}?status=pending"))["data"]):
                await news.get()
        return waiting[0]

    async def asked(self, method: str, params: Any, verdict: Any, **more: Any) -> tuple[Any, Any, Any]:
        """What the server was told, the question as the person saw it, and what came of the decision."""
        async with asyncio.TaskGroup() as tasks:
            answer = tasks.create_task(self.call(method, params, **more))
            question = await self.question()
            told = await self.me("POST", f"{ALL}/{question['id']}", verdict)
        return answer.result(), question, told


@asynccontextmanager
async def opened(folder: Path, *, server: Any = None, **settings: Any) -> AsyncIterator[Shop]:
    workshop = Workshop(folder / "shop")
    workshop.marks.mkdir(parents=True)
    program = workshop.faulty(risks={"*": "read"}, **(server or {}))
    model = ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "tools"}), context_window=32_768)
    backend = ScriptedBackend(models=[model])
    chosen = {"mcp": {"servers": {"f": program}}, **settings}
    async with (
        open_test_portal(folder / "data", backends=[backend], settings=chosen) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        me = Door(client)
        await me("POST", "/portal/v1/mcp/servers/f/test", {})
        yield Shop(portal, backend, me)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(tmp_path) as made:
        yield made


async def test_a_form_is_filled_in(shop: Shop) -> None:
    verdict = {"approve": True, "content": {"size": "large", "count": "2", "colour": "red"}}
    answer, question, told = await shop.asked(*FORM_ASKED, verdict)

    assert answer == {"action": "accept", "content": {"size": "large", "count": 2}}
    assert (question["tool"], question["toolset"], question["question"]) == ("elicitation", "f", True)
    assert question["arguments"] == {"message": "Which size?", "form": FORM}
    assert question["call_id"].startswith("mcp_")
    assert told["response_id"] is None
    after = await shop.me("GET", f"{ALL}/{question['id']}")
    assert after["status"] == "used"
    lines = [(line["action"], line["subject"]) for line in (await shop.me("GET", "/portal/v1/audit"))["data"]]
    assert {("approval.asked", question["id"]), ("approval.decided", question["id"])} <= {*lines}


async def test_what_does_not_fit_the_form_is_refused_and_the_question_stays(shop: Shop) -> None:
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(shop.call(*FORM_ASKED))
        question = await shop.question()
        place = f"{ALL}/{question['id']}"
        for wrong in ({}, {"size": "huge"}):
            error = await shop.me.refused("POST", place, {"approve": True, "content": wrong}, status=400)
            assert error["param"] == "content"
        changed = {"approve": True, "arguments": {"message": "?"}}
        assert (await shop.me.refused("POST", place, changed, status=400))["param"] == "arguments"
        await shop.me("POST", place, {"approve": False})
    assert answer.result() == {"action": "decline"}


async def test_an_address_is_shown_to_the_person_alone(shop: Shop) -> None:
    answer, question, _ = await shop.asked(*URL_ASKED, {"approve": True})

    assert answer == {"action": "accept"}
    assert question["arguments"] == {"message": "Pay", "url": "https://pay.example/1"}
    assert "pay.example" not in json.dumps([*shop.backend.requests[-1].messages][-1]["content"])


async def test_a_model_answers_after_a_yes(shop: Shop) -> None:
    answer, question, _ = await shop.asked("sampling/createMessage", SAMPLING, {"approve": True}, sampled="Brie, free.")

    assert (answer["content"]["text"], answer["model"], answer["stopReason"]) == ("Brie, free.", "tiny", "endTurn")
    assert question["arguments"] == {
        "messages": [{"role": "user", "text": "a rhyme on cheese"}],
        "system": "be brief",
    }
    assert (question["tool"], question["risk"], question["extents"]) == ("sampling", "spend", ["once"])
    request = shop.backend.requests[1]
    assert request.parameters == {"temperature": 0.5, "stop": ["END"], "max_tokens": 50}
    assert [message["role"] for message in request.messages] == ["system", "user"]


async def test_a_no_is_told_to_the_server(shop: Shop) -> None:
    answer, _, _ = await shop.asked("sampling/createMessage", SAMPLING, {"approve": False})
    assert answer["message"] == "The person said no."


async def test_a_yes_for_the_conversation_holds(shop: Shop) -> None:
    talk = (await shop.me("POST", "/v1/conversations", {}))["id"]
    yes = {"approve": True, "extent": "conversation"}
    params = ("sampling/createMessage", SAMPLING)
    await shop.asked(*params, yes, sampled="One.", conversation=talk)
    answer = await shop.call(*params, sampled="Two.", conversation=talk)
    assert answer["content"]["text"] == "Two."


async def test_nobody_answers_in_time(tmp_path: Path) -> None:
    async with opened(tmp_path, server={"timeout": 0.3}, tools={"answer_seconds": 0.6}) as shop:
        late = await shop.call(*FORM_ASKED)
        sampled = await shop.call("sampling/createMessage", SAMPLING)
        (newest, *_) = (await shop.me("GET", ALL))["data"]
        lines = [line["action"] for line in (await shop.me("GET", "/portal/v1/audit"))["data"]]

    assert late == {"action": "cancel"}
    assert sampled["message"] == "Nobody answered in time."
    assert newest["status"] == "expired"
    assert "approval.expired" in lines


async def test_where_nobody_can_be_asked_nobody_is(shop: Shop) -> None:
    assert await shop.call(*FORM_ASKED, store=False) == {"action": "cancel"}
    assert (await shop.call("sampling/createMessage", SAMPLING, store=False))["message"] == "Nobody can be asked here."
    assert (await shop.me("GET", ALL))["data"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"message": "?", "requestedSchema": {"type": "object", "properties": {"a": {"type": "object"}}}},
        {"message": "?", "requestedSchema": {"type": "object", "properties": {}}},
        {"mode": "url", "message": "?", "url": "javascript:alert(1)", "elicitationId": "1"},
        {"mode": "url", "message": "?", "url": "https://[", "elicitationId": "1"},
    ],
)
async def test_what_is_no_form_and_no_address_is_not_shown(shop: Shop, params: Any) -> None:
    assert (await shop.call("elicitation/create", params)).get("action") == "cancel"
    assert (await shop.me("GET", ALL))["data"] == []


async def test_the_settings_decide_for_a_server(tmp_path: Path) -> None:
    async with opened(tmp_path / "a", server={"sampling": "allow"}) as shop:
        answer = await shop.call("sampling/createMessage", SAMPLING, sampled="At once.", store=False)
        assert answer["content"]["text"] == "At once."
        long = {**SAMPLING, "messages": [{"role": "user", "content": {"type": "text", "text": "x" * 200_000}}]}
        assert "100 kB" in (await shop.call("sampling/createMessage", long))["message"]
    async with opened(tmp_path / "b", server={"sampling": "off"}) as shop:
        assert "not supported" in (await shop.call("sampling/createMessage", SAMPLING))["message"]
    denied = [{"action": "deny", "tool": "sampling"}]
    async with opened(tmp_path / "c", server={"sampling": "allow"}, policies=denied) as shop:
        assert "Not allowed" in (await shop.call("sampling/createMessage", SAMPLING))["message"]


async def test_a_turn_that_is_stopped_takes_its_question_along(shop: Shop) -> None:
    asked = json.dumps({"method": FORM_ASKED[0], "params": FORM_ASKED[1]})
    shop.backend.script(ToolCallDelta(0, "c1", "f__ask", asked))
    body = {"model": "auto", "input": "ask", "background": True}
    begun = await shop.me("POST", "/v1/responses", body)
    question = await shop.question()
    with shop.portal.portal.bus.subscribe(shop.portal.owner) as news:
        await shop.me("POST", f"/v1/responses/{begun['id']}/cancel", {})
        while (await shop.me("GET", f"{ALL}/{question['id']}"))["status"] == "pending":
            await news.get()
    late = {"approve": True, "content": {"size": "small"}}
    await shop.me.refused("POST", f"{ALL}/{question['id']}", late, status=409)


async def test_a_call_asks_only_so_often(tmp_path: Path) -> None:
    async with opened(tmp_path, tools={"answer_seconds": 0.05}) as shop:
        shop.backend.script(ToolCallDelta(0, "c1", "f__ask", json.dumps({"method": "many", "params": FORM_ASKED[1]})))
        shop.backend.script(TextDelta("Done."))
        done = await shop.me("POST", "/v1/responses", {"model": "auto", "input": "ask the shop"})
        assert done["status"] == "completed"
        assert len((await shop.me("GET", ALL))["data"]) == 10


@pytest.mark.slow
async def test_the_protocols_own_example_server_asks_back(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    settings = {"mcp": {"servers": {"e": npm("server-everything", risks={"*": "read"})}}}
    async with (
        open_test_portal(tmp_path, backends=[backend], settings=settings) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        shop = Shop(portal, backend, Door(client))
        await shop.me("POST", "/portal/v1/mcp/servers/e/test", {})
        for tool, arguments, said, verdict, told in (
            ("e__trigger-elicitation-request", {}, [], {"content": {"name": "Ada", "integer": "7"}}, "Ada"),
            ("e__trigger-sampling-request", {"prompt": "hi", "maxTokens": 9}, ["Good day."], {}, "Good day."),
        ):
            backend.script(ToolCallDelta(0, "c1", tool, json.dumps(arguments)))
            for text in [*said, "Done."]:
                backend.script(TextDelta(text))
            async with asyncio.TaskGroup() as tasks:
                answer = tasks.create_task(shop.me("POST", "/v1/responses", {"model": "auto", "input": "ask"}))
                question = await shop.question()
                await shop.me("POST", f"{ALL}/{question['id']}", {"approve": True, **verdict})
            assert told in answer.result()["output"][0]["output"]
