"""What two servers do at the same moment: neither takes back what the other did, and nothing is there twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from tests.cluster.conftest import Server, opened
from tests.cluster.test_shared import Pair, made, until
from tests.exchange import samples

from portal.core.records import FileRecord
from portal.errors import PortalError, SettingsError
from portal.settings import Settings
from portal.storage.database import Statement
from portal.storage.lease import OWN_LOCK
from portal.storage.open import open_storage
from portal.testing.records import conversation, file, response, schedule

NOWHERE = "http://127.0.0.1:1"
SERVERS = ("backends", "mcp/servers")
LOCKED = """
SELECT l.pid FROM pg_locks l JOIN instances i ON i.lock = l.objid::bigint
WHERE l.locktype = 'advisory' AND l.granted AND l.classid::bigint = :class AND i.id = :id"""


async def listed(server: Server, path: str) -> dict[str, str]:
    """Where each is, by its name."""
    models = path == "backends"
    async with server.api.get("/portal/v1/models" if models else f"/portal/v1/{path}") as answer:
        found = await answer.json()
    return {one["name"]: one["url" if models else "where"] for one in found["backends" if models else "data"]}


async def names(server: Server, path: str) -> set[str]:
    return set(await listed(server, path))


def server_of(path: str, name: str, url: str = NOWHERE) -> dict[str, str]:
    return {"name": name, "url": url, **({"kind": "ollama"} if path == "backends" else {})}


async def test_servers_that_are_added_and_removed_at_once_are_all_there_or_gone(pair: Pair) -> None:
    for path in SERVERS:
        before = await names(pair[0], path)
        async with asyncio.TaskGroup() as group:
            for number in range(8):
                server = pair[number % 2]
                group.create_task(made(server.api, f"/portal/v1/{path}", **server_of(path, f"s{number}")))
        all_of_them = before | {f"s{number}" for number in range(8)}

        async def known(path: str = path, wanted: set[str] = all_of_them) -> bool:
            return [await names(one, path) for one in pair] == [wanted, wanted]

        await until(known)

        async def removed(server: Server, name: str, path: str = path) -> None:
            async with server.api.delete(f"/portal/v1/{path}/{name}") as answer:
                assert answer.status == 200, await answer.text()

        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(removed(pair[number % 2], f"s{number}"))
        left = before | {"s6", "s7"}

        async def gone(path: str = path, wanted: set[str] = left) -> bool:
            return [await names(one, path) for one in pair] == [wanted, wanted]

        await until(gone)


async def test_of_two_servers_of_one_name_one_is_refused(pair: Pair) -> None:
    async def added(path: str, number: int) -> int:
        wanted = server_of(path, "same", f"http://127.0.0.1:{number + 1}")
        async with pair[number].api.post(f"/portal/v1/{path}", json=wanted) as answer:
            return answer.status

    for path in SERVERS:
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(added(path, number)) for number in range(2)]
        first, second = sorted(one.result() for one in tries)
        assert (first in (200, 201), second) == (True, 409)


async def test_a_server_that_comes_back_elsewhere_is_used_there_by_all(pair: Pair) -> None:
    first, second = pair
    for path in SERVERS:
        for url in (NOWHERE, "http://127.0.0.1:2"):
            await made(first.api, f"/portal/v1/{path}", **server_of(path, "ours", url))

            async def used(path: str = path, url: str = url) -> bool:
                return (await listed(second, path)).get("ours") == url

            await until(used)
            if url == NOWHERE:
                async with first.api.delete(f"/portal/v1/{path}/ours") as answer:
                    assert answer.status == 200


async def test_servers_of_one_host_name_and_number_bury_each_other_not(pair: Pair) -> None:
    """As in containers, where every server is process 1. These two are one process indeed."""
    first, second = pair
    database, before = second.test.portal.storage.database, first.test.portal.storage.fence.instance

    async def holder() -> int:
        rows = await database.fetch(LOCKED, **{"class": OWN_LOCK, "id": before})
        return rows[0]["pid"] if rows else 0

    for _ in range(5):
        was = await holder()
        assert was, "the others took it for gone"
        await database.fetch("SELECT pg_terminate_backend(CAST(:pid AS INTEGER))", pid=was)

        async def again(was: int = was) -> bool:
            return await holder() not in (0, was) or first.test.portal.storage.fence.instance != before

        await until(again)
    assert first.test.portal.storage.fence.instance == before


async def test_nobody_has_more_schedules_than_they_may(database: str, tmp_path: Path) -> None:
    few = {"most": 3}
    async with (
        opened(tmp_path / "a", database, schedules=few) as one,
        opened(tmp_path / "b", database, schedules=few) as other,
    ):

        async def create(server: Server, number: int) -> int:
            wanted = {"name": f"n{number}", "prompt": "x", "when": "webhook" if number % 3 else "every day at 8"}
            async with server.api.post("/portal/v1/schedules", json=wanted) as answer:
                return answer.status

        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(create((one, other)[number % 2], number)) for number in range(12)]
        assert sorted(task.result() for task in tries) == [201] * 3 + [400] * 9
        async with one.api.get("/portal/v1/schedules") as answer:
            assert len((await answer.json())["data"]) == 3


async def test_a_webhook_has_no_more_runs_waiting_than_it_may(database: str, tmp_path: Path) -> None:
    few = {"hooks_waiting": 2, "parallel": 1}
    async with (
        opened(tmp_path / "a", database, schedules=few) as one,
        opened(tmp_path / "b", database, schedules=few) as other,
    ):
        hook = await made(one.api, "/portal/v1/schedules", name="hook", prompt="x", when="webhook", paused=False)
        gate = asyncio.Event()
        for _ in range(6):
            one.model.script(gate)
        path = urlsplit(hook["url"]).path

        async def call(server: Server, number: int) -> int:
            async with aiohttp.ClientSession(server.test.url) as api, api.post(path, data=f"event {number}") as answer:
                return answer.status

        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(call((one, other)[number % 2], number)) for number in range(10)]
        assert sorted(task.result() for task in tries) == [202] * 2 + [429] * 8
        gate.set()


async def test_who_signs_in_as_their_password_is_changed_is_out(pair: Pair) -> None:
    first, second = pair
    old, new = "correct horse battery", "another horse altogether"
    person = await made(first.api, "/portal/v1/users", name="Ben", login="ben", role="member")
    users = f"/portal/v1/users/{person['id']}"
    async with first.api.patch(users, json={"password": old}) as answer:
        assert answer.status == 200, await answer.text()

    async def enter(server: Server) -> str:
        async with (
            aiohttp.ClientSession(server.test.url) as api,
            api.post("/sign-in/password", json={"login": "ben", "password": old}) as answer,
        ):
            cookies = [cookie.value for cookie in answer.cookies.values()]
            assert answer.status == (200 if cookies else 401)
            return cookies[0] if cookies else ""

    async def change() -> None:
        async with first.api.patch(users, json={"password": new}) as answer:
            assert answer.status == 200

    async with asyncio.TaskGroup() as group:
        entering = [group.create_task(enter(one)) for one in (second, second, second, first, first)]
        group.create_task(change())
    for secret in filter(None, [one.result() for one in entering]):
        assert await first.test.portal.credentials.by_session(secret) is None
    assert await second.test.portal.storage.users.credentials(person["id"], "session") == []


async def test_what_somebody_had_under_way_as_they_are_deleted_is_nobodys(pair: Pair) -> None:
    first, second = pair
    storage = second.test.portal.storage
    person = await made(first.api, "/portal/v1/users", name="Ben", role="member")
    whose, begun, go_on = {"owner": person["id"]}, asyncio.Event(), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"x" * 2**20
        begun.set()
        await go_on.wait()
        yield b"y" * 2**20

    async def uploaded() -> FileRecord | None:
        with suppress(PortalError):
            return await storage.files.create(file(**whose), content())
        return None

    async with asyncio.TaskGroup() as group:
        upload = group.create_task(uploaded())
        await begun.wait()
        async with first.api.delete(f"/portal/v1/users/{person['id']}?everything=true") as answer:
            assert answer.status == 200, await answer.text()
        go_on.set()
    assert upload.result() is None
    for late in (storage.turn_log.begin(response(**whose), []), storage.files.create(file(**whose), content())):
        with suppress(PortalError):
            raise AssertionError(f"{await late} was stored")
    await storage.conversations.create(conversation(**whose))
    await storage.schedules.save(schedule(**whose, next_at=1))
    await first.test.portal.storage.people.sweep()
    for table in ("responses", "conversations", "files", "file_chunks", "schedules"):
        assert await storage.database.fetch(f"SELECT owner FROM {table} WHERE owner = :owner", **whose) == []


async def test_an_export_that_comes_to_both_is_brought_in_once(pair: Pair) -> None:
    talks = [samples.chatgpt_conversation(f"talk-{number}") for number in range(3)]

    async def brought(server: Server) -> str:
        async with server.api.post("/portal/v1/imports", data=samples.chatgpt(talks), params={"start": "true"}) as told:
            assert told.status == 201, await told.text()
            return str((await told.json())["id"])

    async with asyncio.TaskGroup() as group:
        imports = [group.create_task(brought(one)) for one in pair]

    async def done() -> bool:
        async with pair[0].api.get("/portal/v1/imports") as answer:
            found = {one["id"]: one for one in (await answer.json())["data"]}
        assert all(one["status"] != "failed" for one in found.values()), found
        return all(found[one.result()]["status"] == "done" for one in imports)

    await until(done)
    database = pair[0].test.portal.storage.database
    files = await database.fetch("SELECT filename, COUNT(*) AS times FROM files WHERE ready = 1 GROUP BY filename")
    assert files
    assert {row["times"] for row in files} == {1}
    async with pair[0].api.get("/portal/v1/imports") as answer:
        reports = [one["report"] for one in (await answer.json())["data"]]
    assert sorted(one["stored"].get("conversations", 0) for one in reports) == [0, 3], reports
    assert await database.fetch("SELECT name FROM key_values WHERE name LIKE 'importing:%'") == []


async def test_what_a_server_that_is_gone_brought_in_is_anybodys(pair: Pair) -> None:
    first, second = (one.test.portal.storage for one in pair)
    assert await first.claims.take("importing:x")
    assert await first.claims.take("importing:x")
    assert not await second.claims.take("importing:x")
    await second.claims.drop("importing:x")
    assert not await second.claims.take("importing:x")
    await first.database.batch([Statement("UPDATE key_values SET value = '\"inst_gone\"' WHERE name = 'importing:x'")])
    assert await second.claims.take("importing:x")
    await second.claims.drop("importing:x")
    assert await first.claims.take("importing:x")


async def test_of_two_servers_with_different_keys_that_begin_at_once_one_does(database: str, tmp_path: Path) -> None:
    async with open_storage(Settings(data_dir=tmp_path, database=database)):
        pass  # migrated

    async def begun(key: str) -> bool:
        with suppress(SettingsError):
            async with opened(tmp_path / key, database, seal_key=key * 32):
                return True
        return False

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(begun(key)) for key in ("5e", "77")]
    assert sorted(one.result() for one in tries) == [False, True]
