"""What is set, and which Portal this is."""

from pathlib import Path
from typing import Any

import click

from portal import __version__
from portal.cli.options import data_dir_option, read_settings


@click.group()
def config() -> None:
    """Show the settings."""


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
def version() -> None:
    """Print the version."""
    click.echo(__version__)
