"""How the columns of a table look best: where their text stands and how wide they are."""

from portal.tools.office.content import Table, plain

_NUMERIC = set("0123456789.,+-−%€$£ ()")
_LOOKED_AT = 200


def sides(table: Table) -> list[str]:
    """left, right or center for each column; numbers stand to the right."""
    given = [*table.align, *[""] * len(table.head)]
    return [given[at] or _side(table, at) for at in range(len(table.head))]


def widths(table: Table, whole: int) -> list[int]:
    """Parts of the whole, after how much the columns hold."""
    rows = (table.head, *table.rows[:_LOOKED_AT])
    wants = [_want([plain(row[at]) for row in rows if at < len(row)]) for at in range(len(table.head))]
    return [max(int(whole * want / sum(wants)), whole // 60) for want in wants]


def _want(cells: list[str]) -> float:
    lengths = [len(one) for one in cells]
    longest = max((len(word) for one in cells for word in one.split()), default=1)
    return max(min(longest, 30) + 2, min(max(lengths), 20 + sum(lengths) / len(lengths)), 4)


def _side(table: Table, column: int) -> str:
    cells = [plain(row[column]).strip() for row in table.rows if column < len(row)]
    known = [one for one in cells if one]
    return "right" if known and all(_NUMERIC.issuperset(one) for one in known) else "left"
