"""Opening the storage that the settings name."""

import sys
from pathlib import Path

import pytest

from portal.errors import SettingsError, StorageError
from portal.extras import add_command
from portal.settings import Settings
from portal.storage.open import open_storage
from portal.testing.records import OWNER, conversation


async def opened(settings: Settings) -> None:
    async with open_storage(settings):
        pass


async def test_data_stays_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    talk = conversation()
    async with open_storage(settings) as storage:
        await storage.conversations.create(talk)
    assert [file.name for file in tmp_path.iterdir()] == ["portal.db"]
    async with open_storage(settings) as storage:
        assert await storage.conversations.get(OWNER, talk.id) == talk


async def test_a_command_may_open_it_beside_the_server(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with open_storage(settings) as server, open_storage(settings) as command:
        talk = conversation()
        await command.conversations.create(talk)
        assert await server.conversations.get(OWNER, talk.id) == talk


async def test_an_unusable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        await opened(Settings(data_dir=tmp_path / "file" / "data"))


async def test_a_malformed_postgres_address_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="database"):
        await opened(Settings(data_dir=tmp_path, database="postgresql://host/portal?nonsense=1"))


async def test_another_kind_of_database_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="mysql"):
        await opened(Settings(data_dir=tmp_path, database="mysql://localhost/portal"))


async def test_postgres_without_its_extra_says_what_to_install(tmp_path: Path) -> None:
    """In a fresh interpreter that cannot import psycopg."""
    import subprocess

    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "import asyncio, portal.settings, portal.storage.open as o, portal.errors as e\n"
        "async def main():\n"
        "    async with o.open_storage(portal.settings.Settings(database='postgresql://x')): pass\n"
        "try:\n    asyncio.run(main())\nexcept e.SettingsError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert add_command("postgres") in done.stdout


def test_importing_the_storage_imports_no_postgres() -> None:
    import subprocess

    script = "import sys, portal.storage.open; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
