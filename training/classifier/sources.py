"""The labelled requests beside this file: `[label/language]`, then one request a line, turns separated by " >> "."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"
HELD_OUT, FILLERS, LEVELS = "held_out", "fillers", "levels"
SEPARATOR = " >> "


@dataclass(frozen=True)
class Request:
    """One line: the turn to judge is the last."""

    source: str
    label: str
    language: str
    turns: tuple[str, ...]


def _read(path: Path) -> Iterator[Request]:
    label = language = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if head := re.fullmatch(r"\[(\w+)/(\w+)\]", line):
            label, language = head.groups()
        elif line and not line.startswith("#"):
            yield Request(path.stem, label, language, tuple(line.replace("\\n", "\n").split(SEPARATOR)))


def requests(*, held_out: bool = False) -> list[Request]:
    """What may be trained on, or the hard requests that never are."""
    files = sorted(path for path in DATA.glob("*.txt") if path.stem not in (FILLERS, LEVELS))
    files = [path for path in files if not path.stem.startswith("words_")]
    return [one for path in files if (path.stem == HELD_OUT) is held_out for one in _read(path)]


def fillers() -> dict[str, list[str]]:
    """By language, what people say around a request."""
    found: dict[str, list[str]] = {}
    for one in _read(DATA / f"{FILLERS}.txt"):
        found.setdefault(one.language, []).append(one.turns[0])
    return found


def levels() -> list[tuple[str, bool]]:
    """Texts that are plainly easy or hard, and whether they are hard."""
    return [(one.turns[0], one.label == "hard") for one in _read(DATA / f"{LEVELS}.txt")]


def pairs(name: str) -> list[tuple[str, str]]:
    """The two columns of a word list."""
    lines = (DATA / f"words_{name}.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]
