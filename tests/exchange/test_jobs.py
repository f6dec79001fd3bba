"""Imports as jobs: what a stopped server left, what does not fit, and a reader that fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.exchange import samples
from tests.exchange.conftest import Traveller, traveller

from portal.app.exchange import Workspaces
from portal.core.clock import micros
from portal.core.exchange import STEP_BYTES, Arrivals, Coming, ImportRecord, size_of
from portal.errors import Conflict, NotFound, StorageFull
from portal.exchange.archive import Archive
from portal.exchange.importer import Home, Importer
from portal.exchange.jobs import ImportJobs
from portal.exchange.recognise import reader
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.records import imported, user

DAY = 86_400_000_000


async def test_a_server_that_starts_goes_on_with_what_is_there(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with open_test_portal(data_dir) as portal:
        storage, folder = portal.portal.storage, data_dir / "imports"
        folder.mkdir(exist_ok=True)
        begun = imported(owner=portal.owner, status="importing", filename="x.zip")
        gone = imported(owner=portal.owner, status="reading")
        late = imported(owner=portal.owner, status="ready", changed_at=micros() - 3 * DAY)
        waits = imported(owner=portal.owner, status="ready")
        for one in (begun, gone, late, waits):
            await storage.imports.add(one)
            if one is not gone:
                (folder / one.id).write_bytes(samples.chatgpt())
        (folder / "import_of_nobody").write_bytes(b"x")
    async with open_test_portal(data_dir) as portal:
        me = traveller(portal)
        async with me.session:
            assert (await me.through(begun.id))["status"] == "done"
            assert "Baking rolls" in await me.conversations()
            failed = await me.through(gone.id)
            assert (failed["status"], "bring the file in again" in failed["problem"]) == ("failed", True)
            assert (await me.through(late.id))["problem"] == "It waited too long."
            assert (await me.through(waits.id))["status"] == "ready"
        assert sorted(path.name for path in folder.iterdir()) == [waits.id]


async def test_an_upload_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path / "data", settings={"server": {"max_import": 1000}}) as portal:
        me = traveller(portal)
        async with me.session:
            assert "max_import" in (await me.upload(b"x" * 2000, status=413))["error"]["message"]

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(20):
                    yield b"x" * 100

            async with me.session.post(f"{me.url}/portal/v1/imports", data=pieces()) as answer:
                assert answer.status == 413
            assert not (await me("GET", "/portal/v1/imports"))["data"]
    assert not list((tmp_path / "data" / "imports").glob("*"))


async def test_a_form_is_not_the_file(me: Traveller) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b"x", filename="x.zip")
    async with me.session.post(f"{me.url}/portal/v1/imports", data=form) as answer:
        assert answer.status == 400


async def test_an_import_that_is_deleted_stops(me: Traveller, portal: TestPortal) -> None:
    made = await me.upload(samples.chatgpt([samples.chatgpt_conversation(f"c{n}") for n in range(300)]), start="true")
    async with asyncio.timeout(30):
        while not (await me("GET", "/portal/v1/conversations"))["data"]:
            await asyncio.sleep(0.01)
    await me("DELETE", f"/portal/v1/imports/{made['id']}")
    folder = portal.portal.settings.data_dir / "imports"
    async with asyncio.timeout(30):
        while list(folder.iterdir()):
            await asyncio.sleep(0.01)
    assert (await me.bring(samples.librechat()))["status"] == "done"


async def test_files_that_do_not_fit_are_left_out(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path / "data", settings={"files": {"quota": 90}}) as portal:
        me = traveller(portal)
        async with me.session:
            told = await me.bring(samples.chatgpt())
            assert told["status"] == "done"
            talk = json.dumps([samples.chatgpt_conversation("c2")]).replace("file_0000abcd", "file_0000ef01")
            big = {"conversations.json": talk, "file_0000ef01-x.png": samples.PNG + b"x" * 100}
            told = await me.bring(samples.packed(big))
            full = {"kind": "files", "reason": "your files may take no more room", "count": 1}
            assert full in told["report"]["reasons"]
            assert told["report"]["whole"]


class Full:
    """Files for which there is no room on the disk."""

    async def get(self, owner: str, file_id: str) -> Any:
        raise NotFound("no such file")

    async def create(self, record: Any, content: Any) -> Any:
        raise StorageFull("The disk is full.")


async def test_a_full_disk_ends_it_with_what_to_do(me: Traveller, portal: TestPortal) -> None:
    path = portal.portal.settings.data_dir / "x.zip"
    path.write_bytes(samples.chatgpt())
    with pytest.raises(StorageFull):
        await _run(portal, path, replace(_home(portal), files=Full()), "import_1")


class Noting:
    """Arrivals, with how large was what came at once."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals, self.sizes = arrivals, list[int]()
        self.take = arrivals.take

    async def take_all(self, import_id: str, coming: Sequence[Coming], *, owner: str) -> Collection[str]:
        self.sizes.append(sum(size_of(turns) for _, turns in coming))
        return await self._arrivals.take_all(import_id, coming, owner=owner)


async def test_a_large_conversation_is_not_stored_at_once_with_others(me: Traveller, portal: TestPortal) -> None:
    talks = [samples.chatgpt_conversation(f"c{n}", title=f"Talk {n}") for n in range(6)]
    for node in talks[3]["mapping"].values():
        if (node["message"] or {}).get("content", {}).get("content_type") == "text":
            node["message"]["content"]["parts"] = ["pear " * 200_000]
    path = portal.portal.settings.data_dir / "x.zip"
    path.write_bytes(samples.chatgpt(talks))
    await portal.portal.storage.imports.add(coming := imported(owner=portal.owner, status="importing"))
    arrivals = Noting(portal.portal.storage.arrivals)
    await _run(portal, path, replace(_home(portal), arrivals=arrivals), coming.id)
    assert arrivals.sizes
    assert max(arrivals.sizes) <= STEP_BYTES
    assert {f"Talk {n}" for n in range(6)} <= (await me.conversations()).keys()


async def _run(portal: TestPortal, path: Path, home: Home, import_id: str) -> None:
    async def told() -> None:
        pass

    with Archive(path, "x.zip") as archive:
        importer = Importer(
            home=home,
            archive=archive,
            export=reader(archive, "chatgpt", owner=portal.owner),
            import_id=import_id,
            owner=portal.owner,
            source="chatgpt",
            dry=False,
            told=told,
        )
        await importer.run()


def _home(portal: TestPortal) -> Any:
    storage = portal.portal.storage
    return Home(
        arrivals=storage.arrivals,
        files=storage.files,
        folders=storage.folders,
        memories=storage.memories,
        remembering=portal.portal.memory,
        personas=Workspaces(None),  # type: ignore[arg-type]
    )


async def test_many_documents_of_a_project_and_odd_ones(me: Traveller) -> None:
    docs = [{"uuid": f"d{n}", "filename": f"{n}.md", "content": f"text {n}"} for n in range(53)]
    project = {"uuid": "p", "name": "Big", "prompt_template": "x", "docs": docs}
    told = await me.bring([project], filename="projects.json")
    assert told["source"] == "claude"
    assert told["report"]["stored"] == {"folders": 1, "files": 50}
    assert {"kind": "files", "reason": "a folder has 50 files at most", "count": 3} in told["report"]["reasons"]


async def test_workspaces_that_are_others_here(me: Traveller) -> None:
    await me("PUT", "/portal/v1/workspaces/mine", {"title": "Mine"})
    line = {"object": "portal.workspace", "name": "mine", "fields": {"title": "Other"}}
    odd = {"object": "portal.workspace", "name": "odd", "fields": {"title": 7}}
    data = samples.packed(
        {
            "portal-export.json": {"object": "portal.export", "owner": {"id": "user_x"}},
            "workspaces.jsonl": "\n".join(map(json.dumps, [line, odd])),
            "memories.jsonl": '{"id": "mem_1", "kind": "rumour"}\n{broken',
        }
    )
    told = await me.bring(data)
    reasons = {(one["kind"], one["reason"]) for one in told["report"]["reasons"]}
    assert ("workspaces", "you have another workspace of that name") in reasons
    assert ("memories", "it is no memory") in reasons
    assert told["report"]["whole"]
    assert (await me("GET", "/portal/v1/workspaces/mine"))["title"] == "Mine"


async def test_nobody_waits_for_another_one(me: Traveller, portal: TestPortal) -> None:
    await portal.portal.storage.people.add(ann := user(name="Ann"))
    _, key = await portal.portal.credentials.create_key(ann.id, "ann")
    long = samples.chatgpt([samples.chatgpt_conversation(f"c{n}") for n in range(400)])
    first, second = [(await me.upload(long, start="true"))["id"] for _ in range(2)]
    other = traveller(portal, key)
    async with other.session:
        theirs = await other.bring(samples.librechat())
        mine = await me("GET", f"/portal/v1/imports/{second}")
    assert theirs["status"] == "done"
    assert (mine["status"], mine["progress"]) == ("importing", 0.0)
    for one in (first, second):
        await me("DELETE", f"/portal/v1/imports/{one}")


async def test_one_export_at_a_time(me: Traveller, portal: TestPortal) -> None:
    await portal.portal.storage.people.add(ann := user(name="Ann"))
    _, key = await portal.portal.credentials.create_key(ann.id, "ann")
    other = traveller(portal, key)
    async with other.session:
        assert (await other("GET", "/portal/v1/export"))[:2] == b"PK"
        assert (await other("GET", "/portal/v1/export"))[:2] == b"PK"


class Late:
    """Imports whose list is told late: as it was when it was asked for."""

    def __init__(self, imports: Any) -> None:
        self._imports = imports
        self.add = imports.add
        self.asked, self.told = asyncio.Event(), asyncio.Event()
        self.told.set()

    async def list(self, owner: str) -> Sequence[ImportRecord]:
        found: Sequence[ImportRecord] = await self._imports.list(owner)
        self.asked.set()
        await self.told.wait()
        return found


async def test_one_that_comes_while_they_are_counted_counts(portal: TestPortal, tmp_path: Path) -> None:
    """The fifth is stored between the look into the database and what is made of it; a sixth is one too many."""
    storage, released = portal.portal.storage, asyncio.Event()
    for _ in range(4):
        await storage.imports.add(imported(owner=portal.owner, status="ready"))

    async def nobody(owner: str) -> str:
        return ""

    jobs = ImportJobs(
        imports=(late := Late(storage.imports)),  # type: ignore[arg-type]
        claims=storage.claims,
        home=_home(portal),
        bus=portal.portal.bus,
        folder=tmp_path / "uploads",
        largest=1000,
        login=nobody,
    )

    async def slowly() -> AsyncIterator[bytes]:
        yield b"["
        await released.wait()
        yield b"]"

    async def send() -> str:
        try:
            return (await jobs.add(portal.owner, slowly(), filename="x.json")).status
        except Conflict as error:
            return error.code or ""

    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        fifth = group.create_task(send())
        await late.asked.wait()
        late.asked.clear()
        late.told.clear()
        sixth = group.create_task(send())
        await late.asked.wait()
        released.set()
        await asyncio.wait([fifth])
        late.told.set()
    assert (fifth.result(), sixth.result()) == ("reading", "too_many_imports")
