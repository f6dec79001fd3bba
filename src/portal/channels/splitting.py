"""Long Markdown as several messages: cut where its structure allows, code blocks whole or apart as files."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*$", re.MULTILINE)
_ENDINGS = ("\n\n", "\n", ". ", " ")
_SHRINKS = 4
"""How many times longer than what is shown a text may be: one beyond that is not measured, which may take long."""
_SUFFIXES = {
    "": "txt",
    "bash": "sh",
    "c++": "cpp",
    "csharp": "cs",
    "go": "go",
    "html": "html",
    "java": "java",
    "javascript": "js",
    "json": "json",
    "markdown": "md",
    "python": "py",
    "rust": "rs",
    "shell": "sh",
    "sql": "sql",
    "typescript": "ts",
    "yaml": "yml",
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """A code block that is too long for a message."""

    name: str
    code: str


@dataclass(frozen=True, slots=True)
class Parts:
    """Messages in their order, and the code that they only name."""

    texts: Sequence[str]
    snippets: Sequence[Snippet] = ()


def split(text: str, limit: int, measure: Callable[[str], int] = len) -> Parts:
    """As few messages as its structure allows, none longer than `limit`."""
    packing = _Packing(limit, measure)
    for block, language in _blocks(text):
        packing.add(block, language)
    return packing.parts()


class _Packing:
    def __init__(self, limit: int, measure: Callable[[str], int]) -> None:
        self._limit, self._measure = limit, measure
        self._current = ""
        self._texts: list[str] = []
        self._snippets: list[Snippet] = []

    def add(self, block: str, language: str | None) -> None:
        if self._fits(self._current + block):
            self._current += block
        elif language is not None and not self._fits(block):
            snippet = Snippet(f"code-{len(self._snippets) + 1}.{_suffix(language)}", _inside(block))
            self._snippets.append(snippet)
            self.add(f"`{snippet.name}`\n", None)
        elif language is not None:
            self._close()
            self._current = block
        else:
            self._cut(block)

    def parts(self) -> Parts:
        self._close()
        return Parts(tuple(self._texts), tuple(self._snippets))

    def _cut(self, block: str) -> None:
        """As much of it as goes into this message, and the rest into others."""
        whole = self._current + block
        while not self._fits(whole):
            at = self._place(whole)
            self._current, whole = whole[:at], whole[at:]
            self._close()
        self._current = whole

    def _place(self, text: str) -> int:
        """Where to cut so that what is before fits: at the best ending in its second half, or else anywhere."""
        low, high = 1, len(text)
        if self._fits(text[: self._limit]) and not self._fits(text[: self._limit + 1]):
            low = high = self._limit  # the usual case, found at once
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._fits(text[:middle]) else (low, middle - 1)
        for ending in _ENDINGS:
            found = text.rfind(ending, low // 2, low)
            if found > 0:
                return found + len(ending)
        return low

    def _fits(self, text: str) -> bool:
        text = text.strip("\n")
        return len(text) <= _SHRINKS * self._limit and self._measure(text) <= self._limit

    def _close(self) -> None:
        text = self._current.lstrip("\n").rstrip()
        if text:
            self._texts.append(text)
        self._current = ""


def _blocks(text: str) -> Iterator[tuple[str, str | None]]:
    """Text and code blocks in turn; of a code block its language, of text None. The last fence may be open yet."""
    at = 0
    while opening := _FENCE.search(text, at):
        if opening.start() > at:
            yield text[at : opening.start()], None
        closing = re.compile(rf"^ {{0,3}}{re.escape(opening[1])}[ \t]*$", re.MULTILINE).search(text, opening.end())
        if closing is None:
            yield f"{text[opening.start() :].rstrip()}\n{opening[1]}\n", opening[2]
            return
        end = min(closing.end() + 1, len(text))
        yield text[opening.start() : end], opening[2]
        at = end
    if at < len(text):
        yield text[at:], None


def _inside(block: str) -> str:
    lines = block.strip("\n").split("\n")
    return "\n".join(lines[1:-1]) + "\n"


def _suffix(language: str) -> str:
    known = language.lower()
    return _SUFFIXES.get(known, known if re.fullmatch(r"[a-z0-9]{1,5}", known) else "txt")
