"""The looks of cells in an Excel file: one more is added where a cell needs another number format."""

from copy import deepcopy
from typing import Any

_NS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_FIRST_OWN = 164
_BUILT_IN = {"General": 0, "0": 1, "0.00": 2, "#,##0": 3, "#,##0.00": 4, "0%": 9, "0.00%": 10, "0.00E+00": 11, "@": 49}


class Styles:
    """The styles of one file, by number."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._looks = root.find(f"{{{_NS}}}cellXfs")
        self._made: dict[tuple[int, str], int] = {}

    def plain(self, style: int) -> bool:
        """Whether a style says nothing about how numbers are shown."""
        return str(self._look(style).get("numFmtId", "0")) == "0"

    def formatted(self, style: int, code: str) -> int:
        """The style that looks the same, with this number format."""
        key = style, code
        if key not in self._made:
            look = deepcopy(self._look(style))
            look.set("numFmtId", str(self._code(code)))
            look.set("applyNumberFormat", "1")
            self._looks.append(look)
            self._looks.set("count", str(len(self._looks)))
            self._made[key] = len(self._looks) - 1
        return self._made[key]

    def _look(self, style: int) -> Any:
        return self._looks[style if style < len(self._looks) else 0]

    def _code(self, code: str) -> int:
        if code in _BUILT_IN:
            return _BUILT_IN[code]
        held = self._root.find(f"{{{_NS}}}numFmts")
        if held is None:
            held = self._root.makeelement(f"{{{_NS}}}numFmts", {})
            self._root.insert(0, held)
        for one in held:
            if one.get("formatCode") == code:
                return int(one.get("numFmtId"))
        number = max([_FIRST_OWN - 1, *(int(one.get("numFmtId")) for one in held)]) + 1
        held.append(held.makeelement(f"{{{_NS}}}numFmt", {"numFmtId": str(number), "formatCode": code}))
        held.set("count", str(len(held)))
        return number
