"""Skills as the page's routes know them."""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING

from portal.core.items import JsonObject
from portal.core.ports import Files
from portal.errors import BadRequest, Conflict, NotFound, ToolError
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
        skill = self._find(name)
        files = [{"path": one.path, "size": one.size, "script": one.script} for one in skill.files()]
        return {**self._summary(skill), "instructions": skill.body, "files": files}

    async def install(self, owner: str, file_id: str) -> Sequence[JsonObject]:
        """See Skills."""
        from portal.tools.skill_install import MOST_BYTES

        record = await self._files.get(owner, file_id)
        if record.size > MOST_BYTES:
            raise BadRequest(f"{record.filename} is larger than {MOST_BYTES // 2**20} MB.")
        with TemporaryFile() as file:
            async for piece in self._files.content(owner, file_id):
                file.write(piece)
            try:
                names = await asyncio.to_thread(self._install, file, record.filename)
            except ToolError as error:
                raise BadRequest(error.message) from error
        self._changed()
        return [self.get(name) for name in names]

    def _install(self, file: IO[bytes], name: str) -> Sequence[str]:
        from portal.tools.skill_install import install, unpacked

        with TemporaryDirectory(prefix="portal-skills-") as scratch:
            skills = unpacked(file, name, Path(scratch))
            for skill in skills:
                install(skill, self._shelf.home)
        return [skill.name for skill in skills]

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
