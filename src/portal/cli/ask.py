"""One question, one answer, for scripts and pipes."""

import json
import sys
from pathlib import Path

import click

from portal.cli.answer import Answer, Piece
from portal.cli.asking import decided, settle, shown
from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import PortalError


@click.command()
@click.argument("question", nargs=-1)
@click.option("-m", "--model", default="auto", show_default=True, help="The model that answers.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole response as JSON instead of its text.")
@data_dir_option
def ask(question: tuple[str, ...], model: str, as_json: bool, data_dir: Path | None) -> None:
    """Ask one question; text on standard input is added to it.

    Only the answer goes to standard output; what it cites and what memory had to do with it go to standard error. The
    exit code is not 0 when there is no whole answer, and 3 when a tool waits for your approval and there is no
    terminal to ask you on. Nothing of it is kept once it is answered, except memories that it was asked for.
    """
    text = "\n\n".join(part for part in (" ".join(question), _piped()) if part.strip())
    if not text:
        raise click.UsageError('There is no question. Try: ask "What is a monad?"')
    server = need_running(data_folder(data_dir), called_as)
    client = server.client()
    answers = [Answer(client, {"model": model, "input": text})]
    try:
        while _told(client, answers[-1], as_json=as_json).waiting:
            goes_on = decided(client, answers[-1]) if _has_person() else None
            if goes_on is None:
                raise Waiting(
                    f"The answer waits for your approval: {server.url}/approvals or {called_as()} approvals list"
                )
            answers.append(goes_on)
    finally:
        if not answers[-1].waiting:
            for read in reversed(answers):
                read.forget()
    for line in () if as_json else answers[-1].asides:
        click.secho(line, dim=True, err=True)
    if answers[-1].cut_short:
        raise PortalError(f"The answer is incomplete: {answers[-1].cut_short}")


class Waiting(click.ClickException):
    """Somebody has to say yes or no first."""

    exit_code = 3


def _has_person() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _told(client: Client, answer: Answer, *, as_json: bool) -> Answer:
    if as_json:
        for piece in answer:
            _heard(client, piece)
        click.echo(json.dumps(answer.resource, indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        _show(client, answer)
    else:
        _write(client, answer)
    return answer


def _piped() -> str:
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode("utf-8", "replace").strip()


def _heard(client: Client, piece: Piece) -> None:
    """A call that is under way may have a question."""
    if piece.kind == "asks" and _has_person():
        settle(client, piece.text)
    elif piece.kind == "asks":
        click.echo(f"A tool server asks you something: {called_as()} approvals list", err=True)


def _write(client: Client, answer: Answer) -> None:
    last = ""
    for piece in answer:
        _heard(client, piece)
        if piece.kind == "text":
            click.echo(last := piece.text, nl=False)
            sys.stdout.flush()
    if not last.endswith("\n"):
        click.echo()


def _show(client: Client, answer: Answer) -> None:
    from rich.console import Console

    from portal.cli.screen import MarkdownScreen

    with MarkdownScreen(Console()) as screen:
        shown(client, answer, screen)
