"""`portal extra`: the optional parts of this installation, added and removed."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import running
from portal.errors import BadRequest, PortalError
from portal.extras import EXTRAS, NO_INSTALLER, installer, is_installed, launcher, requirements


@click.command()
@click.argument("names", nargs=-1)
@click.option("--remove", is_flag=True, help="Take them away again.")
@data_dir_option
def extra(names: tuple[str, ...], remove: bool, data_dir: Path | None) -> None:
    """List the extras, or add those that are NAMED: what not everybody needs, or what is large.

    \b
    portal extra                   all of them: what each gives, how large it is, whether it is there
    portal extra documents data    add two; later updates keep them
    portal extra --remove data     take one away
    """
    unknown = [name for name in names if name not in EXTRAS]
    if unknown:
        raise BadRequest(f"There is no extra {', '.join(unknown)}. There are: {', '.join(EXTRAS)}")
    if not names:
        _show()
        return
    _run(_removing(names) if remove else _adding(names))
    click.echo(f"{'Removed' if remove else 'Added'}: {', '.join(names)}")
    if running(data_folder(data_dir)):
        click.echo(f"Portal is running: {called_as()} down, then {called_as()} up", err=True)


def _show() -> None:
    for name, known in EXTRAS.items():
        state = "installed" if is_installed(name) else f"{known.megabytes} MB"
        click.echo(f"{name:11}{state:>9}  {known.gives}")
    click.echo(f"To add some: {called_as()} extra NAME ...", err=True)


def _adding(names: Sequence[str]) -> Sequence[str]:
    made_by = launcher()
    if made_by is not None:
        return _bootstrap(made_by, "add", names)
    how = installer()
    if how is None:
        raise PortalError(NO_INSTALLER)
    return (*how, *(package for name in names for package in requirements(name)))


def _removing(names: Sequence[str]) -> Sequence[str]:
    made_by = launcher()
    if made_by is not None:
        return _bootstrap(made_by, "remove", names)
    packages = " ".join(package for name in names for package in requirements(name))
    raise PortalError(f"This Portal was not installed by its launcher: use pip uninstall. It was: {packages}")


def _bootstrap(made_by: Path, what: str, names: Sequence[str]) -> Sequence[str]:
    return (sys.executable, "-E", "-s", str(made_by.parent / "scripts" / "bootstrap.py"), what, *names)


def _run(command: Sequence[str]) -> None:
    """Its output goes to standard error as it comes. Raises PortalError."""
    code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False).returncode  # noqa: S603
    if code:
        raise PortalError(f"That failed, with exit code {code}; why is said above.")
