"""The `portal` command. One file is one family of commands; each is imported when its name is used."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from portal import __version__
from portal.cli.options import called_as, data_dir_option
from portal.errors import DataFolderBusy, PortalError, is_full

COMMANDS = {
    "up": "up:up",
    "down": "running:down",
    "status": "running:status",
    "logs": "logs:logs",
    "log": "logs:log",
    "usage": "usage:usage",
    "service": "service:service",
    "doctor": "doctor:doctor",
    "link": "keys:link",
    "chat": "chat:chat",
    "ask": "ask:ask",
    "keys": "keys:keys",
    "users": "users:users",
    "audit": "audit:audit",
    "reset-secrets": "reset:reset_secrets",
    "models": "models:models",
    "backends": "backends:backends",
    "workspaces": "workspaces:workspaces",
    "tools": "tools:tools",
    "knowledge": "knowledge:knowledge",
    "skills": "skills:skills",
    "memory": "memory:memory",
    "schedule": "schedule:schedule",
    "image": "media:image",
    "media": "media:media",
    "approvals": "approvals:approvals",
    "channels": "channels:channels",
    "mcp": "mcp:mcp",
    "route": "route:route",
    "import": "exchange:import_",
    "export": "exchange:export",
    "backup": "backup:backup",
    "migrate-to": "moving:migrate_to",
    "restore": "restore:restore",
    "rollback": "rollback:rollback",
    "migrate": "schema:migrate",
    "extra": "extras:extra",
    "config": "config:config",
    "version": "config:version",
}
"""Name -> file:object; the order is that of `portal --help`."""
ALSO = {"settings": "config"}
"""Other names that people try for a command."""
FULL = "The disk is full: make room on that of the data folder, or of temporary files. What was stored is as it was."


class Family(click.Group):
    """The group of all commands, which it finds by name; turns Portal's errors into a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its name, or by another one that it has."""
        cmd_name = ALSO.get(cmd_name, cmd_name)
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"portal.cli.{module}"), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run; a PortalError, or a full disk, ends the program with its message and exit code 1."""
        try:
            return super().invoke(ctx)
        except PortalError as error:
            way = f" A server ends with: {called_as()} down" if isinstance(error, DataFolderBusy) else ""
            raise click.ClickException(error.message + way) from error
        except (OSError, ExceptionGroup) as error:
            if not is_full(error):
                raise
            raise click.ClickException(FULL) from error


@click.group(cls=Family, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="Portal", message="%(prog)s %(version)s")
@data_dir_option
def portal(data_dir: Path | None) -> None:
    """Portal: the private AI platform for the models you run yourself.

    Start with `up`; then chat on the page, in the terminal, or with any client of OpenAI's API.
    """


def main() -> None:
    """Run the command line. The launcher says first under which name it was called, so that hints can repeat it."""
    arguments, name = sys.argv[1:], "portal"
    if arguments[:1] == ["--called-as"]:
        name, arguments = arguments[1], arguments[2:]
    portal.main(args=arguments, prog_name=name)
