"""What ComfyUI's socket tells while a job runs, as progress and previews."""

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from portal.core.media import Task
from portal.errors import MediaUnavailable
from portal.media.comfyui_api import preview

if TYPE_CHECKING:
    import aiohttp

_QUIET = 5.0
"""Seconds of silence after which the history is asked: another program may have taken our events."""
_ENDS = frozenset({"execution_success", "execution_error", "execution_interrupted"})
_NEARLY = 0.97
"""What remains to be done behind the last step: decoding, saving, fetching."""


class Watch:
    """Of one job."""

    def __init__(self, task: Task) -> None:
        self.share = 0.0
        """From 0 to 1, never less than before."""
        self.waiting = False
        """Whether it stands in ComfyUI's queue."""
        self._task = task

    async def listen(self, socket: "aiohttp.ClientWebSocketResponse", prompt_id: str) -> None:
        """Until the job of this id may have ended. Raises MediaUnavailable when the connection is gone."""
        from aiohttp import WSMsgType

        if self.waiting:
            self._task.progress(self.share, "waits in ComfyUI's queue")
        try:
            while True:
                async with asyncio.timeout(_QUIET):
                    message = await socket.receive()
                if message.type is WSMsgType.TEXT:
                    if self._ends(message.data, prompt_id):
                        return
                elif message.type is WSMsgType.BINARY:
                    self._show(message.data)
                else:
                    raise MediaUnavailable("ComfyUI closed the connection.")
        except TimeoutError:
            return

    def _ends(self, text: str, prompt_id: str) -> bool:
        try:
            event = json.loads(text)
            kind, data = event["type"], event["data"]
        except (ValueError, KeyError, TypeError):
            return False
        if not isinstance(data, Mapping) or data.get("prompt_id") != prompt_id:
            return False
        if kind == "progress":
            self._progress(data)
        return kind in _ENDS or (kind == "executing" and data.get("node") is None)

    def _progress(self, data: Mapping[str, Any]) -> None:
        done, most = data.get("value"), data.get("max")
        if isinstance(done, int | float) and isinstance(most, int | float) and most > 0:
            self.share = max(self.share, min(done / most, 1) * _NEARLY)
            self._task.progress(self.share, f"step {done:g} of {most:g}")

    def _show(self, frame: bytes) -> None:
        picture = preview(frame)
        if picture is not None:
            self._task.preview(picture)
