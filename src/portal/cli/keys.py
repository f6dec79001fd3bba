"""API keys and sign-in links: through the running server, else straight from the database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.bounds import bounds_in_words, bounds_options, budget_of
from portal.cli.credentials import open_door
from portal.cli.moments import ahead
from portal.cli.options import data_dir_option, data_folder
from portal.cli.server_file import running
from portal.errors import NotFound


@click.group()
def keys() -> None:
    """Make, list and revoke API keys."""


@keys.command()
@click.argument("name")
@bounds_options
@click.option("--expires", metavar="WHEN", help="When it ends: 12h, 30d or a date such as 2027-01-31 (UTC).")
@data_dir_option
def create(
    name: str, scopes: tuple[str, ...], expires: str | None, rate: int, budgets: tuple[str, ...], data_dir: Path | None
) -> None:
    """Make an API key and print it, alone; it is shown only this once."""
    wanted: dict[str, Any] = {"scopes": list(scopes), "rate": rate, **budget_of(budgets)}
    if expires:
        wanted["expires_at"] = ahead(expires)
    with open_door(data_dir) as credentials:
        click.echo(credentials.create_key(name, {each: value for each, value in wanted.items() if value}))


@keys.command("list")
@data_dir_option
def list_keys(data_dir: Path | None) -> None:
    """Show names, the last four characters, and when each was last used."""
    with open_door(data_dir) as credentials:
        rows = credentials.list_keys()
    if not rows:
        click.echo("There are no keys yet.", err=True)
    for row in rows:
        click.echo("\t".join([row["name"], f"...{row['hint']}", _when(row), *_bounds(row)]))


def _when(row: dict[str, Any]) -> str:
    used = row.get("last_used_at")
    return f"used {datetime.fromtimestamp(used, UTC):%Y-%m-%d %H:%M} UTC" if used else "never used"


def _bounds(row: dict[str, Any]) -> Iterator[str]:
    yield from bounds_in_words(row)
    if row["expires_at"]:
        yield f"until {datetime.fromtimestamp(row['expires_at'], UTC):%Y-%m-%d %H:%M} UTC"


@keys.command()
@click.argument("name")
@data_dir_option
def revoke(name: str, data_dir: Path | None) -> None:
    """End the key of this name (or id) at once."""
    with open_door(data_dir) as credentials:
        ids = [row["id"] for row in credentials.list_keys() if name in (row["name"], row["id"])]
        if not ids:
            raise NotFound(f"There is no key named {name!r}.")
        credentials.revoke(ids[0])
    click.echo(f"The key {name} is revoked.", err=True)


@click.command()
@data_dir_option
def link(data_dir: Path | None) -> None:
    """Print a new one-time sign-in link for the page."""
    with open_door(data_dir) as credentials:
        click.echo(credentials.create_link())
    folder = data_folder(data_dir)
    if running(folder) is None:
        click.echo(f"No Portal is running with the data folder {folder} yet: start it first.", err=True)
