"""Arguments of tool calls as small models write them."""

import json

import pytest

from portal.core.arguments import read_arguments
from portal.core.items import JsonObject
from portal.errors import ToolError

SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "maxLines": {"type": "integer"},
        "exact": {"type": "boolean"},
        "ratio": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "options": {"type": "object"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["path"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"path": "a"}', {"path": "a"}),
        ('```json\n{"path": "a"}\n```', {"path": "a"}),
        ("{'path': 'a', 'exact': True}", {"path": "a", "exact": True}),
        ('"{\\"path\\": \\"a\\"}"', {"path": "a"}),
        ('{"arguments": {"path": "a"}}', {"path": "a"}),
        ('{"parameters": "{\\"path\\": \\"a\\"}"}', {"path": "a"}),
        ('{"Path": "a", "max_lines": "3"}', {"path": "a", "maxLines": 3}),
        ('{"path": "a", "maxLines": 3.0}', {"path": "a", "maxLines": 3}),
        ('{"path": "a", "maxLines": "4.0"}', {"path": "a", "maxLines": 4}),
        ('{"path": "a", "exact": "False"}', {"path": "a", "exact": False}),
        ('{"path": "a", "ratio": "2"}', {"path": "a", "ratio": 2}),
        ('{"path": "a", "tags": "one"}', {"path": "a", "tags": ["one"]}),
        ('{"path": "a", "tags": "[\\"one\\", \\"two\\"]"}', {"path": "a", "tags": ["one", "two"]}),
        ('{"path": "a", "tags": "3"}', {"path": "a", "tags": ["3"]}),
        ('{"path": "a", "options": "{\\"x\\": 1}"}', {"path": "a", "options": {"x": 1}}),
        ('{"path": "a", "maxLines": null}', {"path": "a"}),
        ('{"path": "a", "note": null}', {"path": "a", "note": None}),
        ('{"path": 7}', {"path": "7"}),
    ],
)
def test_near_misses_are_put_right(text: str, read: dict[str, object]) -> None:
    assert read_arguments(text, SCHEMA) == read


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'path' is a required property"),
        ('{"path": "a"', "not valid JSON"),
        ("[1, 2]", "must be a JSON object"),
        ('{"path": "a", "unknown": 1}', "unknown"),
        ('{"path": "a", "maxLines": "many"}', "maxLines: 'many' is not of type 'integer'"),
        ('{"path": "' + "a" * 2**18 + '"}', "longer than 256 kB"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_said_so_that_a_model_can_act(text: str, told: str) -> None:
    with pytest.raises(ToolError, match=told.replace("(", "\\(")):
        read_arguments(text, SCHEMA)


def test_a_tool_without_parameters_takes_nothing() -> None:
    assert read_arguments("  ", {"type": "object", "properties": {}}) == {}


def test_a_recursive_schema_is_followed_as_far_as_the_arguments_go() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
    schema = {"type": "object", "properties": {"root": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    nested: dict[str, object] = {}
    for _ in range(20):
        nested = {"next": nested}

    assert read_arguments(json.dumps({"root": nested}), schema) == {"root": nested}


def test_a_schema_that_points_elsewhere_is_never_fetched() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema.json"}}}

    with pytest.raises(ToolError, match="schema cannot be used"):
        read_arguments('{"a": 1}', schema)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{1: "x"}', "names in the arguments must be text"),
        ('{"what": {"a": {1: 2}}}', "names in the arguments must be text"),
        ('{"what": {1, 2}}', "JSON has no set"),
        ('{"what": b"x"}', "JSON has no bytes"),
        ('{"what": NaN}', "not finite"),
        ('{"what": 1e999}', "not finite"),
        ('{"what": 123456789012345678901}', "more than 64 bits"),
        ('{"what": ' + "9" * 5000 + "}", "not valid JSON"),
        ("9" * 5000, "not valid JSON"),
        ('{"what": ' + "[" * 500 + "]" * 500 + "}", "nested too deeply"),
        ("{'what': " + "-" * 10_000 + "1}", "not valid JSON"),
        ("-" * 100_000 + "1", "not valid JSON"),
        ("(" * 5000 + ")" * 5000, "not valid JSON"),
        ("{[1]: 2}", "not valid JSON"),
        ("\x00", "not valid JSON"),
    ],
)
def test_what_json_has_not_is_refused(text: str, told: str) -> None:
    with pytest.raises(ToolError, match=told):
        read_arguments(text, {"type": "object", "properties": {"what": {}}})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"what": "\\ud83d"}', "\ufffd"),
        ('{"what": "a\\ude00b\\ud83d\\ude00"}', "a\ufffdb\U0001f600"),
        ("{'what': '\\ud83d\\ude00', }", "\U0001f600"),
        ('{"what": "a\\u0000b"}', "a\ufffdb"),
        ('{"what": {"\\ud83d": ["\\ud83d"]}}', {"\ufffd": ["\ufffd"]}),
        ("{'what': ('a', 1)}", ["a", 1]),
        ('{"what": -9223372036854775808}', -(2**63)),
        ('{"what": 18446744073709551615}', 2**64 - 1),
    ],
)
def test_arguments_can_be_stored_and_sent(text: str, what: object) -> None:
    assert read_arguments(text, {"type": "object", "properties": {"what": {}}}) == {"what": what}


def test_half_an_emoji_in_json_that_stands_in_a_text() -> None:
    schema = {"type": "object", "properties": {"what": {"type": "array"}}}

    assert read_arguments(json.dumps({"what": '["\\ud83d"]'}), schema) == {"what": ["\ufffd"]}


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {"properties": None},
        {"required": None, "properties": {"what": {}}},
        {"required": "what", "properties": {"what": {}}},
        {"properties": {"what": 5}},
        {"properties": {"what": {"type": "strin"}}},
        {"properties": {"what": {"type": 5}}},
        {"properties": {"what": {"enum": None}}},
        {"properties": {"what": {"anyOf": {}}}},
        {"properties": {"what": {"maxLength": "5"}}},
        {"properties": {"what": {"$ref": 5}}},
        {"properties": {"what": {"$ref": "#/$defs/nope"}}},
        {"properties": {"what": {"$ref": "#what"}}},
        {"properties": {"what": {"$ref": "#/required/7"}}, "required": ["what"]},
        {"properties": {"what": {"$ref": "#/properties/what"}}},
        {"properties": {"what": {"allOf": [{"$ref": "other.json"}]}}},
        {"$defs": {"deep": json.loads('{"items":' * 70 + "{}" + "}" * 70)}},
    ],
)
def test_an_odd_schema_ends_the_call(schema: JsonObject) -> None:
    with pytest.raises(ToolError, match="schema cannot be used"):
        read_arguments('{"what": "x"}', schema)


@pytest.mark.parametrize(
    "what",
    [
        {"type": "string", "pattern": r"^\p{L}+$"},
        {"type": "string", "pattern": r"^(a+)+$"},
        {"type": "string", "format": "uri"},
        {"not": {"pattern": "^a"}},
        {"oneOf": [{"pattern": "^a"}, {"type": "string"}]},
        {"$ref": "#/$defs/one~1of/anyOf/1"},
        True,
    ],
)
def test_what_can_be_costly_is_left_to_the_tool(what: object) -> None:
    schema = {"properties": {"what": what}, "$defs": {"one/of": {"anyOf": [{"type": "null"}, {"type": "string"}]}}}
    text = "a" * 50 + "!"

    assert read_arguments(json.dumps({"what": text}), schema) == {"what": text}


def test_names_by_a_pattern_are_left_to_the_tool() -> None:
    schema = {"properties": {}, "patternProperties": {"^(x+)+$": {}}, "additionalProperties": False}

    assert read_arguments('{"y": 1}', schema) == {"y": 1}


def test_an_argument_may_be_named_like_a_keyword() -> None:
    schema = {"properties": {"pattern": {"type": "integer"}, "$ref": {"type": "string"}}, "required": ["pattern"]}

    assert read_arguments('{"pattern": 1, "$ref": "a"}', schema) == {"pattern": 1, "$ref": "a"}
    with pytest.raises(ToolError, match="'pattern' is a required property"):
        read_arguments("{}", schema)


def test_references_that_multiply_each_other_end_the_call() -> None:
    defs: JsonObject = {f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(60)}
    schema = {"properties": {"what": {"$ref": "#/$defs/d0"}}, "$defs": {**defs, "d60": {"type": "string"}}}

    with pytest.raises(ToolError, match="schema cannot be used"):
        read_arguments('{"what": 1}', schema)
