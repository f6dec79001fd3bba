"""Pictures, videos and music from the terminal: made, followed, listed, stopped."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import PortalError

_ADDRESS = "/portal/v1/media"
_SIZE = "WIDTHxHEIGHT"


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.command()
@click.argument("prompt")
@click.option("--out", type=click.Path(path_type=Path), help="File or folder to write to; this folder by default.")
@click.option("--size", metavar=_SIZE, help="Such as 1024x768; the workflow's own by default.")
@click.option("--count", type=click.IntRange(1, 10), default=1, show_default=True, help="How many.")
@click.option("--seed", type=int, help="The same seed with the same words makes the same picture.")
@click.option("--workflow", help="Its name, as `portal media workflows` lists it; the best that is ready by default.")
@click.option("--from", "source", type=click.Path(exists=True, path_type=Path), help="A picture to change.")
@data_dir_option
def image(
    prompt: str,
    out: Path | None,
    size: str | None,
    count: int,
    seed: int | None,
    workflow: str | None,
    source: Path | None,
    data_dir: Path | None,
) -> None:
    """Make a picture of PROMPT and write it to a file; its path goes to standard output."""
    client = _client(data_dir)
    values: dict[str, Any] = {"prompt": prompt, "count": count, **_sides(size)}
    if seed is not None:
        values["seed"] = seed
    pictures = {"image": client.upload(source, "vision")["id"]} if source else {}
    body = {"kind": "image", "workflow": workflow or "", "values": values, "pictures": pictures}
    files = [file for job in client.send("POST", f"{_ADDRESS}/jobs", body)["data"] for file in _files(client, job)]
    for file in files:
        click.echo(_written(client, file, out, several=len(files) > 1))


@click.group()
def media() -> None:
    """See what makes pictures, videos and music, and the jobs of it."""


@media.command()
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 200), help="How many.")
@data_dir_option
def jobs(limit: int, data_dir: Path | None) -> None:
    """Show jobs, newest first: when, kind, how far, workflow, what it was asked for, id."""
    for one in _client(data_dir).get(f"{_ADDRESS}/jobs", limit=limit)["data"]:
        when = datetime.fromtimestamp(one["created_at"], UTC).astimezone().isoformat(" ", "seconds")
        words = " ".join(one["prompt"].split())[:60]
        click.echo("\t".join([when, one["kind"], _state(one), one["workflow"], words, one["id"]]))


@media.command()
@click.argument("job")
@data_dir_option
def cancel(job: str, data_dir: Path | None) -> None:
    """Stop a job, by its id."""
    _client(data_dir).send("POST", f"{_ADDRESS}/jobs/{segment(job)}/cancel")
    click.echo("Stopped.", err=True)


@media.command()
@data_dir_option
def workflows(data_dir: Path | None) -> None:
    """Show what can be made: name, kind, ready or what it takes."""
    for one in _client(data_dir).get(f"{_ADDRESS}/workflows")["data"]:
        click.echo(f"{one['name']}\t{one['kind']}\t{'ready' if one['ready'] else one['needs']}")


def _sides(size: str | None) -> Mapping[str, int]:
    width, _, height = (size or "").lower().partition("x")
    if not size:
        return {}
    if not width.isdecimal() or not height.isdecimal():
        raise PortalError(f"The size is {_SIZE} in pixels, such as 1024x768.")
    return {"width": int(width), "height": int(height)}


def _files(client: Client, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Its files once it has ended; how far it is goes to standard error meanwhile. Raises PortalError."""
    last: Mapping[str, Any] = job
    for last in client.stream(f"{_ADDRESS}/jobs/{segment(job['id'])}/events", None):
        click.echo(f"\r{_state(last):<60}", err=True, nl=False)
    click.echo(err=True)
    if last["status"] != "done":
        raise PortalError(last["error"] or "The job was stopped.")
    files: list[dict[str, Any]] = last["files"]
    return files


def _state(one: Mapping[str, Any]) -> str:
    if one["status"] != "running":
        return str(one["error"] or one["status"])
    detail = f", {one['detail']}" if one["detail"] else ""
    return f"{round(one['progress'] * 100)} %{detail}"


def _written(client: Client, file: Mapping[str, Any], out: Path | None, *, several: bool) -> Path:
    path = out or Path()
    if several or path.is_dir():
        path = path / file["filename"]
    client.download(f"/v1/files/{segment(file['file_id'])}/content", path)
    return path
