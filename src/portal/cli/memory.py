"""Memory from the terminal: what is remembered about you, adding, correcting, forgetting, moving it elsewhere."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from portal.cli.agreeing import agreed
from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder
from portal.cli.server_file import need_running
from portal.errors import NotFound, PortalError

_ADDRESS = "/portal/v1/memories"
_KINDS = ("fact", "preference", "episode")
_STATES = ("active", "proposed", "superseded", "any")
_CONFIRMATION = "forget everything"
_PAGE = 200


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def memory() -> None:
    """See, change and forget what Portal remembers about you."""


@memory.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only memories of this kind.")
@click.option("--status", type=click.Choice(_STATES), default="active", show_default=True, help="Only these.")
@click.option("--scope", help="Only those of user, workspace:NAME or conversation:ID.")
@data_dir_option
def list_memories(kind: str | None, status: str, scope: str | None, data_dir: Path | None) -> None:
    """Show memories, newest first: id, day, kind, where it holds, text."""
    client = _client(data_dir)
    query = {"kind": kind, "status": status, "scope": scope}
    asked = {name: value for name, value in query.items() if value}
    page = client.get(_ADDRESS, limit=_PAGE, **asked)
    _show(page["data"])
    while page["next"]:
        page = client.get(_ADDRESS, limit=_PAGE, cursor=page["next"], **asked)
        _show(page["data"])
    if not client.get(f"{_ADDRESS}/settings")["enabled"]:
        click.echo(f"Memory is off: {called_as()} memory on", err=True)


@memory.command()
@click.argument("text", nargs=-1, required=True)
@data_dir_option
def search(text: tuple[str, ...], data_dir: Path | None) -> None:
    """Show the memories that fit TEXT best, by words and meaning."""
    _show(_client(data_dir).get(_ADDRESS, q=" ".join(text), limit=20)["data"])


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@data_dir_option
def show(memory_id: str, data_dir: Path | None) -> None:
    """Show a memory, where it comes from, and what it said before. MEMORY is its id or the end of it."""
    client = _client(data_dir)
    one = client.get(f"{_ADDRESS}/{_id(client, memory_id)}")
    _show([one])
    click.echo(f"  said in {one['source'] or 'no conversation'}; confidence {one['confidence']}")
    for earlier in one["history"]:
        click.echo(f"  until {_day(earlier['changed_at'])}: {_plain(earlier['text'])}")


@memory.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--kind", type=click.Choice(_KINDS), help="What it is; its words decide by default.")
@click.option("--scope", default="user", help="Where it holds: user, workspace:NAME or conversation:ID.")
@data_dir_option
def add(text: tuple[str, ...], kind: str | None, scope: str, data_dir: Path | None) -> None:
    """Remember TEXT. What it contradicts becomes its history."""
    kept = _client(data_dir).send("POST", _ADDRESS, {"text": " ".join(text), "kind": kind, "scope": scope})
    instead = f", in place of {len(kept['superseded'])}" if kept["superseded"] else ""
    click.echo(f"{'Remembered' if kept['new'] else 'Known already'}: {kept['id']}{instead}", err=True)


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@click.argument("text", nargs=-1)
@data_dir_option
def edit(memory_id: str, text: tuple[str, ...], data_dir: Path | None) -> None:
    """Change what a memory says, to TEXT or in your editor ($EDITOR). MEMORY is its id or the end of it."""
    client = _client(data_dir)
    address = f"{_ADDRESS}/{_id(client, memory_id)}"
    before = client.get(address)["text"]
    said = " ".join(text) or (click.edit(before) or "").strip()
    if not said or said == before:
        raise PortalError("Nothing was changed.")
    client.send("PATCH", address, {"text": said})
    click.echo("Changed.", err=True)


@memory.command()
@click.argument("memory_ids", metavar="[MEMORY]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Forget everything; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def forget(memory_ids: tuple[str, ...], everything: bool, yes: bool, data_dir: Path | None) -> None:
    """Delete memories for good, with their history. MEMORY is an id or the end of it."""
    client = _client(data_dir)
    if everything == bool(memory_ids):
        raise PortalError("Name the memories to forget, or say --all.")
    if everything:
        question = "Everything that Portal remembers about you will be deleted. Go on?"
        agreed(question, yes=yes, otherwise="Nothing was forgotten")
        gone = client.send("DELETE", f"{_ADDRESS}?confirm={segment(_CONFIRMATION)}")["deleted"]
    else:
        ids = [_id(client, one) for one in memory_ids]
        gone = len([client.send("DELETE", f"{_ADDRESS}/{one}") for one in ids])
    click.echo(f"Forgotten: {gone}", err=True)


@memory.command()
@click.argument("memory_ids", metavar="MEMORY MEMORY...", nargs=-1, required=True)
@click.option("--text", default="", help="What it says then; the texts one after the other by default.")
@data_dir_option
def merge(memory_ids: tuple[str, ...], text: str, data_dir: Path | None) -> None:
    """Make one memory of several, which become its history."""
    client = _client(data_dir)
    ids = [_id(client, one) for one in memory_ids]
    _show([client.send("POST", f"{_ADDRESS}/merge", {"ids": ids, "text": text})])


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@data_dir_option
def accept(memory_id: str, data_dir: Path | None) -> None:
    """Use a proposed memory from now on. See them with: list --status proposed."""
    client = _client(data_dir)
    _show([client.send("POST", f"{_ADDRESS}/{_id(client, memory_id)}/accept")])


@memory.command()
@click.argument("memory_id", metavar="MEMORY")
@data_dir_option
def reject(memory_id: str, data_dir: Path | None) -> None:
    """Drop a proposed memory."""
    client = _client(data_dir)
    client.send("POST", f"{_ADDRESS}/{_id(client, memory_id)}/reject")
    click.echo("Dropped.", err=True)


@memory.command("export")
@data_dir_option
def export_memories(data_dir: Path | None) -> None:
    """Print all memories with their history as JSON, as `import` takes it."""
    click.echo(json.dumps(_client(data_dir).get(f"{_ADDRESS}/export"), ensure_ascii=False, indent=2))


@memory.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Only say what is in it.")
@data_dir_option
def import_memories(file: TextIO, dry_run: bool, data_dir: Path | None) -> None:
    """Remember what FILE holds: an export of Portal's or Open WebUI's, or plain text, a memory a line."""
    body = {"content": file.read(), "dry_run": dry_run}
    entries = _client(data_dir).send("POST", f"{_ADDRESS}/import", body)["data"]
    for one in entries:
        click.echo(f"{'known' if one['new'] is False else 'new' if one['new'] else '-'}\t{_plain(one['text'])}")


@memory.command()
@click.option("--proposals", is_flag=True, help="Let a model propose memories, for you to accept, instead.")
@click.option("--conversations", is_flag=True, help="Look into past conversations, instead.")
@data_dir_option
def on(proposals: bool, conversations: bool, data_dir: Path | None) -> None:
    """Turn memory on."""
    _switch(data_dir, True, proposals=proposals, conversations=conversations)


@memory.command()
@click.option("--proposals", is_flag=True, help="Only the proposals.")
@click.option("--conversations", is_flag=True, help="Only looking into past conversations.")
@data_dir_option
def off(proposals: bool, conversations: bool, data_dir: Path | None) -> None:
    """Turn memory off: nothing is remembered, recalled or proposed. What there is stays until you forget it."""
    _switch(data_dir, False, proposals=proposals, conversations=conversations)


def _switch(data_dir: Path | None, to: bool, *, proposals: bool, conversations: bool) -> None:
    named = {"propose": proposals, "conversations": conversations}
    chosen = [name for name, wanted in named.items() if wanted] or ["enabled"]
    now = _client(data_dir).send("PATCH", f"{_ADDRESS}/settings", dict.fromkeys(chosen, to))
    if any(now[name] != to for name in chosen):
        raise PortalError("The settings of this installation do not allow that.")
    click.echo(", ".join(f"{name}: {'on' if now[name] else 'off'}" for name in ("enabled", *named)))


def _id(client: Client, wanted: str) -> str:
    """The memory whose id is, or ends with, this. Raises NotFound."""
    if wanted.startswith("mem_"):
        return segment(wanted)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"status": "any", "limit": _PAGE, **({"cursor": cursor} if cursor else {})}
        page = client.get(_ADDRESS, **query)
        found += [one["id"] for one in page["data"] if one["id"].endswith(wanted)]
        cursor = page["next"]
    if len(found) != 1:
        raise NotFound(f"{len(found) or 'No'} memories are named {wanted!r}.")
    return found[0]


def _show(memories: Iterable[Mapping[str, Any]]) -> None:
    for one in memories:
        day = _day(one["happened_at"] or one["created_at"])
        click.echo(f"{one['id']}\t{day}\t{one['kind']}\t{one['scope']}\t{_plain(one['text'])}")


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).astimezone().date().isoformat()


def _plain(text: str) -> str:
    """On one line, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
