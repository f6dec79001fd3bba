"""Model servers: list them, name one, forget one."""

from pathlib import Path
from typing import TextIO

import click

from portal.cli.client import Client, segment
from portal.cli.counted import counted
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.core.items import JsonObject


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def backends() -> None:
    """List, add and remove model servers."""


@backends.command("list")
@data_dir_option
def list_backends(data_dir: Path | None) -> None:
    """Show every model server that was named or has answered, how it is, and how it became known."""
    silent = []
    for backend in _client(data_dir).get("/portal/v1/models")["backends"]:
        if backend["source"] == "found" and backend["status"] == "waiting" and not backend["models"]:
            silent.append(backend["url"])
            continue
        facts = (backend["name"], backend["kind"], backend["url"] or "-", backend["status"], backend["source"])
        click.echo("\t".join([*map(str, facts), backend["error"] or _limit(backend)]).rstrip())
    if silent:
        click.echo(f"Nothing has answered yet at {len(silent)} other usual places: {', '.join(silent)}", err=True)


def _limit(backend: JsonObject) -> str:
    """How far one is used whose calls are limited; empty for others."""
    if not backend["max_concurrency"]:
        return ""
    elsewhere = backend.get("running_elsewhere", 0)  # a server of 0.7 may still run
    used = f"{backend['running'] + elsewhere} of {backend['max_concurrency']} calls run"
    together = f", {elsewhere} of them on other servers" if backend.get("across_servers") else ""
    return f"{used}{together}; {backend['queued']} wait" if backend["queued"] else used + together


@backends.command()
@click.argument("kind")
@click.argument("url", default="")
@click.option("--name", help="A name of your choice; the kind by default.")
@click.option("--api-key-file", type=click.File(), help="A file with the key this server wants; - is standard input.")
@data_dir_option
def add(kind: str, url: str, name: str | None, api_key_file: TextIO | None, data_dir: Path | None) -> None:
    """Add a model server, such as: add ollama http://192.168.1.5:11434, or a service known by name: add openrouter"""
    body = {"kind": kind, "url": url, "name": name, "api_key": api_key_file.read().strip() if api_key_file else None}
    added = _client(data_dir).send("POST", "/portal/v1/backends", {key: value for key, value in body.items() if value})
    state = counted(added["models"], "model") if added["status"] == "up" else added["error"] or added["status"]
    click.echo(f"Added {added['name']}: {state}", err=True)


@backends.command()
@click.argument("name")
@data_dir_option
def remove(name: str, data_dir: Path | None) -> None:
    """Forget a model server that was added here or on the page."""
    _client(data_dir).send("DELETE", f"/portal/v1/backends/{segment(name)}")
    click.echo(f"Removed {name}.", err=True)
