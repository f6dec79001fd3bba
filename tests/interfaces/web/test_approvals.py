"""Approvals, grants, audit and tools over the API: whose they are, deciding once, and what is told meanwhile."""

from typing import Any

import aiohttp
import pytest

from portal.app.approving import expire
from portal.core.approvals import ApprovalRecord
from portal.core.clock import micros
from portal.testing.portal import TestPortal
from portal.testing.records import approval, audit, output, request_item, response

from .conftest import Door, unnumbered

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "/portal/v1/approvals"


async def asked(portal: TestPortal, count: int = 1, **fields: Any) -> list[ApprovalRecord]:
    """Questions of one response, as a turn leaves them behind."""
    storage, turn = portal.portal.storage, response(owner=portal.owner)
    await storage.turn_log.begin(turn, [])
    made = [approval(owner=portal.owner, response_id=turn.id, **fields) for _ in range(count)]
    items = [output(turn.id, request_item(record), position=place) for place, record in enumerate(made)]
    await storage.call_log.ask(items, made)
    return made


async def test_a_question_as_the_page_reads_it(me: Door, portal: TestPortal) -> None:
    (record,) = await asked(portal, extents=("once", "folder"), scope="/srv/notes")
    shown = await me("GET", f"{ALL}/{record.id}")
    assert shown == {
        "object": "portal.approval",
        "id": record.id,
        "owner": portal.owner,
        "response_id": record.response_id,
        "conversation_id": None,
        "workspace": "auto",
        "tool": "write_file",
        "toolset": "files",
        "risk": "write",
        "arguments": {"path": "notes/a.txt", "text": "hello"},
        "arguments_hash": record.arguments_hash,
        "why": "It changes files.",
        "question": False,
        "status": "pending",
        "created_at": record.created_at / 1e6,
        "expires_at": record.expires_at / 1e6,
        "decided_at": None,
        "decided_by": None,
        "answer": "",
        "extents": ["once", "folder"],
        "scope": "/srv/notes",
        "call_id": None,
    }
    listed = await me("GET", f"{ALL}?status=pending&limit=1")
    assert listed["data"] == [shown]


async def test_deciding(me: Door, portal: TestPortal) -> None:
    first, second = await asked(portal, 2, extents=("once", "arguments"))
    edited = {"path": "notes/b.txt", "text": "hello"}
    with portal.portal.bus.subscribe(portal.owner) as changes:
        told = await me("POST", f"{ALL}/{first.id}", {"approve": True, "extent": "arguments", "arguments": edited})
        assert unnumbered(changes.get_nowait()) == {"type": "approvals.changed", "id": first.id, "status": "approved"}
    assert told["response_id"] is None
    assert (told["approval"]["status"], told["approval"]["arguments"]) == ("approved", edited)
    assert told["approval"]["decided_by"] == portal.owner
    told = await me("POST", f"{ALL}/{second.id}", {"approve": False, "answer": "Not there."})
    assert (told["approval"]["status"], told["approval"]["answer"]) == ("denied", "Not there.")
    assert told["response_id"].startswith("resp_")
    error = await me.refused("POST", f"{ALL}/{second.id}", {"approve": True}, status=409)
    assert error["code"] == "approval_decided"
    (grant,) = (await me("GET", "/portal/v1/grants"))["data"]
    assert (grant["tool"], grant["extent"]) == ("write_file", "arguments")
    with portal.portal.bus.subscribe(portal.owner) as changes:
        await me("DELETE", f"/portal/v1/grants/{grant['id']}")
        assert unnumbered(changes.get_nowait()) == {"type": "grants.changed", "id": grant["id"]}
    assert (await me("GET", "/portal/v1/grants"))["data"] == []
    lines = [(line["action"], line["subject"]) for line in (await me("GET", "/portal/v1/audit"))["data"]]
    assert ("grant.removed", grant["id"]) in lines
    assert ("approval.decided", first.id) in lines
    await me.refused("DELETE", f"/portal/v1/grants/{grant['id']}", status=404)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "approve"),
        ({"approve": True, "extent": "forever"}, "extent"),
        ({"approve": True, "extent": "domain"}, "extent"),
        ({"approve": True, "arguments": "{}"}, "arguments"),
        ({"approve": True, "reason": "because"}, "reason"),
    ],
)
async def test_what_is_no_decision(me: Door, portal: TestPortal, body: dict[str, Any], param: str) -> None:
    (record,) = await asked(portal)
    error = await me.refused("POST", f"{ALL}/{record.id}", body, status=400)
    assert error["param"] == param
    assert (await me("GET", f"{ALL}/{record.id}"))["status"] == "pending"


async def test_nothing_of_it_is_a_strangers(me: Door, stranger: Door, portal: TestPortal) -> None:
    (record,) = await asked(portal)
    await portal.portal.storage.audit.record(audit(owner=portal.owner))
    await stranger.refused("GET", f"{ALL}/{record.id}", status=404)
    await stranger.refused("POST", f"{ALL}/{record.id}", {"approve": True}, status=404)
    for path in (ALL, "/portal/v1/grants"):
        assert (await stranger("GET", path))["data"] == []
    lines = (await stranger("GET", "/portal/v1/audit"))["data"]
    assert {line["action"] for line in lines} <= {"key.created"}
    for path in ("/portal/v1/audit/log", "/portal/v1/audit/verification"):
        await stranger.refused("GET", path, status=403)


async def test_lists_are_paged(me: Door, portal: TestPortal) -> None:
    records = await asked(portal, 3)
    page = await me("GET", f"{ALL}?limit=2")
    assert [row["id"] for row in page["data"]] == [records[2].id, records[1].id]
    assert page["has_more"]
    rest = await me("GET", f"{ALL}?limit=2&cursor={page['next']}")
    assert rest["data"][0]["id"] == records[0].id
    await me.refused("GET", f"{ALL}?cursor=odd", status=400)
    await me.refused("GET", f"{ALL}?status=odd", status=400)
    await me.refused("GET", "/portal/v1/audit?limit=0", status=400)


async def test_a_question_whose_time_is_over_counts_as_no(me: Door, portal: TestPortal) -> None:
    running = portal.portal
    with running.bus.subscribe(portal.owner) as changes:
        (record,) = await asked(portal, expires_at=micros() - 1)
        await expire(running.storage, running.bus)
        assert unnumbered(await changes.get()) == {
            "type": "approvals.changed",
            "id": record.id,
            "status": "expired",
        }
    assert (await me("GET", f"{ALL}/{record.id}"))["status"] == "expired"
    lines = [(line["action"], line["subject"]) for line in (await me("GET", "/portal/v1/audit"))["data"]]
    assert ("approval.expired", record.id) in lines


async def test_tools_are_told(me: Door) -> None:
    assert isinstance((await me("GET", "/portal/v1/tools"))["toolsets"], list)


async def test_sign_ins_keys_and_settings_are_in_the_audit_of_the_installation(me: Door, portal: TestPortal) -> None:
    await me.refused("POST", "/sign-in/password", {"login": "eve", "password": "guessed wrongly"}, status=401)
    async with aiohttp.ClientSession(portal.url) as browser:
        async with browser.get("/sign-in?token=wrong", allow_redirects=False) as answer:
            assert answer.status == 303
        async with browser.get(await portal.sign_in_link(), allow_redirects=False) as answer:
            assert answer.status == 303
    await me("PATCH", "/portal/v1/memories/settings", {"propose": False})
    await me.refused("PATCH", "/portal/v1/memories/settings", {"propose": "odd"}, status=400)
    key = await me("POST", "/portal/v1/keys", {"name": "short"}, status=201)
    await me("DELETE", f"/portal/v1/keys/{key['id']}")
    lines = (await me("GET", "/portal/v1/audit/log?limit=8"))["data"]
    assert [(line["action"], line["detail"].get("way", line["subject"])) for line in reversed(lines)][-7:] == [
        ("sign-in.refused", "password"),
        ("sign-in.refused", "link"),
        ("link.created", lines[4]["subject"]),
        ("sign-in.done", "link"),
        ("settings.changed", "/portal/v1/memories/settings"),
        ("key.created", key["id"]),
        ("credential.revoked", key["id"]),
    ]
    assert lines[6]["detail"]["login"] == "eve"
    assert (await me("GET", "/portal/v1/audit/verification"))["whole"]
