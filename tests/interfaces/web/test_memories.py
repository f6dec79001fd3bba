"""/portal/v1/memories, and what a workspace's turns do with them, through the public doors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import TextDelta, ToolCallDelta
from portal.storage.backups.data_files import DATABASE_NAME
from portal.testing.portal import TestPortal, open_test_portal

from .conftest import Door

HOME = "/portal/v1/memories"


@asynccontextmanager
async def opened(folder: Path, **more: Any) -> AsyncIterator[tuple[TestPortal, Door]]:
    """A Portal of its own, and its owner."""
    async with (
        open_test_portal(folder, **more) as running,
        aiohttp.ClientSession(running.url, headers=running.headers) as client,
    ):
        yield running, Door(client)


async def clear(me: Door) -> None:
    await me("DELETE", f"{HOME}?confirm=forget%20everything")
    await me("PATCH", f"{HOME}/settings", {"enabled": True, "conversations": True, "propose": False})


async def add(me: Door, text: str, **fields: Any) -> Any:
    return await me("POST", HOME, {"text": text, **fields}, 201)


async def texts(me: Door, query: str = "") -> list[str]:
    return [one["text"] for one in (await me("GET", f"{HOME}{query}"))["data"]]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_life_of_a_memory(me: Door) -> None:
    await clear(me)
    berlin = await add(me, "I live in Berlin")
    assert (berlin["object"], berlin["new"], berlin["superseded"]) == ("portal.memory", True, [])
    paris = await add(me, "I live in Paris", happened_at=5.5)
    assert paris["superseded"] == [berlin["id"]]
    assert (await add(me, "i live in paris!"))["new"] is False
    whole = await me("GET", f"{HOME}/{paris['id']}")
    assert [one["text"] for one in whole["history"]] == ["I live in Berlin"]
    assert whole["happened_at"] == 5.5
    changed = await me("PATCH", f"{HOME}/{paris['id']}", {"text": "I live in Lyon", "happened_at": None})
    assert (changed["text"], changed["happened_at"]) == ("I live in Lyon", None)
    assert await texts(me, "?q=where+live") == ["I live in Lyon"]
    assert await texts(me, "?status=superseded&q=berlin") == ["I live in Berlin"]
    assert len(await texts(me, "?status=any")) == 3
    assert await texts(me, f"?id={paris['id']}&id=mem_none") == ["I live in Lyon"]
    assert await me("DELETE", f"{HOME}/{paris['id']}") == {"id": paris["id"], "deleted": True}
    assert await texts(me, "?status=any") == []


@pytest.mark.asyncio(loop_scope="module")
async def test_lists(me: Door) -> None:
    await clear(me)
    await me("GET", f"{HOME}?q=anything")
    for n in range(5):
        await add(me, f"Thing{n}", kind="fact" if n else "episode", happened_at=n + 1, scope="workspace:auto")
    assert await texts(me) == [f"Thing{n}" for n in (4, 3, 2, 1, 0)]
    first = await me("GET", f"{HOME}?limit=2")
    assert first["has_more"]
    second = await me("GET", f"{HOME}?limit=2&cursor={first['next']}")
    assert [one["text"] for one in second["data"]] == ["Thing2", "Thing1"]
    assert await texts(me, "?kind=episode") == ["Thing0"]
    assert await texts(me, "?since=2&until=4&scope=workspace:auto") == ["Thing2", "Thing1"]
    assert await texts(me, "?scope=user") == []
    for query in ("status=x", "kind=x", "scope=x", "limit=0", "since=nan", "cursor=x", f"q={'x' * 8001}"):
        await me.refused("GET", f"{HOME}?{query}", status=400)
    assert await texts(me, f"?q={'x' * 8000}") == []


@pytest.mark.asyncio(loop_scope="module")
async def test_merging_and_proposals(me: Door) -> None:
    await clear(me)
    one, two = await add(me, "I like tea"), await add(me, "I like cake")
    merged = await me("POST", f"{HOME}/merge", {"ids": [one["id"], two["id"]], "text": "I like tea and cake"}, 201)
    assert await texts(me) == ["I like tea and cake"]
    assert len((await me("GET", f"{HOME}/{merged['id']}"))["history"]) == 2
    await me.refused("POST", f"{HOME}/merge", {"ids": [one["id"]]}, status=400)
    await me.refused("POST", f"{HOME}/{merged['id']}/accept", status=409)
    await me.refused("POST", f"{HOME}/{merged['id']}/reject", status=400)
    content = json.dumps([{"text": "I like rain", "status": "proposed"}, {"text": "I like snow", "status": "proposed"}])
    await me("POST", f"{HOME}/import", {"content": content})
    snow, rain = (await me("GET", f"{HOME}?status=proposed"))["data"]
    assert (await me("POST", f"{HOME}/{rain['id']}/accept"))["status"] == "active"
    assert (await me("POST", f"{HOME}/{snow['id']}/reject"))["deleted"]
    assert sorted(await texts(me, "?status=any&scope=user")) == sorted(
        ["I like tea and cake", "I like tea", "I like cake", "I like rain"]
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_export_and_import(me: Door, stranger: Door) -> None:
    await clear(me)
    await add(me, "I live in Berlin")
    await add(me, "I live in Paris", happened_at=7)
    exported = await me("GET", f"{HOME}/export")
    assert (exported["object"], len(exported["memories"])) == ("portal.memories", 2)
    body = {"content": json.dumps(exported), "dry_run": True}
    assert (await stranger("POST", f"{HOME}/import", body))["data"] == [{"text": "I live in Paris", "new": None}]
    await stranger("POST", f"{HOME}/import", {**body, "dry_run": False})
    (theirs,) = (await stranger("GET", HOME))["data"]
    assert (theirs["text"], theirs["happened_at"]) == ("I live in Paris", 7)
    await me.refused("POST", f"{HOME}/import", {"content": "[]"}, status=400)
    await clear(stranger)


@pytest.mark.asyncio(loop_scope="module")
async def test_refusals(me: Door, stranger: Door) -> None:
    await clear(me)
    mine = await add(me, "I live in Berlin")
    for method, path, body in (
        ("GET", mine["id"], None),
        ("PATCH", mine["id"], {"text": "x"}),
        ("DELETE", mine["id"], None),
        ("POST", f"{mine['id']}/accept", None),
        ("POST", f"{mine['id']}/reject", None),
        ("POST", "merge", {"ids": [mine["id"], "mem_none"]}),
    ):
        await stranger.refused(method, f"{HOME}/{path}", body, status=404)
    wrong = (
        {},
        {"text": ""},
        {"text": " "},
        {"text": "x" * 2001},
        {"text": "x", "scope": "all"},
        {"text": "x", "y": 1},
    )
    for body in wrong:
        await me.refused("POST", HOME, body, status=400)
    for body in ({"text": None}, {"kind": "x"}, {"scope": None}):
        await me.refused("PATCH", f"{HOME}/{mine['id']}", body, status=400)
    await me.refused("DELETE", HOME, status=400)
    await me.refused("DELETE", f"{HOME}?confirm=yes", status=400)
    assert await texts(me) == ["I live in Berlin"]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_switch(me: Door) -> None:
    await clear(me)
    await add(me, "I live in Berlin")
    off = await me("PATCH", f"{HOME}/settings", {"enabled": False})
    assert off == {"object": "portal.memory.settings", "enabled": False, "conversations": True, "propose": False}
    error = await me.refused("POST", HOME, {"text": "I like tea"}, status=409)
    assert error["code"] == "memory_off"
    answer = await me.respond("Where do I live?", model="auto")
    assert [one["type"] for one in answer["output"]] == ["message"]
    assert await texts(me) == ["I live in Berlin"]
    await me("PATCH", f"{HOME}/settings", {"enabled": True})
    assert (await me("GET", f"{HOME}/settings"))["enabled"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_turn_uses_and_makes_memories(me: Door, backend: ScriptedBackend) -> None:
    await clear(me)
    first = await me.respond("Remember that my dog is called Rex.", model="auto")
    (saved,) = first["output"][0]["saved"]
    assert (await me("GET", f"{HOME}/{saved}"))["source"] == first["id"]
    assert "has just been saved" in str(backend.requests[-1].messages)
    second = await me.respond("What is the name of my dog?", model="auto")
    used = second["output"][0]
    assert (used["type"], [one["id"] for one in used["memories"]]) == ("portal:memory", [saved])
    assert "My dog is called Rex" in str(backend.requests[-1].messages)
    plain = await me.respond("What is the name of my dog?")
    assert [one["type"] for one in plain["output"]] == ["message"]
    assert "Rex" not in str(backend.requests[-1].messages)
    temporary = await me.respond("What is the name of my dog?", model="auto", store=False)
    assert [one["type"] for one in temporary["output"]] == ["message"]
    await me.respond("Remember that I like tea", model="auto", store=False)
    third = await me.respond("Forget that my dog is called Rex", model="auto")
    assert third["output"][0]["forgotten"] == [saved]
    assert await texts(me) == []


async def test_chat_clients_are_told_but_leave_nothing(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with opened(tmp_path, backends=[backend], toolsets=None) as (_, me):
        await add(me, "My dog is called Rex")
        for said in ("What is the name of my dog?", "Remember that I like tea"):
            body = {"model": "auto", "messages": [{"role": "user", "content": said}]}
            await me("POST", "/v1/chat/completions", body)
        assert "Rex" in str(backend.requests[-2].messages)
        assert await texts(me) == ["My dog is called Rex"]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_workspace_without_memory(me: Door, backend: ScriptedBackend) -> None:
    await clear(me)
    await add(me, "My dog is called Rex")
    await me("PUT", "/portal/v1/workspaces/work", {"memory": False})
    answer = await me.respond("Remember that I like tea. What is my dog called?", model="work")
    assert [one["type"] for one in answer["output"]] == ["message"]
    assert await texts(me) == ["My dog is called Rex"]
    await me("DELETE", "/portal/v1/workspaces/work")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_search_of_conversations_has_filters(me: Door) -> None:
    talk = await me("POST", "/portal/v1/conversations", {}, 201)
    await me.respond("The lighthouse of Alexandria", conversation=talk["id"])
    for query, found in (("", 1), ("&model=tiny", 1), ("&model=none", 0), ("&since=1", 1), ("&until=1", 0)):
        page = await me("GET", f"/portal/v1/conversations?q=lighthouse{query}")
        assert len(page["data"]) == found, query
    await me.refused("GET", "/portal/v1/conversations?since=inf", status=400)


async def test_proposals_of_a_model(tmp_path: Path) -> None:
    """Off until somebody turns them on; then seen, grounded in what was said, and used only once accepted."""
    backend = ScriptedBackend(models=["tiny"])
    settings = {"memory": {"model": "tiny"}}
    async with opened(tmp_path, backends=[backend], settings=settings) as (running, me):
        backend.answer("Good for you.")
        await me.respond("I moved to Oslo with my two cats last year", model="auto")
        await me("PATCH", f"{HOME}/settings", {"propose": True})
        backend.answer("Good for you.")
        backend.answer("<think>hm</think>- I live in Oslo with two cats\n- I own a yacht in Monaco\nNONE")
        with running.portal.bus.subscribe(running.owner) as changes:
            await me.respond("I live in Oslo with my two cats", model="auto")
            while (change := await changes.get()) is not None and change["type"] != "memory.changed":
                pass
        (proposed,) = (await me("GET", f"{HOME}?status=proposed"))["data"]
        assert (proposed["text"], proposed["confidence"]) == ("I live in Oslo with two cats", 0.6)
        assert await texts(me) == []
        backend.answer("Hello.")
        backend.answer("NONE")
        await me.respond("Where do I live with my cats?", model="auto")
        told = [request for request in backend.requests if "Where do I live" in str(request.messages[-1])]
        assert "two cats" not in str(told[0].messages)


async def test_tools_of_memory(tmp_path: Path) -> None:
    """Remembering needs no yes, forgetting does."""
    backend = ScriptedBackend(models=["tiny"])
    async with opened(tmp_path, backends=[backend], toolsets=None) as (_, me):
        backend.script(ToolCallDelta(0, "call_1", "remember", '{"text": "I am allergic to nuts"}'))
        backend.script(TextDelta("Noted."))
        answer = await me.respond("I am allergic to nuts, by the way.", model="auto")
        assert answer["status"] == "completed"
        (kept,) = (await me("GET", HOME))["data"]
        assert kept["source"] == answer["id"]
        backend.script(ToolCallDelta(0, "call_2", "forget_memory", json.dumps({"memory_id": kept["id"]})))
        answer = await me.respond("I am not allergic to nuts at all", model="auto")
        assert answer["incomplete_details"] == {"reason": "approval_required"}
        assert await texts(me) == ["I am allergic to nuts"]


async def test_what_is_forgotten_is_not_in_the_files(tmp_path: Path) -> None:
    """Not its text, nor that of its history, nor its words; read from the disk while the server runs."""
    needles = [b"zanzibar", b"ZANZIBAR", b"Timbuktu", b"timbuktu"]

    def left() -> list[bytes]:
        content = b"".join(path.read_bytes() for path in tmp_path.glob(f"{DATABASE_NAME}*"))
        return [needle for needle in needles if needle in content]

    async def gone() -> None:
        """In the background, soon."""
        async with asyncio.timeout(60):
            while left():
                await asyncio.sleep(0.05)

    async with opened(tmp_path, backends=[ScriptedBackend(models=["tiny"])]) as (_, me):
        for n in range(30):
            await add(me, f"Filler number{n} says something of its own")
        await add(me, "I live in ZANZIBAR")
        kept = await add(me, "I live in Timbuktu")
        await me("PATCH", f"{HOME}/{kept['id']}", {"text": "I live near Timbuktu"})
        assert {b"ZANZIBAR", b"Timbuktu", b"timbuktu"} <= {*left()}
        await me("DELETE", f"{HOME}/{kept['id']}")
        await gone()
        await add(me, "The password is ZANZIBAR Timbuktu")
        await me("DELETE", f"{HOME}?confirm=forget%20everything")
        await gone()
    assert left() == []
