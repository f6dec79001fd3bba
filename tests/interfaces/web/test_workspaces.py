"""Workspaces over the API: whose they are, what they mean, what reaches the model, and that they last."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from portal.backends.scripted import ScriptedBackend
from portal.core.model import ModelInfo
from portal.core.records import WorkspaceRecord
from portal.errors import BackendUnavailable
from portal.testing.portal import TestPortal, open_test_portal

from .conftest import Door, unnumbered

pytestmark = pytest.mark.asyncio(loop_scope="module")
ALL = "/portal/v1/workspaces"
EXPORTS = Path(__file__).parents[2] / "fixtures/personas"


@pytest_asyncio.fixture(loop_scope="module")
async def mine(me: Door, backend: ScriptedBackend) -> AsyncIterator[str]:
    """A workspace of the owner's, for the length of a test."""
    fields = {
        "title": "Mine",
        "persona": "poet",
        "instructions": "About trees.",
        "prefer": ["tiny"],
        "parameters": {"temperature": 0.3, "stop": ["END"]},
        "max_output_tokens": 40,
    }
    await me("PUT", f"{ALL}/mine", fields)
    backend.requests.clear()
    yield "mine"
    await me("DELETE", f"{ALL}/mine")


async def test_each_says_what_it_means_now(me: Door) -> None:
    listed = (await me("GET", ALL))["data"]
    assert listed[0]["name"] == "auto"
    assert {one["now"]["model"] for one in listed} == {"tiny"}
    by_name = {one["name"]: one for one in listed}
    assert by_name["auto-coding"]["now"]["reason"] == "this workspace prefers the best there is for coding"
    assert "qwen2.5vl" in by_name["auto-vision"]["advice"]
    assert by_name["auto-coding"]["advice"] is None
    assert (by_name["auto"]["source"], by_name["auto"]["mine"], by_name["auto"]["replaces"]) == (
        "built-in",
        False,
        None,
    )
    assert await me("GET", f"{ALL}/auto-fast") == by_name["auto-fast"]
    await me.refused("GET", f"{ALL}/nothing", status=404)


async def test_a_workspaces_life(me: Door, portal: TestPortal, mine: str) -> None:
    with portal.portal.bus.subscribe(portal.owner) as changes:
        changed = await me("PUT", f"{ALL}/{mine}", {"title": "Other"})
        assert unnumbered(changes.get_nowait()) == {"type": "workspaces.changed"}
    assert (changed["title"], changed["persona"], changed["source"], changed["mine"]) == ("Other", "", "page", True)
    assert mine in {row["id"] for row in (await me("GET", "/v1/models"))["data"]}
    assert (await me("GET", f"/v1/models/{mine}"))["owned_by"] == "portal"


async def test_one_of_portals_own_is_overridden_and_reset(me: Door) -> None:
    original = await me("GET", f"{ALL}/auto-fast")
    changed = await me("PUT", f"{ALL}/auto-fast", {"title": "Hurry"})
    assert (changed["source"], changed["replaces"]) == ("page", "built-in")
    gone = await me("DELETE", f"{ALL}/auto-fast")
    assert gone == {"name": "auto-fast", "deleted": True, "now": original}
    refused = await me.refused("DELETE", f"{ALL}/auto-fast", status=409)
    assert "part of Portal" in refused["message"]


@pytest.mark.parametrize(
    ("name", "fields", "param"),
    [
        ("Mine", {}, "name"),
        ("a" * 65, {}, "name"),
        ("-a", {}, "name"),
        ("ok", {"persona": "nobody"}, "persona"),
        ("ok", {"parameters": {"temperature": 9}}, "parameters"),
        ("ok", {"instructions": "x" * 50_001}, "instructions"),
        ("ok", {"name": "other"}, "name"),
    ],
)
async def test_a_wrong_one_is_refused(me: Door, name: str, fields: dict[str, Any], param: str) -> None:
    error = await me.refused("PUT", f"{ALL}/{name}", fields, status=400)
    assert error["param"] == param
    await me.refused("GET", f"{ALL}/{name}", status=404)


async def test_others_see_what_is_shared_and_change_nothing(
    me: Door, stranger: Door, portal: TestPortal, mine: str
) -> None:
    assert (await me("PUT", f"{ALL}/{mine}", {}))["users"] == [portal.owner]
    await stranger.refused("GET", f"{ALL}/{mine}", status=404)
    await stranger.refused("DELETE", f"{ALL}/{mine}", status=404)
    await stranger.refused("POST", f"{ALL}/{mine}/test", {}, status=404)
    await stranger.refused("POST", "/v1/chat/completions", chat(mine), status=404)
    await me("PUT", f"{ALL}/{mine}", {"title": "Shared", "users": []})
    seen = await stranger("GET", f"{ALL}/{mine}")
    assert (seen["title"], seen["mine"]) == ("Shared", False)
    assert "somebody else's" in (await stranger.refused("DELETE", f"{ALL}/{mine}", status=409))["message"]
    assert (await stranger("PUT", f"{ALL}/{mine}", {"title": "Theirs"}))["mine"]
    assert (await me("GET", f"{ALL}/{mine}"))["title"] == "Shared"
    await stranger("DELETE", f"{ALL}/{mine}")


# ------------------------------------------------------------------ what reaches the model


def chat(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Go"}], **fields}


async def test_it_reaches_the_model_through_chat(me: Door, backend: ScriptedBackend, mine: str) -> None:
    await me("POST", "/v1/chat/completions", chat(mine, max_tokens=500))
    (request,) = backend.requests
    assert [message["role"] for message in request.messages] == ["system", "user"]
    assert request.messages[0]["content"].startswith("You are a poet.")
    assert request.messages[0]["content"].endswith("\n\nAbout trees.")
    assert request.parameters == {"temperature": 0.3, "stop": ["END"], "max_tokens": 40}


async def test_the_clients_parameters_and_system_message_go_with_it(
    me: Door, backend: ScriptedBackend, mine: str
) -> None:
    sent = [{"role": "system", "content": "In French."}, {"role": "user", "content": "Go"}]
    await me("POST", "/v1/chat/completions", {"model": mine, "messages": sent, "temperature": 1.5, "max_tokens": 7})
    (request,) = backend.requests
    assert len(request.messages) == 2
    assert request.messages[0]["content"].endswith("About trees.\n\nIn French.")
    assert (request.parameters["temperature"], request.parameters["max_tokens"]) == (1.5, 7)


async def test_it_reaches_the_model_through_responses(me: Door, backend: ScriptedBackend, mine: str) -> None:
    made = await me("POST", "/v1/responses", {"model": mine, "input": "Go", "max_output_tokens": 500})
    (request,) = backend.requests
    assert request.messages[0]["content"].endswith("About trees.")
    assert request.parameters["temperature"] == 0.3
    assert request.parameters["max_tokens"] == 40
    assert (await me("GET", f"/portal/v1/responses/{made['id']}/route"))["workspace"] == mine


async def test_a_plain_model_gets_nothing_added(me: Door, backend: ScriptedBackend, mine: str) -> None:
    await me("POST", "/v1/chat/completions", chat("tiny"))
    await me("POST", "/v1/responses", {"model": "tiny", "input": "Go", "store": False})
    for request in backend.requests:
        assert request.messages == [{"role": "user", "content": "Go"}]
        assert request.parameters == {}


# ------------------------------------------------------------------ trying


async def test_a_workspace_is_tried_with_its_personas_test(me: Door, backend: ScriptedBackend, mine: str) -> None:
    backend.answer("Rain taps\n", "on tin")
    made = await me("POST", f"{ALL}/{mine}/test", {})
    assert (made["prompt"], made["answer"], made["problems"]) == (
        "Write a haiku about rain on a tin roof.",
        "Rain taps\non tin",
        [],
    )
    assert (made["decision"]["resolved_model"], made["persona"]) == ("tiny", "poet")
    backend.answer("Here is your haiku")
    assert len((await me("POST", f"{ALL}/{mine}/test", {}))["problems"]) == 2


async def test_what_is_not_saved_can_be_tried(me: Door, backend: ScriptedBackend) -> None:
    backend.requests.clear()
    body = {"prompt": "Hi", "workspace": {"instructions": "Only here."}}
    made = await me("POST", f"{ALL}/never-saved/test", body)
    assert (made["answer"], made["problems"]) == ("Hi", None)
    assert backend.requests[0].messages[0] == {"role": "system", "content": "Only here."}
    await me.refused("GET", f"{ALL}/never-saved", status=404)
    assert (await me("POST", f"{ALL}/auto/test", {"persona": "tutor"}))["persona"] == "tutor"
    assert (await me("POST", f"{ALL}/auto/test", {}))["problems"] == []
    await me.refused("POST", f"{ALL}/auto/test", {"persona": "nobody"}, status=400)
    backend.script(BackendUnavailable("gone"))
    await me.refused("POST", f"{ALL}/auto/test", {}, status=503)


# ------------------------------------------------------------------ personas and imports


async def test_the_personas(me: Door) -> None:
    listed = (await me("GET", "/portal/v1/personas"))["data"]
    assert len(listed) >= 15
    assert {"name", "title", "description", "prompt", "task", "temperature", "test", "object"} == listed[0].keys()


async def test_exports_of_other_programs_become_workspaces(me: Door, portal: TestPortal) -> None:
    content = (EXPORTS / "openwebui-models.json").read_text(encoding="utf-8")
    planned = (await me("POST", "/portal/v1/personas/import", {"content": content, "dry_run": True}))["data"]
    await me.refused("GET", f"{ALL}/grammar-helper", status=404)
    done = (await me("POST", "/portal/v1/personas/import", {"content": content}))["data"]
    assert planned == done
    assert [(one["name"], one["taken"]) for one in done] == [
        ("grammar-helper", True),
        ("llama3.2-latest", True),
        (None, False),
    ]
    one = await me("GET", f"{ALL}/grammar-helper")
    assert (one["prefer"], one["users"]) == (["qwen3:8b"], [portal.owner])
    again = (await me("POST", "/portal/v1/personas/import", {"content": content}))["data"]
    assert [entry["name"] for entry in again] == ["grammar-helper-2", "llama3.2-latest-2", None]
    for entry in (*done, *again):
        if entry["name"]:
            await me("DELETE", f"{ALL}/{entry['name']}")


async def test_an_entry_that_does_not_fit_is_told(me: Door) -> None:
    entry = {"id": "long", "name": "Long", "params": {"system": "x" * 50_001}, "meta": {}}
    (told,) = (await me("POST", "/portal/v1/personas/import", {"content": json.dumps([entry])}))["data"]
    assert (told["taken"], told["name"]) == (False, None)
    assert "instructions" in told["notes"][0]
    await me.refused("POST", "/portal/v1/personas/import", {"content": "[]"}, status=400)


async def test_two_of_a_name_in_one_file_are_told_apart(me: Door) -> None:
    entries = [{"id": "a b", "name": "A", "params": {}}, {"id": "a-b", "name": "B", "params": {}}]
    told = (await me("POST", "/portal/v1/personas/import", {"content": json.dumps(entries), "dry_run": True}))["data"]
    assert [one["name"] for one in told] == ["a-b", "a-b-2"]


# ------------------------------------------------------------------ over a restart


async def test_they_last(tmp_path: Path) -> None:
    tiny = [ModelInfo(id="tiny", backend="", capabilities=frozenset({"chat", "vision"}))]
    settings = {"workspaces": {"team": {"title": "Team", "instructions": "Us."}, "auto": {"title": "Ours"}}}
    async with open_test_portal(tmp_path, backends=[ScriptedBackend(models=tiny)], settings=settings) as portal:
        async with aiohttp.ClientSession(portal.url, headers=portal.headers) as client:
            me = Door(client)
            await me("PUT", f"{ALL}/mine", {"title": "Mine"})
            assert (await me("PUT", f"{ALL}/team", {"title": "My team"}))["replaces"] == "settings"
            assert (await me("GET", f"{ALL}/auto"))["source"] == "settings"
            assert (await me("GET", f"{ALL}/auto-vision"))["advice"] is None
        saved = portal.portal.storage.workspaces
        await saved.save(WorkspaceRecord(owner=portal.owner, name="odd", fields={"colour": "red"}, created_at=1))
        await saved.save(WorkspaceRecord(owner=portal.owner, name="lost", fields={"persona": "gone"}, created_at=2))
    async with (
        open_test_portal(tmp_path, backends=[ScriptedBackend(models=[])], settings=settings) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        me = Door(client)
        found = {one["name"]: one for one in (await me("GET", ALL))["data"]}
        assert (found["mine"]["title"], found["team"]["title"]) == ("Mine", "My team")
        assert not {"odd", "lost"} & found.keys()
        assert (await me("DELETE", f"{ALL}/team"))["now"]["title"] == "Team"
        assert "in the settings" in (await me.refused("DELETE", f"{ALL}/team", status=409))["message"]


async def test_nobody_has_more_than_the_most(me: Door) -> None:
    have = sum(one["mine"] for one in (await me("GET", ALL))["data"])
    async with asyncio.TaskGroup() as group:
        for number in range(200 - have):
            group.create_task(me("PUT", f"{ALL}/n{number}", {}))
    error = await me.refused("PUT", f"{ALL}/one-more", {}, status=409)
    assert "200" in error["message"]
    await me("PUT", f"{ALL}/n1", {"title": "still changed"})
    for number in range(200 - have):
        await me("DELETE", f"{ALL}/n{number}")
