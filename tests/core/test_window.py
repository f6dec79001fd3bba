from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from portal.core.tokens import estimate_messages
from portal.core.window import fit


def message(role: str, size: int = 5, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": "x" * 4 * size, **more}


def call(name: str) -> dict[str, Any]:
    tool = {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return {"role": "assistant", "content": None, "tool_calls": [tool]}


def result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "42"}


exchange = st.sampled_from(
    [
        [message("user"), message("assistant")],
        [message("user"), call("c"), result("c"), message("assistant", 30)],
        [message("user", 40), call("a"), result("a"), call("b"), message("system"), result("b")],
        [message("system", 3)],
        [message("assistant")],
        [message("user"), message("system")],
    ]
)


@given(
    parts=st.lists(exchange, max_size=8),
    window=st.integers(1, 400),
    limit=st.one_of(st.none(), st.integers(1, 1000)),
)
def test_what_stays_makes_sense(parts: list[list[dict[str, Any]]], window: int, limit: int | None) -> None:
    messages = [{**one, "at": at} for at, one in enumerate(one for part in parts for one in part)]
    chosen, dropped = fit(messages, window, {} if limit is None else {"max_tokens": limit})
    places = [one["at"] for one in chosen]
    assert places == sorted(places)
    assert dropped == len(messages) - len(chosen)
    last = max((one["at"] for one in messages if one["role"] == "user"), default=0)
    must = [one["at"] for one in messages if one["role"] == "system" or one["at"] >= last]
    assert set(must) <= set(places)
    for one in chosen:
        if one["role"] == "tool":
            calls = [c["id"] for other in chosen if other["at"] < one["at"] for c in other.get("tool_calls", ())]
            assert one["tool_call_id"] in calls
    if len(chosen) > len(must):
        assert estimate_messages(chosen) <= window


def test_the_newest_turns_stay() -> None:
    old, new = [message("user"), message("assistant", 60)], [message("user", 6), message("assistant")]
    chosen, dropped = fit([message("system"), *old, *new, message("user")], 100, {})
    assert chosen == [message("system"), *new, message("user")]
    assert dropped == 2


def test_an_answer_longer_than_the_window_still_leaves_room_for_history() -> None:
    messages = [message("user"), message("assistant"), message("user")]
    assert fit(messages, 100, {"max_tokens": 100_000}) == (messages, 0)


def test_nothing_is_nothing() -> None:
    assert fit([], 10, {}) == ([], 0)
