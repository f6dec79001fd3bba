"""A day with Portal through its public doors, the same wherever data is kept, and all of it there after a restart."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.interfaces.web.conftest import Door
from tests.knowledge.bag import BagEmbedder

from portal.backends.scripted import ScriptedBackend, echo
from portal.testing.portal import open_test_portal

PAPER = "# House\n\nThe door code is 4821.\n\n## Heating\n\nThe heating is at 20 degrees. 日本語のテキストです。\n" * 30
NEWS = {"name": "News", "when": "every weekday at 8:00", "prompt": "Say it", "workspace": "tiny"}


@pytest.fixture(params=["sqlite", "postgres", "postgres and s3"])
def kept(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """Settings that say where data is kept."""
    if request.param == "sqlite":
        return {}
    settings: dict[str, Any] = {"database": request.getfixturevalue("postgres").database()}
    if request.param == "postgres and s3":
        bucket = request.getfixturevalue("s3").bucket().model_dump()
        secret = bucket["secret"].get_secret_value()
        settings["files"] = {"store": "s3", "s3": {**bucket, "secret": secret}}
    return settings


@asynccontextmanager
async def opened(folder: Path, kept: Mapping[str, Any]) -> AsyncIterator[Door]:
    backend, wanted = ScriptedBackend(models=["tiny"], default=echo), {**kept, "people": {"sharing": True}}
    async with (
        open_test_portal(folder, backends=[backend], embedder=BagEmbedder(), settings=wanted) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as http,
    ):
        yield Door(http)


async def uploaded(me: Door, name: str, content: str) -> str:
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", content.encode(), filename=name)
    async with me.client.post("/v1/files", data=form) as answer:
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["id"])


async def a_day(me: Door) -> dict[str, str]:
    """Talk, file, upload, read, remember, plan, share, let others in."""
    folder = await me("POST", "/portal/v1/folders", {"name": "Travel", "instructions": "", "file_ids": []}, 201)
    talk = await me("POST", "/portal/v1/conversations", {"title": "Zürich", "folder_id": folder["id"]}, 201)
    asked = {"model": "tiny", "conversation": talk["id"]}
    for text in ("Where is the Straße?", "我想学习编程语言", "and naïve trains"):
        await me("POST", "/v1/responses", {**asked, "input": text})
    paper = await uploaded(me, "house.md", PAPER)
    shelf = await me("POST", "/v1/vector_stores", {"name": "House", "file_ids": [paper]})
    while (await me("GET", f"/v1/vector_stores/{shelf['id']}"))["status"] != "completed":
        await asyncio.sleep(0.02)
    await me("POST", "/portal/v1/memories", {"text": "I live in Lyon"}, 201)
    await me("POST", "/portal/v1/schedules", NEWS, 201)
    await me("POST", "/portal/v1/schedules/News/run", status=202)
    while (await me("GET", "/portal/v1/schedules/News/runs"))["data"][0]["ended_at"] is None:
        await asyncio.sleep(0.02)
    await me("PUT", "/portal/v1/workspaces/mine", {"title": "Mine"})
    await me("POST", f"/portal/v1/conversations/{talk['id']}/share", {}, 201)
    await me("POST", "/portal/v1/users", {"name": "Ada", "login": "ada"}, 201)
    return {"talk": talk["id"], "paper": paper, "shelf": shelf["id"]}


async def look(me: Door, ids: Mapping[str, str]) -> dict[str, Any]:
    """What can be seen of it."""
    seen: dict[str, Any] = {}
    for path in (
        "/portal/v1/conversations",
        "/portal/v1/folders",
        "/portal/v1/memories",
        "/portal/v1/schedules",
        "/portal/v1/schedules/News/runs",
        "/portal/v1/workspaces",
        "/portal/v1/users",
        "/v1/files",
        f"/v1/conversations/{ids['talk']}/items",
    ):
        seen[path] = await me("GET", path)
    shelves = (await me("GET", "/portal/v1/knowledge"))["collections"]
    seen["shelves"] = [(one["id"], one["name"]) for one in shelves]
    for query in ("zurich", "strasse", "编程", "naive tra", "'; DROP TABLE"):
        found = await me("GET", f"/portal/v1/conversations?q={query}")
        seen[query] = [one["id"] for one in found["data"] if not one.get("alike")]  # by words, not by meaning
    shelf = f"/v1/vector_stores/{ids['shelf']}/search"
    for query in ("door pin", "heatings", "テキスト", "\"'*:&|!("):
        found = await me("POST", shelf, {"query": query})
        seen[f"shelf {query}"] = [one["content"][0]["text"][:80] for one in found["data"]]
    async with me.client.get(f"/v1/files/{ids['paper']}/content") as answer:
        seen["content"] = await answer.text()
    async with me.client.get(f"/v1/files/{ids['paper']}/content", headers={"Range": "bytes=2-6"}) as answer:
        seen["range"] = await answer.text()
    return seen


@pytest.mark.slow
async def test_a_day_is_there_after_a_restart(tmp_path: Path, kept: Mapping[str, Any]) -> None:
    async with opened(tmp_path, kept) as me:
        ids = await a_day(me)
        known = await look(me, ids)
        assert known["zurich"] == known["strasse"] == known["编程"] == known["naive tra"] == [ids["talk"]]
        assert known["'; DROP TABLE"] == []
        assert "4821" in known["shelf door pin"][0]
        assert known["shelf テキスト"]
        assert (known["content"], known["range"]) == (PAPER, "House")
        used = await me("GET", "/portal/v1/usage")
        assert used["data"]
    async with opened(tmp_path, kept) as me:
        again = await look(me, ids)
        users = "/portal/v1/users"
        assert {name: value for name, value in again.items() if name != users} == {
            name: value for name, value in known.items() if name != users
        }
        await me("DELETE", f"/v1/vector_stores/{ids['shelf']}")
        await me("DELETE", f"/v1/files/{ids['paper']}")
        await me("DELETE", f"/v1/conversations/{ids['talk']}")
        assert (await me("GET", "/portal/v1/conversations?q=zurich"))["data"] == []
        assert (await me("GET", "/v1/files"))["data"] == []
