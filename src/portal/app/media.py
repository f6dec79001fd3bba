"""Pictures, video and music: the engines of the settings, and the worker that has them do jobs."""

import asyncio
from contextlib import AsyncExitStack

from portal.core.bus import Bus
from portal.core.media import MediaJob
from portal.media.engines import engines
from portal.media.studio import MediaStudio
from portal.settings import Settings
from portal.storage.open import Storage


async def open_media(settings: Settings, storage: Storage, bus: Bus, stack: AsyncExitStack) -> MediaStudio:
    """The studio; its worker ends with the stack."""

    def changed(job: MediaJob) -> None:
        bus.publish(job.owner, "media.changed", job_id=job.id, status=job.status)

    studio = MediaStudio(
        jobs=storage.media_jobs,
        files=storage.files,
        engines=engines(settings.media, data_dir=settings.data_dir, discovery=settings.discovery.enabled),
        settings=settings.media,
        changed=changed,
    )
    stack.push_async_callback(studio.aclose)
    tasks = await stack.enter_async_context(asyncio.TaskGroup())
    stack.callback(tasks.create_task(studio.run(), name="media").cancel)
    return studio
