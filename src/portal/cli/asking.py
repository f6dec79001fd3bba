"""Questions to the person at the terminal: may a call run, or what is your answer; and the answer that goes on then."""

import json
from typing import TYPE_CHECKING, Any

import click

from portal.cli.answer import Answer
from portal.cli.client import Client, segment
from portal.errors import PortalError

if TYPE_CHECKING:
    from portal.cli.screen import MarkdownScreen

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


def shown(client: Client, answer: Answer, screen: "MarkdownScreen") -> None:
    """Show an answer as it comes, and ask the person what a call of it waits for. Raises click.Abort, PortalError."""
    for piece in answer:
        if piece.kind == "text":
            screen.write(piece.text)
        elif piece.kind == "tool":
            screen.line(piece.text)
        elif piece.kind == "asks":
            with screen.paused():
                settle(client, piece.text)
        elif piece.text:
            screen.note("thinking" if piece.kind == "reasoning" else piece.text)


def settle(client: Client, approval_id: str) -> None:
    """Ask the person what a call that is under way waits for, unless it was answered elsewhere or gave up meanwhile."""
    approval = client.get(f"/portal/v1/approvals/{segment(approval_id)}")
    if approval["status"] != "pending":
        return
    try:
        decide(client, approval_id, asked(approval))
    except PortalError as error:
        click.echo(error.message, err=True)


def decide(client: Client, approval_id: str, verdict: dict[str, Any]) -> str | None:
    """Tell the server; the id of the response that goes on."""
    told = client.send("POST", f"/portal/v1/approvals/{segment(approval_id)}", verdict)
    response_id: str | None = told["response_id"]
    return response_id


def asked(approval: dict[str, Any]) -> dict[str, Any]:
    """What the person says to one question. Raises click.Abort."""
    if approval["question"] and approval.get("call_id"):
        return _elicited(approval)
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


def _elicited(approval: dict[str, Any]) -> dict[str, Any]:
    """What a tool server asks: to fill in a form, or to go somewhere."""
    arguments = approval["arguments"]
    click.echo(f"? {approval['why']} {arguments['message']}", err=True)
    if url := arguments.get("url"):
        click.echo(f"  It wants you to open: {url}", err=True)
        return {"approve": click.confirm("  Have you been there", default=False, err=True)}
    form = arguments["form"]
    if not click.confirm("  Answer it", default=True, err=True):
        return {"approve": False}
    fields = form["properties"].items()
    given = {name: _field(name, one, needed=name in form.get("required", ())) for name, one in fields}
    return {"approve": True, "content": {name: value for name, value in given.items() if value is not None}}


def _field(name: str, schema: dict[str, Any], *, needed: bool) -> Any:
    """One field; None where it is left empty."""
    words = f"  {schema.get('title') or name}"
    if schema.get("type") == "boolean":
        return click.confirm(words, default=schema.get("default") is True, err=True)
    choices = _choices(schema.get("items", schema) if schema.get("type") == "array" else schema)
    hint = f" ({'|'.join(choices)})" if choices else "" if needed else " (Enter: none)"
    while True:
        default = "" if schema.get("default") is None else schema["default"]
        said = str(click.prompt(words + hint, default=default, show_default=default != "", err=True)).strip()
        if not said and not needed:
            return None
        several = [one.strip() for one in said.split(",")] if schema.get("type") == "array" else [said]
        if said and all(one in choices or not choices for one in several) and _fits(said, schema.get("type")):
            return several if schema.get("type") == "array" else said


def _choices(schema: dict[str, Any]) -> list[str]:
    named = [one.get("const") for one in schema.get("oneOf") or schema.get("anyOf") or ()]
    return [str(one) for one in named or schema.get("enum") or ()]


def _fits(said: str, kind: Any) -> bool:
    if kind not in ("number", "integer"):
        return True
    try:
        return float(said).is_integer() or kind == "number"
    except ValueError:
        return False


def _permitted(approval: dict[str, Any]) -> dict[str, Any]:
    arguments, edited = approval["arguments"], False
    while True:
        click.echo(f"? {approval['tool']} ({approval['risk']}): {approval['why']}", err=True)
        for line in lines_of(arguments):
            click.echo(f"    {line}", err=True)
        keys = {key: extent for extent, key in _KEYS.items() if extent in _offered(approval, edited=edited)}
        change = "" if approval.get("call_id") else ", [e]dit"
        words = ", ".join(_WORDS[extent].format(scope=approval["scope"]) for extent in keys.values())
        click.echo(f"  [y]es{', ' + words if words else ''}{change}, [n]o", err=True)
        key = click.prompt(
            "Allow it", type=click.Choice(["y", *keys, *(["e"] if change else []), "n"]), show_choices=False, err=True
        )
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
