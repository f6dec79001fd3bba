import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.knowledge.conftest import Room, SmallReader

from portal.core.clock import micros
from portal.core.collections import NewDocument, SourceRecord
from portal.core.passages import Within
from portal.errors import BackendUnavailable, NotFound, StorageError, TooLarge
from portal.knowledge.files import KnownFiles
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.open import Storage, open_storage
from portal.testing.records import OWNER, STRANGER, collection, file

WITHIN = Within(owner=OWNER, space="documents")
AT_ONCE = Statement("UPDATE documents SET ready_at = 0 WHERE claim = ''")


async def test_a_document_is_read_embedded_and_found(room: Room) -> None:
    async with room.working():
        file_id = await room.add("The door code is 4821.", attributes={"year": 1999}, modified=77)
        (one,) = await room.settled(file_id)
    assert (one.status, one.passages, one.note) == ("completed", 1, "")
    (passage,) = await room.found("door code")
    assert (passage.text, passage.document, passage.created_at) == ("The door code is 4821.", one.id, 77)
    assert passage.group == room.collection.id
    assert room.embedder
    (vector,) = await room.embedder.embed([passage.told])
    (hit,) = await room.storage.passages.nearest(WITHIN, "small", vector, 5)
    assert hit.id == passage.id
    assert room.told[-1] == (file_id, "completed", 1)


async def test_a_large_file_is_read_by_way_of_the_disk(storage: Storage, room: Room) -> None:
    room = Room(storage, room.collection, largest=3 * 2**20, embedder=None)
    async with room.working():
        (one,) = await room.settled(await room.add("large " * 250_000))
    assert one.status == "completed"
    assert len(room.reader.read_texts[0]) == 1_500_000


async def test_what_could_not_be_read_of_it_is_told(room: Room) -> None:
    async with room.working():
        (one,) = await room.settled(await room.add("a picture"))
    assert one.note == "A picture was left out."


async def test_what_waited_before_the_start_is_read(room: Room) -> None:
    ids = [await room.add(f"text {number}") for number in range(20)]
    async with room.working():
        await room.settled(*ids)
    assert len(await room.found("text")) == 20


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (TooLarge("It is over 5 MB."), "invalid_file", "It is over 5 MB."),
        (ValueError("secret"), "server_error", "Portal failed at it (ValueError); its log says more."),
    ],
)
async def test_a_file_that_cannot_be_read_says_why(room: Room, error: Exception, code: str, message: str) -> None:
    room.reader.failures.append(error)
    async with room.working():
        (one,) = await room.settled(await room.add("broken"))
        (other,) = await room.settled(await room.add("whole"))
    assert one.problem
    assert (one.status, one.problem.code, one.problem.message) == ("failed", code, message)
    assert other.status == "completed"


async def test_formats_nobody_reads_and_files_over_the_bound(room: Room) -> None:
    async with room.working():
        foreign, large = await room.settled(await room.add("foreign"), await room.add("x" * 20_000))
    assert foreign.problem
    assert (foreign.problem.code, foreign.problem.message) == ("unsupported_file", "Save it as PDF.")
    assert large.problem
    assert "knowledge.max_file" in large.problem.message


async def failed(room: Room, file_id: str, times: int) -> None:
    """Until it failed so often; then let it be tried again at once."""
    await room.until(lambda one: one.problem is not None and one.attempts == times, file_id)
    await room.storage.database.batch([AT_ONCE])
    room.ingest.call()


async def test_a_passing_failure_is_tried_again_but_not_for_ever(room: Room) -> None:
    room.reader.failures = [BackendUnavailable("The model that sees is away."), StorageError("The disk is full.")]
    async with room.working():
        file_id = await room.add("patience")
        for times in (1, 2):
            await failed(room, file_id, times)
        (one,) = await room.settled(file_id)
        assert (one.status, one.problem) == ("completed", None)
        room.reader.failures = [StorageError("The disk is full.")] * 4
        file_id = await room.add("no hope")
        for times in (1, 2, 3, 4):
            await failed(room, file_id, times)
        (one,) = await room.settled(file_id)
    assert one.problem
    assert (one.status, one.problem.message) == ("failed", "The disk is full.")


async def test_a_file_that_stops_portal_each_time_is_given_up(room: Room) -> None:
    file_id = await room.add("dangerous")
    for _ in range(4):
        assert await room.storage.reading_queue.claim(micros(), micros())
    async with room.working():
        (one,) = await room.settled(file_id)
    assert one.problem
    assert "stopped each time" in one.problem.message
    assert room.reader.read_texts == []


async def test_the_same_content_is_read_and_embedded_once(room: Room) -> None:
    other = collection()
    await room.storage.collections.create(other)
    async with room.working():
        ids = [await room.add("The same words.") for _ in range(4)]
        await room.storage.documents.add(OWNER, other.id, [NewDocument(file_id=ids[0])])
        await room.settled(*ids)
        room.ingest.call()
        while (await room.storage.documents.get(OWNER, other.id, ids[0])).status == "in_progress":
            await asyncio.sleep(0)
    found = await room.found("same words")
    assert len(found) == len({one.id for one in found}) == 5
    assert sorted(one.group for one in found).count(other.id) == 1
    assert room.reader.read_texts == ["The same words."]
    assert room.embedder
    assert room.embedder.texts == ["The same words."]
    assert await room.storage.passages.embedders() == {"small": 5}


async def test_another_owner_another_cutting_another_name_are_read_anew(room: Room) -> None:
    theirs = collection(owner=STRANGER)
    await room.storage.collections.create(theirs)
    async with room.working():
        ids = [await room.add("Words.")]
        cutting = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}
        ids += [await room.add("Words.", chunking=cutting), await room.add("Words.", name="notes.md")]
        await room.settled(*ids)

        async def content() -> AsyncIterator[bytes]:
            yield b"Words."

        file_id = (await room.storage.files.create(file(owner=STRANGER), content())).id
        await room.documents.add(STRANGER, theirs.id, [NewDocument(file_id=file_id)])
        while (await room.storage.documents.get(STRANGER, theirs.id, file_id)).status == "in_progress":
            await asyncio.sleep(0)
    assert len(room.reader.read_texts) == 4


async def test_a_twin_that_had_no_vectors_gets_some(room: Room) -> None:
    assert room.embedder
    room.embedder.away = True
    async with room.working():
        await room.settled(await room.add("The same words."))
        assert await room.storage.passages.embedders() == {}
        room.embedder.away = False
        await room.settled(await room.add("The same words."))
    assert room.embedder.texts == ["The same words."]
    assert len(await room.storage.passages.unembedded("small", 10)) == 1


async def test_without_an_embedder_it_is_found_by_words(room: Room) -> None:
    room.embedder = None
    async with room.working():
        (one,) = await room.settled(await room.add("The door code is 4821."))
    assert one.status == "completed"
    assert len(await room.found("door code")) == 1
    assert [each.text for each in await room.storage.passages.unembedded("small", 10)] == ["The door code is 4821."]


async def test_vectors_that_do_not_fit_are_left_out(room: Room) -> None:
    async with room.working():
        await room.settled(await room.add("The door code is 4821."))
        assert room.embedder
        room.embedder.dimensions = 2
        (one,) = await room.settled(await room.add("Bread is baked in the morning."))
    assert one.status == "completed"
    assert len(await room.found("bread")) == 1


async def test_an_empty_file_is_completed_with_nothing_in_it(room: Room) -> None:
    async with room.working():
        for one in await room.settled(await room.add(""), await room.add("")):
            assert (one.status, one.passages) == ("completed", 0)


async def test_a_long_document_tells_how_far_it_is(room: Room) -> None:
    text = "\n\n".join(f"Paragraph {number} says something that nobody else says. " * 8 for number in range(24))
    async with room.working():
        (one,) = await room.settled(await room.add(text[:9000]))
    assert one.passages > 10
    passages = await room.storage.passages.of(OWNER, one.id)
    assert [each.position for each in passages] == list(range(one.passages))


async def test_one_that_is_cancelled_while_it_is_read_leaves_nothing(room: Room) -> None:
    async with room.working():
        file_id = await room.add("wait for me", attributes={})
        await room.reader.reading.wait()
        await room.storage.database.batch([Statement("UPDATE documents SET status = 'cancelled', claim = ''")])
        await room.settled(await room.add("another"))
        room.reader.go_on.set()
        await room.settled(await room.add("a third"))
    assert (await room.get(file_id)).status == "cancelled"
    assert await room.found("wait") == []


async def test_a_file_that_is_deleted_while_it_waits_or_is_read(room: Room) -> None:
    files = KnownFiles(files=room.storage.files, documents=room.documents)
    waiting = await room.add("gone before")
    await files.delete(OWNER, waiting)
    async with room.working():
        file_id = await room.add("wait for me")
        await room.reader.reading.wait()
        await files.delete(OWNER, file_id)
        room.reader.go_on.set()
        await room.settled(await room.add("another"))
    assert len(await room.found("gone wait another")) == 1
    assert await room.storage.documents.find(OWNER, file_id=file_id) == []


async def test_a_file_of_a_watched_place_goes_with_its_document(room: Room) -> None:
    files = KnownFiles(files=room.storage.files, documents=room.documents)
    source = SourceRecord(
        id="src_1", owner=OWNER, collection_id=room.collection.id, kind="folder", place="/x", created_at=1
    )
    await room.storage.sources.add(source)
    file_id = await room.add("followed", source_id=source.id, place="/x/a.txt")
    await files.delete(OWNER, file_id)
    assert await room.storage.documents.find(OWNER, file_id=file_id) == []
    with pytest.raises(NotFound):
        await files.delete(OWNER, file_id)


async def test_a_file_that_is_gone_without_its_document(room: Room) -> None:
    file_id = await room.add("gone")
    await room.storage.files.delete(OWNER, file_id)
    async with room.working():
        (one,) = await room.settled(file_id)
    assert one.problem
    assert one.problem.code == "invalid_file"


async def test_a_stop_gives_back_what_was_being_read(room: Room, tmp_path: Path) -> None:
    async with room.working():
        file_id = await room.add("wait for me")
        await room.reader.reading.wait()
    one = await room.get(file_id)
    assert (one.status, one.attempts) == ("in_progress", 0)
    room.reader.go_on.set()
    async with room.working():
        (one,) = await room.settled(file_id)
    assert one.status == "completed"


async def test_signs_of_life_tell_progress_and_notice_a_cancellation(storage: Storage, room: Room) -> None:
    room = Room(storage, room.collection, beat=0.01)
    async with room.working():
        file_id = await room.add("wait for me")
        await room.until(lambda _: (file_id, "in_progress", 0.0) in room.told, file_id)
        await room.storage.documents.remove(OWNER, room.collection.id, file_id)
        (other,) = await room.settled(await room.add("another"))
    assert other.status == "completed"
    assert len(room.reader.read_texts) == 2


async def test_two_servers_read_each_document_once(room: Room, tmp_path: Path) -> None:
    for number in range(20):
        await room.add(f"text {number}")
    async with open_storage(Settings(data_dir=tmp_path / "data")) as beside:
        other = Room(beside, room.collection, reader=SmallReader())
        async with room.working(), other.working():
            while (await room.storage.collections.get(OWNER, room.collection.id)).counts.in_progress:
                await asyncio.sleep(0)
    assert sorted([*room.reader.read_texts, *other.reader.read_texts]) == sorted(f"text {n}" for n in range(20))
    assert len(await room.found("text")) == 20


async def test_a_full_queue_is_cheap_to_look_at(room: Room, storage: Storage) -> None:
    file_ids = [await room.add(f"text {number}") for number in range(3)]
    filled = """
INSERT INTO documents SELECT 'doc_' || value, owner, collection_id, 'file_' || value, filename, size, sha256, status,
    created_at + value, problem, attributes, chunking, progress, passages, usage_bytes, note, content_key, place,
    modified, source_id, batch_id, claim, 9e15, attempts FROM documents, json_each(:numbers) WHERE file_id = :file_id"""
    numbers = str(list(range(1, 5001)))
    await storage.database.batch([Statement(filled, {"numbers": numbers, "file_id": file_ids[0]})])
    async with room.working():
        await room.settled(*file_ids)
    assert (await storage.collections.get(OWNER, room.collection.id)).counts.in_progress == 5000


async def test_a_worker_that_was_ended_before_it_began_is_free_again(storage: Storage, room: Room) -> None:
    class Ending:
        """Hands one document out, and then reading is ended."""

        ends, handed = True, False

        def __getattr__(self, name: str) -> object:
            return getattr(storage.reading_queue, name)

        async def claim(self, now: int, until: int) -> object:
            if self.ends and self.handed:
                raise asyncio.CancelledError
            self.handed = True
            return await storage.reading_queue.claim(now, now if self.ends else until)

    ending = Ending()
    room = Room(storage, room.collection, queue=ending)
    first, second = [await room.add(text) for text in ("read beside it", "wait, read before it")]
    with pytest.raises(asyncio.CancelledError):
        await room.ingest.run()
    ending.ends = False
    async with room.working():
        assert (await room.settled(first))[0].status == "completed"
        room.reader.go_on.set()
        assert (await room.settled(second))[0].status == "completed"
