"""Pictures, video and music: the engines of the settings, and the worker that has them do jobs."""

from portal.app.ground import Ground
from portal.core.media import MediaJob
from portal.media.engines import engines
from portal.media.studio import MediaStudio


async def open_media(ground: Ground) -> MediaStudio:
    """The studio; its worker ends with the ground."""
    settings = ground.settings

    def changed(job: MediaJob) -> None:
        ground.bus.publish(job.owner, "media.changed", job_id=job.id, status=job.status)

    studio = MediaStudio(
        jobs=ground.storage.media_jobs,
        files=ground.storage.files,
        engines=engines(settings.media, data_dir=settings.data_dir, discovery=settings.discovery.enabled),
        settings=settings.media,
        changed=changed,
    )
    ground.stack.push_async_callback(studio.aclose)
    await ground.keep_going(studio.run())
    return studio
