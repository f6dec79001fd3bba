"""A turn runs on one server, and is watched, stopped and gone on with through another."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from tests.cluster.conftest import Server

from portal.core.model import TextDelta

Events = list[dict[str, Any]]


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


async def begun(server: Server, text: str = "hello") -> str:
    body = {"model": "tiny", "input": text, "background": True}
    async with server.api.post("/v1/responses", json=body) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["id"])


async def watched(server: Server, response_id: str, after: int = -1) -> Events:
    query = {"stream": "true", "starting_after": str(after)}
    async with server.api.get(f"/v1/responses/{response_id}", params=query) as answer:
        assert answer.status == 200
        return [event async for event in events(answer)]


def text_of(seen: Events) -> str:
    return "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta")


def numbers(seen: Events) -> list[int]:
    return [event["sequence_number"] for event in seen]


async def test_a_turn_is_watched_through_another_server(pair: tuple[Server, Server]) -> None:
    first, second = pair
    gate = asyncio.Event()
    first.model.script(TextDelta("Hel"), gate, TextDelta("lo"), TextDelta(" there"))
    response_id = await begun(first)
    async with asyncio.TaskGroup() as group:
        there, here = (group.create_task(watched(one, response_id)) for one in (second, first))
        await asyncio.sleep(0.3)
        gate.set()
    elsewhere, own = there.result(), here.result()
    assert text_of(elsewhere) == text_of(own) == "Hello there"
    assert numbers(elsewhere) == sorted(set(numbers(elsewhere)))
    assert elsewhere[-1] == own[-1]
    assert elsewhere[-1]["type"] == "response.completed"


async def test_long_events_arrive_whole(pair: tuple[Server, Server]) -> None:
    first, second = pair
    gate, long = asyncio.Event(), "Ünïcödé ✓ " * 3000
    first.model.script(gate, TextDelta(long), TextDelta("plain " * 5000))
    response_id = await begun(first)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watched(second, response_id))
        await asyncio.sleep(0.2)
        gate.set()
    seen = watching.result()
    assert text_of(seen) == long + "plain " * 5000
    assert seen[-1]["response"]["output"][0]["content"][0]["text"] == long + "plain " * 5000


async def test_a_turn_is_stopped_through_another_server(pair: tuple[Server, Server]) -> None:
    first, second = pair
    first.model.script(TextDelta("Hel"), asyncio.Event())
    response_id = await begun(first)
    async with second.api.post(f"/v1/responses/{response_id}/cancel") as answer:
        stopped = await answer.json()
    assert (stopped["status"], stopped["incomplete_details"]) == ("cancelled", {"reason": "cancelled"})
    assert first.test.portal.agent.running(response_id) is None
    assert first.model.cancelled == 1


async def test_a_turn_elsewhere_is_no_end_of_a_conversation_yet(pair: tuple[Server, Server]) -> None:
    first, second = pair
    first.model.script(TextDelta("Hel"), gate := asyncio.Event())
    response_id = await begun(first)
    body = {"model": "tiny", "input": "too early", "previous_response_id": response_id}
    async with second.api.post("/v1/responses", json=body) as answer:
        assert answer.status == 409
    gate.set()
    await watched(second, response_id)
    second.model.answer("now")
    async with second.api.post("/v1/responses", json=body) as answer:
        assert answer.status == 200


async def test_a_deleted_turn_stops_wherever_it_runs(pair: tuple[Server, Server]) -> None:
    first, second = pair
    first.model.script(TextDelta("Hel"), asyncio.Event())
    response_id = await begun(first)
    async with second.api.delete(f"/v1/responses/{response_id}") as answer:
        assert answer.status == 200
    assert first.model.running == 0
