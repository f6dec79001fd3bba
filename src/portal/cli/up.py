"""Start Portal, in this terminal or in the background."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal.cli.options import called_as, data_dir_option, read_settings

if TYPE_CHECKING:
    from portal.settings import Settings


def _backend(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    pairs = [value.partition("=") for value in values]
    if not all(kind and url for kind, _, url in pairs):
        raise click.BadParameter("must be KIND=URL, such as ollama=http://127.0.0.1:11434")
    return tuple({"kind": kind, "url": url} for kind, _, url in pairs)


@click.command()
@data_dir_option
@click.option("--host", help="Address to listen on; 127.0.0.1 by default: this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 8081 by default, 0 takes any free one.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file.")
@click.option(
    "--backend",
    "backends",
    metavar="KIND=URL",
    multiple=True,
    callback=_backend,
    help="A model server, such as ollama=http://127.0.0.1:11434; may be repeated.",
)
@click.option("--detach", is_flag=True, help="Start in the background and return when Portal is healthy.")
@click.option("--unannounced", is_flag=True, hidden=True, help="Print nothing: the one who started this does.")
def up(
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    config: Path | None,
    backends: tuple[dict[str, str], ...],
    detach: bool,
    unannounced: bool,
) -> None:
    """Start Portal; print the sign-in link, the API address and the models found."""
    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}

    def read() -> "Settings":
        return read_settings(data_dir, config=config, server=server or None, backends=backends or None)

    settings = read()
    if detach:
        from portal.cli.detach import start_detached
        from portal.cli.server_file import log_path

        again = ["--data-dir", str(settings.data_dir)]
        again += [part for name, value in server.items() for part in (f"--{name}", str(value))]
        again += ["--config", str(config.absolute())] if config else []
        again += [part for backend in backends for part in ("--backend", f"{backend['kind']}={backend['url']}")]
        start_detached(settings.data_dir, log_path(settings), again, called_as())
        return
    from portal.cli.serve import serve_forever

    serve_forever(settings, called_as(), announced=not unannounced, reread=read)
