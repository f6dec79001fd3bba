"""Pictures, video and music: the engines of the settings, and the worker that has them do jobs."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from portal.app.ground import Ground
from portal.core.health import Condition
from portal.core.media import EngineState, MediaJob, Studio
from portal.core.ports import Files
from portal.core.speech import Speech
from portal.core.tool_ports import Toolset
from portal.media.engines import engines
from portal.media.studio import MediaStudio

_LOOK = 30.0
"""Seconds between two looks at the engines."""
_TASKS: Mapping[str, frozenset[str]] = {
    "comfyui": frozenset({"image_generation", "video_generation", "audio"}),
    "openai_images": frozenset({"image_generation"}),
    "openai_music": frozenset({"audio"}),
}
"""What the kinds of engines are there for."""


class EngineWatch:
    """How the engines are, and for which tasks there is one. Of those that were found by themselves it is nobody's
    trouble when they go."""

    def __init__(self, studio: MediaStudio, speech: Speech | None) -> None:
        self._studio = studio
        self._speech = speech
        self._states: Sequence[EngineState] = ()
        self._tasks: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            self._states = await self._studio.states()
            there = [_TASKS.get(one.kind, frozenset()) for one in self._states if one.reachable]
            self._tasks = frozenset().union(*there, {"audio"} if self._speech and self._speech.models() else ())
            await asyncio.sleep(_LOOK)

    def makes(self, task: str) -> bool:
        """Whether an engine is there for a task, as of a moment ago."""
        return task in self._tasks

    def check(self) -> Iterator[Condition]:
        """See HealthCheck."""
        for one in self._states:
            yield Condition(
                kind="media_engine",
                name=one.name,
                state="ok" if one.reachable else "degraded",
                detail=one.problem,
                remedy="" if one.reachable else f"Start it at {one.url}, or take it out of the settings.",
            )


async def open_media(ground: Ground, speech: Speech | None = None) -> MediaStudio:
    """The studio; its worker ends with the ground. `speech` counts among the engines that the router knows of; a tool
    server that runs alone has none."""
    settings = ground.settings

    def changed(job: MediaJob) -> None:
        ground.bus.publish(job.owner, "media.changed", job_id=job.id, status=job.status)
        if job.status == "queued":
            ground.cluster.hurry("media")

    studio = MediaStudio(
        jobs=ground.storage.media_jobs,
        files=ground.storage.files,
        engines=engines(settings.media, data_dir=settings.data_dir, discovery=settings.discovery.enabled),
        settings=settings.media,
        changed=changed,
    )
    ground.stack.push_async_callback(studio.aclose)
    ground.cluster.works("media", studio.hurry)
    ground.on_duty(media=studio.run)
    watch = EngineWatch(studio, speech)
    if settings.media.engines:
        ground.health.add(watch.check)
    if settings.media.engines or speech is not None:
        ground.router.count_on(watch.makes)
        ground.keep_going(media_engines=watch.run)
    return studio


def media_toolsets(studio: Studio, files: Files) -> Sequence[Toolset]:
    """The families that make things, for who serves them beside those of the workspaces."""
    from portal.tools.images import ImageTools
    from portal.tools.music import MusicTools
    from portal.tools.video import VideoTools

    return [made(studio=studio, files=files) for made in (ImageTools, VideoTools, MusicTools)]
