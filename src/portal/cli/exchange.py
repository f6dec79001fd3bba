"""Bring in what other programs keep, and take along all that is one's own."""

import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.progress import Progress
from portal.cli.server_file import need_running
from portal.errors import PortalError

_ADDRESS = "/portal/v1/imports"
_SOURCES = ("chatgpt", "claude", "openwebui", "librechat", "portal")
_EVERY = 0.3
_MOST_SHOWN = 20


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.command("import")
@click.argument("path", metavar="FILE|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--from", "source", type=click.Choice(_SOURCES), help="Whose export it is; found out by default.")
@click.option("--dry-run", is_flag=True, help="Only say what is in it.")
@data_dir_option
def import_(path: Path, source: str | None, dry_run: bool, data_dir: Path | None) -> None:
    """Bring in conversations from ChatGPT, Claude, Open WebUI, LibreChat or another Portal.

    FILE is their export as it came, FOLDER one that was unpacked. What is here already is not brought in twice.
    """
    client = _client(data_dir)
    query = {"filename": path.name, "start": "true", **({"from": source} if source else {})}
    if dry_run:
        query["dry_run"] = "true"
    with _one_file(path) as file:
        click.echo("Sending the file ...", err=True)
        record = client.send_file("POST", f"{_ADDRESS}?{urlencode(query)}", file)
    record = _through(client, record)
    if record["status"] == "failed":
        raise PortalError(record["problem"])
    _tell(record)
    if not record["report"]["whole"]:
        raise PortalError("The counts do not add up: please report this.")


@click.command("export")
@click.argument("to", metavar="FOLDER|FILE.zip", type=click.Path(path_type=Path))
@click.option(
    "--no-addresses", "discreet", is_flag=True, help="Leave e-mail addresses out as well, to show it to others."
)
@data_dir_option
def export(to: Path, discreet: bool, data_dir: Path | None) -> None:
    """Write all that is yours to a new FOLDER or FILE.zip: as JSON Lines, Markdown, and your files.

    Keys, tokens and passwords are left out of it. `import` reads it again, also on another Portal.
    """
    client = _client(data_dir)
    if to.exists():
        raise PortalError(f"{to} exists already; name another")
    draft = to.with_name(f"{to.name}.unfinished")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        client.download(f"/portal/v1/export?addresses={str(not discreet).lower()}", draft)
        if to.suffix == ".zip":
            draft.replace(to)
        else:
            _unpacked(draft, to)
    except OSError as error:
        raise PortalError(f"{to} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    click.echo(f"Everything of yours is in {to}.", err=True)


def _unpacked(archive: Path, folder: Path) -> None:
    """Each file below the folder, whatever its name says."""
    try:
        with zipfile.ZipFile(archive) as packed:
            folder.mkdir(mode=0o700)
            packed.extractall(folder)
    except zipfile.BadZipFile as error:
        raise PortalError(f"The export broke off: {error}. Try again.") from error


@contextmanager
def _one_file(path: Path) -> Iterator[Path]:
    """The file itself, or a zip of what a folder holds, not made any smaller."""
    if path.is_file():
        yield path
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="portal-import-")))
        packed = folder / "export.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for one in sorted(path.rglob("*")):
                if one.is_file() and not one.is_symlink():
                    name = one.relative_to(path).as_posix()
                    with one.open("rb") as source, archive.open(name, "w", force_zip64=True) as to:
                        shutil.copyfileobj(source, to)
        yield packed


def _through(client: Client, record: dict[str, Any]) -> dict[str, Any]:
    """Wait until it is at its end, and say how far it is."""
    with Progress("Bringing in", unit="%") as progress:
        while record["status"] in ("reading", "importing"):
            progress.show(round(record["progress"] * 100), 100)
            time.sleep(_EVERY)
            record = client.get(f"{_ADDRESS}/{segment(record['id'])}")
        if record["status"] == "done":
            progress.show(100, 100)
    return record


def _tell(record: dict[str, Any]) -> None:
    report = record["report"]
    dry = record["dry_run"]
    click.echo(f"From {record['source']}: {record['filename']}")
    for kind in report["found"]:
        left = sum(one["count"] for one in report["reasons"] if one["kind"] == kind)
        new, known = report["stored"].get(kind, 0), report["known"].get(kind, 0)
        line = f"{kind}\t{report['found'][kind]} found\t{new} {'to bring in' if dry else 'brought in'}"
        line += f"\t{known} here already" if known else ""
        click.echo(line + (f"\t{left} left out" if left else ""))
    for one in report["reasons"]:
        click.echo(f"left out: {one['count']} {one['kind']}: {one['reason']}")
    for one in report["skipped"][:_MOST_SHOWN]:
        click.echo(f"  {one['kind']}: {_plain(one['name'] or '(no title)')}: {one['reason']}")
    if len(report["skipped"]) > _MOST_SHOWN:
        click.echo(f"  and {len(report['skipped']) - _MOST_SHOWN} more")
    sys.stdout.flush()


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
