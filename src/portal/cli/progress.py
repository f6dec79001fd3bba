"""How far a long task is: a line that is rewritten on a terminal, a line per tenth elsewhere. On standard error."""

import sys
from types import TracebackType


class Progress:
    """Show it inside `with`; the last state stays on screen."""

    def __init__(self, label: str, *, unit: str) -> None:
        self._label, self._unit = label, unit
        self._told = -1
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def show(self, done: float, total: float) -> None:
        """`total` is 0 where it is not known."""
        share = f"{_plain(done)} of {_plain(total)} {self._unit}" if total else f"{_plain(done)} {self._unit}"
        tenth = int(10 * done / total) if total else int(done / 100)
        if self._terminal:
            sys.stderr.write(f"\r\033[K{self._label} {share}")
        elif tenth > self._told:
            sys.stderr.write(f"{self._label} {share}\n")
        self._told = max(self._told, tenth)
        sys.stderr.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal and self._told >= 0:
            sys.stderr.write("\n")


def _plain(number: float) -> str:
    """Whole numbers without a fraction, others with a digit."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:.1f}"
