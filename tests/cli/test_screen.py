"""Markdown that streams: finished blocks are printed once, nothing is lost or doubled."""

import io

import pytest
from rich.console import Console

from portal.cli.screen import MarkdownScreen, split_finished


@pytest.mark.parametrize(
    ("text", "done", "rest"),
    [
        ("", "", ""),
        ("One line", "", "One line"),
        ("A\n\nB", "A\n\n", "B"),
        ("A\n\nB\n\nC", "A\n\nB\n\n", "C"),
        ("```\ncode\n\nmore", "", "```\ncode\n\nmore"),
        ("A\n\n```\ncode\n\nmore", "A\n\n", "```\ncode\n\nmore"),
        ("```\ncode\n\nmore\n```\n\nB", "```\ncode\n\nmore\n```\n\n", "B"),
    ],
)
def test_a_block_is_finished_at_a_blank_line_outside_code(text: str, done: str, rest: str) -> None:
    assert split_finished(text) == (done, rest)


def shown(*pieces: str, height: int = 24) -> str:
    """What stands on a plain output in the end: only what was printed for good."""
    console = Console(file=io.StringIO(), width=60, height=height)
    with MarkdownScreen(console) as screen:
        screen.note("loading")
        for piece in pieces:
            screen.write(piece)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_word_is_printed_once() -> None:
    said = shown("First ", "block.\n", "\nSecond **blo", "ck**.\n\n- one\n- two")

    assert [said.count(word) for word in ("First block.", "Second block.", "one", "two", "loading")] == [1, 1, 1, 1, 0]


def test_a_block_longer_than_the_screen_is_whole_in_the_end() -> None:
    lines = [f"line {number}" for number in range(100)]

    said = shown("```\n", *(f"{line}\n" for line in lines), "```\n", height=10)

    assert [line for line in lines if line not in said] == []


def test_text_longer_than_the_screen_is_whole_in_the_end() -> None:
    said = shown(*(f"word{number}\n" for number in range(50)), height=10)

    assert "word0" in said
    assert "word49" in said
