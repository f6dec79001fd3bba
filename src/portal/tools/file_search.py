"""Walking folders: what is in them, and what a search finds there. Bounded; links are not followed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from portal.tools.file_text import encoding_of
from portal.tools.folders import Place

TRASH = ".portal-trash"
UNSEEN = frozenset({TRASH, ".git"})
MOST_FILES = 50_000
_LARGEST_SEARCHED = 10 * 2**20
_MOST_SEARCHED = 2**30
"""Bytes of all files that one search reads."""


def walk(folder: Place, *, depth: int = 100, most: int = MOST_FILES, ignored: Ignored | None = None) -> Iterator[Place]:
    """What is below a folder, by name, folders before what they hold; `most` of it."""
    for entry in _inside(folder, depth, ignored):
        if most <= 0:
            return
        most -= 1
        yield entry


def _inside(folder: Place, depth: int, ignored: Ignored | None) -> Iterator[Place]:
    try:
        with os.scandir(folder.path) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        place = folder.below(entry.name)
        inner = entry.is_dir(follow_symlinks=False)
        if place.path == place.closed or (ignored and ignored(place, folder=inner)):
            continue
        yield place
        if inner and depth > 1 and entry.name not in UNSEEN:
            yield from _inside(place, depth - 1, ignored)


class Ignored:
    """Whether .gitignore files, from the granted folder down, leave something out."""

    def __init__(self) -> None:
        self._rules: dict[Path, list[_Rule]] = {}

    def __call__(self, place: Place, *, folder: bool) -> bool:
        """The deepest file that says something decides, and in it the last line."""
        if place.path.name in UNSEEN:
            return True
        for parent in place.relative.parents:
            names = place.relative.relative_to(parent).parts
            for rule in reversed(self._of(Place(place.root, parent, place.own))):
                if (folder or not rule.folders) and _fits(names, rule.parts):
                    return not rule.back
        return False

    def _of(self, folder: Place) -> list[_Rule]:
        if folder.path not in self._rules:
            try:
                text = folder.below(".gitignore").read(2**18).decode("utf-8", errors="replace")
            except OSError:
                text = ""
            lines = (line.rstrip() for line in text.splitlines())
            self._rules[folder.path] = [_rule(line) for line in lines if line.strip("/!") and line[0] != "#"]
        return self._rules[folder.path]


@dataclass(frozen=True, slots=True)
class _Rule:
    parts: tuple[str, ...]
    back: bool
    """Begins with `!`: it is not left out after all."""
    folders: bool


def _rule(line: str) -> _Rule:
    pattern = line.removeprefix("!")
    inner = pattern.removeprefix("\\").rstrip("/")
    parts = inner.lstrip("/").split("/") if "/" in inner else ["**", inner]
    return _Rule(tuple(parts), line.startswith("!"), pattern.endswith("/"))


class Search:
    """One search: by name, or for lines."""

    def __init__(self, *, name: str, text: str, limit: int) -> None:
        self._name, self._text, self._limit = name, text.casefold(), limit
        self._seen, self._read, self._over = 0, 0, False

    def found(self, folder: Place) -> Iterator[str]:
        """Paths, or `path:line: text`."""
        for count, line in enumerate(self._lines(folder)):
            if count == self._limit:
                self._over = True
                return
            yield line

    def notes(self) -> list[str]:
        """What the reader should know about bounds."""
        notes = ["... there is more; search for something narrower."] if self._over else []
        return [*notes, *(["... the folder is too large; not all was searched."] if self._too_large() else [])]

    def _too_large(self) -> bool:
        return self._seen >= MOST_FILES or self._read >= _MOST_SEARCHED

    def _lines(self, folder: Place) -> Iterator[str]:
        for place in walk(folder, ignored=Ignored()):
            self._seen += 1
            if self._too_large():
                return
            if not matches(place.relative.relative_to(folder.relative), self._name):
                continue
            if not self._text:
                yield place.shown
            elif place.path.is_file() and not place.path.is_symlink():
                yield from self._in_file(place)

    def _in_file(self, place: Place) -> Iterator[str]:
        try:
            data = place.read(_LARGEST_SEARCHED)
        except OSError:
            return
        self._read += len(data)
        encoding = encoding_of(data[: 2**16])
        text = data.decode(encoding, errors="replace") if encoding else ""
        if self._text not in text.casefold():
            return
        for number, line in enumerate(text.splitlines(), 1):
            if self._text in line.casefold():
                yield f"{place.shown}:{number}: {line.strip()[:200]}"


def matches(path: PurePath, pattern: str) -> bool:
    """Whether a path fits a pattern: with a slash the whole path, else its name. `**` goes over folders."""
    names = [name.lower() for name in path.parts]
    parts = pattern.lower().removeprefix("./").split("/")
    return _fits(names if len(parts) > 1 else names[-1:], parts)


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """In steps without backtracking, whoever wrote the pattern."""
    reached = {0}
    for part in parts:
        if part == "**":
            reached = set(range(min(reached, default=len(names) + 1), len(names) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(names) and fnmatchcase(names[at], part)}
    return len(names) in reached
