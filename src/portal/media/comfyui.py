"""ComfyUI as an engine: a workflow is filled in, queued, watched, and its files are fetched.

A job's id is ours and is stored before ComfyUI hears of it, so that it is found again in ComfyUI's queue or history
after a crash at any moment. Whatever ComfyUI's socket says is only for show: what counts is the history.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from portal.core.items import JsonObject
from portal.core.media import EngineState, Picture, Recipe, Task, Value
from portal.errors import MediaError, MediaMissing, MediaRefused, MediaUnavailable, NotFound
from portal.media import content
from portal.media.comfyui_api import ComfyApi, Nodes, failure, outputs
from portal.media.needs import missing, resolved
from portal.media.pictures import opaque
from portal.media.watch import Watch
from portal.media.wire import Wire
from portal.media.workflow import Workflow
from portal.settings.media import MediaSettings

INSTALL = (
    "Start ComfyUI (https://github.com/comfyanonymous/ComfyUI: `python main.py`), or name its address in "
    "`[[media.engines]]`."
)
_FRESH = 15.0
"""Seconds for which the list of nodes and models is taken to be true."""
_TRIES = 2
_PAUSE = 0.5
_AWAY = "ComfyUI is away; waiting for it"

Library = Callable[[], tuple[Mapping[str, Workflow], Mapping[str, str]]]


class _Lost(Exception):
    """ComfyUI was started anew and does not know the job any more."""


class _Work:
    """A job at ComfyUI. `client` is whom it tells of it, the same after a restart."""

    def __init__(self, *, id: str, sent: bool) -> None:
        self.id = id
        self.client = f"portal-{id}"
        self.sent = sent
        """Whether ComfyUI may know of it."""


class ComfyUI:
    """The engine."""

    kind = "comfyui"

    def __init__(
        self, *, name: str, url: str, library: Library, settings: MediaSettings, local: bool, api_key: str = ""
    ) -> None:
        """`library` tells which workflows there are."""
        self.name = name
        self.local = local
        self._api = ComfyApi(Wire(name="ComfyUI", url=url, api_key=api_key))
        self._library = library
        self._settings = settings
        self._known: tuple[float, Nodes] | None = None

    async def recipes(self) -> Sequence[Recipe]:
        """See MediaEngine."""
        known, wrong = await asyncio.to_thread(self._library)
        try:
            nodes, away = await self._nodes(), ""
        except MediaError as error:
            nodes, away = {}, f"{error.message}. {INSTALL}"
        made = [self._recipe(one, away or missing(one, one.graph, nodes)) for one in known.values()]
        broken = [
            Recipe(name=name, title=name, kind="image", engine=self.name, ready=False, needs=why)
            for name, why in wrong.items()
        ]
        return [*made, *broken]

    def _recipe(self, workflow: Workflow, needs: str) -> Recipe:
        return Recipe(
            name=workflow.name,
            title=workflow.title,
            kind=workflow.kind,
            engine=self.name,
            inputs=workflow.defaults,
            pictures=workflow.pictures,
            needed=workflow.pictures,
            ready=not needs,
            needs=needs,
            memory=workflow.memory,
            description=workflow.description,
        )

    async def make(self, task: Task) -> Sequence[Picture]:
        """See MediaEngine."""
        known, _ = await asyncio.to_thread(self._library)
        if task.recipe not in known:
            raise NotFound(f"There is no workflow {task.recipe!r} any more.")
        work = _Work(id=task.engine_job or str(uuid.uuid4()), sent=bool(task.engine_job))
        for _ in range(_TRIES):
            with suppress(_Lost):
                return await self._fetched(await self._followed(known[task.recipe], task, work))
            work.sent = False
        raise MediaError("ComfyUI was started anew twice in the middle of the job.", code="engine_restarted")

    async def stop(self, engine_job: str) -> None:
        """See MediaEngine."""
        with suppress(MediaError):
            await self._api.drop(engine_job)

    async def state(self) -> EngineState:
        """See MediaEngine."""
        told = EngineState(name=self.name, kind=self.kind, url=self._api.wire.url, reachable=False)
        try:
            stats = await self._api.stats()
        except MediaError as error:
            return replace(told, problem=error.message)
        return replace(told, reachable=True, **_hardware(stats))

    async def aclose(self) -> None:
        """See MediaEngine."""
        await self._api.wire.aclose()

    # ------------------------------------------------------------------ a job

    async def _submit(self, workflow: Workflow, task: Task, work: _Work) -> None:
        for name in workflow.masks:
            if name in task.pictures and await opaque(task.pictures[name]):
                raise MediaRefused(f"Nothing of the {name} is transparent: make it so where the picture is to change.")
        nodes = await self._nodes(fresh=True)
        names = {name: await self._uploaded(picture) for name, picture in task.pictures.items()}
        graph = resolved(workflow.filled({**task.values, **names}), nodes)
        needs = missing(workflow, graph, nodes)
        if needs:
            raise MediaMissing(needs)
        await task.begun(work.id)
        work.sent = True
        given = await self._api.submit(graph, work.id, work.client)
        if given != work.id:
            work.id = given
            await task.begun(given)

    async def _uploaded(self, picture: Picture) -> Value:
        """Named by what it holds: one that is there already is the same."""
        found = await asyncio.to_thread(content.picture, picture.data, max_pixels=self._settings.max_pixels)
        name = f"{hashlib.sha256(found.data).hexdigest()[:24]}.{found.ending}"
        return await self._api.upload(Picture(data=found.data, content_type=found.content_type, name=name))

    async def _followed(self, workflow: Workflow, task: Task, work: _Work) -> JsonObject:
        """The history's entry of a job once it has ended; it is sent first if it was not. Raises _Lost."""
        watch, reached = Watch(task), monotonic()
        while True:
            try:
                async with self._api.socket(work.client) as socket:
                    if not work.sent:
                        await self._submit(workflow, task, work)
                    while (entry := await self._entry(work.id, watch)) is None:
                        reached = monotonic()
                        await watch.listen(socket, work.id)
                return entry
            except MediaUnavailable:
                if monotonic() - reached > self._settings.patience:
                    raise
                task.progress(watch.share, _AWAY)
                await asyncio.sleep(_PAUSE)

    async def _entry(self, prompt_id: str, watch: Watch) -> JsonObject | None:
        entry = await self._api.history(prompt_id)
        if entry is not None:
            return entry
        waiting = await self._api.queued(prompt_id)
        if waiting is None:  # it may have ended between the two questions
            entry = await self._api.history(prompt_id)
            if entry is None:
                raise _Lost
        watch.waiting = bool(waiting)
        return entry

    async def _fetched(self, entry: JsonObject) -> Sequence[Picture]:
        problem = failure(entry)
        if problem is not None:
            if problem.code == "out_of_memory":
                with suppress(MediaError):
                    await self._api.free()
            raise problem
        files = outputs(entry)
        if not files:
            raise MediaError("The workflow ended without a file: it needs a node that saves one.", code="no_result")
        made = []
        for file in files:
            data = await self._api.view(file, self._settings.max_bytes)
            found = await asyncio.to_thread(content.read, data, max_pixels=self._settings.max_pixels)
            made.append(Picture(data=found.data, content_type=found.content_type, name=f"result.{found.ending}"))
        return made

    async def _nodes(self, *, fresh: bool = False) -> Nodes:
        if fresh or self._known is None or monotonic() - self._known[0] > _FRESH:
            self._known = (monotonic(), await self._api.nodes())
        return self._known[1]


def _hardware(stats: JsonObject) -> JsonObject:
    system, devices = stats.get("system") or {}, stats.get("devices") or [{}]
    device = devices[0] if isinstance(devices[0], dict) else {}
    memory = device.get("vram_total") or system.get("ram_total") or 0
    return {
        "version": str(system.get("comfyui_version", "")),
        "device": str(device.get("name") or device.get("type") or ""),
        "memory": round(memory / 2**30, 1),
    }
