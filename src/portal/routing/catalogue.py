"""Workspaces as people manage them: what each means now, change one, try one, take over those of other programs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import ValidationError

from portal.core.ask import Ask
from portal.core.clock import micros
from portal.core.completion import Completions
from portal.core.decision import decision
from portal.core.items import JsonObject
from portal.core.model import ModelRequest
from portal.core.personas import Expectation, Persona
from portal.core.ports import SavedWorkspaces
from portal.core.records import WorkspaceRecord
from portal.core.workspaces import Workspace
from portal.errors import BadRequest, Conflict, Forbidden, NoModel, NotFound, SettingsError
from portal.routing.personas import packaged_personas
from portal.routing.router import Router
from portal.routing.workspaces import Workspaces, workspace
from portal.settings.workspaces import WorkspaceSettings, workspace_name

if TYPE_CHECKING:
    from portal.routing.foreign import Foreign

_MOST = 200
_TRIED_WITH = "Say in one sentence what you can help me with."

_log = logging.getLogger(__name__)


class Catalogue:
    """The workspaces with a memory."""

    def __init__(
        self,
        *,
        workspaces: Workspaces,
        router: Router,
        saved: SavedWorkspaces,
        completions: Completions,
        on_change: Callable[[], None],
    ) -> None:
        self._workspaces = workspaces
        self._router = router
        self._saved = saved
        self._completions = completions
        self._on_change = on_change
        self._changing = asyncio.Lock()

    def write(self, workspaces: Sequence[Workspace]) -> None:
        """Take these as those of the settings."""
        self._workspaces.write(workspaces)
        self._on_change()

    async def restore(self) -> None:
        """Take in what people made before, or on another server. What this Portal does not understand stays saved,
        unused."""
        records = await self._saved.all()
        self._workspaces.keep_only({(record.owner, record.name) for record in records})
        for record in records:
            try:
                self._workspaces.put(_made(record.owner, record.name, WorkspaceSettings(**record.fields)))
            except (ValidationError, SettingsError) as error:
                _log.warning("the workspace %s of %s is left out: %s", record.name, record.owner, error)

    def list(self, owner: str) -> Sequence[JsonObject]:
        """Those that this person may use."""
        return [self._view(owner, one) for one in self._router.workspaces(owner)]

    def get(self, owner: str, name: str) -> JsonObject:
        """Raises NotFound."""
        return self._view(owner, self._find(owner, name))

    def _find(self, owner: str, name: str) -> Workspace:
        found = self._workspaces.get(name, owner)
        if found is None or not found.allows(owner):
            raise NotFound(f"There is no workspace {name!r}.", param="name")
        return found

    async def put(self, owner: str, name: str, fields: WorkspaceSettings) -> JsonObject:
        """Make or replace this person's workspace of that name; in use at once, and for them alone unless it says more.

        Raises:
            BadRequest: the name or the persona is none.
            Conflict: there are too many.
        """
        if "users" not in fields.model_fields_set:
            fields = fields.model_copy(update={"users": (owner,)})
        made = _checked(owner, name, fields)
        async with self._changing:
            mine = [one for one in self._workspaces.list(owner) if one.owner == owner]
            if len(mine) >= _MOST and name not in {one.name for one in mine}:
                raise Conflict(f"{_MOST} workspaces are the most that one person can have.", param="name")
            record = WorkspaceRecord(owner=owner, name=name, fields=fields.model_dump(), created_at=micros())
            await self._saved.save(record)
            self._workspaces.put(made)
        self._on_change()
        return self._view(owner, made)

    async def delete(self, owner: str, name: str) -> JsonObject:
        """Forget what this person made of that name; what shows instead, where there is one: {name, deleted, now}.

        Raises:
            NotFound: there is none of theirs.
            Conflict: it comes from the settings, or is Portal's own.
        """
        found = self._find(owner, name)
        if found.owner != owner:
            place = {"built-in": "part of Portal", "settings": "in the settings", "page": "somebody else's"}
            raise Conflict(f"The workspace {name!r} is {place[found.source]}; it cannot be deleted here.")
        async with self._changing:
            await self._saved.delete(owner, name)
            self._workspaces.drop(owner, name)
        self._on_change()
        now = self._workspaces.get(name, owner)
        return {"name": name, "deleted": True, "now": self._view(owner, now) if now and now.allows(owner) else None}

    def _view(self, owner: str, one: Workspace) -> JsonObject:
        beneath = self._workspaces.everyones(one.name)
        return {
            "object": "portal.workspace",
            "name": one.name,
            **fields_of(one),
            "source": one.source,
            "mine": bool(one.owner) and one.owner == owner,
            "replaces": beneath.source if one.owner and beneath else None,
            "now": self._now(owner, one),
            "advice": self._advice(one),
        }

    def _now(self, owner: str, one: Workspace) -> JsonObject:
        """What answers a plain question there now, and why; `model` is None where nothing can."""
        try:
            route = self._router.route_in(one, Ask(model=one.name, owner=owner))
        except (NoModel, Forbidden) as error:
            return {"model": None, "backend": None, "reason": error.message}
        reason = route.reason.removeprefix(f"{one.name}: ")
        return {"model": route.model.id, "backend": route.model.backend, "reason": reason}

    def _advice(self, one: Workspace) -> str | None:
        """What is missing for its purpose, and what to install; None when all is there, or nothing at all."""
        if one.task != "vision" or not self._router.list():
            return None
        try:
            self._router.route_in(one, Ask(model=one.name, needs=frozenset({"chat", "vision"})))
        except (NoModel, Forbidden) as error:
            return error.message
        return None

    async def test(
        self, owner: str, name: str, *, prompt: str = "", persona: str = "", fields: WorkspaceSettings | None = None
    ) -> JsonObject:
        """Ask it once, storing nothing: with this prompt, or the test of its persona (or of `persona`); as `fields` say
        instead of what is saved. `problems` is what a check found, None where nothing was checked.

        Raises:
            NotFound, BadRequest, NoModel, Forbidden, RateLimited, BackendError.
        """
        one = self._find(owner, name) if fields is None else _checked(owner, name, fields)
        if persona:
            one = replace(one, persona=persona, character=_persona(persona))
        prompt, expect = (prompt, None) if prompt else _question(one)
        began = perf_counter()
        asked = [{"role": "user", "content": prompt}]
        route = self._router.route_in(one, Ask(model=one.name, owner=owner, messages=asked), counted=True)
        decided = decision(route, perf_counter() - began)
        parameters = one.with_defaults({})
        request = ModelRequest(model=route.model.id, messages=one.messages(asked), parameters=parameters, chosen=True)
        answer, usage = await self._completions.complete(route.alone(), request, owner=owner, door="test")
        return {
            "workspace": one.name,
            "persona": one.persona or None,
            "prompt": prompt,
            "answer": answer,
            "problems": expect.failures(answer) if expect else None,
            "decision": decided,
            "usage": asdict(usage),
            "ms": round((perf_counter() - began) * 1000),
        }

    def personas(self) -> Sequence[JsonObject]:
        """Those that Portal brings."""
        return [
            {
                "object": "portal.persona",
                "name": one.name,
                "title": one.title,
                "description": one.description,
                "prompt": one.prompt,
                "task": one.task or None,
                "temperature": one.temperature,
                "test": one.test,
            }
            for one in packaged_personas().values()
        ]

    async def take_over(
        self, owner: str, content: str, *, dry_run: bool = False, again: bool = True
    ) -> Sequence[JsonObject]:
        """Make workspaces of the entries of another program's export. Per entry {entry, name, taken, known, notes}:
        what could not be taken over is in the notes. A name in use gets a number; with `again` off not where this
        person has the very same one, which is `known`.

        Raises:
            BadRequest: the file is none that is known.
        """
        from portal.routing.foreign import read_foreign

        taken: set[str] = set()
        return [await self._take(owner, entry, taken, dry_run, again) for entry in read_foreign(content)]

    async def _take(self, owner: str, entry: "Foreign", taken: set[str], dry_run: bool, again: bool) -> JsonObject:
        told = {"entry": entry.title, "name": None, "taken": False, "known": False}
        if entry.refused:
            return {**told, "notes": [entry.refused]}
        name = self._free(owner, entry.name, taken)
        try:
            fields = WorkspaceSettings(**{**entry.fields, "users": (owner,)})
            mine = None if again else self.mine(owner, entry.name)
            if mine is not None and WorkspaceSettings(**fields_of(mine)) == fields:
                return {**told, "name": entry.name, "known": True, "notes": []}
            if not dry_run:
                await self.put(owner, name, fields)
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            return {**told, "notes": wrong}
        taken.add(name)
        return {**told, "name": name, "taken": True, "notes": list(entry.notes)}

    def mine(self, owner: str, name: str) -> Workspace | None:
        """The one of that name that this person made."""
        found = self._workspaces.get(name, owner)
        return found if found is not None and found.owner == owner else None

    def _free(self, owner: str, name: str, taken: set[str]) -> str:
        known = {one.name for one in self._workspaces.list(owner)} | taken
        number = 1
        while (free := name if number == 1 else f"{name[:58]}-{number}") in known:
            number += 1
        return free


def fields_of(one: Workspace) -> JsonObject:
    """What a person may write of it: the fields of WorkspaceSettings."""
    return {name: getattr(one, name) for name in WorkspaceSettings.model_fields}


def _made(owner: str, name: str, fields: WorkspaceSettings) -> Workspace:
    return workspace(name, fields.model_dump(), source="page", owner=owner)


def _checked(owner: str, name: str, fields: WorkspaceSettings) -> Workspace:
    try:
        return _made(owner, workspace_name(name), fields)
    except ValueError as error:
        raise BadRequest(f"{error}.", param="name") from error
    except SettingsError as error:
        raise BadRequest(error.message, param=error.param) from error


def _persona(name: str) -> Persona:
    try:
        return packaged_personas()[name]
    except KeyError as error:
        raise BadRequest(f"There is no persona {name!r}.", param="persona") from error


def _question(one: Workspace) -> tuple[str, Expectation | None]:
    """What to ask it, and what the answer must be like."""
    return (one.character.test, one.character.expect) if one.character else (_TRIED_WITH, Expectation())
