"""What is set, and which Portal this is."""

from pathlib import Path
from typing import Any

import click

from portal import __version__
from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import need_running
from portal.errors import PortalError


@click.group()
def config() -> None:
    """Show the settings, check them, and have a running Portal read them again."""


@config.command()
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file.")
@data_dir_option
def show(file: Path | None, data_dir: Path | None) -> None:
    """Print every setting with its value in force; * marks what is not the default. Secrets are masked."""
    from portal.settings import Settings

    settings = read_settings(data_dir, config=file)
    defaults = dict(_flat(Settings.model_construct().model_dump(mode="json")))
    for name, value in _flat(settings.model_dump(mode="json")):
        changed = "*" if defaults.get(name) != value else " "
        click.echo(f"{changed} {name} = {_masked(value)}")


@config.command()
@click.option("--config", "file", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file.")
@data_dir_option
def check(file: Path | None, data_dir: Path | None) -> None:
    """Say whether Portal would take the settings as they are; else what is wrong, and in which line."""
    from portal.app.live import looked_at
    from portal.security.guards import refuse

    settings, wrong = read_settings(data_dir, config=file), []
    for look in (looked_at, refuse):
        try:
            look(settings)
        except PortalError as error:
            wrong.append(error.message)
    if wrong:
        raise PortalError("; ".join(wrong))
    click.echo("The settings are fine.")


@config.command()
@data_dir_option
def reload(data_dir: Path | None) -> None:
    """Have the running Portal read the settings now, and say what is in force and what needs a restart."""
    told = need_running(data_folder(data_dir), called_as).client().send("POST", "/portal/v1/config/reload")
    if told["problem"]:
        raise PortalError(f"The settings are refused, the old ones stay in force: {told['problem']}")
    click.echo(f"In force now: {', '.join(told['applied']) or 'nothing that was not before'}")
    if told["restart"]:
        click.echo(f"Needs a restart ({called_as()} down, then {called_as()} up): {', '.join(told['restart'])}")


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, dict):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _masked(value: Any) -> str:
    """The value as TOML-like text; addresses lose their passwords (keys are masked by their type)."""
    import json
    import re

    return re.sub(r"//([^:/@\s\"]*):[^@\s\"]*@", r"//\1:**********@", json.dumps(value, ensure_ascii=False))


@click.command()
@data_dir_option
def version(data_dir: Path | None) -> None:
    """Print the version, which is that of every data folder."""
    click.echo(__version__)
