"""Skills as the page's routes know them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING

from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.errors import BadRequest, Conflict, NotFound, ToolError
from portal.interfaces.web.ports import SkillSource
from portal.settings import Settings

if TYPE_CHECKING:
    from portal.tools.skill import Shelf, Skill


class Skills:
    """The Skills port of the page's routes. What reads skills is imported when first asked for."""

    def __init__(self, *, settings: Settings, files: Files, changed: Callable[[], None]) -> None:
        """`changed` is called when there are more or fewer."""
        self._settings = settings
        self._files = files
        self._changed = changed

    @cached_property
    def _shelf(self) -> "Shelf":
        from portal.tools.skill import Shelf

        return Shelf(self._settings)

    def list(self) -> Sequence[JsonObject]:
        """See Skills."""
        return [self._summary(skill) for skill in self._shelf.skills().values()]

    def get(self, name: str) -> JsonObject:
        """See Skills."""
        return self._shown(self._find(name))

    async def look(self, owner: str, source: SkillSource) -> Sequence[JsonObject]:
        """See Skills."""
        async with self._arrived(owner, source) as found:
            return [{**self._shown(skill), "replaces": skill.name in self._shelf.skills()} for skill in found]

    async def install(self, owner: str, source: SkillSource, names: Sequence[str]) -> Sequence[JsonObject]:
        """See Skills."""
        from portal.tools.skill_install import install

        async with self._arrived(owner, source) as found:
            chosen = [skill for skill in found if not names or skill.name in names]
            if missing := {*names} - {skill.name for skill in chosen}:
                raise BadRequest(f"There is no skill {', '.join(sorted(missing))} in it.", param="names")
            for skill in chosen:
                await asyncio.to_thread(install, skill, self._shelf.home)
        self._changed()
        return [self.get(skill.name) for skill in chosen]

    @asynccontextmanager
    async def _arrived(self, owner: str, source: SkillSource) -> AsyncIterator["Sequence[Skill]"]:
        """The skills of a source, until the block ends. Raises BadRequest, NotFound."""
        with TemporaryDirectory(prefix="portal-skills-") as scratch:
            try:
                yield await (self._cloned if source.url else self._unpacked)(owner, source, Path(scratch))
            except ToolError as error:
                raise BadRequest(error.message) from error

    async def _cloned(self, _: str, source: SkillSource, scratch: Path) -> "Sequence[Skill]":
        from portal.core.urls import git_url
        from portal.security.outbound import Guard
        from portal.tools import git
        from portal.tools.git_reach import pinned
        from portal.tools.skill_install import skills_in

        if not git.is_address(source.url):
            raise ToolError(f"{source.url} is not the address of a git repository.")
        addresses = await Guard(self._settings).check(git_url(source.url))
        copy = scratch / "repository"
        await git.clone(source.url, copy, settings=pinned(source.url, addresses))
        return await asyncio.to_thread(skills_in, copy)

    async def _unpacked(self, owner: str, source: SkillSource, scratch: Path) -> "Sequence[Skill]":
        from portal.tools.skill_install import MOST_BYTES, unpacked

        record = await self._files.get(owner, source.file_id)
        if record.size > MOST_BYTES:
            raise ToolError(f"{record.filename} is larger than {MOST_BYTES // 2**20} MB.")
        with TemporaryFile() as file:
            async for piece in self._files.content(owner, source.file_id):
                file.write(piece)
            return await asyncio.to_thread(unpacked, file, record.filename, scratch)

    async def delete(self, name: str) -> None:
        """See Skills."""
        from portal.tools.skill_install import remove

        skill = self._find(name)
        if not self._shelf.installed(skill):
            raise Conflict(f"{name} is in {skill.folder.parent}, a folder of the settings; remove it there.")
        await asyncio.to_thread(remove, skill)
        self._changed()

    def _find(self, name: str) -> "Skill":
        try:
            return self._shelf.skills()[name]
        except KeyError as error:
            raise NotFound(f"There is no skill {name!r}.") from error

    def _shown(self, skill: "Skill") -> JsonObject:
        files = [{"path": one.path, "size": one.size, "script": one.script} for one in skill.files()]
        return {**self._summary(skill), "instructions": skill.body, "files": files}

    def _summary(self, skill: "Skill") -> JsonObject:
        return {
            "object": "portal.skill",
            "name": skill.name,
            "description": skill.description,
            "licence": skill.licence,
            "compatibility": skill.compatibility,
            "allowed_tools": skill.allowed_tools,
            "metadata": dict(skill.metadata),
            "folder": str(skill.folder),
            "installed": self._shelf.installed(skill),
            "trusted": self._shelf.trusts(skill),
        }
