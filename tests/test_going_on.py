"""A turn that was decided and did not begin goes on: Portal was stopped right then, or no model was there."""

import json
from pathlib import Path
from typing import Any

import aiohttp
from tests.e2e.tool_desk import Desk, able, calls

from portal.app.approving import GoingOn
from portal.core.clock import micros
from portal.core.model import TextDelta
from portal.errors import BackendUnavailable
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import decision

MINUTE = 60_000_000
WRITE = ("write_note", '{"path": "a"}')


async def asked(portal: TestPortal) -> str:
    """The id of a response that asks for a yes."""
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        response = await (await client.post("/v1/responses", json={"model": "auto", "input": "Write it"})).json()
    assert response["incomplete_details"] == {"reason": "approval_required"}
    return str(response["id"])


async def decided_only(portal: TestPortal, response_id: str) -> None:
    """As a Portal leaves it that is stopped between a decision and its turn."""
    approvals = portal.portal.storage.approvals
    (question,) = await approvals.of_response(portal.owner, response_id)
    assert await approvals.decide(portal.owner, {question.id: decision(by=portal.owner)}) == 0


async def goes_on(portal: TestPortal, response_id: str) -> dict[str, Any]:
    """How the response ended that followed."""
    found = "SELECT id FROM responses WHERE previous_id = :response_id"
    (row,) = await portal.portal.storage.database.fetch(found, response_id=response_id)
    run = portal.portal.agent.running(row["id"])
    if run is not None:
        await run.ended()
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        ended: dict[str, Any] = await (await client.get(f"/v1/responses/{row['id']}")).json()
    return ended


def going_on(portal: TestPortal) -> GoingOn:
    opened = portal.portal
    return GoingOn(storage=opened.storage, agent=opened.agent, models=opened.models, hours=24)


async def test_a_decided_turn_begins_after_a_restart(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        response_id = await asked(portal)
        await decided_only(portal, response_id)
    backend.script(TextDelta("Written."))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        await going_on(portal).once(micros() + 1)  # unless it has begun by itself already
        ended = await goes_on(portal, response_id)
    called, said = ended["output"]
    assert (called["status"], called["output"]) == ("completed", "written to a")
    assert said["content"][0]["text"] == "Written."
    assert desk.done == [("a", "", 1, False)]


async def test_it_waits_for_a_model(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        response_id = await asked(portal)
        await decided_only(portal, response_id)
        backend.failure = BackendUnavailable("It is away.")
        await going_on(portal).once(micros() + 1)
        assert desk.done == []
        backend.failure = None
        backend.script(TextDelta("Written."))
        await going_on(portal).once(micros() + 1)
        assert (await goes_on(portal, response_id))["status"] == "completed"
        assert len(desk.done) == 1


async def test_pauses_double_and_an_end_comes(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        response_id, tries = await asked(portal), going_on(portal)
        await decided_only(portal, response_id)
        backend.failure = BackendUnavailable("It is away.")
        now = micros()
        for minutes, asks in ((0, True), (1, False), (2, True), (5, False), (6, True), (13, False), (14, True)):
            looked = backend.listed
            await tries.once(now + 1, now=now + minutes * MINUTE)
            assert (backend.listed > looked) is asks, minutes
        await tries.once(now + 1, now=now + 25 * 60 * MINUTE)
        ended = await goes_on(portal, response_id)
        assert (ended["status"], ended["error"]["code"], ended["output"]) == ("failed", "not_begun", [])
        assert "Answer again" in ended["error"]["message"]
        assert desk.done == []
        await tries.once(now + 1, now=now + 26 * 60 * MINUTE)

        backend.failure = None
        await portal.portal.models.refresh()
        backend.script(TextDelta("Written."))
        again = await another_try(portal, response_id, ended["id"])
    assert (again["status"], [item["type"] for item in again["output"]]) == ("completed", ["mcp_call", "message"])
    assert len(desk.done) == 1


async def another_try(portal: TestPortal, asked_id: str, tried: str, status: int = 200, **fields: Any) -> Any:
    """The response of another try, or its refusal."""
    approvals = await portal.portal.storage.approvals.of_response(portal.owner, asked_id)
    given = [
        {
            "type": "mcp_approval_response",
            "approval_request_id": one.id,
            "approve": one.status in ("approved", "used"),
        }
        for one in approvals
    ]
    body = {"model": "auto", "input": given, "previous_response_id": asked_id, "portal:again": tried, **fields}
    async with (
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
        client.post("/v1/responses", json=body) as answer,
    ):
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_another_try_runs_nothing_again(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE, ("write_note", '{"path": "b"}'), ("draw_chart", "{}")))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        response_id = await asked(portal)
        first, second = await portal.portal.storage.approvals.of_response(portal.owner, response_id)
        backend.script(TextDelta("One."))
        no = decision(approve=False, by=portal.owner, answer="Not b")
        run = await portal.portal.agent.decide(portal.owner, {first.id: decision(by=portal.owner), second.id: no})
        assert run is not None
        before = await run.ended()

        backend.script(TextDelta("Two."))
        again = await another_try(portal, response_id, run.id)
        backend.script(TextDelta("Three."))
        third = await another_try(portal, response_id, again["id"])

        for one in (again, third):
            told = [(item.get("name"), item["status"], item.get("output")) for item in one["output"]]
            assert told == [(item.get("name"), item["status"], item.get("output")) for item in before["output"][:2]] + [
                (None, "completed", None)
            ]
            assert not {item["id"] for item in one["output"]} & {item["id"] for item in before["output"]}
        assert "written to a" in json.dumps(list(backend.requests[-1].messages))
        assert "Not b" in json.dumps(list(backend.requests[-1].messages))
        assert len(desk.done) == 1

        other = {"type": "mcp_approval_response", "approval_request_id": second.id, "approve": True}
        error = await another_try(portal, response_id, run.id, 400, input=[other])
        assert error["error"]["param"] == "input"
        error = await another_try(portal, response_id, response_id, 400)
        assert error["error"]["param"] == "portal:again"
        for gone in (run.id, again["id"]):
            await portal.portal.agent.delete(portal.owner, gone)
        backend.script(TextDelta("Four."))
        fourth = await another_try(portal, response_id, third["id"])
        assert "written to a" in fourth["output"][0]["output"]
