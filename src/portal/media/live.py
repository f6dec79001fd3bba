"""What runs just now, and how those who watch hear of it."""

import asyncio
from dataclasses import replace

from portal.core.media import MediaJob, Picture, Progress


class Bell:
    """Wakes whoever waits for something to happen."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Something happened."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until it rings, or so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return


class Live:
    """A job that this server is doing."""

    def __init__(self, job: MediaJob, bell: Bell) -> None:
        self.job = job
        self.version = 0
        """Rises with all there is to tell."""
        self.work: asyncio.Task[MediaJob | None] | None = None
        self._bell = bell
        self._preview: Picture | None = None
        self._previews = 0

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return Progress(job=self.job, preview=self._preview, previews=self._previews)

    def tell(self, share: float, detail: str) -> None:
        """How far it is, from 0 to 1, and at what."""
        self.job = replace(self.job, progress=share, detail=detail)
        self._changed()

    def show(self, picture: Picture) -> None:
        """What it looks like so far."""
        self._preview, self._previews = picture, self._previews + 1
        self._changed()

    def _changed(self) -> None:
        self.version += 1
        self._bell.ring()
