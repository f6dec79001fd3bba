"""Text in files: which encoding it has, a part of it, an exact replacement in it."""

import codecs
import difflib
from collections import deque
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from itertools import islice
from typing import BinaryIO

from portal.errors import ToolError

_SAMPLE = 2**16
_LONGEST_LINE = 10_000
_MOST_LINES, _MOST_CHARACTERS = 10_000, 2**21
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def encoding_of(sample: bytes) -> str:
    """The encoding of a text by its beginning; empty where it is no text."""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if b"\0" in sample:
        return _wide(sample)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "" if sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in sample) else "cp1252"
    return "utf-8"


def _wide(sample: bytes) -> str:
    """UTF-16 without a mark: nearly every second byte is zero in most languages that use it."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < 0.4 * len(sample) / 2 or min(even, odd):
        return ""
    return "utf-16-le" if odd else "utf-16-be"


def excerpt(file: BinaryIO, *, first: int, lines: int, name: str, kind: str) -> str:
    """A heading and the lines. Only what is needed is read, so that a log of gigabytes is no harm."""
    sample = file.read(_SAMPLE)
    encoding = encoding_of(sample)
    if not encoding:
        raise ToolError(f"{name} is not text{f' but {kind}' if kind else ''}. Read documents and data by their tools.")
    file.seek(0)
    text = _lines(TextIOWrapper(file, encoding=encoding, errors="replace"))
    if first < 0:
        kept = list(_short(deque(text, maxlen=min(-first, _MOST_LINES))))[:lines]
        return f"[the last lines of {name}]\n{''.join(kept)}"
    start = max(first, 1)
    kept = list(_short(islice(text, start - 1, start - 1 + min(lines, _MOST_LINES))))
    more = next(text, None) is not None
    if not kept:
        return f"[{name} is empty]" if start == 1 else f"[{name} has fewer than {start} lines]"
    if start == 1 and not more:
        return "".join(kept)
    return (
        f"[lines {start}-{start + len(kept) - 1} of {name}{', more follow' if more else ', its end'}]\n{''.join(kept)}"
    )


def _short(lines: Iterable[str]) -> Iterator[str]:
    """As many as make no flood."""
    room = _MOST_CHARACTERS
    for line in lines:
        yield line
        room -= len(line)
        if room < 0:
            return


def _lines(text: TextIOWrapper) -> Iterator[str]:
    """Lines, the longest in pieces."""
    return iter(lambda: text.readline(_LONGEST_LINE), "")


def decoded(data: bytes, name: str) -> tuple[str, str]:
    """The whole text, line ends as they are, and its encoding. Raises ToolError for what would not survive it."""
    encoding = encoding_of(data[:_SAMPLE])
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        raise ToolError(f"{name} is not a text that can be edited.") from error
    if not encoding or encoded(text, encoding) != data:
        raise ToolError(f"{name} is not a text that can be edited.")
    return text, encoding


def encoded(text: str, encoding: str) -> bytes:
    """The bytes again; characters that the file's encoding lacks are an error."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise ToolError(f"The file is in {encoding}, which has no {text[error.start]!r}.") from error


def replaced(text: str, old: str, new: str, *, everywhere: bool) -> str:
    """`text` with `old` replaced; where the file has Windows line ends, the pieces get them too.

    Raises:
        ToolError: `old` is not there, or more than once and not `everywhere`; says where.
    """
    if not old:
        raise ToolError("Say which old text to replace; write_file writes a whole file.")
    if "\r\n" in text and "\r\n" not in old:
        old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
    count = text.count(old)
    if not count:
        raise ToolError(f"The old text is not in the file. {_nearest(text, old)}".strip())
    if count > 1 and not everywhere:
        raise ToolError(f"The old text is there {count} times ({_where(text, old)}): give more of what is around it.")
    return text.replace(old, new)


def _nearest(text: str, old: str) -> str:
    """The line most like the first one wanted."""
    lines, wanted = text.splitlines()[:5000], old.strip().splitlines()
    near = difflib.get_close_matches(wanted[0] if wanted else "", lines, n=1, cutoff=0.5)
    return f"Most alike is line {lines.index(near[0]) + 1}: {near[0][:300]!r}" if near else ""


def _where(text: str, old: str) -> str:
    lines: list[str] = []
    position = text.find(old)
    while position >= 0 and len(lines) < 5:
        lines.append(f"line {text.count(chr(10), 0, position) + 1}")
        position = text.find(old, position + len(old))
    return ", ".join(lines)


def changed(before: str, after: str, name: str) -> str:
    """What an edit did, as a short difference."""
    if before == after:
        return f"{name} stays as it is: the new text is the old one."
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, n=2, lineterm="")
    return "\n".join(islice(lines, 80))
