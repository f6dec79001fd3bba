"""The live check of the first steps: looks for model servers until one has a model, while somebody is watching."""

import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any

from portal.cli.announcement import has_model
from portal.cli.client import Client
from portal.errors import PortalError

_FIRST_SECONDS = 3.0
_LONGEST_SECONDS = 60.0


def pauses() -> Iterator[float]:
    """Seconds before each look: ever longer ones, since each asks every server there is, with the person's key."""
    pause = _FIRST_SECONDS
    while True:
        yield pause
        pause = min(pause * 1.2, _LONGEST_SECONDS)


class Lookout:
    """Looks inside `with`, in a thread of its own. `found` is called there, once, with what is there then; never after
    the end of the block."""

    def __init__(
        self, client: Client, found: Callable[[dict[str, Any]], None], *, waits: Iterable[float] | None = None
    ) -> None:
        """`waits` are the seconds before each look; it ends with them."""
        self._client = client
        self._found = found
        self._waits = pauses() if waits is None else waits
        self._over = threading.Event()
        self._telling = threading.Lock()

    def __enter__(self) -> "Lookout":
        threading.Thread(target=self._look, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._telling:
            self._over.set()

    def _look(self) -> None:
        for pause in self._waits:
            if self._over.wait(pause):
                return
            try:
                seen = self._client.send("POST", "/portal/v1/models/refresh")
            except PortalError:  # the server may be ending, or be busy: there is another look
                continue
            if has_model(seen):
                with self._telling:
                    if not self._over.is_set():
                        self._found(seen)
                return
