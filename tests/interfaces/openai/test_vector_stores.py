"""Vector stores, their files and batches, with the official `openai` package."""

import io

import openai
import pytest
import pytest_asyncio
from openai.types import VectorStore, VectorStoreDeleted, VectorStoreSearchResponse
from openai.types.vector_stores import (
    FileContentResponse,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileDeleted,
)
from tests.interfaces.openai.conftest import error_of
from tests.knowledge.conftest import SmallEmbedder

from portal.storage.database import Statement
from portal.testing.portal import open_test_portal

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory):
    async with open_test_portal(tmp_path_factory.mktemp("portal") / "data", embedder=SmallEmbedder()) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def client(running):
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def store(client):
    made = await client.vector_stores.create(name="Papers")
    yield made
    await client.vector_stores.delete(made.id)


def valid(kind, value):
    assert isinstance(value, kind)
    kind.model_validate(value.model_dump(mode="json", warnings="none"))
    return value


def document(text, name="notes.txt"):
    return (name, io.BytesIO(text.encode()))


async def uploaded(client, text, name="notes.txt"):
    return (await client.files.create(file=document(text, name), purpose="assistants")).id


async def read(client, store, text, name="notes.txt", **fields):
    file_id = await uploaded(client, text, name)
    done = await client.vector_stores.files.create_and_poll(file_id, vector_store_id=store.id, **fields)
    return valid(VectorStoreFile, done)


class TestStores:
    async def test_create_retrieve_modify_list_delete(self, client):
        expiry = {"anchor": "last_active_at", "days": 7}
        made = await client.vector_stores.create(
            name="Papers", description="on paper", metadata={"a": "b"}, expires_after=expiry
        )
        valid(VectorStore, made)
        assert (made.name, made.metadata, made.status, made.usage_bytes) == ("Papers", {"a": "b"}, "completed", 0)
        assert made.expires_at == made.last_active_at + 7 * 86_400
        assert made.file_counts.total == 0
        changed = await client.vector_stores.update(made.id, name="Books", expires_after=None)
        assert (changed.name, changed.metadata, changed.expires_at) == ("Books", {"a": "b"}, None)
        assert (await client.vector_stores.update(made.id, metadata=None, name=None)).metadata == {}
        assert (await client.vector_stores.retrieve(made.id)).name == ""
        others = [(await client.vector_stores.create()).id for _ in range(3)]
        listed = [one.id async for one in client.vector_stores.list(limit=2)]
        assert listed == [*others[::-1], made.id]
        page = await client.vector_stores.list(limit=2, order="asc", before=others[2])
        assert [one.id for one in page.data] == others[:2]
        for one in listed:
            assert valid(VectorStoreDeleted, await client.vector_stores.delete(one)).deleted
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.retrieve(made.id)

    async def test_with_files_from_the_start(self, client):
        ids = [await uploaded(client, f"Text {number}.") for number in range(2)]
        made = await client.vector_stores.create(file_ids=[*ids, ids[0]], chunking_strategy=STATIC)
        assert made.file_counts.total == 2
        one = await client.vector_stores.files.poll(ids[0], vector_store_id=made.id)
        assert (one.status, one.chunking_strategy.static.max_chunk_size_tokens) == ("completed", 100)
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.create(name="none", file_ids=[ids[0], "file_no"])
        assert [one.id async for one in client.vector_stores.list()] == [made.id]
        await client.vector_stores.delete(made.id)

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
            ({"expires_after": {"anchor": "created_at", "days": 7}}, "expires_after.anchor"),
            ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
            ({"chunking_strategy": {"type": "magic"}}, "chunking_strategy.type"),
            (
                {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 1}}},
                "chunking_strategy.static.max_chunk_size_tokens",
            ),
            (
                {
                    "chunking_strategy": {
                        "type": "static",
                        "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 60},
                    }
                },
                "chunking_strategy.static.chunk_overlap_tokens",
            ),
            ({"file_ids": "all"}, "file_ids"),
        ],
    )
    async def test_what_is_wrong_is_named(self, client, body, param):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.create(extra_body=body)
        assert refused.value.body["param"] == param


class TestFiles:
    async def test_a_file_is_read_described_and_taken_out(self, client, store):
        done = await read(client, store, "The door code is 4821.", attributes={"year": 1999, "ours": True, "by": "me"})
        assert (done.status, done.last_error, done.vector_store_id) == ("completed", None, store.id)
        assert done.usage_bytes > 20
        assert done.attributes == {"year": 1999, "ours": True, "by": "me"}
        changed = await client.vector_stores.files.update(done.id, vector_store_id=store.id, attributes={"year": 2.5})
        assert changed.attributes == {"year": 2.5}
        content = [one async for one in client.vector_stores.files.content(done.id, vector_store_id=store.id)]
        assert [valid(FileContentResponse, one).text for one in content] == ["The door code is 4821."]
        now = await client.vector_stores.retrieve(store.id)
        assert (now.file_counts.completed, now.usage_bytes) == (1, done.usage_bytes)
        gone = await client.vector_stores.files.delete(done.id, vector_store_id=store.id)
        assert valid(VectorStoreFileDeleted, gone).deleted
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.files.retrieve(done.id, vector_store_id=store.id)
        assert (await client.files.retrieve(done.id)).id == done.id

    async def test_upload_and_poll(self, client, store):
        done = await client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id, file=document("# Doors\n\nOak.")
        )
        assert done.status == "completed"

    async def test_a_file_that_cannot_be_read_says_why(self, client, store):
        made = await client.files.create(file=("a.bin", io.BytesIO(bytes(range(256)))), purpose="assistants")
        done = await client.vector_stores.files.create_and_poll(made.id, vector_store_id=store.id)
        assert (done.status, done.last_error.code) == ("failed", "unsupported_file")
        assert "save it as" in done.last_error.message

    async def test_lists_by_status_and_page(self, client, store):
        ids = [(await read(client, store, f"Text {number}.")).id for number in range(3)]
        listed = client.vector_stores.files.list(store.id, limit=2, filter="completed")
        assert [one.id async for one in listed] == ids[::-1]
        page = await client.vector_stores.files.list(store.id, order="asc", before=ids[2], limit=1)
        assert ([one.id for one in page.data], page.has_more) == ([ids[1]], True)
        assert (await client.vector_stores.files.list(store.id, filter="failed")).data == []
        for query in ({"filter": "odd"}, {"after": "file_no"}, {"limit": 101}):
            with pytest.raises(openai.BadRequestError):
                await client.vector_stores.files.list(store.id, **query)

    async def test_deleting_the_file_takes_it_out_of_all_stores(self, client, store):
        other = await client.vector_stores.create(name="other")
        done = await read(client, store, "The door code is 4821.")
        await client.vector_stores.files.create_and_poll(done.id, vector_store_id=other.id)
        await client.files.delete(done.id)
        for one in (store, other):
            assert (await client.vector_stores.retrieve(one.id)).file_counts.total == 0
            assert (await client.vector_stores.search(one.id, query="door code")).data == []
        await client.vector_stores.delete(other.id)

    @pytest.mark.parametrize(
        "attributes",
        [{str(number): 1 for number in range(17)}, {"x" * 65: 1}, {"x": "y" * 513}, {"x": None}, {"x": [1]}],
    )
    async def test_attributes_have_bounds(self, client, store, attributes):
        file_id = await uploaded(client, "text")
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.files.create(store.id, file_id=file_id, attributes=attributes)
        assert refused.value.body["param"].startswith("attributes")

    async def test_nothing_of_strangers_is_taken(self, client, store):
        for wrong in ("file_no", "x" * 201):
            with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
                await client.vector_stores.files.create(store.id, file_id=wrong)
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.files.list("vs_no")
        with pytest.raises(openai.NotFoundError):
            await client.vector_stores.files.content("file_no", vector_store_id=store.id)

    async def test_a_long_content_comes_in_pages_without_repeating_itself(self, client, store, running):
        words = " ".join(f"word{number}" for number in range(60_000))
        done = await read(client, store, words, chunking_strategy=STATIC)
        place = f"{running.url}/v1/vector_stores/{store.id}/files/{done.id}/content"
        pages = [await client.get(place, cast_to=dict)]
        while pages[-1]["has_more"]:
            page = {"page": pages[-1]["next_page"]}
            pages.append(await client.get(place, cast_to=dict, options={"params": page}))
        text = " ".join(one["text"].strip() for page in pages for one in page["data"])
        assert len(pages) > 1
        assert set(text.split()) >= set(words.split())
        assert len(text) < len(words) * 1.1
        for odd in ("x", "1" + "0" * 30):
            with pytest.raises(openai.BadRequestError):
                await client.get(place, cast_to=dict, options={"params": {"page": odd}})


class TestBatches:
    async def test_several_files_at_once(self, client, store):
        files = [document(f"Text {number}.", f"{number}.txt") for number in range(5)]
        batch = await client.vector_stores.file_batches.upload_and_poll(store.id, files=files)
        valid(VectorStoreFileBatch, batch)
        assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == ("completed", 5, 5)
        listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=2)
        assert len([one async for one in listed]) == 5

    async def test_each_file_may_have_attributes_and_cutting_of_its_own(self, client, store):
        ids = [await uploaded(client, f"Text {number}.") for number in range(2)]
        files = [{"file_id": ids[0], "attributes": {"year": 1}}, {"file_id": ids[1], "chunking_strategy": STATIC}]
        batch = await client.vector_stores.file_batches.create(store.id, files=files)
        await client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)
        first, second = [await client.vector_stores.files.retrieve(one, vector_store_id=store.id) for one in ids]
        assert (first.attributes, first.chunking_strategy.type) == ({"year": 1}, "other")
        assert (second.attributes, second.chunking_strategy.type) == ({}, "static")
        both = await client.vector_stores.file_batches.create(store.id, file_ids=ids, attributes={"year": 2})
        await client.vector_stores.file_batches.poll(both.id, vector_store_id=store.id)
        assert (await client.vector_stores.files.retrieve(ids[1], vector_store_id=store.id)).attributes == {"year": 2}

    async def test_one_is_cancelled(self, client, store):
        file_id = await uploaded(client, "text")
        batch = await client.vector_stores.file_batches.create(store.id, file_ids=[file_id])
        await client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id)
        cancelled = await client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
        assert cancelled.status == "cancelled"

    async def test_one_of_which_nothing_could_be_read_failed(self, client, store):
        odd = ("a.bin", io.BytesIO(bytes(range(256))))
        batch = await client.vector_stores.file_batches.upload_and_poll(store.id, files=[odd])
        assert (batch.status, batch.file_counts.failed) == ("failed", 1)

    @pytest.mark.parametrize("body", [{}, {"file_ids": []}, {"files": []}, {"file_ids": ["a"], "files": []}])
    async def test_either_of_the_two_lists(self, client, store, body):
        with pytest.raises(openai.BadRequestError):
            await client.vector_stores.file_batches.create(store.id, **body)

    async def test_an_unknown_one(self, client, store):
        for call in (client.vector_stores.file_batches.retrieve, client.vector_stores.file_batches.cancel):
            with pytest.raises(openai.NotFoundError):
                await call("vsfb_no", vector_store_id=store.id)


class TestSearch:
    async def test_finds_passages_with_their_files(self, client, store):
        door = await read(client, store, "The door code is 4821.", "doors.txt", attributes={"year": 1999})
        await read(client, store, "Bread is baked in the morning.", "bread.txt")
        page = await client.vector_stores.search(store.id, query="What is the door code?", max_num_results=1)
        (best,) = page.data
        valid(VectorStoreSearchResponse, best)
        assert (best.file_id, best.filename, best.attributes) == (door.id, "doors.txt", {"year": 1999})
        assert best.content[0].text == "The door code is 4821."
        assert 0 < best.score <= 1
        assert page.search_query == ["What is the door code?"]
        several = await client.vector_stores.search(
            store.id, query=["door code", "bread"], ranking_options={"ranker": "none", "score_threshold": 0.0}
        )
        assert {one.filename for one in several.data} == {"doors.txt", "bread.txt"}
        none = await client.vector_stores.search(store.id, query="door", ranking_options={"score_threshold": 1.0})
        assert len(none.data) <= 1

    async def test_filters_hold(self, client, store):
        for year in (1999, 2001):
            await read(client, store, f"Apples of {year}.", attributes={"year": year})
        after = {"type": "gt", "key": "year", "value": 2000}
        page = await client.vector_stores.search(store.id, query="apples", filters=after)
        assert [one.attributes for one in page.data] == [{"year": 2001}]
        with pytest.raises(openai.BadRequestError):
            await client.vector_stores.search(store.id, query="apples", filters={"type": "like"})

    @pytest.mark.parametrize("query", [[], 5, [5], None, ["x"] * 17])
    async def test_a_query_is_text(self, client, store, query):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.vector_stores.search(store.id, query=query)
        assert refused.value.body["param"] == "query"

    async def test_one_whose_time_is_over_is_not_searched(self, client, running):
        expiry = {"anchor": "last_active_at", "days": 1}
        made = await client.vector_stores.create(name="ending", expires_after=expiry)
        long_ago = Statement("UPDATE collections SET last_active_at = 0 WHERE id = :id", {"id": made.id})
        await running.portal.storage.database.batch([long_ago])
        assert (await client.vector_stores.retrieve(made.id)).status == "expired"
        with pytest.raises(openai.BadRequestError):
            await client.vector_stores.search(made.id, query="x")
        lasting = await client.vector_stores.update(made.id, expires_after=None)
        assert lasting.status == "completed"
        await running.portal.storage.database.batch([long_ago])
        await client.vector_stores.search(made.id, query="x")
        assert (await client.vector_stores.retrieve(made.id)).last_active_at > 0
        await client.vector_stores.delete(made.id)


async def test_refusals_have_openais_form(running, client):
    import httpx

    async with httpx.AsyncClient(base_url=running.url, headers=running.headers) as plain:
        error = error_of(await plain.get("/v1/vector_stores/vs_no"), 404)
        assert error["type"] == "invalid_request_error"
        error_of(await plain.post("/v1/vector_stores/vs_no/search", content=b"["), 400)
        waiting = await client.vector_stores.create()
        file_id = await uploaded(client, "slow")
        answer = await plain.post(f"/v1/vector_stores/{waiting.id}/files", json={"file_id": file_id})
        assert answer.json()["status"] in ("in_progress", "completed")
