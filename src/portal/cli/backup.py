"""Backups: made while Portal runs, listed and checked."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from portal.cli.agreeing import secret
from portal.cli.options import data_dir_option, read_settings
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.settings import Settings
    from portal.storage.backups.manifest import Manifest
    from portal.storage.backups.shelf import Shelved


@click.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
@click.option("--password-file", type=click.Path(path_type=Path, allow_dash=True), help="File with the password.")
@click.option("--password", "ask", is_flag=True, help="Ask for a password to seal the backup with.")
@click.option("--secrets/--no-secrets", default=None, help="API keys of other servers, too; so it is under a password.")
@click.option("--check/--no-check", default=True, help="Read it back when it is written; so it is by default.")
@click.option("--verify", is_flag=True, help="Make none: check the one that TARGET is.")
@click.option("--list", "listing", is_flag=True, help="Make none: list those in the folder that TARGET is.")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file.")
@data_dir_option
def backup(
    target: Path | None,
    password_file: Path | None,
    ask: bool,
    secrets: bool | None,
    check: bool,
    verify: bool,
    listing: bool,
    as_json: bool,
    config: Path | None,
    data_dir: Path | None,
) -> None:
    """Write a copy of everything that Portal keeps to TARGET, also while Portal runs, and check it.

    TARGET is a new folder, or one new file if its name ends in .portal-backup, which a password may
    seal. Without one the backup goes to the folder of the setting backup.folder.
    """
    settings = read_settings(data_dir, config=config)
    if listing:
        found = _listed(settings, target)
        return click.echo(json.dumps([_shelved(one) for one in found], indent=2)) if as_json else _tell(found)
    password = read_password(settings, password_file, ask=ask, again=not verify)
    if verify:
        if target is None:
            raise click.UsageError("Name the backup that is to be checked.")
        told = _verified(settings, target, password)
    else:
        told = _made(settings, target, password, secrets=bool(password) if secrets is None else secrets, check=check)
    said = told.pop("said")
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(said, err=True)


def read_password(settings: "Settings", file: Path | None, *, ask: bool, again: bool) -> str | None:
    """From the file (`-` is the standard input), the terminal, or the setting. Raises PortalError."""
    if file is not None:
        try:
            text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PortalError(f"The password in {file} cannot be read: {error}") from error
        if not (password := text.splitlines()[0] if text.strip() else ""):
            raise PortalError(f"There is no password in {file}")
        return password
    if ask:
        return secret("Password of the backup", twice=again, instead="say --password-file FILE, or - for a pipe.")
    return settings.backup.password.get_secret_value() if settings.backup.password else None


def _made(
    settings: "Settings", target: Path | None, password: str | None, *, secrets: bool, check: bool
) -> dict[str, Any]:
    from portal.core.clock import now
    from portal.storage.backups.making import Wanted, make_backup, verify_backup
    from portal.storage.backups.shelf import Outcome, note

    path = (target or _own_target(settings)).absolute()
    try:
        began = time.monotonic()
        key, elsewhere = _key(settings, sealed=bool(password))
        wanted = Wanted(target=path, password=password, secrets=secrets, key=key)
        manifest = make_backup(settings, wanted)
        made = time.monotonic()
        if check:
            verify_backup(path, password, settings.data_dir)
        checked = time.monotonic()
    except PortalError as error:
        if settings.data_dir.is_dir():
            note(settings.data_dir, Outcome(at=now().isoformat(), path=str(path), error=error.message))
        raise
    size = path.stat().st_size if path.is_file() else manifest.size
    note(settings.data_dir, Outcome(at=now().isoformat(), path=str(path), size=size, seconds=round(checked - began, 3)))
    return {
        **_contents(path, manifest),
        "seconds": round(made - began, 3),
        "check_seconds": round(checked - made, 3) if check else None,
        "left_out": elsewhere,
        "said": f"The backup is {path}{', read back and whole' if check else ''}. Models are not in it"
        + ("." if secrets else ", nor are API keys of other servers.")
        + "".join(f"\nNOT in it: {what}" for what in elsewhere),
    }


def _key(settings: "Settings", *, sealed: bool) -> tuple[bytes | None, list[str]]:
    """The sealing key where the data folder does not have it and the backup is under a password; and what belongs to
    this installation and will not be in the backup."""
    from portal.storage.backups.data_files import KEY_ELSEWHERE

    left = []
    if settings.files.store == "s3":
        left.append(
            f"the content of files in the bucket {settings.files.s3.bucket!r}; back that up with its own tools."
        )
    if settings.seal_key is None and not (settings.data_dir / KEY_ELSEWHERE).exists():
        return None, left
    from portal.app.sealing import seal_key

    why = "only a backup under a password has it"
    try:
        if sealed:
            return seal_key(settings), left
    except PortalError as error:
        why = error.message
    where = "keyring" if settings.seal_key is None else "setting seal_key"
    left.append(f"the sealing key of the {where}, without which nobody reads the API keys of other servers: {why}")
    return None, left


def _own_target(settings: "Settings") -> Path:
    from portal.storage.backups.shelf import new_name

    if settings.backup.folder is None:
        raise click.UsageError("Name a TARGET, or a folder for backups in the setting backup.folder.")
    return settings.backup.folder.expanduser() / new_name()


def _verified(settings: "Settings", target: Path, password: str | None) -> dict[str, Any]:
    from tempfile import gettempdir

    from portal.storage.backups.making import verify_backup

    scratch = settings.data_dir if settings.data_dir.is_dir() else Path(gettempdir())
    manifest = verify_backup(target, password, scratch)
    rows = sum(manifest.rows.values())
    return {
        **_contents(target, manifest),
        "said": f"{target} is whole: {len(manifest.files)} files, {rows:,} rows, made by Portal "
        f"{manifest.head.portal} at {manifest.head.created_at}.",
    }


def _contents(path: Path, manifest: "Manifest") -> dict[str, Any]:
    return {
        "path": str(path),
        **asdict(manifest.head),
        "size": manifest.size,
        "files": len(manifest.files),
        "rows": sum(manifest.rows.values()),
        "secrets": manifest.secrets,
    }


def _listed(settings: "Settings", folder: Path | None) -> "list[Shelved]":
    from portal.storage.backups.shelf import shelved

    place = folder or settings.backup.folder
    if place is None:
        raise click.UsageError("Name a folder with backups, or set backup.folder.")
    try:
        return shelved(place.expanduser())
    except OSError as error:
        raise PortalError(f"{place} cannot be read: {error.strerror}") from error


def _shelved(one: "Shelved") -> dict[str, Any]:
    head = asdict(one.head) if one.head else {}
    return {"path": str(one.path), "size": one.size, "sealed": one.sealed, "problem": one.problem, **head}


def _tell(found: "list[Shelved]") -> None:
    for one in found:
        if one.head is None:
            click.echo(f"{one.path}  {one.problem}")
            continue
        sealed = ", under a password" if one.sealed else ""
        size = f"  {one.size / 2**20:,.1f} MB" if one.size else ""
        click.echo(f"{one.path}  {one.head.created_at}  Portal {one.head.portal}{size}{sealed}")
