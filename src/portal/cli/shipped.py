"""`portal mcp serve`: run a tool server that Portal ships, for any MCP client."""

import sys
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.options import data_dir_option, read_settings
from portal.errors import NotFound, PortalError

if TYPE_CHECKING:
    from portal.mcp.shipped import Shipped
    from portal.shipped.face import Face
    from portal.shipped.relay import Address


@click.command()
@click.argument("name", required=False)
@click.option(
    "--http", "port", type=click.IntRange(0, 65535), metavar="PORT", help="Serve on a port; 0 takes a free one."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others need a key then.")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder that its tools may work in; may be repeated. Paths begin in the first one.",
)
@click.option("--read-only", is_flag=True, help="Only tools that change nothing.")
@data_dir_option
def serve(
    name: str | None, port: int | None, host: str, folders: tuple[Path, ...], read_only: bool, data_dir: Path | None
) -> None:
    """Run a tool server that Portal ships, over the standard streams or, with --http, on a port.

    Without a NAME, list them. For Claude Desktop, VS Code and others the command is: portal mcp serve NAME
    """
    from portal.mcp.shipped import shipped

    if name is None:
        for one in shipped():
            click.echo(f"{one.name}\t{one.about}")
        return
    from portal.shipped.alone import Port, run

    settings = read_settings(data_dir)
    listening = None if port is None else Port(host=host, port=port)
    found = partial(_running, settings.data_dir)
    run(load(name), settings, folders=folders, read_only=read_only, port=listening, running=found)


def _running(data_dir: Path) -> "Address | None":
    from portal.cli.server_file import running
    from portal.shipped.relay import Address

    server = running(data_dir)
    return None if server is None else Address(url=server.url, token=server.token, certificate=server.certificate)


def load(name: str) -> "Face":
    """The face of a shipped server. Raises NotFound."""
    from portal.mcp.shipped import find, shipped

    known = find(name)
    if known is None:
        names = ", ".join(one.name for one in shipped())
        raise NotFound(f"Portal ships no tool server called {name!r}. There are: {names}.")
    return _face(known)


def _face(known: "Shipped") -> "Face":
    spec = spec_from_file_location(f"portal_server_{known.name}", known.face)
    if spec is None or spec.loader is None:
        raise PortalError(f"{known.face} cannot be loaded.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    face: Face = module.FACE
    return face


def alone(face: "Face") -> None:
    """Run a face whose file was started as a program, with the options of `serve`."""
    from portal.cli import portal

    portal.main(args=["mcp", "serve", face.name, *sys.argv[1:]], prog_name="portal")
