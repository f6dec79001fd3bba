"""What a person takes along: all of it, readable, without keys; and it comes in again as it was."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest_asyncio
from tests.exchange import samples
from tests.exchange.conftest import Traveller, traveller

from portal.backends.scripted import ScriptedBackend, echo
from portal.exchange.own import sound
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import user

KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@pytest_asyncio.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Traveller]:
    """Somebody at another Portal."""
    async with open_test_portal(tmp_path / "other", backends=[ScriptedBackend(default=echo)]) as other:
        one = traveller(other)
        async with one.session:
            yield one


async def settled(me: Traveller) -> None:
    """With a bit of everything."""
    await me.bring(samples.chatgpt())
    await me.bring(samples.claude())
    body = {"model": "scripted", "input": f"My key is {KEY}, my address ann@example.com"}
    await me("POST", "/v1/responses", {**body, "store": True})
    made = await me("POST", "/v1/conversations", {})
    await me("POST", "/v1/responses", {**body, "conversation": made["id"]})
    await me("POST", "/portal/v1/conversations", {"title": "Empty"}, 201)
    await me("POST", "/portal/v1/memories", {"text": "I live in Berlin"}, 201)
    await me("POST", "/portal/v1/memories", {"text": "I have moved to Paris"}, 201)
    await me("PUT", "/portal/v1/workspaces/mine", {"title": "Mine", "instructions": "Be kind."})
    await me("POST", "/portal/v1/keys", {"name": "phone"}, 201)
    news = {"name": "News", "prompt": "What is new?", "when": "0 7 * * *", "workspace": "auto"}
    await me("POST", "/portal/v1/schedules", news, 201)
    form = aiohttp.FormData({"purpose": "assistants"})
    form.add_field("file", b"Bake them for twenty minutes.", filename="rolls.txt")
    async with me.session.post(f"{me.url}/v1/files", data=form) as answer:
        file_id = (await answer.json())["id"]
    await me("POST", "/v1/vector_stores", {"name": "Manuals", "file_ids": [file_id]})


async def exported(me: Traveller, how: str = "") -> dict[str, bytes]:
    """The files of an export."""
    data = await me("GET", f"/portal/v1/export{how}")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names))
        return {name: archive.read(name) for name in names}


def lines(files: dict[str, bytes], name: str) -> list[Any]:
    return [json.loads(line) for line in files[f"{name}.jsonl"].splitlines()]


def manifest(files: dict[str, bytes]) -> Any:
    return json.loads(files["portal-export.json"])


async def test_everything_is_in_it(me: Traveller) -> None:
    await settled(me)
    files = await exported(me)
    told = manifest(files)
    assert (told["object"], told["format"]) == ("portal.export", 1)
    for kind, count in told["counts"].items():
        assert len(lines(files, kind)) == count
        assert {one["object"] for one in lines(files, kind)} == {f"portal.{_SINGULAR[kind]}"}
    assert told["counts"] == {
        "files": 5,
        "conversations": 4,
        "responses": 9,
        "folders": 2,
        "memories": 3,
        "workspaces": 1,
        "collections": 1,
        "schedules": 1,
        "keys": 2,
    }
    (collection,), (schedule,) = lines(files, "collections"), lines(files, "schedules")
    assert (collection["name"], [one["filename"] for one in collection["documents"]]) == ("Manuals", ["rolls.txt"])
    assert (schedule["name"], schedule["prompt"], schedule["timing"]) == ("News", "What is new?", "0 7 * * *")
    assert "phone" in [one["name"] for one in lines(files, "keys")]
    for one in lines(files, "files"):
        assert len(files[one["path"]]) == one["bytes"]
    assert sum(name.startswith("conversations/") for name in files) == 4


_SINGULAR = {
    "files": "file",
    "conversations": "conversation",
    "responses": "response",
    "folders": "folder",
    "memories": "memory",
    "workspaces": "workspace",
    "collections": "collection",
    "schedules": "schedule",
    "keys": "key",
}
_NAMED_ONLY = ("collections", "schedules", "keys")
"""What an export tells of, and another Portal does not take over."""


async def test_a_conversation_reads_well(me: Traveller) -> None:
    await me.bring(samples.chatgpt())
    files = await exported(me)
    (name,) = [name for name in files if name.startswith("conversations/")]
    assert name.startswith("conversations/2025-08-24 Baking rolls (")
    told = files[name].decode()
    assert told.startswith('---\ntitle: "Baking rolls"\ncreated: "2025-08-24T01:46:40Z"\n')
    assert 'models: ["gpt-5-thinking","gpt-4o","gpt-5"]' in told
    assert "\n## You\n\nHow much flour for ten rolls?\n" in told
    assert "\n## gpt-5-thinking\n\nAbout 500 g of flour.\n" in told
    assert "(One of 2 versions; the others are in responses.jsonl.)" in told
    assert "Two more minutes." not in told
    for link in (part.split(">")[0] for part in told.split("](<../")[1:]):
        assert link in files


async def test_no_key_leaves(me: Traveller) -> None:
    await settled(me)
    files = await exported(me)
    for name, content in files.items():
        assert KEY[8:].encode() not in content, name
    assert b"sk-ab..." in files["responses.jsonl"]
    assert b"ann@example.com" in files["responses.jsonl"]
    bare = await exported(me, "?addresses=false")
    assert not [name for name, content in bare.items() if b"ann@example.com" in content]
    assert b"my address a..." in bare["responses.jsonl"]
    (talk,) = [one["id"] for one in (await me("GET", "/portal/v1/conversations?q=address"))["data"]]
    for format in ("markdown", "json"):
        address = f"/portal/v1/conversations/{talk}/export?format={format}"
        assert "ann@example.com" in str(await me("GET", address))
        assert "ann@example.com" not in str(await me("GET", f"{address}&addresses=false"))
    for secret in (b"portal-", b"secret_hash"):
        assert secret not in files["portal-export.json"].replace(b"portal-export", b"")


async def test_nothing_of_the_kind_is_in_a_name_and_every_file_comes_back(me: Traveller, elsewhere: Traveller) -> None:
    names = ("From ann@example.com.txt", f"{KEY}.txt", "_@example.com", "a@b.cc")
    for name in names:
        form = aiohttp.FormData({"purpose": "assistants"})
        form.add_field("file", f"This is {name}.".encode(), filename=name)
        async with me.session.post(f"{me.url}/v1/files", data=form) as answer:
            assert answer.status == 200
    talk = await me("POST", "/portal/v1/conversations", {"title": "Write to ann@example.com"}, 201)
    for how in ("", "?addresses=false"):
        files = await exported(me, how)
        assert {one["path"] for one in lines(files, "files")} == {one for one in files if one.startswith("files/")}
        said = " ".join(files)
        assert (KEY in said, "@" in said) == (False, not how)
        address = f"{me.url}/portal/v1/conversations/{talk['id']}/export{how}"
        async with me.session.get(address) as answer:
            assert ("@" in unquote(answer.headers["content-disposition"])) is (not how)
    told = await elsewhere.bring(await me("GET", "/portal/v1/export?addresses=false"))
    assert told["report"]["stored"]["files"] == len(names)


async def test_it_comes_in_at_another_portal_as_it_was(me: Traveller, elsewhere: Traveller) -> None:
    await settled(me)
    data = await me("GET", "/portal/v1/export")
    told = await elsewhere.bring(data)
    assert (told["source"], told["status"]) == ("portal", "done")
    assert [one["kind"] for one in told["report"]["reasons"]] == ["collections", "keys", "schedules"]
    counts = manifest(await exported(me))["counts"]
    counts = {kind: count for kind, count in counts.items() if kind not in _NAMED_ONLY}
    stored = told["report"]["stored"]
    assert stored.pop("messages") == counts.pop("responses")
    assert {**stored, "conversations": counts["conversations"]} == counts
    assert told["report"]["whole"]
    await same(me, elsewhere)
    again = await elsewhere.bring(data)
    assert again["report"]["stored"] == {}
    assert again["report"]["whole"]


async def same(me: Traveller, elsewhere: Traveller) -> None:
    """Both exports say the same, but for ids."""
    mine, theirs = await exported(me), await exported(elsewhere)
    for kind in _SINGULAR.keys() - _NAMED_ONLY:
        first, second = (lines(files, kind) for files in (mine, theirs))
        assert sorted(map(plain, first)) == sorted(map(plain, second)), kind
    content = [sorted(one for name, one in files.items() if name.startswith("files/")) for files in (mine, theirs)]
    assert content[0] == content[1]
    ids = {one["id"] for kind in ("conversations", "files", "folders") for one in lines(mine, kind)}
    assert not ids & {one["id"] for kind in ("conversations", "files", "folders") for one in lines(theirs, kind)}
    told = theirs["responses.jsonl"].decode() + theirs["folders.jsonl"].decode()
    assert not [one for one in ids if one in told.replace('"from":"chatgpt"', "")]
    heads = {one["head"] for one in lines(theirs, "conversations") if one["head"]}
    assert heads <= {one["id"] for one in lines(theirs, "responses")}


def plain(one: Any) -> str:
    """Without what is another's here: ids, and the times that files and workspaces were made at."""
    dropped = ("id", "path") if one["object"] == "portal.file" else ("id",)
    kept = {name: value for name, value in one.items() if name not in dropped}
    if one["object"] == "portal.workspace":
        del kept["created_at"]
    text = json.dumps(kept, sort_keys=True)
    import re

    return re.sub(r"\b[a-z]+_[0-9a-f]{32}\w*", "ID", text)


async def test_its_owner_gets_the_very_same_ids_again(me: Traveller) -> None:
    await settled(me)
    before = await exported(me)
    data = await me("GET", "/portal/v1/export")
    known = await me.bring(data)
    assert known["report"]["stored"] == {}
    talks = await me.conversations()
    await me("DELETE", f"/v1/conversations/{talks['Baking rolls']['id']}")
    await me("DELETE", f"/portal/v1/folders/{talks['Baking rolls']['folder_id']}")
    told = await me.bring(data)
    assert told["status"] == "done"
    after = await exported(me)
    assert sorted(lines(before, "responses"), key=str) == sorted(lines(after, "responses"), key=str)


async def test_one_conversation_alone(me: Traveller, elsewhere: Traveller) -> None:
    await me.bring(samples.chatgpt())
    talk = (await me.conversations())["Baking rolls"]
    address = f"{me.url}/portal/v1/conversations/{talk['id']}/export"
    async with me.session.get(address) as answer:
        assert answer.headers["content-disposition"].startswith('attachment; filename="2025-08-24 Baking rolls (')
        assert answer.content_type == "text/markdown"
        assert "About 500 g" in await answer.text()
    one = await me("GET", f"/portal/v1/conversations/{talk['id']}/export?format=json")
    assert len(one["responses"]) == 4
    told = await elsewhere.bring(one, filename="rolls.json")
    assert told["report"]["stored"] == {"conversations": 1, "messages": 4}
    assert len(await elsewhere.turns((await elsewhere.conversations())["Baking rolls"]["id"])) == 3
    assert (await elsewhere.bring(one))["report"]["stored"] == {}
    assert list(await elsewhere.conversations()) == ["Baking rolls"]
    assert (await me.bring(one))["report"]["stored"] == {}
    assert list(await me.conversations()) == ["Baking rolls"]
    await me("DELETE", f"/v1/conversations/{talk['id']}")
    await me.bring(one)
    assert (await me.conversations())["Baking rolls"]["id"] == talk["id"]
    await me("GET", f"/portal/v1/conversations/{talk['id']}/export?format=pdf", None, 400)
    await me("GET", "/portal/v1/conversations/conv_none/export", None, 404)


async def test_nobody_gets_anything_of_another(me: Traveller, portal: TestPortal) -> None:
    await settled(me)
    await portal.portal.storage.people.add(ann := user(name="Ann", role="guest"))
    _, key = await portal.portal.credentials.create_key(ann.id, "ann")
    other = traveller(portal, key)
    async with other.session:
        files = await exported(other)
        assert manifest(files)["owner"]["id"] == ann.id
        assert manifest(files)["counts"] == {"keys": 1}
        await other("GET", "/portal/v1/imports", None, 403)


async def test_a_forged_export_takes_nothing_of_anothers(me: Traveller, portal: TestPortal) -> None:
    """It says it is the forger's own, and names ids of somebody else."""
    await settled(me)
    mine = await exported(me)
    await portal.portal.storage.people.add(mallory := user(name="Mallory"))
    _, key = await portal.portal.credentials.create_key(mallory.id, "mallory")
    told = manifest(mine)
    told["owner"]["id"] = mallory.id
    forged = samples.packed({**mine, "portal-export.json": told})
    other = traveller(portal, key)
    before = {name: content for name, content in mine.items() if name.endswith(".jsonl")}
    async with other.session:
        came = await other.bring(forged)
        assert came["status"] == "done"
        assert came["report"]["stored"].keys() <= {"files", "memories", "workspaces"}
        assert came["report"]["whole"]
    after = await exported(me)
    assert {name: after[name] for name in before} == before


async def test_responses_that_are_none(me: Traveller) -> None:
    await me.bring(samples.chatgpt())
    talk = (await me.conversations())["Baking rolls"]
    one = await me("GET", f"/portal/v1/conversations/{talk['id']}/export?format=json")
    one["conversation"]["id"] = "conv_other"
    for number, (name, value) in enumerate(
        {"status": "in_progress", "created_at": "never", "input": [{"type": "message"}], "id": None}.items()
    ):
        one["responses"][number][name] = value
    told = await me.bring(one)
    assert told["report"]["reasons"] == [
        {"kind": "messages", "reason": "it is no response of Portal", "count": 4},
    ]
    assert told["report"]["whole"]


SOUND: list[Any] = [
    {"id": "1", "type": "message", "role": "user", "content": "hi"},
    {"id": "1", "type": "message", "role": "user", "content": [{"type": "input_image", "file_id": "f"}]},
    {"id": "1", "type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    {"id": "1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]},
    {"id": "1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"id": "1", "type": "function_call_output", "call_id": "c", "output": "x"},
    {"id": "1", "type": "mcp_call", "name": "f", "arguments": "{}", "output": None},
    {"id": "1", "type": "compaction", "summary": "x"},
    {"id": "1", "type": "portal:memory", "memories": []},
    {"id": "1", "type": "file_search_call", "queries": []},
]
UNSOUND: list[Any] = [
    None,
    {},
    {"id": 1.5, "type": "message"},
    {"id": "1", "type": 7},
    {"id": "1", "type": "message", "role": "king", "content": "hi"},
    {"id": "1", "type": "message", "role": "user", "content": None},
    {"id": "1", "type": "message", "role": "user", "content": [7]},
    {"id": "1", "type": "message", "role": "user", "content": [{"type": "input_text"}]},
    {"id": "1", "type": "reasoning", "summary": None},
    {"id": "1", "type": "function_call", "name": "f", "arguments": {}},
    {"id": "1", "type": "function_call_output", "call_id": "c", "output": None},
    {"id": "1", "type": "mcp_call", "name": "f", "arguments": "{}", "output": 7},
    {"id": "1", "type": "compaction", "summary": []},
    {"id": "1", "type": "unheard_of"},
]


def test_what_an_item_is() -> None:
    assert all(map(sound, SOUND))
    assert not any(map(sound, UNSOUND))
