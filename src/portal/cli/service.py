"""Portal as a service that starts by itself: install it, take it away, ask how it is."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.options import called_as, data_dir_option, data_folder, program, read_settings
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.cli.service_units import Manager, Service
    from portal.settings import Settings

_ENV_NAME = "service.env"
_ENV_TEXT = """\
# Settings of Portal as a service, one NAME=value a line, such as:
# PORTAL_SERVER__PORT=8081
"""


@click.group()
def service() -> None:
    """Have Portal start by itself, and again after a failure."""


@service.command()
@data_dir_option
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of NAME=value settings; service.env in the data folder by default.",
)
@click.option("--print", "dry", is_flag=True, help="Print the file that would be written, and do nothing.")
@click.option("--as-root", is_flag=True, help="Install it although you are root: Portal then has all of root's rights.")
def install(
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    config: Path | None,
    env_file: Path | None,
    dry: bool,
    as_root: bool,
) -> None:
    """Install Portal as a service of yours (systemd, launchd) and start it.

    Its settings are those of the data folder and of an environment file. What it says goes to
    the log that `portal logs` shows.
    """
    from portal.cli.service_units import manager_of

    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = read_settings(data_dir, config=config, server=server or None)
    folder = settings.data_dir
    more = [part for name, value in server.items() for part in (f"--{name}", str(value))]
    more += ["--config", str(config.absolute())] if config else []
    manager = manager_of(sys.platform)
    wanted = _service(settings, more, env_file.absolute() if env_file else folder / _ENV_NAME)
    if dry:
        click.echo(f"# {manager.path}", err=True)
        click.echo(manager.text(wanted), nl=False)
        return
    if os.geteuid() == 0 and not as_root:
        raise PortalError(
            "You are root: as your service Portal and its tools would have every right on this machine. Install it as "
            "the person it is for, or say --as-root."
        )
    _not_running(folder, manager)
    _install(manager, wanted)


def _service(settings: "Settings", more: list[str], env_file: Path) -> "Service":
    from portal.cli.server_file import LOG
    from portal.cli.service_units import Service

    folder = settings.data_dir
    isolation = "-I" if sys.flags.isolated else "-P"
    start = [sys.executable, isolation, "-m", "portal", "--called-as", str(_callable()), "up"]
    return Service(
        command=[*start, "--data-dir", str(folder), *more, "--unannounced"],
        data_dir=folder,
        env_file=env_file,
        log=folder / LOG,
        drain=settings.server.drain_seconds,
    )


def _callable() -> Path | str:
    """The name Portal was called by, as a path where it was one: a service starts elsewhere."""
    name = program()
    return Path(name).absolute() if "/" in name else name


def _not_running(folder: Path, manager: "Manager") -> None:
    from portal.cli.server_file import running

    server = running(folder)
    if server is not None and not manager.path.exists():
        raise PortalError(f"Portal is running already (process {server.pid}). Stop it first: {called_as()} down")


def _install(manager: "Manager", wanted: "Service") -> None:
    from portal.storage.data_folder import make_private_folder

    make_private_folder(wanted.data_dir)
    os.close(os.open(wanted.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    if not wanted.env_file.exists():
        with open(os.open(wanted.env_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(_ENV_TEXT)
    manager.path.parent.mkdir(parents=True, exist_ok=True)
    manager.path.write_text(manager.text(wanted), encoding="utf-8")
    click.echo(f"Wrote     {manager.path}")
    click.echo(f"Data      {wanted.data_dir}")
    click.echo(f"Settings  {wanted.env_file}, and portal.toml in the data folder")
    manager.start()
    click.echo(f"Started.  Log: {called_as()} logs   Sign-in link: {called_as()} link")
    click.echo(manager.hint())


@service.command()
@data_dir_option
def uninstall(data_dir: Path | None) -> None:
    """Stop the service and take it away; the data folder stays, whichever it is."""
    from portal.cli.service_units import manager_of

    manager = manager_of(sys.platform)
    if not manager.path.exists():
        click.echo(f"Portal is not installed as a service: there is no {manager.path}.")
        return
    try:
        manager.stop()
    except PortalError as error:  # it may never have been started: its file goes all the same
        click.echo(error.message, err=True)
    manager.path.unlink()
    click.echo(f"Removed   {manager.path}")
    click.echo("The data folder stays as it is.")


@service.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Say whether Portal is installed as a service, and whether it runs; the exit code is 1 where it does not."""
    from portal.cli.server_file import running
    from portal.cli.service_units import manager_of

    manager = manager_of(sys.platform)
    if not manager.path.exists():
        raise PortalError(f"Portal is not installed as a service. Install it with: {called_as()} service install")
    state = manager.state()
    server = running(data_folder(data_dir))
    click.echo(f"Installed {manager.path}")
    click.echo(f"State     {state}")
    click.echo(f"Answers   {f'at {server.url} (process {server.pid})' if server else 'not'}")
    if state != "active":
        raise PortalError(f"The service does not run; its log says why: {called_as()} logs")
