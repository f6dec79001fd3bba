"""An API that an OpenAPI document describes, each operation a tool: as Open WebUI and mcpo have them.

Pure converters first: the document becomes operations, an operation's arguments become a request.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import orjson

from portal.core.items import JsonObject
from portal.errors import ToolError

_METHODS = ("get", "put", "post", "delete", "patch", "head")
_REF = "#/components/schemas/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, and where each of its arguments goes."""

    method: str
    path: str
    places: Mapping[str, str]
    """Argument to path, query or header."""
    body: str
    """`fields`: what has no other place is the JSON body; `whole`: the argument `body` is it; empty for none."""
    tool: JsonObject
    """As MCP would describe it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """What is sent for a call."""

    method: str
    url: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes | None


def operations(document: JsonObject) -> dict[str, Operation]:
    """By name. What is not as it should be is left out. Raises ToolError for what is no OpenAPI document."""
    paths = document.get("paths")
    if not isinstance(paths, dict) or not document.get("openapi"):
        raise ToolError("What is there is no OpenAPI document of version 3.")
    schemas = _defs(document)
    found: dict[str, Operation] = {}
    for path, method, item, described in _each(paths):
        name = str(described.get("operationId") or f"{method}_{path}")
        name = re.sub(r"[^A-Za-z0-9-]+", "_", name).strip("_")
        parameters = [_resolved(document, one) for one in [*_list(item), *_list(described)]]
        found[name] = _operation(name, method, path, described, parameters, _body(document, described), schemas)
    return found


def _list(described: JsonObject) -> list[Any]:
    parameters = described.get("parameters")
    return parameters if isinstance(parameters, list) else []


def _each(paths: JsonObject) -> Iterator[tuple[str, str, JsonObject, JsonObject]]:
    for path, item in paths.items():
        if isinstance(item, dict):
            for method in _METHODS:
                if isinstance(item.get(method), dict):
                    yield path, method, item, item[method]


def _operation(
    name: str,
    method: str,
    path: str,
    described: JsonObject,
    parameters: Sequence[JsonObject],
    body: tuple[JsonObject, bool] | None,
    schemas: JsonObject,
) -> Operation:
    known = [one for one in parameters if one.get("in") in ("path", "query", "header") and one.get("name")]
    properties = {str(one["name"]): _described(one) for one in known}
    required = [str(one["name"]) for one in known if one.get("required") or one["in"] == "path"]
    places = {str(one["name"]): str(one["in"]) for one in known}
    way = ""
    if body is not None:
        schema, needed = body
        fields = schema.get("properties")
        way = "fields" if isinstance(fields, dict) and not fields.keys() & properties.keys() else "whole"
        properties |= fields if way == "fields" and isinstance(fields, dict) else {"body": schema}
        required += [*schema.get("required", [])] if way == "fields" else ["body"] * needed
    wanted: JsonObject = {"type": "object", "properties": properties, "required": required}
    if "#/$defs/" in orjson.dumps(wanted).decode():
        wanted["$defs"] = _used(wanted, schemas)
    words = described.get("description") or described.get("summary") or name
    notes = {"readOnlyHint": method in ("get", "head"), "idempotentHint": method in ("put", "delete")}
    tool: JsonObject = {
        "name": name,
        "title": described.get("summary") or "",
        "description": str(words),
        "inputSchema": wanted,
        "annotations": notes,
    }
    return Operation(method=method.upper(), path=path, places=places, body=way, tool=tool)


def _described(parameter: JsonObject) -> JsonObject:
    schema = _local(parameter.get("schema") or {"type": "string"})
    words = parameter.get("description")
    return {**schema, "description": words} if words and "description" not in schema else schema


def _body(document: JsonObject, described: JsonObject) -> tuple[JsonObject, bool] | None:
    """The JSON body's schema, one reference deep, and whether it is required."""
    body = _resolved(document, described.get("requestBody"))
    for kind, content in (body.get("content") or {}).items():
        if "json" in kind and isinstance(content, dict):
            return _local(_resolved(document, content.get("schema"))), bool(body.get("required"))
    return None


def _resolved(document: JsonObject, value: Any) -> JsonObject:
    """The object, or the part of the document that it refers to."""
    reference = value.get("$ref") if isinstance(value, dict) else None
    if not isinstance(reference, str):
        return value if isinstance(value, dict) else {}
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and "$ref" not in found else {}


def _local(schema: Any) -> JsonObject:
    """References to the document's schemas, as references to `$defs`."""
    text = orjson.dumps(schema).replace(f'"{_REF}'.encode(), b'"#/$defs/')
    made: JsonObject = orjson.loads(text)
    return made if isinstance(made, dict) else {}


def _defs(document: JsonObject) -> JsonObject:
    components = document.get("components")
    schemas = components.get("schemas") if isinstance(components, dict) else None
    return _local(schemas or {})


def _used(schema: JsonObject, schemas: JsonObject) -> JsonObject:
    """Those of the document's schemas that are needed, one leading to the next."""
    used: JsonObject = {}
    texts = [orjson.dumps(schema).decode()]
    while texts:
        for name in re.findall(r'"#/\$defs/([^"/]+)"', texts.pop()):
            if name in schemas and name not in used:
                used[name] = schemas[name]
                texts.append(orjson.dumps(schemas[name]).decode())
    return used


def base_of(document: JsonObject, url: str, base: str) -> str:
    """The address that paths are below: as set, else the document's own; another host's is not believed.

    Raises:
        ToolError: the document names another host.
    """
    if base:
        return base.rstrip("/")
    servers = document.get("servers")
    named = servers[0].get("url") if isinstance(servers, list) and servers and isinstance(servers[0], dict) else None
    address = urljoin(url, str(named or "/"))
    if urlsplit(address)[:2] != urlsplit(url)[:2]:
        raise ToolError(f"The API is at {address}, another address than its document: set `base` to use it.")
    return address.rstrip("/")


def request(operation: Operation, base: str, arguments: JsonObject) -> ApiRequest:
    """The request of a call. Raises ToolError for an argument that would lead to another path."""
    path, query, headers, rest = operation.path, [], {}, {}
    for name, value in arguments.items():
        place = operation.places.get(name)
        if place == "path":
            if value in (".", ".."):
                raise ToolError(f"{value!r} is no value for {name}.")
            path = path.replace(f"{{{name}}}", quote(_text(value), safe=""))
        elif place == "query":
            values = value if isinstance(value, list) else [value]
            query += [(name, _text(one)) for one in values]
        elif place == "header":
            headers[name] = _text(value).replace("\r", " ").replace("\n", " ")
        else:
            rest[name] = value
    sent = rest if operation.body == "fields" else rest.get("body") if operation.body else None
    body = None if sent is None else orjson.dumps(sent)
    return ApiRequest(method=operation.method, url=base + path, query=query, headers=headers, body=body)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()
