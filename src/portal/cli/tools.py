"""Tools from the terminal: which there are, and what one takes."""

import json
from pathlib import Path
from typing import Any

import click

from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import NotFound


@click.group()
def tools() -> None:
    """See which tools models can use here."""


@tools.command("list")
@data_dir_option
def list_tools(data_dir: Path | None) -> None:
    """Show all tools: name, risk, where from, and what for."""
    for toolset in _toolsets(data_dir):
        for tool in toolset["tools"]:
            summary = tool["description"].split("\n")[0]
            click.echo(f"{tool['name']}\t{tool['risk']}\t{toolset['name']}\t{summary}")
        if toolset["status"] not in ("ready", "up"):
            click.echo(f"{toolset['name']}: {toolset['status']} {toolset['detail']}".rstrip(), err=True)


@tools.command()
@click.argument("name")
@data_dir_option
def show(name: str, data_dir: Path | None) -> None:
    """Show one tool with its parameters, as JSON."""
    for toolset in _toolsets(data_dir):
        for tool in toolset["tools"]:
            if tool["name"] == name:
                click.echo(json.dumps({**tool, "toolset": toolset["name"]}, indent=2, ensure_ascii=False))
                return
    raise NotFound(f"There is no tool {name!r}.")


def _toolsets(data_dir: Path | None) -> list[dict[str, Any]]:
    client = need_running(data_folder(data_dir), called_as).client()
    found: list[dict[str, Any]] = client.get("/portal/v1/tools")["toolsets"]
    return found
