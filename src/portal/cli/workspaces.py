"""Workspaces: see what each means now, change them in an editor, try them, take over those of other programs."""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from portal.cli.agreeing import has_person
from portal.cli.client import Client, segment
from portal.cli.options import called_as, data_dir_option, data_folder, read_settings
from portal.cli.server_file import need_running
from portal.errors import PortalError

_ADDRESS = "/portal/v1/workspaces"
_FIELDS = (
    *("title", "description", "task", "persona", "instructions", "prefer", "strategy", "parameters"),
    *("tools", "knowledge", "collections", "memory", "users"),
    *("max_output_tokens", "max_rounds", "max_seconds", "max_tokens"),
)
_TOLD_EMPTY = frozenset({"tools", "users"})
"""An empty list says something: no tools at all, and everyone."""
_SLOW = 600.0
"""Seconds that a model may take to be loaded and answer a test."""


def _client(data_dir: Path | None) -> Client:
    return need_running(data_folder(data_dir), called_as).client()


@click.group()
def workspaces() -> None:
    """See, change and try workspaces: models with instructions and wishes of their own."""


@workspaces.command("list")
@click.option("--personas", is_flag=True, help="List the personas that a workspace can take on instead.")
@data_dir_option
def list_workspaces(personas: bool, data_dir: Path | None) -> None:
    """Show every workspace, which model answers there now, and where it comes from."""
    client = _client(data_dir)
    if personas:
        for one in client.get("/portal/v1/personas")["data"]:
            click.echo(f"{one['name']}\t{one['description']}")
        return
    for one in client.get(_ADDRESS)["data"]:
        click.echo("\t".join([one["name"], f"-> {one['now']['model'] or '-'}", one["source"], one["description"]]))


@workspaces.command()
@click.argument("name")
@data_dir_option
def show(name: str, data_dir: Path | None) -> None:
    """Print a workspace as TOML, as `edit --file` takes it."""
    one = _client(data_dir).get(f"{_ADDRESS}/{segment(name)}")
    click.echo(_head(one) + to_toml(one), nl=False)


def _head(one: Mapping[str, Any]) -> str:
    lines = [f"{one['name']} ({one['source']})", f"now: {one['now']['model'] or 'nothing'}, {one['now']['reason']}"]
    return "".join(f"# {line}\n" for line in [*lines, *([one["advice"]] if one["advice"] else [])])


@workspaces.command()
@click.argument("name")
@click.option("--file", "file", type=click.File(encoding="utf-8"), help="Take this TOML; - is standard input.")
@data_dir_option
def edit(name: str, file: TextIO | None, data_dir: Path | None) -> None:
    """Change a workspace in your editor ($EDITOR), or make one. One of Portal's own is overridden by yours."""
    client = _client(data_dir)
    if file is not None:
        _report(_put(client, name, file.read()))
        return
    before = text = _present(client, name)
    while True:
        edited = click.edit(text, extension=".toml")
        if edited is None or edited == before:
            raise PortalError("Nothing was changed.")
        try:
            _report(_put(client, name, edited))
        except PortalError as error:
            click.echo(f"Error: {error.message}", err=True)
            if error.status >= 500 or not has_person() or not click.confirm("Edit again?", default=True, err=True):
                raise PortalError("Nothing was changed.") from error
            text = edited
        else:
            return


def _present(client: Client, name: str) -> str:
    """The workspace as it is, or the frame of a new one."""
    try:
        one = client.get(f"{_ADDRESS}/{segment(name)}")
    except PortalError as error:
        if error.status != 404:
            raise
        return f"# {name} is new\n" + to_toml(dict.fromkeys(_FIELDS))
    return _head(one) + to_toml(one)


def _put(client: Client, name: str, text: str) -> dict[str, Any]:
    try:
        fields = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        wrong = PortalError(f"This is no TOML: {error}")
        wrong.status = 400
        raise wrong from error
    try:
        return client.send("PUT", f"{_ADDRESS}/{segment(name)}", fields)
    except PortalError as error:
        if error.param and error.param not in error.message:
            error.message = f"{error.param}: {error.message}"
        raise


def _report(one: Mapping[str, Any]) -> None:
    click.echo(f"Saved {one['name']}; now: {one['now']['model'] or one['now']['reason']}", err=True)


def to_toml(one: Mapping[str, Any]) -> str:
    """The fields as TOML; what has no value is shown as a comment."""
    lines = []
    for name in _FIELDS:
        value = one.get(name)
        if value in (None, "", {}) or (value == [] and name not in _TOLD_EMPTY):
            lines.append(f"# {name} = ")
        elif name == "instructions" and _reads_well(str(value)):
            lines.append(f"{name} = '''\n{value}'''")
        else:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _reads_well(text: str) -> bool:
    """Whether TOML's literal form, lines as they are, can hold it."""
    inside = "'''" in text or text.endswith("'") or not text.replace("\n", "").replace("\t", "").isprintable()
    return "\n" in text and not inside


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@workspaces.command()
@click.argument("name")
@data_dir_option
def delete(name: str, data_dir: Path | None) -> None:
    """Delete your workspace; where it overrode one of Portal's or the settings', that one is back."""
    gone = _client(data_dir).send("DELETE", f"{_ADDRESS}/{segment(name)}")
    click.echo(f"Reset {name}: it is as it was." if gone["now"] else f"Deleted {name}.", err=True)


@workspaces.command()
@click.argument("name", default="auto")
@click.option("--prompt", default="", help="Ask this instead of the workspace's own test.")
@click.option("--persona", default="", help="Take on this persona, and ask its test.")
@click.option("--all-personas", is_flag=True, help="Test every persona in this workspace, one after the other.")
@data_dir_option
def test(name: str, prompt: str, persona: str, all_personas: bool, data_dir: Path | None) -> None:
    """Ask a workspace its test prompt; print the answer, and whether it is as it should be.

    The exit code is 1 when an answer is not.
    """
    settings = read_settings(data_dir)
    client = need_running(settings.data_dir, called_as).client(timeout=_SLOW)
    known = [one["name"] for one in client.get("/portal/v1/personas")["data"]] if all_personas else [persona]
    failed = [each for each in known if not _passes(client, name, prompt, each, brief=all_personas)]
    if failed:
        raise PortalError(f"{len(failed)} of {len(known)} failed" if all_personas else "The test failed")


def _passes(client: Client, name: str, prompt: str, persona: str, *, brief: bool) -> bool:
    """Whether an answer is as it should be; an unchecked one is."""
    made = client.send("POST", f"{_ADDRESS}/{segment(name)}/test", {"prompt": prompt, "persona": persona})
    problems = made["problems"] or []
    if not brief:
        click.echo(f"> {made['prompt']}", err=True)
        click.echo(made["answer"])
        click.echo(f"{made['decision']['reason']} -> {made['decision']['resolved_model']}, {made['ms']} ms", err=True)
    if made["problems"] is not None:
        said = "; ".join(problems) or "as it should be"
        click.echo(f"{'FAILED' if problems else 'ok'}\t{persona or name}\t{said}", err=not brief)
    sys.stdout.flush()
    return not problems


@workspaces.command("import")
@click.argument("file", type=click.File(encoding="utf-8"))
@click.option("--dry-run", is_flag=True, help="Only say what would become of it.")
@data_dir_option
def import_workspaces(file: TextIO, dry_run: bool, data_dir: Path | None) -> None:
    """Take over models or prompts of Open WebUI, or agents, presets or a librechat.yaml of LibreChat."""
    body = {"content": file.read(), "dry_run": dry_run}
    entries = _client(data_dir).send("POST", "/portal/v1/personas/import", body)["data"]
    for one in entries:
        click.echo(f"{one['name'] or '-'}\t{one['entry']}")
        for note in one["notes"]:
            click.echo(f"  {note}")
    if not any(one["taken"] for one in entries):
        raise PortalError("Nothing could be taken over")
