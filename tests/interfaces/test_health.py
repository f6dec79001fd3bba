"""Health as a load balancer, a container and an administrator see it."""

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import apsw
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal.backends.scripted import ScriptedBackend, echo
from portal.core.model import TextDelta
from portal.core.records import Role
from portal.errors import BackendUnavailable
from portal.observability.vitals import LOW, TIGHT, Vitals
from portal.testing.portal import TestPortal, open_test_portal
from portal.testing.postgres import PostgresServer
from portal.testing.records import user


async def asked(http: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, dict[str, object]]:
    async with http.get(url, headers=headers) as answer:
        return answer.status, await answer.json()


async def by_kind(http: aiohttp.ClientSession, portal: TestPortal) -> tuple[str, dict[str, dict[str, str]]]:
    _, told = await asked(http, f"{portal.url}/portal/v1/health", **portal.headers)
    conditions = {one["kind"] + (f" {one['name']}" if one["name"] else ""): one for one in told["data"]}  # type: ignore[attr-defined]
    return str(told["status"]), conditions


async def test_when_all_is_well(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path, backends=[backend]) as portal, aiohttp.ClientSession() as http:
        assert await asked(http, f"{portal.url}/health") == (200, {"status": "ok"})
        assert await asked(http, f"{portal.url}/health/live") == (200, {"status": "ok"})
        assert await asked(http, f"{portal.url}/health/ready") == (200, {"status": "ok"})
        for path in ("/health", "/health/live", "/health/ready"):
            async with http.head(portal.url + path) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
                assert answer.headers["cache-control"] == "no-store"
        status, conditions = await by_kind(http, portal)
        assert status == "ok"
        assert {"database", "disk", "part vitals", "part model servers", "backend scripted"} <= conditions.keys()
        async with http.get(f"{portal.url}/metrics") as answer:
            families = {one.name: one for one in text_string_to_metric_families(await answer.text())}
        well = {one.labels["part"]: one.value for one in families["portal_part_up"].samples}
        assert well["model servers"] == 1
        assert {one.value for one in families["portal_part_restarts"].samples} == {0}


async def test_a_model_server_that_is_away_is_no_death(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"], default=echo)
    async with open_test_portal(tmp_path, backends=[backend]) as portal, aiohttp.ClientSession() as http:
        backend.failure = BackendUnavailable("nobody answers at the door")
        await portal.portal.models.refresh()

        assert await asked(http, f"{portal.url}/health") == (200, {"status": "degraded"})
        assert (await asked(http, f"{portal.url}/health/ready"))[0] == 200
        status, conditions = await by_kind(http, portal)
        assert (status, conditions["backend scripted"]["state"]) == ("degraded", "degraded")
        assert "nobody answers at the door" in conditions["backend scripted"]["detail"]
        assert conditions["backend scripted"]["remedy"]


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("member", 403), ("guest", 403)])
async def test_details_are_for_those_who_run_it(tmp_path: Path, role: Role, status: int) -> None:
    async with open_test_portal(tmp_path) as portal, aiohttp.ClientSession() as http:
        await portal.portal.storage.people.add(user(id="user_other", role=role))
        _, key = await portal.portal.credentials.create_key("user_other", "key")
        async with http.get(f"{portal.url}/portal/v1/health", headers={"Authorization": f"Bearer {key}"}) as answer:
            assert answer.status == status
        async with http.get(f"{portal.url}/portal/v1/health") as answer:
            assert answer.status == 401


async def test_while_it_drains_nothing_is_begun_and_what_runs_is_finished(tmp_path: Path) -> None:
    goes_on = asyncio.Event()
    backend = ScriptedBackend(models=["tiny"])
    backend.script(TextDelta("Half "), goes_on, TextDelta("done"))
    async with open_test_portal(tmp_path, backends=[backend]) as portal, aiohttp.ClientSession() as http:
        turn = {"model": "tiny", "input": "Go", "stream": True}
        async with http.post(f"{portal.url}/v1/responses", json=turn, headers=portal.headers) as running:
            while b"Half" not in await running.content.readline():
                pass
            portal.portal.drain()
            assert portal.portal.busy

            assert await asked(http, f"{portal.url}/health") == (200, {"status": "draining"})
            assert await asked(http, f"{portal.url}/health/live") == (200, {"status": "ok"})
            refused = {"status": "not ready", "reasons": ["draining"]}
            assert await asked(http, f"{portal.url}/health/ready") == (503, refused)
            for path in ("/v1/responses", "/v1/chat/completions", "/api/chat", "/v1/messages", "/mcp"):
                async with http.post(portal.url + path, json=turn, headers=portal.headers) as answer:
                    assert (answer.status, answer.headers["retry-after"]) == (503, "5"), path
                    assert answer.headers["connection"] == "close"
            assert (await asked(http, f"{portal.url}/v1/models", **portal.headers))[0] == 200
            goes_on.set()
            rest = await running.read()
        assert b"response.completed" in rest
        assert not portal.portal.busy


async def test_a_turn_that_has_not_begun_when_it_drains_is_waited_for(tmp_path: Path) -> None:
    """It was taken, so it is answered, though the database, locked by another program, cannot store its input yet."""

    async def answered() -> tuple[int, str]:
        async with http.post("/v1/responses", json={"model": "tiny", "input": "Go"}) as answer:
            return answer.status, (await answer.json())["status"]

    async with (
        open_test_portal(tmp_path, backends=[ScriptedBackend(models=["tiny"], default=echo)]) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as http,
        asyncio.TaskGroup() as group,
    ):
        await asked(http, "/v1/models")  # the use of the key is noted down
        with contextlib.closing(apsw.Connection(str(tmp_path / "portal.db"))) as other:
            other.execute("BEGIN IMMEDIATE")
            sent = group.create_task(answered())
            async with asyncio.timeout(5):
                while not portal.portal.busy:
                    await asyncio.sleep(0.01)
            portal.portal.drain()
            await asyncio.sleep(0.1)
            assert portal.portal.busy
        assert await sent == (200, "completed")
        assert not portal.portal.busy


# ------------------------------------------------------------------ the database and the disk


def looking(tmp_path: Path, room: int, writable: bool = True) -> Vitals:
    async def fine() -> None:
        return None

    folder = tmp_path if writable else tmp_path / "gone"
    return Vitals(ask=fine, folder=folder, changed=lambda: None, room=lambda folder: room)


@pytest.mark.parametrize(
    ("room", "writable", "state", "words"),
    [
        (LOW, True, "ok", "1.0 GB are free"),
        (LOW - 1, True, "note", "1.0 GB are free"),
        (TIGHT - 1, True, "degraded", "0.2 GB are free"),
        (0, False, "degraded", "everything can be read, but nothing new is kept"),
    ],
)
async def test_a_disk_that_fills_up(tmp_path: Path, room: int, writable: bool, state: str, words: str) -> None:
    vitals = looking(tmp_path, room, writable)
    await vitals.look()
    _, disk = vitals.check()
    assert disk.state == state
    assert words in disk.detail


async def test_a_database_that_is_away_and_comes_back(tmp_path: Path) -> None:
    there, told = [False], []

    async def ask() -> None:
        if not there[0]:
            raise BackendUnavailable("no connection")

    vitals = Vitals(ask=ask, folder=tmp_path, changed=lambda: told.append(1))
    await vitals.look()
    database, _ = vitals.check()
    assert (database.state, database.detail) == ("down", "no connection")
    there[0] = True
    await vitals.look()
    assert vitals.check()[0].state == "ok"  # type: ignore[index]
    assert told == [1, 1]


async def test_a_data_folder_that_vanished(tmp_path: Path) -> None:
    async def fine() -> None:
        return None

    vitals = Vitals(ask=fine, folder=tmp_path / "gone", changed=lambda: None)
    await vitals.look()
    _, disk = vitals.check()
    assert disk.state == "degraded"
    assert "cannot be looked at" in disk.detail


async def test_a_portal_without_its_database_is_not_ready(tmp_path: Path) -> None:
    async with open_test_portal(tmp_path) as portal, aiohttp.ClientSession() as http:
        await portal.portal.storage.database.within.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(30):
            while (await asked(http, f"{portal.url}/health/ready"))[0] == 200:
                await asyncio.sleep(0.1)

        assert await asked(http, f"{portal.url}/health/ready") == (
            503,
            {"status": "not ready", "reasons": ["database"]},
        )
        assert await asked(http, f"{portal.url}/health") == (503, {"status": "down"})
        assert (await asked(http, f"{portal.url}/health/live"))[0] == 200


@pytest.mark.slow
async def test_postgresql_that_goes_away_and_comes_back(tmp_path: Path, postgres: PostgresServer) -> None:
    url = postgres.database()
    name = url.partition("@/")[2].partition("?")[0]
    admin = await psycopg.AsyncConnection.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True)

    async def until(http: aiohttp.ClientSession, portal: TestPortal, status: int) -> None:
        async with asyncio.timeout(90):
            while (await asked(http, f"{portal.url}/health/ready"))[0] != status:
                await asyncio.sleep(0.2)

    async with (
        admin,
        open_test_portal(tmp_path, settings={"database": url}) as portal,
        aiohttp.ClientSession() as http,
    ):
        assert (await asked(http, f"{portal.url}/health/ready"))[0] == 200
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        await until(http, portal, 503)
        assert await asked(http, f"{portal.url}/health") == (503, {"status": "down"})
        assert (await asked(http, f"{portal.url}/health/live"))[0] == 200
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await until(http, portal, 200)
        assert (await asked(http, f"{portal.url}/portal/v1/me", **portal.headers))[0] == 200


async def test_engines_of_the_settings_that_are_away(tmp_path: Path) -> None:
    settings = {
        "media": {"engines": [{"kind": "comfyui", "name": "painter", "url": "http://127.0.0.1:1"}]},
        "speech": {"engines": [{"kind": "piper", "name": "voice", "program": str(tmp_path / "none")}]},
    }
    async with open_test_portal(tmp_path / "data", settings=settings) as portal, aiohttp.ClientSession() as http:
        async with asyncio.timeout(30):
            while "media_engine painter" not in (found := await by_kind(http, portal))[1]:
                await asyncio.sleep(0.05)
        status, conditions = found
        assert status == "degraded"
        assert conditions["media_engine painter"]["state"] == "degraded"
        assert "Start it at http://127.0.0.1:1" in conditions["media_engine painter"]["remedy"]
        assert conditions["speech_engine voice"]["state"] == "degraded"
