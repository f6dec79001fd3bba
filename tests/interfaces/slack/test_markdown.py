"""Markdown to Slack: never refused, and nobody is called by it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.channels.splitting import split
from portal.core.channels import Button, Content, Outgoing
from portal.interfaces.slack.blocks import body, home_view, nonce_of, plain_body
from portal.interfaces.slack.markdown import LONGEST, escaped, mrkdwn, rendered, sections, size, written
from portal.testing.slack_server_rules import Refused, check_blocks, check_content, check_view

ODD = st.sampled_from(
    ["```", "```python\nx = 1\n```", "**", "~~", "`", "<!channel>", "<@U1>", "<#C1|x>", "[a](http://b)", "![i](https://c)",
     "# h\n", "- a\n", "> q\n",
     "| a | b |\n|---|---|\n", "\x00", "\u200b", "&amp;", "<", "\n\n", "*", "_", "\ud83d", "é"]
)  # fmt: skip
ANSWERS = st.lists(st.one_of(ODD, st.text(max_size=50), st.integers(1, 4000).map(lambda n: "word " * n)), max_size=12)
BUTTONS = st.lists(st.lists(st.builds(Button, action=st.just("choose"), value=st.text(max_size=40), label=st.text()),
                            max_size=30), max_size=60)  # fmt: skip


@given(ANSWERS.map("".join), BUTTONS)
@settings(max_examples=150, deadline=None)
def test_no_answer_is_refused(answer: str, buttons: list[list[Button]]) -> None:
    for part in split(answer, LONGEST, size).texts or [""]:
        said = body(Outgoing(text=part, buttons=buttons))
        check_content(said, longest=4000)
        assert "<!channel>" not in said["blocks"][0]["text"]
    check_content(plain_body(Outgoing(text=answer, buttons=buttons)), longest=4000)
    check_view(home_view(Content(text=answer, buttons=buttons)), kind="home")
    said = rendered(answer)
    said.encode()
    assert not re.search(r"<[!@#]\w", said)


@given(st.lists(st.text(alphabet="<!@#channelU1>ab ", max_size=8), min_size=1, max_size=6))
@settings(deadline=None)
def test_a_call_is_none_in_pieces_either(pieces: list[str]) -> None:
    assert not re.search(r"<[!@#]\w", "".join(rendered(piece) for piece in pieces if piece.strip()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("**bold** and *it* and ~~gone~~", "*bold* and _it_ and ~gone~"),
        ("# Title\n- one\n- two", "*Title*\n• one\n• two"),
        ("[Portal](https://portal.example)", "<https://portal.example|Portal>"),
        ("![](https://portal.example/a.png)", "<https://portal.example/a.png>"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("> quoted", "> quoted"),
        ("```python\nif a < b: **x**\n```", "```\nif a &lt; b: **x**\n```"),
        ("see `a*b*c` here", "see `a*b*c` here"),
        ("<!channel>", "&lt;!channel&gt;"),
        ("## **Bold title** ##", "*Bold title*"),
        ("```\nopen", "```\nopen\n```"),
    ],
)
def test_markdown_as_mrkdwn(text: str, expected: str) -> None:
    assert mrkdwn(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<@U0BOT> hello", "hello"),
        ("<@U0BOT|portal>, hello", "hello"),
        ("hello <@U0BOT>", "hello @U0BOT"),
        (
            "look at <https://a.example|this> and <https://b.example>",
            "look at [this](https://a.example) and https://b.example",
        ),
        ("<!here> in <#C1|general> with <@U2>", "@here in #general with @U2"),
        ("a &lt; b &amp;&amp; c &gt; d", "a < b && c > d"),
        ("&amp;lt;", "&lt;"),
    ],
)
def test_what_people_write(text: str, expected: str) -> None:
    assert written(text, "U0BOT") == expected


def test_pieces_fit_sections() -> None:
    pieces = sections("x" * 7000 + "\n" + "line\n" * 1000)
    assert all(0 < len(piece) <= 3000 for piece in pieces)
    assert "".join(pieces).replace("\n", "") == "x" * 7000 + "line" * 1000
    check_blocks([{"type": "section", "text": {"type": "plain_text", "text": piece}} for piece in pieces[:4]])
    assert escaped("<b>&") == "&lt;b&gt;&amp;"


def test_what_is_not_ours_has_no_name() -> None:
    assert nonce_of({}) is None
    assert nonce_of({"metadata": {"event_type": "other", "event_payload": {"nonce": "x"}}}) is None
    with pytest.raises(Refused):
        check_content({"text": ""})
