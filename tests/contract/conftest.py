"""Every suite here runs over SQLite and over PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.settings import Settings
from portal.storage.open import Storage, open_storage
from portal.testing.postgres import PostgresServer, empty


@pytest.fixture(scope="session")
def postgres_url(postgres: PostgresServer) -> str:
    """One migrated database for all tests."""
    url = postgres.database()

    async def migrated() -> None:
        async with open_storage(Settings(database=url)):
            pass

    asyncio.run(migrated())
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    url = ""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
        empty(url)
    return Settings(data_dir=tmp_path / "data", database=url)


@pytest.fixture
async def storage(settings: Settings) -> AsyncIterator[Storage]:
    async with open_storage(settings) as opened:
        yield opened
