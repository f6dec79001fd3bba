"""Questions to the person at the terminal: may a call run, or what is your answer; and the answer that goes on then."""

import json
from typing import Any

import click

from portal.cli.answer import Answer
from portal.cli.client import Client, segment

_KEYS = {"conversation": "c", "arguments": "a", "folder": "f", "domain": "d"}
_WORDS = {
    "conversation": "yes, in this [c]onversation",
    "arguments": "[a]lways for exactly this",
    "folder": "always in this [f]older ({scope})",
    "domain": "always on this [d]omain ({scope})",
}


def decided(client: Client, answer: Answer) -> Answer | None:
    """Ask the person all that an answer waits for; the answer that goes on, None while others have to decide too.

    Raises:
        click.Abort: the person left without deciding; what was decided before stays decided.
        PortalError: the server refused.
    """
    goes_on = None
    for item in answer.waiting:
        approval = client.get(f"/portal/v1/approvals/{segment(item['id'])}")
        if approval["status"] == "pending":
            goes_on = decide(client, item["id"], asked(approval)) or goes_on
    return Answer.going_on(client, goes_on) if goes_on else None


def decide(client: Client, approval_id: str, verdict: dict[str, Any]) -> str | None:
    """Tell the server; the id of the response that goes on."""
    told = client.send("POST", f"/portal/v1/approvals/{segment(approval_id)}", verdict)
    response_id: str | None = told["response_id"]
    return response_id


def asked(approval: dict[str, Any]) -> dict[str, Any]:
    """What the person says to one question. Raises click.Abort."""
    return _answered(approval["arguments"]) if approval["question"] else _permitted(approval)


def _answered(arguments: dict[str, Any]) -> dict[str, Any]:
    choices = [str(choice) for choice in arguments.get("choices") or ()]
    click.echo(f"? {arguments.get('question', '')}", err=True)
    for number, choice in enumerate(choices, start=1):
        click.echo(f"  {number}  {choice}", err=True)
    said = click.prompt("Answer (Enter: none)", default="", show_default=False, err=True).strip()
    if said.isdecimal() and 1 <= int(said) <= len(choices):
        said = choices[int(said) - 1]
    return {"approve": bool(said), "answer": said}


def _permitted(approval: dict[str, Any]) -> dict[str, Any]:
    arguments, edited = approval["arguments"], False
    while True:
        click.echo(f"? {approval['tool']} ({approval['risk']}): {approval['why']}", err=True)
        for line in lines_of(arguments):
            click.echo(f"    {line}", err=True)
        keys = {key: extent for extent, key in _KEYS.items() if extent in _offered(approval, edited=edited)}
        words = ", ".join(_WORDS[extent].format(scope=approval["scope"]) for extent in keys.values())
        click.echo(f"  [y]es{', ' + words if words else ''}, [e]dit, [n]o", err=True)
        key = click.prompt("Allow it", type=click.Choice(["y", *keys, "e", "n"]), show_choices=False, err=True)
        if key == "n":
            why = click.prompt("Why not (Enter: no reason)", default="", show_default=False, err=True)
            return {"approve": False, "answer": why.strip()}
        if key != "e":
            verdict = {"approve": True, "extent": keys.get(key, "once")}
            return {**verdict, "arguments": arguments} if edited else verdict
        arguments, edited = _edited(arguments), True


def _offered(approval: dict[str, Any], *, edited: bool) -> list[str]:
    """A folder or domain is that of the arguments that were asked for."""
    return [extent for extent in approval["extents"] if not (edited and extent in ("folder", "domain"))]


def _edited(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: _new_value(name, value) for name, value in arguments.items()}


def _new_value(name: str, value: Any) -> Any:
    """Text as it is typed, anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    while True:
        typed = click.prompt(f"  {name}", default=text, err=True)
        if isinstance(value, str):
            return typed
        try:
            return json.loads(typed)
        except ValueError:
            click.echo(f"  {name} is no JSON value, such as {text}", err=True)


def lines_of(arguments: dict[str, Any]) -> list[str]:
    """Arguments as lines to read."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in arguments.items()
    }
    return [line for name, text in texts.items() for line in f"{name}: {text}".splitlines()]
