"""Bring the database to this version's schema."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.options import data_dir_option, read_settings

if TYPE_CHECKING:
    from portal.settings import Settings


@click.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Bring the database to this version's schema.

    A server does that at its start by itself. With several servers on one PostgreSQL it is one's job: set `migrate` to
    false for the servers, and run this once before those of a new version start. Doing it again changes nothing.
    """
    import asyncio

    from portal.storage.data_folder import lock_data_folder

    settings = read_settings(data_dir)
    if settings.database:
        version = asyncio.run(_migrated(settings))
    else:
        with lock_data_folder(settings.data_dir, f"a command (process {os.getpid()})"):
            version = asyncio.run(_migrated(settings))
    click.echo(f"The database is at schema {version}.")


async def _migrated(settings: "Settings") -> int:
    from portal.storage.migrate import SELECT_VERSIONS
    from portal.storage.open import open_storage

    async with open_storage(settings.model_copy(update={"migrate": True})) as storage:
        return int((await storage.database.fetch(SELECT_VERSIONS))[-1]["version"])
