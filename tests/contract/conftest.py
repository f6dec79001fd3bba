"""Every suite here runs over SQLite and over PostgreSQL, and over what several servers on one PostgreSQL have."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import fields, replace
from itertools import cycle
from pathlib import Path

import pytest

from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.postgres import PostgresServer, empty

OWN = {"usage", "spending", "consumption", "cleaning", "fence"}
"""Of each server by itself."""


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """One migrated database for all tests."""
    url = postgres.database()

    async def migrated() -> None:
        async with open_storage(Settings(database=url)):
            pass

    asyncio.run(migrated())
    return url


@pytest.fixture(params=["sqlite", "postgres", pytest.param("three", marks=[pytest.mark.slow, pytest.mark.long])])
def kind(request: pytest.FixtureRequest) -> str:
    """`three`: what three servers on one PostgreSQL have, one after the other for each call."""
    return str(request.param)


@pytest.fixture
def settings(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = ""
    if kind != "sqlite":
        url = request.getfixturevalue("postgres_url")
        empty(url)
    return Settings(data_dir=tmp_path / "data", database=url)


@pytest.fixture
async def storage(kind: str, settings: Settings) -> AsyncIterator[Storage]:
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(open_storage(settings)) for _ in range(3 if kind == "three" else 1)]
        yield in_turn(opened) if kind == "three" else opened[0]


def in_turn(several: Sequence[Storage]) -> Storage:
    """Each call goes to the next one; but what is written in batches is asked of the one that was told."""
    shared = [one.name for one in fields(Storage) if one.name not in OWN]
    return replace(several[0], **{name: _InTurn([getattr(one, name) for one in several]) for name in shared})


class _InTurn:
    def __init__(self, stores: Sequence[object]) -> None:
        self._next = cycle(stores)

    def __getattr__(self, name: str) -> object:
        return getattr(next(self._next), name)
