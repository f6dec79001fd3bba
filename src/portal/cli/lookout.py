"""The live check of the first steps: looks for model servers until one has a model, while somebody is watching."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from portal.cli.announcement import answers_by_itself
from portal.cli.client import Client
from portal.errors import PortalError

LOOK_SECONDS = 3


class Lookout:
    """Looks inside `with`, in a thread of its own. `found` is called there, once, with what is there then; never after
    the end of the block."""

    def __init__(self, client: Client, found: Callable[[dict[str, Any]], None]) -> None:
        self._client = client
        self._found = found
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
        while not self._over.wait(LOOK_SECONDS):
            try:
                self._client.send("POST", "/portal/v1/models/refresh")
                seen = self._client.get("/portal/v1/models")
            except PortalError:  # the server may be ending, or be busy: there is another look
                continue
            if answers_by_itself(seen):
                with self._telling:
                    if not self._over.is_set():
                        self._found(seen)
                return
