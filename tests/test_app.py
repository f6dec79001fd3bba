import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from portal.app import open_portal
from portal.backends.scripted import ScriptedBackend, echo
from portal.errors import BadRequest, Conflict, DatabaseUnreadable, SettingsError
from portal.settings import Settings
from portal.testing.openai_server import OpenAIServer
from portal.testing.portal import open_test_portal


def settings(data_dir: Path, **more: Any) -> Settings:
    data_dir.mkdir(mode=0o700, exist_ok=True)
    return Settings(**{"data_dir": data_dir, "discovery": {"enabled": False}, **more})


async def until(condition: Callable[[], bool], changes: asyncio.Queue[Any]) -> None:
    while not condition():
        await changes.get()


async def test_servers_of_the_settings_and_of_the_page_are_there_after_a_restart(tmp_path: Path) -> None:
    async with OpenAIServer(models=["mine"]) as one, OpenAIServer(models=["added"]) as other:
        named = [{"kind": "openai_compatible", "url": one.url, "api_key": "k"}]
        chosen = settings(tmp_path / "data", backends=named)
        async with open_portal(chosen) as portal:
            await portal.servers.add(kind="openai_compatible", url=other.url, name="second", api_key=None)
            await portal.models.refresh()
            assert {"mine", "added", "portal-guide"} <= {info.id for info in portal.models.list()}
            sources = {status.name: status.source for status in portal.models.status()}
            assert sources["openai_compatible"] == "settings"
            assert sources["second"] == "page"
        async with open_portal(chosen) as portal:
            await portal.models.refresh()
            assert "added" in {info.id for info in portal.models.list()}
            with pytest.raises(BadRequest):
                await portal.servers.add(kind="nonsense", url=other.url, name="", api_key=None)
            with pytest.raises(Conflict):
                await portal.servers.add(kind="ollama", url=other.url, name="second", api_key=None)
            await portal.servers.remove("second")
        async with open_portal(chosen) as portal:
            assert "second" not in {status.name for status in portal.models.status()}


async def test_a_remembered_server_that_the_settings_name_now_stays_remembered(tmp_path: Path) -> None:
    async with OpenAIServer(models=["mine"]) as server:
        async with open_portal(settings(tmp_path / "data")) as portal:
            await portal.servers.add(kind="openai_compatible", url=server.url, name="taken", api_key=None)
        named = [{"kind": "openai_compatible", "url": server.url, "name": "taken"}]
        async with open_portal(settings(tmp_path / "data", backends=named)) as portal:
            (status,) = [status for status in portal.models.status() if status.name == "taken"]
            assert status.source == "settings"
        async with open_portal(settings(tmp_path / "data")) as portal:
            (status,) = [status for status in portal.models.status() if status.name == "taken"]
            assert status.source == "page"


async def test_models_are_asked_for_in_the_background(tmp_path: Path) -> None:
    async with OpenAIServer(models=["mine"]) as server:
        named = [{"kind": "openai_compatible", "url": server.url}]
        async with open_portal(settings(tmp_path / "data", backends=named)) as portal:
            with portal.bus.subscribe("anyone") as changes:
                await until(lambda: "mine" in {info.id for info in portal.models.list()}, changes)
            auto = portal.servers.auto()
            assert auto is not None
            assert auto["model"] == "mine"


async def test_discovery_looks_where_model_servers_usually_are(tmp_path: Path) -> None:
    chosen = Settings(data_dir=tmp_path, discovery={"enabled": True, "timeout": 0.2})  # type: ignore[arg-type]
    async with open_portal(chosen) as portal:
        found = {status.name for status in portal.models.status() if status.source == "found"}
        assert {"ollama", "lmstudio", "llamacpp", "vllm"} <= found


async def test_a_found_server_that_is_added_gives_way_but_not_to_a_name_in_use(tmp_path: Path) -> None:
    chosen = Settings(data_dir=tmp_path, discovery={"enabled": True, "timeout": 0.2})  # type: ignore[arg-type]
    async with open_portal(chosen) as portal:
        place = "http://127.0.0.1:8000"

        def sources() -> dict[str, str]:
            return {status.name: status.source for status in portal.models.status()}

        with pytest.raises(Conflict):
            await portal.servers.add(kind="openai_compatible", url=place, name="ollama", api_key=None)
        assert sources()["vllm"] == "found"
        await portal.servers.add(kind="openai_compatible", url=place, name="mine", api_key=None)
        assert "vllm" not in sources()
        assert sources()["mine"] == "page"


@pytest.mark.parametrize("backend", [{"kind": "nonsense", "url": "http://x"}, {"kind": "ollama", "url": "ftp://x"}])
async def test_a_wrong_server_in_the_settings_is_named(tmp_path: Path, backend: dict[str, str]) -> None:
    with pytest.raises(SettingsError):
        async with open_portal(settings(tmp_path / "data", backends=[backend])):
            raise AssertionError("unreachable")


async def test_a_database_that_is_none_is_left_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    chosen = settings(data)
    (data / "portal.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(DatabaseUnreadable):
        async with open_portal(chosen):
            raise AssertionError("unreachable")
    assert (data / "portal.db").read_bytes() == b"not a database at all" * 100


async def test_an_error_in_the_block_comes_out_and_everything_is_closed(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])

    async def fail() -> None:
        async with open_portal(settings(tmp_path / "data"), backends=[backend]):
            raise KeyError("mine")

    with pytest.raises((KeyError, ExceptionGroup)) as raised:
        await fail()
    assert backend.closed
    assert "mine" in repr(raised.value)


async def test_stopping_ends_streams_and_answers(tmp_path: Path) -> None:
    backend = ScriptedBackend(models=["tiny"])
    async with open_test_portal(tmp_path / "data", backends=[backend]) as running:
        backend.script(asyncio.Event())
        async with aiohttp.ClientSession(running.url, headers=running.headers) as client:
            changes = await client.get("/portal/v1/events")
            assert await changes.content.readline() == b": connected\n"
            body = {"model": "tiny", "input": "hi", "stream": True}
            answer = await client.post("/v1/responses", json=body)
            await backend.wait_running(1)
            running.portal.stop()
            assert b"response.incomplete" in await answer.read()
            await changes.read()
            late = await client.get("/portal/v1/events")
            assert await late.read() == b": connected\n\n"


async def test_two_portals_on_one_database_after_each_other_keep_everything(tmp_path: Path) -> None:
    body = {"model": "tiny", "input": "remember me"}
    kept = {}
    for number in range(2):
        backend = ScriptedBackend(models=["tiny"], default=echo)
        async with (
            open_test_portal(tmp_path / "data", backends=[backend]) as running,
            aiohttp.ClientSession(running.url, headers=running.headers) as client,
        ):
            if number == 0:
                async with client.post("/v1/responses", json=body) as answer:
                    kept = await answer.json()
            async with client.get(f"/v1/responses/{kept['id']}") as answer:
                assert await answer.json() == kept


async def test_every_tool_of_an_installation_has_a_name_of_its_own(tmp_path: Path) -> None:
    """Of two with one name only the first could be called."""
    async with (
        open_test_portal(tmp_path, backends=[ScriptedBackend(default=echo)], toolsets=None) as portal,
        aiohttp.ClientSession(portal.url, headers=portal.headers) as client,
    ):
        await client.post("/v1/responses", json={"model": "auto", "input": "Hello"})  # which waits for them
        told = await (await client.get("/portal/v1/tools")).json()

    names = [one["name"] for toolset in told["toolsets"] for one in toolset["tools"]]
    assert {"read_file", "read_document", "search_knowledge", "recall_memories"} <= {*names}
    assert sorted(names) == sorted({*names})
