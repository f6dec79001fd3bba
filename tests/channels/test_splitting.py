"""Cutting long Markdown: nothing is lost, nothing is too long, code stays whole."""

from hypothesis import given
from hypothesis import strategies as st

from portal.channels.splitting import split

BLOCK = "```py\nprint(1)\nprint(2)\n```"


def test_what_fits_is_one_message() -> None:
    assert split("Hello", 10).texts == ("Hello",)
    assert split("", 10).texts == ()
    assert split(" \n\n ", 10).texts == ()


def test_text_is_cut_where_a_reader_would() -> None:
    assert split("One two.\n\nThree four.", 12).texts == ("One two.", "Three four.")
    assert split("One two three four", 10).texts == ("One two", "three four")
    assert split("x" * 25, 10).texts == ("x" * 10, "x" * 10, "x" * 5)


def test_code_goes_whole_into_the_next_message() -> None:
    assert split(f"Some words before.\n\n{BLOCK}\n\nAfter.", 40).texts == ("Some words before.", f"{BLOCK}\n\nAfter.")


def test_long_code_is_a_file_of_its_kind() -> None:
    for language, suffix in (("python", "py"), ("", "txt"), ("weird-language", "txt"), ("kt", "kt")):
        code = "\n".join(["some code"] * 20)
        parts = split(f"Look:\n```{language}\n{code}\n```\nDone.", 60)
        assert [(snippet.name, snippet.code) for snippet in parts.snippets] == [(f"code-1.{suffix}", code + "\n")]
        assert parts.texts == (f"Look:\n`code-1.{suffix}`\nDone.",)


def test_code_that_is_still_being_written_is_closed() -> None:
    assert split("Look:\n```py\nprint(1", 100).texts == ("Look:\n```py\nprint(1\n```",)


def test_fences_of_other_lengths() -> None:
    text = "~~~~\n```\ninside\n```\n~~~~"
    assert split(text, 100).texts == (text,)


def test_a_platform_measures_for_itself() -> None:
    assert split("😀" * 6, 8, lambda text: len(text.encode("utf-16-le")) // 2).texts == ("😀" * 4, "😀" * 2)


@given(st.text(alphabet="ab `\n~.#", max_size=300), st.integers(10, 60))
def test_no_message_is_too_long_or_empty_and_no_word_is_lost(text: str, limit: int) -> None:
    parts = split(text, limit)
    assert all(0 < len(part.strip("\n")) <= limit for part in parts.texts)
    kept = "".join(parts.texts) + "".join(snippet.code for snippet in parts.snippets)
    assert kept.count("a") >= text.count("a")
