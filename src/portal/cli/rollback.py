"""Back to the version before an upgrade."""

import os
from pathlib import Path

import click

from portal.cli.agreeing import agreed
from portal.cli.options import data_dir_option, read_settings
from portal.errors import PortalError


@click.command()
@click.option(
    "--to",
    "schema",
    type=int,
    help="Schema of the copy to go back to; else the newest older one.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def rollback(schema: int | None, yes: bool, data_dir: Path | None) -> None:
    """Put the database back as it was before the last upgrade. Portal must be stopped.

    What was written since is put aside, not lost, but the older version does not have it. Then start
    the version that wrote that database: this one would upgrade it again.
    """
    from portal.storage.backups.data_files import DATABASE_NAME
    from portal.storage.data_folder import lock_data_folder
    from portal.storage.upgrade import put_back, schema_of, snapshots

    settings = read_settings(data_dir)
    if settings.database:
        raise PortalError("On PostgreSQL an upgrade keeps no copy: restore a backup that was made before it.")
    path = settings.data_dir / DATABASE_NAME
    there = snapshots(path)
    now = schema_of(path) if path.exists() else None
    found = next((one for one in there if (one[0] == schema if schema else now is None or one[0] < now)), None)
    if found is None:
        known = ", ".join(str(number) for number, _ in there) or "none"
        has = "" if now is None else f" The database has schema {now}."
        raise PortalError(
            f"There is no such copy of the database in {settings.data_dir}.{has} Copies with schema: {known}"
        )
    with lock_data_folder(settings.data_dir, f"a command (process {os.getpid()})"):
        question = f"Put back the database with schema {found[0]}? What was written since stays in a file beside it."
        agreed(question, yes=yes, otherwise="Nothing was put back")
        aside = put_back(path, found[1])
    click.echo(f"The database has schema {found[0]} again; how it was a moment ago is in {aside}.", err=True)
    click.echo("Now install and start the version before: this one would upgrade it again.", err=True)
