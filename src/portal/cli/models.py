"""Models: what is there, and models for the embedded engine."""

import time
from pathlib import Path
from typing import Any

import click

from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.progress import Progress
from portal.cli.running import backend_lines
from portal.cli.server_file import need_running
from portal.errors import PortalError

POLL_SECONDS = 0.3
MEGABYTE = 2**20


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def models() -> None:
    """List models, look for new ones, and fetch models for the embedded engine."""


@models.command("list")
@data_dir_option
def list_models(data_dir: Path | None) -> None:
    """Show the models that are there, and the model servers."""
    _show(_client(data_dir).get("/portal/v1/models"))


@models.command()
@data_dir_option
def refresh(data_dir: Path | None) -> None:
    """Ask every model server now what it has."""
    client = _client(data_dir)
    client.send("POST", "/portal/v1/models/refresh")
    _show(client.get("/portal/v1/models"))


def _show(seen: dict[str, Any]) -> None:
    for model in seen["data"]:
        click.echo("\t".join([model["id"], model["backend"], *_facts(model)]).rstrip())
    if seen.get("auto"):
        click.echo(f"auto\t-> {seen['auto']['model']}\t{seen['auto']['reason']}")
    for line in backend_lines(seen["backends"]):
        click.echo(line, err=True)


def _facts(model: dict[str, Any]) -> list[str]:
    """Size, window, abilities, and what is so now: each in a column of its own."""
    size = " ".join(str(model[name]) for name in ("parameters", "quantization") if model.get(name))
    window = f"context {model['context_window']}" if model.get("context_window") else ""
    seen = model.get("speed_seen")
    now = ["in memory"] if model.get("loaded") else []
    now += [f"{seen['tokens_per_second']:g} tokens/s seen"] if seen else []
    return [size, window, " ".join(model["capabilities"]), ", ".join(now)]


@models.command()
@click.argument("source")
@click.option("--sha256", help="The file's SHA-256 in hex; checked before it is used.")
@data_dir_option
def pull(source: str, sha256: str | None, data_dir: Path | None) -> None:
    """Fetch a GGUF model for the embedded engine: a URL, a path, or owner/repo/file.gguf.

    Ctrl+C stops it; the same command goes on where it stopped.
    """
    client = _client(data_dir)
    if Path(source).is_file():
        source = str(Path(source).absolute())  # the server may stand in another folder
    pulled = client.send("POST", "/portal/v1/pulls", {"source": source, **({"sha256": sha256} if sha256 else {})})
    try:
        with Progress("Fetching", unit="MB") as progress:
            while not _is_done(state := _pull(client, pulled["id"])):
                progress.show(state["done"] / MEGABYTE, (state["total"] or 0) / MEGABYTE)
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        client.send("DELETE", f"/portal/v1/pulls/{segment(pulled['id'])}")
        raise PortalError("Stopped. The same command goes on from here.") from None
    click.echo("The model is there.", err=True)


def _pull(client: Client, pull_id: str) -> dict[str, Any]:
    for state in client.get("/portal/v1/embedded")["pulls"]:
        if state["id"] == pull_id:
            return dict(state)
    raise PortalError("The server no longer knows of this pull; was it stopped from the page?")


def _is_done(state: dict[str, Any]) -> bool:
    if state["state"] in ("failed", "cancelled", "interrupted"):
        raise PortalError(str(state["error"] or f"The pull was {state['state']}; the same command goes on from here"))
    return bool(state["state"] == "done")


@models.command("install-engine")
@data_dir_option
def install_engine(data_dir: Path | None) -> None:
    """Build the embedded engine: says what it needs, then builds in the background, shown here."""
    client = _client(data_dir)
    needs = client.get("/portal/v1/embedded")
    if needs["installed"]:
        click.echo("The embedded engine is installed.")
        return
    wants = needs["needs"]
    click.echo(f"Building takes a C++ compiler, {wants['space_mb']} MB and about {wants['minutes']} minutes.", err=True)
    client.send("POST", "/portal/v1/embedded/install")
    with Progress("Building", unit="%") as progress:
        while (building := client.get("/portal/v1/embedded")["building"])["state"] == "running":
            progress.show(100 * building["progress"], 100)
            time.sleep(POLL_SECONDS)
    if building["state"] != "done":
        raise PortalError("\n".join([*building["log_tail"], "The engine could not be built"]))
    click.echo("The embedded engine is installed.", err=True)
