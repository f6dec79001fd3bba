"""A turn that was decided and did not begin goes on: Portal was stopped right then, or no model was there."""

from pathlib import Path
from typing import Any

import aiohttp
from tests.e2e.tool_desk import Desk, able, calls

from portal.app.approving import go_on
from portal.core.clock import micros
from portal.core.model import TextDelta
from portal.errors import BackendUnavailable
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import decision

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


async def test_a_decided_turn_begins_after_a_restart(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        response_id = await asked(portal)
        await decided_only(portal, response_id)
    backend.script(TextDelta("Written."))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        opened = portal.portal
        await go_on(opened.storage, opened.agent, opened.models, micros() + 1)  # unless it has begun by itself already
        ended = await goes_on(portal, response_id)
    called, said = ended["output"]
    assert (called["status"], called["output"]) == ("completed", "written to a")
    assert said["content"][0]["text"] == "Written."
    assert desk.done == [("a", "", 1, False)]


async def test_it_waits_for_a_model(tmp_path: Path) -> None:
    desk, backend = Desk(), able()
    backend.script(*calls(WRITE))
    async with open_test_portal(tmp_path, backends=[backend], toolsets=desk.toolsets()) as portal:
        opened, response_id = portal.portal, await asked(portal)
        await decided_only(portal, response_id)
        backend.failure = BackendUnavailable("It is away.")
        await go_on(opened.storage, opened.agent, opened.models, micros() + 1)
        assert desk.done == []
        backend.failure = None
        backend.script(TextDelta("Written."))
        await go_on(opened.storage, opened.agent, opened.models, micros() + 1)
        assert (await goes_on(portal, response_id))["status"] == "completed"
        assert len(desk.done) == 1
