"""Folding text to words, and the passage shown with a hit."""

import pytest

from portal.core.items import Item
from portal.storage.rows import from_json, to_json
from portal.storage.search import fold, is_prefix, phrases, searchable, snippet, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("... !?", []),
        ("Don't stop", ["don", "t", "stop"]),
        ("snake_case", ["snake", "case"]),
        ("Größe", ["grosse"]),
        ("ÀÉÎ", ["aei"]),
        ("你好 world", ["你", "好", "world"]),
        ("ガ", ["カ"]),
        ("한국", ["한", "국"]),
        ("x²", ["x2"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_folding_is_the_same_for_plain_and_accented_text() -> None:
    assert fold("RESUME") == fold("résumé")


def test_phrases_keep_together_what_stands_together() -> None:
    assert phrases("well-known  fact ... 你好") == [("well", "known"), ("fact",), ("你", "好")]


@pytest.mark.parametrize(("word", "expected"), [("ab", True), ("a", False), ("你", True)])
def test_single_letters_are_not_completed(word: str, expected: bool) -> None:
    assert is_prefix(word) is expected


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        ("short", "short", "short"),
        ("a\n\n b\tc", "b", "a b c"),
        ("x" * 500, "zz", "x" * 160 + "…"),
        ("nothing of it", "absent", "nothing of it"),
        ("word " * 100 + "Éclair", "... eclair", "…" + ("word " * 8) + "Éclair"),
        ("word " * 100 + "(Paris)", "( paris", "…" + "word " * 7 + "ord (Paris)"),
    ],
)
def test_snippets(body: str, query: str, expected: str) -> None:
    found = snippet(body, query)
    assert len(found) <= 162
    if "Paris" in body:
        assert "Paris" in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"type": "message", "role": "user", "content": "plain"}, "plain"),
        ({"type": "message", "role": "system", "content": "hidden"}, ""),
        ({"type": "reasoning", "content": []}, ""),
        ({"type": "message", "role": "assistant", "content": []}, ""),
        ({"type": "message", "role": "user", "content": "x" * 200_000}, "x" * 100_000),
    ],
)
def test_what_is_searched(item: Item, expected: str) -> None:
    assert searchable(item) == expected


@pytest.mark.parametrize("value", [{"a": [1, "é", None, 1.5]}, "\ud800", 2**70, {"deep": {"\ud800": 2**65}}])
def test_any_json_can_be_kept(value: object) -> None:
    again = from_json(to_json(value))
    assert again is not None
    if value == {"a": [1, "é", None, 1.5]}:
        assert again == value
