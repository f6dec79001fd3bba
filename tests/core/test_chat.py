from typing import Any

import pytest

from portal.core.chat import to_messages, to_parameters
from portal.core.clock import micros, now, seconds
from portal.core.ids import new_id
from portal.core.items import text_of
from portal.core.tokens import estimate, estimate_messages
from portal.errors import BadRequest
from portal.testing.records import answered, said


def message(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


def test_roles_and_parts() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    reasoning = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    refusal = message("assistant", [{"type": "refusal", "refusal": "No."}])
    items = [message("developer", "Be kind."), reasoning, refusal, message("user", [audio])]
    assert to_messages(items, "First.") == [
        {"role": "system", "content": "First."},
        {"role": "system", "content": "Be kind."},
        {"role": "assistant", "content": "No."},
        {"role": "user", "content": [audio]},
    ]


def test_a_call_without_words_before_it() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    (made,) = to_messages([call])
    assert (made["role"], made["content"], len(made["tool_calls"])) == ("assistant", None, 1)


def test_what_no_chat_model_understands() -> None:
    with pytest.raises(BadRequest) as refused:
        to_messages([{"type": "web_search_call"}])
    assert refused.value.code == "unsupported_item"
    with pytest.raises(BadRequest):
        to_messages([message("user", [{"type": "input_video"}])])


def ran(name: str, number: int | None = 1, **fields: Any) -> dict[str, Any]:
    call = {"type": "mcp_call", "id": f"mcp_{name}", "server_label": "files", "name": name, "arguments": "{}"}
    rest = {"output": f"of {name}", "error": None, "status": "completed", "portal:round": number}
    return {**call, **rest, **fields}


def asked(name: str, **fields: Any) -> dict[str, Any]:
    identity = {"id": f"mcpr_{name}", "server_label": "files", "name": name, "arguments": "{}"}
    return {"type": "mcp_approval_request", **identity, **fields}


ANSWER = {"type": "mcp_approval_response", "id": "mcpa_1", "approval_request_id": "mcpr_b", "approve": True}


def outline(messages: list[dict[str, Any]]) -> list[Any]:
    """Assistant messages as the names they call, tool messages as what they say, others as their text."""
    calls = ["+".join(call["function"]["name"] for call in message.get("tool_calls", ())) for message in messages]
    return [
        (f"{message['content'] or ''}>{called}" if called else message["content"])
        for message, called in zip(messages, calls, strict=True)
    ]


NO = "The person has not allowed this call, so it was not run."


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([ran("a"), ran("b"), ran("c", 2)], [">a+b", "of a", "of b", ">c", "of c"]),
        ([ran("a", None), ran("b", None)], [">a", "of a", ">b", "of b"]),
        ([answered("Look:"), ran("a"), answered("So.")], ["Look:>a", "of a", "So."]),
        ([ran("a"), answered("And:"), ran("b")], [">a", "of a", "And:>b", "of b"]),
        ([ran("a"), asked("b"), ANSWER, ran("b", approval_request_id="mcpr_b")], [">a+b", "of a", "of b"]),
        ([ran("a"), asked("b"), asked("c"), said("well?")], [">a+b+c", "of a", NO, NO, "well?"]),
        ([asked("b"), asked("c"), ANSWER], [">c", NO]),
        ([asked("q", **{"portal:question": True})], [">q", "The person has not answered this."]),
        ([ran("a", output=None, error="denied", status="failed")], [">a", "denied"]),
        ([ran("a", output="half", error="cut off", status="failed")], [">a", "half\n\ncut off"]),
    ],
)
def test_calls_that_portal_ran(items: list[dict[str, Any]], told: list[str]) -> None:
    messages = to_messages(items)
    assert outline(messages) == told
    made = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert made == [message["tool_call_id"] for message in messages if message["role"] == "tool"]


def test_a_clients_call_beside_one_that_portal_ran() -> None:
    theirs = {"type": "function_call", "call_id": "call_f", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_f", "output": "of f"}
    assert outline(to_messages([theirs, ran("a"), result])) == [">f+a", "of a", "of f"]


@pytest.mark.parametrize(
    ("request_", "parameters"),
    [
        ({}, {}),
        ({"text": {"format": {"type": "text"}}, "reasoning": None, "tools": []}, {}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"tools": [{"type": "function", "name": "f"}], "tool_choice": "required"}, {"tool_choice": "required"}),
        ({"tools": [{"type": "function", "name": "f"}]}, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
        (
            {
                "tools": [{"type": "function", "name": name} for name in "fg"],
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "g"}]},
            },
            {"tools": [{"type": "function", "function": {"name": "g"}}], "tool_choice": "auto"},
        ),
    ],
)
def test_parameters(request_: dict[str, Any], parameters: dict[str, Any]) -> None:
    made = to_parameters(request_)
    assert {**made, **parameters} == made
    assert bool(made) == bool(parameters)


def test_the_text_of_items() -> None:
    assert text_of(said("a")) == "a"
    assert text_of(message("user", "a")) == "a"
    assert text_of({"type": "function_call", "arguments": "{}"}) == "{}"
    assert text_of({"type": "function_call_output", "output": [{"text": "a"}, {"text": "b"}]}) == "ab"
    assert text_of({"type": "function_call_output", "output": "a"}) == "a"
    assert text_of({**answered(""), "content": [{"type": "refusal", "refusal": "no"}]}) == "no"


def test_tokens_are_estimated() -> None:
    assert (estimate(""), estimate("abcde"), estimate("日本語"), estimate("日本ab")) == (0, 2, 3, 3)
    picture = {"role": "user", "content": [{"image_url": {}}, {"type": "text", "text": "abcd"}]}
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}
    assert estimate_messages([picture]) == 4 + 800 + 1
    assert estimate_messages([call]) > 4


def test_ids_sort_by_creation_and_times_are_utc() -> None:
    ids = [new_id("resp") for _ in range(2000)]
    assert ids == sorted(set(ids))
    assert ids[0][5 + 12] == "7"
    assert ids[0][5 + 16] in "89ab"
    assert now().utcoffset() is not None
    assert seconds(micros(now())) == int(now().timestamp())
