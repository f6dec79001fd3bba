"""Tools told in the prompt."""

from typing import Any

import pytest

from portal.core.prompted import prompted

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
