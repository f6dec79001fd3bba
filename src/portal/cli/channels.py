"""Channels from the terminal: how they are, linking an account, letting people in, and unlinking."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import segno

from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import need_running
from portal.errors import NotFound, SettingsError

ROOT = "/portal/v1/channels"
_NONE = "No channel is set up: the manual's page on channels tells how."


@click.group()
def channels() -> None:
    """Talk to Portal from chat platforms."""


@channels.command()
@data_dir_option
def status(data_dir: Path | None) -> None:
    """Show each channel, whether it hears, who is linked, and who asks to be let in."""
    client = _client(data_dir)
    rows = client.get(ROOT)["data"]
    if not rows:
        click.echo(_NONE, err=True)
    for row in rows:
        click.echo("\t".join(part for part in (row["name"], row["state"], row["detail"]) if part))
    for link in client.get(f"{ROOT}/links")["data"]:
        click.echo(f"{link['id']}\tlinked\t{link['channel']}\t{link['name'] or link['sender']}")
    for asked in client.get(f"{ROOT}/pairings")["data"]:
        click.echo(f"{asked['id']}\tasks\t{asked['channel']}\t{asked['name']} ({asked['sender']})")


@channels.command()
@click.option("--qr", is_flag=True, help="Draw the address as a QR code, where the channel has one.")
@data_dir_option
def link(qr: bool, data_dir: Path | None) -> None:
    """Make a code that links an account of yours: send `/link CODE` to Portal there."""
    client = _client(data_dir)
    if not client.get(ROOT)["data"]:
        raise NotFound(_NONE)
    made = client.send("POST", f"{ROOT}/codes")
    until = datetime.fromtimestamp(made["expires_at"], UTC).astimezone()
    click.echo(f"/link {made['code']}")
    for one in made["invitations"]:
        click.echo(f"{one['channel']}\t{one['url']}")
        if qr:
            segno.make(one["url"]).terminal(out=sys.stdout, compact=True)
    click.echo(f"Good until {until:%H:%M}, once.", err=True)


@channels.command()
@click.argument("request")
@click.option("--refuse", is_flag=True, help="Refuse instead; they are not asked about again.")
@data_dir_option
def pair(request: str, refuse: bool, data_dir: Path | None) -> None:
    """Let somebody in who asked, as yourself. REQUEST is its id in `status`, or the end of it."""
    client = _client(data_dir)
    asked = _one(client.get(f"{ROOT}/pairings")["data"], request, "request")
    done = client.send("POST", f"{ROOT}/pairings/{asked['id']}", {"approve": not refuse})
    click.echo(f"{done['status']}\t{done['channel']}\t{done['name']} ({done['sender']})")


@channels.command()
@click.argument("account")
@data_dir_option
def unlink(account: str, data_dir: Path | None) -> None:
    """Stop listening to an account. ACCOUNT is its id in `status`, or the end of it."""
    client = _client(data_dir)
    known = _one(client.get(f"{ROOT}/links")["data"], account, "linked account")
    client.send("DELETE", f"{ROOT}/links/{known['id']}")
    click.echo(f"unlinked\t{known['channel']}\t{known['name'] or known['sender']}")


@channels.command()
@click.argument("platform", type=click.Choice(["slack"]))
@click.option("--http", is_flag=True, help="For requests to `channels.public_url` instead of Socket Mode.")
@data_dir_option
def manifest(platform: str, http: bool, data_dir: Path | None) -> None:
    """Print the manifest of the app that belongs to Portal on PLATFORM: pasted there, it sets everything up."""
    from portal.interfaces.slack.manifest import manifest as slack_manifest

    base = read_settings(data_dir).channels.public_url.rstrip("/")
    if http and not base:
        raise SettingsError("Set channels.public_url to the address where Portal is reached from outside.")
    made = slack_manifest(f"{base}/channels/{platform}" if http else "")
    click.echo(json.dumps(made, indent=2))


def _one(rows: list[dict[str, Any]], wanted: str, what: str) -> dict[str, Any]:
    found = [row for row in rows if row["id"].endswith(wanted)]
    if len(found) != 1:
        raise NotFound(f"There is no {what} {wanted!r}." if not found else f"Several end in {wanted!r}: write more.")
    return found[0]


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()
