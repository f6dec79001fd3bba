"""What servers ask back: folders, a model's answer, something of the person; and that nobody is asked for another."""

import asyncio
import json
from typing import Annotated, Any

import mcp_types as types
import pytest
from mcp.server.mcpserver import Elicit, MCPServer, Resolve
from pydantic import BaseModel
from tests.mcp.workshop import Workshop, serve

from portal.core.tool_dialogue import Elicitation, ElicitationAnswer, SamplingAnswer, SamplingRequest
from portal.core.tools import ToolContext
from portal.errors import Forbidden, PortalError
from portal.mcp.dialogue import Dialogue

ASK = {
    "messages": [
        {"role": "user", "content": {"type": "text", "text": "how are you"}},
        {"role": "assistant", "content": {"type": "text", "text": "well"}},
        {"role": "user", "content": {"type": "audio", "data": "AA==", "mimeType": "audio/wav"}},
    ],
    "maxTokens": 50,
    "systemPrompt": "be brief",
}
FORM = {"message": "Which?", "requestedSchema": {"type": "object", "properties": {"size": {"type": "string"}}}}


class Model:
    """A sampler that answers, or not."""

    def __init__(self, error: PortalError | None = None, tokens: int = 0) -> None:
        self.asked: list[tuple[SamplingRequest, ToolContext]] = []
        self._error, self._tokens = error, tokens

    async def sample(self, request: SamplingRequest, context: ToolContext) -> SamplingAnswer:
        self.asked.append((request, context))
        if self._error:
            raise self._error
        return SamplingAnswer(text="fine", model="tiny", truncated=True, tokens=self._tokens)


class Person:
    """Somebody who answers."""

    def __init__(self, answer: ElicitationAnswer) -> None:
        self.asked: list[tuple[Elicitation, ToolContext]] = []
        self._answer = answer

    async def elicit(self, question: Elicitation, context: ToolContext) -> ElicitationAnswer:
        self.asked.append((question, context))
        return self._answer


async def ask(server: Any, workshop: Workshop, method: str, params: Any) -> Any:
    answer = await server.call("f__ask", {"method": method, "params": params}, workshop.context())
    return json.loads(answer.text)


async def test_nobody_is_there_to_answer(workshop: Workshop) -> None:
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        sampled = await ask(server, workshop, "sampling/createMessage", ASK)
        elicited = await ask(server, workshop, "elicitation/create", FORM)
        alive = await server.call("f__count", {}, workshop.context())

    assert "not supported" in sampled["message"]
    assert "not supported" in elicited["message"]
    assert alive.text == "counted"


async def test_an_older_server_is_answered(workshop: Workshop) -> None:
    workshop.sampler = model = Model()
    workshop.elicitor = person = Person(ElicitationAnswer(action="accept", content={"size": "large"}))
    granted = workshop.folder / "granted"
    async with workshop.open({"f": workshop.faulty()}, settings={"tools": {"folders": [granted]}}) as servers:
        server = servers.get("f")
        await server.refresh()
        sampled = await ask(server, workshop, "sampling/createMessage", ASK)
        elicited = await ask(server, workshop, "elicitation/create", FORM)
        by_url = await ask(
            server,
            workshop,
            "elicitation/create",
            {"mode": "url", "message": "go", "url": "https://example.org/", "elicitationId": "1"},
        )
        roots = await ask(server, workshop, "roots/list", {})

    request, context = model.asked[0]
    assert sampled["content"] == {"type": "text", "text": "fine"}
    assert (sampled["model"], sampled["stopReason"]) == ("tiny", "maxTokens")
    assert context.call_id == "mcp_1"
    assert (request.server, request.system, request.max_tokens, request.allowed) == ("f", "be brief", 50, False)
    assert [message["content"] for message in request.messages] == [
        [{"type": "text", "text": text}] for text in ("how are you", "well", "[audio]")
    ]
    assert elicited == {"action": "accept", "content": {"size": "large"}}
    assert by_url == {"action": "accept"}
    assert [question.url for question, _ in person.asked] == ["", "https://example.org/"]
    assert [root["name"] for root in roots["roots"]] == ["conversation", "granted"]


async def test_a_model_that_may_not_answer(workshop: Workshop) -> None:
    workshop.sampler = Model(Forbidden("Nobody allowed that."))
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        sampled = await ask(server, workshop, "sampling/createMessage", ASK)

    assert sampled["message"] == "Nobody allowed that."


async def test_no_picture_is_passed_on(workshop: Workshop) -> None:
    workshop.sampler = model = Model()
    picture = {"role": "user", "content": {"type": "image", "data": "AA==", "mimeType": "image/png"}}
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        sampled = await ask(server, workshop, "sampling/createMessage", {**ASK, "messages": [picture]})

    assert "Images" in sampled["message"]
    assert not model.asked


@pytest.mark.parametrize(("tokens", "answers"), [(0, 20), (150_000, 2)])
async def test_one_call_does_not_ask_models_without_end(workshop: Workshop, tokens: int, answers: int) -> None:
    model = Model(tokens=tokens)
    dialogue = Dialogue(server="f", folders=(), sampler=model, elicitor=None, allowed=True)
    dialogue.running["mcp_1"] = workshop.context()
    params = types.CreateMessageRequestParams.model_validate(ASK)
    for _ in range(answers):
        assert isinstance(await dialogue.sample(None, params), types.CreateMessageResult)
    refused = await dialogue.sample(None, params)
    assert isinstance(refused, types.ErrorData)
    assert len(model.asked) == answers
    assert dialogue.end("mcp_1") == tokens * answers

    dialogue.running["mcp_1"] = workshop.context()
    assert isinstance(await dialogue.sample(None, params), types.CreateMessageResult)


async def test_with_two_calls_under_way_nobody_is_asked_for_the_other(workshop: Workshop) -> None:
    workshop.sampler = model = Model()
    workshop.elicitor = person = Person(ElicitationAnswer(action="decline"))
    async with workshop.open({"f": workshop.faulty()}) as servers:
        server = servers.get("f")
        await server.refresh()
        async with asyncio.TaskGroup() as tasks:
            other = tasks.create_task(server.call("f__mute", {}, workshop.context("mcp_2")))
            await workshop.until_marked("mute")
            sampled = await ask(server, workshop, "sampling/createMessage", ASK)
            elicited = await ask(server, workshop, "elicitation/create", FORM)
            roots = await ask(server, workshop, "roots/list", {})
            other.cancel()

    assert "no single call" in sampled["message"]
    assert elicited["action"] == "cancel"
    assert len(roots["roots"]) == 1
    assert not model.asked
    assert not person.asked


class Size(BaseModel):
    size: str


@pytest.mark.parametrize("action", ["accept", "decline"])
async def test_a_newer_server_asks_in_the_middle_of_a_call(workshop: Workshop, action: Any) -> None:
    workshop.elicitor = person = Person(ElicitationAnswer(action=action, content={"size": "large"}))
    server = MCPServer("asking")

    def which() -> Elicit[Size]:
        return Elicit("Which size?", Size)

    @server.tool(structured_output=False)
    async def order(size: Annotated[Size, Resolve(which)]) -> str:
        """Order something."""
        return f"one {size.size}"

    async with (
        serve(server.streamable_http_app()) as url,
        workshop.open({"a": {"url": f"{url}/mcp"}}) as servers,
    ):
        asking = servers.get("a")
        await asking.refresh()
        answer = await asking.call("a__order", {}, workshop.context())

    assert asking.about["protocol"] == "2026-07-28"
    assert (answer.text == "one large", answer.failed) == (action == "accept", action != "accept")
    assert [(question.server, question.message, context.call_id) for question, context in person.asked] == [
        ("a", "Which size?", "mcp_1")
    ]
