"""What this door needs beside the core's ports; app.py hands it in."""

from collections.abc import Sequence
from typing import Protocol

from portal.core.ports import Backend


class Backends(Protocol):
    """The model servers in use."""

    def speaking(self, api: str) -> Sequence[Backend]:
        """Those that take this API's bytes and are there; where none is, those that ought to be."""

    async def look(self, name: str) -> None:
        """Ask this one for its models now."""

    def hurry(self, name: str) -> None:
        """Ask it soon."""
