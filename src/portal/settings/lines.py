"""Where in its file a setting stands."""

import re
from collections.abc import Sequence

_TABLE = re.compile(r"\s*(\[{1,2})\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\-\"' ]+?)\s*=")


def line_of(text: str, where: Sequence[str | int]) -> int | None:
    """The line of a TOML file, from 1, where a setting stands, or else the nearest thing around it."""
    wanted, best, found = [str(part) for part in where], 0, None
    table: list[str] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.match(line):
            table = _path(match[2])
            if match[1] == "[[":
                counts[match[2]] = counts.get(match[2], -1) + 1
                table.append(str(counts[match[2]]))
            here = table
        elif match := _KEY.match(line):
            here = [*table, *_path(match[1])]
        else:
            continue
        if len(here) > best and here == wanted[: len(here)]:
            best, found = len(here), number
    return found


def _path(text: str) -> list[str]:
    return [part.strip().strip("\"'") for part in text.split(".")]
