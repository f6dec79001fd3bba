"""Tool servers: add, list, test, remove, and take over those of other programs. Kept in mcp.json in the data folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from portal.cli.client import segment
from portal.cli.counted import counted
from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import need_running, running
from portal.cli.shipped import serve
from portal.errors import BadRequest, Conflict, NotFound

_ADDRESS = "/portal/v1/mcp"
_SLOW = 120.0


@click.group()
def mcp() -> None:
    """Connect servers of tools: any that speak MCP, and APIs with an OpenAPI document. Or serve Portal's own."""


mcp.add_command(serve)


@mcp.command("list")
@data_dir_option
def list_servers(data_dir: Path | None) -> None:
    """Show every tool server, how it is, and how many tools it has."""
    for one in need_running(data_folder(data_dir), called_as).client().get(f"{_ADDRESS}/servers")["data"]:
        _show(one)


def _show(one: dict[str, Any]) -> None:
    facts = (one["name"], one["status"], counted(len(one["tools"]), "tool"), one["source"], one.get("where", ""))
    click.echo("\t".join([*facts, one["detail"]]).rstrip())


@mcp.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--shipped", help="One that Portal ships, instead of a command; its NAME alone is enough.")
@click.option("--url", help="The address of a server, instead of a command.")
@click.option("--openapi", is_flag=True, help="The address is that of an openapi.json.")
@click.option("--sse", is_flag=True, help="The server speaks the old transport, server-sent events.")
@click.option("--oauth", is_flag=True, help="A person signs in at the server: see the manual.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header to send; may be repeated.")
@click.option("--env", "env", multiple=True, metavar="NAME=VALUE", help="A variable for the command; may be repeated.")
@click.option("--allow", multiple=True, help="A pattern of tools that may be used; may be repeated. All by default.")
@click.option("--trusted", is_flag=True, help="Believe what the server says of its tools, such as: only reads.")
@data_dir_option
def add(data_dir: Path | None, name: str, command: Sequence[str], **options: Any) -> None:
    """Add a tool server, such as: add time (which Portal ships), or: add notes --url https://example.org/mcp

    Put -- before a command with options of its own: add files -- npx -y @modelcontextprotocol/server-filesystem /srv
    """
    if not (command or options["url"] or options["shipped"]):
        options["shipped"] = _known(name)
    _take(data_dir, {name: _fields(command, options)})
    click.echo(f"Added {name}.", err=True)
    _apply(data_dir, name)


def _known(name: str) -> str:
    """The shipped server of this name. Raises BadRequest that says what else could be meant."""
    from portal.mcp.shipped import shipped

    names = [one.name for one in shipped() if one.startable]
    if name not in names:
        raise BadRequest(f"Say its command or --url; Portal itself ships {', '.join(names)}.")
    return name


def _fields(command: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "shipped": options["shipped"] or "",
        "command": command[0] if command else "",
        "args": list(command[1:]),
        "url": options["url"] or "",
        "kind": "openapi" if options["openapi"] else "",
        "type": "sse" if options["sse"] else "",
        "auth": "oauth" if options["oauth"] else "",
        "headers": _pairs(options["headers"], ":"),
        "env": _pairs(options["env"], "="),
        "allow": list(options["allow"]),
        "trusted": options["trusted"],
    }
    return {key: value for key, value in fields.items() if value}


def _pairs(given: Sequence[str], mark: str) -> dict[str, str]:
    pairs = {}
    for each in given:
        key, found, value = each.partition(mark)
        if not found:
            raise BadRequest(f"{each!r} has no {mark!r} between name and value.")
        pairs[key.strip()] = value.strip()
    return pairs


def _take(data_dir: Path | None, servers: dict[str, dict[str, Any]]) -> None:
    """Write them into the file. Raises PortalError for a wrong one or a name in use; then nothing is written."""
    from portal.mcp.server_list import read_common, read_file, write_file
    from portal.storage.data_folder import make_private_folder

    settings = read_settings(data_dir)
    kept = read_file(settings.data_dir)
    for name in servers:
        if name in kept or name in settings.mcp.servers:
            raise Conflict(f"There is a tool server called {name!r} already.")
    for entry in read_common(json.dumps({"mcpServers": servers})):
        if not entry.fields or entry.name not in servers:
            raise BadRequest("; ".join(entry.notes) or f"{entry.name!r} would be its name: use that.")
    make_private_folder(settings.data_dir)
    write_file(settings.data_dir, {**kept, **servers})


def _apply(data_dir: Path | None, name: str = "") -> None:
    """Let a running server know; and show how the new one is."""
    server = running(data_folder(data_dir))
    if server is None:
        return
    client = server.client(timeout=_SLOW)
    client.send("POST", f"{_ADDRESS}/reload")
    if name:
        one = client.get(f"{_ADDRESS}/servers/{segment(name)}")
        _show(one if one["auth"] == "oauth" else client.send("POST", f"{_ADDRESS}/servers/{segment(name)}/test"))


@mcp.command()
@click.argument("name")
@data_dir_option
def test(name: str, data_dir: Path | None) -> None:
    """Connect to a tool server now, and list its tools with what each may do."""
    client = need_running(data_folder(data_dir), called_as).client(timeout=_SLOW)
    one = client.send("POST", f"{_ADDRESS}/servers/{segment(name)}/test")
    _show(one)
    for tool in one["tools"]:
        click.echo(f"  {tool['name']}\t{tool['risk']}\t{' '.join(tool['description'].split())[:100]}")


@mcp.command()
@click.argument("name")
@data_dir_option
def remove(name: str, data_dir: Path | None) -> None:
    """Forget a tool server that was added here, on the page or over the API."""
    from portal.mcp.server_list import read_file, write_file

    settings = read_settings(data_dir)
    kept = read_file(settings.data_dir)
    if kept.pop(name, None) is not None:
        write_file(settings.data_dir, kept)
        _apply(data_dir)
    elif (server := running(settings.data_dir)) is not None:
        server.client().send("DELETE", f"{_ADDRESS}/servers/{segment(name)}")
    else:
        raise NotFound(f"There is no tool server called {name!r} in mcp.json, and no Portal is running.")
    click.echo(f"Removed {name}.", err=True)


@mcp.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Only say what would become of it.")
@data_dir_option
def import_servers(file: TextIO, dry_run: bool, data_dir: Path | None) -> None:
    """Take over the tool servers of Claude Desktop, Cursor, VS Code and others, from their JSON file."""
    from portal.mcp.server_list import read_common, read_file

    settings = read_settings(data_dir)
    taken_names = {*read_file(settings.data_dir), *settings.mcp.servers}
    taken = {}
    for entry in read_common(file.read()):
        notes = [*entry.notes]
        if entry.name in taken_names:
            notes.append("there is a server of that name already")
        elif entry.fields:
            taken[entry.name] = entry.fields
        click.echo(f"{entry.name}\t{'taken' if entry.name in taken else 'left out'}")
        for note in notes:
            click.echo(f"  {note}")
    if not taken:
        raise BadRequest("Nothing could be taken over")
    if not dry_run:
        _take(data_dir, taken)
        _apply(data_dir)
