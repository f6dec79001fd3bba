"""The tools of schedules: asked for in a chat, allowed by a person who sees what it comes to."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.e2e.tool_desk import able, calls

from portal.backends.scripted import ScriptedBackend
from portal.core.model import TextDelta
from portal.testing.portal import TestPortal, open_test_portal


@pytest.fixture
def backend() -> ScriptedBackend:
    return able()


@pytest.fixture
async def portal(tmp_path: Path, backend: ScriptedBackend) -> AsyncIterator[TestPortal]:
    async with open_test_portal(
        tmp_path, backends=[backend], toolsets=None, settings={"schedules": {"zone": "UTC"}}
    ) as opened:
        yield opened


async def api(portal: TestPortal, method: str, path: str, body: Any = None) -> Any:
    async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
        return await (await client.request(method, path, json=body)).json()


async def say(portal: TestPortal, backend: ScriptedBackend, *wanted: tuple[str, dict[str, Any]], **fields: Any) -> Any:
    """A turn in which the model makes these calls, and says so."""
    backend.script(*calls(*((name, json.dumps(arguments)) for name, arguments in wanted)))
    backend.script(TextDelta("Done."))
    return await api(portal, "POST", "/v1/responses", {"model": "auto", "input": "Schedule a daily reminder", **fields})


async def allowed(portal: TestPortal, asked: Any) -> Any:
    """The response that follows once everything that was asked is allowed."""
    follows = None
    for item in asked["output"]:
        if item["type"] == "mcp_approval_request":
            answer = await api(portal, "POST", f"/portal/v1/approvals/{item['id']}", {"approve": True})
            follows = answer["response_id"]
    run = portal.portal.agent.running(follows)
    if run is not None:
        await run.ended()
    return await api(portal, "GET", f"/v1/responses/{follows}")


def outputs(response: Any) -> list[str]:
    return [item.get("output") or item.get("error") for item in response["output"] if item["type"] == "mcp_call"]


async def test_a_schedule_is_made_once_a_person_has_seen_what_it_comes_to(
    portal: TestPortal, backend: ScriptedBackend
) -> None:
    wanted = {
        "prompt": "Summarise the news",
        "when": "every weekday at 8:00",
        "name": "News",
        "zone": "Europe/Berlin",
        "tools": ["read_file"],
    }
    asked = await say(portal, backend, ("create_schedule", wanted))
    assert asked["incomplete_details"] == {"reason": "approval_required"}
    (question,) = (await api(portal, "GET", "/portal/v1/approvals?status=pending"))["data"]
    assert "next: " in question["why"]
    assert question["why"].count(" 08:00 CE") == 3
    assert "The answer goes to: page." in question["why"]
    assert "without asking: read_file." in question["why"]
    assert question["extents"] == ["once"]
    done = await allowed(portal, asked)
    assert outputs(done)[0].startswith("Made as sched_")
    (made,) = (await api(portal, "GET", "/portal/v1/schedules"))["data"]
    assert (made["name"], made["timing"], made["zone"]) == ("News", "0 8 * * 1-5", "Europe/Berlin")
    assert (made["tools"], made["targets"], made["workspace"]) == (["read_file"], ["page"], "auto")
    assert "create_schedule" not in made["tools"]


async def test_what_cannot_be_is_told_to_the_model_and_nobody_is_asked(
    portal: TestPortal, backend: ScriptedBackend
) -> None:
    wrong: list[dict[str, Any]] = [
        {"prompt": "x", "when": "soon"},
        {"prompt": "x", "when": "2020-01-01 08:00"},
        {"prompt": "x", "when": "every day at 8", "tools": ["create_schedule"]},
    ]
    done = await say(portal, backend, *(("create_schedule", one) for one in wrong))
    assert done["status"] == "completed"
    told = outputs(done)
    assert "no time to run at" in told[0]
    assert "That time is over" in told[1]
    assert "cannot be" in told[2] or "no tool 'create_schedule' that can be allowed" in told[2]


async def test_looking_pausing_running_and_deleting(portal: TestPortal, backend: ScriptedBackend) -> None:
    for name, when in (("News", "every day at 8"), ("Hook", "webhook"), ("Once", "2099-01-01 08:00")):
        await api(portal, "POST", "/portal/v1/schedules", {"name": name, "when": when, "prompt": "x"})
    (listed,) = outputs(await say(portal, backend, ("list_schedules", {})))
    assert [line.split(" [")[0] for line in listed.splitlines()] == ["News", "Hook", "Once"]
    assert "waits to be called" in listed
    asked = await say(portal, backend, ("pause_schedule", {"schedule": "news"}))
    (told,) = outputs(await allowed(portal, asked))
    assert told.endswith("; paused")
    asked = await say(portal, backend, ("resume_schedule", {"schedule": "news"}))
    assert "; next " in outputs(await allowed(portal, asked))[0]
    asked = await say(
        portal, backend, ("delete_schedule", {"schedule": "Once"}), ("delete_schedule", {"schedule": "x"})
    )
    gone, unknown = outputs(await allowed(portal, asked))
    assert gone == "Deleted: Once."
    assert unknown.startswith("There is no schedule 'x'. There are: ")
    backend.default = lambda request: [TextDelta("Hello.")]
    asked = await say(portal, backend, ("run_schedule", {"schedule": "News"}), ("run_schedule", {"schedule": "Hook"}))
    begins, refused = outputs(await allowed(portal, asked))
    assert begins.startswith("It begins now")
    assert refused == "A webhook runs when it is called."


async def test_a_webhook_and_one_that_is_over(portal: TestPortal, backend: ScriptedBackend) -> None:
    twice = {"prompt": "x", "when": "webhook", "name": "Hook"}
    asked = await say(portal, backend, ("create_schedule", twice))
    (made,) = outputs(await allowed(portal, asked))
    assert "is made on the page" in made
    asked = await say(portal, backend, ("create_schedule", {**twice, "when": "daily at 8"}))
    (refused,) = outputs(await allowed(portal, asked))
    assert "named 'Hook' already" in refused
    asked = await say(portal, backend, ("resume_schedule", {"schedule": "Hook"}))
    assert "waits to be called" in outputs(await allowed(portal, asked))[0]


async def test_where_nothing_runs_by_itself(tmp_path: Path, backend: ScriptedBackend) -> None:
    off = {"schedules": {"enabled": False}}
    async with open_test_portal(tmp_path, backends=[backend], toolsets=None, settings=off) as portal:
        done = await say(portal, backend, ("list_schedules", {}))
        assert outputs(done)[0].startswith("There is no tool 'list_schedules'")
