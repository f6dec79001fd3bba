"""What to quote of a section: all of it where it is short, else the blocks that speak of what was asked."""

import re
from collections.abc import Callable, Sequence

LIMIT = 1200
"""Characters of a quotation, about; a single block is never cut except a table, by rows, and a list, by items."""
ROWS = 6

Weigh = Callable[[str], float]
"""How much a piece of text speaks of what was asked."""

_LISTED = re.compile(r"(?:[-*] |\d+\. )")


def quotation(text: str, weigh: Weigh) -> str:
    """The part of a section to quote, verbatim; left-out lines only within tables and lists."""
    if len(text) <= LIMIT:
        return text
    parts = blocks(text)
    first, last = _around(parts, max(range(len(parts)), key=lambda number: (weigh(parts[number]), -number)))
    while (wider := _widen(parts, first, last, weigh)) is not None:
        first, last = wider
    return "\n\n".join(_shortened(part, weigh) for part in parts[first : last + 1])


def blocks(text: str) -> list[str]:
    """Paragraphs, lists, tables and whole code blocks."""
    made: list[list[str]] = [[]]
    fenced = False
    for line in text.splitlines():
        if not line.strip() and not fenced:
            made.append([])
            continue
        fenced ^= line.startswith("```")
        made[-1].append(line)
    return ["\n".join(lines) for lines in made if lines]


def _around(parts: Sequence[str], best: int) -> tuple[int, int]:
    """The block with what it cannot do without: the sentence that leads to it, the example it announces."""
    first = best - 1 if best and not _prose(parts[best]) else best
    last = best + 1 if parts[best].endswith(":") and best + 1 < len(parts) else best
    return first, last


def _widen(parts: Sequence[str], first: int, last: int, weigh: Weigh) -> tuple[int, int] | None:
    """One block more, above or below, while there is room and it speaks of the question."""
    room = LIMIT - sum(len(part) for part in parts[first : last + 1])
    wider = [
        (weigh(parts[number]), span)
        for number, span in ((last + 1, (first, last + 1)), (first - 1, (first - 1, last)))
        if 0 <= number < len(parts) and len(parts[number]) <= room
    ]
    weight, span = max(wider, default=(0.0, None), key=lambda choice: choice[0])
    return span if weight > 0 else None


def _prose(block: str) -> bool:
    return not block.startswith(("```", "|")) and not _LISTED.match(block)


def _shortened(block: str, weigh: Weigh) -> str:
    """A long table or list, down to the lines that matter, in their order."""
    lines = block.splitlines()
    head = 2 if block.startswith("|") else 0
    if len(block) <= LIMIT // 2 or (not head and not _LISTED.match(block)) or len(lines) <= head + ROWS:
        return block
    ranked = sorted(range(head, len(lines)), key=lambda number: -weigh(lines[number]))
    kept = sorted(ranked[:ROWS] if weigh(lines[ranked[0]]) else range(head, head + ROWS))
    return "\n".join([*lines[:head], *(lines[number] for number in kept)])
