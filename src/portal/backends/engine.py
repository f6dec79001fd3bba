"""The embedded engine as the page sees it: build it, fetch models for it, watch both."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import orjson

from portal.backends.embedded import models_folder
from portal.backends.engine_install import EngineInstall, needs
from portal.backends.llama_engine import is_installed
from portal.backends.pulls import Plan, fetch, plan_pull
from portal.backends.wire import text, whole
from portal.core.ids import new_id
from portal.core.items import JsonObject
from portal.errors import Conflict, NotFound, PortalError
from portal.settings import Settings

_log = logging.getLogger(__name__)
_TELL_EVERY = 0.25
"""Seconds between two notices of progress."""


@dataclass(slots=True)
class _Pull:
    id: str
    source: str
    done: int = 0
    total: int | None = None
    state: Literal["running", "done", "failed", "cancelled", "interrupted"] = "running"
    error: str | None = None
    task: asyncio.Task[None] | None = None
    told: float = 0.0

    def view(self) -> JsonObject:
        names = ("id", "source", "done", "total", "state", "error")
        return {name: getattr(self, name) for name in names}


class Engine:
    """Owns builds and pulls; they run in `tasks`. `on_change` gets `embedded.progress` or `pull.progress` with what
    changed, `on_models` is called when the list of models may have changed."""

    def __init__(
        self,
        *,
        settings: Settings,
        tasks: asyncio.TaskGroup,
        on_change: Callable[[str, JsonObject], None],
        on_models: Callable[[], None],
        command: tuple[str, ...] | None = None,
    ) -> None:
        """`command` replaces the installer, for tests."""
        self._folder = models_folder(settings)
        self._catalog = settings.embedded.catalog
        self._tasks = tasks
        self._on_change = on_change
        self._on_models = on_models
        self._install = EngineInstall(on_change=self._tell_build, command=command)
        self._told = 0.0
        self._pulls: dict[str, _Pull] = {}
        self._building: asyncio.Task[None] | None = None

    async def status(self) -> JsonObject:
        """{installed, building, needs, models, pulls}; pulls that a restart interrupted are among them."""
        wanted = await asyncio.to_thread(needs)
        models, parts = await asyncio.to_thread(_files, self._folder)
        known = {pull.source for pull in self._pulls.values()}
        interrupted = [part.view() for part in parts if part.source not in known]
        return {
            "installed": is_installed(),
            "building": self._install.view(),
            "needs": {
                "compiler": wanted.compiler,
                "cmake": wanted.cmake,
                "minutes": wanted.minutes,
                "space_mb": wanted.space_mb,
                "problems": list(wanted.problems),
            },
            "models": models,
            "pulls": [*(pull.view() for pull in self._pulls.values()), *interrupted],
        }

    async def install(self) -> None:
        """Begin to build in the background. Raises Conflict while one is being built, BadRequest for what lacks."""
        command = self._install.prepare()
        self._building = self._tasks.create_task(self._build(command))

    async def _build(self, command: Sequence[str]) -> None:
        try:
            await self._install.run(command)
        except Exception as error:  # the border of a task: a build that fails is not the end of Portal
            _log.exception("the build of the embedded engine failed")
            self._install.fail(f"The build failed: {error!r}")
        self._on_models()

    def _tell_build(self) -> None:
        now = time.monotonic()
        if self._install.state == "running" and now - self._told < _TELL_EVERY:
            return
        self._told = now
        self._on_change("embedded.progress", self._install.view() or {})

    async def pull(self, source: str, *, sha256: str | None = None) -> JsonObject:
        """Begin to fetch in the background; a source that was interrupted goes on where it was.

        Raises:
            BadRequest, NotFound, Conflict: it cannot be fetched, or is there or under way already.
        """
        plan = plan_pull(source, folder=self._folder, catalog=self._catalog, sha256=sha256)
        for earlier in list(self._pulls.values()):
            if earlier.source == plan.source and earlier.state == "running":
                raise Conflict("This model is being fetched already.", param="source")
            if earlier.source == plan.source:
                del self._pulls[earlier.id]
        pull = _Pull(new_id("pull"), plan.source)
        self._pulls[pull.id] = pull
        pull.task = self._tasks.create_task(self._run(pull, plan))
        return pull.view()

    async def _run(self, pull: _Pull, plan: Plan) -> None:
        try:
            await fetch(plan, on_progress=lambda done, total: self._progress(pull, done, total))
            pull.state = "done"
        except PortalError as error:
            _log.warning("the pull of %s failed: %s", plan.source, error)
            pull.state, pull.error = "failed", error.message
        except Exception as error:  # the border of a task: a pull that fails is not the end of Portal
            _log.exception("the pull of %s failed", plan.source)
            pull.state, pull.error = "failed", f"The model could not be fetched: {error!r}"
        except asyncio.CancelledError:
            pull.state = "cancelled"
            raise
        finally:
            self._on_change("pull.progress", pull.view())
        self._on_models()

    def _progress(self, pull: _Pull, done: int, total: int | None) -> None:
        pull.done, pull.total = done, total
        now = time.monotonic()
        if now - pull.told >= _TELL_EVERY:
            pull.told = now
            self._on_change("pull.progress", pull.view())

    async def cancel_pull(self, pull_id: str) -> None:
        """Stop a pull; what was fetched is kept for the next time. One that has ended is forgotten.

        Raises:
            NotFound: there is no such pull.
        """
        pull = self._pulls.get(pull_id)
        if pull is None:
            raise NotFound(f"There is no pull {pull_id!r}.")
        if pull.state != "running" or pull.task is None:
            del self._pulls[pull_id]
            return
        pull.task.cancel()
        await asyncio.wait([pull.task])

    def stop(self) -> None:
        """Cancel everything under way."""
        for task in (self._building, *(pull.task for pull in self._pulls.values())):
            if task is not None:
                task.cancel()


def _files(folder: Path) -> tuple[list[JsonObject], list[_Pull]]:
    """The model files that are whole, and the beginnings of others."""
    models = [{"name": path.stem, "size": path.stat().st_size} for path in sorted(folder.glob("*.gguf"))]
    parts = []
    for note in sorted(folder.glob("*.part.json")):
        found = _note(note)
        part = note.with_suffix("")
        if found and part.exists():
            pull = _Pull(f"part_{part.stem}", found["source"], part.stat().st_size, whole(found.get("total")))
            pull.state = "interrupted"
            parts.append(pull)
    return models, parts


def _note(path: Path) -> JsonObject | None:
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    return found if isinstance(found, dict) and text(found.get("source")) else None
