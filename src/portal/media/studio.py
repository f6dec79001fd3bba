"""The studio: takes orders, has engines do the jobs one after another, and keeps what comes of them.

A job is in the database before anything happens. A server that starts takes up what its crash left: the engine's own
job is found again by its id. Of a job that is held, the time is renewed while it is done; what nobody renews is taken
up by whoever looks next.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from portal.core.clock import micros
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.core.media import (
    ENDED,
    EngineState,
    Kind,
    MediaEngine,
    MediaJob,
    MediaJobs,
    MediaQueue,
    Order,
    Picture,
    Progress,
    Recipe,
    Task,
)
from portal.core.ports import Files
from portal.core.records import FileRecord
from portal.core.terms import calling
from portal.errors import Conflict, MediaError, NotFound, PortalError, StorageError, StorageUnavailable
from portal.media import content
from portal.media.live import Bell, Live
from portal.media.orders import chosen, settled
from portal.settings.media import MediaSettings

log = logging.getLogger(__name__)

_HOLD = 60_000_000
"""Microseconds for which a job is held."""
_RENEW = 10.0
_IDLE = 30.0
"""Seconds until the queue is looked into unasked: another server may have left a job."""
_LOOK = 2.0
"""Seconds between two looks at a job that another server does."""
_SOURCE = 64 * 2**20
"""Bytes of a picture to start from."""
_CHUNK = 2**20


class Store(MediaJobs, MediaQueue, Protocol):
    """Jobs and their queue."""


class MediaStudio:
    """See Studio."""

    def __init__(
        self,
        *,
        jobs: Store,
        files: Files,
        engines: Sequence[MediaEngine],
        settings: MediaSettings,
        changed: Callable[[MediaJob], None],
    ) -> None:
        """`changed` is called when a job begins or ends."""
        self.jobs = jobs
        self._files = files
        self._engines = {one.name: one for one in engines}
        self._settings = settings
        self._changed = changed
        self._bell = Bell()
        self._live: dict[str, Live] = {}
        self._closing = False

    # ------------------------------------------------------------------ orders

    @property
    def local(self) -> bool:
        """See Studio."""
        return all(one.local for one in self._engines.values())

    @property
    def closing(self) -> bool:
        """See Studio."""
        return self._closing

    @property
    def patience(self) -> float:
        """See Studio."""
        return self._settings.timeout

    async def recipes(self, kind: Kind | None = None) -> Sequence[Recipe]:
        """See Studio."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(one.recipes()) for one in self._engines.values()]
        found = [recipe for one in asked for recipe in one.result() if kind in (None, recipe.kind)]
        return sorted(found, key=lambda one: not one.ready)

    async def states(self) -> Sequence[EngineState]:
        """Every engine, with its hardware."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(one.state()) for one in self._engines.values()]
        return [one.result() for one in asked]

    def hurry(self) -> None:
        """There is a job."""
        self._bell.ring()

    async def order(self, owner: str, order: Order) -> Sequence[MediaJob]:
        """See Studio."""
        recipe = chosen(await self.recipes(order.kind), order)
        each = settled(recipe, order)
        for file_id in order.pictures.values():
            await self._picture(owner, file_id)
        calling(owner, recipe.name, by_name=not order.call_id)
        jobs = [
            MediaJob(
                id=new_id("media"),
                owner=owner,
                kind=order.kind,
                recipe=recipe.name,
                engine=recipe.engine,
                values=values,
                pictures=dict(order.pictures),
                call_id=order.call_id,
                created_at=micros(),
            )
            for values in each
        ]
        for job in jobs:
            await self.jobs.add(job)
            self._changed(job)
        self._bell.ring()
        return jobs

    async def follow(self, owner: str, job_id: str) -> AsyncIterator[Progress]:
        """See Studio."""
        job, seen = await self.jobs.get(owner, job_id), -1
        while job.status not in ENDED:
            live = self._live.get(job_id)
            if live is None:
                yield Progress(job=job)
            elif live.version != seen:
                seen = live.version
                yield live.progress
            await self._bell.wait(_LOOK)
            if job_id not in self._live:
                job = await self.jobs.get(owner, job_id)
        yield Progress(job=job)

    async def cancel(self, owner: str, job_id: str) -> MediaJob:
        """See Studio."""
        job = await self.jobs.cancel(owner, job_id, micros())
        live = self._live.get(job_id)
        if live is not None and live.work is not None:
            live.work.cancel()
        await self._stop(live.job if live else job)
        self._changed(job)
        self._bell.ring()
        return job

    def preview(self, job_id: str) -> Picture | None:
        """What a job that runs here looks like so far. The caller has asked whose it is."""
        live = self._live.get(job_id)
        return live.progress.preview if live else None

    # ------------------------------------------------------------------ work

    def close(self) -> None:
        """From here on a job that is left alone goes on at its engine."""
        self._closing = True

    async def aclose(self) -> None:
        """Release the engines' connections."""
        for one in self._engines.values():
            await one.aclose()

    async def run(self) -> None:
        """Do jobs, until cancelled."""
        with suppress(StorageError):
            await self.jobs.release(micros())
        async with asyncio.TaskGroup() as lanes:
            for _ in range(self._settings.parallel):
                lanes.create_task(self._lane())

    async def _lane(self) -> None:
        while True:
            try:
                now = micros()
                job = await self.jobs.claim(now, now + _HOLD)
                if job is not None:
                    await self._do(job)
                    continue
            except StorageError:
                log.exception("a media job could not be kept: it will be taken up again")
            await self._bell.wait(_IDLE)

    async def _do(self, job: MediaJob) -> None:
        live = self._live[job.id] = Live(job, self._bell)
        self._changed(job)
        try:
            async with asyncio.TaskGroup() as tasks:
                live.work = tasks.create_task(self._made(live))
                holding = tasks.create_task(self._hold(live))
                await asyncio.wait([live.work])
                holding.cancel()
            if not live.work.cancelled() and (ended := live.work.result()):
                await self._end(ended)
        finally:
            if self._live.get(job.id) is live:  # else it was held too long, and another lane has it
                del self._live[job.id]
            self._bell.ring()

    async def _hold(self, live: Live) -> None:
        """Renew, and store how far it is; a job that was stopped elsewhere is stopped here, and one that another has
        taken up is left to it."""
        while True:
            await asyncio.sleep(_RENEW)
            with suppress(StorageError):
                if not await self.jobs.change(live.job, micros() + _HOLD) and live.work is not None:
                    if await self._newest(live.job) is None:
                        await self._stop(live.job)
                    live.work.cancel()
                    return

    async def _newest(self, job: MediaJob) -> MediaJob | None:
        """How it is by now where another has taken it up; None where it was stopped, or deleted."""
        with suppress(NotFound):
            newest = await self.jobs.get(job.owner, job.id)
            return newest if newest.status != "cancelled" else None
        return None

    async def _end(self, ended: MediaJob) -> None:
        """Store how it ended; what came of one that was stopped in the last moment is not kept, nor what comes twice
        where another has taken it up."""
        if await self.jobs.change(ended, 0):
            self._changed(ended)
            return
        newest = await self._newest(ended)
        theirs = newest.results if newest else ()
        for one in ended.results:
            if one not in theirs:
                with suppress(NotFound):
                    await self._files.delete(ended.owner, one["file_id"])

    async def _made(self, live: Live) -> MediaJob | None:
        """The job as it ended; None where the database is away: it is taken up again. Nothing is raised."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                results = await self._results(live)
            return replace(live.job, status="done", progress=1.0, detail="", results=results, ended_at=micros())
        except TimeoutError:
            await self._stop(live.job)
            limit = f"{self._settings.timeout:g} seconds"
            return _failed(live.job, MediaError(f"It was not done within {limit} and was stopped.", code="timed_out"))
        except StorageUnavailable as error:
            log.warning("a media job could not be kept and will be taken up again: %s", error.message)
            return None
        except PortalError as error:
            return _failed(live.job, error)
        except Exception:  # the boundary of a job: whatever an engine sends ends it, not the queue
            log.exception("a media job failed unexpectedly", extra={"job": live.job.id})
            return _failed(live.job, MediaError("It failed for a reason of Portal's own; its log has it."))

    async def _results(self, live: Live) -> Sequence[JsonObject]:
        job = live.job
        engine = self._engines.get(job.engine)
        if engine is None:
            raise MediaError(f"The engine {job.engine!r} is no longer in the settings.", code="engine_unavailable")

        async def begun(engine_job: str) -> None:
            live.job = replace(live.job, engine_job=engine_job)
            if not await self.jobs.change(live.job, micros() + _HOLD):
                raise Conflict("The job was stopped.", code="job_ended")

        pictures = {name: await self._picture(job.owner, file_id) for name, file_id in job.pictures.items()}
        task = Task(
            recipe=job.recipe,
            values=job.values,
            pictures=pictures,
            engine_job=job.engine_job,
            begun=begun,
            progress=live.tell,
            preview=live.show,
        )
        made = await engine.make(task)
        for number, one in enumerate(made, 1):
            if number > len(live.job.results):
                await self._keep(live, one, number)
        return live.job.results

    async def _keep(self, live: Live, made: Picture, number: int) -> None:
        """Stored as one of the job's at once: whatever becomes of the others, a restart does not keep it twice, and it
        goes with the job."""
        kept = await self._kept(live.job, made, number)
        live.job = replace(live.job, results=(*live.job.results, kept))
        if not await self.jobs.change(live.job, micros() + _HOLD):
            raise Conflict("The job was stopped.", code="job_ended")

    async def _stop(self, job: MediaJob) -> None:
        engine = self._engines.get(job.engine)
        if engine is not None and job.engine_job:
            await engine.stop(job.engine_job)

    # ------------------------------------------------------------------ files

    async def _picture(self, owner: str, file_id: str) -> Picture:
        """A picture of the user's. Raises NotFound, or MediaRefused for what is none."""
        record, data = await self._files.get(owner, file_id), bytearray()
        if record.size <= _SOURCE:
            async for chunk in self._files.content(owner, file_id):
                data += chunk
        found = await asyncio.to_thread(content.picture, bytes(data), max_pixels=self._settings.max_pixels)
        return Picture(data=found.data, content_type=found.content_type, name=record.filename)

    async def _kept(self, job: MediaJob, made: Picture, number: int) -> JsonObject:
        name = f"{_slug(job.prompt) or job.kind}-{number}.{made.name.rpartition('.')[2]}"
        record = FileRecord(
            id=new_id("file"),
            owner=job.owner,
            filename=name,
            purpose="user_data",
            size=0,
            sha256="",
            content_type=made.content_type,
            created_at=micros(),
        )
        stored = await self._files.create(record, _chunks(made.data))
        size = (
            await asyncio.to_thread(_size, made, self._settings.max_pixels)
            if made.content_type.startswith("image/")
            else {}
        )
        return {
            "file_id": stored.id,
            "filename": stored.filename,
            "content_type": stored.content_type,
            "size": stored.size,
            **size,
        }


def _failed(job: MediaJob, error: PortalError) -> MediaJob:
    return replace(job, status="failed", error=error.message, code=error.code or "", ended_at=micros())


def _size(made: Picture, max_pixels: int) -> Mapping[str, int]:
    found = content.read(made.data, max_pixels=max_pixels)
    return {"width": found.width, "height": found.height}


def _slug(prompt: str) -> str:
    return "-".join(re.findall(r"\w+", prompt.lower())[:6])[:48]


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]
