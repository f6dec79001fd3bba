"""What `auto` would do with a request, and what the classifier says of many."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from portal.cli.client import Client
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.core.ask import text_of
from portal.errors import PortalError

_SLOW = 600.0
"""Seconds: a model that judges requests may be asked about each turn."""


@click.command()
@click.argument("text", required=False)
@click.option("--model", default="auto", show_default=True, help="The workspace or model that would be asked.")
@click.option("--jsonl", is_flag=True, help="Read {id, text, history?} lines and write {id, label, hardness, needs}.")
@click.option("--replay", type=click.IntRange(1, 200), help="Judge the last N turns again by the present rules.")
@data_dir_option
def route(text: str | None, model: str, jsonl: bool, replay: int | None, data_dir: Path | None) -> None:
    """Show which model would answer TEXT, and why, without asking it."""
    if jsonl:
        for line in _labelled(sys.stdin.buffer):
            click.echo(line)
        return
    server = need_running(data_folder(data_dir), called_as)
    if replay:
        _replay(server.client(timeout=_SLOW), replay)
    elif text:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        told = server.client().send("POST", "/portal/v1/route", body)
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        raise click.UsageError("Give a TEXT, --jsonl or --replay N.")


def _labelled(lines: Iterable[bytes]) -> Iterator[str]:
    """Works without a server: the classifier needs none."""
    from portal.routing.classifier import packaged_classifier

    classifier = packaged_classifier()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, number)
        judged = classifier.judge(row["text"], row["history"])
        said = {"id": row.get("id"), "label": judged.task, "hardness": round(judged.difficulty, 4)}
        yield json.dumps({**said, "needs": sorted(judged.needs)})


def _row(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise PortalError(f"Line {number} is not JSON: {error}") from error
    history = _history(row.get("history")) if isinstance(row, dict) else None
    if history is None or not isinstance(row.get("text"), str):
        raise PortalError(f"Line {number} is no object with a text, and as its history texts or messages")
    return {**row, "history": history}


def _history(earlier: Any) -> tuple[str, ...] | None:
    """What the user said before: texts, or messages of any role; None where it is neither."""
    said: list[str] = []
    for one in earlier if isinstance(earlier, list) else [earlier] if earlier else ():
        if isinstance(one, str):
            said.append(one)
        elif not _is_message(one):
            return None
        elif one["role"] == "user":
            said.append(text_of(one))
    return tuple(said)


def _is_message(one: Any) -> bool:
    """Whether this is a message of Chat Completions, as far as its text goes."""
    if not isinstance(one, dict) or not isinstance(one.get("role"), str):
        return False
    content = one.get("content") or ""
    return isinstance(content, str) or (isinstance(content, list) and all(isinstance(part, dict) for part in content))


def _replay(client: Client, count: int) -> None:
    marks = {-1: "-", 0: " ", 1: "+"}
    rows = client.get("/portal/v1/route/replay", limit=count)["data"]
    for row in rows:
        then, now = (row["then"] or {}).get("resolved_model") or "-", (row["now"] or {}).get("resolved_model") or "-"
        change = f"{then} -> {now}" if row.get("changed") else then
        click.echo(f"{marks[row['feedback']]} {change}\t{' '.join(row['text'].split())[:80]}")
    changed = [row for row in rows if row.get("changed")]
    liked = sum(row["feedback"] > 0 for row in changed)
    disliked = sum(row["feedback"] < 0 for row in changed)
    click.echo(
        f"{len(changed)} of {len(rows)} would go elsewhere now; of those answers {liked} were liked, "
        f"{disliked} disliked.",
        err=True,
    )
