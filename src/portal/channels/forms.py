"""A tool server's form in a chat: told in lines, answered by a button where it is one choice, else by lines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portal.core.items import JsonObject
from portal.errors import BadRequest

_YES = frozenset({"yes", "y", "true", "ja", "j", "oui", "si", "sí", "1"})
_NO = frozenset({"no", "n", "false", "nein", "non", "0"})
_BOOLEAN = [(True, "Yes"), (False, "No")]


def choices_of(schema: Mapping[str, Any]) -> Sequence[tuple[Any, str]]:
    """The values that a field can have, each with its name; none where it is no choice."""
    if schema.get("type") == "boolean":
        return _BOOLEAN
    named = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(named, list):
        return [(one["const"], str(one.get("title") or one["const"])) for one in named if "const" in one]
    values, names = schema.get("enum") or [], schema.get("enumNames") or []
    return [(value, str(names[at] if at < len(names) else value)) for at, value in enumerate(values)]


def single_choice(form: JsonObject) -> Sequence[tuple[Any, str]]:
    """The choices of a form whose only field is one."""
    fields = list(form["properties"].values())
    return choices_of(fields[0]) if len(fields) == 1 else ()


def told(form: JsonObject) -> str:
    """Its fields, a line each."""
    return "\n".join(_told(name, field, name in form.get("required", ())) for name, field in form["properties"].items())


def _told(name: str, field: Mapping[str, Any], needed: bool) -> str:
    among = ", ".join(label for _, label in choices_of(_one(field)))
    about = [str(field["description"])] if field.get("description") else []
    notes = [*about, *([among] if among else []), *([] if needed else ["optional"])]
    return f"- `{_title(name, field)}`{': ' if notes else ''}{'; '.join(notes)}"


def _one(field: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a field for several values what each of them is."""
    items = field.get("items")
    return items if field.get("type") == "array" and isinstance(items, dict) else field


def _title(name: str, field: Mapping[str, Any]) -> str:
    return str(field.get("title") or name)


def defaults(form: JsonObject) -> str:
    """What it says when nothing is filled in, as JSON."""
    return json.dumps({name: field["default"] for name, field in form["properties"].items() if "default" in field})


def chosen(form: JsonObject, value: Any) -> str:
    """The form whose only field has this value, as JSON."""
    return json.dumps(dict.fromkeys(form["properties"], value))


def read(form: JsonObject, text: str) -> str:
    """What somebody wrote, as JSON: one field's value, or a line for each field, `NAME: VALUE` or in their order.

    Raises:
        BadRequest: nobody can tell which line is which.
    """
    fields: dict[str, Mapping[str, Any]] = form["properties"]
    lines = [text] if len(fields) == 1 else [line for line in text.splitlines() if line.strip()]
    split = [_named(line, fields) for line in lines]
    found = {name: value for name, value in split if name}
    if len(found) < len(lines):
        if len(lines) != len(fields):
            raise BadRequest("Reply with a line for each field, such as `NAME: VALUE`.")
        found = dict(zip(fields, lines, strict=True))
    return json.dumps({name: _value(value.strip(), fields[name]) for name, value in found.items()})


def _named(line: str, fields: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The field that a line names and what it says of it; no field where it names none."""
    said, colon, value = line.partition(":")
    names = {_fold(known): name for name, field in fields.items() for known in (name, _title(name, field))}
    return (names.get(_fold(said), ""), value) if colon else ("", line)


def _fold(name: str) -> str:
    return "".join(sign for sign in name.casefold() if sign.isalnum())


def _value(text: str, field: Mapping[str, Any]) -> Any:
    if field.get("type") == "array":
        return [_chosen(one.strip(), _one(field)) for one in text.split(",") if one.strip()]
    if field.get("type") == "boolean" and text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    return _chosen(text, field)


def _chosen(text: str, field: Mapping[str, Any]) -> Any:
    """The value that a choice's name stands for, else the text: the form's schema says whether it fits."""
    known = {said.casefold(): value for value, label in choices_of(field) for said in (str(value), label)}
    return known.get(text.casefold(), text)
