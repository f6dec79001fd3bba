import asyncio
import hashlib
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tests.interfaces.web.conftest import Door, unnumbered
from tests.knowledge.conftest import SmallEmbedder

from portal.extras import add_command
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACE = "/portal/v1/knowledge"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("granted")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def portal(tmp_path_factory, folder):
    settings = {"knowledge": {"folders": [str(folder)]}}
    data = tmp_path_factory.mktemp("portal")
    async with open_test_portal(data, embedder=SmallEmbedder(), settings=settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def local(portal):
    """The terminal beside the server."""
    headers = {"Authorization": f"Bearer {portal.portal.local_token}"}
    async with aiohttp.ClientSession(portal.url, headers=headers) as client:
        yield Door(client)


@pytest_asyncio.fixture(loop_scope="module")
async def store(me):
    made = await me("POST", "/v1/vector_stores", {"name": "Papers"})
    yield made["id"]
    await me("DELETE", f"{PLACE}/{made['id']}?files=true")


async def added(me, store, text, name="notes.txt"):
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", text if isinstance(text, bytes) else text.encode(), filename=name)
    async with me.client.post("/v1/files", data=form) as answer:
        file_id = (await answer.json())["id"]
    await me("POST", f"/v1/vector_stores/{store}/files", {"file_id": file_id})
    await read(me, store)
    return file_id


async def read(me, store):
    """Until everything in the collection is."""
    while (await me("GET", f"/v1/vector_stores/{store}"))["file_counts"]["in_progress"]:
        await asyncio.sleep(0)


PARAGRAPHS = "\n\n".join(f"# Part {number}\n\n{f'Sentence {number} of it. ' * 20}" for number in range(6))


async def test_everything_at_a_glance(me, stranger, store, folder):
    await added(me, store, "The door code is 4821.")
    found = await me("GET", PLACE)
    (one,) = found["collections"]
    assert (one["id"], one["name"], one["file_counts"]["completed"]) == (store, "Papers", 1)
    assert (found["queue"], found["sources"]) == ({"in_progress": 0, "failed": 0}, [])
    embedder = found["embedder"]
    assert (embedder["name"], embedder["available"], embedder["detail"]) == ("small", True, "")
    assert found["folders"] == [str(folder.resolve())]
    assert (await stranger("GET", PLACE))["collections"] == []


async def test_what_embeds_is_chosen_by_those_who_run_it(me, stranger):
    assert (await me("PUT", "/portal/v1/embedder", {"model": ""}))["wanted"] == "small"
    await me.refused("PUT", "/portal/v1/embedder", {"model": "none"}, status=404)
    await stranger.refused("PUT", "/portal/v1/embedder", {"model": ""}, status=403)


async def test_where_nothing_embeds_words_find(tmp_path):
    async with open_test_portal(tmp_path) as bare, aiohttp.ClientSession(bare.url, headers=bare.headers) as client:
        door = Door(client)
        store = (await door("POST", "/v1/vector_stores", {}))["id"]
        await added(door, store, "The door code is 4821.")
        assert len((await door("POST", f"{PLACE}/search", {"query": "door code"}))["data"]) == 1
        view = (await door("GET", PLACE))["embedder"]
        assert (view["available"], add_command("knowledge") in view["detail"]) == (False, True)
        await door.refused("PUT", "/portal/v1/embedder", {"model": ""}, status=400)


async def test_documents_with_what_openai_does_not_tell(me, stranger, store):
    ids = [await added(me, store, f"text {number}", f"{number}.txt") for number in range(3)]
    page = await me("GET", f"{PLACE}/{store}/documents?limit=2&status=completed")
    assert [one["file_id"] for one in page["data"]] == ids[:0:-1]
    (one,) = (await me("GET", f"{PLACE}/{store}/documents?cursor={page['next']}"))["data"]
    assert (one["filename"], one["progress"], one["passages_count"], one["error"]) == ("0.txt", 1, 1, None)
    assert one["sha256"] == hashlib.sha256(b"text 0").hexdigest()
    await stranger.refused("GET", f"{PLACE}/{store}/documents", status=404)
    await me.refused("GET", f"{PLACE}/{store}/documents?status=odd", status=400)


async def test_search_in_all_collections_or_some(me, stranger, store):
    await added(me, store, "The door code is 4821.", "doors.txt")
    asked = {"query": "door code"}
    (one,) = (await me("POST", f"{PLACE}/search", asked))["data"]
    assert (one["text"], one["document"]["filename"]) == ("The door code is 4821.", "doors.txt")
    assert one["score"] > 0
    assert isinstance(one["weak"], bool)
    await me.refused("POST", f"{PLACE}/search", {**asked, "collections": ["vs_other"]}, status=404)
    assert len((await me("POST", f"{PLACE}/search", {**asked, "since": 1e9}))["data"]) == 1
    assert (await me("POST", f"{PLACE}/search", {**asked, "until": 1e9}))["data"] == []
    assert (await stranger("POST", f"{PLACE}/search", asked))["data"] == []
    await me.refused("POST", f"{PLACE}/search", {"query": ""}, status=400)
    for moment in (-1, 1e15):
        await me.refused("POST", f"{PLACE}/search", {**asked, "since": moment}, status=400)


async def test_the_same_content_is_kept_once(me, stranger, store):
    first = await added(me, store, "The door code is 4821.", "doors.txt")
    form = aiohttp.FormData({"purpose": "user_data"})
    form.add_field("file", b"The door code is 4821.", filename="copy.txt")
    async with me.client.post("/v1/files", data=form) as answer:
        copy = (await answer.json())["id"]
    known = await me("POST", f"{PLACE}/{store}/documents", {"file_id": copy})
    assert (known["known"], known["file_id"]) == (True, first)
    await me.refused("GET", f"/v1/files/{copy}", status=404)
    again = await me("POST", f"{PLACE}/{store}/documents", {"file_id": first, "attributes": {"path": "a"}})
    assert (again["known"], again["attributes"]) == (False, {"path": "a"})
    await stranger.refused("POST", f"{PLACE}/{store}/documents", {"file_id": first}, status=404)
    await me.refused("POST", f"{PLACE}/{store}/documents", {"file_id": "file_no"}, status=404)


async def test_a_citation_is_opened_at_its_place(me, stranger, store):
    file_id = await added(me, store, PARAGRAPHS, "parts.md")
    text = await me("GET", f"{PLACE}/documents/{file_id}/text?limit=2")
    assert (text["filename"], text["first"], text["next"]) == ("parts.md", 0, 2)
    first, second = text["passages"]
    assert (first["position"], first["heading"]) == (0, ["Part 0"])
    assert second["start"] >= first["end"] > first["start"] == first["end"] - len(first["text"])
    rest = await me("GET", f"{PLACE}/documents/{file_id}/text?first=2&collection={store}")
    assert rest["next"] is None
    assert len(rest["passages"]) == text["passages_count"] - 2
    one = await me("GET", f"{PLACE}/passages/{second['id']}")
    assert (one["before"], one["text"]) == (first["text"], second["text"])
    assert one["after"] == rest["passages"][0]["text"]
    assert one["document"]["file_id"] == file_id
    assert (await me("GET", f"{PLACE}/passages/{first['id']}"))["before"] == ""
    for path in (f"passages/{first['id']}", f"documents/{file_id}/text"):
        await stranger.refused("GET", f"{PLACE}/{path}", status=404)
    await me.refused("GET", f"{PLACE}/documents/{file_id}/text?collection=vs_other", status=404)
    await me.refused("GET", f"{PLACE}/documents/{file_id}/text?first={10**30}", status=400)


async def test_what_failed_is_read_again(me, store):
    await added(me, store, bytes(range(256)), "a.bin")
    (one,) = (await me("GET", f"{PLACE}/{store}/documents?status=failed"))["data"]
    assert one["error"]["code"] == "unsupported_file"
    assert await me("POST", f"{PLACE}/{store}/retry", {}) == {"retried": 1}
    await read(me, store)
    assert await me("POST", f"{PLACE}/{store}/retry", {"file_id": one["file_id"]}) == {"retried": 1}
    await read(me, store)
    assert (await me("GET", PLACE))["queue"]["failed"] == 1


async def test_folders_are_followed(me, stranger, local, store, folder, tmp_path):
    (folder / "doors.txt").write_text("The door code is 4821.")
    (folder / "odd.bin").write_bytes(bytes(range(256)))
    (tmp_path / "b.txt").write_text("banana")
    await me.refused("POST", f"{PLACE}/{store}/sources", {"place": str(tmp_path)}, status=403)
    made = await me("POST", f"{PLACE}/{store}/sources", {"place": str(folder)}, 201)
    assert (made["kind"], made["place"], made["checked_at"]) == ("folder", str(folder), None)
    beside = await local("POST", f"{PLACE}/{store}/sources", {"place": str(tmp_path)}, 201)
    while not all(one["checked_at"] for one in (await me("GET", f"{PLACE}/{store}/sources"))["data"]):
        await asyncio.sleep(0)
    await read(me, store)
    listed = (await me("GET", PLACE))["sources"]
    told = [(one["id"], one["files"], one["left_out"], one["error"]) for one in listed]
    assert told == [(made["id"], 2, 1, ""), (beside["id"], 1, 0, "")]
    documents = (await me("GET", f"{PLACE}/{store}/documents"))["data"]
    assert sorted(Path(one["place"]).name for one in documents) == ["b.txt", "doors.txt"]
    assert (await stranger("GET", PLACE))["sources"] == []
    await stranger.refused("DELETE", f"{PLACE}/sources/{made['id']}", status=404)
    assert (await me("POST", f"{PLACE}/look"))["at"] > beside["created_at"]
    await me("DELETE", f"{PLACE}/sources/{made['id']}?documents=true")
    await me("DELETE", f"{PLACE}/sources/{beside['id']}")
    (left,) = (await me("GET", f"{PLACE}/{store}/documents"))["data"]
    assert left["filename"] == "b.txt"


async def test_a_collection_goes_with_its_files(me):
    store = (await me("POST", "/v1/vector_stores", {}))["id"]
    file_id = await added(me, store, "text")
    await me("DELETE", f"{PLACE}/{store}")
    assert (await me("GET", f"/v1/files/{file_id}"))["id"] == file_id
    store = (await me("POST", "/v1/vector_stores", {"file_ids": [file_id]}))["id"]
    await me("DELETE", f"{PLACE}/{store}?files=true")
    await me.refused("GET", f"/v1/files/{file_id}", status=404)


async def test_the_page_sees_how_far_it_is(me, portal, store):
    with portal.portal.bus.subscribe(portal.owner) as changes:
        file_id = await added(me, store, "text")
        events = []
        while not events or events[-1].get("status") != "completed":
            events.append(unnumbered(await changes.get()))
    assert events[0] == {"type": "knowledge.changed", "collection": store}
    done = {"collection": store, "file_id": file_id, "status": "completed", "progress": 1}
    assert events[-1] == {"type": "knowledge.changed", **done}


async def test_the_page_sees_what_becomes_of_a_watched_place(me, portal, store, folder):
    with portal.portal.bus.subscribe(portal.owner) as changes:
        made = await me("POST", f"{PLACE}/{store}/sources", {"place": str(folder)}, 201)
        assert unnumbered(await changes.get()) == {"type": "knowledge.changed", "collection": store}
        while not (await me("GET", f"{PLACE}/{store}/sources"))["data"][0]["checked_at"]:
            await changes.get()
        while not changes.empty():
            changes.get_nowait()
        await me("DELETE", f"{PLACE}/sources/{made['id']}")
        assert unnumbered(await changes.get()) == {"type": "knowledge.changed", "collection": store}
