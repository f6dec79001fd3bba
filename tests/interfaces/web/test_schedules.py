"""/portal/v1/schedules, and the requests from outside at /hooks."""

import asyncio
from typing import Any

import aiohttp
import pytest
from tests.interfaces.web.conftest import Door

from portal.testing.portal import TestPortal, open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEWS = {
    "name": "News",
    "when": "every weekday at 8:00",
    "prompt": "Say it",
    "zone": "Europe/Berlin",
    "workspace": "tiny",
}


async def ended(me: Door, name: str) -> Any:
    """Its newest run, once it is over."""
    while True:
        (run, *_) = (await me("GET", f"/portal/v1/schedules/{name}/runs"))["data"]
        if run["ended_at"] is not None:
            return run
        await asyncio.sleep(0.01)


async def test_making_changing_running_and_deleting(me: Door, stranger: Door) -> None:
    made = await me("POST", "/portal/v1/schedules", NEWS, 201)
    assert made["object"] == "portal.schedule"
    assert (made["kind"], made["timing"], made["last_run"], made["tools"]) == ("cron", "0 8 * * 1-5", None, [])
    assert not {"owner", "permits", "url"} & made.keys()
    assert (await me("GET", "/portal/v1/schedules"))["data"] == [made]
    assert (await stranger("GET", "/portal/v1/schedules"))["data"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/run"), ("GET", "/runs"), ("POST", "/token")):
        await stranger.refused(method, f"/portal/v1/schedules/{made['id']}{path}", status=404)
    await stranger.refused("PATCH", f"/portal/v1/schedules/{made['id']}", {"paused": True}, status=404)
    begun = await me("POST", "/portal/v1/schedules/News/run", status=202)
    run = await ended(me, "News")
    assert (run["id"], run["status"], run["cause"]) == (begun["id"], "completed", "person")
    assert [(one["target"], one["status"]) for one in run["deliveries"]] == [("page", "sent")]
    assert not {"owner", "payload", "last_id"} & run.keys()
    items = (await me("GET", f"/v1/conversations/{run['conversation_id']}/items?order=asc"))["data"]
    assert [item["content"][0]["text"] for item in items] == ["Say it", "Say it"]
    changed = await me("PATCH", "/portal/v1/schedules/news", {"paused": True, "name": "Old news"})
    assert (changed["name"], changed["paused"], changed["next_at"]) == ("Old news", True, None)
    assert (await me("GET", f"/portal/v1/schedules/{made['id']}"))["last_run"]["id"] == run["id"]
    assert await me("DELETE", f"/portal/v1/schedules/{made['id']}") == {"id": made["id"], "deleted": True}
    await me.refused("GET", f"/portal/v1/schedules/{made['id']}", status=404)


async def test_what_cannot_be(me: Door) -> None:
    for body, param in (
        ({**NEWS, "when": "soon"}, "when"),
        ({**NEWS, "zone": "Mars"}, "zone"),
        ({**NEWS, "targets": ["telegram"]}, "targets"),
        ({**NEWS, "tools": ["nothing"]}, "tools"),
        ({**NEWS, "jitter": -1}, "jitter"),
        ({"when": "webhook"}, "prompt"),
    ):
        assert (await me.refused("POST", "/portal/v1/schedules", body, status=400))["param"] == param
    await me.refused("POST", "/portal/v1/schedules", {**NEWS, "next_at": 1}, status=400)


async def test_a_preview(me: Door) -> None:
    plan = await me("POST", "/portal/v1/schedules/preview", {"when": "every 2 hours"})
    assert (plan["kind"], plan["timing"]) == ("interval", "7200")
    assert [round(at - plan["next"][0]) for at in plan["next"]] == [0, 7200, 14400]
    assert (await me.refused("POST", "/portal/v1/schedules/preview", {"when": "x"}, status=400))["param"] == "when"


async def test_where_answers_can_go(me: Door) -> None:
    assert (await me("GET", "/portal/v1/schedules/targets"))["data"] == [{"name": "page", "title": ""}]


async def test_a_webhook(me: Door, portal: TestPortal) -> None:
    fields = {"name": "Hook", "when": "webhook", "prompt": "What is this?", "workspace": "tiny"}
    made = await me("POST", "/portal/v1/schedules", fields, 201)
    assert made["url"].startswith(f"{portal.url}/hooks/")
    assert "url" not in (await me("GET", "/portal/v1/schedules/Hook"))
    async with aiohttp.ClientSession() as sender:
        headers = {"X-GitHub-Delivery": "d1"}
        for again in (False, True):
            async with sender.post(made["url"], json={"ok": "yes"}, headers=headers) as answer:
                assert answer.status == 202
                told = await answer.json()
                assert told["again"] is again
        run = await ended(me, "Hook")
        assert (run["id"], run["response_id"], run["cause"]) == (told["run_id"], told["response_id"], "hook")
        assert len((await me("GET", "/portal/v1/schedules/Hook/runs"))["data"]) == 1
        (_, sent, _) = (await me("GET", f"/v1/conversations/{run['conversation_id']}/items?order=asc"))["data"]
        assert '"ok": "yes"' in sent["content"][0]["text"]
        for data, content_type, status in (
            (b"x" * 300_000, "text/plain", 413),
            (b"{", "application/json", 400),
            (b"x", "image/png", 400),
        ):
            async with sender.post(made["url"], data=data, headers={"Content-Type": content_type}) as answer:
                assert answer.status == status
        async with sender.get(made["url"]) as answer:
            assert (answer.status, (await answer.json())["error"]["type"]) == (405, "invalid_request_error")
        another = await me("POST", "/portal/v1/schedules/Hook/token")
        async with sender.post(made["url"], data=b"x") as answer:
            assert answer.status == 404
        async with sender.post(another["url"], headers={"Origin": "https://elsewhere.example"}) as answer:
            assert answer.status == 403


async def test_where_nothing_runs_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    off = {"schedules": {"enabled": False}}
    async with (
        open_test_portal(tmp_path_factory.mktemp("off"), settings=off) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        made = await (await client.post("/portal/v1/schedules", json={"when": "webhook", "prompt": "x"})).json()
        assert (await client.post(made["url"], data=b"x")).status == 404
