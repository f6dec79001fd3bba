"""Tools told in the prompt."""

from typing import Any

import pytest

from portal.core.model import TextDelta, ToolCallDelta
from portal.core.prompted import StrictAnswer, is_strict, prompted

CALLS = [
    {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"what": "a"}'}},
    {"id": "b", "type": "function", "function": {"name": "look", "arguments": ""}},
]
PICTURE = {"type": "image_url", "image_url": {"url": "data:"}}


def test_roles_alternate() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "Well.", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "a", "content": "saw a"},
        {"role": "tool", "tool_call_id": "b", "content": "saw b"},
        {"role": "user", "content": "Answer now."},
    ]

    written, parameters = prompted(messages, {"tool_choice": "auto", "seed": 1})

    assert parameters == {"seed": 1}
    assert [message["role"] for message in written] == ["user", "assistant", "user"]
    assert written[1]["content"].count("<tool_call>") == 2
    assert written[2]["content"] == (
        "<tool_response>\nsaw a\n</tool_response>\n\n<tool_response>\nsaw b\n</tool_response>\n\nAnswer now."
    )


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("a", "b", "a\n\nb"),
        (None, "b", "b"),
        ("a", "", "a"),
        ("a", [PICTURE], [{"type": "text", "text": "a"}, PICTURE]),
        ([PICTURE], "b", [PICTURE, {"type": "text", "text": "b"}]),
    ],
)
def test_neighbours_keep_everything(first: Any, second: Any, both: Any) -> None:
    written, _ = prompted([{"role": "user", "content": first}, {"role": "user", "content": second}], {})

    assert written == [{"role": "user", "content": both}]


def test_odd_tools_are_told_as_far_as_they_can_be() -> None:
    schemas: list[Any] = [None, {"properties": None, "required": None}, {"properties": {"x": True, "y": {"type": "t"}}}]
    tools: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": one}} for one in schemas]

    ((system, _), _) = prompted([{"role": "user", "content": "x"}], {"tools": [*tools, {"type": "web_search"}]})

    assert system["content"].count("- f:") == 3
    assert '{"x": "any (optional)", "y": "t (optional)"}' in system["content"]


TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"what": {}}}}},
    {"type": "function", "function": {"name": "odd", "parameters": {"$ref": "#"}}},
]


def test_a_strict_request_is_held_to_a_call_or_an_answer() -> None:
    messages, parameters = prompted([{"role": "user", "content": "x"}], {"tools": TOOLS}, strict=True)

    assert is_strict(parameters)
    assert not is_strict(prompted([], {"tools": TOOLS})[1])
    wanted: Any = parameters["response_format"]
    answer, look, odd = wanted["json_schema"]["schema"]["anyOf"]
    assert answer["required"] == ["answer"]
    assert look["properties"]["name"]["enum"] == ["look"]
    assert look["properties"]["arguments"]["properties"] == {"what": {}}
    assert odd["properties"]["arguments"] == {"type": "object"}
    assert '{"answer": "..."}' in messages[0]["content"]
    assert not is_strict(prompted([], {}, strict=True)[1])


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('{"answer": "It is sunny."}', [TextDelta("It is sunny.")]),
        ("It is sunny.", [TextDelta("It is sunny.")]),
        ("[1]", [TextDelta("[1]")]),
        ("", []),
    ],
)
def test_what_a_strict_answer_comes_to(text: str, made: Any) -> None:
    reader = StrictAnswer()
    assert [event for letter in text for event in reader.feed(TextDelta(letter))] == []
    assert reader.end() == made


def test_a_strict_call() -> None:
    reader = StrictAnswer()
    reader.feed(TextDelta('{"name": "look", "arguments": {"what": "a"}}'))
    (call,) = reader.end()
    assert isinstance(call, ToolCallDelta)
    assert (call.name, call.arguments) == ("look", '{"what": "a"}')
