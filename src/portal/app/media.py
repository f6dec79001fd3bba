"""Pictures, video and music: the engines of the settings, and the worker that has them do jobs."""

from collections.abc import Sequence

from portal.app.ground import Ground
from portal.core.media import MediaJob, Studio
from portal.core.ports import Files
from portal.core.tool_ports import Toolset
from portal.media.engines import engines
from portal.media.studio import MediaStudio


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
    return studio


def media_toolsets(studio: Studio, files: Files) -> Sequence[Toolset]:
    """The families that make things, for who serves them beside those of the workspaces."""
    from portal.tools.images import ImageTools
    from portal.tools.music import MusicTools
    from portal.tools.video import VideoTools

    return [made(studio=studio, files=files) for made in (ImageTools, VideoTools, MusicTools)]
