"""Model servers added from the page: remembered, whatever happens at the same time or to the disk."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from portal.backends.kinds import create_backend, server_kinds
from portal.core.items import JsonObject
from portal.core.key_values import KeyValues
from portal.core.ports import Backend
from portal.errors import BadRequest, NotFound, StorageFull
from portal.routing.registry import Registry
from portal.routing.router import Router
from portal.routing.servers import ModelServers, Secrets
from portal.routing.workspaces import Workspaces
from portal.security.secret_file import SecretFile
from portal.settings import Settings
from portal.storage.open import open_storage

SETTINGS = Settings(discovery={"timeout": 0.2})  # type: ignore[arg-type]
NOWHERE = "http://127.0.0.1:9"


def create(*, kind: str, url: str, name: str, api_key: str | None) -> Backend:
    return create_backend(kind=kind, url=url, name=name, api_key=api_key, settings=SETTINGS)


class Memory:
    """Secrets that are kept nowhere."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self.kept.get(name)

    def set(self, name: str, secret: str | None) -> None:
        self.kept = {known: value for known, value in {**self.kept, name: secret}.items() if value is not None}


Make: TypeAlias = Callable[..., ModelServers]
Remembered: TypeAlias = Callable[[KeyValues], Awaitable[set[str]]]


@pytest.fixture
async def model_servers() -> AsyncIterator[Make]:
    async with AsyncExitStack() as stack:

        def make(key_values: KeyValues, secrets: Secrets | None = None) -> ModelServers:
            registry = Registry(settings=SETTINGS)
            stack.push_async_callback(registry.aclose)
            return ModelServers(
                registry=registry,
                router=Router(registry=registry, workspaces=Workspaces()),
                create=create,
                kinds=server_kinds,
                presets=list,
                key_values=key_values,
                secrets=secrets or Memory(),
            )

        yield make


class FullDisk:
    """Key values of a disk that is full while `full`."""

    def __init__(self, inner: KeyValues) -> None:
        self._inner = inner
        self.full = True

    async def get(self, key: str) -> JsonObject | None:
        return await self._inner.get(key)

    async def set(self, key: str, value: JsonObject | None) -> None:
        if self.full:
            raise StorageFull("The disk is full.")
        await self._inner.set(key, value)

    async def change(self, key: str, change: Callable[[JsonObject | None], JsonObject]) -> JsonObject:
        if self.full:
            raise StorageFull("The disk is full.")
        return await self._inner.change(key, change)


@pytest.fixture
async def key_values(tmp_path: Path) -> AsyncIterator[KeyValues]:
    async with open_storage(Settings(data_dir=tmp_path)) as storage:
        yield storage.key_values


@pytest.fixture
def remembered(model_servers: Make) -> Remembered:
    async def remembered(key_values: KeyValues) -> set[str]:
        """What a Portal that starts now knows."""
        servers = model_servers(key_values)
        await servers.restore()
        return {status["name"] for status in servers.status()}

    return remembered


async def add(servers: ModelServers, name: str, **more: Any) -> JsonObject:
    return await servers.add(**{"kind": "ollama", "url": NOWHERE, "name": name, "api_key": None, **more})


async def test_servers_added_at_the_same_time_are_all_remembered(
    key_values: KeyValues, model_servers: Make, remembered: Remembered
) -> None:
    servers = model_servers(key_values)
    async with asyncio.TaskGroup() as group:
        for name in ("one", "two", "three", ""):
            group.create_task(add(servers, name))
    assert await remembered(key_values) == {"one", "two", "three", "ollama"}
    async with asyncio.TaskGroup() as group:
        group.create_task(servers.remove("one"))
        group.create_task(servers.remove("two"))
        group.create_task(add(servers, "four"))
    assert await remembered(key_values) == {"three", "ollama", "four"}


class Removing:
    """A model server that is removed from Portal while it is asked for its models."""

    def __init__(self, servers: ModelServers, name: str) -> None:
        self._servers = servers
        self._name = name

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self._name in {status["name"] for status in self._servers.status()}:
            await self._servers.remove(self._name)
        writer.close()


async def test_a_server_removed_while_it_is_asked_for_the_first_time(
    key_values: KeyValues, model_servers: Make, remembered: Remembered
) -> None:
    servers = model_servers(key_values)
    async with await asyncio.start_server(Removing(servers, "mine"), "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        with pytest.raises(NotFound, match="removed"):
            await add(servers, "mine", url=f"http://{host}:{port}")
    assert await remembered(key_values) == set()


async def test_what_cannot_be_remembered_is_not_there(
    key_values: KeyValues, model_servers: Make, remembered: Remembered
) -> None:
    disk = FullDisk(key_values)
    servers = model_servers(disk)
    with pytest.raises(StorageFull):
        await add(servers, "mine")
    assert servers.status() == []
    disk.full = False
    await add(servers, "mine")
    disk.full = True
    with pytest.raises(StorageFull):
        await servers.remove("mine")
    assert {status["name"] for status in servers.status()} == await remembered(key_values) == {"mine"}


async def test_a_server_whose_kind_is_gone_makes_room_for_another_of_its_name(
    key_values: KeyValues, model_servers: Make, remembered: Remembered
) -> None:
    gone = {"kind": "a_plugin", "url": NOWHERE, "name": "mine"}
    await key_values.set("backends", {"servers": [gone]})
    servers = model_servers(key_values)
    await servers.restore()
    assert servers.status() == []
    await add(servers, "mine")
    assert await remembered(key_values) == {"mine"}
    await servers.remove("mine")
    stored = await key_values.get("backends")
    assert stored == {"servers": []}


@pytest.mark.parametrize("kind", ["scripted", "guide", "embedded", "nonsense", ""])
async def test_only_servers_can_be_added(
    key_values: KeyValues, kind: str, model_servers: Make, remembered: Remembered
) -> None:
    servers = model_servers(key_values)
    with pytest.raises(BadRequest, match="ollama, openai_compatible") as refused:
        await add(servers, "mine", kind=kind)
    assert refused.value.param == "kind"
    assert servers.status() == []
    assert await remembered(key_values) == set()


async def test_a_servers_key_is_kept_apart_from_the_database(
    key_values: KeyValues, tmp_path: Path, model_servers: Make
) -> None:
    secrets = SecretFile(tmp_path / "secrets.json")
    await model_servers(key_values, secrets).add(kind="ollama", url=NOWHERE, name="mine", api_key="sk-very-secret")

    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    elsewhere = [path for path in tmp_path.iterdir() if path.name != "secrets.json"]
    assert not any(b"sk-very-secret" in path.read_bytes() for path in elsewhere)
    again = model_servers(key_values, secrets)
    await again.restore()
    assert [status["name"] for status in again.status()] == ["mine"]
    assert secrets.get("backend:mine") == "sk-very-secret"
    await again.remove("mine")
    assert b"secret" not in (tmp_path / "secrets.json").read_bytes()
