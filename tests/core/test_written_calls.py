"""Tool calls that models write as text."""

import json

import pytest

from portal.core.model import ModelEvent, TextDelta, ToolCallDelta
from portal.core.written_calls import WrittenCalls

NAMES = {"get_weather", "read_file"}
PARIS = {"city": "Paris"}


def read(text: str, size: int, *, bare: bool = True) -> tuple[str, list[tuple[str, object]]]:
    """The text and calls of an answer that comes in pieces of this many characters."""
    written, made = WrittenCalls(NAMES, bare=bare), list[ModelEvent]()
    for start in range(0, len(text), size):
        made += written.feed(TextDelta(text[start : start + size]))
    made += written.end()
    said = "".join(event.text for event in made if isinstance(event, TextDelta))
    return said, [(event.name or "", json.loads(event.arguments)) for event in made if isinstance(event, ToolCallDelta)]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    "text",
    [
        '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>',
        '<tool_call>{"name": "get_weather", "parameters": {"city": "Paris"}}</tool_call>',
        '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>',
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
        '<function=get_weather>{"city": "Paris"}</function>',
        "<function=get_weather><parameter=city>Paris</parameter></function>",
        '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}',
        '[TOOL_CALLS] get_weather{"city": "Paris"}',
        '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}',
        '<|python_tag|>get_weather.call(city="Paris")',
        '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
        '<|tool_call_start|>[get_weather(city="Paris")]<|tool_call_end|>',
        '```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```',
        '```tool_code\nget_weather(city="Paris")\n```',
        '{"name": "get_weather", "parameters": {"city": "Paris"}}',
        '{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}}',
        '\n[get_weather(city="Paris")]',
        '[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    ],
)
def test_every_familys_way_is_a_call(text: str, size: int) -> None:
    assert read(text, size) == ("", [("get_weather", PARIS)])


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "It is sunny in Paris.",
        "Use a < b and [1, 2] or `f(x)`.",
        '{"answer": 42, "names": ["a", "b"]}',
        "[1, 2, 3]",
        "[a link](https://example.org) and more",
        '```json\n{"name": "Alice", "age": 3}\n```\nThat is the record.',
        "```python\nprint(get_weather(city='Paris'))\n```\nand ```more```",
        "```\nplain\n```",
        '{"name": "delete_everything", "arguments": {}}',
        '```json\n{"name": "get_weather", "arguments": {"city":',
        "<function",
        "<tool_call>{broken</tool_call>",
        "<tool_call>",
        "print(x) is Python",
        "[unknown(a=1)]",
        "[get_weather(place)]",
    ],
)
def test_what_is_none_stays_as_it_was_written(text: str, size: int) -> None:
    assert read(text, size) == (text, [])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_text_before_calls_stays_and_several_calls_are_told_apart(size: int) -> None:
    call = '<tool_call>{"name": "%s", "arguments": {"city": "Paris"}}</tool_call>'
    text = f"Let me look.\n{call % 'get_weather'}\n{call % 'nobody_knows'}\n"

    said, calls = read(text, size)

    assert (said.strip(), calls) == ("Let me look.", [("get_weather", PARIS), ("nobody_knows", PARIS)])


def test_mistrals_calls_follow_each_other() -> None:
    text = '[TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]read_file[ARGS]{"path": "a"}'

    assert read(text, 5) == ("", [("get_weather", PARIS), ("read_file", {"path": "a"})])


def test_calls_one_after_the_other_without_a_list() -> None:
    text = '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "read_file"}'

    assert read(text, 9) == ("", [("get_weather", PARIS), ("read_file", {})])


def test_ordinary_text_goes_through_at_once_with_its_logprobs() -> None:
    written = WrittenCalls(NAMES, bare=True)
    written.feed(TextDelta("Well"))
    delta = TextDelta(" then", logprobs=[{"token": "then"}])

    assert written.feed(delta) == [delta]


def test_logprobs_of_what_was_held_back_come_with_it() -> None:
    written = WrittenCalls(NAMES, bare=True)

    assert written.feed(TextDelta("[", logprobs=[{"token": "["}])) == []
    assert written.feed(TextDelta("1, 2] and more than that", logprobs=[{"token": "1"}])) == [
        TextDelta("[1, 2] and more than that", logprobs=[{"token": "["}, {"token": "1"}])
    ]


QUOTES = [
    'A model writes:\n```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```\nThat is all.',
    '```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```\nThat is how.',
    '```\n<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>\n```\nis one in `code`.',
    'So: {"name": "get_weather", "arguments": {}}',
    '{"name": "get_weather", "arguments": {}} is JSON.',
    "[get_weather(city='Paris')] is Python.",
    "[TOOL",
    "``",
]


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("text", QUOTES)
def test_a_quoted_call_is_text(text: str, bare: bool, size: int) -> None:
    assert read(text, size, bare=bare) == (text, [])


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize(
    "text",
    [
        '{"name": "get_weather", "arguments": {"city": "Paris"}}',
        '```json\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n```',
        '[get_weather(city="Paris")]',
    ],
)
def test_of_a_model_that_has_tools_an_answer_of_json_is_an_answer(text: str, size: int) -> None:
    assert read(text, size, bare=False) == (text, [])


def test_a_block_of_code_is_told_as_it_comes() -> None:
    written = WrittenCalls(NAMES, bare=True)
    written.feed(TextDelta("So:\n```python\n"))

    assert written.feed(TextDelta("print(1)\n")) == [TextDelta("print(1)\n")]
    assert written.feed(TextDelta("<tool_call>")) == [TextDelta("<tool_call>")]


@pytest.mark.parametrize(
    "text",
    [
        "[TOOL_CALLS]" + "[TOOL_CALLS]".join(["get_weather{}"] * 5000),
        "<tool_call>" + "{}" * 50_000 + "</tool_call>",
        "<tool_call>" + "{}" * 70 + '{"name": "get_weather"}</tool_call>',
        "<|python_tag|>get_weather(a=" + "-" * 5000 + "1)",
        "<|python_tag|>get_weather(a=b)",
    ],
)
def test_monstrous_calls_end_nothing(text: str) -> None:
    said, calls = read(text, 100_000)

    assert len(calls) <= 64
    assert calls or said == text


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("<tool_call>{'name': 'get_weather', 'arguments': {'city': 'Paris'}}</tool_call>", "{'city': 'Paris'}"),
        ('<tool_call>{"name": "get_weather", "arguments": {"city": "Par</tool_call>', '{"city": "Par'),
        ('<tool_call>{"name": "get_weather", "arguments": ' + "9" * 5000 + "}</tool_call>", "9" * 5000),
        ('<tool_call>{"name": "get_weather" {</tool_call>', '{"name": "get_weather" {'),
    ],
)
def test_a_call_that_does_not_read_is_one_even_so(text: str, arguments: str) -> None:
    written = WrittenCalls(NAMES, bare=True)
    made = [*written.feed(TextDelta(text)), *written.end()]

    assert [(event.name, event.arguments) for event in made if isinstance(event, ToolCallDelta)] == [
        ("get_weather", arguments)
    ]
