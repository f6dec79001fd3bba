"""No sandbox: where programs cannot be run safely, or are not to be run at all."""

import asyncio
from pathlib import Path

from portal.core.sandbox import SandboxJob, SandboxResult
from portal.errors import ToolError
from portal.security.sandbox import folder


class NoSandbox:
    """Implements Sandbox where programs cannot be run safely: it runs none."""

    def __init__(self, *, reason: str) -> None:
        """`reason` says what to install."""
        self._reason = reason

    def refusal(self) -> str:
        """See Sandbox."""
        return self._reason

    async def run(self, job: SandboxJob) -> SandboxResult:
        """See Sandbox."""
        raise ToolError(self._reason)

    async def read(self, place: Path, name: str, largest: int) -> bytes:
        """See Sandbox."""
        return await asyncio.to_thread(folder.read, place, name, largest)
