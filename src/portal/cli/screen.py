"""Markdown that streams onto a terminal: what is finished is printed for good, only the last block is redrawn."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.markdown import Markdown
from rich.text import Text

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


class MarkdownScreen:
    """Write text inside `with`; leaving it prints the rest."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, transient=True, refresh_per_second=12, vertical_overflow="crop")
        self._pending = ""

    def __enter__(self) -> "MarkdownScreen":
        self._live.__enter__()
        return self

    def note(self, text: str) -> None:
        """What is being waited for; gone with the next text."""
        if not self._pending:
            self._live.update(Text(text, style="dim"))

    def line(self, text: str) -> None:
        """One line between pieces of the answer."""
        if self._pending.strip():
            self._live.console.print(Markdown(self._pending))
        self._pending = ""
        self._live.update(Text(""))
        self._live.console.print(Text(text, style="dim"))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it the terminal is somebody else's."""
        self.line("")
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    def write(self, text: str) -> None:
        """Add a piece of the answer."""
        done, self._pending = split_finished(self._pending + text)
        if done.strip():
            self._live.console.print(Markdown(done))
            self._live.console.print()
        self._live.update(Markdown(self._tail()))

    def _tail(self) -> str:
        """As much of the end of the pending block as fits on the screen, a code block kept one."""
        room = max(4, self._console.height - 4)
        lines = self._pending.splitlines()
        if len(lines) <= room:
            return self._pending
        opening = lines[:1] if _FENCE.match(lines[0]) else []
        return "\n".join([*opening, *lines[-room:]])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.update(Text(""))
        self._live.__exit__(kind, error, trace)
        if self._pending.strip():
            self._console.print(Markdown(self._pending))


def split_finished(text: str) -> tuple[str, str]:
    """The blocks that can change no more, and the rest: a blank line ends a block unless code is open."""
    end = len(text)
    while (end := text.rfind("\n\n", 0, end)) >= 0:
        if len(_FENCE.findall(text, 0, end + 1)) % 2 == 0:
            return text[: end + 2], text[end + 2 :]
    return "", text
