"""Collections, documents, batches, watched places, and the queue of what is to be read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from portal.core.clock import micros
from portal.core.collections import Counts, DocumentRecord, Job, NewDocument, Problem, ReadText
from portal.core.passages import Within
from portal.errors import BadRequest, Conflict, NotFound
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, STRANGER, collection, file, passage, source, user

DAY = 86_400_000_000
LATER = 2**60


async def pieces(text: str) -> AsyncIterator[bytes]:
    yield text.encode()


async def kept(storage: Storage, text: str = "private", **fields: object) -> str:
    """Id of a file of this content."""
    return (await storage.files.create(file(**fields), pieces(text))).id


async def store(storage: Storage, **fields: object) -> str:
    record = collection(**fields)
    await storage.collections.create(record)
    return record.id


async def added(storage: Storage, shelf: str, text: str = "private", **fields: object) -> str:
    file_id = await kept(storage, text)
    await storage.documents.add(OWNER, shelf, [NewDocument(file_id=file_id, **fields)])
    return file_id


async def claimed(storage: Storage) -> Job:
    job = await storage.reading_queue.claim(micros(), LATER)
    assert job is not None
    return job


def text_of(job: Job, *texts: str) -> ReadText:
    made = [
        passage(text, document=job.document.id, group=job.document.collection_id, position=at, owner=job.document.owner)
        for at, text in enumerate(texts)
    ]
    return ReadText(passages=made, embedder="e", vectors=np.eye(len(made), 2, dtype=np.float32) + 1)


async def completed(storage: Storage, *texts: str) -> DocumentRecord:
    job = await claimed(storage)
    await storage.reading_queue.complete(job, job.document.sha256, text_of(job, *texts))
    return job.document


async def found(storage: Storage, text: str, owner: str = OWNER) -> Sequence[str]:
    hits = await storage.passages.words(Within(owner=owner, space="documents"), text, 10)
    return [one.text for one in await storage.passages.get(owner, [hit.id for hit in hits])]


async def files(storage: Storage) -> list[str]:
    return [one.id for one in (await storage.files.list(OWNER)).data]


async def test_a_collection_is_kept_changed_and_counted(storage: Storage) -> None:
    record = collection(description="on paper", metadata={"a": "b"}, expires_days=7)
    await storage.collections.create(record)
    assert await storage.collections.get(OWNER, record.id) == record
    with pytest.raises(Conflict):
        await storage.collections.create(record)
    changed = await storage.collections.change(
        OWNER, record.id, {"name": "Books", "metadata": {}, "expires_days": None}
    )
    assert (changed.name, changed.metadata, changed.expires_at) == ("Books", {}, None)
    assert changed.last_active_at > record.last_active_at
    assert (await storage.collections.change(OWNER, record.id, {})).last_active_at > changed.last_active_at
    await added(storage, record.id)
    await added(storage, record.id, "more")
    await completed(storage, "cherry", "damson")
    now = await storage.collections.get(OWNER, record.id)
    assert now.counts == Counts(in_progress=1, completed=1)
    assert now.counts.total == 2
    assert now.usage_bytes == len("cherrydamson") + 2 * 2 * 4
    assert (await storage.collections.list(OWNER)).data == [now]


async def test_lists_go_both_ways(storage: Storage) -> None:
    ids = [await store(storage, created_at=when) for when in (5, 5, 7, 9)]
    others = await store(storage, owner=STRANGER)

    async def listed(**fields: object) -> tuple[list[str], bool]:
        page = await storage.collections.list(OWNER, **fields)  # type: ignore[arg-type]
        return [one.id for one in page.data], page.next is not None

    assert await listed() == (ids[::-1], False)
    assert await listed(ascending=True, limit=2) == (ids[:2], True)
    assert await listed(ascending=True, limit=2, after=ids[1]) == (ids[2:], False)
    assert await listed(limit=2, after=ids[3]) == ([ids[2], ids[1]], True)
    assert await listed(limit=2, before=ids[0]) == ([ids[2], ids[1]], True)
    assert await listed(limit=2, before=ids[2]) == ([ids[3]], False)
    assert await listed(ascending=True, before=ids[2]) == (ids[:2], False)
    for name in ("after", "before"):
        with pytest.raises(BadRequest) as refused:
            await listed(**{name: others})
        assert refused.value.param == name


async def test_documents_are_added_all_or_none_and_listed(storage: Storage) -> None:
    shelf, first, second = await store(storage), await kept(storage), await kept(storage, "other")
    with pytest.raises(NotFound):
        await storage.documents.add(OWNER, shelf, [NewDocument(file_id=first), NewDocument(file_id="file_no")])
    with pytest.raises(NotFound):
        await storage.documents.add(OWNER, "vs_no", [NewDocument(file_id=first)])
    assert (await storage.documents.list(OWNER, shelf)).data == []
    new = [NewDocument(file_id=first, attributes={"year": 1999}, chunking={"max_chunk_size_tokens": 100})]
    await storage.documents.add(OWNER, shelf, [*new, NewDocument(file_id=second)], batch_id="vsfb_1")
    one = await storage.documents.get(OWNER, shelf, first)
    assert (one.filename, one.size, one.status, one.attributes) == ("notes.txt", 7, "in_progress", {"year": 1999})
    assert one.chunking == {"max_chunk_size_tokens": 100}
    page = await storage.documents.list(OWNER, shelf, batch_id="vsfb_1", status="in_progress", limit=1)
    assert [record.file_id for record in page.data] == [second]
    page = await storage.documents.list(OWNER, shelf, after=page.next)
    assert page.data == [one]
    assert await storage.documents.find(OWNER, ids=[one.id, "doc_no"]) == [one]
    assert (await storage.documents.list(OWNER, shelf, status="failed")).data == []
    with pytest.raises(NotFound):
        await storage.documents.list(OWNER, "vs_no")
    with pytest.raises(NotFound):
        await storage.documents.get(OWNER, shelf, "file_no")


async def test_each_document_is_read_by_one_worker(storage: Storage) -> None:
    shelf = await store(storage)
    ids = {await added(storage, shelf, f"text {number}") for number in range(6)}
    async with asyncio.TaskGroup() as tasks:
        claims = [tasks.create_task(storage.reading_queue.claim(micros(), LATER)) for _ in range(9)]
    jobs = [claim.result() for claim in claims]
    assert sorted(job.document.file_id for job in jobs if job) == sorted(ids)
    assert await storage.reading_queue.claim(micros(), LATER) is None


async def test_a_claim_that_is_not_renewed_comes_again(storage: Storage) -> None:
    await added(storage, await store(storage))
    now = micros()
    lost = await storage.reading_queue.claim(now, now + 1)
    again = await storage.reading_queue.claim(now + 2, LATER)
    assert lost
    assert again
    assert (again.document.id, again.document.attempts) == (lost.document.id, 2)
    with pytest.raises(Conflict):
        await storage.reading_queue.renew(lost, LATER, 0.5)
    with pytest.raises(Conflict):
        await storage.reading_queue.complete(lost, "k", text_of(lost, "cherry"))
    with pytest.raises(Conflict):
        await storage.reading_queue.fail(lost, Problem("server_error", "no"))
    await storage.reading_queue.release(lost)
    assert await found(storage, "cherry") == []
    await storage.reading_queue.renew(again, LATER, 0.5)
    assert (await storage.documents.find(OWNER, ids=[again.document.id]))[0].progress == 0.5
    await storage.reading_queue.release(again)
    assert (await claimed(storage)).document.attempts == 2


async def test_at_a_start_all_claims_are_forgotten(storage: Storage) -> None:
    await added(storage, await store(storage))
    await claimed(storage)
    assert await storage.reading_queue.claim(micros(), LATER) is None
    await storage.reading_queue.release()
    assert (await claimed(storage)).document.attempts == 2


async def test_a_completed_document_is_found_with_its_attributes(storage: Storage) -> None:
    shelf = await store(storage)
    file_id = await added(storage, shelf, attributes={"year": 1999})
    document = await completed(storage, "cherry pie", "damson jam")
    now = await storage.documents.get(OWNER, shelf, file_id)
    assert (now.status, now.progress, now.passages) == ("completed", 1, 2)
    assert await found(storage, "damson") == ["damson jam"]
    within = Within(owner=OWNER, space="documents", filters={"type": "eq", "key": "year", "value": 1999})
    assert len(await storage.passages.words(within, "cherry", 10)) == 1
    assert await storage.passages.embedders() == {"e": 2}
    assert (await storage.documents.describe(OWNER, shelf, file_id, {"year": 2000})).attributes == {"year": 2000}
    assert await storage.passages.words(within, "cherry", 10) == []
    await storage.documents.remove(OWNER, shelf, file_id)
    assert await found(storage, "cherry") == []
    assert await storage.documents.find(OWNER, ids=[document.id]) == []
    assert await files(storage) == [file_id]


async def test_one_that_is_added_again_keeps_its_passages_until_it_is_read(storage: Storage) -> None:
    shelf = await store(storage)
    file_id = await added(storage, shelf)
    document = await completed(storage, "cherry")
    await storage.documents.add(OWNER, shelf, [NewDocument(file_id=file_id, attributes={"year": 1})])
    assert await found(storage, "cherry") == ["cherry"]
    job = await claimed(storage)
    assert (job.document.id, job.document.attempts) == (document.id, 1)
    assert await storage.reading_queue.twin(job, job.document.sha256) == document.id
    await storage.reading_queue.complete(job, job.document.sha256, None)
    assert await found(storage, "cherry") == ["cherry"]
    within = Within(owner=OWNER, space="documents", filters={"type": "eq", "key": "year", "value": 1})
    assert len(await storage.passages.words(within, "cherry", 10)) == 1


async def test_twins_are_of_the_same_owner(storage: Storage) -> None:
    shelf, theirs = await store(storage), await store(storage, owner=STRANGER)
    await added(storage, shelf)
    document = await completed(storage, "cherry")
    file_id = await kept(storage, owner=STRANGER)
    await storage.documents.add(STRANGER, theirs, [NewDocument(file_id=file_id)])
    job = await claimed(storage)
    assert await storage.reading_queue.twin(job, document.sha256) is None
    assert await storage.reading_queue.twin(replace(job, document=document), document.sha256) == document.id


async def test_what_failed_waits_or_is_read_again(storage: Storage) -> None:
    shelf = await store(storage)
    file_id = await added(storage, shelf)
    problem = Problem("invalid_file", "It is broken.")
    await storage.reading_queue.fail(await claimed(storage), problem, retry_at=LATER)
    assert await storage.reading_queue.claim(micros(), LATER) is None
    late = await storage.reading_queue.claim(LATER, LATER + 1)
    assert late
    await storage.reading_queue.fail(late, problem)
    now = await storage.documents.get(OWNER, shelf, file_id)
    assert (now.status, now.problem) == ("failed", problem)
    assert await storage.documents.again(OWNER, shelf, "file_no") == 0
    assert await storage.documents.again(OWNER, shelf, file_id) == 1
    assert await storage.documents.again(OWNER, shelf) == 0
    assert (await claimed(storage)).document.problem is None


async def test_a_batch_is_counted_and_cancelled(storage: Storage) -> None:
    shelf = await store(storage)
    new = [NewDocument(file_id=await kept(storage, f"text {number}")) for number in range(3)]
    await storage.documents.add(OWNER, shelf, new, batch_id="vsfb_1")
    await added(storage, shelf, "another")
    await completed(storage, "cherry")
    job = await claimed(storage)
    batch = await storage.batches.cancel(OWNER, shelf, "vsfb_1")
    assert (batch.cancelled, batch.counts) == (True, Counts(completed=1, cancelled=2))
    with pytest.raises(Conflict):
        await storage.reading_queue.renew(job, LATER, 0.5)
    assert (await storage.collections.get(OWNER, shelf)).counts == Counts(in_progress=1, completed=1, cancelled=2)
    with pytest.raises(NotFound):
        await storage.batches.get(OWNER, await store(storage), "vsfb_1")


async def test_the_same_file_in_two_collections_is_two_documents(storage: Storage) -> None:
    first, second = await store(storage), await store(storage)
    file_id = await added(storage, first)
    await storage.documents.add(OWNER, second, [NewDocument(file_id=file_id)])
    await completed(storage, "cherry")
    await completed(storage, "cherry")
    assert len(await storage.documents.find(OWNER, file_id=file_id)) == 2
    assert await found(storage, "cherry") == ["cherry"] * 2
    await storage.collections.delete(OWNER, first, files=True)
    assert await found(storage, "cherry") == ["cherry"]
    assert await files(storage) == [file_id]
    await storage.collections.delete(OWNER, second, files=True)
    assert await found(storage, "cherry") == await files(storage) == []


async def test_a_collection_goes_with_what_it_follows(storage: Storage) -> None:
    shelf = await store(storage)
    followed = source(shelf)
    await storage.sources.add(followed)
    uploaded = await added(storage, shelf)
    await added(storage, shelf, "watched", source_id=followed.id, place="/srv/notes/a.txt")
    await completed(storage, "cherry")
    await completed(storage, "damson")
    await storage.collections.delete(OWNER, shelf)
    assert await files(storage) == [uploaded]
    assert await found(storage, "cherry damson") == []
    assert await storage.sources.list(OWNER) == []
    assert await storage.reading_queue.claim(micros(), LATER) is None


async def test_places_are_followed_once_and_looked_at_when_due(storage: Storage) -> None:
    shelf = await store(storage)
    followed = source(shelf, next_at=5)
    await storage.sources.add(followed)
    with pytest.raises(Conflict):
        await storage.sources.add(source(shelf))
    assert await storage.sources.list(OWNER, shelf) == await storage.sources.due(5) == [followed]
    assert await storage.sources.due(4) == []
    assert await storage.sources.due(None) == [followed]
    looked = replace(followed, checked_at=6, next_at=60, error="It is not there.", state={"files": 3})
    await storage.sources.looked(looked)
    assert await storage.sources.due(59) == []
    assert await storage.sources.list(OWNER) == [looked]


@pytest.mark.parametrize("documents", [True, False])
async def test_a_place_is_left_with_or_without_what_came_from_it(storage: Storage, documents: bool) -> None:
    shelf = await store(storage)
    followed = source(shelf)
    await storage.sources.add(followed)
    file_id = await added(storage, shelf, source_id=followed.id)
    await completed(storage, "cherry")
    await storage.sources.remove(OWNER, followed.id, documents=documents)
    assert await files(storage) == ([] if documents else [file_id])
    assert await found(storage, "cherry") == ([] if documents else ["cherry"])
    with pytest.raises(NotFound):
        await storage.documents.add(OWNER, shelf, [NewDocument(file_id=file_id, source_id=followed.id)])


async def test_a_newer_version_takes_the_place_of_the_older_ones(storage: Storage) -> None:
    shelf = await store(storage)
    followed = source(shelf)
    await storage.sources.add(followed)
    place = {"source_id": followed.id, "place": "/srv/notes/a.txt"}
    for text in ("first", "second"):
        await added(storage, shelf, text, **place)
    other = await added(storage, shelf, "other", source_id=followed.id, place="/srv/notes/b.txt")
    await completed(storage, "cherry")
    await storage.reading_queue.fail(await claimed(storage), Problem("invalid_file", "It is broken."))
    await completed(storage, "damson")
    newest = await added(storage, shelf, "third", **place)
    assert await found(storage, "cherry") == ["cherry"]
    await completed(storage, "elder")
    assert await found(storage, "cherry") == []
    assert sorted(await found(storage, "elder damson")) == ["damson", "elder"]
    assert await files(storage) == [newest, other]


async def test_one_that_moved_is_known_under_its_new_name(storage: Storage) -> None:
    shelf = await store(storage)
    file_id = await added(storage, shelf)
    document = await completed(storage, "cherry")
    await storage.documents.moved(OWNER, document.id, place="/srv/b.md", filename="b.md", modified=5)
    now = await storage.documents.get(OWNER, shelf, file_id)
    assert (now.place, now.filename, now.modified, now.status) == ("/srv/b.md", "b.md", 5, "completed")
    assert (await storage.files.get(OWNER, file_id)).filename == "b.md"


async def test_what_lost_its_file_or_its_time_is_swept(storage: Storage) -> None:
    lasting, ending = await store(storage), await store(storage, expires_days=1, last_active_at=micros())
    await added(storage, lasting, "kept")
    gone = await added(storage, lasting, "gone")
    await added(storage, ending, "over")
    for text in ("cherry", "damson", "elder"):
        await completed(storage, text)
    await storage.files.delete(OWNER, gone)
    long_ago = {"then": micros() - 2 * DAY, "id": ending}
    await storage.database.batch([Statement("UPDATE collections SET last_active_at = :then WHERE id = :id", long_ago)])
    await storage.sweep()
    assert await found(storage, "cherry damson elder") == ["cherry"]
    assert (await storage.collections.get(OWNER, ending)).counts.total == 0


async def rows_of(storage: Storage) -> list[int]:
    """Passages, hidden ones included, and what is hidden or leaving."""
    tables = ("passages", "hidden_passages", "collections WHERE leaving > 0")
    rows = [await storage.database.fetch(f"SELECT COUNT(*) AS here FROM {table}") for table in tables]
    return [row[0]["here"] for row in rows]


LONG = [f"piece{number} of a long one" for number in range(150)]
WANTED = Within(owner=OWNER, space="documents")


async def test_a_large_collection_is_gone_at_once_and_deleted_by_and_by(storage: Storage) -> None:
    shelf, other = await store(storage), await store(storage)
    watched = source(shelf)
    await storage.sources.add(watched)
    long = await added(storage, shelf, source_id=watched.id, attributes={"year": 1}, place="/srv/notes/a.txt")
    document = await completed(storage, *LONG)
    waiting = await added(storage, shelf, "more")
    job = await claimed(storage)
    await added(storage, other, "kept")
    await completed(storage, "cherry long")
    ids = [hit.id for hit in await storage.passages.words(WANTED, "long", 300)]
    assert len(ids) == 151
    await storage.collections.delete(OWNER, shelf)
    assert await found(storage, "long") == ["cherry long"]
    near = await storage.passages.nearest(WANTED, "e", np.ones(2, np.float32), 300)
    assert len(near) == len(await storage.passages.get(OWNER, ids)) == 1
    assert await storage.sources.list(OWNER) == []
    assert [one.id for one in (await storage.collections.list(OWNER)).data] == [other]
    assert await storage.documents.find(OWNER, ids=[document.id]) == []
    for refused in (
        storage.collections.get(OWNER, shelf),
        storage.collections.delete(OWNER, shelf),
        storage.documents.get(OWNER, shelf, long),
        storage.documents.add(OWNER, shelf, [NewDocument(file_id=waiting)]),
    ):
        with pytest.raises(NotFound):
            await refused
    with pytest.raises(Conflict):
        await storage.reading_queue.complete(job, "k", text_of(job, "late"))
    await storage.reading_queue.release()
    assert await storage.reading_queue.claim(LATER, LATER) is None
    assert await storage.cleaning.clean()
    assert await rows_of(storage) == [1, 0, 0]
    assert await storage.database.fetch("SELECT 1 FROM passage_attributes") == []
    assert long not in await files(storage)
    assert waiting in await files(storage)


async def test_a_deletion_that_was_cut_off_goes_on_at_the_next_start(settings: Settings) -> None:
    async with open_storage(settings) as storage:
        shelf = await store(storage)
        await added(storage, shelf)
        await completed(storage, *LONG)
        mark = Statement("INSERT INTO key_values (name, value) VALUES ('left.documents', '1')")
        await storage.database.batch([mark, Statement("UPDATE collections SET leaving = 1")])
        storage.cleaning.call()
        while (await rows_of(storage))[2]:
            await asyncio.sleep(0)
        assert await storage.cleaning.clean()
        assert await rows_of(storage) == [0, 0, 0]


async def test_a_long_document_is_seen_whole_or_not_at_all(storage: Storage) -> None:
    """Also where it takes the place of what it said before, and where its worker is gone in the middle."""
    shelf = await store(storage)
    file_id = await added(storage, shelf)
    document = await completed(storage, *LONG)
    await storage.documents.add(OWNER, shelf, [NewDocument(file_id=file_id, chunking={"max_chunk_size_tokens": 9})])

    async def look() -> None:
        while (await storage.documents.get(OWNER, shelf, file_id)).status == "in_progress":
            texts = [one.text for one in await storage.passages.of(OWNER, document.id)]
            assert texts in (LONG, [one.text for one in whole.passages])
            assert len(await storage.passages.words(WANTED, "piece1 renewed1", 300)) == 1

    now = micros()
    lost = await storage.reading_queue.claim(now, now + 1)
    assert lost
    half = text_of(lost, *(f"renewed{number} half" for number in range(150)))
    assert half.vectors is not None
    with pytest.raises(BadRequest):
        await storage.reading_queue.complete(lost, "k", replace(half, vectors=half.vectors[:100]))
    assert (await rows_of(storage))[:2] == [150 + 64, 1]
    assert await storage.passages.words(WANTED, "half", 300) == []
    again = await storage.reading_queue.claim(now + 2, LATER)
    assert again
    whole = text_of(again, *(f"renewed{number}" for number in range(200)))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        tasks.create_task(storage.reading_queue.complete(again, "k", whole))
    assert len(await storage.passages.of(OWNER, document.id)) == 200
    assert await found(storage, "piece1 half") == []
    assert await storage.cleaning.clean()
    assert await rows_of(storage) == [200, 0, 0]


async def test_what_was_stored_of_one_that_is_cancelled_goes(storage: Storage) -> None:
    shelf = await store(storage)
    file_id = await kept(storage)
    await storage.documents.add(OWNER, shelf, [NewDocument(file_id=file_id)], batch_id="vsfb_1")
    job = await claimed(storage)
    text = text_of(job, *LONG)
    assert text.vectors is not None
    with pytest.raises(BadRequest):
        await storage.reading_queue.complete(job, "k", replace(text, vectors=text.vectors[:100]))
    assert (await rows_of(storage))[:2] == [64, 1]
    await storage.batches.cancel(OWNER, shelf, "vsfb_1")
    assert await storage.cleaning.clean()
    assert await rows_of(storage) == [0, 0, 0]


async def test_an_expired_collection_is_searched_no_more_before_it_is_swept(storage: Storage) -> None:
    shelf = await store(storage, expires_days=1, last_active_at=micros())
    await added(storage, shelf)
    await completed(storage, "cherry")
    assert await found(storage, "cherry") == ["cherry"]
    long_ago = {"then": micros() - 2 * DAY, "id": shelf}
    await storage.database.batch([Statement("UPDATE collections SET last_active_at = :then WHERE id = :id", long_ago)])
    assert await found(storage, "cherry") == []
    assert await storage.passages.nearest(WANTED, "e", np.ones(2, np.float32), 5) == []


async def test_of_several_that_begin_a_collection_at_once_there_is_one(storage: Storage) -> None:
    await storage.people.add(user(id=OWNER))
    for fields in ({"name": "Documents"}, {"name": "notes.txt", "conversation_id": "conv_1"}):
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(storage.collections.first(collection(**fields))) for _ in range(6)]
        (one,) = {task.result().id for task in made}
        assert (await storage.collections.get(OWNER, one)).name == fields["name"]
    assert len((await storage.collections.list(OWNER)).data) == 2
    another = await storage.collections.first(collection(name="notes.txt"))
    assert another.conversation_id is None
    await storage.collections.delete(OWNER, another.id)
    assert (await storage.collections.first(collection(name="notes.txt"))).id != another.id


async def test_the_files_of_a_conversation_have_a_collection_of_their_own(storage: Storage) -> None:
    kept = await store(storage, conversation_id="conv_1")
    chain = await store(storage, conversation_id="resp_1", expires_days=1)
    for shelf in (kept, chain):
        await added(storage, shelf, shelf)
        await completed(storage, "cherry")
    found = await storage.collections.of_conversation(OWNER, "conv_1")
    assert found == await storage.collections.get(OWNER, kept)
    assert found.conversation_id == "conv_1"
    assert await storage.collections.of_conversation(OWNER, "conv_2") is None
    long_ago = {"then": micros() - 2 * DAY, "id": chain}
    await storage.database.batch([Statement("UPDATE collections SET last_active_at = :then WHERE id = :id", long_ago)])
    await storage.sweep()
    assert await storage.collections.of_conversation(OWNER, "resp_1") is None
    assert await storage.cleaning.clean()
    assert await rows_of(storage) == [1, 0, 0]
    assert [one.id for one in (await storage.collections.list(OWNER)).data] == [kept]


async def test_the_same_content_is_known(storage: Storage) -> None:
    shelf, other = await store(storage), await store(storage)
    first, copy, elsewhere = await added(storage, shelf), await kept(storage), await added(storage, other)
    known = await storage.documents.same(OWNER, shelf, copy)
    assert known
    assert known.file_id == first
    assert await storage.documents.same(OWNER, shelf, first) is None
    assert await storage.documents.same(OWNER, shelf, await kept(storage, "other")) is None
    assert await storage.documents.same(OWNER, other, elsewhere) is None


async def test_what_was_removed_from_a_place_is_remembered(storage: Storage) -> None:
    shelf = await store(storage)
    followed = source(shelf)
    await storage.sources.add(followed)
    removed = await added(storage, shelf, "removed", source_id=followed.id, place="/srv/a.txt")
    gone = await added(storage, shelf, "gone", source_id=followed.id, place="/srv/b.txt")
    sha256 = (await storage.documents.get(OWNER, shelf, removed)).sha256
    await storage.documents.remove(OWNER, shelf, removed)
    await storage.documents.remove(OWNER, shelf, gone, gone=True)
    assert await storage.sources.removed(OWNER, followed.id) == {"/srv/a.txt": sha256}
    await storage.sources.remove(OWNER, followed.id, documents=False)
    assert await storage.sources.removed(OWNER, followed.id) == {}
