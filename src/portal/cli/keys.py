"""API keys and sign-in links: through the running server, else straight from the database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.credentials import open_door
from portal.cli.options import data_dir_option, read_settings
from portal.cli.server_file import running
from portal.errors import NotFound


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.argument("name")
@data_dir_option
def create(name: str, data_dir: Path | None) -> None:
    """Make an API key and print it, alone; it is shown only this once."""
    with open_door(read_settings(data_dir)) as credentials:
        click.echo(credentials.create_key(name))


@keys.command("list")
@data_dir_option
def list_keys(data_dir: Path | None) -> None:
    """Show names, the last four characters, and when each was last used."""
    with open_door(read_settings(data_dir)) as credentials:
        rows = credentials.list_keys()
    if not rows:
        click.echo("There are no keys yet.", err=True)
    for row in rows:
        click.echo(f"{row['name']}\t...{row['hint']}\t{_when(row)}")


def _when(row: dict[str, Any]) -> str:
    used = row.get("last_used_at")
    return f"used {datetime.fromtimestamp(used, UTC):%Y-%m-%d %H:%M} UTC" if used else "never used"


@keys.command()
@click.argument("name")
@data_dir_option
def revoke(name: str, data_dir: Path | None) -> None:
    """End the key of this name (or id) at once."""
    with open_door(read_settings(data_dir)) as credentials:
        ids = [row["id"] for row in credentials.list_keys() if name in (row["name"], row["id"])]
        if not ids:
            raise NotFound(f"There is no key named {name!r}.")
        credentials.revoke(ids[0])
    click.echo(f"The key {name} is revoked.", err=True)


@click.command()
@data_dir_option
def link(data_dir: Path | None) -> None:
    """Print a new one-time sign-in link for the page."""
    settings = read_settings(data_dir)
    with open_door(settings) as credentials:
        click.echo(credentials.create_link())
    if running(settings.data_dir) is None:
        click.echo(f"No Portal is running with the data folder {settings.data_dir} yet: start it first.", err=True)
