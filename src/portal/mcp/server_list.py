"""The `mcpServers` JSON that Claude Desktop, Cursor, VS Code and others write, and the file mcp.json of that form in
Portal's data folder: the owner's own list, which alone (beside the settings) may name programs to start."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from portal.core.items import JsonObject
from portal.errors import BadRequest, SettingsError
from portal.settings.mcp import ToolServerSettings, tool_server_name
from portal.settings.section import explain

FILE = "mcp.json"
_KEYS = ("mcpServers", "servers", "context_servers")
_SENT = ("streamable-http", "streamableHttp", "streamable_http", "http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One server of such a file."""

    name: str
    fields: JsonObject
    """Those of ToolServerSettings; empty where it cannot be taken over."""
    notes: tuple[str, ...] = ()
    """What could not come along, and what is still to do."""


def read_common(content: str) -> list[Entry]:
    """The servers of a file of another program. Raises BadRequest for what is none."""
    try:
        document = orjson.loads(re.sub(r"^\s*//.*$", "", content, flags=re.MULTILINE))
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"This is no JSON: {error}.", param="content") from error
    servers = _servers(document)
    if servers is None:
        raise BadRequest("There are no servers in it: an object `mcpServers` or `servers` was expected.")
    return [_entry(name, one) for name, one in servers.items()]


def _servers(document: Any) -> Mapping[str, Any] | None:
    if not isinstance(document, dict):
        return None
    for holder in (document, document.get("mcp"), document.get("settings")):
        for key in _KEYS:
            if isinstance(holder, dict) and isinstance(holder.get(key), dict):
                found: Mapping[str, Any] = holder[key]
                return found
    return document if document and all(_is_server(one) for one in document.values()) else None


def _is_server(one: Any) -> bool:
    return isinstance(one, dict) and bool({"command", "url", "serverUrl", "httpUrl"} & one.keys())


def _entry(name: str, one: Any) -> Entry:
    plain = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_-]+", "-", name)).strip("-_")[:32].strip("-_")
    if not isinstance(one, dict):
        return Entry(name=plain, fields={}, notes=("it is no object",))
    fields, notes = _fields(one)
    open_values = sorted(set(re.findall(r"\$\{[^}]+\}", orjson.dumps(fields).decode())))
    if open_values:
        notes.append(f"it is off until you put a value in the place of {', '.join(open_values)}")
        fields["enabled"] = False
    try:
        tool_server_name(plain)
        ToolServerSettings.model_validate(fields)
    except ValidationError as error:
        return Entry(name=plain, fields={}, notes=(*notes, *(explain(each) for each in error.errors())))
    except ValueError as error:
        return Entry(name=plain, fields={}, notes=(*notes, str(error)))
    return Entry(name=plain, fields=fields, notes=tuple(notes))


def _fields(one: Mapping[str, Any]) -> tuple[JsonObject, list[str]]:
    fields = {name: value for name, value in one.items() if name in ToolServerSettings.model_fields and name != "auth"}
    notes: list[str] = []
    url = next((one[name] for name in ("url", "serverUrl", "httpUrl") if one.get(name)), None)
    if url:
        fields["url"] = url
    kind = one.get("type", one.get("transport"))
    fields.pop("transport", None)
    if url and (kind == "sse" or (kind is None and str(url).rstrip("/").endswith("/sse"))):
        fields["transport"] = "sse"
    elif kind not in (None, "stdio", *_SENT):
        notes.append(f"its type {kind!r} is not known")
    if one.get("auth") in ("oauth", "none"):
        fields["auth"] = one["auth"]
    if one.get("disabled") is True:
        fields["enabled"] = False
    for name in ("args", "allow"):
        if isinstance(fields.get(name), list):
            fields[name] = [str(each) for each in fields[name]]
    if "env" in fields and isinstance(fields["env"], dict):
        fields["env"] = {key: str(value) for key, value in fields["env"].items()}
    known = {*ToolServerSettings.model_fields, "url", "serverUrl", "httpUrl", "type", "transport", "disabled"}
    notes += [f"{name} is left out" for name in one if name not in known]
    return fields, notes


def read_file(folder: Path) -> dict[str, JsonObject]:
    """The servers of mcp.json, as they stand there. Raises SettingsError where it cannot be read."""
    path = folder / FILE
    try:
        document = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, orjson.JSONDecodeError) as error:
        raise SettingsError(f"The file {path} cannot be read: {error}") from error
    servers = document.get("mcpServers") if isinstance(document, dict) else None
    if not isinstance(servers, dict):
        raise SettingsError(f'The file {path} is not of the form {{"mcpServers": {{...}}}}')
    return servers


def write_file(folder: Path, servers: Mapping[str, JsonObject]) -> None:
    """Replace mcp.json, readable by its owner alone: keys stand in it. Raises SettingsError."""
    path = folder / FILE
    draft = path.with_name(f"{FILE}.new")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb") as file:
            file.write(orjson.dumps({"mcpServers": dict(servers)}, option=orjson.OPT_INDENT_2))
        draft.replace(path)
    except OSError as error:
        raise SettingsError(f"The file {path} cannot be written: {error.strerror}") from error


def of_file(folder: Path) -> list[Entry]:
    """The servers of mcp.json. Raises SettingsError where it cannot be read."""
    return [_entry(name, one) for name, one in read_file(folder).items()]
