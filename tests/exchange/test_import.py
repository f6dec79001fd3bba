"""Exports of other programs come in whole, once, with their branches, times, models and files, and go on here."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.exchange import samples
from tests.exchange.conftest import Traveller, traveller

from portal.testing.portal import TestPortal
from portal.testing.records import user

EXPORTS: dict[str, Any] = {
    "chatgpt": samples.chatgpt(),
    "claude": samples.claude(),
    "openwebui": samples.openwebui(),
    "librechat": samples.librechat(),
}


def kinds(turn: Any) -> list[str]:
    return [item["type"] for item in turn["response"]["output"]]


def said(turn: Any, side: str = "output") -> str:
    items = turn["input"] if side == "input" else turn["response"]["output"]
    return "|".join(part.get("text", "") for item in items for part in item.get("content") or ())


async def test_a_conversation_of_chatgpt(me: Traveller) -> None:
    told = await me.bring(samples.chatgpt())
    assert (told["source"], told["status"], told["progress"]) == ("chatgpt", "done", 1.0)
    report = told["report"]
    assert report["found"] == {
        "conversations": 2,
        "messages": samples.MESSAGES_OF_CHATGPT,
        "files": 2,
        "folders": 1,
    }
    assert report["stored"] == {"conversations": 1, "messages": 12, "files": 2, "folders": 1}
    assert report["whole"]
    assert {"kind": "conversations", "name": "Broken", "reason": "it is no conversation of ChatGPT"} in report[
        "skipped"
    ]
    talk = (await me.conversations())["Baking rolls"]
    assert talk["updated_at"] == pytest.approx(1756000040.5)
    (folder,) = (await me("GET", "/portal/v1/folders"))["data"]
    assert talk["folder_id"] == folder["id"]
    first, second, third = await me.turns(talk["id"])
    assert kinds(first) == ["reasoning", "mcp_call", "message"]
    assert first["response"]["output"][1]["arguments"] == '{"code":"print(10 * 50)"}'
    assert first["response"]["output"][1]["output"] == "500"
    assert first["response"]["output"][1]["portal:untrusted"]
    assert said(first, "input") == "I am a baker.\n\nBe brief.|How much flour for ten rolls?"
    assert said(first).endswith("About 500 g of flour.")
    assert first["response"]["model"] == "gpt-5-thinking"
    assert (second["response"]["model"], len(second["siblings"]), second["feedback"]) == ("gpt-4o", 2, 1)
    picture = second["input"][0]["content"][1]
    assert picture["type"] == "input_image"
    assert await me("GET", f"/v1/files/{picture['file_id']}/content") == samples.PNG
    assert (await me("GET", f"/v1/files/{picture['file_id']}"))["filename"] == "rolls.png"
    assert kinds(third) == ["mcp_call", "message"]
    assert "![0f0f.png](/v1/files/file_" in said(third)


async def test_a_conversation_of_claude(me: Traveller) -> None:
    told = await me.bring(samples.claude())
    assert told["report"]["stored"] == {"conversations": 1, "messages": 5, "files": 2, "folders": 1, "memories": 1}
    assert told["report"]["whole"]
    talk = (await me.conversations())["Ferry plans"]
    (folder,) = (await me("GET", "/portal/v1/folders"))["data"]
    assert (folder["name"], folder["instructions"]) == ("Trip", "Answer in metric units.\n\nNorway in June")
    assert await me("GET", f"/v1/files/{folder['file_ids'][0]}/content") == b"Oslo, Bergen"
    first, second = await me.turns(talk["id"])
    assert len(first["siblings"]) == 2
    assert kinds(first) == ["reasoning", "mcp_call", "message"]
    assert first["response"]["output"][1]["output"] == "21:00 daily"
    assert second["input"][0]["content"][1]["filename"] == "list.pdf.txt"
    assert "(The file photo.jpg was not taken over: it is not in the export.)" in said(second, "input")
    memories = (await me("GET", "/portal/v1/memories"))["data"]
    assert [one["text"] for one in memories] == ["Ann bakes bread in Oslo."]


async def test_chats_of_open_webui(me: Traveller) -> None:
    told = await me.bring(samples.openwebui(), filename="chat-export.json")
    assert told["report"]["stored"] == {"conversations": 3, "messages": 7, "files": 1}
    talks = await me.conversations()
    assert talks["Sums"]["pinned"]
    (turn,) = await me.turns(talks["Sums"]["id"])
    assert (kinds(turn), said(turn)) == (["reasoning", "message"], "150 + 105|255")
    assert (len(turn["siblings"]), turn["feedback"], turn["response"]["model"]) == (2, 1, "deepseek-r1")
    assert said(turn, "input").startswith("You are exact.|What is 15 * 17?")
    (other,) = [one for one in turn["siblings"] if one != turn["response"]["id"]]
    await me("PATCH", f"/portal/v1/conversations/{talks['Sums']['id']}", {"head": other})
    (turn,) = await me.turns(talks["Sums"]["id"])
    assert (said(turn), turn["response"]["model"]) == ("easy|256", "llama3:8b")
    (turn,) = await me.turns(talks["Weather"]["id"])
    assert kinds(turn) == ["reasoning", "mcp_call", "message"]
    (turn,) = await me.turns(talks["Old"]["id"])
    assert kinds(turn) == ["message", "mcp_call", "message"]
    assert turn["response"]["output"][1]["output"] == "noon"


@pytest.mark.parametrize("flat", [False, True])
async def test_a_conversation_of_librechat(me: Traveller, flat: bool) -> None:
    data = samples.librechat()
    if flat:
        rows: list[Any] = []
        waiting = list(data["messages"])
        while waiting:
            one = waiting.pop(0)
            below = one.pop("children")
            waiting += [{**each, "parentMessageId": one["messageId"]} for each in below]
            rows.append(one)
        data |= {"recursive": False, "messages": rows}
    told = await me.bring(data, filename="venv.json")
    assert told["report"]["stored"] == {"conversations": 1, "messages": 5}
    first, second = await me.turns((await me.conversations())["Virtual environments"]["id"])
    assert kinds(first) == ["reasoning", "mcp_call", "message"]
    assert said(first, "input") == "You are an expert.|How do I activate it?"
    assert (said(second), len(second["siblings"])) == ("Any time.", 2)


@pytest.mark.parametrize("source", EXPORTS)
async def test_twice_is_as_good_as_once(me: Traveller, source: str) -> None:
    first = await me.bring(EXPORTS[source])
    before = await me("GET", "/portal/v1/conversations?limit=200")
    files = await me("GET", "/v1/files")
    second = await me.bring(EXPORTS[source])
    assert second["report"]["found"] == first["report"]["found"]
    assert second["report"]["known"] == first["report"]["stored"]
    assert second["report"]["stored"] == {}
    assert second["report"]["reasons"] == first["report"]["reasons"]
    assert await me("GET", "/portal/v1/conversations?limit=200") == before
    assert await me("GET", "/v1/files") == files


@pytest.mark.parametrize("source", EXPORTS)
async def test_a_dry_run_says_the_same_and_stores_nothing(me: Traveller, source: str) -> None:
    looked = await me.through((await me.upload(EXPORTS[source], dry_run="true"))["id"])
    assert (looked["status"], looked["dry_run"]) == ("done", True)
    assert not (await me("GET", "/portal/v1/conversations"))["data"]
    assert not (await me("GET", "/v1/files"))["data"]
    real = await me.bring(EXPORTS[source])
    assert real["report"] == looked["report"]


async def test_it_is_looked_through_until_its_owner_says_yes(me: Traveller) -> None:
    made = await me.upload(samples.chatgpt())
    looked = await me.through(made["id"])
    assert (looked["status"], looked["report"]["found"]["conversations"]) == ("ready", 2)
    assert not (await me("GET", "/portal/v1/conversations"))["data"]
    assert [one["id"] for one in (await me("GET", "/portal/v1/imports"))["data"]] == [made["id"]]
    await me("POST", f"/portal/v1/imports/{made['id']}/start", {})
    done = await me.through(made["id"])
    assert (done["status"], done["report"]["stored"]["messages"]) == ("done", 12)
    await me("POST", f"/portal/v1/imports/{made['id']}/start", {}, 409)
    await me("DELETE", f"/portal/v1/imports/{made['id']}")
    await me("GET", f"/portal/v1/imports/{made['id']}", None, 404)
    assert "Baking rolls" in await me.conversations()


async def test_nothing_of_the_upload_stays_on_disk(me: Traveller, portal: TestPortal) -> None:
    folder = portal.portal.settings.data_dir / "imports"
    waiting = await me.upload(samples.chatgpt())
    await me.through(waiting["id"])
    assert [path.name for path in folder.iterdir()] == [waiting["id"]]
    assert (folder / waiting["id"]).stat().st_mode & 0o077 == 0
    await me("DELETE", f"/portal/v1/imports/{waiting['id']}")
    await me.bring(samples.librechat())
    assert not list(folder.iterdir())


async def test_a_conversation_goes_on_here_and_is_found(me: Traveller) -> None:
    await me.bring(samples.chatgpt())
    talk = (await me.conversations())["Baking rolls"]
    body = {"model": "scripted", "conversation": talk["id"], "input": "Thanks!"}
    answer = await me("POST", "/v1/responses", body)
    assert answer["previous_response_id"] == talk["head"]
    for query in ("flour", "Baking", "done"):
        found = (await me("GET", f"/portal/v1/conversations?q={query}"))["data"]
        assert [one["id"] for one in found] == [talk["id"]]
    again = await me.bring(samples.chatgpt())
    assert again["report"]["stored"] == {}
    assert (await me.conversations())["Baking rolls"]["head"] == answer["id"]


async def test_each_has_their_own(me: Traveller, portal: TestPortal) -> None:
    await portal.portal.storage.people.add(ann := user(name="Ann"))
    _, key = await portal.portal.credentials.create_key(ann.id, "ann")
    other = traveller(portal, key)
    async with other.session:
        await me.bring(samples.chatgpt())
        told = await other.bring(samples.chatgpt())
        assert told["report"]["stored"]["messages"] == 12
        mine, theirs = (await me.conversations())["Baking rolls"], (await other.conversations())["Baking rolls"]
        assert mine["id"] != theirs["id"]
        await other("GET", f"/portal/v1/conversations/{mine['id']}", None, 404)
        await other("GET", f"/portal/v1/imports/{(await me('GET', '/portal/v1/imports'))['data'][0]['id']}", None, 404)


async def test_who_goes_takes_their_imports_along(me: Traveller, portal: TestPortal) -> None:
    people = portal.portal.storage.people
    await people.add(ann := user(name="Ann"))
    _, key = await portal.portal.credentials.create_key(ann.id, "ann")
    other = traveller(portal, key)
    async with other.session:
        waiting = await other.upload(samples.chatgpt())
        await other.through(waiting["id"])
    await me("DELETE", f"/portal/v1/users/{ann.id}?everything=true")
    assert not await portal.portal.storage.imports.list(ann.id)


def webui(path: Path, *, emails: tuple[str, ...] = ("ann@example.com",)) -> bytes:
    """A database of Open WebUI."""
    database = apsw.Connection(str(path))
    database.execute("CREATE TABLE user (id TEXT, name TEXT, email TEXT)")
    database.execute(
        "CREATE TABLE chat (id TEXT, user_id TEXT, title TEXT, chat JSON, created_at INTEGER, updated_at INTEGER, "
        "pinned INTEGER, folder_id TEXT)"
    )
    database.execute("CREATE TABLE folder (id TEXT, user_id TEXT, name TEXT, data JSON, created_at INTEGER)")
    database.execute("CREATE TABLE memory (id TEXT, user_id TEXT, content TEXT, created_at INTEGER)")
    database.execute(
        "CREATE TABLE model (id TEXT, user_id TEXT, base_model_id TEXT, name TEXT, params JSON, meta JSON)"
    )
    chats = samples.openwebui()
    for number, email in enumerate(emails):
        database.execute("INSERT INTO user VALUES (?, ?, ?)", (f"u{number}", "Ann", email))
        for one in chats:
            row = (f"{one['id']}-{number}", f"u{number}", one["title"], json.dumps(one["chat"]), one["created_at"])
            database.execute("INSERT INTO chat VALUES (?, ?, ?, ?, ?, ?, 0, 'f1')", (*row, one["updated_at"]))
    database.execute("""INSERT INTO folder VALUES ('f1', 'u0', 'Sums and rain', '{"system_prompt": "Metric."}', 1)""")
    database.execute("INSERT INTO memory VALUES ('e1', 'u0', 'I live in Oslo', 1700000000)")
    database.execute("""INSERT INTO model VALUES ('poet', 'u0', 'llama3', 'Poet', '{"system": "You rhyme."}', '{}')""")
    database.close()
    return path.read_bytes()


async def test_a_database_of_open_webui(me: Traveller, tmp_path: Path) -> None:
    data = webui(tmp_path / "webui.db")
    told = await me.bring(data, filename="webui.db")
    assert told["source"] == "openwebui"
    assert told["report"]["stored"] == {
        "conversations": 3,
        "messages": 7,
        "files": 1,
        "folders": 1,
        "memories": 1,
        "workspaces": 1,
    }
    (folder,) = (await me("GET", "/portal/v1/folders"))["data"]
    assert (folder["name"], folder["instructions"]) == ("Sums and rain", "Metric.")
    assert (await me("GET", "/portal/v1/workspaces/poet"))["instructions"] == "You rhyme."
    again = await me.bring(data, filename="webui.db")
    assert again["report"]["known"] == told["report"]["stored"]


async def test_of_several_people_in_a_database_ones_own_are_taken(
    me: Traveller, portal: TestPortal, tmp_path: Path
) -> None:
    data = webui(tmp_path / "webui.db", emails=("bob@example.com", "ann@example.com"))
    refused = await me.bring(data)
    assert refused["status"] == "failed"
    assert "Export your chats in Open WebUI" in refused["problem"]
    await me("PATCH", "/portal/v1/me", {"login": "ann@example.com"})
    told = await me.bring(data)
    assert told["report"]["stored"] == {"conversations": 3, "messages": 7, "files": 1}


async def test_models_and_prompts_of_open_webui_are_workspaces(me: Traveller) -> None:
    entries = [
        {"id": "poet", "base_model_id": "llama3", "name": "Poet", "params": {"system": "You rhyme."}, "meta": {}},
        {"command": "/sum", "title": "Sum", "content": "Sum up:", "user_id": "u"},
    ]
    told = await me.bring(entries)
    assert told["report"]["stored"] == {"workspaces": 2}
    assert (await me.bring(entries))["report"]["known"] == {"workspaces": 2}


async def test_too_many_at_once_wait(me: Traveller) -> None:
    for _ in range(5):
        await me.through((await me.upload(samples.librechat()))["id"])
    refused = await me.upload(samples.librechat(), status=409)
    assert refused["error"]["code"] == "too_many_imports"
    assert "start or delete one" in refused["error"]["message"]


async def test_too_many_that_are_sent_at_once_wait(me: Traveller) -> None:
    released = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"["
        await released.wait()
        yield b"]"

    address = f"{me.url}/portal/v1/imports"

    async def send() -> int:
        async with me.session.post(address, params={"filename": "x.json"}, data=slowly()) as answer:
            return answer.status

    async with asyncio.TaskGroup() as group:
        sending = [group.create_task(send()) for _ in range(7)]
        async with asyncio.timeout(30):
            while sum(task.done() for task in sending) < 2:
                await asyncio.sleep(0.01)
        released.set()
    assert sorted(task.result() for task in sending) == [201] * 5 + [409] * 2


async def test_memory_that_is_off_stays_off(me: Traveller) -> None:
    await me("PATCH", "/portal/v1/memories/settings", {"enabled": False})
    told = await me.bring(samples.claude())
    assert {"kind": "memories", "reason": "Memory is off", "count": 1} in told["report"]["reasons"]
    assert told["report"]["whole"]


async def test_pages_are_told_how_far_it_is(me: Traveller, portal: TestPortal) -> None:
    with portal.portal.bus.subscribe(portal.owner) as news:
        told = await me.bring(samples.librechat())
        seen = set()
        async with asyncio.timeout(5):
            while "import.changed" not in seen:
                event = await news.get()
                assert event is not None
                seen |= {event["type"]} if event.get("id") == told["id"] else set()
