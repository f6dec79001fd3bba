import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pytest
from tests.knowledge.conftest import Room

from portal.core.collections import DocumentRecord, SourceRecord, Sources
from portal.core.outbound import OutboundRequest, OutboundResponse
from portal.errors import BadRequest, Conflict, Forbidden, NotFound, StorageError, ToolError
from portal.knowledge.folder import Look
from portal.knowledge.places import Grants, Places
from portal.knowledge.watch import Watch, name_of
from portal.storage.database import Statement
from portal.storage.sources import StoredSources
from portal.testing.records import OWNER, STRANGER

PAGE = "https://example.org/notes"
WHOLE_HOUR = 3600 * 1_000_000


@dataclass
class Web:
    """Implements Fetcher: what each address answers."""

    answers: dict[str, OutboundResponse] = field(default_factory=dict)
    asked: list[OutboundRequest] = field(default_factory=list)

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        self.asked.append(request)
        if request.url not in self.answers:
            raise ToolError("example.org cannot be reached.")
        return self.answers[request.url]

    async def check(self, url: str) -> Sequence[str]:
        return []

    def serve(self, body: str, status: int = 200, cut: bool = False, **headers: str) -> None:
        named: Mapping[str, str] = {"content-type": "text/html; charset=utf-8", **headers}
        self.answers[PAGE] = OutboundResponse(url=PAGE, status=status, headers=named, body=body.encode(), cut=cut)


@dataclass
class Observatory:
    room: Room
    folder: Path
    web: Web
    failure: Exception | None = None
    """Why the files' beginnings cannot be read."""
    longest: float = 600

    def readable(self, head: bytes, name: str) -> bool:
        if self.failure and name == "a.txt":
            raise self.failure
        return b"\0" not in head

    def watching(self, sources: Sources) -> Watch:
        return Watch(
            sources=sources,
            documents=self.room.documents,
            files=self.room.storage.files,
            fetcher=lambda: self.web,
            readable=self.readable,
            interval=60,
            largest=1000,
            own=self.folder / "own",
            grants=self.grants,
            longest=self.longest,
        )

    @cached_property
    def watch(self) -> Watch:
        return self.watching(self.room.storage.sources)

    @cached_property
    def places(self) -> Places:
        return Places(sources=self.room.storage.sources, grants=self.grants, look=self.watch.look)

    @cached_property
    def grants(self) -> Grants:
        return Grants(granted=[self.folder, Path("~/granted")], own=self.folder / "own")

    async def follow(self, place: str | Path, trusted: bool = True) -> SourceRecord:
        return await self.places.follow(OWNER, self.room.collection.id, str(place), trusted=trusted)

    async def look(self) -> Mapping[str, DocumentRecord]:
        """Look at all places, let everything be read; the documents by place."""
        await self.watch.once()
        while (await self.room.storage.collections.get(OWNER, self.room.collection.id)).counts.in_progress:
            self.room.ingest.call()
            await asyncio.sleep(0)
        found = await self.room.storage.documents.list(OWNER, self.room.collection.id, limit=1000, ascending=True)
        return {Path(one.place).name or one.place: one for one in found.data}

    async def source(self) -> SourceRecord:
        (one,) = await self.places.list(OWNER, self.room.collection.id)
        return one

    def write(self, name: str, text: str, modified: int = 0) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if modified:
            os.utime(path, (modified, modified))
        return path


@pytest.fixture
async def observatory(room: Room, tmp_path: Path) -> AsyncIterator[Observatory]:
    folder = tmp_path / "notes"
    folder.mkdir()
    async with room.working():
        yield Observatory(room, folder, Web())


async def test_a_folder_is_read_with_all_below_it(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple", modified=1_000_000_000)
    observatory.write("below/deep/b.md", "banana")
    for name in (".hidden", ".git/config", "node_modules/x.js", "own/secrets.json", "below/.cache/c"):
        observatory.write(name, "cherry")
    observatory.write("empty.txt", "")
    observatory.write("large.txt", "x" * 1001)
    observatory.write("program", "\0\1\2")
    (observatory.folder / "link.txt").symlink_to(observatory.folder / "a.txt")
    (observatory.folder / "loop").symlink_to(observatory.folder, target_is_directory=True)
    source = await observatory.follow(observatory.folder)
    found = await observatory.look()
    assert sorted(found) == ["a.txt", "b.md"]
    assert found["a.txt"].modified == 1_000_000_000_000_000
    assert found["b.md"].filename == "b.md"
    assert all(one.status == "completed" and one.source_id == source.id for one in found.values())
    assert [one.text for one in await observatory.room.found("apple banana")] != []
    looked = await observatory.source()
    assert looked.checked_at
    assert (looked.error, looked.state) == ("", {"trusted": True, "files": 3, "left_out": 2})
    assert looked.next_at > looked.checked_at
    assert await observatory.look() == found


async def test_what_changes_moves_and_goes_is_followed(observatory: Observatory) -> None:
    for name in ("changed.txt", "moved.txt", "gone.txt", "touched.txt"):
        observatory.write(name, f"text of {name}", modified=1_000_000_000)
    await observatory.follow(observatory.folder)
    before = await observatory.look()
    read = len(observatory.room.reader.read_texts)

    observatory.write("changed.txt", "something else")
    (observatory.folder / "below").mkdir()
    (observatory.folder / "moved.txt").rename(observatory.folder / "below/renamed.txt")
    (observatory.folder / "gone.txt").unlink()
    os.utime(observatory.folder / "touched.txt", (2_000_000_000, 2_000_000_000))
    after = await observatory.look()

    assert sorted(after) == ["changed.txt", "renamed.txt", "touched.txt"]
    assert after["renamed.txt"].id == before["moved.txt"].id
    assert after["renamed.txt"].filename == "renamed.txt"
    assert (after["touched.txt"].id, after["touched.txt"].modified) == (before["touched.txt"].id, 2 * 10**15)
    assert after["changed.txt"].file_id != before["changed.txt"].file_id
    assert observatory.room.reader.read_texts[read:] == ["something else"]
    assert len(await observatory.room.found("gone")) == 0
    assert len(await observatory.room.found("something")) == 1
    files = [one.id for one in (await observatory.room.storage.files.list(OWNER)).data]
    assert sorted(files) == sorted(one.file_id for one in after.values())


async def test_what_was_removed_here_stays_away_until_it_changes(observatory: Observatory) -> None:
    for name in ("kept.txt", "removed.txt"):
        observatory.write(name, f"text of {name}", modified=1_000_000_000)
    await observatory.follow(observatory.folder)
    before = await observatory.look()
    documents = observatory.room.documents
    await documents.remove(OWNER, before["removed.txt"].collection_id, before["removed.txt"].file_id)
    assert sorted(await observatory.look()) == sorted(await observatory.look()) == ["kept.txt"]
    os.utime(observatory.folder / "removed.txt", (2_000_000_000, 2_000_000_000))
    assert sorted(await observatory.look()) == ["kept.txt"]
    observatory.write("removed.txt", "another text")
    assert sorted(await observatory.look()) == ["kept.txt", "removed.txt"]

    (observatory.folder / "kept.txt").unlink()
    assert sorted(await observatory.look()) == ["removed.txt"]
    observatory.write("kept.txt", "text of kept.txt")
    assert sorted(await observatory.look()) == ["kept.txt", "removed.txt"], "it went there, not here"


async def test_an_address_that_was_removed_stays_away_until_it_changes(observatory: Observatory) -> None:
    observatory.web.serve("<p>apple</p>")
    await observatory.follow(PAGE)
    (one,) = (await observatory.look()).values()
    await observatory.room.documents.remove(OWNER, one.collection_id, one.file_id)
    assert await observatory.look() == {}
    observatory.web.serve("<p>banana</p>")
    assert len(await observatory.look()) == 1


async def test_an_older_version_answers_until_the_new_one_is_read(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    await observatory.follow(observatory.folder)
    await observatory.look()
    observatory.write("a.txt", "foreign words", modified=2_000_000_000)
    await observatory.look()
    assert len(await observatory.room.found("apple")) == 1
    observatory.write("a.txt", "banana", modified=2_100_000_000)
    found = await observatory.look()
    assert [one.status for one in found.values()] == ["completed"]
    assert len(await observatory.room.found("apple")) == 0
    assert len(await observatory.room.found("banana")) == 1
    (observatory.folder / "a.txt").unlink()
    assert list(await observatory.look()) == ["a.txt"]
    assert await observatory.look() == {}


async def test_a_folder_that_is_away_takes_nothing_with_it(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    await observatory.follow(observatory.folder)
    await observatory.look()
    away = observatory.folder.rename(observatory.folder.with_name("unmounted"))
    pauses = []
    for _ in range(9):
        assert len(await observatory.look()) == 1
        source = await observatory.source()
        assert "notes" in source.error
        assert source.checked_at
        pauses.append(source.next_at - source.checked_at)
    assert pauses[0] == 120_000_000
    assert pauses[1] == 2 * pauses[0]
    assert pauses[-1] == WHOLE_HOUR
    away.rename(observatory.folder)
    assert len(await observatory.look()) == 1
    assert (await observatory.source()).error == ""


async def test_a_folder_that_is_suddenly_empty_is_looked_at_twice(observatory: Observatory) -> None:
    for name in ("a.txt", "b.txt"):
        observatory.write(name, name)
    await observatory.follow(observatory.folder)
    before = await observatory.look()
    away = observatory.folder.rename(observatory.folder.with_name("disk"))
    observatory.folder.mkdir()
    assert await observatory.look() == before
    observatory.folder.rmdir()
    away.rename(observatory.folder)
    assert await observatory.look() == before
    assert "emptied" not in (await observatory.source()).state


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
async def test_what_cannot_be_looked_into_is_kept(observatory: Observatory) -> None:
    observatory.write("below/deep/a.txt", "apple")
    observatory.write("b.txt", "banana")
    observatory.write("c.txt", "cherry")
    await observatory.follow(observatory.folder)
    await observatory.look()
    (observatory.folder / "b.txt").unlink()
    (observatory.folder / "below").chmod(0)
    try:
        assert sorted(await observatory.look()) == ["a.txt", "c.txt"]
    finally:
        (observatory.folder / "below").chmod(0o700)


def test_what_is_unread_may_hold_what_is_below_it() -> None:
    looked = Look({}, 0, ["/notes/below"])
    assert looked.may_hold("/notes/below/deep/a.txt")
    assert not looked.may_hold("/notes/below.txt")


@pytest.mark.parametrize("failure", [PermissionError("no"), OSError(5, "input/output"), BadRequest("odd")])
async def test_files_that_cannot_be_read_are_left_out(observatory: Observatory, failure: Exception) -> None:
    for name in ("a.txt", "b.txt"):
        observatory.write(name, name)
    await observatory.follow(observatory.folder)
    observatory.failure = failure
    assert list(await observatory.look()) == ["b.txt"]
    assert (await observatory.source()).state["left_out"] == 1


async def test_a_fault_at_one_place_does_not_keep_from_the_others(observatory: Observatory) -> None:
    observatory.write("first/a.txt", "apple")
    observatory.write("second/b.txt", "banana")
    for name in ("first", "second"):
        await observatory.follow(observatory.folder / name)
    observatory.failure = RuntimeError("odd")
    with pytest.raises(RuntimeError):
        await observatory.watch.once()
    observatory.failure = None
    first, second = await observatory.places.list(OWNER, observatory.room.collection.id)
    assert (first.checked_at is None, second.checked_at is None) == (True, False)


async def test_a_look_ends_in_time(observatory: Observatory) -> None:
    observatory.longest = 0
    observatory.write("a.txt", "apple")
    await observatory.follow(observatory.folder)
    assert await observatory.look() == {}
    assert "took longer" in (await observatory.source()).error


async def test_a_place_that_is_left_brings_nothing_more(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    source = await observatory.follow(observatory.folder)
    await observatory.look()
    observatory.write("b.txt", "banana")
    await observatory.places.leave(OWNER, source.id, documents=True)
    assert await observatory.look() == {}
    assert (await observatory.room.storage.files.list(OWNER)).data == []


async def test_an_address_is_fetched_now_and_then(observatory: Observatory) -> None:
    observatory.web.serve("<p>apple", etag='"1"')
    await observatory.follow(PAGE)
    found = await observatory.look()
    (one,) = found.values()
    assert (one.place, one.filename) == (PAGE, "notes.html")
    source = await observatory.source()
    assert source.checked_at
    assert source.next_at - source.checked_at == WHOLE_HOUR
    observatory.web.serve("", status=304)
    assert await observatory.look() == found
    assert observatory.web.asked[-1].headers == {"if-none-match": '"1"'}
    observatory.web.serve("<p>apple")
    assert await observatory.look() == found
    observatory.web.serve("<p>banana")
    (newer,) = (await observatory.look()).values()
    assert newer.file_id != one.file_id
    assert len(await observatory.room.found("apple banana")) == 1


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        (lambda web: web.serve("", status=404), "answered with status 404"),
        (lambda web: web.serve("x", cut=True), "is larger than"),
        (lambda web: web.answers.clear(), "cannot be reached"),
    ],
)
async def test_an_address_that_fails_keeps_what_it_gave(
    observatory: Observatory, serve: Callable[[Web], None], message: str
) -> None:
    observatory.web.serve("apple")
    await observatory.follow(PAGE)
    await observatory.look()
    serve(observatory.web)
    assert len(await observatory.look()) == 1
    assert message in (await observatory.source()).error


@pytest.mark.parametrize(
    ("url", "kind", "name"),
    [
        ("https://example.org/", "text/html", "example.org.html"),
        ("https://example.org/a%20b.pdf?x", "application/pdf", "a b.pdf"),
        ("https://example.org/v1.2", "text/plain", "v1.2.txt"),
        ("https://example.org/paper", "odd/kind", "paper.html"),
    ],
)
def test_what_an_address_gives_has_a_name(url: str, kind: str, name: str) -> None:
    assert name_of(url, kind) == name


async def test_only_granted_folders_are_followed_from_afar(observatory: Observatory, tmp_path: Path) -> None:
    observatory.write("below/a.txt", "apple")
    with pytest.raises(Forbidden):
        await observatory.follow(tmp_path, trusted=False)
    with pytest.raises(Forbidden):
        await observatory.follow(tmp_path / "not there", trusted=False)
    (observatory.folder / "out").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(Forbidden):
        await observatory.follow(observatory.folder / "out", trusted=False)
    assert (await observatory.follow(observatory.folder / "below", trusted=False)).kind == "folder"
    with pytest.raises(Conflict):
        await observatory.follow(observatory.folder / "below")
    assert (await observatory.follow(tmp_path)).place == str(tmp_path.resolve())


async def test_a_grant_that_is_taken_back_ends_it(observatory: Observatory, tmp_path: Path) -> None:
    observatory.write("below/a.txt", "apple")
    await observatory.follow(observatory.folder / "below", trusted=False)
    await observatory.look()
    observatory.grants.granted.clear()
    observatory.write("below/b.txt", "banana")
    assert list(await observatory.look()) == ["a.txt"]
    assert "knowledge.folders" in (await observatory.source()).error
    observatory.grants.granted.append(observatory.folder)
    assert len(await observatory.look()) == 2
    (observatory.folder / "below").rename(observatory.folder / "elsewhere")
    (observatory.folder / "below").symlink_to(tmp_path, target_is_directory=True)
    assert len(await observatory.look()) == 2
    assert "link" in (await observatory.source()).error


async def test_what_is_hidden_or_portals_own_is_not_followed_either(observatory: Observatory) -> None:
    for name in ("own/deep/a.txt", ".keys/a.txt", "below/.keys/deep/a.txt"):
        observatory.write(name, "secret")
    for place in ("own", "own/deep", ".keys", "below/.keys/deep"):
        with pytest.raises(Forbidden):
            await observatory.follow(observatory.folder / place, trusted=False)
    with pytest.raises(Forbidden):
        await observatory.follow(observatory.folder / "own/deep")
    assert (await observatory.follow(observatory.folder / ".keys")).kind == "folder"


@pytest.mark.parametrize(
    "place", ["not/whole", "/no/such/folder", "ftp://example.org", "~nobody-here/x", "/\0", "http://[abc"]
)
async def test_what_is_no_place(observatory: Observatory, place: str) -> None:
    with pytest.raises(BadRequest):
        await observatory.follow(place)


async def test_a_file_is_no_folder(observatory: Observatory) -> None:
    with pytest.raises(BadRequest):
        await observatory.follow(observatory.write("a.txt", "apple"))
    with pytest.raises(NotFound):
        await observatory.places.follow(OWNER, "vs_no", str(observatory.folder), trusted=True)


class Faulty(StoredSources):
    failed = 0

    async def due(self, now: int | None) -> Sequence[SourceRecord]:
        self.failed += 1
        raise StorageError("The database is away.")


async def test_who_asks_gets_their_own_places_looked_at(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    observatory.web.serve("<p>apple")
    folder, address = await observatory.follow(observatory.folder), await observatory.follow(PAGE)
    await observatory.look()

    async def looked_at(seconds: int) -> list[str]:
        sources = observatory.room.storage.sources
        before = {one.id: one.checked_at for one in await sources.list(OWNER)}
        await observatory.watch.once((before[address.id] or 0) + seconds * 1_000_000)
        return [one.id for one in await sources.list(OWNER) if one.checked_at != before[one.id]]

    observatory.watch.look(STRANGER)
    assert await looked_at(0) == []
    observatory.watch.look(OWNER)
    assert await looked_at(0) == [folder.id]
    assert await looked_at(0) == []
    assert await looked_at(61) == [folder.id, address.id]


@asynccontextmanager
async def running(watch: Watch) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(watch.run())
        yield
        task.cancel()


async def test_it_looks_when_it_starts_and_when_called(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    await observatory.follow(observatory.folder)
    async with running(observatory.watch):
        while not (await observatory.source()).checked_at:
            await asyncio.sleep(0)
        first = (await observatory.source()).checked_at
        observatory.places.look(OWNER)
        while (await observatory.source()).checked_at == first:
            await asyncio.sleep(0)


async def test_it_goes_on_after_a_fault(observatory: Observatory, caplog: pytest.LogCaptureFixture) -> None:
    faulty = Faulty(database=observatory.room.storage.database, passages=observatory.room.storage.passages)
    watch = observatory.watching(faulty)
    async with running(watch):
        while not faulty.failed:
            await asyncio.sleep(0)
        watch.look(OWNER)
        while faulty.failed < 2:
            await asyncio.sleep(0)
    assert "tried again" in caplog.text


async def test_a_fault_of_the_database_is_no_fault_of_the_place(observatory: Observatory) -> None:
    observatory.write("a.txt", "apple")
    await observatory.follow(observatory.folder)
    await observatory.room.storage.database.batch([Statement("ALTER TABLE files RENAME TO elsewhere")])
    with pytest.raises(StorageError):
        await observatory.watch.once()
    assert (await observatory.source()).error == ""
