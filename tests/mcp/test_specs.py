"""What a server says of its tools: named, bounded, and believed only where it is trusted."""

from typing import Any

import pytest

from portal.core.arguments import read_arguments
from portal.core.items import JsonObject
from portal.core.schemas import checkable
from portal.mcp.specs import LARGEST_SCHEMA, MOST_TOOLS, parameters, shown_name, specs
from portal.settings.mcp import ToolServerSettings


def server(**fields: Any) -> ToolServerSettings:
    return ToolServerSettings(command="x", **fields)


def tool(name: str = "t", **fields: Any) -> JsonObject:
    return {"name": name, "inputSchema": {"type": "object"}, **fields}


@pytest.mark.parametrize(
    ("hints", "risk", "idempotent"),
    [
        ({}, "network", False),
        ({"readOnlyHint": True}, "read", True),
        ({"readOnlyHint": True, "openWorldHint": True}, "fetch", True),
        ({"openWorldHint": False}, "write", False),
        ({"openWorldHint": False, "idempotentHint": True}, "write", True),
        ("odd", "network", False),
    ],
)
def test_a_trusted_server_is_believed_and_no_other(hints: Any, risk: str, idempotent: bool) -> None:
    believed = specs("s", server(trusted=True), [tool(annotations=hints)])["s__t"][1]
    doubted = specs("s", server(), [tool(annotations=hints)])["s__t"][1]

    assert (believed.risk, believed.idempotent, believed.untrusted) == (risk, idempotent, False)
    assert (doubted.risk, doubted.idempotent, doubted.untrusted) == ("network", False, True)


def test_the_owner_knows_better() -> None:
    made = specs("s", server(risks={"t*": "read", "*": "spend"}), [tool("t1"), tool("u")])

    assert (made["s__t1"][1].risk, made["s__t1"][1].idempotent) == ("read", True)
    assert made["s__u"][1].risk == "spend"


def test_only_what_is_allowed() -> None:
    assert [*specs("s", server(allow=["a*"]), [tool("ab"), tool("b"), tool("")])] == ["s__ab"]


def test_names_that_models_can_call() -> None:
    long = "x" * 100

    made = specs("s", server(), [tool("a.b"), tool("a/b"), tool(long), tool(long + "y"), tool("ünder")])

    assert len(made) == 5
    assert all(len(name) <= 64 and name.isascii() and "/" not in name for name in made)
    assert made["s__a_b"][0] == "a.b"
    assert [real for real, _ in made.values()] == ["a.b", "a/b", long, long + "y", "ünder"]
    assert shown_name("s", "t") == "s__t"


def test_too_much_of_anything_is_cut() -> None:
    made = specs("s", server(), [tool(f"t{n}", description="d" * 9000) for n in range(MOST_TOOLS + 10)])

    assert len(made) == MOST_TOOLS
    assert len(made["s__t0"][1].description) == 4000


def test_schemas() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"properties": {"a": deep}, "items": [deep]} if len(str(deep)) < 2000 else {"a": deep}

    assert parameters(None) == parameters({"x": "y" * LARGEST_SCHEMA}) == {"type": "object", "properties": {}}
    assert parameters({"$schema": "s", "$id": "i", "properties": {}}) == {"type": "object", "properties": {}}
    assert parameters({"$ref": "https://x"}) == {"type": "object"}
    assert parameters({"properties": {"a": {"$ref": "x.json", "description": "d", "type": "string"}}}) == {
        "type": "object",
        "properties": {"a": {"description": "d"}},
    }
    assert len(str(parameters(deep))) < len(str(deep))


def test_what_older_drafts_and_nulls_say_is_put_right() -> None:
    sent = {
        "required": None,
        "properties": {
            "a": {"type": "number", "exclusiveMinimum": True, "required": True, "description": None},
            "b": {"items": [{"type": "string"}], "default": None},
            "c": {"enum": ["x", None]},
        },
    }

    made = parameters(sent)

    assert made == {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"prefixItems": [{"type": "string"}], "default": None},
            "c": {"enum": ["x", None]},
        },
    }
    assert read_arguments('{"a": 1, "b": ["x"]}', made) == {"a": 1, "b": ["x"]}
    assert parameters({"properties": None}) == {"type": "object"}


def test_a_schema_cut_for_its_depth_can_be_used() -> None:
    deep: dict[str, Any] = {"type": "string", "enum": [[[["x"]]]]}
    for _ in range(40):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"], "anyOf": [{"type": "object"}]}
    lists: Any = []
    for _ in range(400):
        lists = [lists]

    checkable(parameters(deep))
    assert len(str(parameters({"default": lists}))) < 200
