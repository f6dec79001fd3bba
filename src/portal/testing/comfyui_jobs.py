"""A job of the stand-in of ComfyUI, and what its nodes make."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.testing.media_files import flac, mp4, png

_SHORTEST = 8
"""Pixels of a side in a preview."""
_SIZED = ("EmptyLatentImage", "EmptySD3LatentImage", "EmptyImage", "Wan22ImageToVideoLatent")

Made = Mapping[str, Sequence[tuple[dict[str, str], bytes]]]


@dataclass(kw_only=True)
class Job:
    """One workflow in the queue."""

    id: str
    number: int
    graph: Mapping[str, Any]
    wanted: Sequence[str]
    client: str
    fault: Any = None
    begun: bool = False
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    messages: list[Any] = field(default_factory=list)

    @property
    def entry(self) -> list[Any]:
        """As `/queue` has it."""
        return [self.number, self.id, self.graph, {"client_id": self.client}, list(self.wanted)]

    @property
    def order(self) -> Sequence[str]:
        """What is done, each behind what it needs."""
        done: list[str] = []

        def visit(number: str) -> None:
            for value in self.graph[number]["inputs"].values():
                if isinstance(value, list):
                    visit(value[0])
            if number not in done:
                done.append(number)

        for number in self.wanted:
            visit(number)
        return done

    @property
    def heavy(self) -> str:
        """The node that takes the most: the sampler, else the last."""
        return next((one for one in self.order if "steps" in self.graph[one]["inputs"]), self.order[-1])

    def steps(self, number: str) -> Iterator[tuple[int, int]]:
        """What a node tells of its progress; also a workflow without a sampler has a first step."""
        most = int(self.graph[number]["inputs"].get("steps", 1))
        if number == self.heavy:
            yield from ((step, most) for step in range(1, most + 1))

    def history(self, outputs: Mapping[str, Any], status: str) -> dict[str, Any]:
        """As `/history` has it."""
        ended = {"status_str": status, "completed": status == "success", "messages": self.messages}
        return {"prompt": self.entry, "outputs": dict(outputs), "status": ended, "meta": {}}


class Painter:
    """What saving nodes make. Subclass it for files of another kind: hostile ones, or what a browser plays."""

    def picture(self, width: int, height: int, number: int) -> bytes:
        """One picture of a batch."""
        return png(width, height, (70, 110 + 20 * (number % 6), 180))

    def video(self) -> bytes:
        """A film."""
        return mp4()

    def sound(self) -> bytes:
        """A sound."""
        return flac()

    def preview(self, step: int, most: int) -> bytes:
        """What it looks like after a step."""
        return png(2 * _SHORTEST, _SHORTEST, (200 - 100 * step // max(most, 1), 110, 120))

    def made(self, job: Job, number: str, uploads: Mapping[str, bytes]) -> Made | None:
        """The files of a node, by the key under which ComfyUI tells of them; None for one that saves nothing."""
        kind, prefix = job.graph[number]["class_type"], job.graph[number]["inputs"].get("filename_prefix", "temp")
        if kind in ("SaveImage", "PreviewImage"):
            where = "output" if kind == "SaveImage" else "temp"
            width, height, count = self._size(job)
            made = [self.picture(width, height, one) for one in range(count)]
            return {
                "images": [(_file(f"{prefix}_{job.number:05}_{at}.png", where), one) for at, one in enumerate(made)]
            }
        if kind == "SaveVideo":
            return {"images": [(_file(f"{prefix}_{job.number:05}_.mp4", "output"), self.video())]}
        if kind.startswith("SaveAudio"):
            return {"audio": [(_file(f"{prefix}_{job.number:05}_.flac", "output"), self.sound())]}
        return None

    def _size(self, job: Job) -> tuple[int, int, int]:
        count = 1
        for one in job.order:
            inputs = job.graph[one]["inputs"]
            count = max(count, int(inputs.get("batch_size", 1)), int(inputs.get("amount", 1)))
        for one in job.order:
            if job.graph[one]["class_type"] in _SIZED:
                inputs = job.graph[one]["inputs"]
                return int(inputs["width"]), int(inputs["height"]), count
        return 512, 512, count


def _file(name: str, where: str) -> dict[str, str]:
    return {"filename": name, "subfolder": "", "type": where}
