"""Workers that read documents: each takes the next one from the durable queue and stores it whole. What is killed in
the middle is begun again after the next start."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace

from portal.core.clock import micros
from portal.core.collections import DocumentRecord, DocumentStatus, ErrorCode, Job, Problem, ReadingQueue
from portal.errors import BackendError, BadRequest, Conflict, NotFound, PortalError, StorageError, TooLarge
from portal.knowledge.making import Making

log = logging.getLogger(__name__)

_SECOND = 1_000_000
_LEASE = 60 * _SECOND
"""How long a claim lasts that nobody renews."""
_IDLE = 10.0
"""Seconds after which the queue is looked at although nobody called: for another server's documents, and retries."""
_ATTEMPTS = 4
_PAUSE = 5 * _SECOND
"""Until a document is tried again for the first time."""

Changed = Callable[[DocumentRecord, DocumentStatus, float], None]


class Ingest:
    """Reads what waits, several documents at once."""

    def __init__(
        self, *, queue: ReadingQueue, making: Making, changed: Changed, workers: int, beat: float = 2.0
    ) -> None:
        """`changed` is told status and progress of a document; `beat` is in seconds, between two signs of life."""
        self._queue, self._making, self._changed, self._seconds = queue, making, changed, beat
        self._called = asyncio.Event()
        self._free = asyncio.Semaphore(workers)
        self._same: dict[tuple[str, str], asyncio.Lock] = {}

    def call(self) -> None:
        """There is something to read."""
        self._called.set()

    async def run(self) -> None:
        """Until cancelled; then documents under way go back into the queue."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._free.acquire()
                with self._kept_free():
                    job = await self._next()
                # not at the end of the work: one that is cancelled before it began has none
                tasks.create_task(self._work(job)).add_done_callback(lambda _: self._free.release())

    @contextmanager
    def _kept_free(self) -> Iterator[None]:
        """A worker that got nothing to do is free again, also when the queue failed and is begun anew."""
        try:
            yield
        except BaseException:
            self._free.release()
            raise

    async def _next(self) -> Job:
        """The next job, waited for."""
        while True:
            self._called.clear()
            try:
                if job := await self._queue.claim(micros(), micros() + _LEASE):
                    return job
            except StorageError:
                log.exception("the queue of documents cannot be read: it will be tried again")
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE):
                    await self._called.wait()

    async def _work(self, job: Job) -> None:
        """One document, to whatever end."""
        try:
            await self._settle(job)
        except Conflict:
            log.info("%s was cancelled, removed or taken over while it was read", job.document.filename)
        except StorageError:
            log.exception("what became of %s could not be stored: it is read again later", job.document.filename)

    async def _settle(self, job: Job) -> None:
        """Raises Conflict where it is not ours any more."""
        document = job.document
        try:
            await self._read(job)
        except asyncio.CancelledError:
            with suppress(Conflict, StorageError):
                await self._queue.release(job)
            raise
        except Conflict:
            raise
        except (StorageError, BackendError) as error:
            log.warning("%s could not be read now: %s", document.filename, error.message)
            again = micros() + _PAUSE * 4**document.attempts if document.attempts < _ATTEMPTS else None
            await self._queue.fail(job, Problem("server_error", error.message), retry_at=again)
            self._changed(document, "failed" if again is None else "in_progress", 0)
        except PortalError as error:
            await self._fail(job, _code(error), error.message)
        except Exception as error:  # one document must not stop the others, whatever is wrong with it
            log.exception("%s could not be read", document.filename)
            await self._fail(job, "server_error", f"Portal failed at it ({type(error).__name__}); its log says more.")
        else:
            self._changed(document, "completed", 1)

    async def _fail(self, job: Job, code: ErrorCode, message: str) -> None:
        await self._queue.fail(job, Problem(code, message))
        self._changed(job.document, "failed", 1)

    async def _read(self, job: Job) -> None:
        """Read and store it while signs of life go out; that they cannot ends it."""
        progress = _Progress()
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(self._beat(job, progress))
                await self._store(job, progress, beating)
        except BaseExceptionGroup as errors:
            first = errors.exceptions[0]
            raise first from first.__cause__

    async def _store(self, job: Job, progress: "_Progress", beating: "asyncio.Task[None]") -> None:
        document = job.document
        if document.attempts > _ATTEMPTS:
            raise PortalError("Portal was stopped each time it read this file. Try it in another format.")
        key = self._making.key(document)
        async with self._alone(document.owner, key):
            twin = await self._queue.twin(job, key)
            text = None
            if twin is None:
                text = await self._making.fresh(document, progress.tell)
            elif twin != document.id:
                text = await self._making.copied(document, twin, progress.tell)
            beating.cancel()
            try:
                await self._queue.complete(job, key, text)
            except BadRequest as error:
                if text is None or text.vectors is None:
                    raise
                log.warning("%s is found by its words alone: %s", document.filename, error.message)
                await self._queue.complete(job, key, replace(text, embedder="", vectors=None))

    async def _beat(self, job: Job, progress: "_Progress") -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self._queue.renew(job, micros() + _LEASE, progress.share)
            self._changed(job.document, "in_progress", progress.share)

    @asynccontextmanager
    async def _alone(self, owner: str, key: str) -> AsyncIterator[None]:
        """Of the same content only one is read at a time: the others take it over."""
        lock = self._same.setdefault((owner, key), asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked():
                self._same.pop((owner, key), None)


class _Progress:
    def __init__(self) -> None:
        self.share = 0.0

    def tell(self, share: float) -> None:
        self.share = share


def _code(error: PortalError) -> ErrorCode:
    if error.code == "unsupported_file":
        return "unsupported_file"
    return "invalid_file" if isinstance(error, BadRequest | TooLarge | NotFound) else "server_error"
