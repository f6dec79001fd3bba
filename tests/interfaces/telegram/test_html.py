"""Markdown for Telegram, judged by the stand-in's parser of entities."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.channels.splitting import split
from portal.interfaces.telegram.html import length, plain, telegram_html, units
from portal.testing.telegram_entities import parse_html, utf16, visible

PIECES = st.sampled_from(
    """* ** *** _ __ ~~ ~ ` `` ``` ~~~ > >> # ## - + 1. | --- |-|-| :-: [ ] ( ) [a](b) ![x](http://y) <b> </b> <a href="
    & &lt; &#0; &#xD800; \\ \\( \\) \\[ \\] $$ $ \\| 😀 é a b [ ] [x] http://x.y \u200b \u2800""".split(" ")  # noqa: SIM905
) | st.sampled_from(["\n", "\n\n", " ", "    ", "\t", "\r\n", "\0", "\ud83d", "&nbsp;", "\u3164"])
ODD = st.lists(PIECES | st.text(max_size=3), max_size=40).map("".join) | st.text(st.characters(), max_size=200)


@given(ODD)
def test_nothing_is_ever_refused(markdown: str) -> None:
    made = telegram_html(markdown)
    text, _ = parse_html(made)
    assert visible(text)
    assert utf16(text.strip()) <= max(length(markdown), 1)
    assert text == plain(made)


@pytest.mark.parametrize(
    ("markdown", "made"),
    [
        (
            "**bold** and *it* ~~no~~ __b__ _i_ ***both***",
            "<b>bold</b> and <i>it</i> <s>no</s> <b>b</b> <i>i</i> <b><i>both</i></b>",
        ),
        ("**a *b* c** **not closed", "<b>a <i>b</i> c</b> **not closed"),
        ("2 * 3 * 4 and snake_case_name and 1 < 2 & 3", "2 * 3 * 4 and snake_case_name and 1 &lt; 2 &amp; 3"),
        ("`a < b` ``x ` y`` `` ` ``", "<code>a &lt; b</code> <code>x ` y</code> <code>`</code>"),
        ("# Title #\ntext\n## **Two**", "<b>Title</b>\ntext\n<b>Two</b>"),
        ("- a\n  - b\n1. c\n- [ ] todo\n- [x] done\n---", "• a\n  • b\n1. c\n☐ todo\n☑ done\n———"),
        ("> a **b**\n> > c\nend", "<blockquote>a <b>b</b>\nc</blockquote>\nend"),
        (
            '[x & y](https://a.b/(c)?d="e) [no](javascript:alert(1)) ![pic](https://a.b/p.png)',
            '<a href="https://a.b/(c)?d=&quot;e">x &amp; y</a> no <a href="https://a.b/p.png">🖼 pic</a>',
        ),
        ("<https://a.b> \\*x\\* &copy; <b>", '<a href="https://a.b">https://a.b</a> *x* © &lt;b&gt;'),
        (
            "```python\nif a < b:\n    **x**\n```\nafter",
            '<pre><code class="language-python">if a &lt; b:\n    **x**</code></pre>\nafter',
        ),
        ("```\nopen", "<pre>open</pre>"),
        ('~~~ a"b c\nx\n~~~', "<pre>x</pre>"),
        ("| a | b |\n|---|:-:|\n| 1 | `2\\|3` |\n| 4 |", "<pre>a | b\n- | ---\n1 | 2|3\n4 |</pre>"),
        ("Area \\(\\pi r^2\\) and $$x$$", "Area <code>\\(\\pi r^2\\)</code> and <code>$$x$$</code>"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("\u200b\n```\n```", "…"),
        ("[](https://a.b)", '<a href="https://a.b">https://a.b</a>'),
    ],
)
def test_what_it_makes(markdown: str, made: str) -> None:
    assert telegram_html(markdown) == made


def test_a_wide_table_is_a_list() -> None:
    wide = "x" * 40
    made = telegram_html(f"| Name | Words |\n|---|---|\n| {wide} | {wide} |\n| b | |")
    assert made == f"• <b>Name:</b> {wide}\n  <b>Words:</b> {wide}\n• <b>Name:</b> b"
    assert telegram_html(f"| {wide} | {wide} |\n|---|---|") == f"<b>{wide} | {wide}</b>"


def test_length_is_in_utf16() -> None:
    assert units("a😀\ud83d") == 4
    assert length("**😀**") == 6
    table = "|a|b|\n|-|-|\n|a long cell|x|\n"
    assert length(table) == utf16(parse_html(telegram_html(table))[0])


@given(ODD)
def test_what_is_split_fits(markdown: str) -> None:
    for part in split(markdown, 60, length).texts:
        text, _ = parse_html(telegram_html(part))
        assert utf16(text.strip()) <= 60
