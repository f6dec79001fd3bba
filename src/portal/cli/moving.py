"""Move all that Portal keeps from SQLite to PostgreSQL, or back."""

import re
import shlex
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.options import called_as, data_dir_option, program, read_settings
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.settings import Settings
    from portal.storage.moving_ends import Place

SETTING = re.compile(r"^\s*database\s*=.*$", re.MULTILINE)
KEYS = ("seal.key", "seal.keyring")
KEPT_BESIDE = ("seal.key", "secrets.json", "portal.toml", "families.toml", "tools", "skills", "work", "models")
"""What is in a data folder beside the database, and stays there."""


@click.command("migrate-to")
@click.argument("place")
@click.option("--save", is_flag=True, help="Write the setting `database` into the data folder's portal.toml as well.")
@data_dir_option
def migrate_to(place: str, save: bool, data_dir: Path | None) -> None:
    """Move everything to PLACE: postgresql://..., or sqlite:PATH to move back. Portal must be stopped.

    The place must be empty; what is moved is only read, and stays as it is. A move that was
    interrupted goes on where it was when the same command is given again.
    """
    import asyncio

    from portal.storage.moving_ends import place_of

    settings = read_settings(data_dir)
    source, target = place_of(settings.database, settings.data_dir), place_of(place, settings.data_dir)
    click.echo(f"From {source} to {target}", err=True)
    moved = asyncio.run(_move(source, target, settings.data_dir))
    if target.path is not None:
        _say_unreadable(settings, asyncio.run(_sealed(target.path)))
    click.echo(f"Moved are {sum(moved.values()):,} rows of {len(moved)} tables; counts and samples were compared.")
    _beside(source, target, settings.data_dir)
    _say_setting(target, settings.data_dir, save=save)


def move_to(url: str, data_dir: Path) -> None:
    """Move the SQLite database of a data folder that a restore has just put there, and have the settings name the new
    place. Raises PortalError."""
    import asyncio

    from portal.storage.backups.data_files import DATABASE_NAME
    from portal.storage.moving_ends import place_of

    source = data_dir / DATABASE_NAME
    moved = asyncio.run(_move(place_of("", data_dir), place_of(url, data_dir), data_dir))
    save_setting(data_dir / "portal.toml", url)
    for ending in ("", "-wal", "-shm"):
        source.with_name(source.name + ending).unlink(missing_ok=True)
    click.echo(f"{sum(moved.values()):,} rows are in PostgreSQL, and {data_dir / 'portal.toml'} names it.", err=True)


async def _move(source: "Place", target: "Place", data_dir: Path) -> Mapping[str, int]:
    from contextlib import AsyncExitStack

    from portal.storage.moving import Move
    from portal.storage.moving_ends import open_ends

    async with AsyncExitStack() as stack:
        ends = await open_ends(source, target, data_dir, stack)
        move = Move(source=ends.source, target=ends.target, fingerprint=ends.fingerprint, told=_told)
        try:
            return await move.run()
        finally:
            if sys.stderr.isatty():
                click.echo("", err=True)


async def _sealed(path: Path) -> Mapping[str, str]:
    from portal.storage.sealed import StoredSealed
    from portal.storage.sqlite import SqliteDatabase

    database = SqliteDatabase(path=path)
    try:
        return await StoredSealed(database=database).all()
    finally:
        await database.aclose()


def _say_unreadable(settings: "Settings", sealed: Mapping[str, str]) -> None:
    """Keys of other servers that the key of this place does not open, or that no key is here for."""
    lost = sorted(name for name, one in sealed.items() if not _opens(settings, name, one))
    if lost:
        click.echo(
            f"Without the sealing key that the servers had, nobody can read: {', '.join(lost)}. Set it, as `seal_key` "
            "or PORTAL_SEAL_KEY, before Portal is started here.",
            err=True,
        )


def _opens(settings: "Settings", name: str, sealed: str) -> bool:
    from portal.app.sealing import seal_key
    from portal.extras import add_command
    from portal.security.cipher import Cipher

    if settings.seal_key is None and not any((settings.data_dir / one).exists() for one in KEYS):
        return False
    try:
        Cipher(seal_key(settings), install=f"`{add_command('postgres')}`").unseal(name, sealed)
    except ValueError:
        return False
    return True


def _told(table: str, rows: int) -> None:
    """On a terminal one line that changes."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{table}: {rows:,} rows", err=True, nl=False)


def _beside(source: "Place", target: "Place", data_dir: Path) -> None:
    """Say what else belongs to the data, where it does not lie beside it any more."""
    if target.path is not None and target.path.parent != data_dir:
        there = [name for name in KEPT_BESIDE if (data_dir / name).exists()]
        click.echo(f"Not in the database: copy {', '.join(there)} from {data_dir} to {target.path.parent}")
    elif source.path is not None:
        click.echo(
            f"{source.path} was only read and stays; delete it once all is well. The sealing key, secrets and settings "
            f"stay in {data_dir}: keep them with the new database."
        )


def _say_setting(target: "Place", data_dir: Path, *, save: bool) -> None:
    if target.path is not None and target.path.parent != data_dir:
        start = f"{program()} --data-dir {shlex.quote(str(target.path.parent))} up"
        click.echo(f"Start Portal on it, without the setting `database`: {start}")
        return
    file = data_dir / "portal.toml"
    if save:
        save_setting(file, target.url)
        click.echo(f"The setting `database` is in {file}.")
    elif target.url:
        click.echo(f'Now set it, in {file} (database = "{target}") or as PORTAL_DATABASE, and start: {called_as()} up')
    else:
        click.echo(f"Now take the setting `database` out of {file} and the environment, and start: {called_as()} up")


def save_setting(file: Path, url: str) -> None:
    """Set `database` in a settings file, or take it out with an empty address; all else stays as it is written.

    Raises:
        PortalError: the file cannot be read or written, or has something that only looks like the setting.
    """
    from portal.storage.data_folder import make_private_file

    line = f"database = {_quoted(url)}" if url else ""
    try:
        if not file.exists():
            make_private_file(file)
        old = file.read_text(encoding="utf-8")
        top, table, rest = _parted(old)
        kept = SETTING.sub("", top).strip("\n")
        new = "\n".join(part for part in (line, kept) if part) + "\n" + table + rest
        meant = {**tomllib.loads(old), "database": url}
        if not url:
            del meant["database"]
        if tomllib.loads(new) != meant:
            raise PortalError(f"{file} could not be changed safely; set it there yourself: {line or 'no database'}")
        draft = file.with_name(f"{file.name}.new")
        draft.unlink(missing_ok=True)
        make_private_file(draft)
        draft.write_text(new, encoding="utf-8")
        draft.replace(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PortalError(f"{file} cannot be changed: {error}") from error


def _parted(text: str) -> tuple[str, str, str]:
    """What stands before the first table, and that table and the rest."""
    found = re.search(r"^\s*\[", text, re.MULTILINE)
    return (text[: found.start()], text[found.start() :], "") if found else (text, "", "")


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)
