"""Approvals from the terminal: what waits, yes and no."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from portal.cli.answer import Answer
from portal.cli.asking import decide, lines_of
from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import NotFound, PortalError

EXTENTS = ("once", "conversation", "arguments", "folder", "domain")


@click.group()
def approvals() -> None:
    """See what tools want to do, and allow or deny it."""


@approvals.command("list")
@click.option("--all", "everything", is_flag=True, help="Decided ones as well.")
@data_dir_option
def list_approvals(everything: bool, data_dir: Path | None) -> None:
    """Show what waits for you: id, state, tool, what it would do, and until when."""
    rows = _rows(_client(data_dir), everything=everything)
    if not rows:
        click.echo("Nothing waits for you.", err=True)
    for row in rows:
        until = datetime.fromtimestamp(row["expires_at"], UTC).astimezone()
        about = " ".join(lines_of(row["arguments"]))[:80]
        click.echo(f"{row['id']}\t{row['status']}\t{row['tool']}\t{about}\tuntil {until:%Y-%m-%d %H:%M}")


@approvals.command()
@click.argument("approval")
@click.option("--for", "extent", type=click.Choice(EXTENTS), default="once", show_default=True, help="How far it goes.")
@click.option("--arguments", help="Other arguments than those asked for, as JSON.")
@click.option("--answer", default="", help="The answer to a question; to a form of a tool server a JSON object.")
@data_dir_option
def approve(approval: str, extent: str, arguments: str | None, answer: str, data_dir: Path | None) -> None:
    """Allow a call, or answer a question. APPROVAL is its id or the end of it.

    Once nothing else of that turn waits, the model goes on, and its answer is printed.
    """
    verdict: dict[str, Any] = {"approve": True, "extent": extent, "answer": answer}
    if arguments is not None:
        verdict["arguments"] = _parsed(arguments)
    _decide(_client(data_dir), approval, verdict)


@approvals.command()
@click.argument("approval")
@click.option("--reason", default="", help="Why not; the model is told.")
@data_dir_option
def deny(approval: str, reason: str, data_dir: Path | None) -> None:
    """Say no to a call. APPROVAL is its id or the end of it."""
    _decide(_client(data_dir), approval, {"approve": False, "answer": reason})


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


def _rows(client: Client, *, everything: bool = False) -> list[dict[str, Any]]:
    query = {} if everything else {"status": "pending"}
    rows: list[dict[str, Any]] = client.get("/portal/v1/approvals", limit=200, **query)["data"]
    return rows


def _parsed(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError as error:
        raise PortalError(f"--arguments is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise PortalError('--arguments must be a JSON object, such as {"path": "a.txt"}')
    return read


def _decide(client: Client, wanted: str, verdict: dict[str, Any]) -> None:
    found = [row for row in _rows(client) if row["id"].endswith(wanted)]
    if len(found) != 1:
        raise NotFound(f"{len(found) or 'No'} waiting approvals are named {wanted!r}.")
    goes_on = decide(client, found[0]["id"], verdict)
    click.echo("Allowed." if verdict["approve"] else "Denied.", err=True)
    if goes_on is None and any(row["call_id"] for row in found):
        return
    if goes_on is None:
        click.echo("The model goes on once the other questions of its turn are answered.", err=True)
        return
    answer = Answer.going_on(client, goes_on)
    click.echo("".join(piece.text for piece in answer if piece.kind == "text"))
    if answer.waiting:
        click.echo(f"It asks again: {called_as()} approvals list", err=True)
