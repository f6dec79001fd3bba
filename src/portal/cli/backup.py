"""A consistent copy of what Portal keeps, also while it runs."""

import shutil
from pathlib import Path

import click

from portal.cli.options import data_dir_option, read_settings
from portal.errors import PortalError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@data_dir_option
def backup(folder: Path, data_dir: Path | None) -> None:
    """Write a copy of database, settings and keys to a new FOLDER, also while Portal runs."""
    settings = read_settings(data_dir)
    if settings.database:
        raise PortalError("The data is in PostgreSQL; make its backup with pg_dump")
    _copy(settings.data_dir, folder.absolute())
    click.echo(f"The copy is in {folder}. Models are not in it.", err=True)


def _copy(data_dir: Path, folder: Path) -> None:
    """Put it together beside its place and move it there at the end, so that half a copy never looks like one."""
    import asyncio

    from portal.storage.data_folder import make_private_folder
    from portal.storage.open import DATABASE_NAME

    if not (data_dir / DATABASE_NAME).exists():
        raise PortalError(f"There is no database in {data_dir}")
    if folder.exists():
        raise PortalError(f"{folder} exists already; name a new folder")
    draft = folder.with_name(f"{folder.name}.unfinished")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        make_private_folder(draft)
        asyncio.run(_copy_database(data_dir / DATABASE_NAME, draft / DATABASE_NAME))
        for name in ("portal.toml", "seal.key"):
            if (data_dir / name).exists():
                shutil.copy(data_dir / name, draft / name)
        draft.rename(folder)
    except OSError as error:
        raise PortalError(f"The copy could not be written: {error}") from error


async def _copy_database(source: Path, target: Path) -> None:
    from portal.storage.sqlite import SqliteDatabase

    database = SqliteDatabase(path=source)
    try:
        await database.copy_to(target)
    finally:
        await database.aclose()
