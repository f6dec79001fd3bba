"""Markdown as Telegram's HTML. Whatever it is given, what comes out is balanced, escaped and not empty.

Written by hand instead of with a Markdown library because an answer is rendered once a second while it grows, and this
takes a fraction of the time. A text gets no longer by it, tables excepted, so that its own length bounds what is sent.
"""

import html
import re
from collections.abc import Callable, Iterator, Sequence

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
_HEADING = re.compile(r" {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$")
_RULE = re.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_ITEM = re.compile(r"([ \t]*)(?:[-*+]|(\d{1,9}[.)]))[ \t]+(?:\[([ xX])\][ \t]+)?(.*)$")
_QUOTE = re.compile(r" {0,3}> ?")
_CELLS = re.compile(r"(?<!\\)\|")
_DELIMITERS = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_HAS_TABLE = re.compile(r"^[ \t>]*\|?[ \t]*:?-+:?[ \t]*\|[-:| \t]*$", re.MULTILINE)
_MARKUP = re.compile(r"<[^>]*>")
_INVISIBLE = re.compile(
    r"[\s\x00-\x1f\x7f-\xa0\xad\u1680\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe0f\ufeff\ufffc]*"
)
_WIDEST_TABLE = 60
"""Columns of characters; a wider one is written as a list, since a phone would break its lines."""
_INLINE = re.compile(
    r"""\\(?P<escaped>[!-'*-/:-@^-`{-~])
    | (?P<ticks>`+)(?P<code>[^`].*?|(?=`))(?<!`)(?P=ticks)(?!`)
    | (?P<math>\$\$.{1,800}?\$\$ | \\\(.{1,800}?\\\) | \\\[.{1,800}?\\\])
    | (?P<image>!?)\[(?P<label>[^\[\]\n]*)\]
      \(\s*<?(?P<target>[^\s()<>]*(?:\([^\s()<>]*\)[^\s()<>]*)*)>?(?:\s+"[^"\n]*")?\s*\)
    | <(?P<address>https?://[^\s<>]+)>
    | \*\*\*(?=[^\s*])(?P<both>.{1,800}?)(?<=[^\s*])\*\*\*(?!\*)
    | \*\*(?=[^\s])(?P<strong>.{1,800}?)(?<=[^\s])\*\*(?!\*)
    | (?<!\w)__(?=\S)(?P<bold>.{1,800}?)(?<=\S)__(?!\w)
    | (?<!\*)\*(?=[^\s*])(?P<star>.{1,800}?)(?<=[^\s*])\*(?!\*)
    | (?<!\w)_(?=[^\s_])(?P<low>.{1,800}?)(?<=[^\s_])_(?!\w)
    | ~~(?=\S)(?P<gone>.{1,800}?)(?<=\S)~~""",
    re.VERBOSE | re.DOTALL,
)
_STYLES = {"both": ("b", "i"), "strong": ("b",), "bold": ("b",), "star": ("i",), "low": ("i",), "gone": ("s",)}
_SCHEMES = ("http://", "https://", "tg://", "mailto:")


def telegram_html(markdown: str) -> str:
    """The HTML of a piece of Markdown; three dots where nothing of it would be seen."""
    made = "\n".join(_blocks(_clean(markdown).split("\n"))).strip()
    return made if visible(plain(made)) else "…"


def plain(made: str) -> str:
    """The text that is left of our HTML once Telegram parsed it."""
    return html.unescape(_MARKUP.sub("", made))


def visible(text: str) -> bool:
    """Whether Telegram finds something to show in it."""
    return _INVISIBLE.fullmatch(text) is None


def units(text: str) -> int:
    """How Telegram counts characters: as UTF-16 has them."""
    return len(text.encode("utf-16-le", "replace")) // 2


def length(markdown: str) -> int:
    """How long a piece of Markdown is at most, once it is rendered and parsed."""
    if _HAS_TABLE.search(markdown) is None:
        return units(markdown)
    return max(units(plain(telegram_html(markdown))), 1)


def _clean(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    at, paragraph = 0, list[str]()
    while at < len(lines):
        begun = _block_at(lines, at)
        if begun is None:
            paragraph.append(lines[at])
            at += 1
            continue
        yield from _paragraph(paragraph)
        paragraph.clear()
        made, at = begun
        yield made
    yield from _paragraph(paragraph)


def _paragraph(lines: Sequence[str]) -> Iterator[str]:
    """Text, of which emphasis does not reach beyond an empty line."""
    if lines:
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines))
        yield "\n\n".join(_inline(part) for part in text.split("\n\n"))


def _block_at(lines: Sequence[str], at: int) -> tuple[str, int] | None:
    """What is more than text and begins in this line, and where the next thing begins."""
    line = lines[at]
    if (fence := _FENCE.match(line)) is not None:
        return _code(lines, at + 1, fence[1], fence[2])
    if (heading := _HEADING.match(line)) is not None:
        return (f"<b>{_inline(heading[1], {'b'})}</b>" if heading[1] else ""), at + 1
    if _RULE.match(line):
        return "———", at + 1
    if (item := _ITEM.match(line)) is not None:
        box = {None: "", " ": "☐ "}.get(item[3], "☑ ")
        mark = f"{item[2]} " if item[2] else "" if box else "• "
        return f"{item[1]}{mark}{box}{_inline(item[4])}", at + 1
    if _QUOTE.match(line):
        return _quote(lines, at)
    if "|" in line and at + 1 < len(lines) and _DELIMITERS.match(lines[at + 1]):
        return _table(lines, at)
    return None


def _code(lines: Sequence[str], at: int, fence: str, language: str) -> tuple[str, int]:
    """A block of code; the last one may not be closed yet."""
    end = at
    while end < len(lines) and not re.fullmatch(rf" {{0,3}}{re.escape(fence)}{re.escape(fence[0])}*[ \t]*", lines[end]):
        end += 1
    code = "\n".join(lines[at:end])
    if not visible(code):
        return "", end + 1
    named = re.fullmatch(r"[\w+#.-]{1,30}", language)
    inside = f'<code class="language-{_attribute(language)}">{_text(code)}</code>' if named else _text(code)
    return f"<pre>{inside}</pre>", end + 1


def _quote(lines: Sequence[str], at: int) -> tuple[str, int]:
    inside: list[str] = []
    while at < len(lines) and (mark := _QUOTE.match(lines[at])) is not None:
        inside.append(lines[at][mark.end() :])
        at += 1
    made = "\n".join(_blocks([_QUOTE.sub("", line) for line in inside])).strip("\n")
    made = made.replace("<blockquote>", "").replace("</blockquote>", "")  # Telegram does not nest them
    return f"<blockquote>{made}</blockquote>", at


def _table(lines: Sequence[str], at: int) -> tuple[str, int]:
    """In columns, or where it is wide a row as a list."""
    rows = [_cells(lines[at])]
    at += 2
    while at < len(lines) and "|" in lines[at]:
        rows.append(_cells(lines[at]))
        at += 1
    count = len(rows[0])
    rows = [[*row, *[""] * count][:count] for row in rows]
    shown = [[plain(_inline(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in shown) for column in range(count)]
    if sum(widths) + 3 * (count - 1) <= _WIDEST_TABLE:
        ruled = [shown[0], ["-" * width for width in widths], *shown[1:]]
        text = "\n".join(" | ".join(map(str.ljust, row, widths)).rstrip() for row in ruled)
        return f"<pre>{_text(text)}</pre>", at
    head = [_inline(cell, {"b"}) for cell in rows[0]]
    return "\n".join(_row(head, row) for row in rows[1:]) or f"<b>{' | '.join(head)}</b>", at


def _row(head: Sequence[str], row: Sequence[str]) -> str:
    named = [f"<b>{name}:</b> {_inline(cell)}" for name, cell in zip(head, row, strict=True) if cell]
    return "• " + "\n  ".join(named)


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|")
    inside = inside[:-1] if inside.endswith("|") and not inside.endswith("\\|") else inside
    return [cell.strip().replace("\\|", "|") for cell in _CELLS.split(inside)]


def _inline(text: str, within: frozenset[str] | set[str] = frozenset()) -> str:
    made: list[str] = []
    at = 0
    while (found := _INLINE.search(text, at)) is not None:
        made.append(_text(text[at : found.start()], references=True))
        made.append(_span(found, within))
        at = found.end()
    made.append(_text(text[at:], references=True))
    return "".join(made)


def _span(found: re.Match[str], within: frozenset[str] | set[str]) -> str:
    kind = found.lastgroup or ""
    for name, make in _SPANS.items():
        if found[name] is not None:
            return make(found)
    style = next(name for name in _STYLES if found[name] is not None)
    tags = [tag for tag in _STYLES[style] if tag not in within]
    inside = _inline(found[style], {*within, *_STYLES[style], kind})
    return "".join(f"<{tag}>" for tag in tags) + inside + "".join(f"</{tag}>" for tag in reversed(tags))


def _code_span(found: re.Match[str]) -> str:
    code = found["code"].replace("\n", " ")
    inside = code[1:-1] if code.startswith(" ") and code.endswith(" ") and code.strip() else code
    return f"<code>{_text(inside)}</code>"


def _link(found: re.Match[str]) -> str:
    target = found["target"]
    label = _text(found["label"], references=True) or _text(target)
    label = f"🖼 {label}" if found["image"] else label
    return f'<a href="{_attribute(target)}">{label}</a>' if target.startswith(_SCHEMES) else label


_SPANS: dict[str, Callable[[re.Match[str]], str]] = {
    "escaped": lambda found: _text(found["escaped"]),
    "code": _code_span,
    "math": lambda found: f"<code>{_text(found['math'])}</code>",
    "target": _link,
    "address": lambda found: f'<a href="{_attribute(found["address"])}">{_text(found["address"])}</a>',
}


def _text(text: str, *, references: bool = False) -> str:
    if references and "&" in text:
        text = html.unescape(text).encode("utf-8", "replace").decode().replace("\0", "")
    return html.escape(text, quote=False)


def _attribute(text: str) -> str:
    return html.escape(text, quote=True)
