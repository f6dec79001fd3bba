"""Reasoning and tool calls taken out of text, in any pieces."""

import pytest

from portal.backends.tagged import TaggedText, parsed_call
from portal.core.marks import held_back
from portal.core.model import ReasoningDelta, TextDelta, ToolCallDelta

CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'


def take(text: str, size: int, *, tools: bool = True, thinking: bool = False) -> tuple[str, str, list[tuple[str, str]]]:
    """(answer, reasoning, calls) of a text fed in pieces of `size`."""
    tagged = TaggedText(tools=tools, thinking=thinking, choice=0)
    events = [event for at in range(0, len(text), size) for event in tagged.feed(text[at : at + size])]
    events += tagged.end()
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [(event.name or "", event.arguments) for event in events if isinstance(event, ToolCallDelta)],
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello there", ("hello there", "", [])),
        ("a < b and <b>x</b>", ("a < b and <b>x</b>", "", [])),
        ("<think>hm\nso</think>\n\nhello", ("hello", "hm\nso", [])),
        (CALL, ("", "", [("f", '{"a":1}')])),
        (f"{CALL}\n{CALL}", ("", "", [("f", '{"a":1}')] * 2)),
        (f"I look.\n{CALL}", ("I look.\n", "", [("f", '{"a":1}')])),
        (f"<think>x</think>{CALL}", ("", "x", [("f", '{"a":1}')])),
        (CALL.removesuffix("</tool_call>"), ("", "", [("f", '{"a":1}')])),
        ("<tool_call>{oops}</tool_call>", ("<tool_call>{oops}</tool_call>", "", [])),
        ('<tool_call>{"name": "f', ('<tool_call>{"name": "f', "", [])),
        ("ends with <tool_", ("ends with <tool_", "", [])),
        ("<think>never closed", ("", "never closed", [])),
    ],
)
def test_taken_apart(text: str, expected: object, size: int) -> None:
    assert take(text, size) == expected


def test_calls_are_text_where_no_tools_were_offered() -> None:
    assert take(CALL, 5, tools=False) == (CALL, "", [])


def test_a_prompt_that_ends_inside_the_reasoning() -> None:
    assert take("hm</think>yes", 2, thinking=True) == ("yes", "hm", [])


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('{"name": "f", "arguments": {"a": 1}}', ("f", '{"a":1}')),
        ('{"name": "f", "parameters": {"a": 1}}', ("f", '{"a":1}')),
        ('{"name": "f", "arguments": "{}"}', ("f", "{}")),
        ('{"name": "f"}', ("f", "{}")),
        ('{"name": 1}', None),
        ("[]", None),
        ("x", None),
    ],
)
def test_calls(text: str, call: object) -> None:
    assert parsed_call(text) == call


@pytest.mark.parametrize(("text", "count"), [("ab<", 1), ("ab<th", 3), ("ab", 0), ("", 0), ("<think>", 0)])
def test_held_back(text: str, count: int) -> None:
    assert held_back(text, ["<think>", "<tool_call>"]) == count
