"""Pictures, video and music: the engines of the settings, and the worker that has them do jobs."""

import asyncio
from collections.abc import Iterator, Sequence

from portal.app.ground import Ground
from portal.core.health import Condition
from portal.core.media import EngineState, MediaJob, Studio
from portal.core.ports import Files
from portal.core.tool_ports import Toolset
from portal.media.engines import engines
from portal.media.studio import MediaStudio

_LOOK = 30.0
"""Seconds between two looks at the engines."""


class EngineWatch:
    """How the engines of the settings are; those that were found by themselves are nobody's trouble when they go."""

    def __init__(self, studio: MediaStudio) -> None:
        self._studio = studio
        self._states: Sequence[EngineState] = ()

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            self._states = await self._studio.states()
            await asyncio.sleep(_LOOK)

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


async def open_media(ground: Ground) -> MediaStudio:
    """The studio; its worker ends with the ground."""
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
    if settings.media.engines:
        watch = EngineWatch(studio)
        ground.health.add(watch.check)
        ground.keep_going(media_engines=watch.run)
    return studio


def media_toolsets(studio: Studio, files: Files) -> Sequence[Toolset]:
    """The families that make things, for who serves them beside those of the workspaces."""
    from portal.tools.images import ImageTools
    from portal.tools.music import MusicTools
    from portal.tools.video import VideoTools

    return [made(studio=studio, files=files) for made in (ImageTools, VideoTools, MusicTools)]
